/** Flows as values, and the changes to them. */
import type { Action } from "./action.ts";
import type { Match } from "./match.ts";

/**
 * One flow. Within a bridge, `table`, `priority` and `match` name it: a second one with the same
 * three replaces the first.
 */
export type Flow = {
  /** 64 bits, unsigned. Says whose it is; nothing matches on it. */
  readonly cookie: bigint;
  /** 0…254 */
  readonly table: number;
  /** 0…65535, the highest that matches wins. */
  readonly priority: number;
  readonly match: Match;
  /** Empty: drop. */
  readonly actions: readonly Action[];
};

/** What a flow's cookie must be under the mask. A mask of 0 takes in all flows. */
export type CookieMask = { readonly cookie: bigint; readonly mask: bigint };

export function cookieMatches(cookie: bigint, owner: CookieMask): boolean {
  return (cookie & owner.mask) === (owner.cookie & owner.mask);
}

/**
 * What a flow-mod message does.
 *
 * - `add`: the flow is there, whatever was in its place; the counters of an equal one stay.
 * - `delete-strict`: the one flow with this table, priority and match, when its cookie is the same.
 * - `delete-owned`: all flows of all tables whose cookie is so.
 */
export type FlowMod =
  | { readonly kind: "add"; readonly flow: Flow }
  | { readonly kind: "delete-strict"; readonly flow: InstalledFlow }
  | { readonly kind: "delete-owned"; readonly owner: CookieMask };

/**
 * A flow as a switch has it. `known`: it is one that we could have made. `unknown`: it has fields
 * or actions that are none of ours (someone took our cookie): it can be seen and deleted.
 */
export type InstalledFlow =
  | { readonly kind: "known"; readonly flow: Flow }
  | { readonly kind: "unknown"; readonly flow: UnknownFlow };

export type UnknownFlow = {
  readonly cookie: bigint;
  readonly table: number;
  readonly priority: number;
  /** The match as it was on the wire: an ofp_match with its padding. */
  readonly matchOctets: Uint8Array;
};

export type FlowCounters = { readonly packetCount: bigint; readonly octetCount: bigint };

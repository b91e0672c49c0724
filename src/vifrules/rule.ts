/** The words of the pipeline: registers, classes, scopes, and a flow before it has a cookie. */

import { parseMacAddress } from "../net/mac-address.ts";
import type { Action } from "../openflow/action.ts";
import type { Flow } from "../openflow/flow.ts";
import { LOCAL_PORT, type MacMatch, type Match, type RegisterNumber } from "../openflow/match.ts";
import { TABLE_DROP } from "../openflow/pipeline.ts";
import { type DropReason, dropReasonNumber } from "./drop-reason.ts";

/** A flow that nobody owns yet. */
export type Rule = Omit<Flow, "cookie">;

/** Which part of the ports a flood is for. */
export const REG_FLOOD: RegisterNumber = 0;
/** 1: the frame's tag is that of a trunk that its VIF has. */
export const REG_TRUNK: RegisterNumber = 1;
/** How far the frame may go: SCOPE_…. Only frames of isolated VIFs have another than 0. */
export const REG_SCOPE: RegisterNumber = 2;
/** The number of a drop's reason, for TABLE_DROP. */
export const REG_REASON: RegisterNumber = 3;
/** MODE_… of the VIF that sent it; 0 when that is not verified. */
export const REG_MODE: RegisterNumber = 4;
/** The first port of the VIF that sent it; 0 when no VIF did. */
export const REG_SOURCE: RegisterNumber = 5;
/** The network: `netNumber` of its VLAN; 0 for a VLAN without VIFs. */
export const REG_NET: RegisterNumber = 6;
/** CLASS_… of the port it came from. */
export const REG_CLASS: RegisterNumber = 7;
/** The first port of the VIF, or the port of the host, that it is for. */
export const REG_TARGET: RegisterNumber = 15;

export const MODE_LOCKED = 1;
export const MODE_ISOLATED = 2;

// Scope 0 is that of a frame to one member of its groups, and of all that locked VIFs send.
/** To the outside or to infrastructure: never into a VIF that is none. */
export const SCOPE_OUTSIDE = 1;
/** To many: members of its groups among them take it. */
export const SCOPE_MANY = 2;

/** A VIF whose addresses are verified. */
export const CLASS_VERIFIED = 0;
/** An unlocked VIF, or a port that is neither VIF nor uplink. */
export const CLASS_UNTRUSTED = 1;
/** From the outside: an uplink, or infrastructure on this bridge. */
export const CLASS_OUTSIDE = 2;
/** From the outside on a member of a bond on which the switch discards floods. */
export const CLASS_OUTSIDE_UNICAST = 3;
export const CLASS_HOST = 4;

/** CLASS_OUTSIDE and CLASS_OUTSIDE_UNICAST. */
export const FROM_OUTSIDE = { value: CLASS_OUTSIDE, mask: 0xe } as const;

export const BROADCAST = parseMacAddress("ff:ff:ff:ff:ff:ff");
const ZERO = parseMacAddress("00:00:00:00:00:00");
const GROUP_BIT = parseMacAddress("01:00:00:00:00:00");
export const TO_MANY: MacMatch = { address: GROUP_BIT, mask: GROUP_BIT };
export const TO_ONE: MacMatch = { address: ZERO, mask: GROUP_BIT };
export const NO_MAC = ZERO;

/** Never 0, which is "no network". */
export function netNumber(vlan: number): number {
  return 0x1000 | vlan;
}

/** The bridge's own port has a number of 32 bits in matches; registers hold it like the others. */
export function targetNumber(ofport: number): number {
  return ofport === LOCAL_PORT ? 0xfffe : ofport;
}

export function load(register: RegisterNumber, value: number): Action {
  return { kind: "load", register, value };
}

export function resubmit(table: number): Action {
  return { kind: "resubmit", table };
}

/** On to where the VIF's flow for the reason counts it. */
export function dropFor(reason: DropReason): readonly Action[] {
  return [load(REG_REASON, dropReasonNumber(reason)), resubmit(TABLE_DROP)];
}

export function rule(
  table: number,
  priority: number,
  match: Match,
  actions: readonly Action[] = [],
): Rule {
  return { table, priority, match, actions };
}

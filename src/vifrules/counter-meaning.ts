/** What the packet count of a flow says about a VIF: `vn vif-show`'s counters. */
import type { Flow } from "../openflow/flow.ts";
import { type Match, PROTOCOLS, type Protocol } from "../openflow/match.ts";
import {
  TABLE_ADVERTISEMENT,
  TABLE_CLASSIFY,
  TABLE_DELIVER,
  TABLE_DROP,
  TABLE_SOURCE,
  TABLE_SWITCH,
} from "../openflow/pipeline.ts";
import {
  PRIORITY_DISABLED,
  PRIORITY_DOUBLE_TAG,
  PRIORITY_FORGED,
  PRIORITY_QUARANTINE,
  PRIORITY_SENT,
  PRIORITY_SENT_INFRA,
  PRIORITY_WRONG_MAC,
  PRIORITY_WRONG_VLAN,
} from "./classify-rules.ts";
import { decodeCookie } from "./cookie.ts";
import { DROP_REASONS, type DropReason } from "./drop-reason.ts";
import type { TraceStep } from "./trace.ts";

export type CounterMeaning =
  /** Frames that came from it, those that were dropped later too. */
  | { readonly kind: "sent" }
  | { readonly kind: "delivered" }
  | { readonly kind: "dropped"; readonly reason: DropReason };

const CLASSIFIED: ReadonlyMap<number, CounterMeaning> = new Map<number, CounterMeaning>([
  [PRIORITY_SENT_INFRA, { kind: "sent" }],
  [PRIORITY_SENT, { kind: "sent" }],
  [PRIORITY_FORGED, dropped("mac")],
  [PRIORITY_DOUBLE_TAG, dropped("vlan")],
  [PRIORITY_WRONG_VLAN, dropped("vlan")],
  [PRIORITY_WRONG_MAC, dropped("mac")],
  [PRIORITY_DISABLED, dropped("disabled")],
  [PRIORITY_QUARANTINE, dropped("quarantine")],
]);

/**
 * Of which VIF the flow counts frames, by its first port, and what it means; null when it is no
 * VIF's, or counts what another flow counts too.
 */
export function counterOf(
  flow: Flow,
): { readonly ofport: number; readonly meaning: CounterMeaning } | null {
  const cookie = decodeCookie(flow.cookie);
  const meaning = cookie?.kind === "vif" ? meaningOf(flow) : null;
  return cookie === null || meaning === null ? null : { ofport: cookie.ofport, meaning };
}

/** Why the last rule that a frame met drops it; null when it is not ours, or does not say. */
export function reasonOfStep({ table, priority, match, cookie }: TraceStep): DropReason | null {
  if (decodeCookie(cookie)?.kind !== "vif") {
    return null;
  }
  const number = /(?:^|,)reg3=(0x[0-9a-f]+)/.exec(match)?.[1];
  const fields: Match = {
    ...protocolOf(match),
    ...(number === undefined ? {} : { reg3: Number(number) }),
  };
  const meaning = meaningOf({ cookie, table, priority, match: fields, actions: [] });
  return meaning?.kind === "dropped" ? meaning.reason : null;
}

function protocolOf(match: string): Match {
  const protocol = match.split(",").find((word): word is Protocol => word in PROTOCOLS);
  return protocol === undefined ? {} : { protocol };
}

function meaningOf({ table, priority, match, actions }: Flow): CounterMeaning | null {
  switch (table) {
    case TABLE_CLASSIFY:
      return CLASSIFIED.get(priority) ?? null;
    case TABLE_SOURCE:
    case TABLE_ADVERTISEMENT:
      // A drop has no way on; it may have a note to us.
      return actions.some(({ kind }) => kind === "resubmit") ? null : spoofed(table, match);
    case TABLE_SWITCH:
      return actions.length === 0 ? dropped("disabled") : null;
    case TABLE_DELIVER:
      return { kind: "delivered" };
    case TABLE_DROP: {
      const reason = DROP_REASONS[Number(match.reg3 ?? 0) - 1];
      return reason === undefined ? null : dropped(reason);
    }
    default:
      return null;
  }
}

function spoofed(table: number, { protocol }: Flow["match"]): CounterMeaning {
  switch (protocol) {
    case "arp":
      return dropped("arp-spoof");
    case "ip":
      return dropped("ipv4-spoof");
    case "ipv6":
      return dropped("ipv6-spoof");
    case "icmp6":
      return dropped("nd-spoof");
    default:
      return dropped(table === TABLE_ADVERTISEMENT ? "nd-spoof" : "protocol");
  }
}

function dropped(reason: DropReason): CounterMeaning {
  return { kind: "dropped", reason };
}

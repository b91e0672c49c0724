/**
 * To which port a frame goes (tables 30 and 31). What is for a VIF of this bridge is handed to it
 * through table 40; the switch's own forwarding, NORMAL, has the rest: it learns where MACs outside
 * are, adds VLAN tags and chooses members of bonds. It floods into no VIF: those that floods are for
 * are listed here.
 */
import { type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import type { Action } from "../openflow/action.ts";
import type { MacMatch } from "../openflow/match.ts";
import { TABLE_ADMIT, TABLE_FLOOD, TABLE_SWITCH } from "../openflow/pipeline.ts";
import type { NetworkView } from "./network-view.ts";
import type { AddressRange } from "./policy.ts";
import {
  BROADCAST,
  CLASS_OUTSIDE,
  CLASS_OUTSIDE_UNICAST,
  FROM_OUTSIDE,
  load,
  REG_FLOOD,
  REG_TARGET,
  type Rule,
  resubmit,
  rule,
  SCOPE_OUTSIDE,
  TO_MANY,
} from "./rule.ts";

/** RFC 9568 §7.3: the MACs of virtual routers, of IPv4 and of IPv6. */
export const VRRP_MACS: readonly MacMatch[] = ["00:00:5e:00:01:00", "00:00:5e:00:02:00"].map(
  (text) => ({ address: parseMacAddress(text), mask: parseMacAddress("ff:ff:ff:ff:ff:00") }),
);

/** A message of OpenFlow has 64 KiB; a clone of a flood takes 64 octets of it. */
const FLOOD_TARGETS_MAX = 500;

/** The part of those that are not locked; other parts are numbered from 1. */
const PART_OPEN = 0xffff;

const NORMAL: Action = { kind: "normal" };

/** One set for all networks. */
export function sharedSwitchRules(): readonly Rule[] {
  return [
    // The switch has it from the bond's active member, and drops this copy.
    rule(TABLE_SWITCH, 70, { reg7: CLASS_OUTSIDE_UNICAST, dlDst: TO_MANY }, [NORMAL]),
    rule(TABLE_SWITCH, 5, {}, [NORMAL]),
  ];
}

/** @param targets the registers' values; none: nobody may have what is sent to this MAC */
export function macRule({ net }: NetworkView, mac: MacAddress, targets: readonly number[]): Rule {
  return rule(TABLE_SWITCH, 100, { reg6: net, dlDst: mac }, deliverTo(targets));
}

/** Nobody may have what is sent to this MAC, in any network. */
export function noMacRule(mac: MacAddress): Rule {
  return rule(TABLE_SWITCH, 95, { dlDst: mac });
}

/** A question from the outside for a locked VIF's address is for no other locked VIF. */
export function questionRule(
  { net }: NetworkView,
  address: AddressRange,
  targets: readonly number[],
): Rule {
  const match = { protocol: "arp", arpOp: 1, arpTpa: address, dlDst: BROADCAST } as const;
  return rule(TABLE_SWITCH, 60, { ...match, reg6: net, reg7: CLASS_OUTSIDE }, [
    ...[NORMAL, copyToPart(PART_OPEN), ...targets.map(copyTo)],
  ]);
}

export type FloodTargets = {
  /** All that take floods. */
  readonly all: readonly number[];
  /** Those that take what isolated VIFs send to the outside. */
  readonly infra: readonly number[];
  /** Those that are not locked: what passes is not known. */
  readonly open: readonly number[];
};

/** Broadcasts and multicasts of a network. */
export function floodRules(
  { net }: NetworkView,
  { all: targets, infra, open }: FloodTargets,
): readonly Rule[] {
  const chunks = Array.from({ length: Math.ceil(targets.length / FLOOD_TARGETS_MAX) }, (_, index) =>
    targets.slice(index * FLOOD_TARGETS_MAX, (index + 1) * FLOOD_TARGETS_MAX),
  );
  const outside = { reg2: SCOPE_OUTSIDE, reg6: net, dlDst: TO_MANY };
  const [only = [], ...others] = chunks;
  const parts = others.length === 0 ? [] : chunks;
  const flood =
    parts.length === 0 ? only.map(copyTo) : parts.map((_, index) => copyToPart(index + 1));
  return [
    rule(TABLE_SWITCH, 55, outside, [NORMAL, ...infra.map(copyTo)]),
    rule(TABLE_SWITCH, 50, { reg6: net, dlDst: TO_MANY }, [NORMAL, ...flood]),
    rule(TABLE_FLOOD, 10, { reg6: net, reg0: PART_OPEN }, open.map(copyTo)),
    ...parts.map((chunk, index) =>
      rule(TABLE_FLOOD, 10, { reg6: net, reg0: index + 1 }, chunk.map(copyTo)),
    ),
  ];
}

/**
 * The MACs of virtual routers, when one of those that share them is isolated: what the switch has
 * learned of them would lead into it past table 40. All that may be the router get the frame, and
 * so does the outside.
 *
 * @param uplinks those that the network is on without a tag
 */
export function sharedMacRules(
  { net }: NetworkView,
  targets: readonly number[],
  uplinks: readonly number[],
): readonly Rule[] {
  const toOutside = uplinks.map((port) => ({ kind: "output", port }) as const);
  return VRRP_MACS.flatMap((dlDst) => [
    rule(TABLE_SWITCH, 91, { reg6: net, reg7: FROM_OUTSIDE, dlDst }, targets.map(copyTo)),
    // A tag that is a trunk's would not be the one that the wire has.
    rule(TABLE_SWITCH, 90, { reg6: net, dlDst, vlan: "untagged" }, [
      ...[...targets.map(copyTo), ...toOutside],
    ]),
    rule(TABLE_SWITCH, 89, { reg6: net, dlDst }, targets.map(copyTo)),
  ]);
}

/** A copy each: what is done to it must not be seen in the next one. */
function copyTo(target: number): Action {
  return { kind: "clone", actions: [load(REG_TARGET, target), resubmit(TABLE_ADMIT)] };
}

function copyToPart(part: number): Action {
  return { kind: "clone", actions: [load(REG_FLOOD, part), resubmit(TABLE_FLOOD)] };
}

function deliverTo(targets: readonly number[]): readonly Action[] {
  const [first, ...others] = targets;
  if (first === undefined) {
    return [];
  }
  return others.length === 0
    ? [load(REG_TARGET, first), resubmit(TABLE_ADMIT)]
    : targets.map(copyTo);
}

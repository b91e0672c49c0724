/**
 * Where an isolated VIF may send to (table 20): members of its groups, infrastructure, and what is
 * outside. What is let through has a scope, so that table 40 does not hand a frame for the outside
 * to a neighbour whose MAC it has.
 */
import { parseIpAddress } from "../net/ip-address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { Action } from "../openflow/action.ts";
import type { Match } from "../openflow/match.ts";
import { TABLE_DESTINATION, TABLE_SWITCH } from "../openflow/pipeline.ts";
import { familyOf } from "./address-set.ts";
import { LINK_LOCAL_PREFIX } from "./link-local.ts";
import type { NetworkView } from "./network-view.ts";
import type { AddressRange, VifPolicy } from "./policy.ts";
import {
  dropFor,
  load,
  MODE_ISOLATED,
  MODE_LOCKED,
  REG_SCOPE,
  type Rule,
  resubmit,
  rule,
  SCOPE_MANY,
  SCOPE_OUTSIDE,
  TO_MANY,
  TO_ONE,
} from "./rule.ts";

const NOWHERE = parseIpAddress("0.0.0.0");
const NOWHERE6 = parseIpAddress("::");
const EVERYWHERE = parseIpAddress("255.255.255.255");
const MULTICAST = parsePrefix("224.0.0.0/4");
const MULTICAST6 = parsePrefix("ff00::/8");

export const PRIORITY_DESTINATION_GROUP = 150;

const SOLICITATION = { protocol: "icmp6", icmpType: 135, icmpCode: 0 } as const;

const OUTSIDE: readonly Action[] = [load(REG_SCOPE, SCOPE_OUTSIDE), resubmit(TABLE_SWITCH)];
const MANY: readonly Action[] = [load(REG_SCOPE, SCOPE_MANY), resubmit(TABLE_SWITCH)];

/**
 * How a frame can be meant for an address: as a packet's destination, or as what ARP or a
 * neighbour solicitation to many asks for (one to a single host has that host's destination).
 */
export function destinationMatches(address: AddressRange): readonly Match[] {
  return familyOf(address) === 4
    ? [
        { protocol: "ip", nwDst: address },
        { protocol: "arp", arpTpa: address },
      ]
    : [
        { protocol: "ipv6", ipv6Dst: address },
        { ...SOLICITATION, dlDst: TO_MANY, ndTarget: address },
      ];
}

/** One set for all networks. */
export function sharedDestinationRules(): readonly Rule[] {
  const isolated = { reg4: MODE_ISOLATED } as const;
  const dhcp = { protocol: "udp", nwSrc: NOWHERE, tpSrc: 68, tpDst: 67 } as const;
  const toMany: readonly Match[] = [
    { protocol: "ip", nwDst: MULTICAST, dlDst: TO_MANY },
    { protocol: "ip", nwDst: EVERYWHERE, dlDst: TO_MANY },
    { protocol: "ipv6", ipv6Dst: MULTICAST6, dlDst: TO_MANY },
    // An answer to a probe (RFC 5227 §2.4).
    { protocol: "arp", arpTpa: NOWHERE },
  ];
  const manyToOne: readonly Match[] = [
    { protocol: "ip", nwDst: MULTICAST },
    { protocol: "ip", nwDst: EVERYWHERE },
    { protocol: "ipv6", ipv6Dst: MULTICAST6 },
  ];
  return [
    { reg4: MODE_LOCKED, priority: 300, actions: [resubmit(TABLE_SWITCH)] },
    { ...isolated, ...dhcp, priority: 250, actions: OUTSIDE },
    { ...isolated, protocol: "icmp6", icmpType: 133, priority: 250, actions: OUTSIDE } as const,
    { ...isolated, protocol: "rarp", priority: 250, actions: OUTSIDE } as const,
    // Its target is the VIF's own address: table 10 has seen to it.
    { ...isolated, ...SOLICITATION, ipv6Src: NOWHERE6, priority: 240, actions: MANY },
    ...toMany.map((match) => ({ ...isolated, ...match, priority: 130, actions: MANY })),
    ...manyToOne.map((match) => ({
      ...{ ...isolated, ...match, priority: 120 },
      actions: dropFor("external"),
    })),
    { ...isolated, priority: 1, actions: dropFor("external") },
  ].map(({ priority, actions, ...match }) => rule(TABLE_DESTINATION, priority, match, actions));
}

export function networkDestinationRules(network: NetworkView): readonly Rule[] {
  const isolated = { reg4: MODE_ISOLATED, reg6: network.net } as const;
  return [
    ...infraRules(network),
    { match: { ...SOLICITATION, dlDst: TO_MANY }, priority: 135, actions: OUTSIDE },
    ...network.broadcasts.map((address) => ({
      ...{ match: { protocol: "ip", nwDst: address, dlDst: TO_MANY } as const, priority: 130 },
      actions: MANY,
    })),
    ...outsideRules(network),
  ].map(({ match, priority, actions }) =>
    rule(TABLE_DESTINATION, priority, { ...match, ...isolated }, actions),
  );
}

/** @param internal of the network, or some of it */
export function internalDestinationRules(
  { net }: NetworkView,
  internal: readonly AddressRange[],
): readonly Rule[] {
  const isolated = { reg4: MODE_ISOLATED, reg6: net } as const;
  return internal.flatMap((address) =>
    destinationMatches(address).map((match) =>
      rule(
        TABLE_DESTINATION,
        // A solicitation goes to many: it is dropped before it is seen as that.
        match.protocol === "icmp6" ? 140 : 120,
        { ...match, ...isolated },
        dropFor("group"),
      ),
    ),
  );
}

/** @param source the register's value for this VIF */
export function ownDestinationRules({ ipv4 }: VifPolicy, source: number): readonly Rule[] {
  // A gratuitous ARP asks for the VIF's own address.
  return ipv4.map((address) =>
    rule(TABLE_DESTINATION, 240, { protocol: "arp", arpTpa: address, reg5: source, reg4: 2 }, MANY),
  );
}

type Choice = Pick<Rule, "match" | "priority" | "actions">;

function infraRules({ infra, infraMacs }: NetworkView): readonly Choice[] {
  return [
    ...infra.flatMap((address) =>
      destinationMatches(address).map((match) => ({ match, priority: 200, actions: OUTSIDE })),
    ),
    // The link-local address of a router is in nobody's list.
    ...infraMacs.map((mac) => ({
      match: { protocol: "ipv6", ipv6Dst: LINK_LOCAL_PREFIX, dlDst: mac } as const,
      ...{ priority: 190, actions: OUTSIDE },
    })),
  ];
}

/** Through the gateway, when its MAC is known; else to any one MAC. */
function outsideRules({ infraMacs }: NetworkView): readonly Choice[] {
  const nextHops = infraMacs.length === 0 ? [TO_ONE] : infraMacs;
  const packets = nextHops.flatMap((dlDst) =>
    (["ip", "ipv6", "arp"] as const).map((protocol) => ({
      match: { protocol, dlDst },
      ...{ priority: 100, actions: OUTSIDE },
    })),
  );
  const question = { match: { protocol: "arp", arpOp: 1, dlDst: TO_MANY } as const };
  return [...packets, { ...question, priority: 100, actions: OUTSIDE }];
}

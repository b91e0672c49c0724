/**
 * What only servers and routers send (table 15), and which VIFs may: a locked host must not answer
 * for the DHCP server or the router of its network, with whatever address.
 */
import type { Match } from "../openflow/match.ts";
import { TABLE_DESTINATION, TABLE_ROLE } from "../openflow/pipeline.ts";
import type { DropReason } from "./drop-reason.ts";
import type { AllowSwitch, VifPolicy } from "./policy.ts";
import { dropFor, type Rule, resubmit, rule } from "./rule.ts";

/** What a role sends, and the reason to drop it from others. */
type Role = {
  readonly allow: AllowSwitch;
  readonly reason: DropReason;
  readonly matches: readonly Match[];
};

/**
 * RFC 4861: router advertisement and redirect. RFC 3810: query. RFC 2894: renumbering. RFC 3971:
 * certification path. RFC 4286: router discovery for multicast.
 */
const ROUTER_TYPES = [134, 137, 130, 138, 146, 147, 151, 152, 153];

/** RFC 792: redirect. RFC 1256: router advertisement. */
const ROUTER_TYPES_4 = [5, 9];

const GUARDED: readonly Role[] = [
  {
    allow: "dhcp-server",
    reason: "dhcp-server",
    matches: [
      { protocol: "udp", tpSrc: 67 },
      { protocol: "udp", tpDst: 68 },
      { protocol: "udp6", tpSrc: 547 },
      { protocol: "udp6", tpDst: 546 },
    ],
  },
  {
    allow: "router-advertisement",
    reason: "router-advertisement",
    matches: [
      ...ROUTER_TYPES.map((icmpType) => ({ protocol: "icmp6", icmpType }) as const),
      ...ROUTER_TYPES_4.map((icmpType) => ({ protocol: "icmp", icmpType }) as const),
    ],
  },
  {
    allow: "vrrp",
    reason: "vrrp",
    matches: [
      { protocol: "ip", nwProto: 112 },
      { protocol: "ipv6", nwProto: 112 },
    ],
  },
];

/** Usual roles: a VIF that may not have one gets flows against it. */
const USUAL: readonly Role[] = [
  {
    allow: "dhcp-client",
    reason: "dhcp-client",
    matches: [
      { protocol: "udp", tpSrc: 68, tpDst: 67 },
      { protocol: "udp6", tpSrc: 546, tpDst: 547 },
    ],
  },
];

/**
 * A fragment whose headers go on in the next one hides what it is (RFC 7112): a switch reads the
 * fields that are missing as zeros.
 */
const BROKEN_CHAINS: readonly Match[] = [
  { protocol: "icmp6", ipFragment: "first", icmpType: 0, icmpCode: 0 },
  { protocol: "udp6", ipFragment: "first", tpSrc: 0, tpDst: 0 },
  { protocol: "udp", ipFragment: "first", tpSrc: 0, tpDst: 0 },
  // What the switch could not read to the end. 0 is hop-by-hop options, which are never the last.
  { protocol: "ipv6", nwProto: 0 },
];

/** One set for all VIFs. */
export function sharedRoleRules(): readonly Rule[] {
  const on = [resubmit(TABLE_DESTINATION)];
  const solicitation = { protocol: "icmp6", icmpType: 133 } as const;
  return [
    ...BROKEN_CHAINS.map((match) => rule(TABLE_ROLE, 400, match, dropFor("fragment"))),
    ...GUARDED.flatMap(({ reason, matches }) =>
      matches.map((match) => rule(TABLE_ROLE, 200, match, dropFor(reason))),
    ),
    // RFC 4861 §6.1.1: one that was forwarded is none.
    rule(TABLE_ROLE, 210, { ...solicitation, nwTtl: 255 }, on),
    rule(TABLE_ROLE, 200, solicitation, dropFor("nd-spoof")),
    rule(TABLE_ROLE, 100, { protocol: "ip" }, on),
    rule(TABLE_ROLE, 100, { protocol: "ipv6" }, on),
  ];
}

/** @param source the register's value for this VIF */
export function roleRules({ allow }: VifPolicy, source: number): readonly Rule[] {
  const own = { reg5: source };
  const granted = GUARDED.filter((role) => allow.includes(role.allow));
  const denied = USUAL.filter((role) => !allow.includes(role.allow));
  return [
    ...granted.flatMap(({ matches }) =>
      matches.map((match) =>
        rule(TABLE_ROLE, 300, { ...match, ...own }, [resubmit(TABLE_DESTINATION)]),
      ),
    ),
    ...denied.flatMap(({ reason, matches }) =>
      matches.map((match) => rule(TABLE_ROLE, 300, { ...match, ...own }, dropFor(reason))),
    ),
  ];
}

/**
 * What may come into a VIF, and into the host itself (table 40). A locked VIF takes what is
 * sent to it; an isolated one asks where it is from.
 */
import { parseIpAddress } from "../net/ip-address.ts";
import type { Action } from "../openflow/action.ts";
import type { Match } from "../openflow/match.ts";
import { TABLE_ADMIT, TABLE_DELIVER } from "../openflow/pipeline.ts";
import { destinationMatches } from "./destination-rules.ts";
import { sourceMatches } from "./groups.ts";
import { ipv6Addresses, LINK_LOCAL_PREFIX } from "./link-local.ts";
import type { NetworkView } from "./network-view.ts";
import type { AddressRange, VifPolicy } from "./policy.ts";
import {
  CLASS_UNTRUSTED,
  CLASS_VERIFIED,
  dropFor,
  FROM_OUTSIDE,
  MODE_ISOLATED,
  type Rule,
  resubmit,
  rule,
  SCOPE_OUTSIDE,
  TO_MANY,
} from "./rule.ts";

const NOWHERE = parseIpAddress("0.0.0.0");
const NOWHERE6 = parseIpAddress("::");

const DELIVER: readonly Action[] = [resubmit(TABLE_DELIVER)];
/** Not of an isolated VIF: unverified, or locked. */
const NOT_ISOLATED = { value: 0, mask: MODE_ISOLATED } as const;

/** One set for all networks: what no other flow has decided comes from the outside, or not at all. */
export function sharedAdmitRules(): readonly Rule[] {
  return [
    // Whatever MAC it has: a frame for the outside is for no neighbour.
    admit(400, { reg2: SCOPE_OUTSIDE, dlDst: TO_MANY }),
    admit(399, { reg2: SCOPE_OUTSIDE }, dropFor("external")),
    // An address that says nothing: what may come from it is let in above.
    admit(210, { protocol: "arp", arpSpa: NOWHERE }),
    admit(210, { protocol: "ip", nwSrc: NOWHERE }),
    admit(210, { protocol: "ipv6", ipv6Src: NOWHERE6 }),
    admit(100, { protocol: "ip", reg7: FROM_OUTSIDE }, DELIVER),
    admit(100, { protocol: "ipv6", reg7: FROM_OUTSIDE }, DELIVER),
    admit(100, { protocol: "arp", reg7: FROM_OUTSIDE }, DELIVER),
    admit(2, { dlDst: TO_MANY }),
    admit(1, {}, dropFor("to-group")),
  ];
}

export function networkAdmitRules({ net, infra, infraMacs }: NetworkView): readonly Rule[] {
  const here = { reg6: net };
  return [
    // What a router says from its link-local address, which is in nobody's list.
    ...infraMacs.map((mac) =>
      admit(
        260,
        { ...here, protocol: "ipv6", dlSrc: mac, ipv6Src: LINK_LOCAL_PREFIX, reg7: FROM_OUTSIDE },
        DELIVER,
      ),
    ),
    ...infra.flatMap((address) =>
      sourceMatches(address).map((match) => admit(250, { ...here, ...match }, DELIVER)),
    ),
  ];
}

/** @param internal of the network, or some of it */
export function internalAdmitRules(
  { net }: NetworkView,
  internal: readonly AddressRange[],
): readonly Rule[] {
  return internal.flatMap((address) =>
    sourceMatches(address).flatMap((match) => [
      admit(151, { reg6: net, ...match, dlDst: TO_MANY }),
      admit(150, { reg6: net, ...match }, dropFor("to-group")),
    ]),
  );
}

/**
 * @param port the registers' value for this VIF
 * @param infraNets the networks that it is infrastructure of
 */
export function admitRules(
  policy: VifPolicy,
  port: number,
  { infraNets, isPair }: { readonly infraNets: readonly number[]; readonly isPair: boolean },
): readonly Rule[] {
  const target = { reg15: port };
  return [
    // Its other port is no other VIF.
    ...(isPair ? [admit(500, { ...target, reg5: port })] : []),
    ...infraNets.map((net) => admit(410, { ...target, reg2: SCOPE_OUTSIDE, reg6: net }, DELIVER)),
    ...(policy.mode === "isolated"
      ? isolatedRules(policy, port)
      : [admit(300, { ...target, reg4: NOT_ISOLATED }, DELIVER)]),
  ];
}

function isolatedRules(policy: VifPolicy, port: number): readonly Rule[] {
  const target = { reg15: port };
  const probe = { protocol: "arp", arpOp: 1, arpSpa: NOWHERE } as const;
  const solicitation = { protocol: "icmp6", icmpType: 135, icmpCode: 0 } as const;
  const request = { protocol: "udp", nwSrc: NOWHERE, tpSrc: 68, tpDst: 67 } as const;
  return [
    admit(351, { ...target, reg7: CLASS_UNTRUSTED, dlDst: TO_MANY }),
    admit(350, { ...target, reg7: CLASS_UNTRUSTED }, dropFor("to-unlocked")),
    // Whoever means to take its address must be able to hear that it is taken.
    ...policy.ipv4.map((address) => admit(220, { ...target, ...probe, arpTpa: address }, DELIVER)),
    ...ipv6Addresses(policy).map((address) =>
      admit(220, { ...target, ...solicitation, ipv6Src: NOWHERE6, ndTarget: address }, DELIVER),
    ),
    ...(policy.allow.includes("dhcp-server")
      ? [admit(220, { ...target, ...request }, DELIVER)]
      : []),
  ];
}

/**
 * Into the host itself: not from VIFs that are locked, unless it is infrastructure.
 *
 * @param port the register's value for this port of the host
 * @param infra the addresses of infrastructure that may be the host's
 */
export function hostAdmitRules(
  port: number,
  { infra, isInfra }: { readonly infra: readonly AddressRange[]; readonly isInfra: boolean },
): readonly Rule[] {
  const target = { reg15: port };
  if (isInfra) {
    return [admit(420, target, DELIVER)];
  }
  const request = { protocol: "udp", nwSrc: NOWHERE, tpSrc: 68, tpDst: 67 } as const;
  return [
    ...[...infra.flatMap(destinationMatches), ...(infra.length === 0 ? [] : [request])].map(
      (match) => admit(420, { ...match, ...target }, DELIVER),
    ),
    admit(416, { ...target, reg7: CLASS_VERIFIED, dlDst: TO_MANY }),
    admit(415, { ...target, reg7: CLASS_VERIFIED }, dropFor("host")),
    admit(410, target, DELIVER),
  ];
}

/** Into a port that is neither VIF nor uplink: as into an unlocked VIF. */
export function otherAdmitRules(port: number): readonly Rule[] {
  return [admit(300, { reg15: port, reg4: NOT_ISOLATED }, DELIVER)];
}

function admit(priority: number, match: Match, actions: readonly Action[] = []): Rule {
  return rule(TABLE_ADMIT, priority, match, actions);
}

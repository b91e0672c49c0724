/**
 * What a locked or isolated VIF may send: tables 0, 10 and 11. Each of its frames that is not its
 * own meets a flow that counts why it is dropped.
 */
import { parseIpAddress } from "../net/ip-address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { MacMatch, Match } from "../openflow/match.ts";
import {
  TABLE_ADVERTISEMENT,
  TABLE_DESTINATION,
  TABLE_ROLE,
  TABLE_SOURCE,
} from "../openflow/pipeline.ts";
import { rangesOverlap } from "./address-set.ts";
import type { DropActions } from "./drop-reason.ts";
import { ipv6Addresses } from "./link-local.ts";
import type { AddressRange, AllowSwitch, VifPolicy } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { BROADCAST, NO_MAC, type Rule, resubmit, rule, TO_ONE } from "./rule.ts";
import { VRRP_MACS } from "./switch-rules.ts";

const REQUEST = 1;
const REPLY = 2;
const REVERSE_REQUEST = 3;

const NOWHERE = parseIpAddress("0.0.0.0");
const NOWHERE6 = parseIpAddress("::");
const EVERYWHERE = parseIpAddress("255.255.255.255");
const LINK_MULTICAST = parsePrefix("ff02::/16");
const SOLICITED_NODES = parsePrefix("ff02::1:ff00:0/104");
const DHCP_CLIENT = 68;
const DHCP_SERVER = 67;

/** No host has these (RFC 1122 §3.2.1.3, RFC 4291 §2.7); a listed prefix may have them in it. */
const NO_SOURCES: readonly AddressRange[] = [
  ...["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "ff00::/8"].map(parsePrefix),
  ...["::", "::1"].map(parseIpAddress),
];

/** Above the VIF's own addresses, below what has none. */
const PRIORITY_UNUSABLE = 140;

/** @param source the register's value for this VIF */
export function sourceRules(policy: VifPolicy, source: number, drop: DropActions): readonly Rule[] {
  const is = (allowed: AllowSwitch): boolean => policy.allow.includes(allowed);
  const macs: readonly MacMatch[] = is("vrrp") ? [policy.mac, ...VRRP_MACS] : [policy.mac];
  const addresses6 = ipv6Addresses(policy);
  const own = { reg5: source };
  return [
    ...macs.flatMap((mac) => arpRules(policy.ipv4, mac)),
    ...(is("rarp-announce") ? [rarpRule(policy)] : []),
    ...(is("dhcp-client") ? [dhcpRule()] : []),
    ...unusableRules([...policy.ipv4, ...addresses6], drop),
    ...policy.ipv4.map((address) => onTo(100, { protocol: "ip", nwSrc: address }, TABLE_ROLE)),
    ...addresses6.map((address) => onTo(100, { protocol: "ipv6", ipv6Src: address }, TABLE_ROLE)),
    ...(addresses6.length === 0 ? [] : unspecifiedRules(addresses6)),
    ...macs.flatMap((mac) => addresses6.flatMap((address) => solicitationRules(address, mac))),
    ...addresses6.map(advertisementRule),
    ...macs.flatMap((mac) => addresses6.flatMap((address) => targetRules(address, mac))),
    ...restRules(drop),
  ].map(({ match, ...rest }) => ({ ...rest, match: { ...match, ...own } }));
}

function onTo(priority: number, match: Match, table: number): Rule {
  return rule(TABLE_SOURCE, priority, match, [resubmit(table)]);
}

/** RFC 826, and RFC 5227 §2.1.1: a probe asks for the VIF's own address, never for another's. */
function arpRules(addresses: readonly AddressRange[], mac: MacMatch): readonly Rule[] {
  return addresses.flatMap((address) => {
    const base = { protocol: "arp", arpSha: mac } as const;
    return [
      onTo(200, { ...base, arpOp: REQUEST, arpSpa: address }, TABLE_DESTINATION),
      onTo(200, { ...base, arpOp: REPLY, arpSpa: address }, TABLE_DESTINATION),
      onTo(200, { ...base, arpOp: REQUEST, arpSpa: NOWHERE, arpTpa: address }, TABLE_DESTINATION),
    ];
  });
}

/** What QEMU sends after a migration: a request for the guest's own MAC, without addresses. */
function rarpRule({ mac }: VifPolicy): Rule {
  const match = { protocol: "rarp", arpOp: REVERSE_REQUEST, arpSha: mac, arpTha: mac } as const;
  return onTo(200, { ...match, arpSpa: NOWHERE }, TABLE_DESTINATION);
}

/** RFC 2131 §4.1: only what a client without an address sends, and to all. */
function dhcpRule(): Rule {
  const addresses = { nwSrc: NOWHERE, nwDst: EVERYWHERE, dlDst: BROADCAST } as const;
  const ports = { tpSrc: DHCP_CLIENT, tpDst: DHCP_SERVER, ipFragment: "no" } as const;
  return onTo(210, { protocol: "udp", ...addresses, ...ports }, TABLE_DESTINATION);
}

function unusableRules(addresses: readonly AddressRange[], drop: DropActions): readonly Rule[] {
  // A single address that no host can have is in no policy.
  const prefixes = addresses.filter(isPrefix);
  return NO_SOURCES.filter((no) => prefixes.some((prefix) => rangesOverlap(prefix, no))).map(
    (no) =>
      no.includes(":")
        ? rule(
            TABLE_SOURCE,
            PRIORITY_UNUSABLE,
            { protocol: "ipv6", ipv6Src: no },
            drop("ipv6-spoof"),
          )
        : rule(TABLE_SOURCE, PRIORITY_UNUSABLE, { protocol: "ip", nwSrc: no }, drop("ipv4-spoof")),
  );
}

/**
 * From `::` (RFC 4862 §5.4.2, RFC 4861 §4.1, RFC 3590 §4): duplicate address detection for its own
 * addresses, a router solicitation, multicast listener reports.
 */
function unspecifiedRules(addresses: readonly AddressRange[]): readonly Rule[] {
  const base = { protocol: "icmp6", ipv6Src: NOWHERE6, ipFragment: "no" } as const;
  const probe = { ...base, nwTtl: 255, icmpType: 135, icmpCode: 0, ndSll: NO_MAC } as const;
  const report = { ...base, nwTtl: 1, ipv6Dst: LINK_MULTICAST } as const;
  return [
    ...addresses.map((address) =>
      onTo(200, { ...probe, ipv6Dst: SOLICITED_NODES, ndTarget: address }, TABLE_DESTINATION),
    ),
    onTo(
      200,
      { ...base, nwTtl: 255, ipv6Dst: LINK_MULTICAST, icmpType: 133, icmpCode: 0 },
      TABLE_DESTINATION,
    ),
    ...[131, 132, 143].map((icmpType) => onTo(200, { ...report, icmpType }, TABLE_DESTINATION)),
  ];
}

/** RFC 4861 §7.2.2: with the VIF's own link-layer address, or, to one host, without. */
function solicitationRules(address: AddressRange, mac: MacMatch): readonly Rule[] {
  const base = { protocol: "icmp6", ipv6Src: address, nwTtl: 255, ipFragment: "no" } as const;
  const asks = { ...base, icmpType: 135, icmpCode: 0 } as const;
  return [
    onTo(200, { ...asks, ndSll: mac }, TABLE_DESTINATION),
    ...(typeof mac === "string"
      ? [onTo(200, { ...asks, ndSll: NO_MAC, dlDst: TO_ONE }, TABLE_DESTINATION)]
      : []),
  ];
}

function advertisementRule(address: AddressRange): Rule {
  const base = { protocol: "icmp6", ipv6Src: address, nwTtl: 255, ipFragment: "no" } as const;
  return onTo(200, { ...base, icmpType: 136, icmpCode: 0 }, TABLE_ADVERTISEMENT);
}

/** Any of its addresses may speak for any other, so this is a table of its own. */
function targetRules(address: AddressRange, mac: MacMatch): readonly Rule[] {
  const base = { protocol: "icmp6", icmpType: 136, icmpCode: 0, ndTarget: address } as const;
  const on = [resubmit(TABLE_DESTINATION)];
  return [
    rule(TABLE_ADVERTISEMENT, 100, { ...base, ndTll: mac }, on),
    ...(typeof mac === "string"
      ? [rule(TABLE_ADVERTISEMENT, 100, { ...base, ndTll: NO_MAC }, on)]
      : []),
  ];
}

/** What is left of each protocol is dropped, and counted by its reason. */
function restRules(drop: DropActions): readonly Rule[] {
  const neighbour = { protocol: "icmp6" } as const;
  return [
    rule(TABLE_SOURCE, 150, { ...neighbour, icmpType: 135 }, drop("nd-spoof")),
    rule(TABLE_SOURCE, 150, { ...neighbour, icmpType: 136 }, drop("nd-spoof")),
    rule(TABLE_SOURCE, 50, { protocol: "arp" }, drop("arp-spoof")),
    rule(TABLE_SOURCE, 50, { protocol: "ip" }, drop("ipv4-spoof")),
    rule(TABLE_SOURCE, 50, { protocol: "ipv6" }, drop("ipv6-spoof")),
    rule(TABLE_SOURCE, 1, {}, drop("protocol")),
    rule(TABLE_ADVERTISEMENT, 1, {}, drop("nd-spoof")),
  ];
}

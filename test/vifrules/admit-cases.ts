/**
 * The spoof matrix, the other way: what comes to the VIF of cast.ts from everybody else, by the
 * VIF's mode. In quarantine and disabled it gets nothing.
 */
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import {
  BROADCAST,
  DISABLED,
  GATEWAY,
  HOST,
  LOCKED,
  MATE,
  NOBODY,
  OPEN,
  OTHER,
  OUTSIDE_IP,
  OUTSIDE_IP6,
  type Person,
  REMOTE,
  REMOTE_MATE,
  VIF,
} from "./cast.ts";
import {
  arp,
  type Bytes,
  eth,
  type Ip4Fields,
  type Ip6Fields,
  icmp6,
  ip4,
  ip6,
  multicastMac,
  neighbour,
  solicitedNode,
  tag,
  tcp,
  udp,
} from "./frame-builder.ts";

export const SENDERS = {
  ...{ wire: 14, mate: 11, other: 12, locked: 13, open: 15, disabled: 16, quarantine: 19 },
  host: LOCAL_PORT,
} as const;
export type Sender = keyof typeof SENDERS;

export type AdmitCase = {
  readonly from: Sender;
  readonly name: string;
  readonly frame: Bytes;
  readonly locked: boolean;
  readonly isolated: boolean;
  readonly unlocked: boolean;
};

/** `all`: in every mode but disabled; `open`: but isolated; `none`: in no mode. */
type Admitted = "all" | "open" | "none";
type Row = readonly [from: Sender, name: string, frame: Bytes, admitted: Admitted];

const IP4 = 0x0800;
const IP6 = 0x86dd;
const ARP = 0x0806;

const packet = (from: Person, fields: Partial<Ip4Fields> = {}, to: string = VIF.mac): Bytes =>
  eth(to, from.mac, IP4, ip4({ from: from.ip, to: VIF.ip, ...fields }, tcp()));
const packet6 = (from: Person, fields: Partial<Ip6Fields> = {}, to: string = VIF.mac): Bytes =>
  eth(to, from.mac, IP6, ip6({ from: from.ip6, to: VIF.ip6, ...fields }, tcp()));
const ask = (from: Person, tpa: string, spa: string = from.ip): Bytes =>
  eth(BROADCAST, from.mac, ARP, arp({ sha: from.mac, spa, tpa }));
const answer = (from: Person, spa: string = from.ip): Bytes =>
  eth(VIF.mac, from.mac, ARP, arp({ op: 2, sha: from.mac, spa, tha: VIF.mac, tpa: VIF.ip }));
const ROUTER = { ...GATEWAY, ip6: GATEWAY.linkLocal };

const FROM_WIRE: readonly Row[] = [
  ["wire", "the outside through the gateway", packet(GATEWAY, { from: OUTSIDE_IP }), "all"],
  ["wire", "the outside, IPv6", packet6(GATEWAY, { from: OUTSIDE_IP6 }), "all"],
  ["wire", "the outside from a MAC of nobody", packet(REMOTE, { from: OUTSIDE_IP }), "all"],
  ["wire", "the gateway", packet(GATEWAY), "all"],
  ["wire", "the gateway's link-local", packet6(ROUTER), "all"],
  ["wire", "a mate on another host", packet(REMOTE_MATE), "all"],
  ["wire", "a mate on another host, IPv6", packet6(REMOTE_MATE), "all"],
  ["wire", "an inner address in no group", packet(REMOTE), "open"],
  ["wire", "an inner address in no group, IPv6", packet6(REMOTE), "open"],
  ["wire", "a link-local address of nobody", packet6(REMOTE, { from: REMOTE.linkLocal }), "open"],
  [
    "wire",
    "hairpin: an inner address through the gateway",
    packet(GATEWAY, { from: REMOTE.ip }),
    "open",
  ],
  ["wire", "later fragment from an inner address", packet(REMOTE, { fragmentOffset: 2 }), "open"],
  ["wire", "with a priority tag", tag(packet(GATEWAY, { from: OUTSIDE_IP }), 0xa000), "all"],
  ["wire", "with tag 10", tag(packet(GATEWAY, { from: OUTSIDE_IP }), 10), "none"],
  [
    "wire",
    "the VIF's own MAC",
    eth(VIF.mac, VIF.mac, IP4, ip4({ from: OUTSIDE_IP, to: VIF.ip })),
    "none",
  ],
  ["wire", "the VIF's own MAC, to all", ask(VIF, GATEWAY.ip), "none"],
  ["wire", "the mate's MAC", packet(MATE), "none"],
  ["wire", "the host's MAC", packet(HOST), "none"],
  [
    "wire",
    "for a MAC of nobody",
    packet(GATEWAY, { from: OUTSIDE_IP }, "02:00:00:00:00:78"),
    "none",
  ],
  ["wire", "for the mate's MAC", packet(GATEWAY, { from: OUTSIDE_IP }, MATE.mac), "none"],
  ["wire", "LLDP", eth("01:80:c2:00:00:0e", GATEWAY.mac, 0x88cc, new Uint8Array(46)), "none"],
  ["wire", "an experimental type", eth(VIF.mac, REMOTE.mac, 0x88b5, new Uint8Array(46)), "open"],
  ["wire", "ARP: the gateway asks for it", ask(GATEWAY, VIF.ip), "all"],
  ["wire", "ARP: the gateway answers", answer(GATEWAY), "all"],
  ["wire", "ARP: the gateway announces itself", ask(GATEWAY, GATEWAY.ip), "all"],
  ["wire", "ARP: a mate asks for it", ask(REMOTE_MATE, VIF.ip), "all"],
  ["wire", "ARP: an inner address in no group asks for it", ask(REMOTE, VIF.ip), "open"],
  ["wire", "ARP: an inner address in no group answers", answer(REMOTE), "open"],
  ["wire", "ARP: someone probes its address", ask(REMOTE, VIF.ip, "0.0.0.0"), "all"],
  ["wire", "ARP: someone probes another address", ask(REMOTE, "10.0.0.77", "0.0.0.0"), "open"],
  ["wire", "ND: the router asks for it", solicits(ROUTER, VIF.ip6), "all"],
  ["wire", "ND: a mate asks for it", solicits(REMOTE_MATE, VIF.ip6), "all"],
  ["wire", "ND: one in no group asks for it", solicits(REMOTE, VIF.ip6), "open"],
  ["wire", "ND: someone detects duplicates of its address", detects(REMOTE, VIF.ip6), "all"],
  ["wire", "ND: someone detects duplicates of another", detects(REMOTE, "fd00::77"), "open"],
  ["wire", "ND: the router advertises itself", advertises(GATEWAY), "all"],
  ["wire", "ND: a stranger advertises itself as router", advertises(REMOTE), "open"],
  ["wire", "ND: the router answers", answers(ROUTER), "all"],
  ["wire", "ND: one in no group answers", answers(REMOTE), "open"],
  ["wire", "DHCP: the gateway offers to all", offers(GATEWAY, BROADCAST, "255.255.255.255"), "all"],
  ["wire", "DHCP: the gateway offers to it", offers(GATEWAY, VIF.mac, VIF.ip), "all"],
  ["wire", "DHCP: one in no group offers", offers(REMOTE, VIF.mac, VIF.ip), "open"],
  ["wire", "multicast of a mate", multicasts(REMOTE_MATE), "all"],
  ["wire", "multicast of one in no group", multicasts(REMOTE), "open"],
  ["wire", "multicast of the gateway", multicasts(GATEWAY), "all"],
];

const FROM_NEIGHBOURS: readonly Row[] = [
  ["mate", "a packet", packet(MATE), "all"],
  ["mate", "a packet, IPv6", packet6(MATE), "all"],
  [
    "mate",
    "a packet, link-local",
    packet6(MATE, { from: MATE.linkLocal, to: VIF.linkLocal }),
    "all",
  ],
  ["mate", "asks for it", ask(MATE, VIF.ip), "all"],
  ["mate", "answers", answer(MATE), "all"],
  ["mate", "asks for the gateway", ask(MATE, GATEWAY.ip), "none"],
  ["mate", "ND: asks for it", solicits(MATE, VIF.ip6), "all"],
  ["mate", "ND: answers", answers(MATE), "all"],
  ["mate", "multicast", multicasts(MATE), "all"],
  ["mate", "for an outside IP, with its MAC", packet(MATE, { to: OUTSIDE_IP }), "none"],
  ["mate", "for another group's IP, with its MAC", packet(MATE, { to: OTHER.ip }), "none"],
  ["mate", "a source of nobody", packet(MATE, { from: "10.0.0.77" }), "none"],
  ["mate", "the gateway's source", packet(MATE, { from: GATEWAY.ip }), "none"],
  ["other", "a packet", packet(OTHER), "none"],
  ["other", "a packet, IPv6", packet6(OTHER), "none"],
  ["other", "asks for it", ask(OTHER, VIF.ip), "none"],
  ["other", "answers", answer(OTHER), "none"],
  ["other", "ND: asks for it", solicits(OTHER, VIF.ip6), "none"],
  ["other", "multicast", multicasts(OTHER), "none"],
  ["other", "for an outside IP, with its MAC", packet(OTHER, { to: OUTSIDE_IP }), "none"],
  ["other", "a mate's source", packet(OTHER, { from: MATE.ip }), "none"],
  ["locked", "a packet", packet(LOCKED), "open"],
  ["locked", "a packet, IPv6", packet6(LOCKED), "open"],
  ["locked", "asks for it", ask(LOCKED, VIF.ip), "open"],
  ["locked", "answers", answer(LOCKED), "open"],
  ["locked", "to all", packet(LOCKED, { to: "255.255.255.255" }, BROADCAST), "open"],
  ["locked", "a mate's source", packet(LOCKED, { from: MATE.ip }), "none"],
  ["open", "a packet", packet(OPEN), "open"],
  ["open", "asks for it", ask(OPEN, VIF.ip), "open"],
  ["open", "a mate's source", packet(OPEN, { from: MATE.ip }), "open"],
  ["open", "a mate's MAC and source", packet(MATE), "open"],
  ["open", "the gateway's source", packet(OPEN, { from: GATEWAY.ip }), "open"],
  ["open", "the gateway's MAC", packet(GATEWAY), "none"],
  ["open", "claims the gateway's address", answer(OPEN, GATEWAY.ip), "open"],
  ["open", "to all", packet(OPEN, { to: "255.255.255.255" }, BROADCAST), "open"],
  ["open", "from the outside, by its source", packet(OPEN, { from: OUTSIDE_IP }), "open"],
  ["open", "advertises itself as router", advertises(OPEN), "open"],
  ["host", "a packet", packet(HOST), "open"],
  ["host", "asks for it", ask(HOST, VIF.ip), "open"],
  ["host", "the outside, by its source", packet(HOST, { from: OUTSIDE_IP }), "open"],
  ["disabled", "a packet", packet(DISABLED), "none"],
  ["disabled", "asks for it", ask(DISABLED, VIF.ip), "none"],
  ["quarantine", "a packet", packet(NOBODY), "none"],
  ["quarantine", "asks for it", ask(NOBODY, VIF.ip), "none"],
];

export const ADMIT_CASES: readonly AdmitCase[] = [...FROM_WIRE, ...FROM_NEIGHBOURS].map(
  ([from, name, frame, admitted]) => ({
    ...{ from, name, frame },
    locked: admitted !== "none",
    isolated: admitted === "all",
    unlocked: admitted !== "none",
  }),
);

function solicits(from: Person, target: string): Bytes {
  const to = solicitedNode(target);
  const body = neighbour(target, { kind: "sll", mac: from.mac });
  return eth(multicastMac(to), from.mac, IP6, icmp6({ from: from.ip6, to, type: 135 }, body));
}

function detects(from: Person, target: string): Bytes {
  const to = solicitedNode(target);
  const fields = { from: "::", to, type: 135 };
  return eth(multicastMac(to), from.mac, IP6, icmp6(fields, neighbour(target, null)));
}

function answers(from: Person): Bytes {
  const body = neighbour(from.ip6, { kind: "tll", mac: from.mac }, 0x6000_0000);
  return eth(VIF.mac, from.mac, IP6, icmp6({ from: from.ip6, to: VIF.ip6, type: 136 }, body));
}

function advertises(from: Person): Bytes {
  const to = "ff02::1";
  const fields = { from: from.linkLocal, to, type: 134 };
  return eth(multicastMac(to), from.mac, IP6, icmp6(fields, new Uint8Array(12)));
}

function offers(from: Person, to: string, address: string): Bytes {
  const fields = { from: from.ip, to: address, protocol: 17 };
  return eth(to, from.mac, IP4, ip4(fields, udp(67, 68)));
}

function multicasts(from: Person): Bytes {
  const fields = { from: from.ip, to: "224.0.0.251", protocol: 17 };
  return eth(multicastMac("224.0.0.251"), from.mac, IP4, ip4(fields, udp(5353, 5353)));
}

/**
 * The spoof matrix: what becomes of a frame that a VIF sends, by the VIF's mode. Each row can be
 * checked by hand: the bridge is that of cast.ts, the VIF is its port 10. What comes to the VIF is
 * in admit-cases.ts.
 */
import {
  BROADCAST,
  GATEWAY,
  HOST,
  LOCKED,
  MATE,
  OPEN,
  OTHER,
  OUTSIDE_IP,
  OUTSIDE_IP6,
  type Person,
  REMOTE,
  SUBNET_BROADCAST,
  VIF,
} from "./cast.ts";
import {
  type ArpFields,
  arp,
  type Bytes,
  eth,
  extension,
  fragment6,
  type Icmp6Fields,
  type Ip4Fields,
  type Ip6Fields,
  icmp6,
  icmp6Message,
  ip4,
  ip6,
  join,
  linkOption,
  multicastMac,
  neighbour,
  solicitedNode,
  tag,
  tcp,
  udp,
} from "./frame-builder.ts";

/** Ports that receive it, in the order of `RECEIVERS`, or "-" when it is dropped. */
export type Fate = string;
export const RECEIVERS = ["wire", "vif", "mate", "other", "locked", "open", "host"] as const;

export type FamilyName = "ethernet" | "vlan" | "arp" | "ipv4" | "dhcp" | "ipv6" | "nd" | "group";

/** In quarantine and disabled, the fate of every frame is "-". */
export type OutboundCase = {
  readonly family: FamilyName;
  readonly name: string;
  readonly frame: Bytes;
  readonly locked: Fate;
  readonly isolated: Fate;
  readonly unlocked: Fate;
};

type Row = readonly [name: string, frame: Bytes, locked: Fate, isolated: Fate, unlocked: Fate];

const NONE = "-";
/** What a locked VIF sends to all; its mates take it because it is from a member. */
const ALL = "wire mate locked open";
/** The same from an address that says nothing: isolated VIFs do not take it. */
const ALL_UNSIGNED = "wire locked open";
/** What an unlocked VIF sends to all: no isolated VIF takes it. */
const ALL_OPEN = "wire locked open host";
const GROUP = "wire mate";

const ARP = 0x0806;
const IP4 = 0x0800;
const IP6 = 0x86dd;
const GRE = 47;
const ESP = 50;
const SCTP = 132;

/** From the VIF's own MAC. */
const own = (to: string, type: number, payload: Bytes): Bytes => eth(to, VIF.mac, type, payload);
/** Own MAC and address, except for what the fields say. */
const packet = (to: string, fields: Partial<Ip4Fields>, payload: Bytes = tcp()): Bytes =>
  own(to, IP4, ip4({ from: VIF.ip, to: OUTSIDE_IP, ...fields }, payload));
const packet6 = (to: string, fields: Partial<Ip6Fields>, payload: Bytes = tcp()): Bytes =>
  own(to, IP6, ip6({ from: VIF.ip6, to: OUTSIDE_IP6, ...fields }, payload));
const ask = (to: string, fields: Partial<ArpFields> & { readonly tpa: string }): Bytes =>
  own(to, ARP, arp({ sha: VIF.mac, spa: VIF.ip, ...fields }));

const plain = packet(GATEWAY.mac, {});

const ETHERNET: readonly Row[] = [
  ["own MAC, own IP, to the outside", plain, "wire", "wire", "wire"],
  ["source MAC of nobody", fromMac("02:00:00:00:00:77"), NONE, NONE, "wire"],
  ["source MAC of the mate", fromMac(MATE.mac), NONE, NONE, "wire"],
  ["source MAC of the gateway", fromMac(GATEWAY.mac), NONE, NONE, NONE],
  ["source MAC zero", fromMac("00:00:00:00:00:00"), NONE, NONE, "wire"],
  ["source MAC multicast", fromMac("01:00:5e:00:00:01"), NONE, NONE, "wire"],
  ["source MAC broadcast", fromMac(BROADCAST), NONE, NONE, "wire"],
  [
    "MAC and IP of the mate",
    eth(GATEWAY.mac, MATE.mac, IP4, ip4({ from: MATE.ip, to: OUTSIDE_IP }, tcp())),
    NONE,
    NONE,
    "wire",
  ],
  ["STP", own("01:80:c2:00:00:00", 38, llc()), NONE, NONE, NONE],
  ["pause", own("01:80:c2:00:00:01", 0x8808, new Uint8Array(46)), NONE, NONE, NONE],
  ["LLDP", own("01:80:c2:00:00:0e", 0x88cc, new Uint8Array(46)), NONE, NONE, NONE],
  ["IP to a reserved MAC", packet("01:80:c2:00:00:03", {}), NONE, NONE, NONE],
  ["MPLS", own(GATEWAY.mac, 0x8847, new Uint8Array(46)), NONE, NONE, "wire"],
  ["PPPoE discovery", own(BROADCAST, 0x8863, new Uint8Array(46)), NONE, NONE, ALL_OPEN],
  ["PPPoE session", own(GATEWAY.mac, 0x8864, new Uint8Array(46)), NONE, NONE, "wire"],
  ["experimental type", own(GATEWAY.mac, 0x88b5, new Uint8Array(46)), NONE, NONE, "wire"],
  ["802.3 with LLC", own(GATEWAY.mac, 38, llc()), NONE, NONE, "wire"],
  ["IPv4 type without a packet", own(GATEWAY.mac, IP4, new Uint8Array(0)), NONE, NONE, "wire"],
  [
    "IPv4 type, cut in its header",
    own(GATEWAY.mac, IP4, plain.subarray(14, 26)),
    NONE,
    NONE,
    "wire",
  ],
  [
    "IPv4 type, IPv6 packet",
    own(GATEWAY.mac, IP4, ip6({ from: VIF.ip6, to: OUTSIDE_IP6 }, tcp())),
    NONE,
    NONE,
    "wire",
  ],
  [
    "IPv6 type, IPv4 packet",
    own(GATEWAY.mac, IP6, ip4({ from: VIF.ip, to: OUTSIDE_IP }, tcp())),
    NONE,
    NONE,
    "wire",
  ],
  ["to the host's MAC and IP", packet(HOST.mac, { to: HOST.ip }), NONE, NONE, "host"],
  ["to the host's MAC, outside IP", packet(HOST.mac, {}), NONE, NONE, "host"],
  ["to a MAC of nobody, inner IP", packet(REMOTE.mac, { to: REMOTE.ip }), "wire", NONE, "wire"],
  ["to a MAC of nobody, outside IP", packet(REMOTE.mac, {}), "wire", NONE, "wire"],
  ["broadcast MAC, outside IP", packet(BROADCAST, {}), ALL, NONE, ALL_OPEN],
  ["to its own MAC and IP", packet(VIF.mac, { to: VIF.ip }), NONE, NONE, NONE],
];

const VLAN: readonly Row[] = [
  ["tag 10", tag(plain, 10), NONE, NONE, NONE],
  ["tag 4095", tag(plain, 4095), NONE, NONE, NONE],
  ["priority tag", tag(plain, 0xe000), "wire", "wire", "wire"],
  ["forged IP under tag 10", tag(packet(GATEWAY.mac, { from: MATE.ip }), 10), NONE, NONE, NONE],
  [
    "forged IP under a priority tag",
    tag(packet(GATEWAY.mac, { from: MATE.ip }), 0),
    NONE,
    NONE,
    "wire",
  ],
  ["forged MAC under tag 10", tag(fromMac(MATE.mac), 10), NONE, NONE, NONE],
  ["tags 10 and 20", tag(tag(plain, 20), 10), NONE, NONE, NONE],
  ["802.1ad tag 10", tag(plain, 10, 0x88a8), NONE, NONE, NONE],
  ["802.1ad tag 10, 802.1Q tag 20", tag(tag(plain, 20), 10, 0x88a8), NONE, NONE, NONE],
  ["tag 10 under a priority tag", tag(tag(plain, 10), 0), NONE, NONE, NONE],
  ["ARP under tag 10", tag(ask(BROADCAST, { tpa: GATEWAY.ip }), 10), NONE, NONE, NONE],
];

const ARPS: readonly Row[] = [
  ["asks for the gateway", ask(BROADCAST, { tpa: GATEWAY.ip }), ALL, "wire", ALL_OPEN],
  ["asks for the mate", ask(BROADCAST, { tpa: MATE.ip }), ALL, GROUP, ALL_OPEN],
  ["asks for one of another group", ask(BROADCAST, { tpa: OTHER.ip }), ALL, NONE, ALL_OPEN],
  ["asks for one in no group", ask(BROADCAST, { tpa: LOCKED.ip }), ALL, NONE, ALL_OPEN],
  ["asks for an inner address", ask(BROADCAST, { tpa: REMOTE.ip }), ALL, NONE, ALL_OPEN],
  ["asks for an outside address", ask(BROADCAST, { tpa: OUTSIDE_IP }), ALL, "wire", ALL_OPEN],
  ["asks the mate alone", ask(MATE.mac, { tpa: MATE.ip }), "mate", "mate", NONE],
  ["asks one of another group alone", ask(OTHER.mac, { tpa: OTHER.ip }), NONE, NONE, NONE],
  ["gratuitous request", ask(BROADCAST, { tpa: VIF.ip }), ALL, GROUP, ALL_OPEN],
  ["gratuitous reply", ask(BROADCAST, { op: 2, tpa: VIF.ip }), ALL, GROUP, ALL_OPEN],
  ["answers the mate", ask(MATE.mac, { op: 2, tha: MATE.mac, tpa: MATE.ip }), "mate", "mate", NONE],
  [
    "answers the gateway",
    ask(GATEWAY.mac, { op: 2, tha: GATEWAY.mac, tpa: GATEWAY.ip }),
    "wire",
    "wire",
    "wire",
  ],
  [
    "answers one of another group",
    ask(OTHER.mac, { op: 2, tha: OTHER.mac, tpa: OTHER.ip }),
    NONE,
    NONE,
    NONE,
  ],
  [
    "answers one in no group",
    ask(LOCKED.mac, { op: 2, tha: LOCKED.mac, tpa: LOCKED.ip }),
    "locked",
    NONE,
    "locked",
  ],
  ["answers a probe of the mate", ask(MATE.mac, { op: 2, tpa: "0.0.0.0" }), "mate", "mate", NONE],
  [
    "sender IP of the mate",
    ask(BROADCAST, { spa: MATE.ip, tpa: GATEWAY.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "sender IP of the gateway",
    ask(BROADCAST, { spa: GATEWAY.ip, tpa: MATE.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "claims the gateway's IP to the mate",
    ask(MATE.mac, { op: 2, spa: GATEWAY.ip, tpa: MATE.ip }),
    NONE,
    NONE,
    NONE,
  ],
  [
    "sender IP of nobody",
    ask(BROADCAST, { spa: "10.0.0.77", tpa: GATEWAY.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "sender MAC of the mate",
    ask(BROADCAST, { sha: MATE.mac, tpa: GATEWAY.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "sender MAC zero",
    ask(BROADCAST, { sha: "00:00:00:00:00:00", tpa: GATEWAY.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "probes its own address",
    ask(BROADCAST, { spa: "0.0.0.0", tpa: VIF.ip }),
    ALL_UNSIGNED,
    "wire",
    ALL_OPEN,
  ],
  [
    "A3: probes the mate's address",
    ask(BROADCAST, { spa: "0.0.0.0", tpa: MATE.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "probes the gateway's address",
    ask(BROADCAST, { spa: "0.0.0.0", tpa: GATEWAY.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "A3: answers from 0.0.0.0",
    ask(MATE.mac, { op: 2, spa: "0.0.0.0", tpa: VIF.ip }),
    NONE,
    NONE,
    NONE,
  ],
  [
    "A3: InARP from 0.0.0.0",
    ask(BROADCAST, { op: 8, spa: "0.0.0.0", tpa: VIF.ip }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["InARP request", ask(BROADCAST, { op: 8, tpa: GATEWAY.ip }), NONE, NONE, ALL_OPEN],
  ["InARP reply", ask(GATEWAY.mac, { op: 9, tpa: GATEWAY.ip }), NONE, NONE, "wire"],
  ["operation 0", ask(BROADCAST, { op: 0, tpa: GATEWAY.ip }), NONE, NONE, ALL_OPEN],
  ["operation 257", ask(BROADCAST, { op: 257, tpa: GATEWAY.ip }), NONE, NONE, ALL_OPEN],
  ["of Token Ring", ask(BROADCAST, { hardware: 6, tpa: GATEWAY.ip }), NONE, NONE, ALL_OPEN],
  ["cut short", ask(BROADCAST, { tpa: GATEWAY.ip }).subarray(0, 30), NONE, NONE, ALL_OPEN],
  [
    "RARP announce",
    own(
      BROADCAST,
      0x8035,
      arp({ op: 3, sha: VIF.mac, spa: "0.0.0.0", tha: VIF.mac, tpa: "0.0.0.0" }),
    ),
    NONE,
    NONE,
    ALL_OPEN,
  ],
];

const IPV4: readonly Row[] = [
  [
    "UDP to the outside",
    packet(GATEWAY.mac, { protocol: 17 }, udp(1_000, 53)),
    "wire",
    "wire",
    "wire",
  ],
  [
    "ICMP echo to the outside",
    packet(GATEWAY.mac, { protocol: 1 }, echo()),
    "wire",
    "wire",
    "wire",
  ],
  ["to the gateway", packet(GATEWAY.mac, { to: GATEWAY.ip }), "wire", "wire", "wire"],
  ["source of nobody", packet(GATEWAY.mac, { from: "10.0.0.77" }), NONE, NONE, "wire"],
  ["source of the mate", packet(GATEWAY.mac, { from: MATE.ip }), NONE, NONE, "wire"],
  ["source of the gateway", packet(MATE.mac, { from: GATEWAY.ip, to: MATE.ip }), NONE, NONE, NONE],
  ["source of the subnet", packet(GATEWAY.mac, { from: "10.0.0.0" }), NONE, NONE, "wire"],
  ["source 0.0.0.0", packet(GATEWAY.mac, { from: "0.0.0.0" }), NONE, NONE, "wire"],
  ["source 127.0.0.1", packet(GATEWAY.mac, { from: "127.0.0.1" }), NONE, NONE, "wire"],
  ["source 224.0.0.1", packet(GATEWAY.mac, { from: "224.0.0.1" }), NONE, NONE, "wire"],
  ["source 255.255.255.255", packet(GATEWAY.mac, { from: "255.255.255.255" }), NONE, NONE, "wire"],
  ["first fragment", fragment(VIF.ip, 0, true), "wire", "wire", "wire"],
  ["later fragment", fragment(VIF.ip, 1, false), "wire", "wire", "wire"],
  ["first fragment, forged", fragment(MATE.ip, 0, true), NONE, NONE, "wire"],
  ["later fragment, forged", fragment(MATE.ip, 1, false), NONE, NONE, "wire"],
  [
    "with options",
    packet(GATEWAY.mac, { options: Uint8Array.of(1, 1, 1, 0) }),
    "wire",
    "wire",
    "wire",
  ],
  ["GRE", packet(GATEWAY.mac, { protocol: GRE }), "wire", "wire", "wire"],
  ["ESP", packet(GATEWAY.mac, { protocol: ESP }), "wire", "wire", "wire"],
  ["SCTP", packet(GATEWAY.mac, { protocol: SCTP }), "wire", "wire", "wire"],
  [
    "IPIP with a forged source inside",
    packet(GATEWAY.mac, { protocol: 4 }, ip4({ from: MATE.ip, to: OUTSIDE_IP })),
    "wire",
    "wire",
    "wire",
  ],
  ["GRE, forged", packet(GATEWAY.mac, { protocol: GRE, from: MATE.ip }), NONE, NONE, "wire"],
  ["ESP, forged", packet(GATEWAY.mac, { protocol: ESP, from: MATE.ip }), NONE, NONE, "wire"],
  [
    "VRRP",
    packet(multicastMac("224.0.0.18"), { protocol: 112, to: "224.0.0.18", ttl: 255 }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "IGMP report",
    packet(multicastMac("224.0.0.22"), { protocol: 2, to: "224.0.0.22", ttl: 1 }),
    ALL,
    GROUP,
    ALL_OPEN,
  ],
  [
    "IGMP, forged",
    packet(multicastMac("224.0.0.22"), { protocol: 2, from: MATE.ip, to: "224.0.0.22" }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "multicast",
    packet(multicastMac("224.0.0.251"), { protocol: 17, to: "224.0.0.251" }, udp(5353, 5353)),
    ALL,
    GROUP,
    ALL_OPEN,
  ],
  ["multicast to one of another group", packet(OTHER.mac, { to: "224.0.0.251" }), NONE, NONE, NONE],
  ["multicast to a MAC of nobody", packet(REMOTE.mac, { to: "224.0.0.251" }), "wire", NONE, "wire"],
  ["to 255.255.255.255", packet(BROADCAST, { to: "255.255.255.255" }), ALL, GROUP, ALL_OPEN],
  ["to all of the subnet", packet(BROADCAST, { to: SUBNET_BROADCAST }), ALL, GROUP, ALL_OPEN],
  [
    "to all of the subnet, forged",
    packet(BROADCAST, { from: MATE.ip, to: SUBNET_BROADCAST }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
];

const DISCOVER = { protocol: 17, from: "0.0.0.0", to: "255.255.255.255" } as const;

const DHCP: readonly Row[] = [
  ["discover", packet(BROADCAST, DISCOVER, udp(68, 67)), ALL_UNSIGNED, "wire", ALL_OPEN],
  [
    "renew",
    packet(GATEWAY.mac, { protocol: 17, to: GATEWAY.ip }, udp(68, 67)),
    "wire",
    "wire",
    "wire",
  ],
  [
    "discover to a neighbour's MAC",
    packet(LOCKED.mac, DISCOVER, udp(68, 67)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "A1: forged source, to port 67 of a neighbour",
    packet(LOCKED.mac, { protocol: 17, from: MATE.ip, to: LOCKED.ip }, udp(68, 67)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "A1: forged source, to port 67, to all",
    packet(BROADCAST, { protocol: 17, from: MATE.ip, to: "255.255.255.255" }, udp(68, 67)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "A1: source 0.0.0.0, to a neighbour's port 67",
    packet(LOCKED.mac, { protocol: 17, from: "0.0.0.0", to: LOCKED.ip }, udp(68, 67)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "source 0.0.0.0, from another port",
    packet(BROADCAST, DISCOVER, udp(1_000, 67)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "source 0.0.0.0, to another port",
    packet(BROADCAST, DISCOVER, udp(68, 69)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "discover in fragments",
    packet(BROADCAST, { ...DISCOVER, moreFragments: true }, udp(68, 67)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "A2: offers to all",
    packet(BROADCAST, { protocol: 17, to: "255.255.255.255" }, udp(67, 68)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "A2: offers to the mate",
    packet(MATE.mac, { protocol: 17, to: MATE.ip }, udp(67, 68)),
    NONE,
    NONE,
    NONE,
  ],
  [
    "A2: offers to a neighbour",
    packet(LOCKED.mac, { protocol: 17, to: LOCKED.ip }, udp(67, 68)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "offers from another port",
    packet(LOCKED.mac, { protocol: 17, to: LOCKED.ip }, udp(1_067, 68)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "relays",
    packet(GATEWAY.mac, { protocol: 17, to: GATEWAY.ip }, udp(67, 67)),
    NONE,
    NONE,
    "wire",
  ],
  [
    "offers in fragments",
    packet(LOCKED.mac, { protocol: 17, to: LOCKED.ip, moreFragments: true }, udp(67, 68)),
    NONE,
    NONE,
    "locked",
  ],
  ["DHCPv6 solicit", solicit({}), ALL, GROUP, ALL_OPEN],
  ["DHCPv6 solicit, forged", solicit({ from: MATE.linkLocal }), NONE, NONE, ALL_OPEN],
  [
    "A2: DHCPv6 advertise to a neighbour",
    packet6(LOCKED.mac, { from: VIF.linkLocal, to: LOCKED.linkLocal, next: 17 }, udp(547, 546)),
    NONE,
    NONE,
    "locked",
  ],
  [
    "DHCPv6 advertise behind options",
    packet6(
      LOCKED.mac,
      { from: VIF.linkLocal, to: LOCKED.linkLocal, next: 60 },
      join(extension(17), udp(547, 546)),
    ),
    NONE,
    NONE,
    "locked",
  ],
];

const SPLIT_CHAIN = join(fragment6(60, 0, true), extension(58));

const IPV6: readonly Row[] = [
  ["to the outside", packet6(GATEWAY.mac, {}), "wire", "wire", "wire"],
  ["to the gateway", packet6(GATEWAY.mac, { to: "fd00::1" }), "wire", "wire", "wire"],
  [
    "link-local to the router's",
    packet6(GATEWAY.mac, { from: VIF.linkLocal, to: GATEWAY.linkLocal }),
    "wire",
    "wire",
    "wire",
  ],
  [
    "link-local to another address of the router",
    packet6(GATEWAY.mac, { from: VIF.linkLocal, to: "fe80::1" }),
    "wire",
    "wire",
    "wire",
  ],
  ["source of the mate", packet6(GATEWAY.mac, { from: MATE.ip6 }), NONE, NONE, "wire"],
  [
    "link-local source of the mate",
    packet6(GATEWAY.mac, { from: MATE.linkLocal }),
    NONE,
    NONE,
    "wire",
  ],
  ["source of nobody", packet6(GATEWAY.mac, { from: "fd00::77" }), NONE, NONE, "wire"],
  ["source ::", packet6(GATEWAY.mac, { from: "::" }), NONE, NONE, "wire"],
  ["source ::1", packet6(GATEWAY.mac, { from: "::1" }), NONE, NONE, "wire"],
  ["multicast source", packet6(GATEWAY.mac, { from: "ff02::1" }), NONE, NONE, "wire"],
  ["IPv4-mapped source", packet6(GATEWAY.mac, { from: "::ffff:10.0.0.10" }), NONE, NONE, "wire"],
  ["B: SCTP", packet6(GATEWAY.mac, { next: SCTP }), "wire", "wire", "wire"],
  ["B: ESP", packet6(GATEWAY.mac, { next: ESP }), "wire", "wire", "wire"],
  ["B: GRE", packet6(GATEWAY.mac, { next: GRE }), "wire", "wire", "wire"],
  ["ESP, forged", packet6(GATEWAY.mac, { next: ESP, from: MATE.ip6 }), NONE, NONE, "wire"],
  ["no next header", packet6(GATEWAY.mac, { next: 59 }, new Uint8Array(0)), "wire", "wire", "wire"],
  [
    "hop-by-hop options",
    packet6(GATEWAY.mac, { next: 0 }, join(extension(6), tcp())),
    "wire",
    "wire",
    "wire",
  ],
  [
    "routing header",
    packet6(GATEWAY.mac, { next: 43 }, join(extension(6, "routing"), tcp())),
    "wire",
    "wire",
    "wire",
  ],
  [
    "hop-by-hop options, forged",
    packet6(GATEWAY.mac, { next: 0, from: MATE.ip6 }, join(extension(6), tcp())),
    NONE,
    NONE,
    "wire",
  ],
  [
    "B: first fragment",
    packet6(GATEWAY.mac, { next: 44 }, join(fragment6(17, 0, true), udp(1_000, 2_000))),
    "wire",
    "wire",
    "wire",
  ],
  [
    "B: later fragment",
    packet6(GATEWAY.mac, { next: 44 }, join(fragment6(17, 2, false), new Uint8Array(16))),
    "wire",
    "wire",
    "wire",
  ],
  [
    "later fragment, forged",
    packet6(GATEWAY.mac, { next: 44, from: MATE.ip6 }, join(fragment6(17, 2, false), tcp())),
    NONE,
    NONE,
    "wire",
  ],
  [
    "first fragment without its last header",
    packet6(GATEWAY.mac, { next: 44 }, SPLIT_CHAIN),
    NONE,
    NONE,
    "wire",
  ],
  [
    "multicast",
    packet6(multicastMac("ff02::fb"), { to: "ff02::fb", next: 17 }, udp(5353, 5353)),
    ALL,
    GROUP,
    ALL_OPEN,
  ],
  ["multicast to a MAC of nobody", packet6(REMOTE.mac, { to: "ff02::fb" }), "wire", NONE, "wire"],
];

const ND: readonly Row[] = [
  ["asks for the mate", solicitation(MATE.ip6), ALL, GROUP, ALL_OPEN],
  [
    "B: asks for the mate from its link-local",
    solicitation(MATE.ip6, { from: VIF.linkLocal }),
    ALL,
    GROUP,
    ALL_OPEN,
  ],
  ["asks for the mate's link-local", solicitation(MATE.linkLocal), ALL, GROUP, ALL_OPEN],
  ["asks for the gateway", solicitation("fd00::1"), ALL, "wire", ALL_OPEN],
  ["asks for the router's link-local", solicitation(GATEWAY.linkLocal), ALL, "wire", ALL_OPEN],
  ["asks for one of another group", solicitation(OTHER.ip6), ALL, NONE, ALL_OPEN],
  ["asks for one in no group", solicitation(LOCKED.linkLocal), ALL, NONE, ALL_OPEN],
  ["asks for an outside address", solicitation(OUTSIDE_IP6), ALL, "wire", ALL_OPEN],
  [
    "B: asks the mate alone, without its MAC",
    unicastSolicitation(MATE, null),
    "mate",
    "mate",
    NONE,
  ],
  ["asks the mate alone, with its MAC", unicastSolicitation(MATE, VIF.mac), "mate", "mate", NONE],
  ["asks one of another group alone", unicastSolicitation(OTHER, null), NONE, NONE, NONE],
  [
    "A5: asks with the mate's MAC",
    solicitation(GATEWAY.linkLocal, {}, MATE.mac),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["asks all without its MAC", solicitation(MATE.ip6, {}, null), NONE, NONE, ALL_OPEN],
  [
    "asks from the mate's address",
    solicitation(GATEWAY.linkLocal, { from: MATE.ip6 }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["A5: asks with hop limit 64", solicitation(MATE.ip6, { hopLimit: 64 }), NONE, NONE, ALL_OPEN],
  ["asks with code 1", solicitation(MATE.ip6, { code: 1 }), NONE, NONE, ALL_OPEN],
  [
    "B: detects duplicates of its address",
    solicitation(VIF.ip6, { from: "::" }, null),
    ALL_UNSIGNED,
    "wire",
    ALL_OPEN,
  ],
  [
    "B: detects duplicates of its link-local",
    solicitation(VIF.linkLocal, { from: "::" }, null),
    ALL_UNSIGNED,
    "wire",
    ALL_OPEN,
  ],
  [
    "detects duplicates of the mate's address",
    solicitation(MATE.ip6, { from: "::" }, null),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["detects duplicates, with its MAC", solicitation(VIF.ip6, { from: "::" }), NONE, NONE, ALL_OPEN],
  [
    "detects duplicates with hop limit 64",
    solicitation(VIF.ip6, { from: "::", hopLimit: 64 }, null),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["answers the mate", advertisement(MATE, {}), "mate", "mate", NONE],
  ["answers the gateway", advertisement(GATEWAY, {}), "wire", "wire", "wire"],
  [
    "B: answers from its link-local",
    advertisement(GATEWAY, { from: VIF.linkLocal }),
    "wire",
    "wire",
    "wire",
  ],
  ["answers without its MAC", advertisement(GATEWAY, { link: null }), "wire", "wire", "wire"],
  [
    "answers for the mate's address",
    advertisement(GATEWAY, { target: MATE.ip6 }),
    NONE,
    NONE,
    "wire",
  ],
  [
    "answers for the gateway's address",
    advertisement(LOCKED, { target: "fd00::1" }),
    NONE,
    NONE,
    "locked",
  ],
  [
    "answers from the mate's address",
    advertisement(GATEWAY, { from: MATE.ip6 }),
    NONE,
    NONE,
    "wire",
  ],
  [
    "A5: answers with the mate's MAC",
    advertisement(GATEWAY, { link: MATE.mac }),
    NONE,
    NONE,
    "wire",
  ],
  [
    "A5: answers with the gateway's MAC",
    advertisement(LOCKED, { link: GATEWAY.mac }),
    NONE,
    NONE,
    "locked",
  ],
  ["A5: answers with hop limit 64", advertisement(GATEWAY, { hopLimit: 64 }), NONE, NONE, "wire"],
  ["announces itself", announcement({}), ALL, GROUP, ALL_OPEN],
  ["announces the mate's address", announcement({ target: MATE.ip6 }), NONE, NONE, ALL_OPEN],
  ["solicits routers", routerSolicitation({}), ALL, "wire", ALL_OPEN],
  [
    "B: solicits routers from ::",
    routerSolicitation({ from: "::" }),
    ALL_UNSIGNED,
    "wire",
    ALL_OPEN,
  ],
  [
    "solicits routers with hop limit 64",
    routerSolicitation({ hopLimit: 64 }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "solicits routers from the mate's address",
    routerSolicitation({ from: MATE.linkLocal }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["advertises itself as router", routerAdvertisement(58), NONE, NONE, ALL_OPEN],
  [
    "the same behind hop-by-hop options",
    routerAdvertisement(0, extension(58)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "the same behind destination options",
    routerAdvertisement(60, extension(58)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "the same behind a routing header",
    routerAdvertisement(43, extension(58, "routing")),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "the same in a first fragment",
    routerAdvertisement(44, fragment6(58, 0, true)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "the same in an atomic fragment",
    routerAdvertisement(44, fragment6(58, 0, false)),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "the same behind options in a first fragment",
    routerAdvertisement(44, join(fragment6(60, 0, true), extension(58))),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["redirects", icmpToAll(137, new Uint8Array(36)), NONE, NONE, ALL_OPEN],
  [
    "A2: queries for listeners",
    icmpToAll(130, new Uint8Array(20), { hopLimit: 1 }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  ["renumbers routers", icmpToAll(138, new Uint8Array(12)), NONE, NONE, ALL_OPEN],
  ["B: reports what it listens to", listenerReport({}), ALL, GROUP, ALL_OPEN],
  ["B: reports from ::", listenerReport({ from: "::" }), ALL_UNSIGNED, "wire", ALL_OPEN],
  [
    "reports from the mate's address",
    listenerReport({ from: MATE.linkLocal }),
    NONE,
    NONE,
    ALL_OPEN,
  ],
  [
    "asks in a fragment",
    own(
      multicastMac(solicitedNode(MATE.ip6)),
      IP6,
      ip6(
        { from: VIF.ip6, to: solicitedNode(MATE.ip6), next: 44, hopLimit: 255 },
        join(
          fragment6(58, 0, true),
          icmp6Message(135, 0, neighbour(MATE.ip6, { kind: "sll", mac: VIF.mac }), {
            from: VIF.ip6,
            to: solicitedNode(MATE.ip6),
          }),
        ),
      ),
    ),
    NONE,
    NONE,
    ALL_OPEN,
  ],
];

const GROUPS: readonly Row[] = [
  ["to the mate", packet(MATE.mac, { to: MATE.ip }), "mate", "mate", NONE],
  ["to the mate, IPv6", packet6(MATE.mac, { to: MATE.ip6 }), "mate", "mate", NONE],
  [
    "to the mate, link-local",
    packet6(MATE.mac, { from: VIF.linkLocal, to: MATE.linkLocal }),
    "mate",
    "mate",
    NONE,
  ],
  ["to one of another group", packet(OTHER.mac, { to: OTHER.ip }), NONE, NONE, NONE],
  ["to one of another group, IPv6", packet6(OTHER.mac, { to: OTHER.ip6 }), NONE, NONE, NONE],
  ["to one in no group", packet(LOCKED.mac, { to: LOCKED.ip }), "locked", NONE, "locked"],
  ["to one in no group, IPv6", packet6(LOCKED.mac, { to: LOCKED.ip6 }), "locked", NONE, "locked"],
  ["to an unlocked one", packet(OPEN.mac, { to: OPEN.ip }), "open", NONE, "open"],
  [
    "to a mate on another host",
    packet("02:00:00:00:00:20", { to: "10.0.0.20" }),
    "wire",
    "wire",
    "wire",
  ],
  [
    "to an inner address on another host",
    packet(REMOTE.mac, { to: REMOTE.ip }),
    "wire",
    NONE,
    "wire",
  ],
  ["another group's IP, the mate's MAC", packet(MATE.mac, { to: OTHER.ip }), "mate", NONE, NONE],
  ["the mate's IP, another group's MAC", packet(OTHER.mac, { to: MATE.ip }), NONE, NONE, NONE],
  ["outside IP, the mate's MAC", packet(MATE.mac, {}), "mate", NONE, NONE],
  ["outside IP, another group's MAC", packet(OTHER.mac, {}), NONE, NONE, NONE],
  ["outside IP, an unlocked one's MAC", packet(OPEN.mac, {}), "open", NONE, "open"],
  [
    "the gateway's IP, another group's MAC",
    packet(OTHER.mac, { to: GATEWAY.ip }),
    NONE,
    NONE,
    NONE,
  ],
  ["another group's IP, to all", packet(BROADCAST, { to: OTHER.ip }), ALL, NONE, ALL_OPEN],
  [
    "hairpin: another group's IP, the gateway's MAC",
    packet(GATEWAY.mac, { to: OTHER.ip }),
    "wire",
    NONE,
    "wire",
  ],
  ["hairpin, IPv6", packet6(GATEWAY.mac, { to: OTHER.ip6 }), "wire", NONE, "wire"],
  [
    "the mate's IP, the gateway's MAC",
    packet(GATEWAY.mac, { to: MATE.ip }),
    "wire",
    "wire",
    "wire",
  ],
];

export const OUTBOUND_CASES: readonly OutboundCase[] = [
  ...family("ethernet", ETHERNET),
  ...family("vlan", VLAN),
  ...family("arp", ARPS),
  ...family("ipv4", IPV4),
  ...family("dhcp", DHCP),
  ...family("ipv6", IPV6),
  ...family("nd", ND),
  ...family("group", GROUPS),
];

function family(name: FamilyName, rows: readonly Row[]): readonly OutboundCase[] {
  return rows.map(([title, frame, locked, isolated, unlocked]) => ({
    ...{ family: name, name: title, frame },
    ...{ locked, isolated, unlocked },
  }));
}

function fromMac(from: string): Bytes {
  return eth(GATEWAY.mac, from, IP4, ip4({ from: VIF.ip, to: OUTSIDE_IP }, tcp()));
}

/** A bridge protocol data unit's start (IEEE Std 802.1D §9.3). */
function llc(): Bytes {
  return join(Uint8Array.of(0x42, 0x42, 0x03), new Uint8Array(35));
}

function echo(): Bytes {
  return Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0);
}

function fragment(from: string, fragmentOffset: number, moreFragments: boolean): Bytes {
  const fields = { protocol: 17, from, fragmentOffset, moreFragments };
  return packet(GATEWAY.mac, fields, udp(1_000, 2_000));
}

function solicit(fields: Partial<Ip6Fields>): Bytes {
  const to = "ff02::1:2";
  return packet6(multicastMac(to), { from: VIF.linkLocal, to, next: 17, ...fields }, udp(546, 547));
}

function solicitation(
  target: string,
  fields: Partial<Icmp6Fields> = {},
  mac: string | null = VIF.mac,
): Bytes {
  const to = solicitedNode(target);
  const link = mac === null ? null : ({ kind: "sll", mac } as const);
  const packetFields = { from: VIF.ip6, to, type: 135, ...fields };
  return own(multicastMac(to), IP6, icmp6(packetFields, neighbour(target, link)));
}

function unicastSolicitation({ mac, ip6: target }: Person, own_: string | null): Bytes {
  const link = own_ === null ? null : ({ kind: "sll", mac: own_ } as const);
  const fields = { from: VIF.ip6, to: target, type: 135 };
  return own(mac, IP6, icmp6(fields, neighbour(target, link)));
}

type Advertised = {
  readonly from?: string;
  readonly target?: string;
  readonly link?: string | null;
  readonly hopLimit?: number;
};

function advertised(to: string, options: Advertised): Bytes {
  const { from = VIF.ip6, target = VIF.ip6, link = VIF.mac, hopLimit = 255 } = options;
  const option = link === null ? null : ({ kind: "tll", mac: link } as const);
  // Override; solicited where it is to one.
  const flags = to.startsWith("ff02") ? 0x2000_0000 : 0x6000_0000;
  return icmp6({ from, to, type: 136, hopLimit }, neighbour(target, option, flags));
}

function advertisement(to: Person, options: Advertised): Bytes {
  const address = to === GATEWAY ? GATEWAY.linkLocal : to.ip6;
  return own(to.mac, IP6, advertised(address, options));
}

function announcement(options: Advertised): Bytes {
  return own(multicastMac("ff02::1"), IP6, advertised("ff02::1", options));
}

function routerSolicitation(fields: Partial<Icmp6Fields>): Bytes {
  const to = "ff02::2";
  const body = join(
    new Uint8Array(4),
    fields.from === "::" ? new Uint8Array(0) : linkOption(1, VIF.mac),
  );
  const packetFields = { from: VIF.linkLocal, to, type: 133, ...fields };
  return own(multicastMac(to), IP6, icmp6(packetFields, body));
}

/** @param headers what stands between the IPv6 header and the message; `next` is the first of them */
function routerAdvertisement(next: number, headers: Bytes = new Uint8Array(0)): Bytes {
  const addresses = { from: VIF.linkLocal, to: "ff02::1" };
  const message = icmp6Message(134, 0, new Uint8Array(12), addresses);
  return own(
    multicastMac("ff02::1"),
    IP6,
    ip6({ ...addresses, next, hopLimit: 255 }, join(headers, message)),
  );
}

function icmpToAll(type: number, body: Bytes, fields: Partial<Icmp6Fields> = {}): Bytes {
  const to = "ff02::1";
  return own(multicastMac(to), IP6, icmp6({ from: VIF.linkLocal, to, type, ...fields }, body));
}

/** MLDv2 (RFC 3810 §5.2), behind a router alert. */
function listenerReport({ from = VIF.linkLocal }: { readonly from?: string }): Bytes {
  const to = "ff02::16";
  const alert = Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0);
  const message = icmp6Message(143, 0, new Uint8Array(24), { from, to });
  return own(multicastMac(to), IP6, ip6({ from, to, next: 0, hopLimit: 1 }, join(alert, message)));
}

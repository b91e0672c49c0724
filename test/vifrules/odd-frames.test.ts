/**
 * Frames that look for a way around: headers in unusual places, doubled or cut options, other
 * encapsulations, protocols that only bridges and routers speak. A row is as in spoof-cases.ts; the
 * VIF that is judged is the one of cast.ts.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { view } from "./bench-bridge.ts";
import { BROADCAST, GATEWAY, MATE, OTHER, OUTSIDE_IP, PORT, VIF } from "./cast.ts";
import { FlowSwitch } from "./flow-switch.ts";
import {
  arp,
  type Bytes,
  eth,
  extension,
  fragment6,
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
import { RECEIVERS } from "./spoof-cases.ts";

const MODES = ["locked", "isolated", "unlocked"] as const;
type Row = readonly [name: string, frame: Bytes, locked: string, isolated: string, open: string];

const ALL = "wire mate locked open";
const ALL_UNSIGNED = "wire locked open";
const ALL_OPEN = "wire locked open host";
const IP4 = 0x0800;
const IP6 = 0x86dd;
const ARP = 0x0806;
const ICMP = 1;
const UDP = 17;
const AUTHENTICATION = 51;
const FRAGMENT = 44;
const ICMP6 = 58;
const DESTINATION_OPTIONS = 60;

const own = (to: string, type: number, payload: Bytes): Bytes => eth(to, VIF.mac, type, payload);
const outward = (from: string, payload = tcp(), protocol = 6): Bytes =>
  ip4({ from, to: OUTSIDE_IP, protocol }, payload);
const question = (spa: string): Bytes => arp({ sha: VIF.mac, spa, tpa: GATEWAY.ip });

/** IEEE Std 802: a length, LLC and SNAP with the type behind them. */
function snap(to: string, type: number, payload: Bytes, oui = 0): Bytes {
  const header = Uint8Array.of(0xaa, 0xaa, 3, oui >> 16, (oui >> 8) & 0xff, oui & 0xff);
  const rest = join(header, Uint8Array.of(type >> 8, type & 0xff), payload);
  return own(to, rest.length, rest);
}

function solicits(
  options: Bytes,
  { from = VIF.ip6, target = MATE.ip6, headers = NOTHING } = {},
): Bytes {
  const to = solicitedNode(target);
  const body = join(neighbour(target, null), options);
  const message = icmp6Message(135, 0, body, { from, to });
  const first = headers.length === 0 ? ICMP6 : DESTINATION_OPTIONS;
  const packet = ip6({ from, to, next: first, hopLimit: 255 }, join(headers, message));
  return own(multicastMac(to), IP6, packet);
}

function answers(options: Bytes): Bytes {
  const body = join(neighbour(VIF.ip6, null, 0x6000_0000), options);
  return own(MATE.mac, IP6, icmp6({ from: VIF.ip6, to: MATE.ip6, type: 136 }, body));
}

/** A router advertisement behind headers, the first of which is `next`. */
function advertisesRouter(next: number, headers: Bytes): Bytes {
  const addresses = { from: VIF.linkLocal, to: "ff02::1" };
  const message = icmp6Message(134, 0, new Uint8Array(12), addresses);
  const packet = ip6({ ...addresses, next, hopLimit: 255 }, join(headers, message));
  return own(multicastMac(addresses.to), IP6, packet);
}

function offers(fields: object, payload = udp(67, 68)): Bytes {
  return own(
    BROADCAST,
    IP4,
    ip4({ from: VIF.ip, to: "255.255.255.255", protocol: UDP, ...fields }, payload),
  );
}

const NOTHING: Bytes = new Uint8Array(0);
const NONCE = Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6);
const mine = linkOption(1, VIF.mac);
const theirs = linkOption(1, GATEWAY.mac);
/** Four octets of addresses missing: the length says nothing. */
const EMPTY_OPTION = Uint8Array.of(1, 0, 2, 0, 0, 0, 0, 0x10);
/** RFC 4302, of 12 octets without a check value. */
const AH = (next: number): Bytes => join(Uint8Array.of(next, 1), new Uint8Array(10));

const ROWS: readonly Row[] = [
  ["SNAP: own IPv4", snap(GATEWAY.mac, IP4, outward(VIF.ip)), "wire", "wire", "wire"],
  ["SNAP: forged IPv4", snap(GATEWAY.mac, IP4, outward(MATE.ip)), "-", "-", "wire"],
  [
    "SNAP: to another group",
    snap(OTHER.mac, IP4, ip4({ from: VIF.ip, to: OTHER.ip }, tcp())),
    "-",
    "-",
    "-",
  ],
  ["SNAP: forged ARP", snap(BROADCAST, ARP, question(MATE.ip)), "-", "-", ALL_OPEN],
  [
    "SNAP: router advertisement",
    snap(multicastMac("ff02::1"), IP6, advertisesRouter(ICMP6, NOTHING).subarray(14)),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "SNAP: of another organisation, as PVST",
    snap("01:00:0c:cc:cc:cd", 0x010b, new Uint8Array(40), 0x00000c),
    "-",
    "-",
    // The switch itself keeps it off the wire.
    "locked open host",
  ],
  ["802.1X to all bridges", own("01:80:c2:00:00:03", 0x888e, new Uint8Array(46)), "-", "-", "-"],
  ["802.1X to one", own(GATEWAY.mac, 0x888e, new Uint8Array(46)), "-", "-", "wire"],
  ["LACP", own("01:80:c2:00:00:02", 0x8809, new Uint8Array(46)), "-", "-", "-"],
  [
    "GARP of VLANs, past the reserved ones",
    own("01:80:c2:00:00:21", 0x88f5, new Uint8Array(46)),
    "-",
    "-",
    ALL_OPEN,
  ],
  ["pause to one", own(GATEWAY.mac, 0x8808, new Uint8Array(46)), "-", "-", "wire"],
  ["Wake-on-LAN", own(BROADCAST, 0x0842, new Uint8Array(102)), "-", "-", ALL_OPEN],
  ["three tags", tag(tag(tag(own(GATEWAY.mac, IP4, outward(VIF.ip)), 0), 0), 0), "-", "-", "-"],
  [
    "forged ARP under a priority tag",
    tag(own(BROADCAST, ARP, question(MATE.ip)), 0xe000),
    "-",
    "-",
    ALL_OPEN,
  ],
  ["an offer under a priority tag", tag(offers({}), 0xe000), "-", "-", ALL_OPEN],
  [
    "an offer in two first fragments: the first",
    offers({ moreFragments: true }),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "a first fragment without its ports",
    offers({ moreFragments: true }, NOTHING),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "an offer behind options",
    offers({ options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "a source route in its options",
    own(
      GATEWAY.mac,
      IP4,
      ip4(
        { from: MATE.ip, to: OUTSIDE_IP, options: Uint8Array.of(0x83, 7, 4, 10, 0, 0, 12, 0) },
        tcp(),
      ),
    ),
    "-",
    "-",
    "wire",
  ],
  [
    "a header that is longer than the packet",
    own(GATEWAY.mac, IP4, join(Uint8Array.of(0x4f), outward(VIF.ip).subarray(1, 28))),
    "-",
    "-",
    "wire",
  ],
  [
    "an ICMP redirect",
    own(
      MATE.mac,
      IP4,
      ip4(
        { from: VIF.ip, to: MATE.ip, protocol: ICMP },
        Uint8Array.of(5, 1, 0, 0, 10, 0, 0, 10, 0, 0, 0, 0),
      ),
    ),
    "-",
    "-",
    "-",
  ],
  [
    "an ICMP router advertisement",
    own(
      multicastMac("224.0.0.1"),
      IP4,
      ip4(
        { from: VIF.ip, to: "224.0.0.1", protocol: ICMP, ttl: 1 },
        Uint8Array.of(9, 0, 0, 0, 1, 2, 7, 8, 10, 0, 0, 10, 0, 0, 0, 0),
      ),
    ),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ARP with lengths of another kind",
    own(
      BROADCAST,
      ARP,
      Uint8Array.from(question(VIF.ip), (octet, at) => (at === 4 ? 8 : octet)),
    ),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ARP to a multicast MAC, forged",
    own("01:00:5e:00:00:01", ARP, question(MATE.ip)),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ARP: its address for its MAC, to 0.0.0.0",
    own(BROADCAST, ARP, arp({ op: 2, sha: VIF.mac, spa: VIF.ip, tpa: "0.0.0.0" })),
    ALL,
    "wire mate",
    ALL_OPEN,
  ],
  ["ND: its own MAC, then the gateway's", solicits(join(mine, theirs)), "-", "-", ALL_OPEN],
  ["ND: the gateway's MAC, then its own", solicits(join(theirs, mine)), "-", "-", ALL_OPEN],
  [
    "ND: an option of no length, then its own MAC",
    solicits(join(EMPTY_OPTION, mine)),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ND: the gateway's MAC behind options of the packet",
    solicits(theirs, { headers: extension(ICMP6) }),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ND: its own MAC and a nonce (RFC 3971)",
    solicits(join(NONCE, mine)),
    ALL,
    "wire mate",
    ALL_OPEN,
  ],
  [
    "ND: detects duplicates with a nonce (RFC 7527)",
    solicits(NONCE, { from: "::", target: VIF.ip6 }),
    ALL_UNSIGNED,
    "wire",
    ALL_OPEN,
  ],
  [
    "ND: detects the mate's duplicates with a nonce",
    solicits(NONCE, { from: "::" }),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "ND: answers with its own MAC, then the gateway's",
    answers(join(linkOption(2, VIF.mac), linkOption(2, GATEWAY.mac))),
    "-",
    "-",
    "-",
  ],
  ["ND: answers, and solicits with the gateway's MAC", answers(theirs), "mate", "mate", "-"],
  [
    "RA behind two fragment headers",
    advertisesRouter(FRAGMENT, join(fragment6(FRAGMENT, 0, false), fragment6(ICMP6, 0, false))),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "RA behind an authentication header",
    advertisesRouter(AUTHENTICATION, AH(ICMP6)),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "RA behind nine headers of options",
    advertisesRouter(
      DESTINATION_OPTIONS,
      join(...Array.from({ length: 8 }, () => extension(DESTINATION_OPTIONS)), extension(ICMP6)),
    ),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "a listener's report from :: that was forwarded",
    own(
      multicastMac("ff02::16"),
      IP6,
      icmp6({ from: "::", to: "ff02::16", type: 143, hopLimit: 64 }, new Uint8Array(24)),
    ),
    "-",
    "-",
    ALL_OPEN,
  ],
  [
    "IPv6 with the source of all nodes",
    own(GATEWAY.mac, IP6, ip6({ from: "ff02::1", to: GATEWAY.linkLocal }, tcp())),
    "-",
    "-",
    "wire",
  ],
  [
    "an IPv6 packet with a length beyond the frame",
    own(
      GATEWAY.mac,
      IP6,
      Uint8Array.from(ip6({ from: VIF.ip6, to: GATEWAY.ip6 }, tcp()), (octet, at) =>
        at === 4 ? 8 : octet,
      ),
    ),
    "-",
    "-",
    "wire",
  ],
];

describe("frames that look for a way around", () => {
  let ovs: FlowSwitch;
  before(() => {
    ovs = new FlowSwitch([10, 11, 12, 13, 14, 15, 16, 19]);
  });
  after(() => ovs.stop());

  for (const [index, mode] of MODES.entries()) {
    describe(`of a VIF that is ${mode}`, () => {
      before(() => ovs.load(view({}, { mode })));
      for (const [name, frame, ...fates] of ROWS) {
        test(`${name}: ${fates[index]}`, () => {
          const got = ovs.receivers(PORT.vif, frame);
          const names = RECEIVERS.flatMap((who) =>
            got.filter((port) => port === PORTS[who]).map(() => who),
          );
          assert.equal(names.join(" ") || "-", fates[index]);
        });
      }
    });
  }
});

const PORTS: Readonly<Record<(typeof RECEIVERS)[number], number>> = { ...PORT, host: LOCAL_PORT };

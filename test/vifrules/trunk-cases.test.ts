/**
 * VIFs with trunks, by the fate of frames: on the bridge of cast.ts the VIF that is judged has VLANs
 * 20 and 30 with tags besides its own network without, its mate has 20; the locked one and the one
 * of another group are in 20 by their ports' tag; the unlocked one has 30.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { readNetworkPolicy } from "../../src/vifrules/policy-document.ts";
import { endpoint, view, vifPolicy } from "./bench-bridge.ts";
import {
  BROADCAST,
  GATEWAY,
  LOCKED,
  MATE,
  OPEN,
  OTHER,
  OUTSIDE_IP,
  type Person,
  PORT,
  VIF,
} from "./cast.ts";
import { FlowSwitch } from "./flow-switch.ts";
import {
  arp,
  type Bytes,
  eth,
  icmp6,
  ip4,
  multicastMac,
  neighbour,
  solicitedNode,
  tag,
  tcp,
} from "./frame-builder.ts";

const MODES = ["locked", "isolated", "unlocked"] as const;
const IP4 = 0x0800;
const S_TAG = 0x88a8;

/** Who gets it, in the order of the ports' numbers, each with the tag that it has then. */
type Row = readonly [
  name: string,
  from: number,
  frame: Bytes,
  locked: string,
  isolated: string,
  unlocked: string,
];

const packet = (to: Person, from: Person = VIF, source = from.ip): Bytes =>
  eth(to.mac, from.mac, IP4, ip4({ from: source, to: to.ip }, tcp()));
const ask = (from: Person, target: string): Bytes =>
  eth(BROADCAST, from.mac, 0x0806, arp({ sha: from.mac, spa: from.ip, tpa: target }));
const outward = eth(GATEWAY.mac, VIF.mac, IP4, ip4({ from: VIF.ip, to: OUTSIDE_IP }, tcp()));
const inward = eth(VIF.mac, GATEWAY.mac, IP4, ip4({ from: OUTSIDE_IP, to: VIF.ip }, tcp()));
const solicitation = (mac: string): Bytes => {
  const to = solicitedNode(MATE.ip6);
  const body = neighbour(MATE.ip6, { kind: "sll", mac });
  return eth(multicastMac(to), VIF.mac, 0x86dd, icmp6({ from: VIF.ip6, to, type: 135 }, body));
};

const ROWS: readonly Row[] = [
  ["without a tag", PORT.vif, outward, "wire", "wire", "wire"],
  ["with a priority tag", PORT.vif, tag(outward, 0xe000), "wire", "wire", "wire"],
  ["with tag 20", PORT.vif, tag(outward, 20), "wire/20", "wire/20", "wire/20"],
  ["with tag 20 and a priority", PORT.vif, tag(outward, 0xa014), "wire/20", "wire/20", "wire/20"],
  ["with tag 30", PORT.vif, tag(outward, 30), "wire/30", "wire/30", "wire/30"],
  ["with tag 40, which it has not", PORT.vif, tag(outward, 40), "-", "-", "-"],
  ["with tag 4095", PORT.vif, tag(outward, 4095), "-", "-", "-"],
  ["with tag 20 under tag 30", PORT.vif, tag(tag(outward, 20), 30), "-", "-", "-"],
  ["with tag 40 under tag 30", PORT.vif, tag(tag(outward, 40), 30), "-", "-", "-"],
  ["with tag 20 under a priority tag", PORT.vif, tag(tag(outward, 20), 0), "-", "-", "-"],
  ["with tag 20 under a service tag", PORT.vif, tag(tag(outward, 20), 30, S_TAG), "-", "-", "-"],
  [
    "a forged source with tag 20",
    PORT.vif,
    tag(packet(GATEWAY, VIF, MATE.ip), 20),
    ...(["-", "-", "wire/20"] as const),
  ],
  [
    "a forged MAC with tag 20",
    PORT.vif,
    tag(packet(GATEWAY, MATE), 20),
    ...(["-", "-", "wire/20"] as const),
  ],
  ["the gateway's MAC with tag 20", PORT.vif, tag(packet(MATE, GATEWAY), 20), "-", "-", "-"],
  [
    "claims the mate's address with tag 20",
    PORT.vif,
    tag(eth(BROADCAST, VIF.mac, 0x0806, arp({ sha: VIF.mac, spa: MATE.ip, tpa: MATE.ip })), 20),
    ...(["-", "-", "wire/20 locked host/20"] as const),
  ],
  [
    "solicits with tag 20",
    PORT.vif,
    tag(solicitation(VIF.mac), 20),
    "wire/20 mate/20 locked",
    "wire/20 mate/20",
    "wire/20 locked host/20",
  ],
  [
    "solicits with the gateway's MAC inside",
    PORT.vif,
    tag(solicitation(GATEWAY.mac), 20),
    "-",
    "-",
    "wire/20 locked host/20",
  ],
  [
    "asks for the gateway with tag 20",
    PORT.vif,
    tag(ask(VIF, GATEWAY.ip), 20),
    "wire/20 mate/20 locked",
    "wire/20",
    "wire/20 locked host/20",
  ],
  [
    "asks for the gateway with tag 30",
    PORT.vif,
    tag(ask(VIF, "192.0.2.1"), 30),
    "wire/30 open/30",
    "wire/30",
    "wire/30 open/30 host/30",
  ],
  ["to the mate with tag 20", PORT.vif, tag(packet(MATE), 20), "mate/20", "mate/20", "-"],
  ["to the mate without a tag, who is there too", PORT.vif, packet(MATE), "mate", "mate", "-"],
  ["to the locked one with tag 20", PORT.vif, tag(packet(LOCKED), 20), "locked", "-", "locked"],
  ["to one of another group with tag 20", PORT.vif, tag(packet(OTHER), 20), "-", "-", "-"],
  [
    "to the locked one in a VLAN where it is not",
    PORT.vif,
    tag(packet(LOCKED), 30),
    "wire/30",
    "wire/30",
    "wire/30",
  ],
  ["from the wire without a tag", PORT.wire, inward, "vif", "vif", "vif"],
  ["from the wire with tag 20", PORT.wire, tag(inward, 20), "vif/20", "vif/20", "vif/20"],
  ["from the wire with tag 30", PORT.wire, tag(inward, 30), "vif/30", "vif/30", "vif/30"],
  ["from the wire with tag 40", PORT.wire, tag(inward, 40), "-", "-", "-"],
  ["its own MAC from the wire with tag 20", PORT.wire, tag(outward, 20), "-", "-", "-"],
  ["from the locked one, into 20", PORT.locked, packet(VIF, LOCKED), "vif/20", "-", "vif/20"],
  [
    "from the mate with tag 20",
    PORT.mate,
    tag(packet(VIF, MATE), 20),
    "vif/20",
    "vif/20",
    "vif/20",
  ],
  [
    "from the mate with tag 30, which it has not",
    PORT.mate,
    tag(packet(VIF, MATE), 30),
    "-",
    "-",
    "-",
  ],
  [
    "from the unlocked one with tag 30",
    PORT.open,
    tag(packet(VIF, OPEN), 30),
    "vif/30",
    "-",
    "vif/30",
  ],
  [
    "from the unlocked one with tag 20, which it has not",
    PORT.open,
    tag(packet(VIF, OPEN), 20),
    "-",
    "-",
    "-",
  ],
];

const NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  ...Object.entries(PORT).map(([name, port]) => [port, name] as const),
  [100, "host"],
]);

describe("a VIF with trunks", () => {
  let ovs: FlowSwitch;
  before(() => {
    ovs = new FlowSwitch([10, 11, 12, 13, 14, 15]);
    const trunk = (vlans: string): string[] => [
      "vlan_mode=native-untagged",
      "tag=0",
      `trunks=${vlans}`,
    ];
    ovs.ovs.vsctl("set", "port", "p10", ...trunk("20,30"));
    ovs.ovs.vsctl("set", "port", "p11", ...trunk("20"));
    ovs.ovs.vsctl("set", "port", "p15", ...trunk("30"));
    for (const port of ["p12", "p13"]) {
      ovs.ovs.vsctl("set", "port", port, "vlan_mode=access", "tag=20");
    }
  });
  after(() => ovs.stop());

  for (const mode of MODES) {
    describe(`that is ${mode}`, () => {
      before(() => ovs.load(trunkView(mode)));
      for (const [name, from, frame, ...fates] of ROWS) {
        test(`${name}: ${fates[MODES.indexOf(mode)]}`, () => {
          assert.equal(fateOf(ovs.trace(from, frame), frame), fates[MODES.indexOf(mode)]);
        });
      }
    });
  }

  for (const mode of ["disabled"] as const) {
    test(`that is ${mode} sends and gets nothing, with whatever tag`, () => {
      ovs.load(trunkView(mode));
      for (const [name, from, frame] of ROWS) {
        const fate = fateOf(ovs.trace(from, frame), frame);
        assert.ok(from === PORT.vif ? fate === "-" : !fate.includes("vif"), `${name}: ${fate}`);
      }
    });
  }
});

function trunkView(mode: string) {
  const vlan = (tagOf: number, ...trunks: number[]): object => ({ vlan: { tag: tagOf, trunks } });
  const base = view();
  const network = (id: number): object => ({
    ...{ bridge: "br0", vlan: id, uplinks: ["p14"] },
    ...(id === 30
      ? {}
      : {
          internal: ["10.0.0.0/24", "fd00::/64"],
          infra: { ipv4: [GATEWAY.ip], macs: [GATEWAY.mac] },
        }),
  });
  return {
    ...base,
    endpoints: [
      vifPolicy(10, { mode, groups: ["web"], ...vlan(0, 20, 30) }),
      vifPolicy(11, { mode: "isolated", groups: ["web"], ...vlan(0, 20) }),
      vifPolicy(12, { mode: "isolated", groups: ["db"], ...vlan(20) }),
      vifPolicy(13, { mode: "locked", ...vlan(20) }),
      vifPolicy(15, { mode: "unlocked", ...vlan(0, 30) }),
    ].map((policy) => endpoint(policy)),
    ports: base.ports.filter(({ kind, ofport }) => kind !== "quarantine" || ofport === LOCAL_PORT),
    networks: new Map([0, 20, 30].map((id) => [id, readNetworkPolicy(network(id))])),
  };
}

/** `push_vlan(vid=20,pcp=0),14,pop_vlan,11`: 14 gets it with a tag, 11 without. */
function fateOf(trace: string, frame: Bytes): string {
  const [, actions = ""] = /^Datapath actions: (.*)$/m.exec(trace) ?? [];
  const view16 = new DataView(frame.buffer, frame.byteOffset);
  let vid = [0x8100, S_TAG].includes(view16.getUint16(12)) ? view16.getUint16(14) & 0xfff : 0;
  const copies: [port: number, name: string][] = [];
  for (const [word, pushed, port] of actions.matchAll(
    /push_vlan\([^)]*vid=(\d+)[^)]*\)|pop_vlan|\b(\d+)\b(?=,|$)/g,
  )) {
    if (port !== undefined) {
      const name = NAMES.get(Number(port)) ?? `port ${port}`;
      copies.push([Number(port), vid === 0 ? name : `${name}/${vid}`]);
    } else {
      vid = word === "pop_vlan" ? 0 : Number(pushed);
    }
  }
  const order = [...NAMES.keys()];
  const sorted = copies.toSorted(([one], [other]) => order.indexOf(one) - order.indexOf(other));
  return sorted.map(([, name]) => name).join(" ") || "-";
}

/** What the words of `allow`, VLANs, two ports and other policies change, by the fate of frames. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { AllowSwitch } from "../../src/vifrules/policy.ts";
import { readNetworkPolicy } from "../../src/vifrules/policy-document.ts";
import { endpoint, PORTS, view, vifPolicy } from "./bench-bridge.ts";
import { BROADCAST, GATEWAY, LOCKED, MATE, OUTSIDE_IP, PORT, VIF } from "./cast.ts";
import { FlowSwitch } from "./flow-switch.ts";
import { arp, type Bytes, eth, ip4, multicastMac, tag, tcp, udp } from "./frame-builder.ts";
import { OUTBOUND_CASES } from "./spoof-cases.ts";

const IP4 = 0x0800;
const VIRTUAL_MAC = "00:00:5e:00:01:07";

/** The word, and frames that pass with it and not without. */
const WORDS: readonly (readonly [AllowSwitch, readonly string[]])[] = [
  ["dhcp-client", ["discover", "DHCPv6 solicit"]],
  ["dhcp-server", ["A2: offers to all", "A2: offers to the mate"]],
  [
    "router-advertisement",
    ["advertises itself as router", "redirects", "A2: queries for listeners"],
  ],
  ["vrrp", ["VRRP"]],
  ["rarp-announce", ["RARP announce"]],
];

function frameOf(name: string): Bytes {
  const found = OUTBOUND_CASES.find((each) => each.name === name);
  assert.ok(found, name);
  return found.frame;
}

describe("planBridgeFlows, by the fate of frames", () => {
  let ovs: FlowSwitch;
  before(() => {
    ovs = new FlowSwitch([10, 11, 12, 13, 14, 15, 16, 19, 20]);
    // Port 20 is nobody's until a test makes it someone's.
    ovs.ovs.ofctl(["mod-port", ovs.ovs.bridge, "20", "no-flood"]);
  });
  after(() => ovs.stop());

  for (const mode of ["locked", "isolated"] as const) {
    for (const [word, names] of WORDS) {
      test(`${mode}, allow ${word}: ${names.join("; ")}`, () => {
        ovs.load(view({}, { mode, allow: [word] }));
        for (const name of names) {
          assert.notEqual(ovs.receivers(PORT.vif, frameOf(name)).length, 0, name);
        }
        ovs.load(view({}, { mode, allow: [] }));
        for (const name of names) {
          assert.deepEqual(ovs.receivers(PORT.vif, frameOf(name)), [], name);
        }
      });
    }

    test(`${mode}, allow vrrp: the virtual MAC may be its source`, () => {
      const packet = ip4({ from: VIF.ip, to: OUTSIDE_IP }, tcp());
      const frame = eth(GATEWAY.mac, VIRTUAL_MAC, IP4, packet);
      const claim = arp({ op: 2, sha: VIRTUAL_MAC, spa: VIF.ip, tpa: VIF.ip });
      ovs.load(view({}, { mode, allow: ["vrrp"] }));
      assert.deepEqual(ovs.receivers(PORT.vif, frame), [PORT.wire]);
      assert.notDeepEqual(ovs.receivers(PORT.vif, eth(BROADCAST, VIRTUAL_MAC, 0x0806, claim)), []);
      ovs.load(view({}, { mode }));
      assert.deepEqual(ovs.receivers(PORT.vif, frame), []);
    });
  }

  test("a virtual router's MAC does not lead into an isolated VIF from other groups", () => {
    ovs.load(view({}, { mode: "isolated", allow: ["vrrp"] }));
    const claim = arp({ op: 2, sha: VIRTUAL_MAC, spa: VIF.ip, tpa: VIF.ip });
    ovs.receivers(PORT.vif, eth(BROADCAST, VIRTUAL_MAC, 0x0806, claim));
    const from = (mac: string, ip: string): Bytes =>
      eth(VIRTUAL_MAC, mac, IP4, ip4({ from: ip, to: VIF.ip }, tcp()));
    assert.ok(!ovs.receivers(PORT.locked, from(LOCKED.mac, LOCKED.ip)).includes(PORT.vif));
    assert.ok(ovs.receivers(PORT.mate, from(MATE.mac, MATE.ip)).includes(PORT.vif));
    assert.deepEqual(ovs.receivers(PORT.wire, from(GATEWAY.mac, OUTSIDE_IP)), [PORT.vif]);
  });

  test("a range locks to its addresses, but for those that no host has", () => {
    ovs.load(view({}, { mode: "locked", ipv4: ["10.0.0.0/24", "126.0.0.0/7"] }));
    const from = (ip: string): Bytes =>
      eth(GATEWAY.mac, VIF.mac, IP4, ip4({ from: ip, to: OUTSIDE_IP }, tcp()));
    assert.deepEqual(ovs.receivers(PORT.vif, from("10.0.0.200")), [PORT.wire]);
    assert.deepEqual(ovs.receivers(PORT.vif, from("126.0.0.1")), [PORT.wire]);
    assert.deepEqual(ovs.receivers(PORT.vif, from("127.0.0.1")), []);
    assert.deepEqual(ovs.receivers(PORT.vif, from("10.0.1.1")), []);
  });

  test("without a network, known VIFs are inner, and the rest is outside", () => {
    ovs.load(view({ networks: new Map() }, { mode: "isolated" }));
    const to = (mac: string, ip: string): readonly number[] =>
      ovs.receivers(PORT.vif, eth(mac, VIF.mac, IP4, ip4({ from: VIF.ip, to: ip }, tcp())));
    assert.deepEqual(to(MATE.mac, MATE.ip), [PORT.mate]);
    assert.deepEqual(to(GATEWAY.mac, GATEWAY.ip), [PORT.wire]);
    assert.deepEqual(to(LOCKED.mac, LOCKED.ip), []);
    assert.deepEqual(to(GATEWAY.mac, LOCKED.ip), []);
  });

  test("tap and vif are one: both get its frames, neither gets its own", () => {
    const pair = endpoint(vifPolicy(13, { mode: "locked" }), { ofports: [13, 20] });
    const others = view().endpoints.filter(({ policy }) => policy.vif !== "vif13.0");
    ovs.load(view({ endpoints: [...others, pair] }));
    const to = eth(LOCKED.mac, GATEWAY.mac, IP4, ip4({ from: OUTSIDE_IP, to: LOCKED.ip }, tcp()));
    assert.deepEqual(ovs.receivers(PORT.wire, to).toSorted(), [13, 20]);
    const all = arp({ sha: LOCKED.mac, spa: LOCKED.ip, tpa: GATEWAY.ip });
    for (const port of [13, 20]) {
      const receivers = ovs.receivers(port, eth(BROADCAST, LOCKED.mac, 0x0806, all));
      assert.deepEqual(receivers.toSorted(), [PORT.wire, PORT.open]);
    }
    const forged = eth(
      BROADCAST,
      LOCKED.mac,
      0x0806,
      arp({ sha: LOCKED.mac, spa: MATE.ip, tpa: GATEWAY.ip }),
    );
    assert.deepEqual(ovs.receivers(20, forged), []);
  });

  test("two VIFs with one MAC and one address both get what is sent to them", () => {
    const twin = { mac: LOCKED.mac, ipv4: [LOCKED.ip], ipv6: [], mode: "locked" };
    ovs.load(view({ endpoints: [...view().endpoints, endpoint(vifPolicy(20, twin))] }));
    const to = eth(LOCKED.mac, GATEWAY.mac, IP4, ip4({ from: OUTSIDE_IP, to: LOCKED.ip }, tcp()));
    assert.deepEqual(ovs.receivers(PORT.wire, to).toSorted(), [13, 20]);
  });

  describe("in a VLAN", () => {
    before(() => {
      const vlan = { tag: 10, trunks: [] };
      const endpoints = [
        endpoint(vifPolicy(10, { mode: "locked", vlan })),
        endpoint(vifPolicy(11, { mode: "locked", vlan })),
        endpoint(vifPolicy(12, { mode: "locked" })),
      ];
      const networks = new Map([[10, readNetworkPolicy({ bridge: "br0", vlan: 10 })]]);
      ovs.ovs.vsctl("set", "port", "p10", "tag=10", "vlan_mode=access");
      ovs.ovs.vsctl("set", "port", "p11", "tag=10", "vlan_mode=access");
      ovs.load(view({ endpoints, networks }));
    });
    const packet = ip4({ from: OUTSIDE_IP, to: VIF.ip }, tcp());
    const fromWire = eth(VIF.mac, GATEWAY.mac, IP4, packet);

    test("the VIF gets what has the tag, and nothing else", () => {
      assert.deepEqual(ovs.receivers(PORT.wire, tag(fromWire, 10)), [PORT.vif]);
      assert.deepEqual(ovs.receivers(PORT.wire, fromWire).includes(PORT.vif), false);
      assert.deepEqual(ovs.receivers(PORT.wire, tag(fromWire, 20)).includes(PORT.vif), false);
    });

    test("what it sends goes out with the tag, and to its neighbour without", () => {
      const out = eth(GATEWAY.mac, VIF.mac, IP4, ip4({ from: VIF.ip, to: OUTSIDE_IP }, tcp()));
      assert.match(ovs.trace(PORT.vif, out), /^Datapath actions: push_vlan\(vid=10,pcp=0\),14$/m);
      const all = arp({ sha: VIF.mac, spa: VIF.ip, tpa: GATEWAY.ip });
      const trace = ovs.trace(PORT.vif, eth(BROADCAST, VIF.mac, 0x0806, all));
      assert.match(trace, /^Datapath actions: push_vlan\(vid=10,pcp=0\),14,pop_vlan,11$/m);
    });

    test("a neighbour in another VLAN has another network", () => {
      const to = eth(VIF.mac, macOfOther(), IP4, ip4({ from: "10.0.0.12", to: VIF.ip }, tcp()));
      assert.ok(!ovs.receivers(PORT.other, to).includes(PORT.vif));
    });
  });

  test("a bond's inactive member floods no VIF, and hands over what is for one", () => {
    const members = [
      { kind: "uplink", ofport: 14, vlans: { untagged: 0, tagged: "all" }, takesFloods: true },
      { kind: "uplink", ofport: 20, vlans: { untagged: 0, tagged: "all" }, takesFloods: false },
    ] as const;
    ovs.load(
      view(
        { ports: [...PORTS.filter(({ kind }) => kind !== "uplink"), ...members] },
        { mode: "locked" },
      ),
    );
    const flood = eth(
      multicastMac("224.0.0.251"),
      GATEWAY.mac,
      IP4,
      ip4({ from: OUTSIDE_IP, to: "224.0.0.251", protocol: 17 }, udp(1, 2)),
    );
    assert.ok(ovs.receivers(14, flood).includes(PORT.vif));
    assert.ok(!ovs.receivers(20, flood).includes(PORT.vif));
    const to = eth(VIF.mac, GATEWAY.mac, IP4, ip4({ from: OUTSIDE_IP, to: VIF.ip }, tcp()));
    assert.deepEqual(ovs.receivers(20, to), [PORT.vif]);
  });
});

function macOfOther(): string {
  return "02:00:00:00:00:12";
}

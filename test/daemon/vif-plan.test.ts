import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planVifs, type VifPlan } from "../../src/daemon/vif-plan.ts";
import { portNamesOf, twinOf } from "../../src/daemon/vif-policy-index.ts";
import type {
  SwitchBridge,
  SwitchInterface,
  SwitchPort,
  SwitchView,
} from "../../src/host/switch-view.ts";
import { mergeSnapshots } from "../../src/metadata/merge-snapshots.ts";
import type { PolicyDocument } from "../../src/metadata/source.ts";
import { readNetworkPolicy, readVifPolicy } from "../../src/vifrules/policy-document.ts";

type PortFacts = {
  readonly ids?: Readonly<Record<string, string>>;
  readonly ofport?: number | null;
  readonly tag?: number;
  readonly fakeBridge?: boolean;
  readonly members?: readonly string[];
};

const ETHER = "00:16:3e:00:00:0";

function deviceOf(bridge: string, port: string, name: string, facts: PortFacts): SwitchInterface {
  return {
    ...{ name, port, bridge, type: "", options: new Map(), error: null, ofportRequest: null },
    ...{ ifindex: null, mac: null, linkUp: null },
    ofport: facts.ofport === undefined ? 1 : facts.ofport,
    externalIds: new Map(Object.entries(facts.ids ?? {})),
  };
}

function portOf(bridge: string, name: string, facts: PortFacts): SwitchPort {
  const members = facts.members ?? [name];
  return {
    ...{ name, bridge, vlanMode: null, trunks: [], bondMode: null, bondActiveMac: null },
    interfaces: members.map((member) => deviceOf(bridge, name, member, facts)),
    tag: facts.tag ?? null,
    fakeBridge: facts.fakeBridge ?? false,
    externalIds: new Map(),
  };
}

/** Bridges and their ports; the bridge's own port is added. */
function switchOf(
  bridges: Readonly<Record<string, Readonly<Record<string, PortFacts>>>>,
): SwitchView {
  const made = Object.entries(bridges).map(([name, ports]): SwitchBridge => {
    const all = Object.entries({ [name]: { ofport: 65_534 }, ...ports });
    return {
      ...{ name, protocols: [], failMode: null, datapathType: "", controllerCount: 0 },
      ...{ externalIds: new Map(), otherConfig: new Map() },
      ports: all.map(([port, facts]) => portOf(name, port, facts)),
    };
  });
  const ports = made.flatMap((bridge) => bridge.ports);
  return {
    bridges: new Map(made.map((bridge) => [bridge.name, bridge])),
    ports: new Map(ports.map((port) => [port.name, port])),
    interfaces: new Map(
      ports.flatMap((port) => port.interfaces.map((device) => [device.name, device])),
    ),
    ...{ ovsVersion: null, otherConfig: new Map(), externalIds: new Map() },
  };
}

function vif(fields: Readonly<Record<string, unknown>>): PolicyDocument {
  return { kind: "vif", policy: readVifPolicy({ bridge: "br0", mac: `${ETHER}5`, ...fields }) };
}

function plan(
  view: SwitchView,
  documents: readonly PolicyDocument[],
  more: { formerBridges?: readonly string[]; reserved?: ReadonlyMap<string, number> } = {},
): VifPlan {
  const snapshot = {
    documents: documents.map((document) => ({ ...document, origin: "test" })),
    problems: [],
  };
  return planVifs({
    view,
    policies: mergeSnapshots([{ trust: "api", snapshot }]),
    vifPattern: /^(vif|tap|vnet)[0-9]/,
    formerBridges: more.formerBridges ?? [],
    reserved: more.reserved ?? new Map(),
  });
}

/** `vif5.0 quarantine: 1,2`, the words that a test is about. */
function shown({ vifs }: VifPlan): readonly string[] {
  return Array.from(vifs.values(), ({ key, sourced, ports, failure, vlan }) => {
    const what = failure ?? (sourced === null ? "quarantine" : sourced.policy.mode);
    const numbers = ports.map(({ name, ofport }) => `${name}=${ofport}`);
    return `${key} ${what} vlan ${vlan}: ${numbers.join(" ")}`.trim();
  }).toSorted();
}

describe("planVifs", () => {
  test("manages the bridges that a policy names, or that were managed, and no other", () => {
    const view = switchOf({ br0: {}, br1: {}, br2: {}, br3: {} });
    const network = { kind: "network", policy: readNetworkPolicy({ bridge: "br2" }) } as const;
    const { bridges, missingBridges } = plan(
      view,
      [vif({ vif: "vif5.0" }), network, vif({ vif: "vif6.0", bridge: "br9" })],
      { formerBridges: ["br3"] },
    );
    assert.deepEqual([...bridges.keys()].toSorted(), ["br0", "br2", "br3"]);
    assert.deepEqual(missingBridges, ["br9"]);
    assert.deepEqual([...plan(view, []).bridges.keys()], []);
  });

  test("a port is a VIF by its policy, its ids or its name; without a policy it is in quarantine", () => {
    const view = switchOf({
      br0: {
        eth0: { ofport: 1 },
        "vif1.0": { ofport: 2 },
        port3: { ofport: 3, ids: { "attached-mac": `${ETHER}3` } },
        port4: { ofport: 4, ids: { "iface-id": "four" } },
        port5: { ofport: 5, ids: { "xs-vif-uuid": "five" } },
        named: { ofport: 6 },
        patch0: { ofport: 7, ids: { other: "x" } },
      },
    });
    const planned = plan(view, [
      vif({ vif: "named" }),
      vif({ ifaceId: "four", mode: "isolated" }),
      vif({ ifaceId: "five", mode: "unlocked" }),
    ]);
    assert.deepEqual(shown(planned), [
      "iface-id five unlocked vlan 0: port5=5",
      "iface-id four isolated vlan 0: port4=4",
      "named locked vlan 0: named=6",
      "port3 quarantine vlan 0: port3=3",
      "vif1.0 quarantine vlan 0: vif1.0=2",
    ]);
    const others = planned.bridges.get("br0")?.others.map(({ name }) => name);
    assert.deepEqual(others, ["eth0", "patch0"]);
  });

  test("on a bridge that is not managed, no port is looked at", () => {
    const view = switchOf({ br0: {}, br1: { "vif5.0": {} } });
    assert.deepEqual(shown(plan(view, [vif({ vif: "vif6.0" })])), ["vif6.0 locked vlan 0:"]);
  });

  test("an emulated device is the same VIF", () => {
    for (const twin of ["tap5.0", "vif5.0-emu"]) {
      const view = switchOf({ br0: { "vif5.0": { ofport: 2 }, [twin]: { ofport: 3 } } });
      assert.deepEqual(shown(plan(view, [vif({ vif: "vif5.0" })])), [
        `vif5.0 locked vlan 0: vif5.0=2 ${twin}=3`,
      ]);
      assert.deepEqual(twinOf(twin), ["vif5.0"]);
      assert.ok(portNamesOf("vif5.0").includes(twin));
    }
    assert.deepEqual(twinOf("vif5.0"), []);
    assert.deepEqual(portNamesOf("vnet3"), ["vnet3"]);
  });

  test("a VIF on another bridge than its policy says is denied, and says so", () => {
    const view = switchOf({ br0: {}, br1: { "vif5.0": { ofport: 2 } } });
    assert.deepEqual(shown(plan(view, [vif({ vif: "vif5.0" })], { formerBridges: ["br1"] })), [
      "vif5.0 it is on bridge br1, its policy says br0 vlan 0: vif5.0=2",
    ]);
  });

  test("a fake bridge is its parent and a VLAN, unless the policy says one", () => {
    const view = switchOf({
      br0: {
        fake7: { tag: 7, fakeBridge: true },
        "vif5.0": { ofport: 2 },
        "vif6.0": { ofport: 3 },
      },
    });
    const planned = plan(view, [
      vif({ vif: "vif5.0", bridge: "fake7" }),
      vif({ vif: "vif6.0", bridge: "fake7", vlan: { tag: 9 } }),
    ]);
    assert.deepEqual(shown(planned), [
      "vif5.0 locked vlan 7: vif5.0=2",
      "vif6.0 locked vlan 9: vif6.0=3",
    ]);
    assert.deepEqual([...planned.bridges.keys()], ["br0"]);
    assert.deepEqual(
      planned.bridges.get("br0")?.others.map(({ name }) => name),
      ["fake7"],
    );
  });

  test("a port that is about to be added has its number already, and none twice", () => {
    const reserved = new Map([["vif5.0", 12]]);
    const document = vif({ vif: "vif5.0" });
    assert.deepEqual(shown(plan(switchOf({ br0: {} }), [document], { reserved })), [
      "vif5.0 locked vlan 0: vif5.0=12",
    ]);
    const added = switchOf({ br0: { "vif5.0": { ofport: 12 } } });
    assert.deepEqual(shown(plan(added, [document], { reserved })), [
      "vif5.0 locked vlan 0: vif5.0=12",
    ]);
  });

  test("a bond is no VIF, whatever it is called", () => {
    const view = switchOf({ br0: { bond0: { members: ["eth0", "eth1"] } } });
    const planned = plan(view, [vif({ vif: "bond0" })]);
    assert.deepEqual(shown(planned), ["bond0 locked vlan 0:"]);
    assert.equal(planned.bridges.get("br0")?.others.length, 1);
  });

  test("a bridge that is not there is what its VIFs wait for", () => {
    assert.deepEqual(shown(plan(switchOf({}), [vif({ vif: "vif5.0" })])), [
      "vif5.0 there is no bridge br0 vlan 0:",
    ]);
  });
});

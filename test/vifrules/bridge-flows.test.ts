import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { findFlowsFault } from "../../src/openflow/check-flow.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import { VIF_PIPELINE } from "../../src/openflow/pipeline.ts";
import { BridgePlanner, planBridgeFlows } from "../../src/vifrules/bridge-flows.ts";
import type { BridgeEndpoint, BridgeFlows } from "../../src/vifrules/bridge-rules.ts";
import { groupMembers } from "../../src/vifrules/groups.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import { readGroupPolicy, readVifPolicy } from "../../src/vifrules/policy-document.ts";
import { endpoint, macOf, view, vifPolicy } from "./bench-bridge.ts";

describe("planBridgeFlows", () => {
  test("makes flows that the pipeline allows, no two with one match", () => {
    assert.equal(findFlowsFault(allFlows(planBridgeFlows(view())), VIF_PIPELINE), null);
  });

  test("makes the same flows of the same view in another order", () => {
    const { endpoints, ports } = view();
    const turned = view({ endpoints: endpoints.toReversed(), ports: ports.toReversed() });
    assert.deepEqual(texts(planBridgeFlows(turned)), texts(planBridgeFlows(view())));
  });
});

describe("planBridgeFlows for many", () => {
  const policies = Array.from({ length: 100 }, (_, index) =>
    manyPolicy(index, { mode: "isolated", groups: ["web"] }),
  );
  const remote = Array.from(
    { length: 900 },
    (_, index) => `10.1.${index >> 8}.${(index * 2) & 0xff}`,
  );
  const groups = groupMembers([readGroupPolicy({ group: "web", members: remote })], policies);
  const many = view({ endpoints: policies.map((policy) => endpoint(policy)), groups });

  test("has four flows for a member and a few for the group, however many VIFs are in it", () => {
    const flows = [...planBridgeFlows(many).sections]
      .filter(([name]) => /^(groups|members)/.test(name))
      .flatMap(([, made]) => made);
    const isIpv4 = ({ match }: Flow): boolean =>
      match.protocol === "ip" || match.protocol === "arp" || match.conjId !== undefined;
    assert.ok(flows.filter(isIpv4).length <= 4_500, `${flows.length} flows`);
  });

  test("takes over the sections of VIFs and of the bridge that stay as they are", () => {
    const planner = new BridgePlanner();
    const former = planner.plan(many);
    const changed = many.endpoints.map((each, index) =>
      index === 7
        ? { ...each, policy: manyPolicy(7, { ipv4: ["10.0.9.9"], mode: "locked" }) }
        : each,
    );
    const next = planner.plan({ ...many, endpoints: changed });
    const others = [...next.sections].filter(
      ([name, flows]) => flows !== former.sections.get(name),
    );
    const names = others.map(([name]) => name.replace(/^(internal 0) \d+$/, "$1"));
    assert.deepEqual([...new Set(names)].toSorted(), ["internal 0", "vif vif1007.0"]);
    assert.ok(names.length < 20, names.join());
    const fresh = planBridgeFlows({ ...many, endpoints: changed });
    assert.deepEqual(texts(next), texts(fresh));
  });

  test("is the same function with a former plan of another bridge altogether", () => {
    const planner = new BridgePlanner();
    planner.plan(many);
    assert.deepEqual(texts(planner.plan(view())), texts(planBridgeFlows(view())));
  });

  test("makes the same flows after any changes as from nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyVif, { minLength: 1, maxLength: 6 })), (steps) => {
        const planner = new BridgePlanner();
        const known = new Map<string, BridgeEndpoint>();
        for (const vifs of steps) {
          const next = viewOfVifs(vifs, known);
          assert.deepEqual(texts(planner.plan(next)), texts(planBridgeFlows(next)));
        }
      }),
      { seed: Number(process.env["VNETD_SEED"] ?? 1), numRuns: 50 },
    );
  });
});

/** Few MACs, addresses and groups: they are shared, and come and go. */
const anyVif = fc.record({
  ofport: fc.integer({ min: 10, max: 15 }),
  mac: fc.integer({ min: 10, max: 13 }).map(macOf),
  mode: fc.constantFrom("locked", "isolated", "unlocked", "disabled"),
  ipv4: fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0/30"), {
    maxLength: 2,
  }),
  groups: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { maxLength: 2 }),
  vlan: fc.record({
    tag: fc.constantFrom(0, 10),
    trunks: fc.uniqueArray(fc.constantFrom(10, 20), { maxLength: 2 }),
  }),
  allow: fc.constantFrom([], ["dhcp-client"], ["vrrp"]),
  isNetwork: fc.boolean(),
});
type AnyVif = typeof anyVif extends fc.Arbitrary<infer T> ? T : never;

/** An endpoint that says the same is the same value, as a daemon's is. */
function viewOfVifs(
  vifs: readonly AnyVif[],
  known: Map<string, BridgeEndpoint>,
): ReturnType<typeof view> {
  const byPort = [...new Map(vifs.map((vif) => [vif.ofport, vif])).values()];
  const endpoints = byPort.map(({ ofport, isNetwork, ...fields }) => {
    const text = JSON.stringify([ofport, fields]);
    const same = known.get(text) ?? endpoint(vifPolicy(ofport, { ipv6: [], ...fields }));
    known.set(text, same);
    return same;
  });
  const isListed = byPort.some(({ isNetwork }) => isNetwork);
  return view({
    endpoints,
    groups: groupMembers(
      [],
      endpoints.map(({ policy }) => policy),
    ),
    ...(isListed ? {} : { networks: new Map() }),
  });
}

function manyPolicy(index: number, changes: object): VifPolicy {
  const [high, low] = [index >> 8, index & 0xff];
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return readVifPolicy({
    ...{ vif: `vif${1_000 + index}.0`, bridge: "br0", mac: `02:01:00:00:${hex(high)}:${hex(low)}` },
    ...{ ipv4: [`10.0.${high}.${low + 1}`], linkLocal: "none", ...changes },
  });
}

function allFlows({ sections }: BridgeFlows): readonly Flow[] {
  return [...sections.values()].flat();
}

function texts(planned: BridgeFlows): readonly string[] {
  return allFlows(planned).map(formatFlow).toSorted();
}

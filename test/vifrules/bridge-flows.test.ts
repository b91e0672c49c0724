import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findFlowsFault } from "../../src/openflow/check-flow.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import { VIF_PIPELINE } from "../../src/openflow/pipeline.ts";
import { planBridgeFlows } from "../../src/vifrules/bridge-flows.ts";
import type { BridgeFlows } from "../../src/vifrules/bridge-rules.ts";
import { groupMembers } from "../../src/vifrules/groups.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import { readGroupPolicy, readVifPolicy } from "../../src/vifrules/policy-document.ts";
import { endpoint, view } from "./bench-bridge.ts";

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
    const flows = planBridgeFlows(many).sections.get("groups") ?? [];
    const isIpv4 = ({ match }: Flow): boolean =>
      match.protocol === "ip" || match.protocol === "arp" || match.conjId !== undefined;
    assert.ok(flows.filter(isIpv4).length <= 4_500, `${flows.length} flows`);
  });

  test("takes over the sections of VIFs and of the bridge that stay as they are", () => {
    const former = planBridgeFlows(many);
    const changed = many.endpoints.map((each, index) =>
      index === 7
        ? { ...each, policy: manyPolicy(7, { ipv4: ["10.0.9.9"], mode: "locked" }) }
        : each,
    );
    const next = planBridgeFlows({ ...many, endpoints: changed }, former);
    const others = [...next.sections].filter(
      ([name, flows]) => flows !== former.sections.get(name),
    );
    assert.deepEqual(others.map(([name]) => name).toSorted(), [
      "network 0",
      "ports",
      "vif vif1007.0",
    ]);
    const fresh = planBridgeFlows({ ...many, endpoints: changed });
    assert.deepEqual(texts(next), texts(fresh));
  });

  test("is the same function with a former plan of another bridge altogether", () => {
    assert.deepEqual(
      texts(planBridgeFlows(view(), planBridgeFlows(many))),
      texts(planBridgeFlows(view())),
    );
  });
});

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

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OwnedFlows } from "../../src/daemon/owned-flows.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { formatFlowMod } from "../../src/openflow/format-flow.ts";

function flow(inPort: number, table = 30): Flow {
  const actions = [{ kind: "resubmit", table }] as const;
  return { cookie: 0x76n << 56n, table: 0, priority: 100, match: { inPort }, actions };
}

const INFRA = [flow(1), flow(2)];
const VIF_A = [flow(10), flow(11)];
const VIF_B = [flow(20)];

function texts(mods: Parameters<typeof formatFlowMod>[0][]): string[] {
  return mods.map(formatFlowMod);
}

describe("OwnedFlows", () => {
  test("what is listed and wanted is left alone, the rest is added or deleted", () => {
    const flows = new OwnedFlows();
    assert.equal(flows.known, false);
    const listed = [flow(1), flow(10), flow(99)].map(
      (each) => ({ kind: "known", flow: each }) as const,
    );
    const desired = new Map([
      ["infra", INFRA],
      ["vif a", VIF_A],
    ]);
    const { mods, parts } = flows.changeTo(desired, listed);
    assert.equal(mods.length, 3);
    assert.deepEqual(
      parts().map(({ section, mods: part }) => [section, part.length]),
      [
        [null, 1],
        ["infra", 1],
        ["vif a", 1],
      ],
    );
    assert.match(texts([...mods])[0] ?? "", /in_port=99/);
  });

  test("a section that is the same array is not looked at", () => {
    const flows = new OwnedFlows();
    flows.note(
      new Map([
        ["infra", INFRA],
        ["vif a", VIF_A],
        ["vif b", VIF_B],
      ]),
    );
    assert.equal(flows.known, true);
    const unread = new Proxy(INFRA, {
      get() {
        throw new Error("it was looked at");
      },
    });
    flows.note(
      new Map([
        ["infra", unread],
        ["vif a", VIF_A],
        ["vif b", VIF_B],
      ]),
    );
    const { mods, parts } = flows.changeTo(
      new Map([
        ["infra", unread],
        ["vif a", [flow(10), flow(11, 10), flow(12)]],
      ]),
      null,
    );
    assert.deepEqual(
      parts().map(({ section, mods: part }) => [section, part.length]),
      [
        [null, 1],
        ["vif a", 2],
      ],
    );
    assert.equal(mods.length, 3);
  });

  test("a flow that moves from one section to another is neither deleted nor added", () => {
    const flows = new OwnedFlows();
    flows.note(new Map([["vif a", VIF_A]]));
    assert.deepEqual(flows.changeTo(new Map([["vif b", [...VIF_A]]]), null).mods, []);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { diffFlows, modsOfDiff } from "../../src/openflow/diff-flows.ts";
import {
  cookieMatches,
  type Flow,
  type FlowMod,
  type InstalledFlow,
} from "../../src/openflow/flow.ts";
import { formatFlow, formatFlowKey, formatFlowMod } from "../../src/openflow/format-flow.ts";
import { anyFlow } from "./flow-arbitraries.ts";

const anyFlows = fc.uniqueArray(anyFlow, { maxLength: 12, selector: formatFlowKey });

function known(flow: Flow): InstalledFlow {
  return { kind: "known", flow };
}

/** A flow table that does what a switch does. */
function applyMods(flows: readonly Flow[], mods: readonly FlowMod[]): string[] {
  const table = new Map(flows.map((flow) => [formatFlowKey(flow), flow]));
  for (const mod of mods) {
    if (mod.kind === "add") {
      table.set(formatFlowKey(mod.flow), mod.flow);
    } else {
      assert.ok(mod.kind === "delete-strict" && mod.flow.kind === "known");
      table.delete(formatFlowKey(mod.flow.flow));
    }
  }
  return Array.from(table.values(), formatFlow).toSorted();
}

describe("diffFlows", () => {
  test("leads from any flows to any others, and touches none that both have", () => {
    const change = fc.constantFrom("keep", "cookie", "actions", "drop");
    fc.assert(
      fc.property(
        anyFlows,
        fc.array(change, { minLength: 12, maxLength: 12 }),
        anyFlows,
        (had, changes, more) => {
          const kept = had.flatMap((flow, index): Flow[] => {
            switch (changes[index]) {
              case "drop":
                return [];
              case "cookie":
                return [{ ...flow, cookie: flow.cookie ^ 1n }];
              case "actions":
                return [{ ...flow, actions: [{ kind: "load", register: 1, value: 4_242 }] }];
              default:
                return [flow];
            }
          });
          const wanted = [
            ...new Map([...kept, ...more].map((flow) => [formatFlowKey(flow), flow])).values(),
          ];
          const diff = diffFlows(had.map(known), wanted);
          assert.deepEqual(applyMods(had, modsOfDiff(diff)), wanted.map(formatFlow).toSorted());
          const before = new Set(had.map(formatFlow));
          const touched = [...diff.added, ...diff.changed];
          assert.ok(touched.every((flow) => !before.has(formatFlow(flow))));
        },
      ),
      { numRuns: 200, endOnFailure: true },
    );
  });

  test("removes what it does not understand before it adds", () => {
    const flow = { cookie: 3n, table: 1, priority: 2, match: {}, actions: [] } as const;
    const matchOctets = Uint8Array.of(0, 1, 0, 4, 0, 0, 0, 0);
    const unknown = {
      kind: "unknown",
      flow: { cookie: 3n, table: 1, priority: 2, matchOctets },
    } as const;
    const mods = modsOfDiff(diffFlows([unknown], [flow]));
    assert.deepEqual(mods.map(formatFlowMod), [
      "delete table=1, priority=2 with a match that is none of ours",
      "add cookie=0x3, table=1, priority=2 actions=drop",
    ]);
  });
});

describe("cookieMatches", () => {
  const cases: readonly (readonly [cookie: bigint, isOurs: boolean])[] = [
    [0x7600_0000_0000_0000n, true],
    [0x7602_ffff_ffff_ffffn, true],
    [0x7700_0000_0000_0000n, false],
    [0n, false],
  ];
  for (const [cookie, isOurs] of cases) {
    test(`0x${cookie.toString(16)}: ${isOurs}`, () => {
      const owner = { cookie: 0x76ab_0000_0000_0000n, mask: 0xff00_0000_0000_0000n };
      assert.equal(cookieMatches(cookie, owner), isOurs);
    });
  }
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PolicyIndex } from "../../src/daemon/vif-policy-index.ts";
import { mergeSnapshots } from "../../src/metadata/merge-snapshots.ts";
import type { PolicyTrust } from "../../src/metadata/source.ts";
import { readVifPolicy } from "../../src/vifrules/policy-document.ts";

/** One source of each trust, each with policies that are told apart by their MACs. */
function index(...sources: readonly [trust: PolicyTrust, ...names: readonly object[]][]) {
  return new PolicyIndex(
    mergeSnapshots(
      sources.map(([trust, ...names], source) => ({
        trust,
        snapshot: {
          documents: names.map((name, number) => ({
            kind: "vif" as const,
            policy: readVifPolicy({
              ...{ ...name, bridge: "br0", mac: `00:16:3e:00:0${source}:0${number}` },
            }),
            origin: `${trust} ${number}`,
          })),
          problems: [],
        },
      })),
    ),
  );
}

describe("PolicyIndex", () => {
  test("the more trusted policy is found, whatever it calls the VIF", () => {
    const policies = index(
      ["file", { ifaceId: "a" }],
      ["api", { vif: "vif5.0" }],
      ["libvirt", { vif: "tap5.0" }],
    );
    assert.equal(policies.find("vif5.0", "a")?.origin, "file 0");
    assert.equal(policies.find("vif5.0", null)?.origin, "api 0");
    assert.equal(policies.find("tap5.0", null)?.origin, "api 0");
    assert.equal(policies.find("vif6.0", null), null);
  });

  test("of one trust, a name is closer than an id, and the own name than the twin's", () => {
    const policies = index(["file", { ifaceId: "a" }, { vif: "vif5.0" }, { vif: "tap5.0" }]);
    assert.equal(policies.find("tap5.0", "a")?.origin, "file 2");
    assert.equal(policies.find("vif5.0-emu", "a")?.origin, "file 1");
    assert.equal(policies.find("vif7.0", "a")?.origin, "file 0");
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findVifPolicy, mergeSnapshots } from "../../src/metadata/merge-snapshots.ts";
import { narrowVifPolicy } from "../../src/metadata/narrow-policy.ts";
import type { PolicyDocument, PolicyTrust, SourcedDocument } from "../../src/metadata/source.ts";
import { DEFAULT_ALLOW, type GroupPolicy, type VifPolicy } from "../../src/vifrules/policy.ts";
import { readVifPolicy } from "../../src/vifrules/policy-document.ts";

const MAC = "00:16:3e:00:00:05";

function vif(fields: object): VifPolicy {
  return readVifPolicy({ vif: "vif5.0", bridge: "xenbr0", mac: MAC, mode: "locked", ...fields });
}

function source(trust: PolicyTrust, ...documents: readonly PolicyDocument[]) {
  const origin = (index: number): string => `${trust} ${index}`;
  const sourced = documents.map(
    (document, index): SourcedDocument => ({ ...document, origin: origin(index) }),
  );
  return { trust, snapshot: { documents: sourced, problems: [] } };
}

const vifDocument = (fields: object): PolicyDocument => ({ kind: "vif", policy: vif(fields) });
const groupDocument = (policy: GroupPolicy): PolicyDocument => ({ kind: "group", policy });

describe("mergeSnapshots", () => {
  test("of two documents about one thing the most trusted source's is in force", () => {
    const merged = mergeSnapshots([
      source("libvirt", vifDocument({ mode: "unlocked" }), vifDocument({ vif: "vnet3" })),
      source("xenstore", vifDocument({ mode: "disabled" })),
      source("api", vifDocument({ mode: "isolated" })),
      source("file", vifDocument({ ipv4: ["10.0.0.5"] })),
    ]);
    assert.deepEqual(
      merged.vifs.map(({ policy, origin }) => [policy.vif, policy.mode, origin]),
      [
        ["vif5.0", "locked", "file 0"],
        ["vnet3", "locked", "libvirt 1"],
      ],
    );
    assert.deepEqual(merged.problems, []);
  });

  test("a second document of one source is a problem, the first stays in force", () => {
    const web = { group: "web", members: [] };
    const merged = mergeSnapshots([source("file", groupDocument(web), groupDocument(web))]);
    assert.equal(merged.groups.length, 1);
    assert.deepEqual(
      merged.problems.map(({ message }) => message),
      ["file 1: a second document about group web; file 0 is in force"],
    );
  });

  test("groups and networks of several sources stand side by side", () => {
    const network = { bridge: "xenbr0", vlan: 0 };
    const merged = mergeSnapshots([
      source("api", groupDocument({ group: "web", members: [] })),
      source("file", groupDocument({ group: "db", members: [] })),
    ]);
    assert.deepEqual(merged.groups.map(({ policy }) => policy.group).sort(), ["db", "web"]);
    assert.deepEqual(merged.networks, [], JSON.stringify(network));
  });
});

describe("findVifPolicy", () => {
  const port = (name: string, ifaceId: string | null = null) => ({ name, ifaceId });

  test("a port has a policy by its name or by its iface-id, the more trusted one of both", () => {
    const merged = mergeSnapshots([
      source("xenstore", vifDocument({ vif: "vif5.0", mode: "unlocked" })),
      source("file", vifDocument({ vif: undefined, ifaceId: "abc", mode: "disabled" })),
    ]);
    assert.equal(findVifPolicy(merged, port("vif5.0"))?.policy.mode, "unlocked");
    assert.equal(findVifPolicy(merged, port("vif5.0", "abc"))?.policy.mode, "disabled");
    assert.equal(findVifPolicy(merged, port("vif5.0", "abcd"))?.policy.mode, "unlocked");
    assert.equal(findVifPolicy(merged, port("vif5.1")), null);
  });

  test("an emulated interface has the policy of its paravirtual twin, or its own", () => {
    const both = [vifDocument({ vif: "tap6.0", mode: "disabled" }), vifDocument({ vif: "vif6.0" })];
    const merged = mergeSnapshots([source("xenstore", vifDocument({}), ...both)]);
    assert.equal(findVifPolicy(merged, port("tap5.0"))?.policy.vif, "vif5.0");
    assert.equal(findVifPolicy(merged, port("tap6.0"))?.policy.mode, "disabled");
    assert.equal(findVifPolicy(merged, port("vif5.0-emu"))?.policy.vif, "vif5.0");
    assert.equal(findVifPolicy(merged, port("tap5.00")), null);
  });

  test("what a guest says alone is no policy", () => {
    const merged = mergeSnapshots([source("guest", vifDocument({ mode: "unlocked" }))]);
    assert.deepEqual(merged.vifs, []);
    assert.equal(findVifPolicy(merged, port("vif5.0")), null);
  });

  test("what a guest says narrows its policy", () => {
    const merged = mergeSnapshots([
      source("guest", vifDocument({ ipv4: ["10.0.0.6"] })),
      source("file", vifDocument({ ipv4: ["10.0.0.5", "10.0.0.6"] })),
    ]);
    assert.deepEqual(findVifPolicy(merged, port("vif5.0"))?.policy.ipv4, ["10.0.0.6"]);
  });
});

describe("narrowVifPolicy", () => {
  const base = vif({ ipv4: ["10.0.0.5", "10.1.0.0/16"], ipv6: ["fd00::5"], groups: ["web"] });

  test("never widens: what the guest adds is not taken over", () => {
    const greedy = vif({
      mode: "unlocked",
      ipv4: ["0.0.0.0/1", "10.0.0.5", "10.1.2.0/24", "10.2.0.1"].slice(1),
      ipv6: ["fd00::/8"],
      groups: ["web", "db"],
      allow: ["dhcp-client", "dhcp-server", "vrrp"],
    });
    const narrowed = narrowVifPolicy(base, greedy);
    assert.equal(narrowed.mode, "locked");
    assert.deepEqual(narrowed.ipv4, ["10.0.0.5", "10.1.2.0/24"]);
    assert.deepEqual(narrowed.ipv6, ["fd00::5"]);
    assert.deepEqual(narrowed.groups, ["web"]);
    assert.deepEqual(narrowed.allow, DEFAULT_ALLOW);
  });

  test("a stricter mode is taken over, a laxer one is not", () => {
    const modes = ["unlocked", "locked", "isolated", "disabled"] as const;
    for (const [index, mode] of modes.entries()) {
      const results = modes.map(
        (wished) => narrowVifPolicy(vif({ mode }), vif({ mode: wished })).mode,
      );
      assert.deepEqual(
        results,
        modes.map((wished, other) => (other > index ? wished : mode)),
      );
    }
  });

  test("a guest of an unlocked VIF may lock itself, and joins no group that way", () => {
    const narrowed = narrowVifPolicy(
      vif({ mode: "unlocked" }),
      vif({ mode: "isolated", ipv4: ["10.0.0.9"], groups: ["db"] }),
    );
    assert.deepEqual(
      [narrowed.mode, narrowed.ipv4, narrowed.groups],
      ["isolated", ["10.0.0.9"], []],
    );
  });

  test("bridge, VLAN and link-local lists stay the administrator's", () => {
    const wish = vif({ bridge: "xenbr9", vlan: { tag: 7, trunks: [] }, linkLocal: ["fe80::1"] });
    const narrowed = narrowVifPolicy(base, wish);
    assert.deepEqual([narrowed.bridge, narrowed.vlan.tag], ["xenbr0", 0]);
    assert.equal(narrowed.linkLocal, "auto");
    assert.equal(narrowVifPolicy(base, vif({ linkLocal: "none" })).linkLocal, "none");
  });

  test("a wish about another MAC changes nothing", () => {
    assert.equal(narrowVifPolicy(base, vif({ mac: "00:16:3e:00:00:06", mode: "disabled" })), base);
  });
});

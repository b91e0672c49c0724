import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { openXenopsdSource, type XenopsdSource } from "../../src/metadata/xenopsd-source.ts";

const VM = "6c4a7c1e-0000-4000-8000-000000000001";
const HINT = { vif: "vif5.0", vm: VM, devid: 0, backend: "xenlight" };

let directory = "";
let file = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "vnetd-xenopsd-"));
  mkdirSync(join(directory, "xenlight/VM", VM), { recursive: true, mode: 0o755 });
  file = join(directory, "xenlight/VM", VM, "vif.0");
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** As xenopsd writes it. */
function xenopsdText(fields: object = {}): string {
  return JSON.stringify({
    ...{ id: [VM, "0"], position: 0, mac: "00:16:3E:00:00:05", carrier: true, mtu: 1500 },
    ...{ rate: null, backend: ["Local", "xenbr0"], other_config: [["ethtool-gso", "off"]] },
    locking_mode: ["Locked", { ipv4: ["10.0.0.5"], ipv6: ["fd00::5"] }],
    extra_private_keys: [["vif-uuid", VM]],
    ...fields,
  });
}

async function read(text: string | null): Promise<XenopsdSource> {
  if (text !== null) {
    writeFileSync(file, text, { mode: 0o644 });
  }
  const source = await openXenopsdSource({ directory, ownerUid: process.getuid?.() ?? 0 });
  await source.refresh(HINT);
  return source;
}

function policyOf(source: XenopsdSource) {
  const [document] = source.snapshot().documents;
  return document?.kind === "vif" ? document.policy : null;
}

describe("XenopsdSource", () => {
  test("the file that a hint names is the VIF's policy", async () => {
    assert.deepEqual(policyOf(await read(xenopsdText())), {
      ...{ vif: "vif5.0", bridge: "xenbr0", mac: "00:16:3e:00:00:05", mode: "locked" },
      ...{ ipv4: ["10.0.0.5"], ipv6: ["fd00::5"], linkLocal: "auto", groups: [] },
      ...{ allow: ["dhcp-client"], vlan: { tag: 0, trunks: [] }, vm: VM, devid: 0 },
    });
  });

  const modes: readonly [name: string, fields: object, mode: string][] = [
    ["a word", { locking_mode: "Unlocked" }, "unlocked"],
    ["a word in a list", { locking_mode: ["Disabled"] }, "disabled"],
    ["a stricter one of ours", { other_config: [["vnetd-mode", "isolated"]] }, "isolated"],
    ["a laxer one of ours", { other_config: { "vnetd-mode": "unlocked" } }, "locked"],
  ];
  for (const [name, fields, mode] of modes) {
    test(`a locking mode: ${name}`, async () => {
      assert.equal(policyOf(await read(xenopsdText(fields)))?.mode, mode);
    });
  }

  test("our keys of other-config say what xapi has no words for", async () => {
    const own = {
      "vnetd-mode": "isolated",
      "vnetd-groups": "web, db",
      "vnetd-allow": "",
      "vnetd-ipv4": "10.0.0.9",
      "vnetd-link-local": "fe80::9",
      "vnetd-vlan-tag": "7",
    };
    const policy = policyOf(await read(xenopsdText({ other_config: own })));
    assert.deepEqual(policy?.groups, ["web", "db"]);
    assert.deepEqual([policy?.allow, policy?.ipv4, policy?.ipv6], [[], ["10.0.0.9"], ["fd00::5"]]);
    assert.deepEqual([policy?.linkLocal, policy?.vlan.tag], [["fe80::9"], 7]);
  });

  const bad: readonly [name: string, text: string, message: RegExp][] = [
    ["half a file", xenopsdText().slice(0, 99), /vif\.0: Not JSON/],
    [
      "a bad address",
      xenopsdText({ locking_mode: ["Locked", { ipv4: ["10.0.0.300"], ipv6: [] }] }),
      /Key "locking_mode\.ipv4": .*"10\.0\.0\.300"/,
    ],
    [
      "two addresses in one",
      xenopsdText({ locking_mode: ["Locked", { ipv4: ["10.0.0.3,10.0.0.4"], ipv6: [] }] }),
      /Key "locking_mode\.ipv4": .*10\.0\.0\.3,10\.0\.0\.4/,
    ],
    ["an unknown mode", xenopsdText({ locking_mode: "Open" }), /"locking_mode": .*"open"/],
    ["a lock without lists", xenopsdText({ locking_mode: ["Locked"] }), /"locking_mode"/],
    ["another host's network", xenopsdText({ backend: ["Remote", "a", "b"] }), /"backend"/],
    ["a bad MAC", xenopsdText({ mac: "00:16:3e:00:00:005" }), /"mac": .*00:16:3e:00:00:005/],
    [
      "an unknown key of ours",
      xenopsdText({ other_config: [["vnetd-group", "web"]] }),
      /Unknown key "other_config\.vnetd-group".*"web"/,
    ],
  ];
  for (const [name, text, message] of bad) {
    test(`${name} is named, and the last good policy stays`, async () => {
      const source = await read(xenopsdText());
      const good = policyOf(source);
      writeFileSync(file, text);
      await source.refresh();
      assert.equal(policyOf(source), good);
      assert.match(source.snapshot().problems[0]?.message ?? "", message);
    });
  }

  test("a file that is gone before clear keeps what it said, until the VIF is forgotten", async () => {
    const source = await read(xenopsdText());
    rmSync(file);
    await source.refresh();
    assert.equal(policyOf(source)?.vif, "vif5.0");
    source.forget("vif vif6.0");
    assert.equal(policyOf(source)?.vif, "vif5.0");
    source.forget("vif vif5.0");
    assert.deepEqual(source.snapshot(), { documents: [], problems: [] });
  });

  test("others' files and others' paths are not read", async () => {
    const source = await read(xenopsdText());
    source.forget("vif vif5.0");
    chmodSync(file, 0o666);
    await source.refresh(HINT);
    assert.match(source.snapshot().problems[0]?.message ?? "", /not trusted/);
    for (const hint of [
      { ...HINT, backend: "../../etc" },
      { ...HINT, vm: "../.." },
      { ...HINT, devid: -1 },
    ]) {
      await source.refresh(hint);
    }
    assert.equal(source.snapshot().problems.length, 1);
    assert.equal(policyOf(source), null);
  });

  test("without a file there is neither a policy nor a problem", async () => {
    assert.deepEqual((await read(null)).snapshot(), { documents: [], problems: [] });
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { StateFileError } from "../../src/daemon/durable-document.ts";
import {
  EMPTY_VIF_RULES,
  VifPolicyStore,
  withDocument,
  withoutSubjects,
} from "../../src/daemon/vif-policy-store.ts";
import { parseInterfaceName } from "../../src/net/interface-name.ts";
import {
  readGroupPolicy,
  readNetworkPolicy,
  readVifPolicy,
} from "../../src/vifrules/policy-document.ts";

const VIF = readVifPolicy({
  vif: "vif5.0",
  bridge: "xenbr0",
  mac: "00:16:3e:00:00:05",
  ipv4: ["10.0.0.5"],
});
const GROUP = readGroupPolicy({ group: "web", members: ["10.0.0.5", "fd00::/64"] });
const NETWORK = readNetworkPolicy({ bridge: "xenbr0", internal: ["10.0.0.0/24"] });
const STORED = {
  vifs: [VIF],
  groups: [GROUP],
  networks: [NETWORK],
  bridges: [{ bridge: parseInterfaceName("xenbr0"), formerFailMode: null }],
  logged: [parseInterfaceName("vif5.0")],
};

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-rules-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function reopened(): Promise<VifPolicyStore> {
  const store = new VifPolicyStore(folder);
  await store.load();
  return store;
}

describe("VifPolicyStore", () => {
  test("what was saved is there after a restart, and is a source of policies", async () => {
    const store = await reopened();
    assert.deepEqual(store.stored, EMPTY_VIF_RULES);
    assert.deepEqual(store.snapshot().documents, []);
    store.change(STORED);
    await store.save();
    const again = await reopened();
    assert.deepEqual(again.stored, STORED);
    assert.deepEqual(
      again.snapshot().documents.map(({ kind, origin }) => [kind, origin]),
      [
        ["vif", "api"],
        ["group", "api"],
        ["network", "api"],
      ],
    );
  });

  test("says that it has changed, and is another snapshot only when a policy has", async () => {
    const store = await reopened();
    let changeCount = 0;
    const end = store.onChange(() => {
      changeCount += 1;
    });
    store.change(STORED);
    const snapshot = store.snapshot();
    store.change({ ...STORED, logged: [] });
    assert.equal(store.snapshot(), snapshot);
    store.change({ ...STORED, vifs: [] });
    assert.notEqual(store.snapshot(), snapshot);
    assert.equal(changeCount, 3);
    end();
    store.change(STORED);
    assert.equal(changeCount, 3);
  });

  const REFUSED = [
    ["{", /it is not whole JSON/],
    ["[]", /at its top/],
    ['{"schema":2,"vifs":[],"groups":[],"networks":[],"bridges":[],"logged":[]}', /at schema/],
    ['{"schema":1,"vifs":[],"groups":[],"networks":[],"bridges":[]}', /at logged/],
    [
      '{"schema":1,"vifs":[{"vif":"v","bridge":"b","mac":"x"}],"groups":[],"networks":[],"bridges":[],"logged":[]}',
      /at vifs\.0: .*"mac".*"x"/,
    ],
  ] as const;
  for (const [text, why] of REFUSED) {
    test(`refuses ${text.slice(0, 40)} and leaves it as it is`, async () => {
      const path = join(folder, "vif-rules.json");
      writeFileSync(path, text);
      await assert.rejects(reopened(), (error: Error) => {
        assert.ok(error instanceof StateFileError);
        assert.match(error.message, why);
        assert.ok(error.message.includes(path));
        return true;
      });
      assert.equal(readFileSync(path, "utf8"), text);
    });
  }

  test("a save that fails is told", async () => {
    const store = await reopened();
    rmSync(folder, { recursive: true });
    store.change(STORED);
    await assert.rejects(store.save(), StateFileError);
    await reopened();
  });
});

describe("withDocument and withoutSubjects", () => {
  test("a policy about the same thing is replaced, another one stays", () => {
    const locked = { ...VIF, mode: "disabled" } as const;
    const other = readVifPolicy({ ifaceId: "abc", bridge: "xenbr0", mac: "00:16:3e:00:00:06" });
    const both = withDocument(STORED, { kind: "vif", policy: other });
    assert.deepEqual(withDocument(both, { kind: "vif", policy: locked }).vifs, [other, locked]);
    const left = withoutSubjects(both, new Set(["vif vif5.0", "group web"] as const));
    assert.deepEqual([left.vifs, left.groups], [[other], []]);
    assert.equal(left.networks, STORED.networks);
  });
});

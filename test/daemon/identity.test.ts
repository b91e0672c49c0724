import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { StateFileError } from "../../src/daemon/durable-document.ts";
import { startIdentity, storeSenderId } from "../../src/daemon/identity.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-identity-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

let drawn = 0;
const start = (unixSeconds: number) =>
  startIdentity({
    stateDirectory: join(folder, "state"),
    randomBytes: (count) => {
      drawn += 1;
      return new Uint8Array(count).fill(drawn);
    },
    unixSeconds: () => unixSeconds,
  });

describe("startIdentity", () => {
  test("keeps the sender id and raises the boot counter, whatever the clock says", async () => {
    const first = await start(1_800_000_000.7);
    assert.equal(first.bootCounter, 1_800_000_000n);
    const path = join(folder, "state", "sender-id");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    // Ten years back, the same second again, and a clock that is not set.
    for (const [index, seconds] of [1_500_000_000, 1_800_000_000, 0].entries()) {
      const next = await start(seconds);
      assert.deepEqual(next.senderId, first.senderId);
      assert.equal(next.bootCounter, first.bootCounter + BigInt(index + 1));
    }
    assert.equal((await start(2_100_000_000)).bootCounter, 2_100_000_000n);
  });

  test("draws a new sender id where there is none that can be read", async () => {
    const first = await start(1);
    for (const text of ["", "0123\n", `${"0".repeat(31)}g\n`, `${"0".repeat(32)}`]) {
      writeFileSync(join(folder, "state", "sender-id"), text, { mode: 0o600 });
      const next = await start(1);
      assert.notDeepEqual(next.senderId, first.senderId);
      assert.deepEqual((await start(1)).senderId, next.senderId);
    }
  });

  test("takes a sender id that was written down since", async () => {
    await start(1);
    const senderId = new Uint8Array(16).fill(0xab);
    await storeSenderId(join(folder, "state"), senderId);
    assert.deepEqual((await start(1)).senderId, senderId);
    assert.equal(readFileSync(join(folder, "state", "sender-id"), "utf8"), `${"ab".repeat(16)}\n`);
  });

  test("fails when it cannot write down what it would use", async () => {
    writeFileSync(join(folder, "state"), "a file, not a folder");
    await assert.rejects(start(1), StateFileError);
  });
});

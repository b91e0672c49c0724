import assert from "node:assert/strict";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isOvsRunning } from "../../src/host/ovs-probe.ts";

describe("isOvsRunning()", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "vnt-ovs-"));
  });
  after(async () => {
    await rm(directory, { recursive: true });
  });

  test("is false without a socket, true while somebody listens, false after", async () => {
    assert.equal(await isOvsRunning(directory), false);
    const server = createServer();
    const boundPath = join(directory, "bound");
    await new Promise<void>((resolve) => {
      server.listen(boundPath, resolve);
    });
    await rename(boundPath, join(directory, "db.sock"));
    assert.equal(await isOvsRunning(directory), true);
    await new Promise((resolve) => {
      server.close(resolve);
    });
    // The file is still there, as after a crash.
    assert.equal(await isOvsRunning(directory), false);
  });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { RunDirectoryError, takeRunDirectory } from "../../src/daemon/run-directory.ts";

describe("takeRunDirectory", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-run-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test("makes it, writes the pid, and gives it back whole", async () => {
    const path = join(folder, "new", "run");
    const taken = await takeRunDirectory(path);
    assert.equal(readFileSync(join(path, "vnetd.pid"), "utf8"), `${process.pid}\n`);
    assert.equal(taken.dataplaneSocket, join(path, "dp.sock"));
    await taken.release();
    assert.equal(existsSync(join(path, "vnetd.pid")), false);
    await (await takeRunDirectory(path)).release();
  });

  test("is one daemon's at a time, by whatever name; others run beside it", async () => {
    const taken = await takeRunDirectory(folder);
    const other = `${folder}-link`;
    symlinkSync(folder, other);
    await assert.rejects(takeRunDirectory(other), RunDirectoryError);
    await assert.rejects(takeRunDirectory(folder), /Another vnetd uses /);
    rmSync(other);
    const beside = await takeRunDirectory(join(folder, "beside"));
    await beside.release();
    await taken.release();
  });

  test("an API socket that answers is another daemon's, even one of another namespace", async () => {
    const server = createServer();
    server.listen(join(folder, "vnetd.sock"));
    await once(server, "listening");
    await assert.rejects(takeRunDirectory(folder), /Another vnetd serves on .*vnetd\.sock/);
    server.close();
    await once(server, "close");
    await (await takeRunDirectory(folder)).release();
  });

  test("what a killed daemon left is no hindrance", async () => {
    // It listens on the API socket and is killed: the file stays.
    const script = `require("node:net").createServer().listen(process.argv[1], () => console.log("up"))`;
    const child = spawn(process.execPath, ["-e", script, join(folder, "vnetd.sock")]);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    writeFileSync(join(folder, "vnetd.pid"), "1\n");
    assert.ok(existsSync(join(folder, "vnetd.sock")));
    await (await takeRunDirectory(folder)).release();
  });

  test("one that cannot be made is told", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await assert.rejects(takeRunDirectory(join(file, "run")), /Cannot use run directory .*ENOTDIR/);
  });
});

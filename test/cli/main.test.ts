import assert from "node:assert/strict";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type FakeDaemon, runProgram, startFakeDaemon, VN } from "./vn-process.ts";

describe("the program vn", () => {
  let daemon: FakeDaemon;
  const vn = async (args: readonly string[], input?: string) =>
    await runProgram(process.execPath, [VN, ...args], {
      env: { VNETD_RUN_DIR: daemon.runDir },
      cwd: daemon.runDir,
      ...(input === undefined ? {} : { input }),
    });
  before(async () => {
    daemon = await startFakeDaemon();
  });
  after(async () => {
    await daemon.close();
  });

  test("creates from a file and from standard input, lists, deletes", async () => {
    await writeFile(join(daemon.runDir, "a.sxp"), "(vnet (id 97) (bridge vnet97))\n");
    assert.deepEqual(await vn(["vnet-create", "a.sxp"]), { status: 0, stdout: "", stderr: "" });
    assert.deepEqual(await vn(["vnet-create", "-"], "(vnet (id 98))"), {
      status: 0,
      stdout: "",
      stderr: "",
    });
    const { stdout } = await vn(["vnets"]);
    assert.equal(stdout.split("\n")[1], "97    vnif0097  vnet97    none      up");
    assert.equal((await vn(["vnet-delete", "-b", "97", "98"])).status, 0);
    assert.equal((await vn(["vnets", "--json"])).stdout, "[]\n");
  });

  test("exit status is 1 for what failed, 2 for bad input, 3 without a daemon", async () => {
    const one = await vn(["vnet-delete", "97"]);
    const two = await vn(["vnet-create", "0"]);
    const three = await vn(["vnets", "--run-dir", "/nonexistent"]);
    assert.deepEqual([one.status, two.status, three.status], [1, 2, 3]);
    for (const { stdout, stderr } of [one, two, three]) {
      assert.equal(stdout, "");
      assert.match(stderr, /^vn: [^\n]+\n$/);
    }
  });

  test("says what is wrong with a file it cannot read, and ends with status 2", async () => {
    await mkdir(join(daemon.runDir, "folder"), { recursive: true });
    await writeFile(join(daemon.runDir, "bad.sxp"), "(vnet\n  (id zz))");
    const CASES: readonly (readonly [path: string, line: RegExp])[] = [
      ["none.sxp", /^vn: cannot read the vnet file: no such file or directory \("none\.sxp"\)\n$/],
      [
        "folder",
        /^vn: cannot read the vnet file: illegal operation on a directory \("folder"\)\n$/,
      ],
      ["bad.sxp", /^vn: vnet-create: bad\.sxp:2:7: Not a vnet id .*"zz"\)\n$/],
      [
        "/dev/zero",
        /^vn: vnet-create: \/dev\/zero: S-expression has \d+ characters, at most \d+ are read\n$/,
      ],
    ];
    for (const [path, line] of CASES) {
      const { status, stderr } = await vn(["vnet-create", path]);
      assert.match(stderr, line);
      assert.equal(status, 2);
    }
    assert.deepEqual(await daemon.api.listVnets([]), []);
  });

  test("a reader that goes away is no failure", async () => {
    const { status, stderr } = await runProgram(
      "bash",
      ["-o", "pipefail", "-c", '"$0" "$1" vnets --help | true', process.execPath, VN],
      { env: { VNETD_RUN_DIR: daemon.runDir } },
    );
    assert.deepEqual([status, stderr], [0, ""]);
  });

  test("a reader that goes away in the middle is none either", async () => {
    daemon.api.evaluate = async () => "x\n".repeat(1_000_000);
    const { status, stdout, stderr } = await runProgram(
      "bash",
      ["-o", "pipefail", "-c", '"$0" "$1" eval "(varp.list)" | head -n 1', process.execPath, VN],
      { env: { VNETD_RUN_DIR: daemon.runDir } },
    );
    assert.deepEqual([status, stdout, stderr], [0, "x\n", ""]);
  });

  test("output that cannot be written is status 1 and one line", async () => {
    const { status, stderr } = await runProgram("sh", [
      "-c",
      '"$0" "$1" --help >/dev/full',
      process.execPath,
      VN,
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /^vn: cannot write the output: ENOSPC[^\n]*\n$/);
  });

  test("output of more than a pipe holds arrives whole", async () => {
    const expected = "x".repeat(1_000_000);
    daemon.api.evaluate = async () => expected;
    const { stdout, status } = await vn(["eval", "(varp.list)"]);
    assert.equal(status, 0);
    assert.ok(stdout === `${expected}\n`);
  });

  test("without permission says so and ends with status 3", {
    skip: process.getuid?.() !== 0,
  }, async () => {
    await chmod(daemon.runDir, 0o755);
    // Loaded as root and then without: the checkout may be where only root can read.
    const script = `
      const { run } = await import(process.argv[1] + "/program.js");
      const { createControlClient } = await import(process.argv[1] + "/../control/client.js");
      process.setgid(65534);
      process.setuid(65534);
      process.exitCode = await run(["vnets"], {
        runDir: process.env.VNETD_RUN_DIR,
        stdout: (text) => process.stdout.write(text),
        stderr: (text) => process.stderr.write(text),
        readFile: () => new Uint8Array(),
        connect: createControlClient,
      });`;
    const { status, stderr } = await runProgram(
      process.execPath,
      ["--input-type=module", "-e", script, join(VN, "..")],
      { env: { VNETD_RUN_DIR: daemon.runDir } },
    );
    assert.match(
      stderr,
      /^vn: cannot reach vnetd: permission denied, be root or a member of the group vnetd \(.*\)\n$/,
    );
    assert.equal(status, 3);
  });
});

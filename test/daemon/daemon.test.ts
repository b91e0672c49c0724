/** The daemon as a process, as far as it runs without rights: `--underlay none` makes no device. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/daemon/main.js", import.meta.url));

type Ended = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

describe("vnetd without rights", () => {
  let folder = "";
  const children: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-main-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    rmSync(folder, { recursive: true });
  });

  function start(...args: readonly string[]): {
    child: ChildProcess;
    ended: Promise<Ended>;
    says: (text: string) => Promise<void>;
  } {
    const child = spawn(
      process.execPath,
      [
        ...[MAIN, "--run-dir", join(folder, "run"), "--state-dir", join(folder, "state")],
        ...["--config", "/dev/null", "--underlay", "none", ...args],
      ],
      { env: { ...process.env, NOTIFY_SOCKET: "" } },
    );
    children.push(child);
    const output = { stdout: "", stderr: "" };
    let onOutput: () => void = () => {};
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
      onOutput();
    });
    const ended = once(child, "close").then(([status]) => ({
      status: status as number | null,
      ...output,
    }));
    const says = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        onOutput = () => {
          if (output.stderr.includes(text)) {
            resolve();
          }
        };
        onOutput();
        ended.then(({ stderr }) => reject(new Error(`It ended: ${stderr}`)), reject);
      });
    return { child, ended, says };
  }

  function get(path: string, where: object): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ path, ...where }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      asked.on("error", reject);
      asked.end();
    });
  }

  test("serves its socket, and leaves nothing on SIGTERM", async () => {
    const { child, ended, says } = start("--metrics", "127.0.0.1:19111", "--log-format", "text");
    await says("vnetd serves");
    const socketPath = join(folder, "run", "vnetd.sock");
    const status = JSON.parse((await get("/status", { socketPath })).text);
    assert.equal(status.serving, true);
    assert.deepEqual([status.dataplane.state, status.underlay.error], ["off", null]);
    assert.equal(status.pid, child.pid);
    assert.match(
      (await get("/metrics", { host: "127.0.0.1", port: 19_111 })).text,
      /^vnetd_up 1$/m,
    );
    assert.equal((await get("/vnets/97", { socketPath })).status, 404);
    child.kill("SIGTERM");
    const { status: exitStatus, stderr } = await ended;
    assert.equal(exitStatus, 0);
    assert.match(stderr, /^[0-9:.]+ info stopping signal=SIGTERM$/m);
    for (const file of ["vnetd.sock", "vnetd.pid"]) {
      assert.equal(existsSync(join(folder, "run", file)), false, file);
    }
  });

  test("a second one on the same run directory ends, the first goes on", async () => {
    const first = start();
    await first.says("vnetd serves");
    const second = await start().ended;
    assert.equal(second.status, 1);
    assert.match(second.stderr, /^vnetd: Another vnetd (uses|serves on) /);
    const socketPath = join(folder, "run", "vnetd.sock");
    assert.equal((await get("/status", { socketPath })).status, 200);
    first.child.kill("SIGINT");
    assert.equal((await first.ended).status, 0);
  });

  test("logs a JSON line an event when nobody watches", async () => {
    const { child, ended, says } = start();
    await says("vnetd serves");
    child.kill("SIGTERM");
    const lines = (await ended).stderr.trimEnd().split("\n");
    for (const line of lines) {
      const { level, time, msg } = JSON.parse(line);
      assert.equal(typeof level, "number");
      assert.ok(Number.isFinite(Date.parse(time)));
      assert.equal(typeof msg, "string");
    }
  });

  for (const [name, args, status, message] of [
    ["a wrong flag", ["--prot"], 2, /^vnetd: unknown option '--prot'.*\n$/],
    ["a user that does not exist", ["--user", "no such"], 2, /^vnetd: No such user: no such/],
    ["a start-up file that is missing", ["-f", "/nonexistent"], 2, /^vnetd: Cannot use start-up/],
    [
      "a metrics address that is not ours",
      ["--metrics", "192.0.2.77:9111"],
      1,
      /^vnetd: listen EADDRNOTAVAIL.*192\.0\.2\.77:9111\n$/,
    ],
  ] as const) {
    test(`${name} ends it with ${status} and one line`, async () => {
      const ended = await start("--log-level", "fatal", ...args).ended;
      assert.equal(ended.status, status);
      assert.match(ended.stderr, message);
      assert.equal(ended.stdout, "");
      assert.equal(existsSync(join(folder, "run", "vnetd.pid")), false);
    });
  }

  test("--help and --version go to standard output", async () => {
    const help = await start("--help").ended;
    assert.deepEqual([help.status, help.stderr], [0, ""]);
    assert.match(help.stdout, /^Usage: vnetd/);
  });

  test("a start-up file's command that fails ends it with its reason", async () => {
    const file = join(folder, "start.sxp");
    writeFileSync(file, "(peer.add (addr 127.0.0.1))\n");
    const ended = await start("-f", file, "--log-level", "fatal").ended;
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /^vnetd: Cannot add peer "127\.0\.0\.1": it is an address of this/);
  });

  test("a start-up file's peers and group are set once, and again at the next start", async () => {
    const file = join(folder, "start.sxp");
    writeFileSync(file, "(peer.add (addr 192.0.2.9))\n(varp.mcaddr (addr 224.10.0.3))\n");
    for (let round = 0; round < 2; round += 1) {
      const { child, ended, says } = start("-f", file);
      await says("vnetd serves");
      const socketPath = join(folder, "run", "vnetd.sock");
      const peers = JSON.parse((await get("/peers", { socketPath })).text);
      assert.equal(peers.length, 1);
      child.kill("SIGTERM");
      await ended;
    }
  });
});

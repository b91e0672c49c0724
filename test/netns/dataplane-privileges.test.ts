/** What vnet-dp may do once it carries frames: nothing but carry frames. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { LineProgram } from "./programs.ts";
import { eventually } from "./wait.ts";

describe("the running vnet-dp", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let pid: number;
  let runDir: string;
  let namespace: string;

  before(async () => {
    lab = await Lab.create();
    host = await Host.create(lab, "a", [await lab.segment()]);
    await host.start();
    await host.vnet("f");
    ({ runDir, namespace } = host);
    pid = await host.dataplanePid();
  });
  after(() => lab.close());

  const threads = () => readdirSync(`/proc/${pid}/task`);
  const field = (thread: string, name: string) =>
    new RegExp(`^${name}:\\s*(.*)$`, "m").exec(
      readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"),
    )?.[1];

  test("has a thread each way", () => {
    assert.ok(threads().length >= 3, `${threads().length} threads`);
  });

  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    test(`holds no capability (${set}) in any thread`, () => {
      for (const thread of threads()) {
        assert.equal(field(thread, set), "0000000000000000");
      }
    });
  }

  test("runs as a user that is not root, in every thread", () => {
    for (const thread of threads()) {
      for (const name of ["Uid", "Gid"]) {
        assert.doesNotMatch(field(thread, name) ?? "0", /\b0\b/);
      }
    }
  });

  test("is under a seccomp filter and can gain no privilege, in every thread", () => {
    for (const thread of threads()) {
      assert.equal(field(thread, "Seccomp"), "2");
      assert.equal(field(thread, "NoNewPrivs"), "1");
    }
  });

  test("has one child, the opener, with no capability and a filter of its own", () => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    assert.equal(children.length, 1);
    const [opener = ""] = children;
    const status = readFileSync(`/proc/${opener}/status`, "utf8");
    assert.match(status, /^Name:\tvnet-dp-opener$/m);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.match(status, new RegExp(`^${set}:\t0{16}$`, "m"));
    }
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    const files = readdirSync(`/proc/${opener}/fd`)
      .map((fd) => readlinkSync(`/proc/${opener}/fd/${fd}`))
      .filter((target) => !target.startsWith("socket:"));
    assert.deepEqual(files, [join(runDir, "dp.pid")], "its channel, and the lock it holds on");
  });

  test("keeps nothing of what was open in whoever started it", async () => {
    const command = [join(REPOSITORY, "bin/vnet-dp"), "--socket", join(runDir, "other.sock")];
    const other = await LineProgram.start("ip", [
      ...["netns", "exec", namespace, "sh", "-c", 'exec 9</etc/passwd; exec "$@"', "sh"],
      ...[...command, "--pid-file", join(runDir, "other.pid"), "--port", "1799"],
    ]);
    const child = readFileSync(`/proc/${other.pid}/task/${other.pid}/children`, "utf8").trim();
    for (const process of [other.pid, child]) {
      // It lets go of its standard streams just after it is ready: one may go while we look.
      const targets = await eventually("descriptors stay while they are listed", () =>
        readdirSync(`/proc/${process}/fd`).map((fd) => readlinkSync(`/proc/${process}/fd/${fd}`)),
      );
      assert.ok(!targets.includes("/etc/passwd"), `${process}: ${targets}`);
    }
    await other.kill("SIGTERM");
  });

  test("ends when its opener was killed, and the next one attaches interfaces again", async () => {
    const mark = host.log.length;
    const opener = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    process.kill(Number(opener), "SIGKILL");
    pid = await eventually("another vnet-dp carries the vnet", async () => {
      const [vnet] = await host.vnJson<{ state: string }[]>("vnets");
      const other = await host.dataplanePid();
      return other !== pid && vnet?.state === "up" ? other : null;
    });
    assert.match(host.log.slice(mark), /The opener of \/dev\/net\/tun is gone/);
    await host.vnet("10");
  });

  test("holds no file but its sockets, TAPs, events and the lock on its pid file", () => {
    const targets = readdirSync(`/proc/${pid}/fd`).map((fd) =>
      readlinkSync(`/proc/${pid}/fd/${fd}`),
    );
    const odd = targets.filter(
      (target) =>
        !/^(socket|pipe|anon_inode):/.test(target) &&
        !["/dev/net/tun", "/dev/null"].includes(target) &&
        !target.startsWith("/memfd:") &&
        target !== join(runDir, "dp.pid"),
    );
    assert.deepEqual(odd, []);
  });
});

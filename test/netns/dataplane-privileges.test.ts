/** What vnet-dp may do once it carries frames: nothing but carry frames. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";

describe("the running vnet-dp", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let pid: number;
  let runDir: string;

  before(async () => {
    lab = await Lab.create();
    const host = await Host.create(lab, "a", [await lab.segment()]);
    await host.start();
    await host.vnet("f");
    runDir = host.runDir;
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

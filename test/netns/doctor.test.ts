/**
 * `vn doctor` beside a running vnetd: nothing on a healthy host, and each fault that is planted.
 *
 *     host a ── u1 ── segment 0
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Finding } from "../../src/doctor/finding.ts";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { type Finished, tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

describe("vn doctor on a host", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let keyDirectory: string;
  before(async () => {
    lab = await Lab.create();
    host = await Host.create(lab, "a", [await lab.segment()]);
    keyDirectory = join(lab.folder, "doctor-keys");
    await mkdir(keyDirectory, { mode: 0o700 });
    await writeFile(join(keyDirectory, "97.key"), "", { mode: 0o600 });
    await host.start("--stop-dataplane");
  });
  after(async () => {
    await lab?.close();
  });

  async function doctor(...options: readonly string[]): Promise<Finished> {
    const vn = [join(REPOSITORY, "bin/vn"), "--run-dir", host.runDir, "doctor"];
    const keys = ["--key-dir", keyDirectory];
    return await tryRun("ip", ["netns", "exec", host.namespace, ...vn, ...keys, ...options]);
  }

  async function examine(): Promise<{ status: number | null; bad: readonly string[] }> {
    const outcome = await doctor("--json");
    const findings = JSON.parse(outcome.stdout) as readonly Finding[];
    const bad = findings.filter(({ mend }) => mend !== null);
    return { status: outcome.status, bad: bad.map(({ check, verdict }) => `${check} ${verdict}`) };
  }

  test("has nothing to say of a healthy one, in words and as JSON", async () => {
    assert.deepEqual(await examine(), { status: 0, bad: [] });
    const { stdout, status } = await doctor();
    assert.equal(status, 0);
    assert.match(stdout, /^ok +daemon +vnetd \S+ answers/);
    assert.ok(!/FAULT|WARNING/.test(stdout), stdout);
  });

  test("names a key that others can read, a snooping bridge and a narrow path", async () => {
    await chmod(join(keyDirectory, "97.key"), 0o644);
    assert.deepEqual(await examine(), { status: 1, bad: ["key-files fault"] });
    await chmod(join(keyDirectory, "97.key"), 0o600);
    await lab.batch(host.namespace, [
      "link add name br9 type bridge mcast_snooping 1",
      "link set u1 master br9",
    ]);
    assert.deepEqual(await examine(), { status: 0, bad: ["igmp-querier warning"] });
    await lab.batch(host.namespace, ["link set u1 nomaster", "link del br9"]);
    const peer = host.address.replace(/\d+$/, "77");
    await host.vn("peer-add", peer);
    assert.deepEqual(await examine(), { status: 0, bad: [] });
    await lab.batch(host.namespace, [`route add ${peer}/32 dev u1 mtu 1300`]);
    assert.deepEqual(await examine(), { status: 0, bad: ["path-mtu warning"] });
  });

  test("without a daemon says so, and who has its port", async () => {
    await host.stop();
    const other = spawn("ip", [
      ...["netns", "exec", host.namespace, "socat", "UDP-LISTEN:1798", "STDOUT"],
    ]);
    try {
      await eventually("both are named", async () => {
        const { status, bad } = await examine();
        return status === 1 && bad.join() === "daemon fault,udp-port fault";
      });
    } finally {
      other.kill();
    }
  });
});

/**
 * vnetd and vnet-dp are stopped, killed and started again under load (topology: pair.ts).
 *
 * vnetd's end costs no frame, because vnet-dp goes on; vnet-dp's end costs a moment, because its
 * TAPs and bridges persist.
 */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kill } from "node:process";
import { after, before, describe, test } from "node:test";
import type { DataplaneMessage } from "../../src/vnet/dataplane-messages.ts";
import { CommandRecorder } from "./command-recorder.ts";
import { Iperf, megabits } from "./iperf.ts";
import { REPOSITORY, SKIP_REASON } from "./lab.ts";
import type { Host } from "./lab-host.ts";
import type { UdpTally } from "./link-tools.ts";
import { currentDataplane, devices, LOAD_RATE, Pair, VNET } from "./pair.ts";
import { tryRun } from "./programs.ts";
import { ASSERTS_TIMES, eventually } from "./wait.ts";

/** What changes nothing in the data plane. */
const QUESTIONS: readonly string[] = [
  "hello",
  "get-state",
  "list-vifs",
  "list-fdb",
  "get-counters",
  "list-sas",
  "list-path-mtus",
];

describe("a restart", { skip: SKIP_REASON }, () => {
  let pair: Pair;
  let a: Host;
  let b: Host;

  before(async () => {
    pair = await Pair.create();
    ({ a, b } = pair);
  });
  after(() => pair?.lab.close());

  function assertNothingLost(flow: UdpTally & { readonly sent: number }): void {
    const { sent, received, duplicated, outOfOrder } = flow;
    assert.deepEqual(
      { received, duplicated, outOfOrder },
      { received: sent, duplicated: 0, outOfOrder: 0 },
    );
    assert.ok(sent > 100, `${sent} datagrams are no load`);
  }

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`of vnetd after ${signal} loses no frame and adopts vnet-dp`, async (t) => {
      const pid = await a.dataplanePid();
      const dropsBefore = [await drops(a), await drops(b)];
      const flow = await pair.startFlow();
      await flow.pass(100);
      assert.equal(await a.stop(signal), signal === "SIGTERM" ? 0 : null);
      await a.start();
      await flow.pass(100);
      const tally = await flow.stop();
      assertNothingLost(tally);
      t.diagnostic(`${tally.sent} datagrams sent, ${tally.received} received`);
      assert.deepEqual([await drops(a), await drops(b)], dropsBefore);
      assert.equal(await a.dataplanePid(), pid);
      await pair.ping();
    });
  }

  test("of vnetd, again and again under TCP, loses no datagram on the way", async (t) => {
    const pid = await a.dataplanePid();
    const dropsBefore = [await drops(a), await drops(b)];
    const before = await carried(a, b);
    const iperf = await Iperf.start(pair.lab, {
      ...{ from: pair.vmA, to: pair.vmB, seconds: 6 },
      arguments: ["-b", "300M"],
    });
    let restartCount = 0;
    while (iperf.running) {
      await a.stop(restartCount % 2 === 0 ? "SIGKILL" : "SIGTERM");
      await a.start();
      restartCount += 1;
    }
    const report = await iperf.report;
    assert.ok(report.end.sum_received.bytes > 0);
    assert.ok(restartCount >= 2, `${restartCount} restarts`);
    await eventually("everything that left a has reached b", async () => {
      const now = await carried(a, b);
      return now.sent - before.sent === now.received - before.received;
    });
    assert.deepEqual([await drops(a), await drops(b)], dropsBefore);
    assert.equal(await a.dataplanePid(), pid);
    const { sent } = await carried(a, b);
    t.diagnostic(`${restartCount} restarts, ${megabits(report)} Mbit/s, ${sent} datagrams`);
  });

  test("of vnetd tells a data plane that is right nothing but questions", async () => {
    const commands = await commandsOfRestart([]);
    assert.deepEqual(
      commands.filter(({ kind }) => !QUESTIONS.includes(kind)),
      [],
    );
    assert.equal(commands[0]?.kind, "hello");
  });

  test("of vnetd with one more vnet tells of that vnet alone", async () => {
    const file = join(pair.lab.folder, "one-more.sxp");
    writeFileSync(file, "(vnet.add (id 98))\n");
    const commands = await commandsOfRestart(["-f", file]);
    // The new TAP is one more device that no tunnel datagram may come from: the underlay's too.
    const settings = commands.filter(({ kind }) => !QUESTIONS.includes(kind));
    assert.deepEqual(
      new Set(settings.map(({ kind }) => kind)),
      new Set(["set-underlay", "set-vnet"]),
    );
    const vnets = settings.filter((command) => command.kind === "set-vnet");
    assert.deepEqual(
      vnets.map(({ deviceName }) => deviceName),
      ["vnif0098"],
    );
    await a.vn("vnet-delete", "98");
  });

  /** What vnetd says to vnet-dp from its start until it has served, and looked around, once. */
  async function commandsOfRestart(options: readonly string[]): Promise<DataplaneMessage[]> {
    await a.stop();
    const recorder = await CommandRecorder.open(join(a.runDir, "dp.sock"));
    try {
      await a.start(...options);
      await pair.ping();
      await a.stop();
      return [...recorder.commands];
    } finally {
      await a.stop();
      await recorder.close();
      await a.start();
    }
  }

  test("with another option replaces vnet-dp, and back", async () => {
    const before = await devices(a);
    const pid = await a.dataplanePid();
    await a.stop();
    await a.start("--no-udp-gro");
    const other = await a.dataplanePid();
    assert.notEqual(other, pid);
    await pair.ping();
    await a.stop();
    await a.start();
    assert.notEqual(await a.dataplanePid(), other);
    await pair.ping();
    assert.deepEqual(await devices(a), before);
  });

  test("refuses a second vnetd on the same run directory, and the first goes on", async () => {
    const second = await tryRun("ip", [
      ...["netns", "exec", a.namespace, join(REPOSITORY, "bin/vnetd")],
      ...["--run-dir", a.runDir, "--state-dir", a.stateDir, "--underlay", "u1"],
    ]);
    assert.equal(second.status, 1);
    assert.match(second.stderr, /^vnetd: Another vnetd uses .*\n$/);
    await pair.ping();
  });

  test("of vnet-dp after SIGKILL carries again with the same TAP and bridge", async (t) => {
    const before = await devices(a);
    const pid = await a.dataplanePid();
    const flow = await pair.startFlow();
    await flow.pass(100);
    kill(pid, "SIGKILL");
    await eventually(
      "another vnet-dp runs",
      async () => {
        const { dataplane } = await a.vnJson<{ dataplane: { pid: number | null } }>("status");
        return dataplane.pid !== null && dataplane.pid !== pid;
      },
      5_000,
    );
    await flow.pass(500);
    const tally = await flow.stop();
    const outageMs = Math.round(((tally.sent - tally.received) / LOAD_RATE) * 1_000);
    t.diagnostic(`outage ${outageMs} ms of ${Math.round((tally.sent / LOAD_RATE) * 1_000)} ms`);
    assert.equal(tally.duplicated, 0);
    assert.equal(tally.highest, tally.sent - 1, "it carries to the end");
    if (ASSERTS_TIMES) {
      assert.ok(outageMs < 1_000, `${outageMs} ms`);
    }
    assert.deepEqual(await devices(a), before);
  });

  test("of vnet-dp, killed many times, always carries again", async () => {
    const before = await devices(a);
    for (let round = 0; round < 3; round += 1) {
      kill(await currentDataplane(a), "SIGKILL");
      await pair.ping();
    }
    assert.deepEqual(await devices(a), before);
  });

  test("of vnet-dp brings pins and peers back", async () => {
    await a.vn("vif-add", VNET, "02:00:00:00:77:77");
    await a.vn("peer-add", "10.200.0.9");
    kill(await currentDataplane(a), "SIGKILL");
    await pair.ping();
    const vifs = await a.vnJson<{ mac: string; pinned: boolean }[]>("vifs");
    assert.ok(vifs.some(({ mac, pinned }) => mac === "02:00:00:00:77:77" && pinned));
    const before = (await a.counters())["forwarded-out"] ?? 0;
    await pair.lab.background(pair.vmA.namespace, "ping", "-c", "1", "-W", "1", "192.168.97.200");
    await eventually(
      "the peer is forwarded to",
      async () => ((await a.counters())["forwarded-out"] ?? 0) > before,
    );
    await a.vn("peer-delete", "10.200.0.9");
    await a.vn("vif-delete", VNET, "02:00:00:00:77:77");
  });

  test("after --stop-dataplane leaves no process, and devices that are used again", async () => {
    const before = await devices(a);
    await a.stop();
    await a.start("--stop-dataplane");
    const pid = await a.dataplanePid();
    assert.equal(await a.stop(), 0);
    assert.equal(existsSync(`/proc/${pid}/exe`), false);
    for (const file of ["dp.sock", "dp.pid", "vnetd.sock", "vnetd.pid"]) {
      assert.equal(existsSync(join(a.runDir, file)), false, file);
    }
    assert.deepEqual(await devices(a), before);
    await a.start();
    await pair.ping();
  });
});

/** Drop counters of the vnet and of the process that are not 0. */
async function drops(host: Host): Promise<Record<string, number>> {
  const views =
    await host.vnJson<{ vnet: string | null; counters: Record<string, number> }[]>("stats");
  const entries = views.flatMap(({ vnet, counters }) =>
    Object.entries(counters)
      .filter(([name, count]) => name.startsWith("drop-") && count > 0)
      .map(([name, count]) => [`${vnet ?? "all"} ${name}`, count] as const),
  );
  return Object.fromEntries(entries);
}

/** Datagrams of the vnet that left one host and that reached the other. */
async function carried(from: Host, to: Host): Promise<{ sent: number; received: number }> {
  return {
    sent: (await from.counters(VNET))["outbound-datagrams"] ?? Number.NaN,
    received: (await to.counters(VNET))["inbound-datagrams"] ?? Number.NaN,
  };
}

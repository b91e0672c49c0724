/**
 * What a stranger sends is dropped and counted, to the last datagram, and nobody pays for it.
 *
 *     VM .1 ── a ──┐
 *                  ├─ segment
 *     VM .2 ── b ──┤
 *                  └─ stranger (a host without vnetd, nobody's peer)
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Iperf, megabits } from "./iperf.ts";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { DatagramPort, sendLoad, Tap } from "./link-tools.ts";
import { run } from "./programs.ts";
import { ASSERTS_TIMES, eventually, TEST_SCALE } from "./wait.ts";

/** In no vector, and not one bit away from the vnets of any. */
const VNET = "93b";
const QUIET_VNET = "a5c";
const PORT = 1798;
const LENGTH_MAX = 100;
const GARBAGE_PER_SECOND = 100_000;
/** 200,000, above the limit of remote MACs too, with VNETD_TEST_SCALE=4. */
const SPRAYED_COUNT = Math.ceil(50_000 * Math.min(4, TEST_SCALE));
const MEBIBYTE = 2 ** 20;

type Vector = { readonly name: string; readonly payload: Buffer; readonly outcome: string };

const VECTORS = readVectors();

describe("a stranger's datagrams", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let stranger: Host;
  let port: DatagramPort;
  let tap: Tap;
  let dataplane: number;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    a = await Host.create(lab, "a", [segment]);
    stranger = await Host.create(lab, "stranger", [segment]);
    await a.start();
    await a.vnet(VNET);
    dataplane = await a.dataplanePid();
    tap = await Tap.open(lab, a.namespace, "vnif093b", "--promiscuous");
    port = await DatagramPort.open(lab, stranger.namespace, {
      ...{ address: stranger.address, udpPort: PORT },
    });
  });
  after(() => lab?.close());

  /** Sends all, and waits until each is counted as dropped; which counters have moved, and how far. */
  async function assertAllDropped(datagrams: readonly Uint8Array[]): Promise<string> {
    const before = await counters(a);
    for (const datagram of datagrams) {
      port.send(a.address, PORT, datagram);
    }
    const dropped = async (): Promise<Record<string, number>> =>
      differences(before, await counters(a), (name) => name.startsWith("drop-"));
    await eventually("every datagram is counted", async () => {
      return sum(await dropped()) >= datagrams.length;
    });
    const byReason = await dropped();
    assert.equal(sum(byReason), datagrams.length, JSON.stringify(byReason));
    const now = await counters(a);
    const delivered = differences(before, now, (name) =>
      /^(inbound-(frames|writes)|re)/.test(name),
    );
    assert.deepEqual(delivered, {}, "nothing is delivered or sent on");
    assert.deepEqual(tap.frames, [], "nothing is on the TAP");
    assert.equal(await a.dataplanePid(), dataplane, "the process is the same");
    return JSON.stringify(byReason);
  }

  test(`of every length from 0 to ${LENGTH_MAX}, of each kind, are dropped and counted`, async (t) => {
    for (const vector of oneOfEachKind()) {
      const whole = Buffer.concat([vector.payload, pattern(LENGTH_MAX)]);
      const cut = Array.from({ length: LENGTH_MAX + 1 }, (_, length) => whole.subarray(0, length));
      t.diagnostic(`${vector.name}: ${await assertAllDropped(cut)}`);
    }
  });

  test("with any one bit flipped, of each kind, are dropped and counted", async (t) => {
    for (const vector of oneOfEachKind()) {
      const flips = Array.from({ length: vector.payload.length * 8 }, (_, bit) => {
        const flipped = Buffer.from(vector.payload);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        return flipped;
      });
      t.diagnostic(`${vector.name}: ${flips.length} flips: ${await assertAllDropped(flips)}`);
    }
  });

  test("as all the vectors are, are dropped and counted", async (t) => {
    const payloads = VECTORS.map(({ payload }) => payload);
    t.diagnostic(`${payloads.length}: ${await assertAllDropped(payloads)}`);
  });

  function oneOfEachKind(): readonly Vector[] {
    const kinds = ["VARP request", "VARP announce", "frame", "forward"];
    return kinds.map((kind) => {
      const found = VECTORS.find(({ name }) => name.endsWith(`: ${kind}`));
      assert.ok(found !== undefined, `a captured ${kind}`);
      return found;
    });
  }
});

describe("a flood", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let b: Host;
  let stranger: Host;
  let vmA: Vm;
  let vmB: Vm;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    a = await Host.create(lab, "a", [segment]);
    b = await Host.create(lab, "b", [segment]);
    stranger = await Host.create(lab, "stranger", [segment]);
    for (const host of [a, b]) {
      await host.start();
      await host.vnet(VNET);
      await host.vnet(QUIET_VNET);
    }
    vmA = await a.vm(VNET, { address: "192.168.59.1/24" });
    vmB = await b.vm(VNET, { address: "192.168.59.2/24" });
    await lab.in(vmB.namespace, "ping", "-c", "2", "-i", "0.1", vmA.address);
  });
  after(() => lab?.close());

  test("of garbage is counted, costs no memory, and leaves another vnet its TCP", async (t) => {
    const seconds = Math.round(3 * TEST_SCALE);
    const dataplane = await a.dataplanePid();
    // As long as the stream and a little at both ends.
    const load = ["--rate", `${GARBAGE_PER_SECOND}`, "--seconds", `${seconds + 1}`];
    const alone = await (await Iperf.start(lab, { from: vmB, to: vmA, seconds })).report;
    // What the load costs this machine whoever it is sent to: nobody listens on that port.
    const elsewhere = sendLoad(
      stranger.namespace,
      "garbage",
      ...[a.address, `${PORT + 1}`, ...load],
    );
    const beside = await (await Iperf.start(lab, { from: vmB, to: vmA, seconds })).report;
    await elsewhere;
    const residentBefore = a.residentBytes(dataplane);
    const before = await counters(a);
    const sentBefore = (await counters(b))["outbound-datagrams"] ?? 0;
    const kernelBefore = await kernelDrops(lab, a);
    const garbage = sendLoad(stranger.namespace, "garbage", a.address, `${PORT}`, ...load);
    const under = await (await Iperf.start(lab, { from: vmB, to: vmA, seconds })).report;
    const { sent } = await garbage;
    // A few more, so that the kernel tells of those it dropped last.
    const last = await sendLoad(
      stranger.namespace,
      "garbage",
      a.address,
      `${PORT}`,
      "--count",
      "9",
    );
    const came = async (): Promise<number> => {
      const now = await counters(a);
      return sum(
        differences(before, now, (name) => /^(inbound-datagrams|drop-socket-overflow)$/.test(name)),
      );
    };
    const wanted = sent + last.sent + ((await counters(b))["outbound-datagrams"] ?? 0) - sentBefore;
    const lostOnTheWay = async (): Promise<number> => (await kernelDrops(lab, a)) - kernelBefore;
    await eventually(
      "every datagram is accounted for",
      async () => (await came()) + (await lostOnTheWay()) >= wanted,
    );
    const byReason = differences(before, await counters(a), (name) => name.startsWith("drop-"));
    const grownBytes = a.residentBytes(dataplane) - residentBefore;
    const ratio = megabits(under) / megabits(alone);
    t.diagnostic(
      `${sent} datagrams of garbage; TCP ${megabits(alone)} Mbit/s alone, ${megabits(beside)} with ` +
        `it sent to a closed port, ${megabits(under)} under it: ${ratio.toFixed(2)}; memory grew by ${Math.round(grownBytes / 1024)} KiB; ` +
        `lost by the kernel on the way ${await lostOnTheWay()}; ${JSON.stringify(byReason)}`,
    );
    assert.ok(grownBytes < 8 * MEBIBYTE, `${grownBytes} octets`);
    assert.equal(await a.dataplanePid(), dataplane);
    assert.ok(ratio > (ASSERTS_TIMES ? 0.9 : 0), `${ratio}`);
  });

  /** Resident octets of vnet-dp and vnetd, of both hosts. */
  async function residents(): Promise<readonly number[]> {
    const pids = [a, b].map(async (host) => {
      const dataplane = await host.dataplanePid();
      return [dataplane, host.daemonPid].map((pid) => host.residentBytes(pid));
    });
    return (await Promise.all(pids)).flat();
  }

  test(`of ${SPRAYED_COUNT} source MACs evicts its own vnet's entries and no others`, async (t) => {
    const quietMac = "02:00:00:00:05:01";
    const quiet = await a.vm(QUIET_VNET, { mac: quietMac });
    const mouth = await Tap.open(lab, quiet.namespace, "eth0");
    mouth.send(
      ethernet({ to: "02:00:00:00:05:02", from: quietMac }, EXPERIMENTAL_TYPE, pattern(46)),
    );
    await eventually("both know the quiet VM", async () => {
      const known = [await a.vn("vifs", QUIET_VNET), await b.vn("varp", QUIET_VNET)];
      return known.every((text) => text.includes(quietMac));
    });
    const before = await residents();
    const sprayer = await Tap.open(lab, vmA.namespace, "eth0");
    for (let number = 0; number < SPRAYED_COUNT; number += 1) {
      const tail = number
        .toString(16)
        .padStart(6, "0")
        .replace(/(..)(..)(..)/, "$1:$2:$3");
      const addressing = { to: "02:00:00:00:05:03", from: `06:00:00:${tail}` };
      sprayer.send(ethernet(addressing, EXPERIMENTAL_TYPE, pattern(46)));
    }
    const last = ethernet({ to: vmB.mac, from: vmA.mac }, EXPERIMENTAL_TYPE, pattern(46, 9));
    const ear = await Tap.open(lab, vmB.namespace, "eth0");
    sprayer.send(last);
    await ear.expect(last, "the last frame", 60_000);
    const [here, there] = [await a.counters(VNET), await b.counters(VNET)];
    const grown = (await residents()).map((bytes, index) => bytes - (before[index] ?? Number.NaN));
    t.diagnostic(
      `${here["outbound-frames"]} frames came out; evicted here ${here["vif-evicted"]} vifs, there ` +
        `${there["fdb-evicted"]} entries; memory grew by ${grown
          .map((bytes) => Math.round(bytes / MEBIBYTE))
          .join(", ")} MiB (vnet-dp and vnetd here, there)`,
    );
    assert.ok((here["vif-evicted"] ?? 0) > 0, "the limit of local MACs was met");
    for (const [index, bytes] of grown.entries()) {
      // vnetd's heap is cleaned when it is worth it, vnet-dp's tables have a limit.
      assert.ok(bytes < (index % 2 === 0 ? 64 : 256) * MEBIBYTE, `${bytes} octets`);
    }
    for (const host of [a, b]) {
      const quietCounters = await host.counters(QUIET_VNET);
      assert.equal(quietCounters["vif-evicted"], 0);
      assert.equal(quietCounters["fdb-evicted"], 0);
    }
    assert.ok((await a.vn("vifs", QUIET_VNET)).includes(quietMac));
    assert.ok((await b.vn("varp", QUIET_VNET)).includes(quietMac));
    await lab.in(vmB.namespace, "ping", "-c", "2", "-i", "0.1", "-W", "2", vmA.address);
  });
});

/** Every counter of a host, its vnets' and the process's added up. */
async function counters(host: Host): Promise<Readonly<Record<string, number>>> {
  const views = await host.vnJson<{ counters: Record<string, number> }[]>("stats");
  const totals: Record<string, number> = {};
  for (const [name, count] of views.flatMap((view) => Object.entries(view.counters))) {
    totals[name] = (totals[name] ?? 0) + count;
  }
  return totals;
}

/** What has moved, of the counters that are wanted. */
function differences(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
  isWanted: (name: string) => boolean,
): Record<string, number> {
  const moved = Object.entries(now)
    .filter(([name]) => isWanted(name))
    .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
    .filter(([, count]) => count !== 0);
  return Object.fromEntries(moved);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/**
 * Datagrams that the kernel dropped where vnet-dp cannot see it: between the namespaces (the
 * backlog of every processor, of the whole machine) and, until the next datagram comes, at the
 * socket.
 */
async function kernelDrops(lab: Lab, host: Host): Promise<number> {
  const backlog = readFileSync("/proc/net/softnet_stat", "utf8")
    .trim()
    .split("\n")
    .map((line) => Number.parseInt(line.split(" ")[1] ?? "0", 16));
  const links = JSON.parse(await run("ip", ["-n", host.namespace, "-j", "-s", "link"])) as {
    ifname: string;
    stats64: { rx: { dropped: number } };
  }[];
  const hub = JSON.parse(await run("ip", ["-n", lab.hub, "-j", "-s", "link"])) as typeof links;
  const atLinks = [...links.filter(({ ifname }) => ifname === "u1"), ...hub].map(
    ({ stats64 }) => stats64.rx.dropped,
  );
  return [...backlog, ...atLinks].reduce((total, count) => total + count, 0);
}

/** Rows of test/vectors/legacy.tsv whose carrier is UDP. */
function readVectors(): readonly Vector[] {
  const text = readFileSync(join(REPOSITORY, "test/vectors/legacy.tsv"), "utf8");
  const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return rows.slice(1).flatMap((row) => {
    const [name = "", carrier, payload = "", outcome = ""] = row.split("\t");
    const octets = Buffer.from(payload === "-" ? "" : payload, "hex");
    return carrier === "udp" ? [{ name, payload: octets, outcome }] : [];
  });
}

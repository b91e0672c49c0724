/**
 * What an operator does to secure vnets under load (topology: pair.ts): keys are rotated, vnetd and
 * vnet-dp are stopped and killed, identities are renewed and copied.
 */
import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { kill } from "node:process";
import { after, before, describe, test } from "node:test";
import { hostStates, keysOf, missedByLateness, newKey, replaysOf, untilMet } from "./keys.ts";
import { SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import type { UdpTally } from "./link-tools.ts";
import { currentDataplane, LOAD_RATE, Pair, VNET } from "./pair.ts";
import { ASSERTS_TIMES, eventually } from "./wait.ts";

/** An SA is announced for 10 s before it is used. */
const SWITCH_DEADLINE_MS = 20_000;

describe("operations on a secure vnet", { skip: SKIP_REASON }, () => {
  let pair: Pair;
  let a: Host;
  let b: Host;

  before(async () => {
    pair = await Pair.create(async (lab) => [
      ...["-s", "conf", "--key-file", await newKey(lab, "first")],
    ]);
    ({ a, b } = pair);
    await untilMet([a, b]);
  });
  after(() => pair?.lab.close());

  function assertNothingLost(flow: UdpTally & { readonly sent: number }): void {
    const { sent, received, duplicated } = flow;
    assert.deepEqual({ received, duplicated }, { received: sent, duplicated: 0 });
    assert.ok(sent > 100, `${sent} datagrams are no load`);
  }

  test("a key is rotated under load and no datagram is lost", async (t) => {
    const key = await newKey(pair.lab, "second");
    const [old] = await keysOf(a, VNET);
    assert.ok(old?.active);
    const flow = await pair.startFlow();
    await flow.pass(100);
    await a.vn("vnet-key-add", VNET, key);
    const lagging = await eventually("b lags", async () =>
      (await keysOf(a, VNET)).find(({ missingAt }) => missingAt.length === 1),
    );
    assert.deepEqual(
      lagging.missingAt.map(({ address }) => address),
      [b.address],
    );
    assert.match(
      await a.vn("vnet-keys", VNET),
      new RegExp(` held +0/1 +0/1 +${b.address}:1798$`, "m"),
    );
    await b.vn("vnet-key-add", VNET, key);
    for (const host of [a, b]) {
      await eventually(`${host.name} sees the new key held by all`, async () =>
        (await keysOf(host, VNET)).every(({ heldBy }) => heldBy.length === 1),
      );
    }
    for (const host of [a, b]) {
      await host.vn("vnet-key-activate", VNET, lagging.keyId);
    }
    for (const host of [a, b]) {
      await eventually(
        `${host.name} sees the new key used by the other`,
        async () =>
          (await keysOf(host, VNET)).some(({ active, usedBy }) => active && usedBy.length === 1),
        SWITCH_DEADLINE_MS,
      );
    }
    await flow.pass(500);
    for (const host of [a, b]) {
      await host.vn("vnet-key-delete", VNET, old.keyId);
    }
    await flow.pass(500);
    const tally = await flow.stop();
    t.diagnostic(`${tally.sent} datagrams sent, ${tally.received} received`);
    assertNothingLost(tally);
    const [only, ...more] = await keysOf(a, VNET);
    assert.deepEqual([only?.keyId, only?.active, more], [lagging.keyId, true, []]);
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`vnetd ends by ${signal} and starts again under load, and no datagram is lost`, async (t) => {
      const pid = await a.dataplanePid();
      const flow = await pair.startFlow();
      await flow.pass(100);
      for (const host of [a, b]) {
        await host.stop(signal);
        await flow.pass(100);
        await host.start();
        await flow.pass(100);
      }
      await untilMet([a, b]);
      const tally = await flow.stop();
      t.diagnostic(`${tally.sent} datagrams sent, ${tally.received} received`);
      assertNothingLost(tally);
      assert.equal(await a.dataplanePid(), pid);
    });
  }

  test("SIGUSR1 renews every SA at once, and nothing is lost that is not counted", async (t) => {
    const missedBefore = await missedByLateness(b);
    const replaysBefore = await replaysOf(b, VNET);
    const flow = await pair.startFlow();
    await flow.pass(100);
    const spis = async (): Promise<string> => (await a.vn("sa-export", VNET, "--yes")).trim();
    const before = await spis();
    // `ip netns exec` becomes the program: its process is vnetd.
    kill(a.daemonPid, "SIGUSR1");
    await eventually("there are other SAs", async () => (await spis()) !== before, 20_000);
    await flow.pass(1_000);
    const tally = await flow.stop();
    const missed = (await missedByLateness(b)) - missedBefore;
    // A window that was forgotten a moment ago makes the first packets of a new SA look seen.
    const replays = (await replaysOf(b, VNET)) - replaysBefore;
    t.diagnostic(
      `${tally.sent} sent, ${tally.received} received, ${missed} proved too late, ${replays} perhaps seen`,
    );
    const lost = tally.sent - tally.received;
    assert.ok(lost <= missed + replays, `${lost} datagrams lost, ${missed + replays} counted`);
    assert.ok(lost < LOAD_RATE / 10, `${lost} datagrams lost, more than 100 ms of them`);
    assert.equal(tally.duplicated, 0);
    if (ASSERTS_TIMES) {
      assert.equal(lost, 0);
    }
  });

  test("vnet-dp is killed under load and frames pass again within a second", async (t) => {
    for (const host of [a, b]) {
      const flow = await pair.startFlow();
      await flow.pass(100);
      const pid = await host.dataplanePid();
      kill(pid, "SIGKILL");
      const killedAt = performance.now();
      await flow.pass(20);
      const outageMs = performance.now() - killedAt;
      assert.notEqual(await currentDataplane(host), pid);
      await flow.stop();
      t.diagnostic(`${host.name}: frames passed again after ${outageMs.toFixed()} ms`);
      if (ASSERTS_TIMES) {
        assert.ok(outageMs < 1_000, `${outageMs} ms`);
      }
    }
  });

  test("a key is in its ring and in no log, state, argument, answer or core dump", async () => {
    const [ring] = readdirSync(a.keyDir);
    const [, secret] = readFileSync(join(a.keyDir, ring ?? ""), "utf8").split(" ");
    assert.equal(Buffer.from(secret ?? "", "base64").length, 32);
    const texts = [
      ...[a.log, b.log, await a.vn("vnets", "--json"), await a.vn("vnet-keys", "--json")],
      ...readdirSync(a.stateDir).map((name) => readFileSync(join(a.stateDir, name), "utf8")),
      ...[a.daemonPid, await a.dataplanePid()].flatMap((pid) =>
        ["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8")),
      ),
    ];
    for (const text of texts) {
      assert.ok(!text.includes(secret ?? ""), text);
    }
    const filter = readFileSync(`/proc/${a.daemonPid}/coredump_filter`, "utf8");
    assert.equal(Number.parseInt(filter, 16), 0);
  });

  test("a vnet whose ring is lost stays down after a restart, and comes back with it", async () => {
    const [ring] = readdirSync(a.keyDir);
    assert.ok(ring);
    const path = join(a.keyDir, ring);
    const saved = join(pair.lab.folder, "saved");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    copyFileSync(path, saved);
    await a.vnet("98");
    await a.stop();
    rmSync(path);
    await a.start();
    const [secure, open] = await a.vnJson<{ state: string; error: string | null }[]>("vnets");
    assert.equal(secure?.state, "error");
    assert.match(secure?.error ?? "", /^cannot use key ring .*; restore it, or delete vnet 97/);
    assert.equal(open?.state, "up");
    await a.stop();
    copyFileSync(saved, path);
    await a.start();
    await untilMet([a, b]);
    await pair.ping();
    await a.vn("vnet-delete", "-b", "98");
  });

  test("a copied host is noticed, and the copies get identities of their own", async (t) => {
    await a.stop();
    const stolen = readFileSync(join(a.stateDir, "sender-id"));
    await a.start();
    await untilMet([a, b]);
    const copy = await Host.create(pair.lab, "copy", [pair.segment]);
    copyFileSync(join(a.stateDir, "sender-id"), join(copy.stateDir, "sender-id"));
    await copy.start();
    const ring = await newKey(pair.lab, "third");
    for (const host of [a, b]) {
      await host.vn("vnet-delete", "-b", VNET);
      await host.vnet(VNET, "-s", "conf", "--key-file", ring);
    }
    await untilMet([a, b]);
    const spi = await sendSpi(a);
    const joinedAt = performance.now();
    await copy.vnet(VNET, "-s", "conf", "--key-file", ring);
    const isNoticed = (host: Host): boolean => host.log.includes('"alert":"clone"');
    await eventually("the copy is noticed", () => [a, copy].some(isNoticed));
    const noticedMs = performance.now() - joinedAt;
    t.diagnostic(`the copy was noticed ${noticedMs.toFixed()} ms after its vnet was asked for`);
    if (ASSERTS_TIMES) {
      assert.ok(noticedMs < 1_000, `${noticedMs} ms`);
    }
    await eventually("vn peers says so", async () => / 97 clone$/m.test(await b.vn("peers")));
    if (isNoticed(a)) {
      assert.notEqual(await sendSpi(a), spi, "it has another nonce");
    }
    await eventually("they have different identities", () => {
      const ids = [a, copy].map(({ stateDir }) =>
        readFileSync(join(stateDir, "sender-id"), "utf8"),
      );
      return ids[0] !== ids[1] && ids.some((id) => id !== stolen.toString());
    });
    for (const host of [a, b, copy]) {
      await eventually(`${host.name} has both others`, async () => {
        const states = await hostStates(host);
        return states.filter((state) => / (up|clone)$/.test(state)).length === 2;
      });
    }
  });

  /** What the host seals with. */
  async function sendSpi(host: Host): Promise<string> {
    const text = await host.vn("sa-export", VNET, "--yes");
    return /"0x([0-9a-f]{8})"/.exec(text)?.[1] ?? assert.fail(text);
  }

  test("vnet-delete wipes the ring", async () => {
    await a.vn("vnet-delete", "-b", VNET);
    assert.deepEqual(readdirSync(a.keyDir), []);
  });
});

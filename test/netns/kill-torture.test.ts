/**
 * SIGKILL of vnetd at random moments of vnet-create and vnet-delete: what was acknowledged is
 * there after the next start, what was not is there or is not, and the state file always loads.
 *
 *     host a ── u1 ── segment
 *
 * 25 kills, times VNETD_TEST_SCALE; VNETD_TEST_SEED repeats a run's moments (not the machine's).
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlApi } from "../../src/control/api.ts";
import { createControlClient } from "../../src/control/client.ts";
import { parseState } from "../../src/daemon/state-file.ts";
import { parseVnetId, shortVnetId } from "../../src/net/vnet-id.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { run } from "./programs.ts";
import { eventually, TEST_SCALE } from "./wait.ts";

const KILL_COUNT = Math.ceil(25 * TEST_SCALE);
const SEED = Number(process.env["VNETD_TEST_SEED"] ?? "20051");
/** Few, so that what is created is soon deleted and the other way round. */
const IDS = ["a0", "a1", "a2", "a3", "a4", "a5"];

type Outcome = "done" | "cut";

/** What one vnet may be: in doubt after a command that was cut short. */
type Expectation = "there" | "gone" | "either";

describe("SIGKILL of vnetd at random moments", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let api: ControlApi;
  const expected = new Map<string, Expectation>(IDS.map((id) => [id, "gone"]));
  const random = dice(SEED);
  /** How long the last whole command of each kind took. */
  const durationMs = { create: 80, delete: 80 };

  before(async () => {
    lab = await Lab.create();
    host = await Host.create(lab, "a", [await lab.segment()]);
    api = createControlClient(join(host.runDir, "vnetd.sock"));
  });
  after(() => lab?.close());

  async function serve(): Promise<void> {
    const daemon = await host.spawn();
    await eventually("vnetd serves", async () => {
      assert.equal(daemon.exitCode, null, host.log);
      return (await api.status()).serving;
    });
  }

  /** Holds the host to what was acknowledged; afterwards nothing is in doubt. */
  async function check(): Promise<void> {
    const vnets = await api.listVnets([]);
    const present = vnets.map(({ id }) => shortVnetId(id));
    for (const [id, expectation] of expected) {
      if (expectation !== "either") {
        assert.equal(present.includes(id) ? "there" : "gone", expectation, `vnet ${id}`);
      }
      expected.set(id, present.includes(id) ? "there" : "gone");
    }
    assert.deepEqual(
      vnets.filter(({ state }) => state !== "up").map(({ error }) => error),
      [],
    );
    assert.deepEqual(await ourTaps(host), vnets.map(({ vnetif }) => vnetif).toSorted());
  }

  /** One command, with the kill at a random moment of it or a little later. */
  async function disturb(): Promise<Outcome> {
    const id = IDS[Math.floor(random() * IDS.length)] ?? "a0";
    const create = expected.get(id) === "gone";
    const kind = create ? "create" : "delete";
    const startedAt = performance.now();
    const command = create
      ? api.createVnets([{ id: parseVnetId(id), bridge: `br-${id}` }])
      : api.deleteVnets([id], { bridge: true });
    const answer = command.then(
      () => {
        durationMs[kind] = performance.now() - startedAt;
        return "done" as const;
      },
      (error: unknown) => {
        const { code } = error as { code?: string };
        assert.ok(code === "VNETD_NO_DAEMON" || code === "VNETD_STOPPING", String(error));
        return "cut" as const;
      },
    );
    expected.set(id, "either");
    await sleep(random() * 1.5 * durationMs[kind]);
    assert.equal(await host.stop("SIGKILL"), null);
    const outcome = await answer;
    // A machine that has become slower is waited for longer.
    durationMs[kind] = Math.max(
      durationMs[kind],
      outcome === "cut" ? performance.now() - startedAt : 0,
    );
    if (outcome === "done") {
      expected.set(id, create ? "there" : "gone");
    }
    return outcome;
  }

  test(`nothing acknowledged is lost in ${KILL_COUNT} kills`, { timeout: 7_200_000 }, async (t) => {
    const counts = { done: 0, cut: 0 };
    const statePath = join(host.stateDir, "state.json");
    for (let kill = 0; kill < KILL_COUNT; kill += 1) {
      await serve();
      await check();
      counts[await disturb()] += 1;
      if (existsSync(statePath)) {
        parseState(readFileSync(statePath, "utf8"), statePath);
      }
    }
    await serve();
    await check();
    assert.equal(await host.stop(), 0);
    t.diagnostic(`seed ${SEED}: ${counts.done} acknowledged, ${counts.cut} cut short`);
  });

  test("SIGKILL while it starts leaves what was there", async () => {
    await serve();
    await check();
    const before = [...expected];
    await host.stop("SIGKILL");
    for (let kill = 0; kill < Math.ceil(KILL_COUNT / 5); kill += 1) {
      await host.spawn();
      await sleep(random() * 400);
      await host.stop("SIGKILL");
    }
    await serve();
    await check();
    assert.deepEqual([...expected], before);
  });
});

/** Names of this host's vnet interfaces, as the kernel lists them. */
async function ourTaps(host: Host): Promise<readonly string[]> {
  const text = await run("ip", ["-n", host.namespace, "-j", "link", "show", "type", "tun"]);
  const links = JSON.parse(text || "[]") as { ifname?: string }[];
  return links.flatMap(({ ifname }) => (ifname === undefined ? [] : [ifname])).toSorted();
}

/** Numbers in [0, 1) that a seed determines (mulberry32). */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

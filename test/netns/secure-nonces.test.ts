/**
 * No nonce is ever used twice under one key: vnet-dp and vnetd are killed again and again under
 * load, and every sealed datagram that was on the segment is looked at.
 *
 * 20 kills, times VNETD_TEST_SCALE: 50 gives the 1,000 of the requirement.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { kill } from "node:process";
import { after, before, describe, test } from "node:test";
import { tunnelDatagram } from "./frames.ts";
import { newKey, untilMet } from "./keys.ts";
import { SKIP_REASON } from "./lab.ts";
import type { Host } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";
import { currentDataplane, Pair } from "./pair.ts";
import { eventually, TEST_SCALE } from "./wait.ts";

const KILL_COUNT = Math.ceil(20 * TEST_SCALE);
/** Every so often it is vnetd that is killed. */
const DAEMON_EVERY = 5;
const FIRST_GROUP_SPI = 0x1000_0000;
const NONCE_END = 16;
const KILL_DEADLINE_MS = 60_000;

/**
 * Datagrams by SPI and nonce. SPIs are drawn from the keys: two keys with one SPI would look like
 * a repetition, which happens by chance to 1 of 3,000 runs with 1,000 kills, and to fewer with less.
 */
class NonceReader {
  readonly spis = new Set<number>();
  readonly repeated: string[] = [];
  readonly #digests = new Map<string, string>();

  take(frame: Buffer): void {
    const payload = tunnelDatagram(frame)?.payload;
    if (payload === undefined || payload.length < NONCE_END) {
      return;
    }
    const spi = payload.readUInt32BE(0);
    if (spi < FIRST_GROUP_SPI) {
      return;
    }
    this.spis.add(spi);
    // SPI and explicit nonce; copies of one datagram for several hosts are one packet.
    const name = payload.toString("latin1", 0, 4) + payload.toString("latin1", 8, NONCE_END);
    const digest = createHash("sha1").update(payload).digest("base64");
    const former = this.#digests.get(name);
    if (former !== undefined && former !== digest) {
      this.repeated.push(payload.toString("hex", 0, NONCE_END));
    }
    this.#digests.set(name, digest);
  }

  get count(): number {
    return this.#digests.size;
  }
}

describe("kills under load", { skip: SKIP_REASON }, () => {
  let pair: Pair;

  before(async () => {
    pair = await Pair.create(async (lab) => ["-s", "conf", "--key-file", await newKey(lab, "key")]);
    await untilMet([pair.a, pair.b]);
  });
  after(() => pair?.lab.close());

  async function killDataplane(host: Host): Promise<void> {
    const pid = await currentDataplane(host);
    kill(pid, "SIGKILL");
    await eventually(
      "there is another vnet-dp",
      async () => (await currentDataplane(host)) !== pid,
      KILL_DEADLINE_MS,
    );
  }

  async function killDaemon(host: Host): Promise<void> {
    await host.stop("SIGKILL");
    await host.start();
  }

  test(`${KILL_COUNT} kills repeat no nonce`, { timeout: 3_600_000 }, async (t) => {
    const reader = new NonceReader();
    const { a, b, lab, segment } = pair;
    const wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    wire.onFrame = (frame) => reader.take(frame);
    const flow = await pair.startFlow();
    await flow.pass(100);
    for (let count = 1; count <= KILL_COUNT; count += 1) {
      // The sender twice as often as the other one.
      const host = count % 3 === 0 ? b : a;
      await (count % DAEMON_EVERY === 0 ? killDaemon(host) : killDataplane(host));
      await flow.pass(20);
    }
    await flow.stop();
    await wire.close();
    t.diagnostic(`${reader.count} nonces of ${reader.spis.size} SAs, none twice`);
    assert.deepEqual(reader.repeated, []);
    // Each start of vnet-dp has a key of its own; the reader has seen them.
    const dataplaneKills = KILL_COUNT - Math.floor(KILL_COUNT / DAEMON_EVERY);
    assert.ok(reader.spis.size > dataplaneKills / 2, `${reader.spis.size} SAs`);
    assert.ok(reader.count > KILL_COUNT * 20, `${reader.count} datagrams`);
  });
});

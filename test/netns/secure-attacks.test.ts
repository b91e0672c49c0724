/**
 * What somebody on the segment can do to a secure vnet who has no key but hears everything and
 * sends in any host's name: nothing, and each attempt is counted.
 *
 *     VM ── a ──┐
 *     VM ── b ──┼─ segment (captured)
 *      attacker ─┘
 */
import assert from "node:assert/strict";
import { kill } from "node:process";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeLegacyFrame, encodeLegacyVarp, wrapOwnMulticast } from "../fakes/legacy-messages.ts";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern, tunnelDatagram } from "./frames.ts";
import { newKey, untilMet } from "./keys.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { PacketPort, Tap } from "./link-tools.ts";
import { currentDataplane } from "./pair.ts";
import { spoofedDatagram } from "./spoofed.ts";
import { ASSERTS_TIMES, eventually, staysTrue } from "./wait.ts";

const VNET = "a77";
const OPEN_VNET = "a78";
const GROUP = "224.10.0.1";
const FIRST_GROUP_SPI = 0x1000_0000;
const HELLO = 1;
const NO_HARM_MS = 300;
const FLOOD_COUNT = 4_000;
const SUITES = [
  ["conf", "aes128-gcm"],
  ["conf", "aes256-gcm"],
  ["conf", "aes128-hmac96"],
  ["auth", "hmac-sha256-128"],
  ["auth", "hmac96"],
] as const;
const ESP_DROPS = [
  "drop-esp-forged",
  "drop-esp-malformed",
  "drop-esp-replay",
  "drop-esp-no-key",
  "drop-hold-full",
  "drop-short",
  "drop-unknown-message",
  "drop-unknown-vnet",
  "drop-vnc-malformed",
  "drop-downgrade",
  "drop-not-peer",
  "drop-control-rate",
] as const;

describe("an attacker on the segment of a secure vnet", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let b: Host;
  let attacker: Host;
  let out: Tap;
  let into: Tap;
  let wire: Tap;
  let port: PacketPort;
  let key: string;
  let frameCount = 0;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    a = await Host.create(lab, "a", [segment]);
    b = await Host.create(lab, "b", [segment]);
    attacker = await Host.create(lab, "attacker", [segment]);
    key = await newKey(lab, "key");
    wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    port = await PacketPort.open(lab, attacker.namespace, attacker.address);
    for (const host of [a, b]) {
      await host.start();
    }
    await begin("conf", "aes128-gcm");
  });
  after(() => lab?.close());

  /** The vnet anew, with a suite, and a VM on each host. */
  async function begin(security: string, suite: string): Promise<void> {
    wire.clear();
    const options = ["-s", security, "--suite", suite, "--key-file", key];
    for (const host of [a, b]) {
      await host.vnet(VNET, ...options);
    }
    const [vmA, vmB] = [await a.vm(VNET), await b.vm(VNET)];
    await untilMet([a, b]);
    out = await Tap.open(lab, vmA.namespace, "eth0");
    into = await Tap.open(lab, vmB.namespace, "eth0", "--promiscuous");
    await overhear();
  }

  async function end(): Promise<void> {
    await out.close();
    await into.close();
    for (const host of [a, b]) {
      await host.vn("vnet-delete", "-b", VNET);
    }
  }

  function nextFrame(): Buffer {
    frameCount += 1;
    const payload = pattern(46, frameCount);
    payload.writeUInt32BE(frameCount, 0);
    return ethernet({ to: BROADCAST_MAC, from: "02:a7:00:00:00:01" }, EXPERIMENTAL_TYPE, payload);
  }

  function sealedBy(host: Host): readonly Buffer[] {
    return payloadsOf(host).filter((payload) => isSealed(payload));
  }

  function payloadsOf(host: Host): readonly Buffer[] {
    return wire.frames.flatMap(({ frame }) => {
      const datagram = tunnelDatagram(frame);
      return datagram?.source === host.address ? [Buffer.from(datagram.payload)] : [];
    });
  }

  /** A frame from VM to VM, and its datagram as the attacker records it. */
  async function overhear({
    keep = false,
  } = {}): Promise<{ readonly frame: Buffer; readonly datagram: Buffer }> {
    const frame = nextFrame();
    if (!keep) {
      wire.clear();
    }
    await eventually("a frame passes", () => {
      out.send(frame);
      return into.frames.some((each) => each.frame.equals(frame));
    });
    const datagram = await eventually("it was recorded", () => sealedBy(a).at(-1));
    into.clear();
    return { frame, datagram };
  }

  /** Kills vnet-dp and waits until the hosts have met again. */
  async function restartDataplane(host: Host): Promise<void> {
    const pid = await currentDataplane(host);
    kill(pid, "SIGKILL");
    await eventually("it runs again", async () => (await currentDataplane(host)) !== pid);
    await untilMet([a, b]);
  }

  function sendAs(source: string, destination: string, payload: Uint8Array): void {
    port.send(spoofedDatagram(source, destination, payload));
  }

  async function total(host: Host, names: readonly string[]): Promise<number> {
    const views = await host.vnJson<{ counters: Record<string, number> }[]>("stats");
    return views.reduce(
      (sum, { counters }) => sum + names.reduce((each, name) => each + (counters[name] ?? 0), 0),
      0,
    );
  }

  /** `act`, after which counters of these names have risen by at least `least`, and no VM has heard. */
  async function rises(
    host: Host,
    names: readonly string[],
    act: () => void,
    least = 1,
  ): Promise<void> {
    const before = await total(host, names);
    into.clear();
    act();
    await eventually(
      `${names.join(" or ")} rises by ${least}`,
      async () => (await total(host, names)) - before >= least,
    );
    await staysTrue("no VM hears of it", () => ownFrames(into).length === 0, NO_HARM_MS);
  }

  function ownFrames(tap: Tap): readonly Buffer[] {
    return tap.matching((frame) => frame.readUInt16BE(12) === EXPERIMENTAL_TYPE);
  }

  test("repeats a datagram after a second: drop-esp-replay", async () => {
    const { datagram } = await overhear();
    await sleep(1_000);
    await rises(
      b,
      ["drop-esp-replay"],
      () => {
        sendAs(a.address, b.address, datagram);
        sendAs(a.address, GROUP, datagram);
        sendAs(attacker.address, b.address, datagram);
      },
      3,
    );
  });

  test("repeats a datagram after the receiver has started again: drop-esp-replay", async () => {
    const { datagram } = await overhear();
    await restartDataplane(b);
    await overhear();
    await rises(b, ["drop-esp-replay"], () => sendAs(a.address, b.address, datagram));
  });

  test("repeats HELLOs and datagrams after the sender has started again: not opened", async () => {
    // Its first HELLOs under this nonce are among what follows.
    wire.clear();
    await restartDataplane(a);
    const { datagram } = await overhear({ keep: true });
    const spi = datagram.readUInt32BE(0);
    const hello = payloadsOf(a).filter(isHello);
    await restartDataplane(a);
    await eventually(
      "there is a new SA",
      async () => (await overhear()).datagram.readUInt32BE(0) !== spi,
    );
    await rises(b, ["drop-esp-replay", "drop-esp-no-key"], () => {
      for (const each of hello) {
        sendAs(a.address, GROUP, each);
        sendAs(a.address, b.address, each);
      }
      sendAs(a.address, b.address, datagram);
    });
  });

  test("sends back what a host sent: drop-esp-own, an alert, and another key", async () => {
    const { datagram } = await overhear();
    await rises(a, ["drop-esp-own"], () => sendAs(b.address, a.address, datagram));
    await eventually("it is told", () => a.log.includes('"alert":"own-packets-heard"'));
    await eventually(
      "there is another key",
      async () => (await overhear()).datagram.readUInt32BE(0) !== datagram.readUInt32BE(0),
    );
  });

  test("speaks in the clear: drop-downgrade, and nothing is believed", async () => {
    const frame = nextFrame();
    const message = encodeLegacyFrame(VNET, frame);
    const mac = "02:a7:00:00:00:99";
    const varp = (request: boolean): Buffer =>
      encodeLegacyVarp({ request, vnet: VNET, mac, careOf: attacker.address });
    for (const clear of [message, varp(true), varp(false)]) {
      await rises(
        b,
        ["drop-downgrade"],
        () => {
          sendAs(attacker.address, b.address, clear);
          sendAs(a.address, b.address, clear);
          sendAs(attacker.address, GROUP, clear);
        },
        3,
      );
    }
    await b.vn("peer-add", attacker.address);
    await rises(b, ["drop-downgrade"], () =>
      sendAs(attacker.address, b.address, wrapOwnMulticast(message)),
    );
    await b.vn("peer-delete", attacker.address);
    assert.equal((await b.vn("varp", VNET)).includes(mac), false);
  });

  test("sends sealed datagrams where no vnet is secure: drop-esp-no-key", async () => {
    const { datagram } = await overhear();
    const open = await Host.create(lab, "open", []);
    await lab.plug(open.namespace, "u1", `seg1h${open.number}`, {
      ...{ device: "seg1", index: 1, mtu: 1500, offload: false },
    });
    const address = `10.91.0.${open.number}`;
    await lab.batch(open.namespace, [`addr add ${address}/24 dev u1`]);
    await open.start();
    await open.vnet(OPEN_VNET);
    await rises(open, ["drop-esp-no-key"], () => sendAs(a.address, address, datagram));
    assert.equal((await open.counters(OPEN_VNET))["inbound-frames"], 0);
    await open.stop();
  });

  test("floods with HELLOs and junk in many names: nobody gets more than was sent", async (t) => {
    await overhear();
    const names = Array.from({ length: 10 }, (_, index) => `10.91.0.${200 + index}`);
    await lab.batch(
      attacker.namespace,
      names.map((name) => `addr add ${name}/32 dev u1`),
    );
    wire.clear();
    // Authentic messages, of former nonces too; the names are none that they tell of.
    for (const _ of [1, 2]) {
      await restartDataplane(a);
    }
    const recorded = payloadsOf(a).filter((payload) => payload.readUInt32BE(0) === 0);
    const junk = Buffer.from(recorded[0] ?? []);
    junk.fill(0x5a, 40, 60);
    wire.clear();
    const messages = [...recorded, junk];
    const flowing = countFlow();
    for (let index = 0; index < FLOOD_COUNT; index += 1) {
      const name = names[index % names.length] ?? "";
      sendAs(name, b.address, messages[index % messages.length] ?? junk);
    }
    const share = await flowing;
    const sent = octetsBetween((source) => names.includes(source), "source");
    const answered = octetsBetween((destination) => names.includes(destination), "destination");
    t.diagnostic(
      `the flow had ${(share * 100).toFixed(1)} %; ` +
        names.map((name) => `${answered.get(name) ?? 0}/${sent.get(name) ?? 0}`).join(" "),
    );
    for (const name of names) {
      assert.ok((answered.get(name) ?? 0) <= (sent.get(name) ?? 0), name);
      assert.ok((sent.get(name) ?? 0) > 10_000, `${name} was used`);
    }
    if (ASSERTS_TIMES) {
      assert.ok(share >= 0.9, `${share}`);
    }
    await overhear();
  });

  /** The share of 1,000 frames that arrives, sent in two seconds. */
  async function countFlow(): Promise<number> {
    const wanted: Buffer[] = [];
    for (let burst = 0; burst < 100; burst += 1) {
      const frames = Array.from({ length: 10 }, nextFrame);
      wanted.push(...frames);
      out.send(...frames);
      await sleep(20);
    }
    await sleep(NO_HARM_MS);
    const got = new Set(ownFrames(into).map(textOf));
    return wanted.filter((frame) => got.has(textOf(frame))).length / wanted.length;
  }

  function octetsBetween(
    pass: (address: string) => boolean,
    end: "source" | "destination",
  ): ReadonlyMap<string, number> {
    const octets = new Map<string, number>();
    for (const { frame } of wire.frames) {
      const datagram = tunnelDatagram(frame);
      if (datagram !== undefined && pass(datagram[end])) {
        octets.set(datagram[end], (octets.get(datagram[end]) ?? 0) + datagram.payload.length);
      }
    }
    return octets;
  }

  for (const [security, suite] of SUITES) {
    test(`${suite}: flips every bit and cuts at every length of a datagram; only the true one passes`, async (t) => {
      await end();
      await begin(security, suite);
      // The receiver must not have had it, or everything would be a repetition.
      const former = await overhear();
      await setPort("nomaster");
      wire.clear();
      // Longer than what was sent before, so that it can be told from late copies of that.
      const frame = Buffer.concat([nextFrame(), pattern(16)]);
      out.send(frame);
      const datagram = await eventually("it was recorded", () =>
        sealedBy(a).find(({ length }) => length === former.datagram.length + 16),
      );
      await setPort("master", "seg1");
      const wrong = [...flips(datagram), ...cuts(datagram)];
      wire.clear();
      const opened = (await b.counters(VNET))["opened-in"] ?? 0;
      for (let at = 0; at < wrong.length; at += 500) {
        const some = wrong.slice(at, at + 500);
        await rises(
          b,
          ESP_DROPS,
          () => {
            for (const each of some) {
              sendAs(a.address, b.address, each);
            }
          },
          some.length,
        );
      }
      const openedMeanwhile = ((await b.counters(VNET))["opened-in"] ?? 0) - opened;
      const known = new Set(wrong.map(textOf));
      const others = sealedBy(a).filter((each) => !known.has(textOf(each)));
      assert.ok(openedMeanwhile <= others.length, `${openedMeanwhile} of ${others.length} opened`);
      sendAs(a.address, b.address, datagram);
      await into.expect(frame, "the true one");
      t.diagnostic(`${datagram.length} octets, ${wrong.length} wrong ones`);
    });
  }

  /** Takes the receiver's port off the segment, or puts it back; its link stays up. */
  async function setPort(...membership: readonly string[]): Promise<void> {
    await lab.batch(lab.hub, [`link set seg1h${b.number} ${membership.join(" ")}`]);
  }
});

function isSealed(payload: Buffer): boolean {
  return payload.length >= 4 && payload.readUInt32BE(0) >= FIRST_GROUP_SPI;
}

function isHello(payload: Buffer): boolean {
  return payload.readUInt32BE(0) === 0 && payload.readUInt8(8) === HELLO;
}

function textOf(payload: Buffer): string {
  return payload.toString("latin1");
}

function flips(datagram: Buffer): readonly Buffer[] {
  return Array.from({ length: datagram.length * 8 }, (_, bit) => {
    const copy = Buffer.from(datagram);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    return copy;
  });
}

function cuts(datagram: Buffer): readonly Buffer[] {
  return Array.from({ length: datagram.length }, (_, length) => datagram.subarray(0, length));
}

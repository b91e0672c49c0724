/**
 * What somebody on the segment of a secure vnet can do who has no key: nothing, and each attempt is
 * counted (topology: attack-lab.ts).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeLegacyFrame, encodeLegacyVarp, wrapOwnMulticast } from "../fakes/legacy-messages.ts";
import {
  ATTACKED_VNET,
  AttackLab,
  NO_HARM_MS,
  ownFrames,
  TUNNEL_GROUP,
  textOf,
} from "./attack-lab.ts";
import { tunnelDatagram } from "./frames.ts";
import { SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { ASSERTS_TIMES, eventually } from "./wait.ts";

const OPEN_VNET = "a78";
const HELLO = 1;
const FLOOD_COUNT = 4_000;

describe("an attacker on the segment of a secure vnet", { skip: SKIP_REASON }, () => {
  let stage: AttackLab;
  let a: Host;
  let b: Host;
  let attacker: Host;

  before(async () => {
    stage = await AttackLab.create();
    ({ a, b, attacker } = stage);
    await stage.begin("conf", "aes128-gcm");
  });
  after(() => stage?.lab.close());

  test("repeats a datagram after a second: drop-esp-replay", async () => {
    const { datagram } = await stage.overhear();
    await sleep(1_000);
    await stage.rises(
      b,
      ["drop-esp-replay"],
      () => {
        stage.sendAs(a.address, b.address, datagram);
        stage.sendAs(a.address, TUNNEL_GROUP, datagram);
        stage.sendAs(attacker.address, b.address, datagram);
      },
      3,
    );
  });

  test("repeats a datagram after the receiver has started again: drop-esp-replay", async () => {
    const { datagram } = await stage.overhear();
    await stage.restartDataplane(b);
    await stage.overhear();
    await stage.rises(b, ["drop-esp-replay"], () => stage.sendAs(a.address, b.address, datagram));
  });

  test("repeats HELLOs and datagrams after the sender has started again: not opened", async () => {
    // Its first HELLOs under this nonce are among what follows.
    stage.wire.clear();
    await stage.restartDataplane(a);
    const { datagram } = await stage.overhear({ keep: true });
    const spi = datagram.readUInt32BE(0);
    const hello = stage.payloadsOf(a).filter(isHello);
    await stage.restartDataplane(a);
    await eventually(
      "there is a new SA",
      async () => (await stage.overhear()).datagram.readUInt32BE(0) !== spi,
    );
    await stage.rises(b, ["drop-esp-replay", "drop-esp-no-key"], () => {
      for (const each of hello) {
        stage.sendAs(a.address, TUNNEL_GROUP, each);
        stage.sendAs(a.address, b.address, each);
      }
      stage.sendAs(a.address, b.address, datagram);
    });
  });

  test("sends back what a host sent: drop-esp-own, an alert, and another key", async () => {
    stage.wire.clear();
    await stage.restartDataplane(a);
    const { datagram } = await stage.overhear({ keep: true });
    const messages = stage.payloadsOf(a).filter(isHello);
    stage.out.clear();
    await stage.rises(
      a,
      ["drop-esp-own"],
      () => {
        for (const source of [b.address, attacker.address]) {
          for (const target of [a.address, TUNNEL_GROUP]) {
            stage.sendAs(source, target, datagram);
            for (const message of messages) {
              stage.sendAs(source, target, message);
            }
          }
        }
      },
      4,
    );
    assert.deepEqual(ownFrames(stage.out), [], "its own VM does not hear it");
    await eventually("it is told", () => a.log.includes('"alert":"own-packets-heard"'));
    assert.ok(!a.log.includes('"alert":"clone"'), "what comes back is no proof of a clone");
    await eventually(
      "there is another key",
      async () => (await stage.overhear()).datagram.readUInt32BE(0) !== datagram.readUInt32BE(0),
    );
  });

  test("speaks in the clear: drop-downgrade, and nothing is believed", async () => {
    const frame = stage.nextFrame();
    const message = encodeLegacyFrame(ATTACKED_VNET, frame);
    const mac = "02:a7:00:00:00:99";
    const varp = (request: boolean): Buffer =>
      encodeLegacyVarp({ request, vnet: ATTACKED_VNET, mac, careOf: attacker.address });
    for (const clear of [message, varp(true), varp(false)]) {
      await stage.rises(
        b,
        ["drop-downgrade"],
        () => {
          stage.sendAs(attacker.address, b.address, clear);
          stage.sendAs(a.address, b.address, clear);
          stage.sendAs(attacker.address, TUNNEL_GROUP, clear);
        },
        3,
      );
    }
    await b.vn("peer-add", attacker.address);
    await stage.rises(b, ["drop-downgrade"], () =>
      stage.sendAs(attacker.address, b.address, wrapOwnMulticast(message)),
    );
    await b.vn("peer-delete", attacker.address);
    assert.equal((await b.vn("varp", ATTACKED_VNET)).includes(mac), false);
  });

  test("sends sealed datagrams where no vnet is secure: drop-esp-no-key", async () => {
    stage.wire.clear();
    await stage.restartDataplane(a);
    const { datagram } = await stage.overhear({ keep: true });
    const open = await Host.create(stage.lab, "open", []);
    await stage.lab.plug(open.namespace, "u1", `seg1h${open.number}`, {
      ...{ device: "seg1", index: 1, mtu: 1500, offload: false },
    });
    const address = `10.91.0.${open.number}`;
    await stage.lab.batch(open.namespace, [`addr add ${address}/24 dev u1`]);
    await open.start();
    await open.vnet(OPEN_VNET);
    const hello = stage.payloadsOf(a).find(isHello) ?? assert.fail("a has said HELLO");
    await stage.rises(open, ["drop-esp-no-key"], () => stage.sendAs(a.address, address, datagram));
    await stage.rises(open, ["drop-unknown-message"], () =>
      stage.sendAs(a.address, address, hello),
    );
    // Not even looked at: nothing is held for a key that cannot come.
    assert.equal(await stage.total(open, ["held-in", "vnc-in", "inbound-frames"]), 0);
    await open.stop();
  });

  test("floods with HELLOs and junk in many names: nobody gets more than was sent", async (t) => {
    await stage.overhear();
    const names = Array.from({ length: 10 }, (_, index) => `10.91.0.${200 + index}`);
    await stage.lab.batch(
      attacker.namespace,
      names.map((name) => `addr add ${name}/32 dev u1`),
    );
    stage.wire.clear();
    // Authentic messages, of former nonces too; the names are none that they tell of.
    for (const _ of [1, 2]) {
      await stage.restartDataplane(a);
    }
    const recorded = stage.payloadsOf(a).filter((payload) => payload.readUInt32BE(0) === 0);
    const junk = Buffer.from(recorded[0] ?? []);
    junk.fill(0x5a, 40, 60);
    stage.wire.clear();
    const messages = [...recorded, junk];
    const flowing = countFlow();
    for (let index = 0; index < FLOOD_COUNT; index += 1) {
      const name = names[index % names.length] ?? "";
      stage.sendAs(name, b.address, messages[index % messages.length] ?? junk);
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
    await stage.overhear();
  });

  test("repeats what a host asked, in its name: it is answered, with no more than was asked", async (t) => {
    stage.wire.clear();
    await stage.restartDataplane(a);
    const questions = stage.payloadsOf(a).filter((payload) => payload.readUInt32BE(0) === 0);
    stage.wire.clear();
    const seen = ["vnc-in", "drop-control-rate"];
    const [before, refusedBefore] = [
      await stage.total(b, seen),
      await stage.total(b, ["drop-control-rate"]),
    ];
    for (let index = 0; index < FLOOD_COUNT; index += 1) {
      stage.sendAs(a.address, b.address, questions[index % questions.length] ?? Buffer.alloc(0));
    }
    await eventually("all of it was seen", async () => {
      return (await stage.total(b, seen)) - before >= FLOOD_COUNT;
    });
    const [asked, answered] = await eventually("there are answers", () => {
      const octets = [controlOctets(a, b), controlOctets(b, a)] as const;
      return octets[1] > 0 ? octets : null;
    });
    const refused = (await stage.total(b, ["drop-control-rate"])) - refusedBefore;
    t.diagnostic(`${asked} octets asked, ${answered} answered, ${refused} questions over the rate`);
    assert.ok(asked > 100 * FLOOD_COUNT);
    assert.ok(answered <= asked);
    assert.ok(refused > FLOOD_COUNT / 2, "vnetd is spared most of it");
    await stage.overhear();
  });

  /** Octets of control messages on the wire, in the first one's name to the other. */
  function controlOctets(from: Host, to: Host): number {
    return stage.wire.frames.reduce((sum, { frame }) => {
      const { source, destination, payload } = tunnelDatagram(frame) ?? {};
      const isOurs = source === from.address && destination === to.address;
      return sum + (isOurs && payload?.[0] === 0 ? payload.length : 0);
    }, 0);
  }

  /** The share of 1,000 frames that arrives, sent in two seconds. */
  async function countFlow(): Promise<number> {
    const wanted: Buffer[] = [];
    for (let burst = 0; burst < 100; burst += 1) {
      const frames = Array.from({ length: 10 }, () => stage.nextFrame());
      wanted.push(...frames);
      stage.out.send(...frames);
      await sleep(20);
    }
    await sleep(NO_HARM_MS);
    const got = new Set(ownFrames(stage.into).map(textOf));
    return wanted.filter((frame) => got.has(textOf(frame))).length / wanted.length;
  }

  function octetsBetween(
    pass: (address: string) => boolean,
    end: "source" | "destination",
  ): ReadonlyMap<string, number> {
    const octets = new Map<string, number>();
    for (const { frame } of stage.wire.frames) {
      const datagram = tunnelDatagram(frame);
      if (datagram !== undefined && pass(datagram[end])) {
        octets.set(datagram[end], (octets.get(datagram[end]) ?? 0) + datagram.payload.length);
      }
    }
    return octets;
  }
});

function isHello(payload: Buffer): boolean {
  return payload.readUInt32BE(0) === 0 && payload.readUInt8(8) === HELLO;
}

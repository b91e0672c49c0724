/**
 * What is gained by changing messages, by sending them on, and by having the identity of another host.
 * Each test fails when the check it is about is taken out (docs/ATTACKS.md).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { ATTACKER, helloOf, pair, refused, sign, sizesOf, statesOf } from "./secure-attacker.ts";
import {
  addHost,
  createSegment,
  inject,
  isWhole,
  listSas,
  messageOf,
  reboot,
  receivePacket,
  ring,
  runFor,
  runTo,
  SECOND,
  startHost,
  step,
  take,
  VNET,
} from "./secure-segment.ts";

describe("an outsider who puts himself between", () => {
  test("a HELLO that is sent on from elsewhere moves no host there", () => {
    const { segment, one, other } = pair();
    const before = listSas(other);
    runFor(segment, 12 * SECOND);
    const newest = helloOf(segment, one).at(-1);
    assert.ok(newest);
    // The original of it never arrived.
    const host = [...(other.secure.vnets.get(VNET)?.hosts.values() ?? [])][0];
    assert.ok(host);
    host.helloSequence -= 5n;
    const effects = inject(segment, other, { source: ATTACKER, datagram: newest.datagram });
    assert.deepEqual(effects, []);
    assert.deepEqual(listSas(other), before);
    assert.equal(refused(other, "foreign-address"), 1);
  });

  test("a relay that gets an answer cannot deliver it from its own address", () => {
    const segment = createSegment({ hostCount: 2 });
    const [one, other] = take(segment, 0, 1);
    startHost(segment, one);
    startHost(segment, other);
    one.group = 1;
    runFor(segment, SECOND);
    const hello = helloOf(segment, one)[0];
    assert.ok(hello);
    const asked = inject(segment, other, { source: ATTACKER, datagram: hello.datagram });
    assert.deepEqual(asked, []);
    assert.equal(other.receives.length, 0);
  });

  test("no bit of any message can be changed", () => {
    const { segment, one, other } = pair();
    reboot(segment, one);
    const [fresh] = helloOf(segment, one).slice(-1);
    assert.ok(fresh);
    for (let bit = 0; bit < fresh.datagram.length * 8; bit++) {
      const datagram = fresh.datagram.slice();
      datagram[bit >> 3] = (datagram[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const effects = inject(segment, other, { source: fresh.source, datagram });
      assert.deepEqual(
        effects.filter(({ kind }) => kind !== "alert"),
        [],
        `bit ${bit}`,
      );
    }
  });
});

describe("hosts that are not what they seem", () => {
  test("a clone with the same disk: an alert and another identity within a second", () => {
    const { segment, one, other } = pair();
    const clone = addHost(segment);
    clone.senderId = one.senderId;
    clone.bootCounter = one.bootCounter;
    Object.assign(clone.secure, { senderId: one.senderId });
    startHost(segment, clone);
    runFor(segment, SECOND);
    assert.ok([...one.alerts, ...clone.alerts].includes("clone"));
    assert.notDeepEqual(one.senderId, clone.senderId);
    assert.ok(isWhole(segment));
    runFor(segment, 5 * SECOND);
    assert.ok(isWhole(segment));
    assert.ok(other.alerts.includes("clone-elsewhere"));
    runFor(segment, 50 * SECOND);
    assert.deepEqual(statesOf(segment, other).toSorted(), ["clone", "up"], "for the operator");
    runFor(segment, 10 * SECOND);
    assert.deepEqual(statesOf(segment, other), ["up", "up"]);
  });

  test("an identity that gave way to another at its endpoint is forgotten", () => {
    const { segment, one, other } = pair();
    one.senderId = new Uint8Array(16).fill(0x77);
    reboot(segment, one);
    runFor(segment, SECOND);
    assert.deepEqual(sizesOf(other), { hosts: 1, receives: 1 });
    assert.ok(isWhole(segment));
  });

  test("a clone of a running host, with its memory, cannot go on with the same keys", () => {
    const { segment, one } = pair();
    const clone = addHost(segment);
    clone.group = 1;
    const vnet = one.secure.vnets.get(VNET);
    assert.ok(vnet?.send);
    // The same machine at the same instant, at another address.
    startHost(segment, clone);
    const cloned = clone.secure.vnets.get(VNET);
    assert.ok(cloned);
    const sa = one.sends.get(VNET);
    assert.ok(sa);
    cloned.send = { ...vnet.send };
    clone.secure.senderId = one.secure.senderId;
    clone.secure.helloSequence = one.secure.helloSequence;
    clone.sends.set(VNET, { ...sa });
    clone.group = 0;
    receivePacket(segment, one, {
      packet: { spi: sa.spi, keys: sa.keys, counter: sa.counter + 1n },
      source: clone.endpoint,
    });
    assert.ok(one.alerts.includes("own-packets-heard"));
    assert.notEqual(one.sends.get(VNET)?.keys, sa.keys);
    runFor(segment, 15 * SECOND);
    assert.notEqual(clone.sends.get(VNET)?.keys, one.sends.get(VNET)?.keys);
    assert.notDeepEqual(one.senderId, clone.senderId);
    assert.ok(isWhole(segment));
  });

  test("an SPI that another host has already is not drawn", () => {
    const { segment, one, other } = pair();
    const taken = other.sends.get(VNET)?.spi ?? 0;
    let draws = 0;
    const { crypto } = one.secure;
    Object.assign(one.secure, {
      crypto: {
        ...crypto,
        hkdfSha256: (...input: Parameters<typeof crypto.hkdfSha256>) => {
          const isSpi = Buffer.from(input[2]).toString("latin1").startsWith("spi");
          draws += isSpi ? 1 : 0;
          // The first draw collides.
          return isSpi && draws === 1
            ? Uint8Array.of(...u32(taken - 0x1000_0000))
            : crypto.hkdfSha256(...input);
        },
      },
    });
    step(segment, one, { kind: "renew", vnet: VNET });
    assert.equal(draws, 2);
    assert.notEqual(one.sends.get(VNET)?.spi, taken);
  });

  test("an SPI that does not follow from its sender's name is refused", () => {
    const { segment, one, other } = pair();
    const hello = messageOf(helloOf(segment, other)[0] ?? assert.fail());
    const datagram = sign({ ...hello, spi: hello.spi ^ 1, helloSequence: 10_000n });
    assert.deepEqual(inject(segment, one, { source: other.endpoint, datagram }), []);
    assert.equal(refused(one, "bad-spi"), 1);
  });

  test("an answer without a packet counter brings no SA", () => {
    const segment = createSegment({ hostCount: 2 });
    const [one, other] = take(segment, 0, 1);
    startHost(segment, one);
    startHost(segment, other);
    one.group = 1;
    const hello = helloOf(segment, one)[0];
    assert.ok(hello);
    const [solicit] = inject(segment, other, hello).flatMap((effect) =>
      effect.kind === "send-to" ? [effect.datagram] : [],
    );
    assert.ok(solicit);
    const { challenge } = messageOf({ datagram: solicit });
    assert.ok(challenge);
    const answer = { ...messageOf(hello), echoes: [challenge], helloSequence: 50n };
    inject(segment, other, { source: one.endpoint, datagram: sign(answer) });
    assert.equal(other.receives.length, 0);
    assert.equal(refused(other, "no-counter"), 1);
    const whole = { ...answer, sentCounter: 7n, helloSequence: 51n };
    inject(segment, other, { source: one.endpoint, datagram: sign(whole) });
    assert.equal(other.receives[0]?.seenUpTo, 7n);
  });

  test("a host of another vnet with its own key is nobody here", () => {
    const segment = createSegment({ hostCount: 2 });
    const [one, other] = take(segment, 0, 1);
    startHost(segment, one, { vnets: [VNET], keys: ring(1) });
    startHost(segment, other, { vnets: [parseVnetId("98")], keys: ring(1) });
    runTo(segment, 20 * SECOND);
    assert.deepEqual(sizesOf(one), { hosts: 0, receives: 0 });
    assert.deepEqual(statesOf(segment, one), []);
    assert.ok(refused(one, "unknown-tag") > 0);
  });
});

function u32(value: number): readonly number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

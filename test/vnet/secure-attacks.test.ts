/**
 * What an outsider on the underlay can do (hear everything, replay, delay, forge, flood), and an
 * insider with the key in another's name. Each test fails when the check it is about is taken out.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nodeCrypto } from "../../src/daemon/node-crypto.ts";
import { controlMac, deriveControlKey, membershipHint } from "../../src/encap/key-schedule.ts";
import { decodeVnc1, encodeVnc1, type Vnc1Message } from "../../src/encap/vnc1.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { countSecureRefused } from "../../src/vnet/secure.ts";
import type { SecureEffect, SecureRefusal } from "../../src/vnet/secure-events.ts";
import { removeHost } from "../../src/vnet/secure-hosts.ts";
import type { SecureStep } from "../../src/vnet/secure-state.ts";
import { listSecureHosts } from "../../src/vnet/secure-views.ts";
import {
  addHost,
  createSegment,
  type Host,
  inject,
  isWhole,
  listSas,
  messageOf,
  opens,
  type Packet,
  type Recorded,
  reboot,
  receivePacket,
  restartDataplane,
  ring,
  runFor,
  runTo,
  SECOND,
  type Segment,
  sendData,
  startHost,
  step,
  take,
  VNET,
} from "./secure-segment.ts";

const MINUTE = 60 * SECOND;
const ATTACKER: Endpoint = { address: parseIpAddress("10.0.0.66"), udpPort: 1798 };

describe("an outsider who replays", () => {
  test("an old HELLO of a host that is gone brings no SA and no host back", () => {
    const { segment, one, other } = pair();
    const hellos = helloOf(segment, one);
    one.group = 1;
    runFor(segment, 20 * MINUTE);
    assert.equal(other.receives.length, 0);
    for (const { datagram, source } of hellos) {
      inject(segment, other, { source, datagram, via: 1 });
      runFor(segment, SECOND);
    }
    assert.deepEqual(sizesOf(other), { hosts: 0, receives: 0 });
  });

  test("an old HELLO of the former boot does not displace the SA of the present one", () => {
    const { segment, one, other } = pair();
    const former = helloOf(segment, one);
    reboot(segment, one);
    runFor(segment, SECOND);
    const before = listSas(other);
    for (const { datagram, source } of former) {
      inject(segment, other, { source, datagram, via: 1 });
      runFor(segment, 10);
    }
    assert.deepEqual(listSas(other), before);
    assert.ok(opens(other, one));
  });

  test("an old answer to a challenge is good once, and not after a minute", () => {
    const { segment, one, other } = pair();
    const answers = recordedFrom(segment, one).filter(
      (recorded) => messageOf(recorded).echoes.length > 0,
    );
    assert.ok(answers.length > 0);
    one.group = 1;
    // As if the SA had never been there: only the age of the challenge is against it.
    runFor(segment, MINUTE + SECOND);
    other.secure.vnets.get(VNET)?.hosts.clear();
    other.receives = [];
    for (const { datagram, source } of answers) {
      inject(segment, other, { source, datagram });
    }
    assert.equal(other.receives.length, 0);
    assert.ok(refused(other, "bad-echo") >= answers.length);
  });

  test("an answer does not bring back an SA that was removed meanwhile", () => {
    const { segment, one, other } = pair();
    for (let index = 0; index < 10; index++) {
      sendData(segment, one);
    }
    step(segment, one, { kind: "stop" });
    runFor(segment, 5);
    assert.equal(other.receives.length, 0);
    one.group = 1;
    // All that was said in the last seconds but the goodbye, within the life of the challenges.
    const said = recordedFrom(segment, one).filter(
      (recorded) => messageOf(recorded).type !== "bye",
    );
    for (const { datagram, source } of said) {
      inject(segment, other, { source, datagram });
    }
    assert.deepEqual(sizesOf(other), { hosts: 0, receives: 0 });
  });

  test("packets of the SA in use are not accepted again after the receiver's restart", () => {
    const { segment, one, other } = pair();
    const sent = Array.from({ length: 50 }, () => {
      sendData(segment, one);
      const sa = one.sends.get(VNET);
      assert.ok(sa);
      return { spi: sa.spi, keys: sa.keys, counter: sa.counter };
    });
    runFor(segment, 10);
    assert.equal(other.delivered, 50);
    restartDataplane(segment, other);
    runFor(segment, 20);
    assert.ok(opens(other, one));
    for (const packet of sent) {
      receivePacket(segment, other, { packet, source: one.endpoint });
    }
    assert.deepEqual([other.delivered, other.replayed], [50, 50]);
    sendData(segment, one);
    runFor(segment, 10);
    assert.equal(other.delivered, 51);
  });

  test("packets of an SA so young that it would be new to others are not accepted again", () => {
    const { segment, one, other } = pair();
    const sent = renewAndSend(segment, one, 30);
    runFor(segment, 10);
    assert.equal(other.delivered, 30);
    restartDataplane(segment, other);
    assert.equal(other.secure.vnets.get(VNET)?.remembersSince, segment.now);
    // What our margin is for: the SA is older than the restart by milliseconds.
    runFor(segment, 20);
    assert.ok(opens(other, one));
    replay(segment, other, { sent, source: one.endpoint });
    assert.deepEqual([other.delivered, other.replayed], [30, 30]);
  });

  test("nor after the receiver's vnetd was restarted and its SA lost", () => {
    const { segment, one, other } = pair();
    const sent = renewAndSend(segment, one, 30);
    runFor(segment, 10);
    assert.equal(other.delivered, 30);
    reboot(segment, other);
    runFor(segment, 20);
    assert.ok(opens(other, one));
    replay(segment, other, { sent, source: one.endpoint });
    assert.equal(other.delivered, 30);
  });

  test("nor after the SA was put out, or lost by the data plane, and came back", () => {
    for (const drop of [putOut, loseNewest]) {
      const { segment, one, other } = pair();
      const sent = renewAndSend(segment, one, 30);
      runFor(segment, 3 * SECOND);
      assert.equal(other.delivered, 30);
      drop(segment, other);
      assert.ok(!opens(other, one));
      sendData(segment, one);
      runFor(segment, 3 * SECOND);
      assert.ok(opens(other, one), drop.name);
      const { delivered } = other;
      replay(segment, other, { sent, source: one.endpoint });
      assert.equal(other.delivered, delivered, drop.name);
    }
  });

  test("an answer that is kept back makes no SA newer than it is", () => {
    const { segment, one, other } = pair();
    const sent = renewAndSend(segment, one, 30);
    runFor(segment, 5 * SECOND);
    assert.equal(other.delivered, 30);
    // Nobody hears anybody, but the attacker carries one challenge and keeps its answer.
    one.group = 1;
    restartDataplane(segment, other);
    const solicit = segment.recorded.findLast(
      (recorded) => recorded.source === other.endpoint && recorded.target === one.endpoint,
    );
    assert.ok(solicit);
    inject(segment, one, solicit);
    const answer = recordedFrom(segment, one).findLast(
      (recorded) => recorded.target === other.endpoint && messageOf(recorded).echoes.length > 0,
    );
    assert.ok(answer);
    assert.ok((messageOf(answer).saAgeMs ?? 0) >= 5 * SECOND);
    runFor(segment, 20 * SECOND);
    inject(segment, other, answer);
    assert.ok(opens(other, one));
    replay(segment, other, { sent, source: one.endpoint });
    assert.equal(other.delivered, 30);
  });

  test("an old answer with a small age is good for nothing", () => {
    const { segment, one, other } = pair();
    const sent = renewAndSend(segment, one, 30);
    runFor(segment, 3 * SECOND);
    const answers = recordedFrom(segment, one).filter(
      (recorded) => (messageOf(recorded).saAgeMs ?? 1000) < 100,
    );
    assert.ok(answers.length > 0);
    one.group = 1;
    putOut(segment, other);
    runFor(segment, 5 * SECOND);
    for (const answer of answers) {
      inject(segment, other, answer);
      const { datagram, source } = answer;
      // Nor with another age, the MAC being of the former one.
      const younger = encodeVnc1(
        { ...messageOf(answer), saAgeMs: 0 },
        {
          bytesMin: 320,
          mac: () => datagram.slice(-16),
        },
      );
      inject(segment, other, { source, datagram: younger });
    }
    assert.equal(other.receives.length, 0);
    replay(segment, other, { sent, source: one.endpoint });
    assert.equal(other.delivered, 30);
  });

  test("a sender whose clock stood still has no new SA after ten seconds awake", () => {
    for (const [awakeMs, seenUpTo] of [
      [9 * SECOND, 0n],
      [11 * SECOND, 31n],
    ] as const) {
      const { segment, one, other } = pair();
      other.group = 1;
      runFor(segment, 5 * MINUTE);
      renewAndSend(segment, one, 30);
      runFor(segment, awakeMs);
      other.group = 0;
      sendData(segment, one);
      runFor(segment, 100);
      const own = other.receives.find(({ keys }) => keys === one.sends.get(VNET)?.keys);
      assert.equal(own?.seenUpTo, seenUpTo);
    }
  });

  test("a HELLO of the SA in use keeps no silent host alive", () => {
    const { segment, one, other } = pair();
    const hellos = helloOf(segment, one);
    one.group = 1;
    for (let second = 0; second < 90; second += 5) {
      for (const { datagram, source } of hellos) {
        inject(segment, other, { source, datagram, via: 1 });
      }
      runFor(segment, 5 * SECOND);
    }
    assert.deepEqual(statesOf(segment, other), ["unreachable"]);
    assert.ok(refused(other, "replayed") > 0);
  });

  test("a BYE of a former boot sends nobody away", () => {
    const { segment, one, other } = pair();
    step(segment, one, { kind: "stop" });
    const bye = segment.recorded.at(-1);
    assert.ok(bye && messageOf(bye).type === "bye");
    reboot(segment, one);
    runFor(segment, SECOND);
    inject(segment, other, bye);
    assert.ok(opens(other, one));
  });

  test("our own messages from elsewhere change nothing and are not answered", () => {
    const { segment, one } = pair();
    const own = recordedFrom(segment, one);
    const before = listSas(one);
    const epoch = one.secure.vnets.get(VNET)?.epoch;
    for (const { datagram } of own) {
      const effects = inject(segment, one, { source: ATTACKER, datagram });
      assert.deepEqual(effects, []);
    }
    assert.deepEqual(listSas(one), before);
    assert.equal(one.secure.vnets.get(VNET)?.epoch, epoch);
    assert.deepEqual(
      one.alerts.filter((alert) => alert === "clone"),
      [],
    );
  });

  test("our own messages of a former boot make no clone alert", () => {
    const { segment, one } = pair();
    const former = recordedFrom(segment, one);
    reboot(segment, one);
    runFor(segment, SECOND);
    const keys = one.sends.get(VNET)?.keys;
    for (const { datagram } of former) {
      inject(segment, one, { source: ATTACKER, datagram });
    }
    runFor(segment, SECOND);
    assert.deepEqual(
      one.alerts.filter((alert) => alert === "clone"),
      [],
    );
    assert.equal(one.sends.get(VNET)?.keys, keys);
  });
});

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

describe("an outsider who floods", () => {
  test("a SOLICIT with a made-up source gets no more than it cost", () => {
    const { segment, one, other } = pair();
    const solicit = segment.recorded.find(
      (recorded) => messageOf(recorded).type === "solicit" && recorded.target !== null,
    );
    assert.ok(solicit);
    const victim = [one, other].find(({ endpoint }) => endpoint === solicit.target) ?? one;
    const traffic = flood(segment, victim, { count: 5000, datagramOf: () => solicit.datagram });
    assert.ok(traffic.answered <= traffic.sent);
    assert.ok(traffic.answers < 300, `${traffic.answers} answers in a second`);
  });

  test("one SOLICIT is answered with no more octets than it has, whatever its length", () => {
    const { segment, one, other } = pair();
    const spi = one.sends.get(VNET)?.spi ?? 0;
    const base = messageOf(helloOf(segment, other)[0] ?? assert.fail());
    let answered = 0;
    for (let bytesMin = 0; bytesMin <= 400; bytesMin += 8) {
      const { helloSequence } = other.secure;
      const message: Vnc1Message = {
        ...{ ...base, type: "solicit", helloSequence: helloSequence + 100n, addresses: [] },
        ...{ challenge: new Uint8Array(16), wantedSpi: spi },
      };
      const datagram = sign(message, bytesMin);
      const effects = answersOf(segment, one, { source: other.endpoint, datagram });
      for (const effect of effects) {
        assert.ok(effect.datagram.length <= datagram.length);
        answered += 1;
      }
    }
    assert.ok(answered > 0);
  });

  test("recorded HELLOs leave no state behind, however many", () => {
    const { segment, one, other } = pair();
    const hellos: Recorded[] = [];
    for (let boot = 0; boot < 200; boot++) {
      reboot(segment, one);
      hellos.push(...helloOf(segment, one).slice(-1));
    }
    one.group = 1;
    runFor(segment, 20 * MINUTE);
    for (let round = 0; round < 20; round++) {
      for (const { datagram, source } of hellos) {
        inject(segment, other, { source, datagram, via: 1 });
      }
      runFor(segment, 100);
    }
    assert.deepEqual(sizesOf(other), { hosts: 0, receives: 0 });
    assert.ok(tableSizes(other) <= 3 * 1024);
  });

  test("made-up sources, vnets and SPIs fill no table", () => {
    const { segment, one } = pair();
    const vnet = one.secure.vnets.get(VNET);
    assert.ok(vnet);
    const template = helloOf(segment, take(segment, 1)[0])[0];
    assert.ok(template);
    for (let index = 0; index < 20_000; index++) {
      const source = madeUp(index);
      step(segment, one, { kind: "unknown-spi", spi: 0x2000_0000 + index, source });
      const datagram = template.datagram.slice();
      new DataView(datagram.buffer).setUint32(12, index);
      inject(segment, one, { source, datagram });
    }
    assert.ok(vnet.strangers.size <= 16);
    assert.equal(vnet.hosts.size, 1);
    assert.ok(tableSizes(one) <= 3 * 1024);
  });

  test("only the newest sixteen that seem to belong here are shown", () => {
    const { segment, one } = pair();
    const template = messageOf(helloOf(segment, take(segment, 1)[0])[0] ?? assert.fail());
    for (let index = 0; index < 100; index++) {
      const senderId = new Uint8Array(16).fill(index);
      const { bootNonce } = template;
      const hint = membershipHint(nodeCrypto, { vnet: VNET, senderId, bootNonce });
      const vnetTag = new Uint8Array(8).fill(index);
      const message = { ...template, senderId, hint, vnetTag, addresses: [] };
      inject(segment, one, { source: madeUp(index), datagram: sign(message) });
      runFor(segment, 500);
    }
    assert.equal(statesOf(segment, one).filter((state) => state === "key mismatch").length, 16);
    const times = one.alerts.filter((alert) => alert === "key-mismatch").length;
    assert.ok(times >= 90, `only ${times} were seen`);
  });

  test("unknown SPIs from made-up sources make us ask a few times a second, not each", () => {
    const { segment, one } = pair();
    const before = recordedFrom(segment, one).length;
    for (let index = 0; index < 10_000; index++) {
      step(segment, one, { kind: "unknown-spi", spi: 0x2000_0000 + index, source: madeUp(index) });
    }
    assert.ok(recordedFrom(segment, one).length - before <= 8);
  });

  test("more hosts than there is room for are not taken in, and the known ones stay", () => {
    const segment = createSegment({ hostCount: 6 });
    for (const host of segment.hosts) {
      Object.assign(host.secure, { hostsPerVnetMax: 3 });
      startHost(segment, host);
    }
    runTo(segment, 20 * SECOND);
    const [one] = take(segment, 0);
    assert.deepEqual(sizesOf(one), { hosts: 3, receives: 3 });
    assert.ok(refused(one, "hosts-full") > 0);
    assert.ok(one.alerts.includes("hosts-full"));
  });

  test("packets of ours that come back do not have us renew all the time", () => {
    const { segment, one } = pair();
    const epochs = () => one.secure.vnets.get(VNET)?.epoch ?? 0;
    const before = epochs();
    for (let second = 0; second < 60; second++) {
      const spi = one.sends.get(VNET)?.spi ?? 0;
      step(segment, one, { kind: "own-spi-heard", vnet: VNET, spi, source: ATTACKER });
      runFor(segment, SECOND);
    }
    assert.ok(epochs() - before <= 7);
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

/** Two hosts that know each other, a while after their start. */
function pair(): { readonly segment: Segment; readonly one: Host; readonly other: Host } {
  const segment = createSegment({ hostCount: 2 });
  const [one, other] = take(segment, 0, 1);
  startHost(segment, one);
  startHost(segment, other);
  runTo(segment, 5 * SECOND);
  assert.ok(isWhole(segment));
  return { segment, one, other };
}

/** The packets of a fresh SA, as an attacker has recorded them. */
function renewAndSend(segment: Segment, host: Host, count: number): readonly Packet[] {
  step(segment, host, { kind: "renew", vnet: null });
  return Array.from({ length: count }, () => {
    sendData(segment, host);
    const sa = host.sends.get(VNET);
    assert.ok(sa);
    return { spi: sa.spi, keys: sa.keys, counter: sa.counter };
  });
}

function replay(
  segment: Segment,
  host: Host,
  { sent, source }: { readonly sent: readonly Packet[]; readonly source: Endpoint },
): void {
  for (const packet of sent) {
    receivePacket(segment, host, { packet, source });
  }
}

/** As if there were no room for more hosts. */
function putOut(segment: Segment, host: Host): void {
  const vnet = host.secure.vnets.get(VNET);
  assert.ok(vnet);
  const secureStep: SecureStep = { secure: host.secure, now: segment.now, effects: [] };
  for (const other of [...vnet.hosts.values()]) {
    removeHost(secureStep, vnet, other);
  }
  host.receives = [];
}

/** As if the data plane had thrown away its newest SA. */
function loseNewest(_segment: Segment, host: Host): void {
  host.receives = host.receives.slice(0, -1);
}

function recordedFrom(segment: Segment, { endpoint }: Host): readonly Recorded[] {
  return segment.recorded.filter(({ source }) => source === endpoint);
}

/** The HELLOs that the host has flooded. */
function helloOf(segment: Segment, host: Host): readonly Recorded[] {
  return recordedFrom(segment, host).filter(
    (recorded) => recorded.target === null && messageOf(recorded).type === "hello",
  );
}

/** As an insider: with a right MAC. */
function sign(message: Vnc1Message, bytesMin = 320): Uint8Array {
  const [key] = ring(1);
  assert.ok(key);
  const controlKey = deriveControlKey(nodeCrypto, key.psk, { vnet: VNET, keyId: key.keyId });
  const mac = (part: Uint8Array) => controlMac(nodeCrypto, controlKey, part);
  const datagram = encodeVnc1(message, { bytesMin, mac });
  assert.equal(decodeVnc1(datagram).kind, "vnc1");
  return datagram;
}

/** What is sent because of one datagram, counters being read at once. */
function answersOf(
  segment: Segment,
  host: Host,
  { source, datagram }: Pick<Recorded, "source" | "datagram">,
): readonly Extract<SecureEffect, { kind: "send-to" | "send-flood" }>[] {
  const before = segment.recorded.length;
  inject(segment, host, { source, datagram });
  return segment.recorded
    .slice(before)
    .map((recorded) => ({ kind: "send-to", host: recorded.target, datagram: recorded.datagram }));
}

/** `count` datagrams in one second, each from another made-up source. */
function flood(
  segment: Segment,
  victim: Host,
  { count, datagramOf }: { readonly count: number; readonly datagramOf: () => Uint8Array },
): { readonly sent: number; readonly answered: number; readonly answers: number } {
  let sent = 0;
  let answered = 0;
  let answers = 0;
  for (let index = 0; index < count; index++) {
    const datagram = datagramOf();
    // The sources are among those that the message tells: others are refused before.
    const [source = ATTACKER] = messageOf({ datagram }).addresses;
    for (const effect of answersOf(segment, victim, { source, datagram })) {
      answered += effect.datagram.length;
      answers += 1;
    }
    sent += datagram.length;
  }
  return { sent, answered, answers };
}

function madeUp(index: number): Endpoint {
  return { address: parseIpAddress(`172.16.${(index >> 8) & 255}.${index & 255}`), udpPort: 1798 };
}

function tableSizes({ secure }: Host): number {
  const { answerRates, askRates, strangerRates } = secure;
  return [answerRates, askRates, strangerRates].reduce((sum, { fullAt }) => sum + fullAt.size, 0);
}

function sizesOf(host: Host): { readonly hosts: number; readonly receives: number } {
  return { hosts: host.secure.vnets.get(VNET)?.hosts.size ?? 0, receives: host.receives.length };
}

function statesOf(segment: Segment, host: Host): readonly string[] {
  return listSecureHosts(host.secure, VNET, segment.now).map(({ state }) => state);
}

function refused(host: Host, reason: SecureRefusal): number {
  return countSecureRefused(host.secure).get(reason) ?? 0;
}

function u32(value: number): readonly number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/**
 * What is gained by playing again what was heard: nothing. Each test fails when the check it is about
 * is taken out (docs/ATTACKS.md).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeVnc1 } from "../../src/encap/vnc1.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { removeHost } from "../../src/vnet/secure-hosts.ts";
import type { SecureStep } from "../../src/vnet/secure-state.ts";
import {
  ATTACKER,
  helloOf,
  pair,
  recordedFrom,
  refused,
  sizesOf,
  statesOf,
} from "./secure-attacker.ts";
import {
  type Host,
  inject,
  listSas,
  messageOf,
  opens,
  type Packet,
  reboot,
  receivePacket,
  restartDataplane,
  runFor,
  SECOND,
  type Segment,
  sendData,
  step,
  VNET,
} from "./secure-segment.ts";

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

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

  test("all that was heard in an hour, played again an hour later, opens nothing", () => {
    const { segment, one, other } = pair();
    const sent: Packet[] = [];
    for (let minute = 0; minute < 60; minute++) {
      sendData(segment, one);
      const sa = one.sends.get(VNET);
      assert.ok(sa);
      sent.push({ spi: sa.spi, keys: sa.keys, counter: sa.counter });
      runFor(segment, MINUTE);
    }
    const recorded = recordedFrom(segment, one);
    runFor(segment, HOUR);
    const before = listSas(other);
    assert.equal(other.delivered, sent.length);
    for (const { datagram, source } of recorded) {
      inject(segment, other, { source, datagram });
      inject(segment, other, { source, datagram, via: 1 });
      const { spi } = messageOf({ datagram });
      replay(segment, other, { sent: sent.filter((packet) => packet.spi === spi), source });
      runFor(segment, 1);
    }
    assert.deepEqual(listSas(other), before);
    assert.equal(other.delivered, sent.length);
    assert.ok(opens(other, one));
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

/**
 * What a flood costs and fills: little. Each test fails when the check it is about is taken out
 * (docs/ATTACKS.md).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nodeCrypto } from "../../src/daemon/node-crypto.ts";
import { membershipHint } from "../../src/encap/key-schedule.ts";
import type { Vnc1Message } from "../../src/encap/vnc1.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import type { SecureEffect } from "../../src/vnet/secure-events.ts";
import {
  ATTACKER,
  helloOf,
  pair,
  recordedFrom,
  refused,
  sign,
  sizesOf,
  statesOf,
} from "./secure-attacker.ts";
import {
  createSegment,
  type Host,
  inject,
  messageOf,
  type Recorded,
  reboot,
  runFor,
  runTo,
  SECOND,
  type Segment,
  startHost,
  step,
  take,
  VNET,
} from "./secure-segment.ts";

const MINUTE = 60 * SECOND;

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

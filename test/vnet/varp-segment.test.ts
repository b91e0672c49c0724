/**
 * Hosts on one segment, each with its VARP machine and the data plane's rules of learning and
 * ageing in a few lines, in simulated time:
 *
 *     host 0 ──┬── host 1 ──┬── host 2 …      one way takes 1 ms; datagrams can be lost, and a
 *            (multicast segment)              host can be cut off
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type IpAddress, parseIpAddress } from "../../src/net/ip-address.ts";
import { type MacAddress, parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { createVarp, nextWakeAt, stepVarp } from "../../src/vnet/varp.ts";
import type { VarpEffect, VarpEvent } from "../../src/vnet/varp-events.ts";
import type { Varp } from "../../src/vnet/varp-state.ts";
import {
  addDeadline,
  createWakeQueue,
  takeDue,
  type WakeQueue,
} from "../../src/vnet/wake-queue.ts";

const VNET = parseVnetId("97");
const VM = parseMacAddress("02:00:00:00:00:01");
const ONE_WAY_MS = 1;
const FDB_TTL_MS = 60_000;
const VIF_TTL_MS = 60_000;
const REFRESH_AFTER_MS = 30_000;
const SECOND = 1000;

type FdbEntry = { readonly host: IpAddress; heardAt: number; staleAt: number };

type Host = {
  readonly address: IpAddress;
  readonly varp: Varp;
  readonly fdb: Map<MacAddress, FdbEntry>;
  /** When each local MAC was last heard. */
  readonly vifs: Map<MacAddress, number>;
  readonly missAt: Map<MacAddress, number>;
  isCutOff: boolean;
};

type Segment = {
  readonly hosts: readonly Host[];
  readonly queue: WakeQueue<() => void>;
  now: number;
  floodedFrames: number;
  lossPercent: number;
  /** 0 … 99, the same from the same seed. */
  readonly random: () => number;
};

describe("a segment of VARP machines", () => {
  test("finds a silent MAC in one round trip; the second frame is unicast", () => {
    const segment = createSegment({ hostCount: 3 });
    const [asker, keeper] = take(segment, 0, 1);
    stepHost(segment, keeper, { kind: "vif-pinned", vnet: VNET, mac: VM });
    runTo(segment, 10 * SECOND);
    // As if its announcements had been lost.
    asker.fdb.clear();
    sendFrame(segment, asker, { source: macOf(9), destination: VM });
    assert.equal(segment.floodedFrames, 1);
    runTo(segment, segment.now + 2 * ONE_WAY_MS);
    assert.equal(asker.fdb.get(VM)?.host, keeper.address);
    sendFrame(segment, asker, { source: macOf(9), destination: VM });
    assert.equal(segment.floodedFrames, 1);
  });

  test("a flow in one direction never floods after its first second", () => {
    const segment = createSegment({ hostCount: 3 });
    const [sender, keeper] = take(segment, 0, 1);
    stepHost(segment, keeper, { kind: "vif-pinned", vnet: VNET, mac: VM });
    runTo(segment, 10 * SECOND);
    sender.fdb.clear();
    for (let index = 0; index < 600; index++) {
      sendFrame(segment, sender, { source: macOf(9), destination: VM });
      runTo(segment, segment.now + 500);
    }
    assert.ok(segment.now > 300 * SECOND);
    assert.equal(segment.floodedFrames, 1);
  });

  test("a MAC that moves is found by every host within 100 ms of its first frame", () => {
    const segment = createSegment({ hostCount: 5 });
    const [from, to, other] = take(segment, 1, 3, 0);
    sendFrame(segment, from, { source: VM, destination: macOf(7) });
    sendFrame(segment, other, { source: macOf(7), destination: VM });
    runTo(segment, 30 * SECOND);
    assert.deepEqual(placesOf(segment, VM), [1, 1, 1, 1, 1]);
    // Its first frame goes to one host only, so nobody else hears of it but by VARP.
    sendFrame(segment, to, { source: VM, destination: macOf(7) });
    runTo(segment, segment.now + 100);
    assert.deepEqual(placesOf(segment, VM), [3, 3, 3, 3, 3]);
    assert.ok(!from.vifs.has(VM));
  });

  test("finds the last place of a MAC after any moves, under loss, once frames flow", () => {
    const move = fc.record({ to: fc.nat(3), afterMs: fc.integer({ min: 1, max: 4000 }) });
    fc.assert(
      fc.property(fc.array(move, { minLength: 1, maxLength: 6 }), fc.nat(), (moves, seed) => {
        const segment = createSegment({ hostCount: 4, lossPercent: 30, seed });
        for (const { to, afterMs } of moves) {
          const [host] = take(segment, to);
          sendFrame(segment, host, { source: VM, destination: macOf(100) });
          traffic(segment, afterMs, to);
        }
        const last = moves.at(-1)?.to ?? 0;
        traffic(segment, 20 * SECOND, last);
        segment.lossPercent = 0;
        traffic(segment, 2 * FDB_TTL_MS, last);
        assert.deepEqual(placesOf(segment, VM), [last, last, last, last]);
      }),
      { numRuns: 60 },
    );
  });

  test("a host that was cut off agrees with the others after it is back", () => {
    const segment = createSegment({ hostCount: 4 });
    const [first, , , lost] = take(segment, 0, 1, 2, 3);
    sendFrame(segment, first, { source: VM, destination: macOf(100) });
    traffic(segment, 5 * SECOND, 0);
    lost.isCutOff = true;
    const [, second] = take(segment, 0, 1);
    sendFrame(segment, second, { source: VM, destination: macOf(100) });
    traffic(segment, 5 * SECOND, 1);
    assert.deepEqual(placesOf(segment, VM), [1, 1, 1, 0]);
    lost.isCutOff = false;
    traffic(segment, 2 * FDB_TTL_MS, 1);
    assert.deepEqual(placesOf(segment, VM), [1, 1, 1, 1]);
  });

  test("is silent when nothing happens", () => {
    const segment = createSegment({ hostCount: 4 });
    sendFrame(segment, take(segment, 0)[0], { source: VM, destination: macOf(100) });
    runTo(segment, 60 * SECOND);
    for (const { varp } of segment.hosts) {
      assert.equal(nextWakeAt(varp), Number.POSITIVE_INFINITY);
    }
  });
});

/** Every host sends to the VM each 500 ms, and the VM, at host `place`, sends now and then. */
function traffic(segment: Segment, durationMs: number, place: number): void {
  const end = segment.now + durationMs;
  for (let round = 0; segment.now < end; round++) {
    for (const [index, host] of segment.hosts.entries()) {
      sendFrame(segment, host, { source: macOf(200 + index), destination: VM });
    }
    if (round % 5 === 4) {
      sendFrame(segment, take(segment, place)[0], { source: VM, destination: macOf(200) });
    }
    runTo(segment, Math.min(end, segment.now + 500));
  }
}

/** Where each host believes the MAC is, by the number of the host; -1: it does not know. */
function placesOf(segment: Segment, mac: MacAddress): readonly number[] {
  return segment.hosts.map((host) => {
    const place = host.vifs.has(mac) ? host.address : host.fdb.get(mac)?.host;
    return segment.hosts.findIndex(({ address }) => address === place);
  });
}

function createSegment({ hostCount = 2, lossPercent = 0, seed = 1 }): Segment {
  let state = seed;
  const random = () => {
    // Numerical Recipes' generator; its high bits are the good ones.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * 100);
  };
  const hosts = Array.from({ length: hostCount }, (_, index) => createHost(index));
  return { hosts, queue: createWakeQueue(), now: 0, floodedFrames: 0, lossPercent, random };
}

function createHost(index: number): Host {
  const address = parseIpAddress(`10.0.0.${index + 1}`);
  const varp = createVarp();
  const source = { sourceAddress4: address, sourceAddress6: null, localAddresses: [address] };
  stepVarp(varp, { kind: "underlay-changed", ...source }, 0);
  stepVarp(varp, { kind: "vnet-added", vnet: VNET }, 0);
  const tables = { fdb: new Map(), vifs: new Map(), missAt: new Map() };
  return { address, varp, ...tables, isCutOff: false };
}

function runTo(segment: Segment, until: number): void {
  for (;;) {
    const wake = Math.min(...segment.hosts.map(({ varp }) => nextWakeAt(varp)));
    const next = Math.min(wake, segment.queue.heap[0]?.at ?? Number.POSITIVE_INFINITY);
    if (next > until) {
      segment.now = until;
      return;
    }
    segment.now = next;
    takeDue(segment.queue, next)?.what();
    for (const host of segment.hosts) {
      if (nextWakeAt(host.varp) <= next) {
        stepHost(segment, host, { kind: "tick" });
      }
    }
  }
}

function stepHost(segment: Segment, host: Host, event: VarpEvent): void {
  for (const effect of stepVarp(host.varp, event, segment.now)) {
    carryOut(segment, host, effect);
  }
}

function carryOut(segment: Segment, host: Host, effect: VarpEffect): void {
  switch (effect.kind) {
    case "set-fdb":
      setFdb(segment, host, { mac: effect.mac, at: effect.host?.address ?? host.address });
      break;
    case "delete-vif":
      host.vifs.delete(effect.mac);
      break;
    case "send-to":
    case "send-flood": {
      const target = effect.kind === "send-to" ? effect.host?.address : undefined;
      const source = { address: host.address, udpPort: 1798 };
      const { datagram } = effect;
      const via = target === undefined ? 1 : 0;
      transmit(segment, host, target, (receiver) => {
        stepHost(segment, receiver, { kind: "control-received", source, via, datagram });
      });
      break;
    }
    default:
      assert.fail(`unexpected effect ${effect.kind}`);
  }
}

/** Delivers after ONE_WAY_MS to one host, or to all others. */
function transmit(
  segment: Segment,
  sender: Host,
  target: IpAddress | undefined,
  deliver: (receiver: Host) => void,
): void {
  for (const receiver of segment.hosts) {
    const isTarget = target === undefined ? receiver !== sender : receiver.address === target;
    if (
      isTarget &&
      !sender.isCutOff &&
      !receiver.isCutOff &&
      segment.random() >= segment.lossPercent
    ) {
      const what = () => deliver(receiver);
      addDeadline(segment.queue, { at: segment.now + ONE_WAY_MS, what });
    }
  }
}

function sendFrame(
  segment: Segment,
  host: Host,
  { source, destination }: { readonly source: MacAddress; readonly destination: MacAddress },
): void {
  const about = { vnet: VNET, mac: source };
  if (!host.vifs.has(source)) {
    const moved = host.fdb.delete(source);
    host.vifs.set(source, segment.now);
    stepHost(segment, host, { kind: "vif-learned", ...about, moved });
  }
  host.vifs.set(source, segment.now);
  ageVifs(segment, host);
  if (host.vifs.has(destination)) {
    return;
  }
  const entry = lookUp(segment, host, destination);
  segment.floodedFrames += entry === null ? 1 : 0;
  transmit(segment, host, entry?.host, (receiver) => {
    if (receiver.vifs.delete(source)) {
      stepHost(segment, receiver, { kind: "vif-gone", ...about, moved: true });
    }
    setFdb(segment, receiver, { mac: source, at: host.address });
  });
}

function ageVifs(segment: Segment, host: Host): void {
  for (const [mac, heardAt] of host.vifs) {
    if (segment.now - heardAt > VIF_TTL_MS) {
      host.vifs.delete(mac);
      stepHost(segment, host, { kind: "vif-gone", vnet: VNET, mac, moved: false });
    }
  }
}

function lookUp(segment: Segment, host: Host, mac: MacAddress): FdbEntry | null {
  const { now } = segment;
  const entry = host.fdb.get(mac);
  const about = { vnet: VNET, mac };
  if (entry !== undefined && now - entry.heardAt < FDB_TTL_MS) {
    if (now - entry.heardAt > REFRESH_AFTER_MS && now - entry.staleAt > REFRESH_AFTER_MS / 4) {
      entry.staleAt = now;
      const at = { address: entry.host, udpPort: 1798 };
      stepHost(segment, host, { kind: "fdb-stale", ...about, host: at });
    }
    return entry;
  }
  if (host.fdb.delete(mac)) {
    stepHost(segment, host, { kind: "fdb-gone", ...about });
  }
  if (now - (host.missAt.get(mac) ?? Number.NEGATIVE_INFINITY) >= SECOND) {
    host.missAt.set(mac, now);
    stepHost(segment, host, { kind: "fdb-miss", ...about });
  }
  return null;
}

/** As the data plane learns from a frame, or is told: an event for what is new or has moved. */
function setFdb(
  segment: Segment,
  host: Host,
  { mac, at }: { readonly mac: MacAddress; readonly at: IpAddress },
): void {
  const known = host.fdb.get(mac);
  host.fdb.set(mac, { host: at, heardAt: segment.now, staleAt: Number.NEGATIVE_INFINITY });
  if (known?.host !== at) {
    const where = { address: at, udpPort: 1798 };
    const about = { vnet: VNET, mac, host: where, moved: known !== undefined };
    stepHost(segment, host, { kind: "fdb-learned", ...about });
  }
}

function take(segment: Segment, ...indexes: readonly number[]): [Host, Host, Host, Host] {
  const [first] = segment.hosts;
  assert.ok(first);
  const [a = first, b = first, c = first, d = first] = indexes.map((index) => segment.hosts[index]);
  return [a, b, c, d];
}

function macOf(index: number): MacAddress {
  return parseMacAddress(`02:0:0:0:1:${index.toString(16)}`);
}

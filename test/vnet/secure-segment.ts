/**
 * Hosts of secure vnets on one segment, each with its machine and the data plane's part (SAs,
 * packet counters, replay windows, held packets) in a few lines, in simulated time:
 *
 *     host 0 ──┬── host 1 ──┬── host 2 …      one way takes 1 ms and jitter; datagrams can be lost,
 *            (multicast segment)              doubled, overtaken, recorded and played again
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { nodeCrypto } from "../../src/daemon/node-crypto.ts";
import { deriveKeyId, type SecureCrypto, type SuiteName } from "../../src/encap/key-schedule.ts";
import { decodeVnc1, type Vnc1Message } from "../../src/encap/vnc1.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/net/endpoint.ts";
import { type IpAddress, parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId, type VnetId } from "../../src/net/vnet-id.ts";
import { createSecure, nextSecureWakeAt, stepSecure } from "../../src/vnet/secure.ts";
import type {
  ListedPath,
  ListedSa,
  RingKey,
  SecureEffect,
  SecureEvent,
} from "../../src/vnet/secure-events.ts";
import type { Secure } from "../../src/vnet/secure-state.ts";
import {
  addDeadline,
  createWakeQueue,
  takeDue,
  type WakeQueue,
} from "../../src/vnet/wake-queue.ts";

export const VNET = parseVnetId("97");
export const SECOND = 1000;
const ONE_WAY_MS = 1;
const HOLD_MS = 200;
const HELD_MAX = 128;

export type ReceiveSa = {
  readonly vnet: VnetId;
  readonly spi: number;
  readonly suite: number;
  readonly keys: string;
  readonly context: Uint8Array;
  host: Endpoint;
  readonly seenUpTo: bigint;
  readonly seen: Set<bigint>;
};

export type SendSa = {
  readonly vnet: VnetId;
  readonly spi: number;
  readonly suite: number;
  readonly keys: string;
  readonly context: Uint8Array;
  readonly rekeyAt: bigint;
  readonly stopAt: bigint;
  counter: bigint;
  isSpentTold: boolean;
};

/** A sealed packet: the simulator's seal is the name of the key. */
export type Packet = { readonly spi: number; readonly keys: string; readonly counter: bigint };

export type Recorded = {
  readonly at: number;
  readonly source: Endpoint;
  /** Null: a flood. */
  readonly target: Endpoint | null;
  readonly datagram: Uint8Array;
};

export type Host = {
  readonly index: number;
  endpoint: Endpoint;
  secure: Secure;
  readonly sends: Map<VnetId, SendSa>;
  receives: ReceiveSa[];
  held: { readonly packet: Packet; readonly source: Endpoint; readonly at: number }[];
  readonly unknownAt: Map<number, number>;
  delivered: number;
  replayed: number;
  sentPackets: number;
  group: number;
  readonly alerts: string[];
  readonly pathMtus: number[];
  /** As the data plane has them. */
  readonly paths: Map<IpAddress, number>;
  senderId: Uint8Array;
  bootCounter: bigint;
};

export type Segment = {
  readonly hosts: Host[];
  readonly queue: WakeQueue<() => void>;
  now: number;
  lossPercent: number;
  duplicatePercent: number;
  jitterMs: number;
  /** Larger unfragmented packets are lost. */
  pathMtuBytes: number;
  readonly recorded: Recorded[];
  /** All packets that were sealed, as `key counter`: none may be there twice. */
  readonly nonces: Set<string>;
  /** Whole, from 0 to less than `below`, the same from the same seed. */
  readonly random: (below: number) => number;
  readonly crypto: SecureCrypto;
  vncDatagrams: number;
};

export type SegmentOptions = {
  readonly hostCount?: number;
  readonly lossPercent?: number;
  readonly duplicatePercent?: number;
  readonly jitterMs?: number;
  readonly seed?: number;
};

export function createSegment({
  hostCount = 2,
  lossPercent = 0,
  duplicatePercent = 0,
  jitterMs = 0,
  seed = 1,
}: SegmentOptions = {}): Segment {
  let state = seed;
  const random = (below: number) => {
    // Numerical Recipes' generator; its high bits are the good ones.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let draws = 0;
  const crypto: SecureCrypto = {
    ...nodeCrypto,
    randomBytes: (count) => {
      draws += 1;
      return Uint8Array.from(createHash("sha512").update(`${seed} ${draws}`).digest()).slice(
        0,
        count,
      );
    },
  };
  const segment: Segment = {
    ...{ hosts: [], queue: createWakeQueue(), now: 0, random, crypto, recorded: [] },
    ...{ lossPercent, duplicatePercent, jitterMs, pathMtuBytes: 1500, nonces: new Set() },
    vncDatagrams: 0,
  };
  for (let index = 0; index < hostCount; index++) {
    addHost(segment);
  }
  return segment;
}

/** A host that is switched on but has no vnet yet. */
export function addHost(segment: Segment): Host {
  const index = segment.hosts.length;
  const endpoint = { address: parseIpAddress(`10.0.0.${index + 1}`), udpPort: 1798 };
  const senderId = new Uint8Array(16).fill(index + 1);
  const host: Host = {
    ...{ index, endpoint, senderId, bootCounter: 1000n, sends: new Map(), receives: [], held: [] },
    ...{ unknownAt: new Map(), delivered: 0, replayed: 0, sentPackets: 0, group: 0 },
    ...{ alerts: [], pathMtus: [], paths: new Map(), secure: newMachine(segment, senderId, 1000n) },
  };
  segment.hosts.push(host);
  return host;
}

/** Configures the machine as a daemon does at its start, and lists what the data plane has. */
export function startHost(
  segment: Segment,
  host: Host,
  {
    vnets = [VNET],
    keys = ring(1),
    suite = "aes128-gcm",
  }: {
    readonly vnets?: readonly VnetId[];
    readonly keys?: readonly RingKey[];
    readonly suite?: SuiteName;
  } = {},
): void {
  tellUnderlay(segment, host);
  for (const vnet of vnets) {
    step(segment, host, { kind: "vnet-added", vnet, suite });
    step(segment, host, { kind: "keys-changed", vnet, keys });
  }
  step(segment, host, { kind: "sas-listed", sas: listSas(host), paths: listPaths(host) });
}

export function tellUnderlay(segment: Segment, host: Host): void {
  step(segment, host, {
    ...{ kind: "underlay-changed", endpoints: [host.endpoint], mtuBytes: 1500 },
  });
}

/** Another process with nothing but what is on the disk; the data plane's SAs go on. */
export function restartDaemon(segment: Segment, host: Host, options = {}): void {
  host.bootCounter += 1n;
  host.secure = newMachine(segment, host.senderId, host.bootCounter);
  startHost(segment, host, options);
}

/** The data plane is a new process; the daemon lives. */
export function restartDataplane(segment: Segment, host: Host): void {
  loseSas(host);
  step(segment, host, { kind: "sas-listed", sas: [], paths: [] });
}

/** The whole machine. */
export function reboot(segment: Segment, host: Host, options = {}): void {
  loseSas(host);
  restartDaemon(segment, host, options);
}

export function loseSas(host: Host): void {
  host.sends.clear();
  host.receives = [];
  host.held = [];
  host.unknownAt.clear();
  host.paths.clear();
}

function listPaths({ paths }: Host): readonly ListedPath[] {
  return Array.from(paths, ([host, mtuBytes]) => ({ host, mtuBytes }));
}

export function ring(active: number, ...held: readonly number[]): readonly RingKey[] {
  return [active, ...held].map((number) => {
    const psk = new Uint8Array(32).fill(number);
    const keyId = deriveKeyId(nodeCrypto, psk);
    return { keyId, psk, active: number === active };
  });
}

export function keyIdOf(number: number): number {
  return ring(number)[0]?.keyId ?? 0;
}

export function runTo(segment: Segment, until: number): void {
  for (;;) {
    const wake = Math.min(...segment.hosts.map(({ secure }) => nextSecureWakeAt(secure)));
    const next = Math.min(wake, segment.queue.heap[0]?.at ?? Number.POSITIVE_INFINITY);
    if (next > until) {
      segment.now = until;
      return;
    }
    assert.ok(next >= segment.now, "a wake-up in the past would never end");
    segment.now = next;
    takeDue(segment.queue, next)?.what();
    for (const host of segment.hosts) {
      if (nextSecureWakeAt(host.secure) <= next) {
        step(segment, host, { kind: "tick" });
      }
    }
  }
}

export function runFor(segment: Segment, durationMs: number): void {
  runTo(segment, segment.now + durationMs);
}

export function step(segment: Segment, host: Host, event: SecureEvent): readonly SecureEffect[] {
  const effects = stepSecure(host.secure, event, segment.now);
  for (const effect of effects) {
    carryOut(segment, host, effect);
  }
  return effects;
}

/** A packet of the host's send SA to all others; false: it has none, or that is at its end. */
export function sendData(segment: Segment, host: Host, vnet = VNET): boolean {
  const sa = host.sends.get(vnet);
  if (sa === undefined || sa.counter >= sa.stopAt) {
    return false;
  }
  sa.counter += 1n;
  host.sentPackets += 1;
  const packet = { spi: sa.spi, keys: sa.keys, counter: sa.counter };
  const nonce = `${sa.keys} ${sa.counter}`;
  assert.ok(!segment.nonces.has(nonce), `(key, nonce) used twice: ${nonce}`);
  segment.nonces.add(nonce);
  for (const receiver of segment.hosts) {
    transmit(segment, { sender: host, receiver }, () =>
      receivePacket(segment, receiver, { packet, source: host.endpoint }),
    );
  }
  if (sa.counter >= sa.rekeyAt && !sa.isSpentTold) {
    sa.isSpentTold = true;
    step(segment, host, { kind: "sa-spent", vnet, spi: sa.spi });
  }
  return true;
}

/** As the data plane: SA, window, or held and told. */
export function receivePacket(
  segment: Segment,
  host: Host,
  { packet, source }: { readonly packet: Packet; readonly source: Endpoint },
): void {
  const own = [...host.sends.values()].find(({ keys }) => keys === packet.keys);
  if (own !== undefined) {
    if (!sameEndpoint(source, host.endpoint)) {
      step(segment, host, { kind: "own-spi-heard", vnet: own.vnet, spi: own.spi, source });
    }
    return;
  }
  const sa = host.receives.find(({ keys, spi }) => keys === packet.keys && spi === packet.spi);
  if (sa === undefined) {
    hold(segment, host, { packet, source });
  } else if (packet.counter <= sa.seenUpTo || sa.seen.has(packet.counter)) {
    host.replayed += 1;
  } else {
    sa.seen.add(packet.counter);
    host.delivered += 1;
  }
}

/** Delivers a datagram as if `source` had sent it. */
export function inject(
  segment: Segment,
  host: Host,
  { source, datagram, via = 0 }: Pick<Recorded, "source" | "datagram"> & { readonly via?: number },
): readonly SecureEffect[] {
  return step(segment, host, { kind: "vnc-received", source, via, datagram });
}

export function listSas(host: Host): readonly ListedSa[] {
  const sends = [...host.sends.values()].map(({ vnet, spi, suite, context }) => ({
    ...{ vnet, send: true, spi, suite, host: null, context },
  }));
  const receives = host.receives.map(({ vnet, spi, suite, host: at, context }) => ({
    ...{ vnet, send: false, spi, suite, host: at, context },
  }));
  return [...sends, ...receives];
}

/** Whether packets of `sender` are opened by `receiver` now. */
export function opens(receiver: Host, sender: Host, vnet = VNET): boolean {
  const keys = sender.sends.get(vnet)?.keys;
  return receiver.receives.some((sa) => sa.keys === keys && sameEndpoint(sa.host, sender.endpoint));
}

/** Whether all hosts open all others' packets. */
export function isWhole(segment: Segment, hosts: readonly Host[] = segment.hosts): boolean {
  return hosts.every((one) => hosts.every((other) => one === other || opens(one, other)));
}

export function messageOf({ datagram }: Pick<Recorded, "datagram">): Vnc1Message {
  const outcome = decodeVnc1(datagram);
  assert.ok(outcome.kind === "vnc1");
  return outcome.message;
}

export function take(segment: Segment, ...indexes: readonly number[]): [Host, Host, Host, Host] {
  const [first] = segment.hosts;
  assert.ok(first);
  const [a = first, b = first, c = first, d = first] = indexes.map((index) => segment.hosts[index]);
  return [a, b, c, d];
}

function newMachine({ crypto }: Segment, senderId: Uint8Array, bootCounter: bigint): Secure {
  return createSecure({ crypto, senderId, bootCounter });
}

function hold(
  segment: Segment,
  host: Host,
  { packet, source }: { readonly packet: Packet; readonly source: Endpoint },
): void {
  host.held = host.held.filter(({ at }) => segment.now - at < HOLD_MS);
  if (host.held.filter(({ packet: { spi } }) => spi === packet.spi).length < HELD_MAX) {
    host.held.push({ packet, source, at: segment.now });
  }
  if (segment.now - (host.unknownAt.get(packet.spi) ?? Number.NEGATIVE_INFINITY) >= HOLD_MS) {
    host.unknownAt.set(packet.spi, segment.now);
    step(segment, host, { kind: "unknown-spi", spi: packet.spi, source });
  }
}

function carryOut(segment: Segment, host: Host, effect: SecureEffect): void {
  switch (effect.kind) {
    case "send-to":
    case "send-probe":
      send(segment, host, { target: effect.host, datagram: effect.datagram, effect });
      break;
    case "send-flood":
      send(segment, host, { target: null, datagram: effect.datagram, effect });
      break;
    case "read-counter": {
      const sa = host.sends.get(effect.request.vnet);
      if (sa?.spi === effect.request.spi) {
        const { counter } = sa;
        step(segment, host, { kind: "counter-read", request: effect.request, counter });
      }
      break;
    }
    case "store-sender-id":
      host.senderId = effect.senderId;
      break;
    case "path-mtu":
      host.pathMtus.push(effect.mtuBytes);
      break;
    case "set-path-mtu":
      assert.ok(effect.host !== null);
      host.paths.delete(effect.host);
      if (effect.mtuBytes !== 0) {
        host.paths.set(effect.host, effect.mtuBytes);
      }
      break;
    case "alert":
      host.alerts.push(effect.code);
      break;
    default:
      changeSas(segment, host, effect);
  }
}

function changeSas(
  segment: Segment,
  host: Host,
  effect: Extract<
    SecureEffect,
    { kind: "set-send-sa" | "set-receive-sa" | "change-receive-sa" | "delete-sa" }
  >,
): void {
  const { vnet, spi } = effect;
  const at = effect.kind === "set-send-sa" ? null : effect.host;
  const isIt = (sa: ReceiveSa) =>
    sa.vnet === vnet && sa.spi === spi && at !== null && sameEndpoint(sa.host, at);
  switch (effect.kind) {
    case "set-send-sa": {
      const { suite, context, rekeyAt, stopAt } = effect;
      assert.notEqual(host.sends.get(vnet)?.spi, spi, "EEXIST");
      const about = { vnet, spi, suite, context, rekeyAt, stopAt };
      host.sends.set(vnet, { ...about, keys: hex(effect.keys), counter: 0n, isSpentTold: false });
      break;
    }
    case "set-receive-sa": {
      assert.ok(effect.host && !host.receives.some(isIt), "EEXIST");
      const { suite, context, seenUpTo } = effect;
      const about = { vnet, spi, suite, context, seenUpTo, host: effect.host };
      host.receives.push({ ...about, keys: hex(effect.keys), seen: new Set() });
      const held = host.held.filter(
        (one) => one.packet.spi === spi && segment.now - one.at < HOLD_MS,
      );
      host.held = host.held.filter(({ packet }) => packet.spi !== spi);
      for (const { packet, source } of held) {
        receivePacket(segment, host, { packet, source });
      }
      break;
    }
    case "change-receive-sa": {
      const sa = host.receives.find(isIt);
      assert.ok(sa && effect.newHost, "ENOENT");
      sa.host = effect.newHost;
      break;
    }
    case "delete-sa":
      if (effect.send) {
        assert.equal(host.sends.get(vnet)?.spi, spi, "ENOENT");
        host.sends.delete(vnet);
      } else {
        assert.ok(host.receives.some(isIt), `ENOENT ${at && formatEndpoint(at)}`);
        host.receives = host.receives.filter((sa) => !isIt(sa));
      }
  }
}

function send(
  segment: Segment,
  host: Host,
  {
    target,
    datagram,
    effect,
  }: {
    readonly target: Endpoint | null;
    readonly datagram: Uint8Array;
    readonly effect: SecureEffect;
  },
): void {
  segment.vncDatagrams += 1;
  segment.recorded.push({ at: segment.now, source: host.endpoint, target, datagram });
  if (effect.kind === "send-probe" && datagram.length + 28 > segment.pathMtuBytes) {
    return;
  }
  const source = host.endpoint;
  for (const receiver of segment.hosts) {
    if (target === null || sameEndpoint(target, receiver.endpoint)) {
      transmit(segment, { sender: host, receiver }, () => {
        inject(segment, receiver, { source, datagram, via: target === null ? 1 : 0 });
      });
    }
  }
}

function transmit(
  segment: Segment,
  { sender, receiver }: { readonly sender: Host; readonly receiver: Host },
  deliver: () => void,
): void {
  if (sender === receiver || sender.group !== receiver.group) {
    return;
  }
  const copies = segment.random(100) < segment.duplicatePercent ? 2 : 1;
  for (let copy = 0; copy < copies; copy++) {
    if (segment.random(100) >= segment.lossPercent) {
      const at = segment.now + ONE_WAY_MS + segment.random(segment.jitterMs + 1);
      addDeadline(segment.queue, { at, what: deliver });
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

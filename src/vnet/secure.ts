/**
 * Secure vnets, as a state machine: events and the time go in, commands for the data plane come
 * out. It makes and renews this host's own SAs, says so to the others, and takes in an SA of another
 * host only after that has answered a challenge; docs/WIRE.md has the messages.
 *
 *     secure-receive  messages, each check in its order ──> secure-hosts   who is there, their SAs
 *     secure-hello    HELLO, SOLICIT, challenges            secure-probe   path MTU
 *     secure-epochs   our own SAs ──> secure-hello          secure-clone   a copy of this host
 *     secure-keys     the ring                              secure-adopt   the data plane's listing
 *     secure-window   where a replay window begins         secure-paths   what the probes found
 */
import { SUITES } from "../encap/key-schedule.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { takeListing } from "./secure-adopt.ts";
import { answerWithCounter } from "./secure-answer.ts";
import { hearOwnPackets } from "./secure-clone.ts";
import { announceEpoch, runEpoch, startEpoch } from "./secure-epochs.ts";
import type { SecureEffect, SecureEvent, SecureOptions, SecureRefusal } from "./secure-events.ts";
import {
  helloAfterChange,
  makeMessage,
  nextHelloAt,
  runGreetings,
  runHellos,
} from "./secure-hello.ts";
import { endAllProbes, runHostDeadlines } from "./secure-hosts.ts";
import { changeKeys, wipeKeys } from "./secure-keys.ts";
import { leavePath } from "./secure-paths.ts";
import { probeAgain, runProbe } from "./secure-probe.ts";
import { receiveVnc } from "./secure-receive.ts";
import {
  createRates,
  createSecureVnet,
  NEVER,
  type Secure,
  type SecureStep,
  type SecureVnet,
  wakeVnetAt,
} from "./secure-state.ts";
import { askAfterUnknownSpi } from "./secure-strangers.ts";
import type { Millis } from "./varp-events.ts";
import { createWakeQueue, earliestWakeAt, takeDue } from "./wake-queue.ts";

type EventOf<Kind extends SecureEvent["kind"]> = Extract<SecureEvent, { readonly kind: Kind }>;

/** The most packets that an SA seals before the next one is announced: half of what it can. */
export const REKEY_PACKETS = 2 ** 31;

const HOSTS_PER_VNET_MAX = 4096;
const SECRET_BYTES = 32;

/** Knows no vnet and no address yet. */
export function createSecure({
  crypto,
  senderId,
  bootCounter,
  hostsPerVnetMax = HOSTS_PER_VNET_MAX,
  rekeyPackets = REKEY_PACKETS,
}: SecureOptions): Secure {
  return {
    ...{ crypto, senderId, bootCounter, hostsPerVnetMax, rekeyPackets, helloSequence: 0n },
    challengeSecret: crypto.randomBytes(SECRET_BYTES),
    ...{ endpoints: [], mtuBytes: 0, isListed: false },
    ...{ vnets: new Map(), keysByTag: new Map(), wakes: createWakeQueue() },
    ...{ probers: new Map(), paths: new Map() },
    ...createRates(),
    refusedCounts: new Map(),
  };
}

/** Takes in one event, changing `secure` in place. Events of vnets that were not added are ignored. */
export function stepSecure(
  secure: Secure,
  event: SecureEvent,
  now: Millis,
): readonly SecureEffect[] {
  const step: SecureStep = { secure, now, effects: [] };
  switch (event.kind) {
    case "tick":
      runDue(step);
      break;
    case "vnc-received":
      receiveVnc(step, event);
      break;
    case "counter-read":
      answerWithCounter(step, event);
      break;
    case "unknown-spi":
      askAfterUnknownSpi(step, event);
      break;
    case "own-spi-heard":
      hearOwnPackets(step, event);
      break;
    case "sa-spent":
      renewSpent(step, event);
      break;
    default:
      configure(step, event);
  }
  return step.effects;
}

/** When to call stepSecure() with "tick"; infinity: not before another event. */
export function nextSecureWakeAt(secure: Secure): Millis {
  return earliestWakeAt(secure.wakes);
}

/** How many messages and events led to nothing since the start, by reason. */
export function countSecureRefused(secure: Secure): ReadonlyMap<SecureRefusal, number> {
  return secure.refusedCounts;
}

/** The events that come from this host's configuration and from the start of things. */
function configure(
  step: SecureStep,
  event: Exclude<
    SecureEvent,
    EventOf<"tick" | "vnc-received" | "counter-read" | "unknown-spi" | "own-spi-heard" | "sa-spent">
  >,
): void {
  switch (event.kind) {
    case "vnet-added":
      addVnet(step, event);
      break;
    case "vnet-removed":
      removeVnet(step, event);
      break;
    case "keys-changed":
      changeKeys(step, event);
      break;
    case "underlay-changed":
      changeUnderlay(step, event);
      break;
    case "sas-listed":
      takeListing(step, event);
      break;
    case "renew":
      for (const vnet of vnetsOf(step, event.vnet)) {
        startEpoch(step, vnet);
      }
      break;
    case "stop":
      stop(step);
      break;
  }
}

function addVnet(
  { secure, now }: SecureStep,
  { vnet: id, suite: name }: EventOf<"vnet-added">,
): void {
  const suite = SUITES.find((candidate) => candidate.name === name);
  if (suite !== undefined && !secure.vnets.has(id)) {
    secure.vnets.set(id, createSecureVnet(id, suite, now));
  }
}

/** Its SAs go with the vnet in the data plane. */
function removeVnet(step: SecureStep, { vnet: id }: EventOf<"vnet-removed">): void {
  const vnet = step.secure.vnets.get(id);
  if (vnet !== undefined) {
    sayGoodbye(step, vnet);
    endAllProbes(step, vnet);
    wipeKeys(step, vnet);
    step.secure.vnets.delete(id);
    for (const { endpoint } of vnet.hosts.values()) {
      leavePath(step, endpoint.address);
    }
  }
}

/** With another address this host is elsewhere for everybody. */
function changeUnderlay(step: SecureStep, event: EventOf<"underlay-changed">): void {
  const isOtherMtu = event.mtuBytes !== step.secure.mtuBytes;
  step.secure.endpoints = event.endpoints;
  step.secure.mtuBytes = event.mtuBytes;
  for (const vnet of step.secure.vnets.values()) {
    if (isOtherMtu) {
      probeAgain(step, vnet);
    }
    if (vnet.send !== null) {
      helloAfterChange(step, vnet);
    }
  }
}

function renewSpent(step: SecureStep, { vnet: id, spi }: EventOf<"sa-spent">): void {
  const vnet = step.secure.vnets.get(id);
  if (vnet?.send?.spi === spi && vnet.next === null) {
    announceEpoch(step, vnet);
  }
}

/** Nothing is answered after the goodbye, until the data plane says which SAs it has. */
function stop(step: SecureStep): void {
  for (const vnet of step.secure.vnets.values()) {
    sayGoodbye(step, vnet);
    vnet.send = null;
    vnet.sendSince = null;
    vnet.next = null;
    vnet.epochAt = NEVER;
    vnet.helloAt = NEVER;
    vnet.repeatsAt = [];
  }
  step.secure.isListed = false;
}

function sayGoodbye(step: SecureStep, vnet: SecureVnet): void {
  const key = vnet.send && vnet.keys.get(vnet.send.keyId);
  if (key) {
    const datagram = makeMessage(step, vnet, { type: "bye", key, sa: vnet.send });
    step.effects.push({ kind: "send-flood", datagram });
  }
}

function runDue(step: SecureStep): void {
  const { secure, now } = step;
  for (let due = takeDue(secure.wakes, now); due !== null; due = takeDue(secure.wakes, now)) {
    const vnet = secure.vnets.get(due.what);
    // The vnet may be gone, or have been looked at since: then there is a later deadline of it.
    if (vnet !== undefined && vnet.wakeAt <= now) {
      runVnet(step, vnet);
    }
  }
}

function runVnet(step: SecureStep, vnet: SecureVnet): void {
  vnet.wakeAt = NEVER;
  runEpoch(step, vnet);
  runHellos(step, vnet);
  if (vnet.hostsAt <= step.now) {
    vnet.hostsAt = NEVER;
    let hostsAt = NEVER;
    for (const host of [...vnet.hosts.values()]) {
      runGreetings(step, vnet, host);
      const probeAt = runProbe(step, vnet, host);
      const deadline = runHostDeadlines(step, vnet, host);
      hostsAt = Math.min(hostsAt, deadline, probeAt, ...host.greetingsAt);
    }
    vnet.hostsAt = hostsAt;
  }
  wakeVnetAt(step, vnet, Math.min(vnet.epochAt, nextHelloAt(vnet), vnet.hostsAt));
}

function vnetsOf({ secure }: SecureStep, id: VnetId | null): readonly SecureVnet[] {
  return [...secure.vnets.values()].filter((vnet) => id === null || vnet.id === id);
}

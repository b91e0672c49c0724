/**
 * The other hosts of a vnet and their SAs. An SA gets here only after its sender has answered a
 * challenge, with the number of packets it had sealed by then: secure-window.ts says which of those
 * are replays.
 *
 *     proved ──> up ──35 s without HELLO──> unreachable ──10 min──> forgotten
 *      SAs:  next ──HELLO says it is in use──> current ──another is──> previous ──60 s──> removed
 */
import { deriveTrafficKeys } from "../encap/key-schedule.ts";
import { CAPABILITY_CHECKSUM_PARTIAL, type Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import { encodeSaContext } from "./secure-context.ts";
import { greet } from "./secure-hello.ts";
import { leavePath } from "./secure-paths.ts";
import { endProbe, startProbe } from "./secure-probe.ts";
import {
  countSecureRefusal,
  type HostSa,
  hexOf,
  NEVER,
  type SecureHost,
  type SecureKey,
  type SecureStep,
  type SecureVnet,
  sameBytes,
  UNREACHABLE_AFTER_MS,
  wakeHostsAt,
} from "./secure-state.ts";
import { forgetWindows } from "./secure-window.ts";
import type { Millis } from "./varp-events.ts";

const FORGET_AFTER_MS = 10 * 60_000;
const PREVIOUS_KEPT_MS = 60_000;
/** From its announcement; it is used after ten seconds, and each HELLO then says so. */
const NEXT_KEPT_MS = 120_000;
const CLONE_SHOWN_MS = 60_000;
/** Who comes back to an endpoint within this time is in two places. */
const RETURN_MS = 30_000;
const LEFT_ENDPOINTS_MAX = 4;

/** The SA that the message names, if it is installed. */
export function findSa(host: SecureHost | undefined, message: Vnc1Message): HostSa | undefined {
  return host?.sas.find(
    ({ spi, keyId, bootNonce }) =>
      spi === message.spi && keyId === message.keyId && sameBytes(bootNonce, message.bootNonce),
  );
}

/** Takes in a host that has answered a challenge, and its SA. */
export function installSa(
  step: SecureStep,
  vnet: SecureVnet,
  {
    key,
    message,
    source,
    seenUpTo,
  }: {
    readonly key: SecureKey;
    readonly message: Vnc1Message;
    readonly source: Endpoint;
    readonly seenUpTo: bigint;
  },
): void {
  const senderHex = hexOf(message.senderId);
  const known = vnet.hosts.get(senderHex);
  const host = known ?? addHost(step, vnet, { message, source });
  if (host === null) {
    countSecureRefusal(step, "hosts-full");
    return;
  }
  const sa: HostSa = {
    ...{ keyId: key.keyId, bootNonce: message.bootNonce, epoch: message.epoch, spi: message.spi },
    ...{ role: "next", installedAt: step.now, dropAt: step.now + NEXT_KEPT_MS },
  };
  for (const other of host.sas.filter(({ role }) => message.isNext && role === "next")) {
    removeSa(step, vnet, { host, sa: other });
  }
  noteHeard(step, vnet, { host, message, source, isFresh: true });
  host.sas.push(sa);
  const { crypto } = step.secure;
  const { senderId } = host;
  step.effects.push({
    kind: "set-receive-sa",
    ...{ vnet: vnet.id, spi: sa.spi, suite: vnet.suite.id },
    keys: deriveTrafficKeys(crypto, key.psk, { ...sa, vnet: vnet.id, suite: vnet.suite, senderId }),
    host: host.endpoint,
    context: contextOf(host, sa),
    seenUpTo,
    checksumPartial: host.checksumPartial,
  });
  if (message.isNext) {
    wakeHostsAt(step, vnet, sa.dropAt);
  } else {
    useHostSa(step, vnet, { host, sa });
  }
  if (known === undefined) {
    step.effects.push({ kind: "alert", code: "host-up", vnet: vnet.id, host: host.endpoint });
    greet(step, vnet, host);
  }
}

/** The host seals with this SA now. */
export function useHostSa(
  step: SecureStep,
  vnet: SecureVnet,
  { host, sa }: { readonly host: SecureHost; readonly sa: HostSa },
): void {
  if (sa.role === "current") {
    return;
  }
  for (const other of host.sas.filter(({ role }) => role === "previous")) {
    if (other !== sa) {
      removeSa(step, vnet, { host, sa: other });
    }
  }
  for (const other of host.sas) {
    if (other.role === "current") {
      other.role = "previous";
      other.dropAt = step.now + PREVIOUS_KEPT_MS;
      wakeHostsAt(step, vnet, other.dropAt);
    }
  }
  sa.role = "current";
  sa.dropAt = NEVER;
}

/** Whether the message is no newer than one of the same host that was taken in before. */
export function isOutdated(host: SecureHost, { bootCounter, helloSequence }: Vnc1Message): boolean {
  return (
    bootCounter < host.bootCounter ||
    (bootCounter === host.bootCounter && helloSequence <= host.helloSequence)
  );
}

/** Takes in what an authentic message, newer than all before, says of its host. */
export function noteHeard(
  step: SecureStep,
  vnet: SecureVnet,
  {
    host,
    message,
    source,
    isFresh,
  }: {
    readonly host: SecureHost;
    readonly message: Vnc1Message;
    readonly source: Endpoint;
    /** It answers a challenge: only such a message can move the host. */
    readonly isFresh: boolean;
  },
): void {
  // Of a host that was silent for long nothing fresh is too old: its counter may have been set back
  // with the rest of it.
  const mayGoBack = isFresh && step.now - host.heardAt >= UNREACHABLE_AFTER_MS;
  if (isOutdated(host, message) && !mayGoBack) {
    return;
  }
  host.bootCounter = message.bootCounter;
  host.helloSequence = message.helloSequence;
  host.heardAt = step.now;
  host.heldKeys.set(message.keyId, step.now);
  wakeHostsAt(step, vnet, step.now + UNREACHABLE_AFTER_MS);
  if (host.isUnreachable) {
    host.isUnreachable = false;
    step.effects.push({ kind: "alert", code: "host-up", vnet: vnet.id, host: host.endpoint });
    greet(step, vnet, host);
  }
  host.mtuBytes = message.mtuBytes ?? host.mtuBytes;
  const checksumPartial = (message.capabilities & CAPABILITY_CHECKSUM_PARTIAL) !== 0;
  const endpoint = isFresh ? source : host.endpoint;
  if (checksumPartial !== host.checksumPartial || !sameEndpoint(endpoint, host.endpoint)) {
    changeHost(step, vnet, { host, endpoint, checksumPartial });
  }
  startProbe(step, vnet, host);
}

/** Shows the host as a clone for a minute. */
export function markClone(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  if (host.cloneUntil <= step.now) {
    const about = { vnet: vnet.id, host: host.endpoint };
    step.effects.push({ kind: "alert", code: "clone-elsewhere", ...about });
  }
  host.cloneUntil = step.now + CLONE_SHOWN_MS;
}

/** Other vnets may probe the paths from now on. */
export function endAllProbes(step: SecureStep, vnet: SecureVnet): void {
  for (const host of vnet.hosts.values()) {
    endProbe(step, vnet, host);
  }
}

export function removeHost(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  for (const sa of [...host.sas]) {
    removeSa(step, vnet, { host, sa });
  }
  endProbe(step, vnet, host);
  vnet.hosts.delete(host.senderHex);
  leavePath(step, host.endpoint.address);
}

/** Takes the SA out here and in the data plane. */
export function removeSa(
  step: SecureStep,
  vnet: SecureVnet,
  { host, sa }: { readonly host: SecureHost; readonly sa: HostSa },
): void {
  forgetSa(step, vnet, { host, sa });
  const { spi } = sa;
  step.effects.push({
    kind: "delete-sa",
    ...{ vnet: vnet.id, spi, host: host.endpoint, send: false },
  });
}

/** Takes the SA out here: the data plane does not have it. */
export function forgetSa(
  step: SecureStep,
  vnet: SecureVnet,
  { host, sa }: { readonly host: SecureHost; readonly sa: HostSa },
): void {
  host.sas.splice(host.sas.indexOf(sa), 1);
  vnet.generation += 1;
  // One whose sender went over to another a minute ago can be taken in no more.
  if (sa.role !== "previous" || sa.dropAt > step.now) {
    forgetWindows(step, vnet);
  }
}

/** Does what is due for one host, and says when it is to be looked at again. */
export function runHostDeadlines(step: SecureStep, vnet: SecureVnet, host: SecureHost): Millis {
  const { now } = step;
  for (const sa of host.sas.filter(({ dropAt }) => dropAt <= now)) {
    removeSa(step, vnet, { host, sa });
  }
  const silentMs = now - host.heardAt;
  if (silentMs >= FORGET_AFTER_MS) {
    removeHost(step, vnet, host);
    return NEVER;
  }
  if (silentMs >= UNREACHABLE_AFTER_MS && !host.isUnreachable) {
    host.isUnreachable = true;
    const about = { vnet: vnet.id, host: host.endpoint };
    step.effects.push({ kind: "alert", code: "host-unreachable", ...about });
  }
  for (const [keyId, heldAt] of host.heldKeys) {
    if (now - heldAt >= UNREACHABLE_AFTER_MS && !host.isUnreachable) {
      host.heldKeys.delete(keyId);
    }
  }
  const silenceEnds = host.isUnreachable ? FORGET_AFTER_MS : UNREACHABLE_AFTER_MS;
  return Math.min(host.heardAt + silenceEnds, ...host.sas.map(({ dropAt }) => dropAt));
}

/** Null: there is no room, and nobody to put out. */
function addHost(
  step: SecureStep,
  vnet: SecureVnet,
  { message, source }: { readonly message: Vnc1Message; readonly source: Endpoint },
): SecureHost | null {
  if (vnet.hosts.size >= step.secure.hostsPerVnetMax) {
    const lost = [...vnet.hosts.values()].find(({ isUnreachable }) => isUnreachable);
    if (lost === undefined) {
      step.effects.push({ kind: "alert", code: "hosts-full", vnet: vnet.id, host: source });
      return null;
    }
    removeHost(step, vnet, lost);
  }
  const host = createHost(step, { senderId: message.senderId, endpoint: source });
  for (const other of [...vnet.hosts.values()]) {
    // One endpoint is one installation's: it has another identity now, after it met a clone.
    if (sameEndpoint(other.endpoint, source)) {
      host.cloneUntil = Math.max(host.cloneUntil, other.cloneUntil);
      removeHost(step, vnet, other);
    }
  }
  vnet.hosts.set(host.senderHex, host);
  vnet.strangers.delete(formatEndpoint(source));
  return host;
}

/** A host of which nothing is known yet but who and where it is. */
export function createHost(
  { now }: SecureStep,
  { senderId, endpoint }: Pick<SecureHost, "senderId" | "endpoint">,
): SecureHost {
  return {
    ...{ senderId, senderHex: hexOf(senderId), endpoint, sas: [] },
    ...{ bootCounter: 0n, helloSequence: 0n, heardAt: now, provedAt: now, isUnreachable: false },
    ...{ mtuBytes: null, checksumPartial: false, heldKeys: new Map() },
    ...{ leftEndpoints: [], cloneUntil: Number.NEGATIVE_INFINITY, greetingsAt: [] },
    ...{ probe: null, pathMtuBytes: null },
  };
}

/** The host is elsewhere, or says something new: its SAs in the data plane follow. */
function changeHost(
  step: SecureStep,
  vnet: SecureVnet,
  {
    host,
    endpoint,
    checksumPartial,
  }: {
    readonly host: SecureHost;
    readonly endpoint: Endpoint;
    readonly checksumPartial: boolean;
  },
): void {
  const former = host.endpoint;
  host.checksumPartial = checksumPartial;
  if (!sameEndpoint(former, endpoint)) {
    endProbe(step, vnet, host);
    host.endpoint = endpoint;
    host.pathMtuBytes = null;
    leavePath(step, former.address);
    noteMove(step, vnet, { host, former });
  }
  for (const sa of host.sas) {
    step.effects.push({
      kind: "change-receive-sa",
      ...{ vnet: vnet.id, spi: sa.spi, host: former, newHost: endpoint },
      ...{ context: contextOf(host, sa), checksumPartial },
    });
  }
}

function noteMove(
  step: SecureStep,
  vnet: SecureVnet,
  { host, former }: { readonly host: SecureHost; readonly former: Endpoint },
): void {
  const since = step.now - RETURN_MS;
  const lately = host.leftEndpoints.filter(({ at }) => at > since);
  if (lately.some(({ endpoint }) => sameEndpoint(endpoint, host.endpoint))) {
    markClone(step, vnet, host);
  }
  host.leftEndpoints = [...lately, { endpoint: former, at: step.now }].slice(-LEFT_ENDPOINTS_MAX);
}

function contextOf(host: SecureHost, { keyId, epoch, bootNonce, role }: HostSa): Uint8Array {
  const { senderId, bootCounter, helloSequence, checksumPartial } = host;
  return encodeSaContext({
    ...{ keyId, epoch, bootNonce, senderId, bootCounter, helloSequence, checksumPartial },
    isNext: role === "next",
  });
}

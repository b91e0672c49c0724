/**
 * How large a packet reaches a host in one piece (RFC 8899, as far as one prober needs it): padded
 * PROBEs that must not be fragmented, the full size of the link first, then a binary search. One
 * vnet probes for all that are shared with the host.
 */
import type { Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { ipFamily } from "../net/ip-address.ts";
import { makeMessage, mayAnswer } from "./secure-hello.ts";
import { setPath } from "./secure-paths.ts";
import {
  countSecureRefusal,
  NEVER,
  randomBelow,
  type SecureHost,
  type SecureStep,
  type SecureVnet,
  wakeHostsAt,
} from "./secure-state.ts";
import type { Millis } from "./varp-events.ts";

const TRIES = 3;
const TIMEOUT_MS = 500;
const FIRST_PROBE_AFTER_MS = 300;
const AGAIN_AFTER_MS = 10 * 60_000;
const PRECISION_BYTES = 8;
/** RFC 791 §3.1: what every host must take. RFC 8200 §5: what every link must carry. */
const LEAST_MTU = { 4: 576, 6: 1280 } as const;
const HEADER_BYTES = { 4: 20 + 8, 6: 40 + 8 } as const;
const MTU_MAX = 65_535;

/** Begins to probe the path, unless another vnet does. */
export function startProbe(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  const name = formatEndpoint(host.endpoint);
  if (host.probe !== null || step.secure.probers.has(name)) {
    return;
  }
  step.secure.probers.set(name, vnet.id);
  const dueAt = step.now + FIRST_PROBE_AFTER_MS;
  host.probe = { ...searchFrom(step, host), id: 0, dueAt, isSettled: true };
  wakeHostsAt(step, vnet, dueAt);
}

export function endProbe(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  const name = formatEndpoint(host.endpoint);
  if (host.probe !== null && step.secure.probers.get(name) === vnet.id) {
    step.secure.probers.delete(name);
  }
  host.probe = null;
}

/** The link has another MTU: what was found of the paths over it may be wrong. */
export function probeAgain(step: SecureStep, vnet: SecureVnet): void {
  const dueAt = step.now + FIRST_PROBE_AFTER_MS;
  for (const { probe } of vnet.hosts.values()) {
    if (probe !== null) {
      probe.isSettled = true;
      probe.dueAt = dueAt;
      wakeHostsAt(step, vnet, dueAt);
    }
  }
}

/** Does what is due, and says when it is to be looked at again. */
export function runProbe(step: SecureStep, vnet: SecureVnet, host: SecureHost): Millis {
  const { probe } = host;
  if (probe === null || probe.dueAt > step.now) {
    return probe?.dueAt ?? NEVER;
  }
  if (host.isUnreachable) {
    probe.dueAt = step.now + AGAIN_AFTER_MS;
  } else if (probe.isSettled) {
    Object.assign(probe, searchFrom(step, host));
    probe.isSettled = false;
    sendProbe(step, vnet, host);
  } else if (probe.triesLeft > 0) {
    sendProbe(step, vnet, host);
  } else {
    probe.high = probe.size - 1;
    search(step, vnet, host);
  }
  return probe.dueAt;
}

/** Answers a probe, to where the host is and with less than was received. */
export function answerProbe(
  step: SecureStep,
  vnet: SecureVnet,
  {
    host,
    message,
    payloadBytes,
  }: {
    readonly host: SecureHost;
    readonly message: Vnc1Message;
    readonly payloadBytes: number;
  },
): void {
  const key = vnet.send && vnet.keys.get(vnet.send.keyId);
  if (message.probe === null) {
    countSecureRefusal(step, "malformed");
  } else if (!mayAnswer(step, vnet, host.endpoint)) {
    countSecureRefusal(step, "rate");
  } else if (key) {
    const fields = { probe: { id: message.probe.id, payloadBytes } };
    const sa = vnet.send;
    const datagram = makeMessage(step, vnet, { type: "probe-ack", key, sa, fields });
    if (datagram.length <= payloadBytes) {
      step.effects.push({ kind: "send-to", host: host.endpoint, datagram });
    }
  }
}

/** A probe came through. */
export function takeProbeAnswer(
  step: SecureStep,
  vnet: SecureVnet,
  {
    host,
    message,
    source,
  }: { readonly host: SecureHost; readonly message: Vnc1Message; readonly source: Endpoint },
): void {
  const { probe } = host;
  if (source.address !== host.endpoint.address) {
    // Whoever has the vnet's key could speak of the paths to others.
    countSecureRefusal(step, "foreign-address");
    return;
  }
  const headers = headerBytes(host.endpoint);
  const isAnswer =
    probe !== null &&
    !probe.isSettled &&
    message.probe?.id === probe.id &&
    message.probe.payloadBytes === probe.size - headers;
  if (probe !== null && isAnswer) {
    probe.low = probe.size;
    search(step, vnet, host);
  }
}

/** Tries the middle of what is open, or is done. */
function search(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  const { probe } = host;
  if (probe === null) {
    return;
  }
  if (probe.high - probe.low < PRECISION_BYTES) {
    probe.isSettled = true;
    probe.dueAt = step.now + AGAIN_AFTER_MS;
    if (host.pathMtuBytes !== probe.low) {
      const mtuBytes = probe.low;
      step.effects.push({ kind: "path-mtu", host: host.endpoint, mtuBytes });
    }
    host.pathMtuBytes = probe.low;
    setPath(step, host.endpoint.address, probe.low);
    wakeHostsAt(step, vnet, probe.dueAt);
    return;
  }
  probe.size = Math.ceil((probe.low + probe.high) / 2);
  probe.triesLeft = TRIES;
  sendProbe(step, vnet, host);
}

function sendProbe(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  const { probe } = host;
  if (probe === null) {
    return;
  }
  // Not to be guessed: the path is other vnets' too, whose members do not trust this one's.
  probe.id = randomBelow(step, 2 ** 32);
  probe.triesLeft -= 1;
  probe.dueAt = step.now + TIMEOUT_MS;
  wakeHostsAt(step, vnet, probe.dueAt);
  const key = vnet.send && vnet.keys.get(vnet.send.keyId);
  if (!key) {
    // Nothing can be asked: not the path's fault, so the search begins anew later.
    probe.isSettled = true;
    probe.dueAt = step.now + AGAIN_AFTER_MS;
    return;
  }
  const payloadBytes = probe.size - headerBytes(host.endpoint);
  const fields = { probe: { id: probe.id, payloadBytes } };
  const datagram = makeMessage(step, vnet, {
    ...{ type: "probe", key, sa: vnet.send, bytesMin: payloadBytes },
    fields,
  });
  step.effects.push({ kind: "send-probe", host: host.endpoint, datagram });
}

/** The whole link first: most paths take it, and one probe is all. */
function searchFrom(
  { secure }: SecureStep,
  { endpoint, mtuBytes }: SecureHost,
): { low: number; high: number; size: number; triesLeft: number } {
  const low = LEAST_MTU[ipFamily(endpoint.address)];
  const high = Math.min(MTU_MAX, Math.max(low, Math.min(secure.mtuBytes, mtuBytes ?? MTU_MAX)));
  return { low, high, size: high, triesLeft: TRIES };
}

function headerBytes({ address }: Endpoint): number {
  return HEADER_BYTES[ipFamily(address)];
}

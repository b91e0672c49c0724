/**
 * Saying who we are: HELLOs to everybody, every ten seconds and several times after a change, and
 * the challenges by which a host shows that it speaks now and not in a recording.
 *
 *     newcomer                              member
 *        │ HELLO (flood) ───────────────────> │  an SPI that is not known
 *        │ <───────────────────────── SOLICIT │  challenge; says who the member is, too
 *        │ HELLO, echo, packet counter ─────> │  installs the newcomer's SA
 *        │        and a challenge             │
 *        │ <────── HELLO, echo, packet counter│
 *      installs the member's SA
 *
 * All of these are padded to one length, so that no answer is longer than what caused it, and
 * nothing is repeated but a HELLO: a host that asks keeps no state until it has its answer.
 */
import { controlMac, membershipHint } from "../encap/key-schedule.ts";
import {
  CAPABILITY_CHECKSUM_PARTIAL,
  CHALLENGE_BYTES,
  encodeVnc1,
  type Vnc1Fields,
  type Vnc1Message,
  type Vnc1Type,
} from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { encodeVnetId } from "../net/vnet-id.ts";
import { mayOnceMore } from "./rate-table.ts";
import {
  countSecureRefusal,
  type OwnSa,
  randomBelow,
  type SecureHost,
  type SecureKey,
  type SecureStep,
  type SecureVnet,
  wakeHostsAt,
  wakeVnetAt,
} from "./secure-state.ts";
import type { Millis } from "./varp-events.ts";

/** Of every HELLO and SOLICIT; four IPv6 addresses and an echo leave room for padding. */
export const HANDSHAKE_BYTES = 320;

const HELLO_INTERVAL_MS = 10_000;
const HELLO_JITTER_MS = 2000;
/** After a change, in case a HELLO is lost: a host finds all others within a second. */
const REPEAT_DELAYS_MS = [60, 130, 220, 330, 460, 620, 800, 2000, 4000, 7000];
const REPEAT_JITTER_MS = 20;
/** To a host that is new here, which may not have heard our answer. */
const GREETING_DELAYS_MS = [60, 130, 220, 330, 460, 620, 2000];
const ADDRESSES_TOLD = 4;
const CHALLENGE_LIFE_MS = 30_000;

const NO_FIELDS: Vnc1Fields = {
  addresses: [],
  mtuBytes: null,
  capabilities: 0,
  challenge: null,
  echoes: [],
  sentCounter: null,
  saAgeMs: null,
  hint: null,
  probe: null,
  wantedSpi: null,
};

/** Floods a HELLO now and some times more within the next seconds. */
export function helloAfterChange(step: SecureStep, vnet: SecureVnet): void {
  floodHellos(step, vnet);
  vnet.repeatsAt = REPEAT_DELAYS_MS.map(
    (delayMs) => step.now + delayMs + randomBelow(step, REPEAT_JITTER_MS),
  );
  scheduleHello(step, vnet);
}

/** Floods what is due. */
export function runHellos(step: SecureStep, vnet: SecureVnet): void {
  const repeats = vnet.repeatsAt.filter((at) => at > step.now);
  if (vnet.helloAt <= step.now || repeats.length < vnet.repeatsAt.length) {
    vnet.repeatsAt = repeats;
    floodHellos(step, vnet);
    scheduleHello(step, vnet);
  }
}

/** When runHellos() has something to do. */
export function nextHelloAt({ helloAt, repeatsAt }: SecureVnet): Millis {
  return Math.min(helloAt, ...repeatsAt);
}

/** Tells the host alone, a few times, that we are here. */
export function greet(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  host.greetingsAt = GREETING_DELAYS_MS.map((delayMs) => step.now + delayMs);
  wakeHostsAt(step, vnet, Math.min(...host.greetingsAt));
}

export function runGreetings(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  const left = host.greetingsAt.filter((at) => at > step.now);
  if (left.length < host.greetingsAt.length) {
    host.greetingsAt = left;
    const datagram = vnet.send && makeHello(step, vnet, { sa: vnet.send });
    if (datagram !== null) {
      step.effects.push({ kind: "send-to", host: host.endpoint, datagram });
    }
  }
}

/** A HELLO of one of our SAs; null: its key is gone. */
export function makeHello(
  step: SecureStep,
  vnet: SecureVnet,
  { sa, fields = {} }: { readonly sa: OwnSa; readonly fields?: Partial<Vnc1Fields> },
): Uint8Array | null {
  const key = vnet.keys.get(sa.keyId);
  return key === undefined
    ? null
    : makeMessage(step, vnet, {
        ...{ type: "hello", key, sa, bytesMin: HANDSHAKE_BYTES },
        fields: { ...introduction(step, vnet, sa), ...fields },
      });
}

/**
 * Asks `to` to show that it speaks now, in the key it used; with our own SA if that has the same
 * key, so that it can ask us in its answer. To be called once for each message that was received.
 */
export function solicit(
  step: SecureStep,
  vnet: SecureVnet,
  { key, to, spi }: { readonly key: SecureKey; readonly to: Endpoint; readonly spi: number },
): void {
  if (!mayAnswer(step, vnet, to)) {
    countSecureRefusal(step, "rate");
    return;
  }
  const sa = vnet.send?.keyId === key.keyId ? vnet.send : null;
  const challenge = challengeFor(step, vnet, spi);
  const datagram = makeMessage(step, vnet, {
    ...{ type: "solicit", key, sa, bytesMin: HANDSHAKE_BYTES },
    fields: { ...introduction(step, vnet, sa), challenge, wantedSpi: spi },
  });
  step.effects.push({ kind: "send-to", host: to, datagram });
}

/** Whether `to` may have one more answer now. */
export function mayAnswer({ secure, now }: SecureStep, vnet: SecureVnet, to: Endpoint): boolean {
  return (
    mayOnceMore(secure.answerRates, formatEndpoint(to), now) &&
    mayOnceMore(secure.vnetRates, vnet.id, now)
  );
}

/** A message of any kind, with its MAC. */
export function makeMessage(
  { secure }: SecureStep,
  vnet: SecureVnet,
  {
    type,
    key,
    sa,
    isNext = false,
    fields = {},
    bytesMin = 0,
  }: {
    readonly type: Vnc1Type;
    readonly key: SecureKey;
    /** Null: we hold the key and seal nothing with it. */
    readonly sa: OwnSa | null;
    readonly isNext?: boolean;
    readonly fields?: Partial<Vnc1Fields>;
    readonly bytesMin?: number;
  },
): Uint8Array {
  secure.helloSequence += 1n;
  const message: Vnc1Message = {
    ...NO_FIELDS,
    ...fields,
    type,
    isNext: isNext || (sa !== null && sa === vnet.next),
    isHeldOnly: sa === null,
    vnetTag: key.vnetTag,
    keyId: key.keyId,
    suites: suiteBit(vnet),
    senderId: secure.senderId,
    bootNonce: sa?.bootNonce ?? new Uint8Array(16),
    epoch: sa?.epoch ?? 0,
    spi: sa?.spi ?? 0,
    bootCounter: secure.bootCounter,
    helloSequence: secure.helloSequence,
  };
  const mac = (part: Uint8Array) => controlMac(secure.crypto, key.controlKey, part);
  return encodeVnc1(message, { bytesMin, mac });
}

/** The bit of the vnet's suite in a message's bitmap. */
export function suiteBit({ suite }: SecureVnet): number {
  return 1 << (suite.id - 1);
}

/** What has to come back from the host that seals with `spi` within thirty seconds. */
export function challengeFor(step: SecureStep, vnet: SecureVnet, spi: number): Uint8Array {
  return challengeOf(step, vnet, { spi, madeAt: Math.floor(step.now) });
}

/**
 * When we made the challenge for that SPI that one of `echoes` is: the message was made later. Null
 * when there is none that still holds.
 */
export function challengedAt(
  step: SecureStep,
  vnet: SecureVnet,
  { echoes, spi }: Pick<Vnc1Message, "echoes" | "spi">,
): Millis | null {
  const now = Math.floor(step.now);
  for (const echo of echoes) {
    const told = new DataView(echo.buffer, echo.byteOffset).getUint32(0);
    // Only the low half of the time is told, which begins again after 49 days.
    const agoMs = (now - told) >>> 0;
    const madeAt = now - agoMs;
    const own = challengeOf(step, vnet, { spi, madeAt });
    if (agoMs <= CHALLENGE_LIFE_MS && step.secure.crypto.equalSecrets(echo, own)) {
      return madeAt;
    }
  }
  return null;
}

/** Our own words about ourselves in HELLO and SOLICIT. */
function introduction(
  { secure }: SecureStep,
  vnet: SecureVnet,
  sa: OwnSa | null,
): Partial<Vnc1Fields> {
  const { crypto, senderId } = secure;
  const bootNonce = sa?.bootNonce ?? new Uint8Array(16);
  return {
    addresses: secure.endpoints.slice(0, ADDRESSES_TOLD),
    mtuBytes: secure.mtuBytes,
    capabilities: CAPABILITY_CHECKSUM_PARTIAL,
    hint: membershipHint(crypto, { vnet: vnet.id, senderId, bootNonce }),
  };
}

/** One HELLO for each of our SAs, and one for each key that we hold besides. */
function floodHellos(step: SecureStep, vnet: SecureVnet): void {
  for (const key of vnet.keys.values()) {
    const sas = [vnet.send, vnet.next].filter((sa) => sa?.keyId === key.keyId);
    for (const sa of sas.length === 0 ? [null] : sas) {
      const datagram = makeMessage(step, vnet, {
        ...{ type: "hello", key, sa, bytesMin: HANDSHAKE_BYTES },
        fields: introduction(step, vnet, sa),
      });
      step.effects.push({ kind: "send-flood", datagram });
    }
  }
}

/** Hosts that were started together do not stay in step. */
function scheduleHello(step: SecureStep, vnet: SecureVnet): void {
  const jitterMs = randomBelow(step, 2 * HELLO_JITTER_MS) - HELLO_JITTER_MS;
  vnet.helloAt = step.now + HELLO_INTERVAL_MS + jitterMs;
  wakeVnetAt(step, vnet, nextHelloAt(vnet));
}

/** The time in ms, its low 32 bits, then 12 octets of an HMAC over what it is good for. */
function challengeOf(
  { secure }: SecureStep,
  vnet: SecureVnet,
  { spi, madeAt }: { readonly spi: number; readonly madeAt: Millis },
): Uint8Array {
  const message = new Uint8Array(36);
  const view = new DataView(message.buffer);
  message.set(encodeVnetId(vnet.id));
  view.setUint32(16, spi);
  view.setBigUint64(20, BigInt(vnet.generation));
  view.setBigUint64(28, BigInt(madeAt));
  const mac = secure.crypto.hmacSha256(secure.challengeSecret, message);
  const challenge = new Uint8Array(CHALLENGE_BYTES);
  new DataView(challenge.buffer).setUint32(0, madeAt);
  challenge.set(mac.subarray(0, CHALLENGE_BYTES - 4), 4);
  return challenge;
}

/**
 * Our own SAs. Each has a boot nonce of its own, drawn when it is made, so its keys have never been
 * used and its packet counter may begin at 1, whatever happened to this host before.
 *
 *     none ──first──> current ──time, count, another key──> announced as next for 10 s ──> current
 *                        └─────────────a clone was heard────────── at once ─────────────────┘
 */
import { BOOT_NONCE_BYTES, deriveSpi, deriveTrafficKeys } from "../encap/key-schedule.ts";
import { encodeSaContext } from "./secure-context.ts";
import { helloAfterChange } from "./secure-hello.ts";
import {
  NEVER,
  type OwnSa,
  randomBelow,
  type SecureStep,
  type SecureVnet,
  wakeVnetAt,
} from "./secure-state.ts";

const EPOCH_LIFE_MS = 15 * 60_000;
const EPOCH_LIFE_JITTER_MS = 60_000;
/** From the announcement of an SA to its use. */
export const NEXT_LEAD_MS = 10_000;
/** RFC 4303 §3.3.3: the 32-bit sequence number must not come round. */
const STOP_AT = 2n ** 32n - 2n ** 16n;
const SPI_DRAWS_MAX = 16;
const EPOCH_COUNT = 2 ** 32;

/** Makes an SA and seals with it from now on; without an active key nothing is sealed. */
export function startEpoch(step: SecureStep, vnet: SecureVnet): void {
  vnet.next = null;
  const sa = drawSa(step, vnet);
  if (sa === null) {
    stopSending(step, vnet);
    helloAfterChange(step, vnet);
    return;
  }
  useSa(step, vnet, sa);
}

/** Makes an SA and tells everybody; it is used in ten seconds. */
export function announceEpoch(step: SecureStep, vnet: SecureVnet): void {
  if (vnet.send === null) {
    startEpoch(step, vnet);
    return;
  }
  vnet.next = drawSa(step, vnet);
  vnet.epochAt = vnet.next === null ? NEVER : step.now + NEXT_LEAD_MS;
  wakeVnetAt(step, vnet, vnet.epochAt);
  helloAfterChange(step, vnet);
}

/** Does what is due. */
export function runEpoch(step: SecureStep, vnet: SecureVnet): void {
  if (vnet.epochAt > step.now || !step.secure.isListed) {
    return;
  }
  if (vnet.next === null) {
    announceEpoch(step, vnet);
  } else {
    useSa(step, vnet, vnet.next);
  }
}

/** The SA runs already: it was adopted. */
export function keepSa(step: SecureStep, vnet: SecureVnet, sa: OwnSa): void {
  vnet.send = sa;
  vnet.sendSince = null;
  vnet.epoch = Math.max(vnet.epoch, sa.epoch);
  scheduleEpochEnd(step, vnet);
}

export function stopSending(step: SecureStep, vnet: SecureVnet): void {
  if (vnet.send !== null) {
    const { spi } = vnet.send;
    step.effects.push({ kind: "delete-sa", vnet: vnet.id, spi, host: null, send: true });
  }
  vnet.send = null;
  vnet.sendSince = null;
  vnet.next = null;
  vnet.epochAt = NEVER;
}

function useSa(step: SecureStep, vnet: SecureVnet, sa: OwnSa): void {
  const { crypto, senderId, bootCounter, helloSequence, rekeyPackets } = step.secure;
  const key = vnet.keys.get(sa.keyId);
  if (key === undefined) {
    stopSending(step, vnet);
    return;
  }
  const name = { ...sa, vnet: vnet.id, suite: vnet.suite, senderId };
  const context = encodeSaContext({
    ...{ ...sa, senderId, bootCounter, helloSequence },
    ...{ isNext: false, checksumPartial: true },
  });
  step.effects.push({
    kind: "set-send-sa",
    ...{ vnet: vnet.id, spi: sa.spi, suite: vnet.suite.id },
    keys: deriveTrafficKeys(crypto, key.psk, name),
    ...{ context, rekeyAt: BigInt(rekeyPackets), stopAt: STOP_AT },
  });
  vnet.send = sa;
  vnet.sendSince = step.now;
  vnet.next = null;
  scheduleEpochEnd(step, vnet);
  helloAfterChange(step, vnet);
}

/** All hosts of a vnet that were started together do not renew together. */
function scheduleEpochEnd(step: SecureStep, vnet: SecureVnet): void {
  const lifeMs = EPOCH_LIFE_MS - randomBelow(step, EPOCH_LIFE_JITTER_MS);
  vnet.epochAt = step.now + lifeMs - NEXT_LEAD_MS;
  wakeVnetAt(step, vnet, vnet.epochAt);
}

/** Null: there is no key to seal with. */
function drawSa(step: SecureStep, vnet: SecureVnet): OwnSa | null {
  const { crypto, senderId } = step.secure;
  const key = vnet.activeKeyId === null ? undefined : vnet.keys.get(vnet.activeKeyId);
  if (key === undefined) {
    return null;
  }
  const { keyId, psk } = key;
  const bootNonce = crypto.randomBytes(BOOT_NONCE_BYTES);
  for (let draw = 1; ; draw++) {
    // 0 stands for no epoch.
    vnet.epoch = (vnet.epoch + 1) % EPOCH_COUNT || 1;
    const { epoch } = vnet;
    const name = { vnet: vnet.id, keyId, suite: vnet.suite, senderId, bootNonce, epoch };
    const spi = deriveSpi(crypto, psk, name);
    // Two SAs of one SPI work, they only cost a second try at opening. In 2^31 SPIs of hosts that
    // are drawn at random it does not happen that sixteen draws in a row are taken.
    if (!isSpiTaken(step, spi) || draw === SPI_DRAWS_MAX) {
      return { keyId, bootNonce, epoch, spi };
    }
  }
}

function isSpiTaken({ secure }: SecureStep, spi: number): boolean {
  for (const { send, next, hosts } of secure.vnets.values()) {
    if (send?.spi === spi || next?.spi === spi) {
      return true;
    }
    for (const { sas } of hosts.values()) {
      if (sas.some((sa) => sa.spi === spi)) {
        return true;
      }
    }
  }
  return false;
}

/**
 * Two machines with one identity: a copied disk, or a snapshot that was restored. Their traffic keys
 * differ as soon as either has drawn a new boot nonce; until then packets of both could meet under
 * one key, so the first sign of it is enough for a new nonce. Proof (an answer to a challenge) gives
 * this machine a new identity; old recordings of our own messages give nobody anything.
 */
import { SENDER_ID_BYTES } from "../encap/key-schedule.ts";
import type { Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { mayOnceMore } from "./rate-table.ts";
import { startEpoch } from "./secure-epochs.ts";
import type { SecureEvent } from "./secure-events.ts";
import { challengedAt, makeMessage, solicit } from "./secure-hello.ts";
import {
  countSecureRefusal,
  type SecureKey,
  type SecureStep,
  type SecureVnet,
  sameBytes,
} from "./secure-state.ts";

/**
 * A message in our name from elsewhere. True: it may be a clone's, so what it asks is answered.
 */
export function hearOwnIdentity(
  step: SecureStep,
  {
    vnet,
    key,
    message,
    source,
  }: {
    readonly vnet: SecureVnet;
    readonly key: SecureKey;
    readonly message: Vnc1Message;
    readonly source: Endpoint;
  },
): boolean {
  const own = [vnet.send, vnet.next].find((sa) => sa && sameBytes(sa.bootNonce, message.bootNonce));
  if (own) {
    return hearOwnNonce(step, vnet, { message, source });
  }
  if (message.spi === 0) {
    countSecureRefusal(step, "from-self");
    return false;
  }
  if (challengedAt(step, vnet, message) !== null) {
    step.effects.push({ kind: "alert", code: "clone", vnet: vnet.id, host: source });
    takeNewIdentity(step);
    return false;
  }
  countSecureRefusal(step, "from-self");
  if (mayOnceMore(step.secure.askRates, `own ${formatEndpoint(source)}`, step.now)) {
    solicit(step, vnet, { key, to: source, spi: message.spi });
  }
  return true;
}

/** Packets that our own SA opens came from another address. */
export function hearOwnPackets(
  step: SecureStep,
  { vnet: id, spi, source }: Extract<SecureEvent, { readonly kind: "own-spi-heard" }>,
): void {
  const vnet = step.secure.vnets.get(id);
  // Whoever can send our own packets back to us must not have us renew all the time.
  const isOurs = vnet?.send?.spi === spi;
  if (vnet !== undefined && isOurs && mayOnceMore(step.secure.renewRates, id, step.now)) {
    step.effects.push({ kind: "alert", code: "own-packets-heard", vnet: id, host: source });
    startEpoch(step, vnet);
  }
}

/** Our own message back is a reflection; one that we have not made yet is a running copy's. */
function hearOwnNonce(
  step: SecureStep,
  vnet: SecureVnet,
  { message, source }: { readonly message: Vnc1Message; readonly source: Endpoint },
): boolean {
  const { secure } = step;
  const isAhead =
    message.bootCounter > secure.bootCounter ||
    (message.bootCounter === secure.bootCounter && message.helloSequence > secure.helloSequence);
  if (isAhead) {
    step.effects.push({ kind: "alert", code: "clone", vnet: vnet.id, host: source });
    takeNewIdentity(step);
  } else {
    countSecureRefusal(step, "from-self");
  }
  return false;
}

/** Warns everybody in the old name, and goes on in a new one with new keys. */
function takeNewIdentity(step: SecureStep): void {
  const { secure } = step;
  for (const vnet of secure.vnets.values()) {
    const key = vnet.send && vnet.keys.get(vnet.send.keyId);
    if (key) {
      const datagram = makeMessage(step, vnet, { type: "clone-alert", key, sa: vnet.send });
      step.effects.push({ kind: "send-flood", datagram });
    }
  }
  secure.senderId = secure.crypto.randomBytes(SENDER_ID_BYTES);
  step.effects.push({ kind: "store-sender-id", senderId: secure.senderId });
  for (const vnet of secure.vnets.values()) {
    startEpoch(step, vnet);
  }
}

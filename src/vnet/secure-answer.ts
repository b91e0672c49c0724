/**
 * Answering challenges. The answer says how many packets the SA has sealed, so it has to wait for
 * that number; what it takes to write it then goes along with the question, and is not kept.
 */
import { SA_AGE_MS_MAX, type Vnc1Message } from "../encap/vnc1.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { CounterRequest, SecureEvent } from "./secure-events.ts";
import { challengeFor, HANDSHAKE_BYTES, makeHello, mayAnswer } from "./secure-hello.ts";
import {
  countSecureRefusal,
  type OwnSa,
  type SecureKey,
  type SecureStep,
  type SecureVnet,
} from "./secure-state.ts";

/** An authentic message of a known vnet. */
export type Received = {
  readonly vnet: SecureVnet;
  readonly key: SecureKey;
  readonly message: Vnc1Message;
  readonly source: Endpoint;
  readonly payloadBytes: number;
};

/** The answer to a challenge, with the packet counter that was read for it. */
export function answerWithCounter(
  step: SecureStep,
  { request, counter }: Extract<SecureEvent, { readonly kind: "counter-read" }>,
): void {
  const vnet = step.secure.vnets.get(request.vnet);
  const sa = [vnet?.send, vnet?.next].find((own) => own?.spi === request.spi);
  if (vnet !== undefined && sa) {
    sendAnswer(step, vnet, { request, sa, counter });
  }
}

/**
 * Answers with the HELLO of the SA that is asked for, or with nothing; asks a stranger back.
 */
export function answerChallenge(
  step: SecureStep,
  { vnet, message, source, payloadBytes }: Received,
  { wantedSpi, isStranger }: { readonly wantedSpi: number; readonly isStranger: boolean },
): void {
  const sa = [vnet.send, vnet.next].find((own) => own?.spi === wantedSpi);
  if (!sa || message.challenge === null) {
    return;
  }
  if (!mayAnswer(step, vnet, source)) {
    countSecureRefusal(step, "rate");
    return;
  }
  const request: CounterRequest = {
    ...{ vnet: vnet.id, spi: sa.spi, asker: source, echo: message.challenge },
    challenge: isStranger && message.spi !== 0 ? challengeFor(step, vnet, message.spi) : null,
    answerBytesMax: payloadBytes,
  };
  if (sa === vnet.next) {
    // Nothing was sealed with it yet.
    sendAnswer(step, vnet, { request, sa, counter: 0n });
  } else {
    step.effects.push({ kind: "read-counter", request });
  }
}

function sendAnswer(
  step: SecureStep,
  vnet: SecureVnet,
  {
    request,
    sa,
    counter,
  }: {
    readonly request: CounterRequest;
    readonly sa: OwnSa;
    readonly counter: bigint;
  },
): void {
  const { echo, challenge, asker } = request;
  if (request.answerBytesMax < HANDSHAKE_BYTES) {
    countSecureRefusal(step, "too-large-answer");
    return;
  }
  const fields = {
    ...{ echoes: [echo], sentCounter: counter, challenge },
    saAgeMs: sa === vnet.send ? ageOf(step, vnet) : null,
  };
  const datagram = makeHello(step, vnet, { sa, fields });
  if (datagram !== null) {
    step.effects.push({ kind: "send-to", host: asker, datagram });
  }
}

/** Whole and never less than it is; null when an earlier process began it, by another clock. */
function ageOf({ now }: SecureStep, { sendSince }: SecureVnet): number | null {
  return sendSince === null ? null : Math.min(Math.ceil(now - sendSince), SA_AGE_MS_MAX);
}

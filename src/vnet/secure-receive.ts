/**
 * VNC1 messages as they come, each check before what costs more or lasts longer: form, vnet-tag,
 * MAC, whose identity it is, suite, SPI, address, and last whether it was made now.
 */
import { controlMac, deriveSpi } from "../encap/key-schedule.ts";
import { decodeVnc1, type Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { answerChallenge, type Received } from "./secure-answer.ts";
import { hearOwnIdentity } from "./secure-clone.ts";
import type { SecureEvent } from "./secure-events.ts";
import { challengedAt, solicit, suiteBit } from "./secure-hello.ts";
import {
  findSa,
  installSa,
  isOutdated,
  markClone,
  noteHeard,
  removeHost,
  useHostSa,
} from "./secure-hosts.ts";
import { answerProbe, takeProbeAnswer } from "./secure-probe.ts";
import {
  countSecureRefusal,
  hexOf,
  isOwnEndpoint,
  noteStranger,
  type SecureHost,
  type SecureStep,
  type SecureVnet,
  sameBytes,
  tagName,
  UNREACHABLE_AFTER_MS,
} from "./secure-state.ts";
import { lookAtHint } from "./secure-strangers.ts";
import { isNewHere } from "./secure-window.ts";
import type { Millis } from "./varp-events.ts";

type EventOf<Kind extends SecureEvent["kind"]> = Extract<SecureEvent, { readonly kind: Kind }>;

export function receiveVnc(step: SecureStep, { source, datagram }: EventOf<"vnc-received">): void {
  const outcome = decodeVnc1(datagram);
  if (outcome.kind === "drop" || source === null) {
    countSecureRefusal(step, "malformed");
    return;
  }
  const { message, authenticated, mac } = outcome;
  const { secure } = step;
  const found = secure.keysByTag.get(tagName(message));
  if (found === undefined) {
    countSecureRefusal(step, "unknown-tag");
    lookAtHint(step, message, source);
    return;
  }
  const { vnet, key } = found;
  const right = controlMac(secure.crypto, key.controlKey, authenticated);
  if (!secure.crypto.equalSecrets(mac, right)) {
    countSecureRefusal(step, "bad-mac");
    return;
  }
  receiveAuthentic(step, { vnet, key, message, source, payloadBytes: datagram.length });
}

function receiveAuthentic(step: SecureStep, received: Received): void {
  const { vnet, key, message, source } = received;
  if (isOwnEndpoint(step, source)) {
    countSecureRefusal(step, "from-self");
    return;
  }
  if (!isAddressTold(message, source)) {
    countSecureRefusal(step, "foreign-address");
    return;
  }
  if (message.suites !== suiteBit(vnet)) {
    countSecureRefusal(step, "suite-mismatch");
    const senderHex = hexOf(message.senderId);
    noteStranger(step, vnet, { endpoint: source, senderHex, problem: "suite mismatch" });
    return;
  }
  if (!isSpiRight(step, received)) {
    countSecureRefusal(step, "bad-spi");
    return;
  }
  if (sameBytes(message.senderId, step.secure.senderId)) {
    if (hearOwnIdentity(step, { vnet, key, message, source }) && message.type === "solicit") {
      receiveSolicit(step, received);
    }
    return;
  }
  switch (message.type) {
    case "hello":
      receiveHello(step, received);
      break;
    case "solicit":
      receiveSolicit(step, received);
      break;
    default:
      receiveFromKnown(step, received);
  }
}

function receiveHello(step: SecureStep, received: Received): void {
  const { vnet, message } = received;
  const host = vnet.hosts.get(hexOf(message.senderId));
  if (message.spi === 0) {
    noteHeldKey(step, vnet, { host, message });
    return;
  }
  const challenged = challengedAt(step, vnet, message);
  const fresh = challenged !== null;
  if (message.echoes.length > 0 && !fresh) {
    countSecureRefusal(step, "bad-echo");
  }
  const isUnknown = findSa(host, message) === undefined;
  if (message.challenge !== null) {
    // First, so that our packet counter is read before the SA lets packets in: what guests answer
    // to those packets is after that number, and no replay for the asker.
    const isStranger = isUnknown && !fresh;
    answerChallenge(step, received, { wantedSpi: vnet.send?.spi ?? 0, isStranger });
  }
  if (isUnknown) {
    receiveUnknownSa(step, received, { host, challenged });
  } else if (host !== undefined) {
    receiveKnownSa(step, received, { host, fresh });
  }
}

/** Only an answer to a challenge brings an SA; everything else is a reason to challenge. */
function receiveUnknownSa(
  step: SecureStep,
  { vnet, key, message, source }: Received,
  {
    host,
    challenged,
  }: { readonly host: SecureHost | undefined; readonly challenged: Millis | null },
): void {
  const { sentCounter } = message;
  if (challenged !== null && sentCounter === null) {
    countSecureRefusal(step, "no-counter");
  } else if (challenged !== null && sentCounter !== null) {
    const seenUpTo = isNewHere(vnet, { saAgeMs: message.saAgeMs, challenged }) ? 0n : sentCounter;
    installSa(step, vnet, { key, message, source, seenUpTo });
  } else if (host !== undefined && isBeforeCurrent(step, host, message)) {
    countSecureRefusal(step, "replayed");
  } else {
    solicit(step, vnet, { key, to: source, spi: message.spi });
  }
}

function receiveKnownSa(
  step: SecureStep,
  { vnet, key, message, source }: Received,
  { host, fresh }: { readonly host: SecureHost; readonly fresh: boolean },
): void {
  const isSilent = step.now - host.heardAt >= UNREACHABLE_AFTER_MS;
  const isOld = isOutdated(host, message);
  if (isOld && !isSilent) {
    countSecureRefusal(step, "replayed");
    return;
  }
  const hasMoved = formatEndpoint(source) !== formatEndpoint(host.endpoint);
  if (!fresh && (isOld || hasMoved)) {
    // It has moved or was set back, or somebody sends its HELLO on from elsewhere, or a recording.
    solicit(step, vnet, { key, to: source, spi: message.spi });
    return;
  }
  noteHeard(step, vnet, { host, message, source, isFresh: fresh });
  const sa = findSa(host, message);
  if (sa !== undefined && !message.isNext) {
    useHostSa(step, vnet, { host, sa });
  }
}

function receiveSolicit(step: SecureStep, received: Received): void {
  const { vnet, message } = received;
  if (message.challenge === null || message.wantedSpi === null) {
    countSecureRefusal(step, "malformed");
    return;
  }
  const host = vnet.hosts.get(hexOf(message.senderId));
  const isStranger = findSa(host, message) === undefined;
  answerChallenge(step, received, { wantedSpi: message.wantedSpi, isStranger });
}

/** Messages that mean something only of a host that was proved, and only once. */
function receiveFromKnown(step: SecureStep, received: Received): void {
  const { vnet, message, source, payloadBytes } = received;
  const host = vnet.hosts.get(hexOf(message.senderId));
  const isKnown = host !== undefined && findSa(host, message) !== undefined;
  if (!isKnown || isOutdated(host, message)) {
    countSecureRefusal(step, "replayed");
    return;
  }
  switch (message.type) {
    case "bye":
      removeHost(step, vnet, host);
      break;
    case "clone-alert":
      host.helloSequence = message.helloSequence;
      markClone(step, vnet, host);
      break;
    case "probe":
      if (source.address === host.endpoint.address) {
        answerProbe(step, vnet, { host, message, payloadBytes });
      }
      break;
    case "probe-ack":
      takeProbeAnswer(step, vnet, { host, message, source });
      break;
    default:
      break;
  }
}

function noteHeldKey(
  step: SecureStep,
  vnet: SecureVnet,
  { host, message }: { readonly host: SecureHost | undefined; readonly message: Vnc1Message },
): void {
  if (host === undefined) {
    return;
  }
  if (isOutdated(host, message)) {
    countSecureRefusal(step, "replayed");
  } else if (vnet.keys.has(message.keyId)) {
    host.heldKeys.set(message.keyId, step.now);
  }
}

/** Whether the SA is older than the one the host uses, so that only a recording can tell of it. */
function isBeforeCurrent({ now }: SecureStep, host: SecureHost, message: Vnc1Message): boolean {
  const current = host.sas.find(({ role }) => role === "current");
  return (
    current !== undefined &&
    now - host.heardAt < UNREACHABLE_AFTER_MS &&
    message.bootCounter <= host.bootCounter &&
    message.epoch < current.epoch
  );
}

/** Relays cannot put themselves between: the datagram must come from where the sender says it is. */
function isAddressTold({ addresses }: Vnc1Message, source: Endpoint): boolean {
  return addresses.length === 0 || addresses.some(({ address }) => address === source.address);
}

function isSpiRight({ secure }: SecureStep, { vnet, key, message }: Received): boolean {
  const { spi, senderId, bootNonce, epoch } = message;
  if (spi === 0) {
    return message.type === "hello" || message.type === "solicit";
  }
  const name = { vnet: vnet.id, keyId: key.keyId, suite: vnet.suite, senderId, bootNonce, epoch };
  return spi === deriveSpi(secure.crypto, key.psk, name);
}

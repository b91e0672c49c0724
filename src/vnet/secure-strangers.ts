/**
 * Who speaks to us without our knowing it: seals with an SA that is not here, or belongs to a vnet
 * of ours with a key that is not here.
 */
import { membershipHint } from "../encap/key-schedule.ts";
import type { Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { mayOnceMore } from "./rate-table.ts";
import type { SecureEvent } from "./secure-events.ts";
import { solicit } from "./secure-hello.ts";
import { forgetSa } from "./secure-hosts.ts";
import {
  countSecureRefusal,
  hexOf,
  isOwnEndpoint,
  noteStranger,
  type SecureStep,
  type SecureVnet,
  sameBytes,
} from "./secure-state.ts";

type EventOf<Kind extends SecureEvent["kind"]> = Extract<SecureEvent, { readonly kind: Kind }>;

/** A hint costs an HMAC for each vnet: so many are looked at, and so many a second. */
const HINTED_VNETS_MAX = 64;
const HINTS = "hints";
/** All sources together that no host is known at. */
const UNKNOWN_SOURCES = "unknown";
/** Vnets that are asked for an SPI of a host that is not known. */
const ASKED_VNETS_MAX = 8;
/** For so long after an SA was sent down its packets may still be found to have none. */
const INSTALL_MS = 2000;

/** Sealed datagrams come from a host whose SA is not here: it is asked who it is. */
export function askAfterUnknownSpi(
  step: SecureStep,
  { spi, source }: EventOf<"unknown-spi">,
): void {
  const { secure, now } = step;
  if (source === null || isOwnEndpoint(step, source)) {
    return;
  }
  const name = formatEndpoint(source);
  const shared = [...secure.vnets.values()].filter((vnet) =>
    knowsHostAt(step, vnet, { name, spi }),
  );
  const isKnown = shared.length > 0;
  // The question is longer than the datagram may be, and the source may be made up.
  const mayAsk =
    (isKnown || mayOnceMore(secure.strangerRates, UNKNOWN_SOURCES, now)) &&
    mayOnceMore(secure.askRates, name, now);
  if (!mayAsk) {
    countSecureRefusal(step, "rate");
    return;
  }
  const vnets = isKnown ? shared : [...secure.vnets.values()];
  for (const vnet of vnets.slice(0, ASKED_VNETS_MAX)) {
    const key = vnet.activeKeyId === null ? undefined : vnet.keys.get(vnet.activeKeyId);
    if (key !== undefined) {
      solicit(step, vnet, { key, to: source, spi });
    }
  }
}

/** Another key of the same vnet? The hint proves nothing, so it is only shown. */
export function lookAtHint(step: SecureStep, message: Vnc1Message, source: Endpoint): void {
  const { secure, now } = step;
  const { hint, senderId, bootNonce, type } = message;
  const isHello = type === "hello" && !message.isHeldOnly;
  if (hint === null || !isHello || !mayOnceMore(secure.strangerRates, HINTS, now)) {
    return;
  }
  const senderHex = hexOf(senderId);
  for (const vnet of [...secure.vnets.values()].slice(0, HINTED_VNETS_MAX)) {
    const own = membershipHint(secure.crypto, { vnet: vnet.id, senderId, bootNonce });
    const host = vnet.hosts.get(senderHex);
    // A host that we hear with another key is no stranger.
    if (sameBytes(own, hint) && (host === undefined || host.isUnreachable)) {
      const problem = "key mismatch";
      noteStranger(step, vnet, { endpoint: source, senderHex, problem });
      return;
    }
  }
}

/** The data plane says that it has no such SA, so what we have under that SPI is forgotten. */
function knowsHostAt(
  step: SecureStep,
  vnet: SecureVnet,
  { name, spi }: { readonly name: string; readonly spi: number },
): boolean {
  const hosts = [...vnet.hosts.values()].filter(
    ({ endpoint }) => formatEndpoint(endpoint) === name,
  );
  for (const host of hosts) {
    const sa = host.sas.find((one) => one.spi === spi && step.now - one.installedAt > INSTALL_MS);
    if (sa !== undefined) {
      forgetSa(step, vnet, { host, sa });
    }
  }
  return hosts.length > 0;
}

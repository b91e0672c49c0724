/**
 * Which SAs there are is the data plane's to say. After a restart of vnetd it has them all, and
 * their contexts tell which they are: none is touched, and no packet is lost. After a restart of the
 * data plane it has none, and its replay windows are gone, so every host is challenged again.
 */
import { deriveSpi } from "../encap/key-schedule.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { decodeSaContext, type SaContext } from "./secure-context.ts";
import { keepSa, startEpoch } from "./secure-epochs.ts";
import type { ListedSa, SecureEvent } from "./secure-events.ts";
import { helloAfterChange, solicit } from "./secure-hello.ts";
import { createHost, forgetSa, useHostSa } from "./secure-hosts.ts";
import { takeListedPaths } from "./secure-paths.ts";
import {
  type HostSa,
  hexOf,
  type SecureHost,
  type SecureStep,
  type SecureVnet,
  sameBytes,
  UNREACHABLE_AFTER_MS,
  wakeHostsAt,
} from "./secure-state.ts";
import { forgetWindows } from "./secure-window.ts";

type Gone = { readonly host: SecureHost; readonly sa: HostSa };

/** An SA that was announced before the restart is used by now, or never will be. */
const NEXT_KEPT_MS = 120_000;

/** Makes the machine's SAs those of the data plane, and the data plane's those it can name. */
export function takeListing(
  step: SecureStep,
  { sas, paths }: Extract<SecureEvent, { readonly kind: "sas-listed" }>,
): void {
  const isFirst = !step.secure.isListed;
  step.secure.isListed = true;
  for (const vnet of step.secure.vnets.values()) {
    const listed = sas.filter((sa) => sa.vnet === vnet.id);
    forgetWindows(step, vnet);
    const gone = forgetUnlisted(step, vnet, listed);
    for (const sa of listed) {
      if (!takeListed(step, vnet, sa)) {
        deleteListed(step, sa);
      }
    }
    for (const host of vnet.hosts.values()) {
      orderAdopted(step, vnet, host);
    }
    if (vnet.send === null) {
      startEpoch(step, vnet);
    } else if (isFirst) {
      helloAfterChange(step, vnet);
    }
    askAgain(step, vnet, gone);
  }
  for (const sa of sas.filter(({ vnet }) => !step.secure.vnets.has(vnet))) {
    deleteListed(step, sa);
  }
  takeListedPaths(step, paths);
}

/** What is known here and not there is gone. Returns the SAs that were in use. */
function forgetUnlisted(step: SecureStep, vnet: SecureVnet, listed: readonly ListedSa[]): Gone[] {
  const has = (spi: number, send: boolean): boolean =>
    listed.some((sa) => sa.spi === spi && sa.send === send);
  if (vnet.send !== null && !has(vnet.send.spi, true)) {
    vnet.send = null;
    vnet.sendSince = null;
    vnet.next = null;
  }
  const inUse: Gone[] = [];
  for (const host of vnet.hosts.values()) {
    const gone = host.sas.filter(({ spi }) => !has(spi, false));
    for (const sa of gone) {
      forgetSa(step, vnet, { host, sa });
    }
    const current = gone.find(({ role }) => role === "current");
    if (current !== undefined) {
      inUse.push({ host, sa: current });
    }
  }
  return inUse;
}

/** We know where they are and what they seal with: a round trip, and they are proved again. */
function askAgain(step: SecureStep, vnet: SecureVnet, gone: readonly Gone[]): void {
  for (const { host, sa } of gone) {
    const key = vnet.keys.get(sa.keyId);
    if (key !== undefined) {
      solicit(step, vnet, { key, to: host.endpoint, spi: sa.spi });
    }
  }
}

/** False: it is none that this machine can name. */
function takeListed(step: SecureStep, vnet: SecureVnet, listed: ListedSa): boolean {
  const context = decodeSaContext(listed.context);
  if (context === null || listed.suite !== vnet.suite.id || !isNamed(step, vnet, listed, context)) {
    return false;
  }
  if (listed.send) {
    return takeSendSa(step, vnet, { spi: listed.spi, context });
  }
  return listed.host !== null && takeHostSa(step, vnet, { ...listed, host: listed.host, context });
}

function takeSendSa(
  step: SecureStep,
  vnet: SecureVnet,
  { spi, context }: { readonly spi: number; readonly context: SaContext },
): boolean {
  if (vnet.send?.spi === spi) {
    return true;
  }
  const { keyId, bootNonce, epoch, senderId } = context;
  if (vnet.send !== null || !sameBytes(senderId, step.secure.senderId)) {
    return false;
  }
  keepSa(step, vnet, { keyId, bootNonce, epoch, spi });
  return true;
}

function takeHostSa(
  step: SecureStep,
  vnet: SecureVnet,
  {
    spi,
    host: endpoint,
    context,
  }: { readonly spi: number; readonly host: Endpoint; readonly context: SaContext },
): boolean {
  const { senderId, keyId, bootNonce, epoch, bootCounter, helloSequence } = context;
  const senderHex = hexOf(senderId);
  const known = vnet.hosts.get(senderHex);
  if (known?.sas.some((sa) => sa.spi === spi && sameBytes(sa.bootNonce, bootNonce)) === true) {
    return true;
  }
  const host = known ?? createHost(step, { senderId, endpoint });
  vnet.hosts.set(senderHex, host);
  host.sas.push({
    ...{ keyId, bootNonce, epoch, spi, role: "next", installedAt: step.now },
    dropAt: step.now + NEXT_KEPT_MS,
  });
  const isNewer =
    bootCounter > host.bootCounter ||
    (bootCounter === host.bootCounter && helloSequence > host.helloSequence);
  if (isNewer) {
    host.bootCounter = bootCounter;
    host.helloSequence = helloSequence;
  }
  host.checksumPartial = context.checksumPartial;
  host.heldKeys.set(keyId, step.now);
  wakeHostsAt(step, vnet, step.now + UNREACHABLE_AFTER_MS);
  return true;
}

/** Of a host whose SAs were all adopted now, the newest is the current one. */
function orderAdopted(step: SecureStep, vnet: SecureVnet, host: SecureHost): void {
  if (host.sas.length === 0 || host.sas.some(({ role }) => role === "current")) {
    return;
  }
  const byAge = (one: HostSa, other: HostSa): number => one.epoch - other.epoch;
  for (const sa of host.sas.toSorted(byAge)) {
    useHostSa(step, vnet, { host, sa });
  }
}

/** The SPI follows from the name, so a context that was mixed up is found out. */
function isNamed(
  { secure }: SecureStep,
  vnet: SecureVnet,
  { spi }: ListedSa,
  { keyId, senderId, bootNonce, epoch }: SaContext,
): boolean {
  const key = vnet.keys.get(keyId);
  const name = { vnet: vnet.id, keyId, suite: vnet.suite, senderId, bootNonce, epoch };
  return key !== undefined && spi === deriveSpi(secure.crypto, key.psk, name);
}

function deleteListed({ effects }: SecureStep, { vnet, spi, host, send }: ListedSa): void {
  effects.push({ kind: "delete-sa", vnet, spi, host, send });
}

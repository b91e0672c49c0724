/**
 * What the machine of secure vnets remembers: its own SAs, the keys, and the hosts that have proved
 * that they are there now. Nothing is remembered of who proved nothing, but for a few names that
 * are shown to the operator.
 */
import type { SecureCrypto, Suite } from "../encap/key-schedule.ts";
import type { Vnc1Message } from "../encap/vnc1.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { formatHexGroups } from "../net/hex.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { createRateTable, type RateTable } from "./rate-table.ts";
import type { SecureEffect, SecureRefusal } from "./secure-events.ts";
import type { Millis } from "./varp-events.ts";
import { addDeadline, type WakeQueue } from "./wake-queue.ts";

/** Owned by one caller, changed in place by stepSecure(). */
export type Secure = {
  readonly crypto: SecureCrypto;
  readonly hostsPerVnetMax: number;
  readonly rekeyPackets: number;
  senderId: Uint8Array;
  readonly bootCounter: bigint;
  /** Of the last message that was made. */
  helloSequence: bigint;
  /** Challenges are made with it; it dies with the process. */
  readonly challengeSecret: Uint8Array;
  endpoints: readonly Endpoint[];
  mtuBytes: number;
  /** The data plane has said which SAs it has. */
  isListed: boolean;
  readonly vnets: Map<VnetId, SecureVnet>;
  /** By vnet-tag and key id in hex. */
  readonly keysByTag: Map<string, { readonly vnet: SecureVnet; readonly key: SecureKey }>;
  readonly wakes: WakeQueue<VnetId>;
  /** Which vnet probes the path to a host, by its endpoint's text. */
  readonly probers: Map<string, VnetId>;
  /** The largest packets to addresses that take less than our link; the data plane knows them. */
  readonly paths: Map<IpAddress, number>;
  /** By the source's text: answers to HELLO and SOLICIT, and questions after unknown SPIs. */
  readonly answerRates: RateTable;
  readonly askRates: RateTable;
  /** For all sources together at which no host is known: those can be made up. */
  readonly strangerRates: RateTable;
  /** Of all answers in a vnet, by the vnet's id. */
  readonly vnetRates: RateTable;
  /** How often identities were renewed for packets of ours that came back. */
  readonly renewRates: RateTable;
  readonly refusedCounts: Map<SecureRefusal, number>;
};

export type SecureKey = {
  readonly keyId: number;
  /** Our copy, overwritten when the key is removed. */
  readonly psk: Uint8Array;
  readonly controlKey: Uint8Array;
  readonly vnetTag: Uint8Array;
};

export type SecureVnet = {
  readonly id: VnetId;
  readonly suite: Suite;
  readonly keys: Map<number, SecureKey>;
  activeKeyId: number | null;
  /** The highest epoch that was used. */
  epoch: number;
  /** What the data plane seals with. */
  send: OwnSa | null;
  /** When the data plane got it; null: from an earlier process, or there is none. */
  sendSince: Millis | null;
  /** Announced, not in use yet. */
  next: OwnSa | null;
  /** When the next SA is to be announced, or, when there is one, to be used. */
  epochAt: Millis;
  /** The next periodic HELLO, and the repetitions of a HELLO after a change. */
  helloAt: Millis;
  repeatsAt: Millis[];
  /** By sender id in hex. */
  readonly hosts: Map<string, SecureHost>;
  /** At or before the earliest deadline of a host. */
  hostsAt: Millis;
  /** Who seems to belong here and does not fit, by endpoint. Oldest first. */
  readonly strangers: Map<string, Stranger>;
  /**
   * Goes up when a receive SA is removed. Challenges hold for one generation: an answer to one that
   * was given before cannot bring the SA back with an older packet counter.
   */
  generation: number;
  /**
   * The windows of all SAs that were opened with since then are there: what was forgotten is older,
   * or can be taken in no more. See secure-window.ts.
   */
  remembersSince: Millis;
  /** When stepSecure() is to look at the vnet again. */
  wakeAt: Millis;
};

/** An SA of this host. */
export type OwnSa = {
  readonly keyId: number;
  readonly bootNonce: Uint8Array;
  readonly epoch: number;
  readonly spi: number;
};

/** A host that has answered a challenge. */
export type SecureHost = {
  readonly senderId: Uint8Array;
  readonly senderHex: string;
  endpoint: Endpoint;
  readonly sas: HostSa[];
  /** Of its newest message: an older one is a replay. */
  bootCounter: bigint;
  helloSequence: bigint;
  heardAt: Millis;
  readonly provedAt: Millis;
  isUnreachable: boolean;
  mtuBytes: number | null;
  checksumPartial: boolean;
  /** When it last said that it holds the key. */
  readonly heldKeys: Map<number, Millis>;
  /** Endpoints it has left, and when: one that it comes back to soon is a clone's. */
  leftEndpoints: readonly { readonly endpoint: Endpoint; readonly at: Millis }[];
  cloneUntil: Millis;
  /** HELLOs to it alone, in case that it did not hear of us. */
  greetingsAt: Millis[];
  probe: PathProbe | null;
  pathMtuBytes: number | null;
};

export type HostSa = OwnSa & {
  role: "next" | "current" | "previous";
  readonly installedAt: Millis;
  /** When it is removed: a previous one, and a next one that is never used. */
  dropAt: Millis;
};

/** A binary search for the largest datagram that comes through whole. Sizes are IP packets. */
export type PathProbe = {
  id: number;
  /** Came through, or is the least that must. */
  low: number;
  /** Did not, or is more than the link takes. */
  high: number;
  size: number;
  triesLeft: number;
  dueAt: Millis;
  isSettled: boolean;
};

export type Stranger = {
  readonly endpoint: Endpoint;
  readonly senderHex: string;
  readonly problem: "key mismatch" | "suite mismatch";
  readonly since: Millis;
  heardAt: Millis;
};

/** One call of stepSecure(): what it works on, and the effects it gathers. */
export type SecureStep = {
  readonly secure: Secure;
  readonly now: Millis;
  readonly effects: SecureEffect[];
};

export const NEVER = Number.POSITIVE_INFINITY;
/** Without a HELLO for so long a host counts as unreachable: three were lost. */
export const UNREACHABLE_AFTER_MS = 35_000;

const STRANGERS_MAX = 16;

export function createSecureVnet(id: VnetId, suite: Suite, now: Millis): SecureVnet {
  return {
    ...{ id, suite, keys: new Map(), activeKeyId: null },
    ...{
      epoch: 0,
      send: null,
      sendSince: null,
      remembersSince: now,
      next: null,
      epochAt: NEVER,
      helloAt: NEVER,
      repeatsAt: [],
    },
    ...{ hosts: new Map(), hostsAt: NEVER, strangers: new Map(), generation: 0, wakeAt: NEVER },
  };
}

export function createRates(): Pick<
  Secure,
  "answerRates" | "askRates" | "strangerRates" | "vnetRates" | "renewRates"
> {
  return {
    // Twice what a host that joins needs of one other with a hundred vnets.
    answerRates: createRateTable({ perSecond: 100, burst: 200, entriesMax: 1024 }),
    askRates: createRateTable({ perSecond: 1, burst: 8, entriesMax: 1024 }),
    strangerRates: createRateTable({ perSecond: 2, burst: 8, entriesMax: 2 }),
    vnetRates: createRateTable({ perSecond: 1000, burst: 1000, entriesMax: 65_536 }),
    renewRates: createRateTable({ perSecond: 0.1, burst: 1, entriesMax: 65_536 }),
  };
}

/** Has the machine look at the vnet at `at`, if not before. */
export function wakeVnetAt({ secure }: SecureStep, vnet: SecureVnet, at: Millis): void {
  if (at < vnet.wakeAt) {
    vnet.wakeAt = at;
    addDeadline(secure.wakes, { at, what: vnet.id });
  }
}

/** Has the machine look at the vnet's hosts at `at`, if not before. */
export function wakeHostsAt(step: SecureStep, vnet: SecureVnet, at: Millis): void {
  vnet.hostsAt = Math.min(vnet.hostsAt, at);
  wakeVnetAt(step, vnet, at);
}

export function countSecureRefusal({ secure }: SecureStep, reason: SecureRefusal): void {
  secure.refusedCounts.set(reason, (secure.refusedCounts.get(reason) ?? 0) + 1);
}

/** Remembers who cannot be talked with; only the newest few. */
export function noteStranger(
  step: SecureStep,
  vnet: SecureVnet,
  stranger: Pick<Stranger, "endpoint" | "senderHex" | "problem">,
): void {
  const key = formatEndpoint(stranger.endpoint);
  const known = vnet.strangers.get(key);
  const isSame = known?.problem === stranger.problem;
  vnet.strangers.delete(key);
  const since = isSame ? known.since : step.now;
  vnet.strangers.set(key, { ...stranger, since, heardAt: step.now });
  const [oldest] = vnet.strangers.keys();
  if (vnet.strangers.size > STRANGERS_MAX && oldest !== undefined) {
    vnet.strangers.delete(oldest);
  }
  if (!isSame) {
    const code = stranger.problem === "key mismatch" ? "key-mismatch" : "suite-mismatch";
    step.effects.push({ kind: "alert", code, vnet: vnet.id, host: stranger.endpoint });
  }
}

export function isOwnEndpoint({ secure }: SecureStep, source: Endpoint): boolean {
  const name = formatEndpoint(source);
  return secure.endpoints.some((endpoint) => formatEndpoint(endpoint) === name);
}

/** Of a message or of our own key: both have the fields. */
export function tagName({ vnetTag, keyId }: Pick<Vnc1Message, "vnetTag" | "keyId">): string {
  return `${hexOf(vnetTag)} ${keyId}`;
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, index) => octet === other[index]);
}

export function hexOf(bytes: Uint8Array): string {
  return formatHexGroups(bytes, bytes.length);
}

/** Evenly from 0 to less than `below`, whole. */
export function randomBelow({ secure }: SecureStep, below: number): number {
  const draw = secure.crypto.randomBytes(4);
  return new DataView(draw.buffer, draw.byteOffset, 4).getUint32(0) % below;
}

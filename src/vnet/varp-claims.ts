/**
 * Claims: in a secure vnet a host says of each of its MACs that it is there, with a move sequence,
 * and frames alone do not move a MAC that is claimed (RFC 7432 §15, as far as a LAN needs it).
 *
 *     higher sequence wins; of equal ones, the higher sender id; the loser's MAC has moved
 *     a claim that does not win is answered by its owner's with the sequence after it
 *     five moves in three minutes: duplicate, and it stays where it is for three minutes
 *
 * An SA says who speaks, so the care-of address is the host's own and nobody claims for another.
 * Claims are repeated every minute, all of a host in a few batches, and lapse after three of them.
 */
import {
  BATCH_ENTRIES_MAX,
  decodeExtendedVarp,
  type ExtendedVarp,
  type VarpClaim,
} from "../encap/varp-extension.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { formatHexGroups } from "../net/hex.ts";
import { isUnicastMac } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { reserveFlood } from "./flood-budget.ts";
import { answerRequest, defendVif, MOVE_SEQUENCE_MAX, type VifAt } from "./varp-announce.ts";
import type { ListedClaim, Millis, VarpDuplicate, VarpEvent } from "./varp-events.ts";
import { sendSealed, sendVarp } from "./varp-send.ts";
import {
  countRefusal,
  floodSource,
  type MacClaim,
  type Varp,
  type VarpStep,
  type VarpVnet,
  wakeAt,
} from "./varp-state.ts";

export const CLAIM_INTERVAL_MS = 60_000;
const CLAIM_LIFE_MS = 3 * CLAIM_INTERVAL_MS + 20_000;
/** RFC 7432 §15.1: N moves within M seconds. */
const MOVES_MAX = 5;
const MOVES_WINDOW_MS = 180_000;
const MOVING_MACS_MAX = 4096;
/** In one step: a batch of claims has no more. */
const MOVES_TOLD_MAX = 256;

/** A message of a secure vnet, from the host whose SA opened it. */
export function receiveSealed(
  step: VarpStep,
  { vnet: id, datagram, source }: Extract<VarpEvent, { readonly kind: "sealed-received" }>,
): void {
  const outcome = decodeExtendedVarp(datagram);
  if (outcome.kind === "drop") {
    countRefusal(step, "malformed");
    return;
  }
  const { message } = outcome;
  const vnet = step.varp.vnets.get(id);
  if (vnet === undefined || vnet.claims === null || message.vnet !== id) {
    countRefusal(step, "unknown-vnet");
  } else if (message.careOf !== source.address) {
    countRefusal(step, "third-party-care-of");
  } else if (message.opcode === "batch") {
    for (const claim of message.claims) {
      receiveClaim(step, vnet, { ...claim, ...saidBy(message, source) });
    }
  } else if (message.opcode === "withdraw") {
    withdrawClaim(step, { vnet, mac: message.claim.mac }, source);
  } else if (message.opcode === "request") {
    answerRequest(step, { vnet, mac: message.claim.mac }, source);
  } else {
    receiveClaim(step, vnet, { ...message.claim, ...saidBy(message, source) });
  }
}

/**
 * A MAC is heard here. False: it is claimed elsewhere and stays there, because it is pinned there or
 * moves too often. Otherwise its sequence is above all that was claimed before.
 */
export function claimHere(
  step: VarpStep,
  { vnet, mac }: VifAt,
): { readonly moveSequence: number } | null {
  const claim = vnet.claims?.get(mac);
  if (claim === undefined) {
    return { moveSequence: 1 };
  }
  if (claim.permanent || isFrozen(step, { vnet, mac })) {
    countRefusal(step, claim.permanent ? "pinned-there" : "duplicate");
    // Should the data plane believe the frame, it is told again.
    const { host } = claim;
    step.effects.push({ kind: "set-fdb", vnet: vnet.id, mac, host, pinned: true });
    return null;
  }
  vnet.claims?.delete(mac);
  step.effects.push({ kind: "delete-fdb", vnet: vnet.id, mac });
  noteMove(step, { vnet, mac }, null);
  return { moveSequence: Math.min(claim.sequence + 1, MOVE_SEQUENCE_MAX) };
}

/** The MAC does not live here any more: others need not wait for the claim to lapse. */
export function withdrawVif(step: VarpStep, { vnet, mac }: VifAt): void {
  const careOf = floodSource(step.varp);
  if (vnet.claims === null || careOf === null || !vnet.vifs.has(mac)) {
    return;
  }
  if (reserveFlood(vnet.budget, { now: step.now, waitMsMax: 0 }) === null) {
    countRefusal(step, "rate");
    return;
  }
  sendVarp(step, vnet, { opcode: "withdraw", mac, careOf }, null);
}

/** Repeats our claims, and lets those of others lapse that were not repeated. */
export function runClaims(step: VarpStep, vnet: VarpVnet): void {
  if (vnet.claims === null || vnet.claimsAt > step.now) {
    return;
  }
  scheduleClaims(step, vnet);
  for (const [mac, { heardAt }] of vnet.claims) {
    if (step.now - heardAt >= CLAIM_LIFE_MS) {
      dropClaim(step, { vnet, mac });
    }
  }
  const careOf = floodSource(step.varp);
  const all = Array.from(vnet.vifs, ([mac, { moveSequence }]) => ({ mac, moveSequence }));
  for (let at = 0; careOf !== null && at < all.length; at += BATCH_ENTRIES_MAX) {
    const claims = all.slice(at, at + BATCH_ENTRIES_MAX);
    const { senderId: owner } = step.varp;
    const message = { vnet: vnet.id, careOf, claims, owner, permanent: false };
    sendSealed(step, { opcode: "batch", ...message }, null);
  }
}

export function scheduleClaims(step: VarpStep, vnet: VarpVnet): void {
  vnet.claimsAt = step.now + CLAIM_INTERVAL_MS;
  wakeAt(step, vnet.claimsAt, { task: "claim", vnet: vnet.id });
}

/**
 * The MACs that the data plane has pinned to other hosts, after it was adopted or started: those
 * that are not known are claims of an earlier daemon, those that it lacks are set again.
 */
export function takeClaimListing(step: VarpStep, listed: readonly ListedClaim[]): void {
  const has = new Set(listed.map(({ vnet, mac }) => `${vnet} ${mac}`));
  for (const { vnet: id, mac, host } of listed) {
    const vnet = step.varp.vnets.get(id);
    if (vnet?.claims?.has(mac) === false && !vnet.vifs.has(mac)) {
      const about = { host, owner: "", sequence: 0, permanent: false };
      vnet.claims.set(mac, { ...about, heardAt: step.now });
    }
  }
  for (const vnet of step.varp.vnets.values()) {
    for (const [mac, { host }] of vnet.claims ?? []) {
      if (!has.has(`${vnet.id} ${mac}`)) {
        step.effects.push({ kind: "set-fdb", vnet: vnet.id, mac, host, pinned: true });
      }
    }
  }
}

/**
 * A MAC has changed its place, by claim or by frames.
 *
 * @param host where it is now; null: here
 */
export function noteMove(step: VarpStep, { vnet, mac }: VifAt, host: Endpoint | null): void {
  const { now } = step;
  const lately = (vnet.moves.get(mac) ?? []).filter((at) => now - at < MOVES_WINDOW_MS);
  vnet.moves.delete(mac);
  vnet.moves.set(mac, [...lately, now].slice(-MOVES_MAX));
  const [oldest] = vnet.moves.keys();
  if (vnet.moves.size > MOVING_MACS_MAX && oldest !== undefined) {
    vnet.moves.delete(oldest);
  }
  if (step.varp.moves.length < MOVES_TOLD_MAX) {
    const isDuplicate = isFrozen(step, { vnet, mac });
    step.varp.moves.push({ vnet: vnet.id, mac, host, isDuplicate });
  }
}

/** The MACs that two hosts seem to have: five moves in three minutes. */
export function listDuplicates(
  varp: Varp,
  vnetId: VnetId | null,
  now: Millis,
): readonly VarpDuplicate[] {
  return [...varp.vnets.values()]
    .filter(({ id }) => vnetId === null || id === vnetId)
    .flatMap((vnet) =>
      [...vnet.moves.keys()]
        .filter((mac) => isFrozen({ now }, { vnet, mac }))
        .map((mac) => ({
          ...{ vnet: vnet.id, mac, host: vnet.claims?.get(mac)?.host ?? null },
          isHere: vnet.vifs.has(mac),
        })),
    );
}

type SaidClaim = VarpClaim & Pick<MacClaim, "host" | "owner" | "permanent">;

function saidBy(
  { owner, permanent }: ExtendedVarp,
  host: Endpoint,
): Pick<MacClaim, "host" | "owner" | "permanent"> {
  return { host, owner: owner === null ? "" : formatHexGroups(owner, owner.length), permanent };
}

function receiveClaim(step: VarpStep, vnet: VarpVnet, said: SaidClaim): void {
  const { mac } = said;
  if (!isUnicastMac(mac)) {
    countRefusal(step, "not-unicast-mac");
    return;
  }
  const at = { vnet, mac };
  const local = vnet.vifs.get(mac);
  if (local !== undefined) {
    contestHere(step, at, said);
    return;
  }
  const claim = vnet.claims?.get(mac);
  if (claim === undefined || sameEndpoint(claim.host, said.host)) {
    acceptClaim(step, at, said);
  } else if (isFrozen(step, at)) {
    countRefusal(step, "duplicate");
  } else if (outranks(said, claim)) {
    noteMove(step, at, said.host);
    acceptClaim(step, at, said);
  } else {
    countRefusal(step, "outranked");
  }
}

/** Another host claims a MAC that lives here: it has moved there, or it is told better. */
function contestHere(step: VarpStep, at: VifAt, said: SaidClaim): void {
  const { vnet, mac } = at;
  const local = vnet.vifs.get(mac);
  if (local === undefined) {
    return;
  }
  const { senderId } = step.varp;
  const owner = senderId === null ? "" : formatHexGroups(senderId, senderId.length);
  const own = { sequence: local.moveSequence, owner, permanent: local.pinned };
  if (!local.pinned && isFrozen(step, at)) {
    countRefusal(step, "duplicate");
  } else if (!local.pinned && outranks(said, own)) {
    noteMove(step, at, said.host);
    vnet.vifs.delete(mac);
    step.effects.push({ kind: "delete-vif", vnet: vnet.id, mac });
    acceptClaim(step, at, said);
  } else {
    countRefusal(step, local.pinned ? "pinned-here" : "outranked");
    defendVif(step, at, said.moveSequence);
  }
}

function acceptClaim(step: VarpStep, { vnet, mac }: VifAt, said: SaidClaim): void {
  const { host, owner, permanent, moveSequence } = said;
  const known = vnet.claims?.get(mac);
  const isSame = known !== undefined && sameEndpoint(known.host, host);
  // What a host says of its own MAC need not be above what it said: it may have been restarted.
  const sequence = isSame ? Math.max(known.sequence, moveSequence) : moveSequence;
  // A batch does not tell which of its MACs are pinned.
  const staysPermanent = permanent || (isSame && known.permanent);
  const claim = { host, owner, sequence, permanent: staysPermanent, heardAt: step.now };
  vnet.claims?.set(mac, claim);
  vnet.asks.delete(mac);
  if (!isSame) {
    step.effects.push({ kind: "set-fdb", vnet: vnet.id, mac, host, pinned: true });
  }
}

function withdrawClaim(step: VarpStep, at: VifAt, source: Endpoint): void {
  const claim = at.vnet.claims?.get(at.mac);
  if (claim !== undefined && sameEndpoint(claim.host, source)) {
    dropClaim(step, at);
  }
}

function dropClaim(step: VarpStep, { vnet, mac }: VifAt): void {
  vnet.claims?.delete(mac);
  step.effects.push({ kind: "delete-fdb", vnet: vnet.id, mac });
}

/** Whether what is said stands above the claim. */
function outranks(
  said: SaidClaim,
  claim: Pick<MacClaim, "sequence" | "owner" | "permanent">,
): boolean {
  if (said.permanent !== claim.permanent) {
    return said.permanent;
  }
  if (said.moveSequence !== claim.sequence) {
    return said.moveSequence > claim.sequence;
  }
  return said.owner > claim.owner;
}

function isFrozen({ now }: Pick<VarpStep, "now">, { vnet, mac }: VifAt): boolean {
  const moves = vnet.moves.get(mac) ?? [];
  const last = moves.at(-1);
  return moves.length >= MOVES_MAX && last !== undefined && now - last < MOVES_WINDOW_MS;
}

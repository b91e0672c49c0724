/**
 * Telling the other hosts which MACs live here: at once, and again after one and after three
 * seconds in case a datagram was lost. Announcements wait for the vnet's budget, so a host with
 * thousands of MACs that changes its address does not flood its underlay in one burst.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { MacAddress } from "../net/mac-address.ts";
import { reserveFlood } from "./flood-budget.ts";
import { sendVarp } from "./varp-send.ts";
import {
  countRefusal,
  endpointOf,
  floodSource,
  type LocalVif,
  sourceAddressFor,
  type VarpStep,
  type VarpVnet,
  wakeAt,
} from "./varp-state.ts";

/** Before the second and the third announcement. */
const REPEAT_DELAYS_MS = [1000, 2000];
/** What would come later than this is not worth sending: frames have told the others meanwhile. */
const ANNOUNCE_WAIT_MS_MAX = 10_000;
const DEFENCE_INTERVAL_MS = 1000;
/** 32 bits. */
export const MOVE_SEQUENCE_MAX = 0xffff_ffff;

export type VifAt = { readonly vnet: VarpVnet; readonly mac: MacAddress };

/** When a MAC that is heard, pinned or listed is to be announced. */
export type AnnounceWhen = "always" | "when-new" | "never";

/** Adds the MAC to those that live here. */
export function addLocalVif(
  step: VarpStep,
  { vnet, mac }: VifAt,
  {
    pinned,
    announce,
    moveSequence = 1,
  }: {
    readonly pinned: boolean;
    readonly announce: AnnounceWhen;
    /** At least. */
    readonly moveSequence?: number;
  },
): void {
  const known = vnet.vifs.get(mac);
  const vif: LocalVif = known ?? {
    pinned: false,
    moveSequence,
    announcement: null,
    defendedAt: Number.NEGATIVE_INFINITY,
  };
  vif.pinned ||= pinned;
  vif.moveSequence = Math.max(vif.moveSequence, moveSequence);
  vnet.vifs.set(mac, vif);
  vnet.asks.delete(mac);
  if (announce === "always" || (announce === "when-new" && known === undefined)) {
    announceVif(step, { vnet, mac });
  }
}

/** Announces the MAC now and twice more; starts over if that was under way. */
export function announceVif(step: VarpStep, { vnet, mac }: VifAt): void {
  const vif = vnet.vifs.get(mac);
  if (vif !== undefined) {
    const leftCount = 1 + REPEAT_DELAYS_MS.length;
    vif.announcement = { dueAt: step.now, leftCount, reserved: false };
    runAnnouncement(step, { vnet, mac });
  }
}

/** Does what is due for the MAC, if anything is. */
export function runAnnouncement(step: VarpStep, { vnet, mac }: VifAt): void {
  const vif = vnet.vifs.get(mac);
  const announcement = vif?.announcement ?? null;
  if (vif === undefined || announcement === null || announcement.dueAt > step.now) {
    return;
  }
  const careOf = floodSource(step.varp);
  if (careOf === null) {
    // When there is an address, every MAC is announced with it.
    vif.announcement = null;
    return;
  }
  const sendAt = announcement.reserved
    ? step.now
    : reserveFlood(vnet.budget, { now: step.now, waitMsMax: ANNOUNCE_WAIT_MS_MAX });
  if (sendAt === null) {
    vif.announcement = null;
    countRefusal(step, "rate");
    return;
  }
  if (sendAt > step.now) {
    vif.announcement = { ...announcement, dueAt: sendAt, reserved: true };
    wakeAt(step, sendAt, { task: "announce", vnet: vnet.id, mac });
    return;
  }
  sendVarp(step, vnet, { opcode: "announce", mac, careOf }, null);

  const leftCount = announcement.leftCount - 1;
  const delayMs = leftCount > 0 ? REPEAT_DELAYS_MS.at(-leftCount) : undefined;
  if (delayMs === undefined) {
    vif.announcement = null;
    return;
  }
  vif.announcement = { dueAt: step.now + delayMs, leftCount, reserved: false };
  wakeAt(step, step.now + delayMs, { task: "announce", vnet: vnet.id, mac });
}

/** Answers one request with one announce to the host that asked, of the same size. */
export function answerRequest(step: VarpStep, { vnet, mac }: VifAt, asker: Endpoint): void {
  const { varp } = step;
  const careOf = sourceAddressFor(varp, asker);
  if (vnet.vifs.has(mac) && careOf !== null) {
    // The host of an SA has said where it takes datagrams; of others only the address is known.
    const host = vnet.claims === null ? endpointOf(varp, asker.address) : asker;
    sendVarp(step, vnet, { opcode: "announce", mac, careOf }, host);
  }
}

/**
 * Another host claims a MAC that stays here: tell all, but not for every claim.
 *
 * @param above what our claim is to stand above, in a sealed vnet
 */
export function defendVif(step: VarpStep, { vnet, mac }: VifAt, above = 0): void {
  const vif = vnet.vifs.get(mac);
  if (vif !== undefined && step.now - vif.defendedAt >= DEFENCE_INTERVAL_MS) {
    vif.defendedAt = step.now;
    vif.moveSequence = Math.min(Math.max(vif.moveSequence, above + 1), MOVE_SEQUENCE_MAX);
    announceVif(step, { vnet, mac });
  }
}

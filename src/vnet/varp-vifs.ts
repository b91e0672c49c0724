/** Which MACs live here: those that are heard, those that are pinned, and those that have left. */
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { addLocalVif, type VifAt } from "./varp-announce.ts";
import { claimHere, noteMove } from "./varp-claims.ts";
import type { VarpEvent, VarpVif } from "./varp-events.ts";
import type { VarpStep } from "./varp-state.ts";

/** A frame of it left this host. */
export function learnVif(step: VarpStep, at: VifAt, moved: boolean): void {
  const claim = claimHere(step, at);
  if (claim === null) {
    return;
  }
  const isNew = claim.moveSequence > 1 || moved;
  if (isNew && at.vnet.claims === null) {
    noteMove(step, at, null);
  }
  const announce = isNew ? "always" : "when-new";
  addLocalVif(step, at, { pinned: false, announce, moveSequence: claim.moveSequence });
}

/** A pin here stands above what others claim, but not above their pins. */
export function pinVif(step: VarpStep, at: VifAt): void {
  const claim = at.vnet.claims?.get(at.mac);
  if (claim !== undefined) {
    at.vnet.claims?.delete(at.mac);
    step.effects.push({ kind: "delete-fdb", vnet: at.vnet.id, mac: at.mac });
  }
  const moveSequence = (claim?.sequence ?? 0) + 1;
  addLocalVif(step, at, { pinned: true, announce: "when-new", moveSequence });
}

/** It is not heard any more. */
export function removeLearnedVif({ vnet, mac }: VifAt): void {
  if (vnet.vifs.get(mac)?.pinned === false) {
    vnet.vifs.delete(mac);
  }
}

/** Pins are kept: the plan brings them to the data plane if its listing lacks them. */
export function replaceVifs(
  step: VarpStep,
  { vifs, announce }: Extract<VarpEvent, { readonly kind: "vifs-listed" }>,
): void {
  const listed = new Map<VnetId, Map<MacAddress, VarpVif>>();
  for (const vif of vifs) {
    const macs = listed.get(vif.vnet) ?? new Map<MacAddress, VarpVif>();
    listed.set(vif.vnet, macs.set(vif.mac, vif));
  }
  for (const vnet of step.varp.vnets.values()) {
    const macs = listed.get(vnet.id) ?? new Map<MacAddress, VarpVif>();
    for (const mac of vnet.vifs.keys()) {
      if (!macs.has(mac)) {
        removeLearnedVif({ vnet, mac });
      }
    }
    for (const { mac, pinned } of macs.values()) {
      addLocalVif(step, { vnet, mac }, { pinned, announce: announce ? "when-new" : "never" });
    }
  }
}

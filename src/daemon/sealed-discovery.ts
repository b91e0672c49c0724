/**
 * VARP of secure vnets travels inside their SAs only. Discovery seals it itself once it knows that a
 * vnet is secure; whatever it says of one that it does not know to be, is sealed here all the same,
 * and what comes in the clear for one is not heard.
 */
import {
  decodeSealedVarp,
  encodeSealedVarp,
  SEALED_VARP_NEXT_HEADER,
} from "../encap/sealed-varp.ts";
import { decodeVarp } from "../encap/varp-message.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand, DataplaneEvent } from "../vnet/dataplane-messages.ts";
import type { VarpEffect, VarpEvent } from "../vnet/varp-events.ts";

type ControlReceived = Extract<DataplaneEvent, { readonly kind: "control-received" }>;

/** The commands that carry `effects` out. */
export function sealVarp(
  effects: readonly VarpEffect[],
  isSecure: (vnet: VnetId) => boolean,
): readonly DataplaneCommand[] {
  return effects.map((effect) => {
    if (effect.kind !== "send-to" && effect.kind !== "send-flood") {
      return effect;
    }
    const vnet = vnetOf(effect.datagram);
    if (vnet === null || !isSecure(vnet)) {
      return effect;
    }
    const sealed = {
      ...{ vnet, nextHeader: SEALED_VARP_NEXT_HEADER },
      payload: encodeSealedVarp(effect.datagram),
    };
    return effect.kind === "send-to"
      ? { kind: "seal-to", host: effect.host, ...sealed }
      : { kind: "seal-flood", ...sealed };
  });
}

/** What discovery hears of a message that an SA has opened; null: it is no VARP. */
export function openVarp(
  event: Extract<DataplaneEvent, { readonly kind: "sealed-control" }>,
): VarpEvent | null {
  const datagram =
    event.nextHeader === SEALED_VARP_NEXT_HEADER ? decodeSealedVarp(event.payload) : null;
  return datagram === null || event.host === null
    ? null
    : { kind: "sealed-received", vnet: event.vnet, source: event.host, datagram };
}

/** Whether a message that came in the clear may be heard. */
export function isClearVarpHeard(
  { datagram }: ControlReceived,
  isSecure: (vnet: VnetId) => boolean,
): boolean {
  const vnet = vnetOf(datagram);
  return vnet === null || !isSecure(vnet);
}

function vnetOf(datagram: Uint8Array): VnetId | null {
  const outcome = decodeVarp(datagram);
  return outcome.kind === "varp" ? outcome.message.vnet : null;
}

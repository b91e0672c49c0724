/**
 * VARP messages on their way out: in the clear to hosts of an open vnet, in the original's form; of
 * a secure vnet sealed, with what hosts of the original would not understand behind it.
 */
import { encodeSealedVarp, SEALED_VARP_NEXT_HEADER } from "../encap/sealed-varp.ts";
import { type ExtendedVarp, encodeExtendedVarp } from "../encap/varp-extension.ts";
import { encodeVarp } from "../encap/varp-message.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VarpStep, VarpVnet } from "./varp-state.ts";

export type OwnMessage = {
  readonly opcode: "request" | "announce" | "withdraw";
  readonly mac: MacAddress;
  readonly careOf: IpAddress;
};

/** @param host null: to everybody */
export function sendVarp(
  step: VarpStep,
  vnet: VarpVnet,
  { opcode, mac, careOf }: OwnMessage,
  host: Endpoint | null,
): void {
  const { vifs, claims, id } = vnet;
  if (claims === null) {
    if (opcode !== "withdraw") {
      const datagram = encodeVarp({ opcode, vnet: id, mac, careOf });
      step.effects.push(
        host === null ? { kind: "send-flood", datagram } : { kind: "send-to", host, datagram },
      );
    }
    return;
  }
  const vif = vifs.get(mac);
  const claim = { mac, moveSequence: vif?.moveSequence ?? 0 };
  const permanent = opcode === "announce" && vif?.pinned === true;
  const { senderId: owner } = step.varp;
  sendSealed(step, { opcode, vnet: id, careOf, claim, owner, permanent }, host);
}

/** @param host null: to everybody */
export function sendSealed(step: VarpStep, message: ExtendedVarp, host: Endpoint | null): void {
  const about = {
    ...{ vnet: message.vnet, nextHeader: SEALED_VARP_NEXT_HEADER },
    payload: encodeSealedVarp(encodeExtendedVarp(message)),
  };
  step.effects.push(
    host === null ? { kind: "seal-flood", ...about } : { kind: "seal-to", host, ...about },
  );
}

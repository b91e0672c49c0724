/**
 * The EtherIP header with a vnet id, 18 octets before an Ethernet frame: inside a legacy frame
 * message, and directly in IP protocol 97 where a vnet asks for that. The readable twin of
 * native/wire/etherip.h; both are held to test/vectors/legacy.tsv.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------+-------+-------+-------+-------------------------------+
 *   0 |   0       0       4       0   |   vnet id, 16 octets          …
 *     +-------+-------+-------+-------+-------------------------------+
 *
 * The original fills a bit field: on x86 its version 4 is the high nibble of the second octet, on
 * a big-endian machine that of the first; its 12 other bits are never set, so they hold anything.
 * Either place is accepted, the rest is ignored. RFC 3378 (version 3) is something else.
 */
import { decodeVnetId, encodeVnetId, type VnetId } from "../net/vnet-id.ts";
import { ETHERNET_HEADER_BYTES } from "./mtu.ts";

export const ETHERIP_HEADER_BYTES = 18;

export type EtheripDrop = "drop-short" | "drop-etherip-version" | "drop-runt-frame";

export type EtheripOutcome =
  | { readonly kind: "frame"; readonly vnet: VnetId; readonly frame: Uint8Array }
  | { readonly kind: "drop"; readonly reason: EtheripDrop };

const VNET_AT = 2;
const VERSION = 4;

/** Splits header and frame, which shares memory with `payload`. Never throws. */
export function decodeEtherip(payload: Uint8Array): EtheripOutcome {
  if (payload.length < ETHERIP_HEADER_BYTES) {
    return { kind: "drop", reason: "drop-short" };
  }
  const versions = [payload[0] ?? 0, payload[1] ?? 0].map((octet) => octet >> 4);
  if (!versions.includes(VERSION)) {
    return { kind: "drop", reason: "drop-etherip-version" };
  }
  const frame = payload.subarray(ETHERIP_HEADER_BYTES);
  return frame.length < ETHERNET_HEADER_BYTES
    ? { kind: "drop", reason: "drop-runt-frame" }
    : { kind: "frame", vnet: decodeVnetId(payload, VNET_AT), frame };
}

/** Header and frame in one; the caller owns it. */
export function encodeEtherip(vnet: VnetId, frame: Uint8Array): Uint8Array {
  const payload = new Uint8Array(ETHERIP_HEADER_BYTES + frame.length);
  payload[1] = VERSION << 4;
  payload.set(encodeVnetId(vnet), VNET_AT);
  payload.set(frame, ETHERIP_HEADER_BYTES);
  return payload;
}

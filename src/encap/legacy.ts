/**
 * What comes on UDP port 1798: the legacy messages, which a host running the original and a host
 * running vnetd exchange, and what else the first octets can mean. The readable twin of
 * native/wire/legacy.h, which carries the traffic; both are held to test/vectors/legacy.tsv.
 *
 *     id  opcode   (u16 each, big-endian)
 *      1   1, 2    VARP: varp-message.ts
 *      2  ignored  a frame: EtherIP header and vnet id 18, then the frame: etherip.ts
 *      3  ignored  a forwarded multicast: forward-message.ts
 *
 * A first word of 0x10000000 or more is the SPI of a sealed message, one of 0 a control message of
 * a secure vnet; neither is for a vnet of level none.
 */
import type { VnetId } from "../net/vnet-id.ts";
import { decodeEtherip, type EtheripOutcome, encodeEtherip } from "./etherip.ts";
import {
  decodeForward,
  FIRST_SPI,
  FORWARD_MESSAGE_ID,
  type ForwardOutcome,
  FRAME_MESSAGE_ID,
  LAST_SPI,
  MESSAGE_BYTES_MIN,
  MESSAGE_ID_BYTES,
} from "./forward-message.ts";
import { decodeVarp, VARP_MESSAGE_ID, type VarpOutcome } from "./varp-message.ts";

/** `reason` is the name of the counter. */
export type LegacyOutcome =
  | EtheripOutcome
  | VarpOutcome
  | ForwardOutcome
  | {
      readonly kind: "drop";
      readonly reason: "drop-short" | "drop-unknown-message" | "drop-esp-no-key";
    };

/**
 * Splits a datagram's payload. Whether the source is a peer and the vnet is here is not asked.
 * Never throws: a stranger's bytes are an outcome, not a failure.
 */
export function decodeLegacy(payload: Uint8Array): LegacyOutcome {
  if (payload.length < MESSAGE_BYTES_MIN) {
    return { kind: "drop", reason: "drop-short" };
  }
  const word = new DataView(payload.buffer, payload.byteOffset, MESSAGE_BYTES_MIN).getUint32(0);
  switch (word >>> 16) {
    case VARP_MESSAGE_ID:
      return decodeVarp(payload);
    case FRAME_MESSAGE_ID:
      return decodeEtherip(payload.subarray(MESSAGE_ID_BYTES));
    case FORWARD_MESSAGE_ID:
      return decodeForward(payload);
    default: {
      const sealed = word >= FIRST_SPI && word <= LAST_SPI;
      return { kind: "drop", reason: sealed ? "drop-esp-no-key" : "drop-unknown-message" };
    }
  }
}

/** A frame message; the caller owns it. */
export function encodeFrame(vnet: VnetId, frame: Uint8Array): Uint8Array {
  const body = encodeEtherip(vnet, frame);
  const payload = new Uint8Array(MESSAGE_ID_BYTES + body.length);
  new DataView(payload.buffer).setUint16(0, FRAME_MESSAGE_ID);
  payload.set(body, MESSAGE_ID_BYTES);
  return payload;
}

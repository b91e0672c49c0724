/**
 * VARP messages of a secure vnet, as they stand in an SA with next header 17: a UDP header (RFC 768)
 * and the message as it is in the clear, the original's own composition, which every ESP decoder
 * reads.
 *
 *     0 source port 1798 | 2 destination port 1798 | 4 length, header and message | 6 checksum 0
 *     8 the VARP message
 *
 * The ports only name the protocol: they are 1798 whatever port the tunnel has. The checksum is
 * left out (RFC 768), because the SA's own check covers the message.
 */

/** UDP, of the IANA's protocol numbers. */
export const SEALED_VARP_NEXT_HEADER = 17;

const HEADER_BYTES = 8;
const VARP_UDP_PORT = 1798;

/** @param message at most 65,527 octets */
export function encodeSealedVarp(message: Uint8Array): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + message.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, VARP_UDP_PORT);
  view.setUint16(2, VARP_UDP_PORT);
  view.setUint16(4, payload.length);
  payload.set(message, HEADER_BYTES);
  return payload;
}

/** @returns the message, a view of `payload`; null when the header is not VARP's or the length lies */
export function decodeSealedVarp(payload: Uint8Array): Uint8Array | null {
  if (payload.length < HEADER_BYTES) {
    return null;
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const isVarp = view.getUint16(0) === VARP_UDP_PORT && view.getUint16(2) === VARP_UDP_PORT;
  return isVarp && view.getUint16(4) === payload.length ? payload.subarray(HEADER_BYTES) : null;
}

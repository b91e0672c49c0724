/**
 * VARP messages: where is this MAC, and: it is here. 43 octets, big-endian, the payload of a
 * datagram to UDP port 1798. The original's layout, and the readable twin of native/wire/legacy.h;
 * both are held to test/vectors/legacy.tsv.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *   0 |             id = 1            |  1 = REQUEST, 2 = ANNOUNCE    |
 *     +-------------------------------+-------------------------------+
 *   4 |                      vnet id, 16 octets                       …
 *     +-----------------------------------------------+---------------+
 *  20 |                 MAC address, 6 octets         | family 2 / 10 |
 *     +-----------------------------------------------+---------------+
 *  27 |    address, 16 octets (IPv4: the first 4, the rest zero)       …
 */
import {
  decodeIpAddress,
  encodeIpAddress,
  IPV4_BYTES,
  IPV6_BYTES,
  type IpAddress,
  ipFamily,
  isHostIp,
} from "../net/ip-address.ts";
import { decodeMacAddress, encodeMacAddress, type MacAddress } from "../net/mac-address.ts";
import { decodeVnetId, encodeVnetId, type VnetId } from "../net/vnet-id.ts";

export type VarpOpcode = "request" | "announce";

export type VarpMessage = {
  readonly opcode: VarpOpcode;
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /** Where the asker, or the MAC, is: the address frames for it are to be sent to. */
  readonly careOf: IpAddress;
};

export type VarpOutcome =
  | { readonly kind: "varp"; readonly message: VarpMessage }
  | { readonly kind: "drop"; readonly reason: "drop-short" | "drop-varp-malformed" };

/** The UDP port of every vnet message, and the group of those that go to everybody. */
export const VNET_UDP_PORT = 1798;
export const VARP_BYTES = 43;
export const VARP_MESSAGE_ID = 1;

const OPCODE_AT = 2;
const VNET_AT = 4;
const MAC_AT = 20;
const FAMILY_AT = 26;
const ADDRESS_AT = 27;

const OPCODES: ReadonlyMap<number, VarpOpcode> = new Map([
  [1, "request"],
  [2, "announce"],
]);
/** AF_INET and AF_INET6 of Linux, as the original's hosts number them. */
const FAMILY_IPV4 = 2;
const FAMILY_IPV6 = 10;

/**
 * Reads a payload whose first two octets are VARP's id. Octets after the 43rd are left for later
 * versions. Never throws: a stranger's bytes are an outcome, not a failure.
 */
export function decodeVarp(payload: Uint8Array): VarpOutcome {
  if (payload.length < VARP_BYTES) {
    return { kind: "drop", reason: "drop-short" };
  }
  const view = new DataView(payload.buffer, payload.byteOffset, VARP_BYTES);
  const opcode = OPCODES.get(view.getUint16(OPCODE_AT));
  const careOf = decodeCareOf(payload, view.getUint8(FAMILY_AT));
  if (opcode === undefined || careOf === null || !isHostIp(careOf)) {
    return { kind: "drop", reason: "drop-varp-malformed" };
  }
  const vnet = decodeVnetId(payload, VNET_AT);
  const mac = decodeMacAddress(payload, MAC_AT);
  return { kind: "varp", message: { opcode, vnet, mac, careOf } };
}

/** The whole payload; the caller owns it. */
export function encodeVarp({ opcode, vnet, mac, careOf }: VarpMessage): Uint8Array {
  const payload = new Uint8Array(VARP_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint16(0, VARP_MESSAGE_ID);
  view.setUint16(OPCODE_AT, opcode === "request" ? 1 : 2);
  payload.set(encodeVnetId(vnet), VNET_AT);
  payload.set(encodeMacAddress(mac), MAC_AT);
  view.setUint8(FAMILY_AT, ipFamily(careOf) === 4 ? FAMILY_IPV4 : FAMILY_IPV6);
  payload.set(encodeIpAddress(careOf), ADDRESS_AT);
  return payload;
}

/** Null for a family that is neither. */
function decodeCareOf(payload: Uint8Array, family: number): IpAddress | null {
  const lengths = new Map([
    [FAMILY_IPV4, IPV4_BYTES],
    [FAMILY_IPV6, IPV6_BYTES],
  ]);
  const length = lengths.get(family);
  return length === undefined
    ? null
    : decodeIpAddress(payload.subarray(ADDRESS_AT, ADDRESS_AT + length));
}

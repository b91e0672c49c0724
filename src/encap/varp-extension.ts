/**
 * VARP as hosts of a secure vnet say it to each other, inside their SAs (sealed-varp.ts): the
 * original's 43 octets, or a batch, with TLVs behind. Who knows only the original's VARP reads the
 * first 43 octets as they are.
 *
 *     0 VARP 43: REQUEST, ANNOUNCE or WITHDRAW (opcode 3) │ 43 TLVs
 *     0 u16 id 1, u16 opcode 4 (BATCH) │ 4 vnet 16 │ 20 u8 family │ 21 care-of 16
 *                                      │ 37 u16 count │ 39 count × { MAC 6, u32 move sequence } │ TLVs
 *
 *     TLV: u8 type, u16 length, value
 *      1   u32 move sequence      2   IPv4 address of the guest, 4     3   IPv6 address, 16
 *      4   u8 flags: 1 permanent, 2 withdrawn                          5   owner's sender id, 16
 *
 * Unknown types are skipped; a known one of another length is malformed.
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
import { VARP_BYTES, VARP_MESSAGE_ID } from "./varp-message.ts";

/** What one BATCH carries, to stay far below any MTU. */
export const BATCH_ENTRIES_MAX = 100;

export type ExtendedVarp = {
  readonly vnet: VnetId;
  readonly careOf: IpAddress;
  /** The sender id of the host where the MACs are, when it is told. */
  readonly owner: Uint8Array | null;
  readonly permanent: boolean;
} & (
  | { readonly opcode: "request" | "announce" | "withdraw"; readonly claim: VarpClaim }
  | { readonly opcode: "batch"; readonly claims: readonly VarpClaim[] }
);

/** Where a MAC is: of two that differ the one with the higher move sequence is the later. */
export type VarpClaim = { readonly mac: MacAddress; readonly moveSequence: number };

export type ExtendedVarpOutcome =
  | { readonly kind: "varp"; readonly message: ExtendedVarp }
  | { readonly kind: "drop"; readonly reason: "drop-short" | "drop-varp-malformed" };

const OPCODE_AT = 2;
const VNET_AT = 4;
const MAC_AT = 20;
const FAMILY_AT = 26;
const ADDRESS_AT = 27;
const BATCH_FAMILY_AT = 20;
const BATCH_ADDRESS_AT = 21;
const BATCH_COUNT_AT = 37;
const BATCH_HEADER_BYTES = 39;
const BATCH_ENTRY_BYTES = 10;
const FAMILY_IPV4 = 2;
const FAMILY_IPV6 = 10;
const OPCODES = { request: 1, announce: 2, withdraw: 3, batch: 4 } as const;
const OPCODE_NAMES: ReadonlyMap<number, keyof typeof OPCODES> = new Map([
  [OPCODES.request, "request"],
  [OPCODES.announce, "announce"],
  [OPCODES.withdraw, "withdraw"],
  [OPCODES.batch, "batch"],
]);
const TLV_HEADER_BYTES = 3;
const TLV_MOVE_SEQUENCE = 1;
const TLV_FLAGS = 4;
const TLV_OWNER = 5;
const TLV_VALUE_BYTES: ReadonlyMap<number, number> = new Map([
  [TLV_MOVE_SEQUENCE, 4],
  [2, IPV4_BYTES],
  [3, IPV6_BYTES],
  [TLV_FLAGS, 1],
  [TLV_OWNER, 16],
]);
const FLAG_PERMANENT = 1;
const FLAG_WITHDRAWN = 2;

const MALFORMED = { kind: "drop", reason: "drop-varp-malformed" } as const;
const SHORT = { kind: "drop", reason: "drop-short" } as const;

/** Reads a whole message. Never throws: a stranger's bytes are an outcome, not a failure. */
export function decodeExtendedVarp(body: Uint8Array): ExtendedVarpOutcome {
  if (body.length < BATCH_HEADER_BYTES) {
    return SHORT;
  }
  const view = viewOf(body);
  const opcode = OPCODE_NAMES.get(view.getUint16(OPCODE_AT));
  if (view.getUint16(0) !== VARP_MESSAGE_ID || opcode === undefined) {
    return MALFORMED;
  }
  return opcode === "batch" ? decodeBatch(body) : decodeSingle(body, opcode);
}

/**
 * The whole message; the caller owns it.
 *
 * @throws RangeError for a batch of more than BATCH_ENTRIES_MAX
 */
export function encodeExtendedVarp(message: ExtendedVarp): Uint8Array {
  const body = message.opcode === "batch" ? encodeBatch(message) : encodeSingle(message);
  const tlvs: Uint8Array[] = [];
  if (message.opcode !== "batch") {
    tlvs.push(tlv(TLV_MOVE_SEQUENCE, u32(message.claim.moveSequence)));
  }
  const withdrawn = message.opcode === "withdraw" ? FLAG_WITHDRAWN : 0;
  const flags = withdrawn | (message.permanent ? FLAG_PERMANENT : 0);
  if (flags !== 0) {
    tlvs.push(tlv(TLV_FLAGS, Uint8Array.of(flags)));
  }
  if (message.owner !== null) {
    tlvs.push(tlv(TLV_OWNER, message.owner));
  }
  return Uint8Array.from([body, ...tlvs].flatMap((part) => [...part]));
}

function decodeSingle(
  body: Uint8Array,
  opcode: "request" | "announce" | "withdraw",
): ExtendedVarpOutcome {
  if (body.length < VARP_BYTES) {
    return SHORT;
  }
  const careOf = decodeCareOf(body, FAMILY_AT, ADDRESS_AT);
  const tlvs = splitTlvs(body.subarray(VARP_BYTES));
  if (careOf === null || tlvs === null) {
    return MALFORMED;
  }
  const sequence = tlvs.get(TLV_MOVE_SEQUENCE);
  const moveSequence = sequence === undefined ? 0 : viewOf(sequence).getUint32(0);
  const claim = { mac: decodeMacAddress(body, MAC_AT), moveSequence };
  const vnet = decodeVnetId(body, VNET_AT);
  return { kind: "varp", message: { opcode, vnet, careOf, claim, ...commonOf(tlvs) } };
}

function decodeBatch(body: Uint8Array): ExtendedVarpOutcome {
  const count = viewOf(body).getUint16(BATCH_COUNT_AT);
  const end = BATCH_HEADER_BYTES + count * BATCH_ENTRY_BYTES;
  if (body.length < end) {
    return SHORT;
  }
  const careOf = decodeCareOf(body, BATCH_FAMILY_AT, BATCH_ADDRESS_AT);
  const tlvs = splitTlvs(body.subarray(end));
  if (careOf === null || tlvs === null || count > BATCH_ENTRIES_MAX) {
    return MALFORMED;
  }
  const claims = Array.from({ length: count }, (_, index) => {
    const at = BATCH_HEADER_BYTES + index * BATCH_ENTRY_BYTES;
    return { mac: decodeMacAddress(body, at), moveSequence: viewOf(body).getUint32(at + 6) };
  });
  const vnet = decodeVnetId(body, VNET_AT);
  return { kind: "varp", message: { opcode: "batch", vnet, careOf, claims, ...commonOf(tlvs) } };
}

function commonOf(
  tlvs: ReadonlyMap<number, Uint8Array>,
): Pick<ExtendedVarp, "owner" | "permanent"> {
  const flags = tlvs.get(TLV_FLAGS)?.[0] ?? 0;
  return { owner: tlvs.get(TLV_OWNER) ?? null, permanent: (flags & FLAG_PERMANENT) !== 0 };
}

function encodeSingle({
  opcode,
  vnet,
  careOf,
  claim,
}: Exclude<ExtendedVarp, { readonly opcode: "batch" }>): Uint8Array {
  const body = new Uint8Array(VARP_BYTES);
  encodeStart(body, { opcode: OPCODES[opcode], vnet });
  body.set(encodeMacAddress(claim.mac), MAC_AT);
  body[FAMILY_AT] = familyOf(careOf);
  body.set(encodeIpAddress(careOf), ADDRESS_AT);
  return body;
}

function encodeBatch({
  vnet,
  careOf,
  claims,
}: Extract<ExtendedVarp, { readonly opcode: "batch" }>): Uint8Array {
  if (claims.length > BATCH_ENTRIES_MAX) {
    throw new RangeError(`A batch has at most ${BATCH_ENTRIES_MAX} MACs, not ${claims.length}`);
  }
  const body = new Uint8Array(BATCH_HEADER_BYTES + claims.length * BATCH_ENTRY_BYTES);
  encodeStart(body, { opcode: OPCODES.batch, vnet });
  body[BATCH_FAMILY_AT] = familyOf(careOf);
  body.set(encodeIpAddress(careOf), BATCH_ADDRESS_AT);
  viewOf(body).setUint16(BATCH_COUNT_AT, claims.length);
  for (const [index, { mac, moveSequence }] of claims.entries()) {
    const at = BATCH_HEADER_BYTES + index * BATCH_ENTRY_BYTES;
    body.set(encodeMacAddress(mac), at);
    viewOf(body).setUint32(at + 6, moveSequence);
  }
  return body;
}

function encodeStart(
  body: Uint8Array,
  { opcode, vnet }: { readonly opcode: number; readonly vnet: VnetId },
): void {
  viewOf(body).setUint16(0, VARP_MESSAGE_ID);
  viewOf(body).setUint16(OPCODE_AT, opcode);
  body.set(encodeVnetId(vnet), VNET_AT);
}

/** Null for what can be no host's address, or of a family we do not know. */
function decodeCareOf(body: Uint8Array, familyAt: number, addressAt: number): IpAddress | null {
  const family = body[familyAt];
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) {
    return null;
  }
  const bytes = family === FAMILY_IPV4 ? IPV4_BYTES : IPV6_BYTES;
  const address = decodeIpAddress(body.subarray(addressAt, addressAt + bytes));
  return isHostIp(address) ? address : null;
}

function familyOf(address: IpAddress): number {
  return ipFamily(address) === 4 ? FAMILY_IPV4 : FAMILY_IPV6;
}

/** The first of each type, as a copy; null when the chain is broken. */
function splitTlvs(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> | null {
  const tlvs = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < TLV_HEADER_BYTES) {
      return null;
    }
    const view = viewOf(bytes);
    const type = view.getUint8(at);
    const length = view.getUint16(at + 1);
    const end = at + TLV_HEADER_BYTES + length;
    if (end > bytes.length || length !== (TLV_VALUE_BYTES.get(type) ?? length)) {
      return null;
    }
    if (!tlvs.has(type)) {
      tlvs.set(type, bytes.slice(at + TLV_HEADER_BYTES, end));
    }
    at = end;
  }
  return tlvs;
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  return Uint8Array.of(type, value.length >> 8, value.length & 0xff, ...value);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

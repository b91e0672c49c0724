/**
 * Vnet ids: 128 bits, written as eight fields of four hex digits. A value is that full text, so it
 * is a map key and JSON as it stands; `shortVnetId` is what people read and type.
 */
import { formatHexGroups } from "./hex.ts";
import { ParseError, quoteValue } from "./parse-error.ts";

declare const vnetIdBrand: unique symbol;

/** Canonical text: `0000:0000:0000:0000:0000:0000:0000:0097`. */
export type VnetId = string & { readonly [vnetIdBrand]: true };

export const VNET_ID_BYTES = 16;

const FIELD_COUNT = 8;
const TEXT_FORM = /^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,7}$/i;

/** All zero: no vnet has it; in the data plane's messages it stands for "every vnet". */
export const ALL_VNETS = canonical(["0"]);

const PHYSICAL_NETWORK = canonical(["1"]);

/**
 * Reads one to eight fields of one to four hex digits; fewer than eight are filled with zeros on
 * the left, so `97` is 0x97.
 *
 * @throws ParseError also for id 0, which the original used for "no vnet"
 */
export function parseVnetId(text: string): VnetId {
  if (!TEXT_FORM.test(text)) {
    throw new ParseError(
      `Not a vnet id (up to eight fields of up to four hex digits): ${quoteValue(text)}`,
    );
  }
  const id = canonical(text.toLowerCase().split(":"));
  if (id === ALL_VNETS) {
    throw new ParseError(`Vnet id 0 names no vnet: ${quoteValue(text)}`);
  }
  return id;
}

/**
 * The id in the sixteen octets of `bytes` from `offset`; all zero gives ALL_VNETS.
 *
 * @throws RangeError when there are fewer: the caller checks lengths first
 */
export function decodeVnetId(bytes: Uint8Array, offset = 0): VnetId {
  const octets = bytes.subarray(offset, offset + VNET_ID_BYTES);
  if (octets.length !== VNET_ID_BYTES) {
    throw new RangeError(`A vnet id needs 16 octets from ${offset}, there are ${octets.length}`);
  }
  return formatHexGroups(octets, 2) as VnetId;
}

/** Sixteen octets, in the order of the text; the caller owns them. */
export function encodeVnetId(id: VnetId): Uint8Array {
  const bytes = new Uint8Array(VNET_ID_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, field] of id.split(":").entries()) {
    view.setUint16(index * 2, Number.parseInt(field, 16));
  }
  return bytes;
}

/** Id 1 stands for the physical network: no vnet of that id can be created. */
export function isReservedVnetId(id: VnetId): boolean {
  return id === PHYSICAL_NETWORK;
}

/** For people: leading zero fields and leading zeros left out, `97`, `abcd:0:1`. Parses back. */
export function shortVnetId(id: VnetId): string {
  const fields = id.split(":").map((field) => Number.parseInt(field, 16));
  const first = fields.findIndex((field) => field !== 0);
  return fields
    .slice(first === -1 ? FIELD_COUNT - 1 : first)
    .map((field) => field.toString(16))
    .join(":");
}

/** The last field, 16 bits: default interface and bridge names are made from it. */
export function lastVnetIdField(id: VnetId): number {
  return Number.parseInt(id.slice(-4), 16);
}

function canonical(fields: readonly string[]): VnetId {
  const filled = [...new Array(FIELD_COUNT - fields.length).fill("0"), ...fields];
  return filled.map((field) => field.padStart(4, "0")).join(":") as VnetId;
}

/** The values of OXM fields: octets, and a mask where not all bits are matched. */
import { decodeIpAddress, encodeIpAddress, type IpAddress } from "../net/ip-address.ts";
import { decodeMacAddress, encodeMacAddress, type MacAddress } from "../net/mac-address.ts";
import { type Prefix, parsePrefix, prefixAddress, prefixLength } from "../net/prefix.ts";
import type { FragmentMatch, IpMatch, MacMatch, RegisterMatch, VlanMatch } from "./match.ts";

/** Which of the types of match.ts a field's value has. */
export type OxmCoding = "number" | "masked" | "mac" | "ip" | "vlan" | "fragment";

export type OxmBits = { readonly bits: Uint8Array; readonly mask: Uint8Array | null };

const VLAN_PRESENT = 0x1000;

/** Bit 0: part of a fragmented packet; bit 1: not its first part. */
const FRAGMENT_BITS: Record<FragmentMatch, readonly [value: number, mask: number]> = {
  no: [0, 3],
  first: [1, 3],
  later: [3, 3],
  yes: [1, 1],
  not_later: [0, 2],
};

/** How a value goes out. The casts are what `Match` says of the keys that have each coding. */
export function encodeOxmValue(coding: OxmCoding, value: unknown, octets: number): OxmBits {
  switch (coding) {
    case "number":
      return exact(numberOctets(value as number, octets));
    case "masked":
      return encodeMasked(value as RegisterMatch, octets);
    case "mac":
      return encodeMac(value as MacMatch);
    case "ip":
      return encodeIp(value as IpMatch);
    case "vlan":
      return encodeVlan(value as VlanMatch);
    case "fragment": {
      const [bits, mask] = FRAGMENT_BITS[value as FragmentMatch];
      return { bits: numberOctets(bits, 1), mask: mask === 3 ? null : numberOctets(mask, 1) };
    }
  }
}

function exact(bits: Uint8Array): OxmBits {
  return { bits, mask: null };
}

function encodeMasked(match: RegisterMatch, octets: number): OxmBits {
  return typeof match === "number"
    ? exact(numberOctets(match, octets))
    : { bits: numberOctets(match.value, octets), mask: numberOctets(match.mask, octets) };
}

function encodeMac(match: MacMatch): OxmBits {
  return typeof match === "string"
    ? exact(encodeMacAddress(match))
    : { bits: encodeMacAddress(match.address), mask: encodeMacAddress(match.mask) };
}

function encodeIp(match: IpMatch): OxmBits {
  if (!match.includes("/")) {
    return exact(encodeIpAddress(match as IpAddress));
  }
  const bits = encodeIpAddress(prefixAddress(match as Prefix));
  return { bits, mask: maskOctets(prefixLength(match as Prefix), bits.length) };
}

function encodeVlan(match: VlanMatch): OxmBits {
  if (match === "tagged") {
    return { bits: numberOctets(VLAN_PRESENT, 2), mask: numberOctets(VLAN_PRESENT, 2) };
  }
  return exact(numberOctets(match === "untagged" ? 0 : VLAN_PRESENT | match, 2));
}

function maskOctets(lengthBits: number, octets: number): Uint8Array {
  const mask = new Uint8Array(octets);
  for (let at = 0; at < octets; at++) {
    mask[at] = 0xff00 >> Math.min(8, Math.max(0, lengthBits - at * 8));
  }
  return mask;
}

function numberOctets(value: number, octets: number): Uint8Array {
  const bytes = new Uint8Array(octets);
  for (let at = octets - 1, left = value; at >= 0; at--, left >>>= 8) {
    bytes[at] = left;
  }
  return bytes;
}

function numberOf(octets: Uint8Array): number {
  let value = 0;
  for (const octet of octets) {
    value = value * 256 + octet;
  }
  return value;
}

/** The value of a key with this coding, or null when its type cannot say it. */
export function decodeOxmValue(
  coding: OxmCoding,
  bits: Uint8Array,
  mask: Uint8Array | null,
): unknown {
  switch (coding) {
    case "number":
      return mask === null ? numberOf(bits) : null;
    case "masked":
      return mask === null ? numberOf(bits) : { value: numberOf(bits), mask: numberOf(mask) };
    case "mac":
      return decodeMac(bits, mask);
    case "ip":
      return decodeIp(bits, mask);
    case "vlan":
      return decodeVlan(numberOf(bits), mask === null ? null : numberOf(mask));
    case "fragment":
      return decodeFragment(numberOf(bits), mask === null ? 3 : numberOf(mask) & 3);
  }
}

function decodeMac(bits: Uint8Array, mask: Uint8Array | null): MacMatch {
  const address: MacAddress = decodeMacAddress(bits);
  return mask === null ? address : { address, mask: decodeMacAddress(mask) };
}

function decodeIp(bits: Uint8Array, mask: Uint8Array | null): IpMatch | null {
  const address = decodeIpAddress(bits);
  // An IPv4-mapped address reads as IPv4: no match of ours has one.
  if (bits.length === 16 && !address.includes(":")) {
    return null;
  }
  if (mask === null) {
    return address;
  }
  const lengthBits = mask.reduce((sum, octet) => sum + popCount(octet), 0);
  const contiguous = maskOctets(lengthBits, mask.length).every((octet, at) => octet === mask[at]);
  const inside = bits.every((octet, at) => (octet & ~(mask[at] ?? 0)) === 0);
  return contiguous && inside ? parsePrefix(`${address}/${lengthBits}`) : null;
}

function popCount(octet: number): number {
  return octet.toString(2).replaceAll("0", "").length;
}

function decodeVlan(bits: number, mask: number | null): VlanMatch | null {
  // OpenFlow's field has 13 bits; a mask of all of them is none.
  if (mask === VLAN_PRESENT) {
    return bits === VLAN_PRESENT ? "tagged" : null;
  }
  if (mask !== null && mask !== 0x1fff) {
    return null;
  }
  if (bits === 0) {
    return "untagged";
  }
  return (bits & VLAN_PRESENT) !== 0 && bits < 0x2000 ? bits & 0x0fff : null;
}

function decodeFragment(bits: number, mask: number): FragmentMatch | null {
  const entries = Object.entries(FRAGMENT_BITS) as [FragmentMatch, readonly [number, number]][];
  return entries.find(([, [value, its]]) => value === bits && its === mask)?.[0] ?? null;
}

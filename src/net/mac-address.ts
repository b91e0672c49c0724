/**
 * Ethernet (MAC) addresses, IEEE Std 802 §8. A value is its canonical text, six octets of two
 * lower-case hex digits separated by colons, so that it is a map key, JSON and an ovs-ofctl
 * argument as it stands.
 */
import { formatHexGroups } from "./hex.ts";
import { ParseError, quoteValue } from "./parse-error.ts";

declare const macAddressBrand: unique symbol;

/** Canonical text: `00:16:3e:01:02:0f`. */
export type MacAddress = string & { readonly [macAddressBrand]: true };

export const MAC_ADDRESS_BYTES = 6;

// Toolstacks write upper case, Windows guests dashes, BSD tools octets of one digit; none of
// these is ambiguous. A mixture of separators is a typing error.
const TEXT_FORM = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$|^[0-9a-f]{1,2}(?:-[0-9a-f]{1,2}){5}$/i;

/**
 * Reads six octets of one or two hex digits, separated by colons or by dashes, in either case.
 *
 * @throws ParseError
 */
export function parseMacAddress(text: string): MacAddress {
  if (!TEXT_FORM.test(text)) {
    throw new ParseError(`Not a MAC address (six hex octets): ${quoteValue(text)}`);
  }
  const octets = text.toLowerCase().split(/[:-]/);
  return octets.map((octet) => octet.padStart(2, "0")).join(":") as MacAddress;
}

/**
 * The address in the six octets of `bytes` from `offset`.
 *
 * @throws RangeError when there are fewer: the caller checks lengths first
 */
export function decodeMacAddress(bytes: Uint8Array, offset = 0): MacAddress {
  const octets = bytes.subarray(offset, offset + MAC_ADDRESS_BYTES);
  if (octets.length !== MAC_ADDRESS_BYTES) {
    throw new RangeError(`A MAC address needs 6 octets from ${offset}, there are ${octets.length}`);
  }
  return formatHexGroups(octets, 1) as MacAddress;
}

/** Six octets, in the order of transmission; the caller owns them. */
export function encodeMacAddress(mac: MacAddress): Uint8Array {
  return Uint8Array.from(mac.split(":"), (octet) => Number.parseInt(octet, 16));
}

/** Broadcast and multicast: the lowest bit of the first octet. */
export function isGroupMac(mac: MacAddress): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

export function isZeroMac(mac: MacAddress): boolean {
  return mac === "00:00:00:00:00:00";
}

/** 01:80:c2:00:00:00 … 0f: link-local protocols that no bridge forwards (IEEE Std 802.1Q §8.6.3). */
export function isReservedMac(mac: MacAddress): boolean {
  return mac.startsWith("01:80:c2:00:00:0");
}

/** Whether it can be the address of one interface: neither zero nor a group. */
export function isUnicastMac(mac: MacAddress): boolean {
  return !isGroupMac(mac) && !isZeroMac(mac);
}

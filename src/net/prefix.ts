/** IP prefixes (RFC 4632, RFC 4291 §2.3), as canonical text `address/length`. */
import {
  decodeIpAddress,
  encodeIpAddress,
  type IpAddress,
  ipFamily,
  parseIpAddress,
} from "./ip-address.ts";
import { ParseError, quoteValue } from "./parse-error.ts";

declare const prefixBrand: unique symbol;

/** Canonical text: `10.0.0.0/8`, `2001:db8::/32`; the bits after the length are zero. */
export type Prefix = string & { readonly [prefixBrand]: true };

const DECIMAL = /^(?:0|[1-9]\d{0,2})$/;

/**
 * Reads `address/length`; an address alone is a prefix of full length. Bits set beyond the length
 * are refused: it is not clear whether the host or its network was meant.
 *
 * @throws ParseError
 */
export function parsePrefix(text: string): Prefix {
  const [addressText = "", lengthText, ...rest] = text.split("/");
  const address = parseIpAddress(addressText);
  const addressBits = encodeIpAddress(address).length * 8;
  if (rest.length > 0 || (lengthText !== undefined && !DECIMAL.test(lengthText))) {
    throw new ParseError(`Not a prefix (address/length): ${quoteValue(text)}`);
  }
  const lengthBits = lengthText === undefined ? addressBits : Number(lengthText);
  if (lengthBits > addressBits) {
    throw new ParseError(`Prefix length above ${addressBits}: ${quoteValue(text)}`);
  }
  const network = maskAddress(address, lengthBits);
  if (network !== address) {
    throw new ParseError(
      `Prefix with bits beyond its length, ${network}/${lengthBits} is meant?: ${quoteValue(text)}`,
    );
  }
  return `${address}/${lengthBits}` as Prefix;
}

/**
 * The prefix of this length that the address is in.
 *
 * @param lengthBits at most the address's own bits
 */
export function prefixOf(address: IpAddress, lengthBits: number): Prefix {
  return `${maskAddress(address, lengthBits)}/${lengthBits}` as Prefix;
}

/** The first address of the prefix. */
export function prefixAddress(prefix: Prefix): IpAddress {
  return prefix.slice(0, prefix.indexOf("/")) as IpAddress;
}

/** In bits. */
export function prefixLength(prefix: Prefix): number {
  return Number(prefix.slice(prefix.indexOf("/") + 1));
}

export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  const network = prefixAddress(prefix);
  if (ipFamily(network) !== ipFamily(address)) {
    return false;
  }
  // Octets, not texts: policies of thousands of VIFs are compared with each other.
  const [octets, wanted] = [encodeIpAddress(address), encodeIpAddress(network)];
  const lengthBits = prefixLength(prefix);
  return octets.every((octet, index) => {
    const keptBits = Math.min(8, Math.max(0, lengthBits - index * 8));
    return ((octet ^ (wanted[index] ?? 0)) & (0xff00 >> keptBits) & 0xff) === 0;
  });
}

function maskAddress(address: IpAddress, lengthBits: number): IpAddress {
  const octets = encodeIpAddress(address);
  for (const [index, octet] of octets.entries()) {
    const keptBits = Math.min(8, Math.max(0, lengthBits - index * 8));
    octets[index] = octet & (0xff00 >> keptBits);
  }
  return decodeIpAddress(octets);
}

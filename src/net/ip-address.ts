/**
 * IPv4 and IPv6 addresses. A value is its canonical text (RFC 5952 for IPv6), so two equal
 * addresses are equal strings: policies and peer tables rely on it.
 *
 * IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) would be a second name for an IPv4 host. As text
 * they are refused; in octets they are read as the IPv4 address they hold, because sockets of
 * both families report their IPv4 partners that way.
 */
import { isIP } from "node:net";
import { ParseError, quoteValue } from "./parse-error.ts";

declare const ipAddressBrand: unique symbol;

/** Canonical text: `10.0.0.1`, `2001:db8::1`. Never a zone, never IPv4-mapped. */
export type IpAddress = string & { readonly [ipAddressBrand]: true };

export type IpFamily = 4 | 6;

export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;

const IPV6_GROUPS = 8;
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0xffff];

/**
 * Reads dotted decimal (four numbers, no leading zeros) or any RFC 4291 §2.2 form.
 *
 * @throws ParseError
 */
export function parseIpAddress(text: string): IpAddress {
  // Four decimal numbers without leading zeros: isIP() refuses octal, hex and short forms.
  const family = isIP(text);
  if (family === 4) {
    return text as IpAddress;
  }
  if (family !== 6 || text.includes("%")) {
    throw new ParseError(`Not an IPv4 or IPv6 address: ${quoteValue(text)}`);
  }
  const groups = ipv6Groups(text);
  if (isMapped(groups)) {
    throw new ParseError(`IPv4-mapped address, write it as IPv4: ${quoteValue(text)}`);
  }
  return formatIpv6(groups);
}

/**
 * The address in `bytes`, whose length (4 or 16) says which family.
 *
 * @throws RangeError for another length: the caller checks lengths first
 */
export function decodeIpAddress(bytes: Uint8Array): IpAddress {
  if (bytes.length === IPV4_BYTES) {
    return bytes.join(".") as IpAddress;
  }
  if (bytes.length !== IPV6_BYTES) {
    throw new RangeError(`An IP address has 4 or 16 octets, not ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, IPV6_BYTES);
  const groups = Array.from({ length: IPV6_GROUPS }, (_, index) => view.getUint16(index * 2));
  return isMapped(groups) ? (bytes.subarray(12).join(".") as IpAddress) : formatIpv6(groups);
}

/** 4 or 16 octets in network order; the caller owns them. */
export function encodeIpAddress(address: IpAddress): Uint8Array {
  if (ipFamily(address) === 4) {
    return Uint8Array.from(address.split("."), Number);
  }
  const bytes = new Uint8Array(IPV6_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, group] of ipv6Groups(address).entries()) {
    view.setUint16(index * 2, group);
  }
  return bytes;
}

export function ipFamily(address: IpAddress): IpFamily {
  return address.includes(":") ? 6 : 4;
}

/** 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291 §2.7). */
export function isMulticastIp(address: IpAddress): boolean {
  if (ipFamily(address) === 6) {
    return address.startsWith("ff") && address.indexOf(":") === 4;
  }
  const first = Number.parseInt(address, 10);
  return first >= 224 && first <= 239;
}

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3) or `::1`. */
export function isLoopbackIp(address: IpAddress): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** 0.0.0.0 or `::`. */
export function isUnspecifiedIp(address: IpAddress): boolean {
  return address === "0.0.0.0" || address === "::";
}

/**
 * Whether it can be one host's address on an underlay: not multicast, not broadcast, not loopback,
 * not of 0.0.0.0/8 (RFC 1122 §3.2.1.3).
 */
export function isHostIp(address: IpAddress): boolean {
  if (isMulticastIp(address)) {
    return false;
  }
  if (ipFamily(address) === 6) {
    return address !== "::" && address !== "::1";
  }
  return !/^(?:0|127)\./.test(address) && address !== "255.255.255.255";
}

/** The eight groups of a text that isIP() has accepted. */
function ipv6Groups(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const front = parseGroups(head);
  if (tail === undefined) {
    return front;
  }
  const back = parseGroups(tail);
  return [...front, ...new Array(IPV6_GROUPS - front.length - back.length).fill(0), ...back];
}

function parseGroups(part: string): number[] {
  return part === "" ? [] : part.split(":").flatMap(parseGroup);
}

function parseGroup(group: string): number[] {
  if (!group.includes(".")) {
    return [Number.parseInt(group, 16)];
  }
  const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}

function isMapped(groups: readonly number[]): boolean {
  return MAPPED_PREFIX.every((value, index) => groups[index] === value);
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups cut. */
function formatIpv6(groups: readonly number[]): IpAddress {
  const [start, length] = longestZeroRun(groups);
  const text = groups.map((group) => group.toString(16));
  if (length < 2) {
    return text.join(":") as IpAddress;
  }
  const head = text.slice(0, start).join(":");
  const tail = text.slice(start + length).join(":");
  return `${head}::${tail}` as IpAddress;
}

function longestZeroRun(groups: readonly number[]): readonly [start: number, length: number] {
  let best: readonly [number, number] = [0, 0];
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best[1]) {
      best = [index + 1 - length, length];
    }
  }
  return best;
}

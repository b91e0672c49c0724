/**
 * Frames by hand, right or wrong in one field: for ofproto/trace as hex, for a packet socket as they
 * are. Checksums are right, lengths are what the octets are.
 */
import { encodeIpAddress, type IpAddress, parseIpAddress } from "../../src/net/ip-address.ts";
import { encodeMacAddress, parseMacAddress } from "../../src/net/mac-address.ts";

export type Bytes = Uint8Array;

/** A frame on its way: destination, source, then what it carries. */
export function eth(to: string, from: string, type: number, payload: Bytes): Bytes {
  return join(mac(to), mac(from), u16(type), payload);
}

/** The frame with a tag behind its addresses; the outermost last. */
export function tag(frame: Bytes, vid: number, tpid = 0x8100): Bytes {
  return join(frame.subarray(0, 12), u16(tpid), u16(vid), frame.subarray(12));
}

export type ArpFields = {
  readonly op?: number;
  readonly sha: string;
  readonly spa: string;
  readonly tha?: string;
  readonly tpa: string;
  readonly hardware?: number;
};

/** RFC 826. */
export function arp({ op = 1, sha, spa, tha = ZERO_MAC, tpa, hardware = 1 }: ArpFields): Bytes {
  const header = join(u16(hardware), u16(0x0800), Uint8Array.of(6, 4), u16(op));
  return join(header, mac(sha), ip(spa), mac(tha), ip(tpa));
}

export type Ip4Fields = {
  readonly from: string;
  readonly to: string;
  readonly protocol?: number;
  readonly ttl?: number;
  /** In units of 8 octets. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly options?: Bytes;
};

export function ip4(fields: Ip4Fields, payload: Bytes = new Uint8Array(8)): Bytes {
  const { from, to, protocol = 6, ttl = 64, options = NOTHING } = fields;
  const fragment = (fields.moreFragments ? 0x2000 : 0) | (fields.fragmentOffset ?? 0);
  const words = 5 + options.length / 4;
  const header = join(
    ...[Uint8Array.of(0x40 | words, 0), u16(words * 4 + payload.length), u16(7), u16(fragment)],
    ...[Uint8Array.of(ttl, protocol), u16(0), ip(from), ip(to), options],
  );
  header.set(u16(checksum(header)), 10);
  return join(header, payload);
}

export type Ip6Fields = {
  readonly from: string;
  readonly to: string;
  readonly next?: number;
  readonly hopLimit?: number;
};

export function ip6({ from, to, next = 6, hopLimit = 64 }: Ip6Fields, payload: Bytes): Bytes {
  const header = join(Uint8Array.of(0x60, 0, 0, 0), u16(payload.length));
  return join(header, Uint8Array.of(next, hopLimit), ip(from), ip(to), payload);
}

/** An extension header of 8 octets: padding options, or a routing header without segments left. */
export function extension(next: number, kind: "options" | "routing" = "options"): Bytes {
  return kind === "options"
    ? Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0)
    : Uint8Array.of(next, 0, 4, 0, 0, 0, 0, 0);
}

/** RFC 8200 §4.5. @param offset in units of 8 octets */
export function fragment6(next: number, offset: number, more: boolean): Bytes {
  return join(Uint8Array.of(next, 0), u16((offset << 3) | (more ? 1 : 0)), u16(0), u16(7));
}

export function udp(source: number, destination: number, data: Bytes = new Uint8Array(8)): Bytes {
  return join(u16(source), u16(destination), u16(8 + data.length), u16(0), data);
}

export function tcp(source = 1_000, destination = 2_000): Bytes {
  const rest = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0);
  return join(u16(source), u16(destination), rest);
}

export type Icmp6Fields = Ip6Fields & { readonly type: number; readonly code?: number };

/** A packet of ICMPv6 (RFC 4443), with its checksum. */
export function icmp6({ type, code = 0, ...fields }: Icmp6Fields, body: Bytes): Bytes {
  return ip6({ hopLimit: 255, ...fields, next: ICMP6 }, icmp6Message(type, code, body, fields));
}

/** What a packet of ICMPv6 carries. */
export function icmp6Message(
  type: number,
  code: number,
  body: Bytes,
  { from, to }: { readonly from: string; readonly to: string },
): Bytes {
  const message = join(Uint8Array.of(type, code), u16(0), body);
  const pseudo = join(ip(from), ip(to), u32(message.length), Uint8Array.of(0, 0, 0, ICMP6));
  message.set(u16(checksum(join(pseudo, message))), 2);
  return message;
}

/** The body of a solicitation or an advertisement (RFC 4861 §4.3, §4.4). */
export function neighbour(
  target: string,
  option: { readonly kind: "sll" | "tll"; readonly mac: string } | null,
  flags = 0,
): Bytes {
  const link = option === null ? NOTHING : linkOption(option.kind === "sll" ? 1 : 2, option.mac);
  return join(u32(flags), ip(target), link);
}

/** RFC 4861 §4.6.1. */
export function linkOption(type: 1 | 2, address: string): Bytes {
  return join(Uint8Array.of(type, 1), mac(address));
}

/** The multicast address that asks for `address` (RFC 4291 §2.7.1). */
export function solicitedNode(address: string): string {
  const [a = 0, b = 0, c = 0] = encodeIpAddress(parseIpAddress(address)).subarray(13);
  return parseIpAddress(`ff02::1:ff${hex(a)}:${hex(b)}${hex(c)}`);
}

/** The MAC of a multicast address (RFC 1112 §6.4, RFC 2464 §7). */
export function multicastMac(group: string): string {
  const octets = encodeIpAddress(group as IpAddress);
  const end = octets.subarray(-3);
  return octets.length === 4
    ? `01:00:5e:${[(end[0] ?? 0) & 0x7f, end[1] ?? 0, end[2] ?? 0].map(hex).join(":")}`
    : `33:33:${Array.from(octets.subarray(12), hex).join(":")}`;
}

export function join(...parts: readonly Bytes[]): Bytes {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function toHex(bytes: Bytes): string {
  return Array.from(bytes, hex).join("");
}

const ICMP6 = 58;
const NOTHING: Bytes = new Uint8Array(0);
const ZERO_MAC = "00:00:00:00:00:00";

function mac(text: string): Bytes {
  return encodeMacAddress(parseMacAddress(text));
}

/** Addresses that are wrong in a frame may have no text that our reader takes. */
function ip(text: string): Bytes {
  return encodeIpAddress(text as IpAddress);
}

function u16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function u32(value: number): Bytes {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

/** RFC 1071. */
function checksum(octets: Bytes): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) {
    sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

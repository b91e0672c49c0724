/**
 * Forwarded multicasts: a message as it was multicast on one segment, wrapped for a configured
 * peer on another, which delivers it and multicasts it there with the original source address.
 * The readable twin of a part of native/wire/legacy.h; both are held to test/vectors/legacy.tsv.
 *
 *     +---------------+---------------+---------------------+-------------+----------------------+
 *     |  u16 id = 3   |  u16 opcode   | IPv4 20 … / IPv6 40 |    UDP 8    | frame, VARP, ESP …   |
 *     +---------------+---------------+---------------------+-------------+----------------------+
 *
 * The original fills the IPv4 header sparsely: source 0.0.0.0 for "the host that sends this", no
 * id, no checksums, TTL 64. Of a multicast that it heard itself it writes even less: protocol,
 * addresses and ports. The form over IPv6 is ours.
 */
import type { Endpoint } from "../net/endpoint.ts";
import {
  decodeIpAddress,
  encodeIpAddress,
  type IpAddress,
  ipFamily,
  isHostIp,
  isMulticastIp,
  isUnspecifiedIp,
} from "../net/ip-address.ts";
import { decodeEtherip } from "./etherip.ts";
import { decodeVarp, VARP_MESSAGE_ID } from "./varp-message.ts";

export const FORWARD_MESSAGE_ID = 3;
export const FRAME_MESSAGE_ID = 2;
/** id and opcode, before every legacy message's body. */
export const MESSAGE_ID_BYTES = 4;
export const MESSAGE_BYTES_MIN = 8;
/** SPIs below are reserved, and the ids of the legacy messages stand there. */
export const FIRST_SPI = 0x1000_0000;
export const LAST_SPI = 0xffff_fffe;

export type Forward = {
  /** Who multicast the message; 0.0.0.0 or :: is the peer that sent this. */
  readonly source: Endpoint;
  /** The group and port it was multicast to. */
  readonly destination: Endpoint;
  readonly ttl: number;
  /** Shares memory with what was decoded. Never a forward. */
  readonly message: Uint8Array;
};

export type ForwardOutcome =
  | ({ readonly kind: "forward" } & Forward)
  | { readonly kind: "drop"; readonly reason: "drop-forward-malformed" };

type InnerPacket = {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ttl: number;
  /** What stands behind the IP header and belongs to the packet. */
  readonly transport: Uint8Array;
  /** The lengths were never written: the message goes to the end of the datagram. */
  readonly unmeasured: boolean;
};

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const UDP_HEADER_BYTES = 8;
const UDP_PROTOCOL = 17;
const FORWARD_TTL = 64;
const DONT_FRAGMENT = 0x4000;
/** "VNC1", behind SPI 0. */
const VNC1_WORD = 0x564e_4331;
const MALFORMED: ForwardOutcome = { kind: "drop", reason: "drop-forward-malformed" };

/** Unwraps a payload whose first two octets are the forward's id. Never throws. */
export function decodeForward(payload: Uint8Array): ForwardOutcome {
  const inner = parseInner(payload.subarray(MESSAGE_ID_BYTES));
  if (inner === null || inner.transport.length < UDP_HEADER_BYTES) {
    return MALFORMED;
  }
  const { source, destination, ttl, transport } = inner;
  const udp = viewOf(transport);
  const udpBytes = inner.unmeasured ? transport.length : udp.getUint16(4);
  const sourceIsSane = isUnspecifiedIp(source) || isHostIp(source);
  if (udpBytes > transport.length || !sourceIsSane || !isMulticastIp(destination)) {
    return MALFORMED;
  }
  const message = transport.subarray(UDP_HEADER_BYTES, Math.max(udpBytes, UDP_HEADER_BYTES));
  if (!isGroupMessage(message)) {
    return MALFORMED;
  }
  return {
    kind: "forward",
    source: { address: source, udpPort: udp.getUint16(0) },
    destination: { address: destination, udpPort: udp.getUint16(2) },
    ttl,
    message,
  };
}

/**
 * Wraps a message as the original does; the caller owns the result. Source and destination are of
 * one family.
 */
export function encodeForward({ source, destination, message }: Omit<Forward, "ttl">): Uint8Array {
  const ipv6 = ipFamily(destination.address) === 6;
  const ipHeaderBytes = ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  const udpBytes = UDP_HEADER_BYTES + message.length;
  const payload = new Uint8Array(MESSAGE_ID_BYTES + ipHeaderBytes + udpBytes);
  viewOf(payload).setUint16(0, FORWARD_MESSAGE_ID);

  const packet = payload.subarray(MESSAGE_ID_BYTES);
  const ip = viewOf(packet);
  ip.setUint8(0, ipv6 ? 0x60 : 0x45);
  ip.setUint16(ipv6 ? 4 : 2, ipv6 ? udpBytes : ipHeaderBytes + udpBytes);
  ip.setUint8(ipv6 ? 6 : 9, UDP_PROTOCOL);
  ip.setUint8(ipv6 ? 7 : 8, FORWARD_TTL);
  packet.set(encodeIpAddress(source.address), ipv6 ? 8 : 12);
  packet.set(encodeIpAddress(destination.address), ipv6 ? 24 : 16);

  const transport = packet.subarray(ipHeaderBytes);
  const udp = viewOf(transport);
  udp.setUint16(0, source.udpPort);
  udp.setUint16(2, destination.udpPort);
  udp.setUint16(4, udpBytes);
  transport.set(message, UDP_HEADER_BYTES);
  return payload;
}

function parseInner(packet: Uint8Array): InnerPacket | null {
  if (packet[0] === 0 && packet.length >= IPV4_HEADER_BYTES) {
    return parseInnerUnmeasured(packet);
  }
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= IPV4_HEADER_BYTES) {
    return parseInner4(packet);
  }
  return version === 6 && packet.length >= IPV6_HEADER_BYTES ? parseInner6(packet) : null;
}

/** RFC 791 §3.1. The checksum is not looked at: the original leaves it 0. */
function parseInner4(packet: Uint8Array): InnerPacket | null {
  const ip = viewOf(packet);
  const headerBytes = (ip.getUint8(0) & 0x0f) * 4;
  const packetBytes = ip.getUint16(2);
  const isFragment = (ip.getUint16(6) & ~DONT_FRAGMENT) !== 0;
  const lengthsAgree =
    headerBytes >= IPV4_HEADER_BYTES && packetBytes >= headerBytes && packetBytes <= packet.length;
  if (!lengthsAgree || isFragment || ip.getUint8(9) !== UDP_PROTOCOL) {
    return null;
  }
  return {
    source: decodeIpAddress(packet.subarray(12, 16)),
    destination: decodeIpAddress(packet.subarray(16, 20)),
    ttl: ip.getUint8(8),
    transport: packet.subarray(headerBytes, packetBytes),
    unmeasured: false,
  };
}

/**
 * The original, passing on what it heard, writes the protocol, both addresses and both ports; the
 * rest of the two headers is memory that it never touched, the first octet 0. Its own receiver
 * takes 20 and 8 octets, whatever they say.
 */
function parseInnerUnmeasured(packet: Uint8Array): InnerPacket | null {
  if (packet[9] !== UDP_PROTOCOL) {
    return null;
  }
  return {
    source: decodeIpAddress(packet.subarray(12, 16)),
    destination: decodeIpAddress(packet.subarray(16, 20)),
    ttl: packet[8] ?? 0,
    transport: packet.subarray(IPV4_HEADER_BYTES),
    unmeasured: true,
  };
}

/** RFC 8200 §3. No extension headers: nobody has a reason to send them. */
function parseInner6(packet: Uint8Array): InnerPacket | null {
  const ip = viewOf(packet);
  const payloadBytes = ip.getUint16(4);
  const source = decodeIpAddress(packet.subarray(8, 24));
  const destination = decodeIpAddress(packet.subarray(24, 40));
  // IPv4-mapped addresses do not stand in packets (RFC 4291 §2.5.5.2).
  const isIpv6 = ipFamily(source) === 6 && ipFamily(destination) === 6;
  const fits = payloadBytes <= packet.length - IPV6_HEADER_BYTES;
  if (!isIpv6 || !fits || ip.getUint8(6) !== UDP_PROTOCOL) {
    return null;
  }
  const transport = packet.subarray(IPV6_HEADER_BYTES, IPV6_HEADER_BYTES + payloadBytes);
  return { source, destination, ttl: ip.getUint8(7), transport, unmeasured: false };
}

/** Whether it may stand in a forward; sealed messages are passed on unread. */
function isGroupMessage(message: Uint8Array): boolean {
  if (message.length < MESSAGE_BYTES_MIN) {
    return false;
  }
  const view = viewOf(message);
  const word = view.getUint32(0);
  switch (word >>> 16) {
    case VARP_MESSAGE_ID:
      return decodeVarp(message).kind === "varp";
    case FRAME_MESSAGE_ID:
      return decodeEtherip(message.subarray(MESSAGE_ID_BYTES)).kind === "frame";
    default:
      return (
        (word === 0 && view.getUint32(4) === VNC1_WORD) || (word >= FIRST_SPI && word <= LAST_SPI)
      );
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

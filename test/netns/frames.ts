/** Frames built by hand, and tunnel datagrams read off the underlay, for bit-exact claims. */
import { addressOctets, macOctets, vnetKey } from "../fakes/legacy-messages.ts";

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
/** IEEE Std 802 local experimental: no protocol stack answers it. */
export const EXPERIMENTAL_TYPE = 0x88b5;
export const TUNNEL_UDP_PORT = 1798;

export type Addressing = { readonly to: string; readonly from: string };

export function ethernet({ to, from }: Addressing, type: number, payload: Uint8Array): Buffer {
  return Buffer.concat([macOctets(to), macOctets(from), u16(type), payload]);
}

/** The frame with a tag after its addresses; the outermost last. */
export function tagged(frame: Buffer, tpid: number, tci: number): Buffer {
  return Buffer.concat([frame.subarray(0, 12), u16(tpid), u16(tci), frame.subarray(12)]);
}

/** `length` octets that no mistake reproduces by chance. */
export function pattern(length: number, seed = 1): Buffer {
  const octets = Buffer.alloc(length);
  let state = seed >>> 0;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    octets[index] = state >>> 24;
  }
  return octets;
}

export function arp(
  addressing: Addressing,
  fields: { readonly request: boolean; readonly sender: string; readonly target: string },
): Buffer {
  const header = Buffer.from([0, 1, 8, 0, 6, 4, 0, fields.request ? 1 : 2]);
  const targetMac = fields.request ? "00:00:00:00:00:00" : addressing.to;
  return ethernet(
    addressing,
    0x0806,
    Buffer.concat([
      header,
      macOctets(addressing.from),
      addressOctets(fields.sender),
      macOctets(targetMac),
      addressOctets(fields.target),
    ]),
  );
}

export type UdpFields = {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
};

/** A whole IPv4 UDP frame with right checksums. */
export function udp4(addressing: Addressing, fields: UdpFields): Buffer {
  const udp = Buffer.concat([
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u16(8 + fields.payload.length),
    u16(0),
    fields.payload,
  ]);
  const pseudo = Buffer.concat([
    addressOctets(fields.source),
    addressOctets(fields.destination),
    Buffer.from([0, 17]),
    u16(udp.length),
  ]);
  udp.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, udp])) || 0xffff, 6);
  return ethernet(addressing, 0x0800, Buffer.concat([ipv4Header(fields, 17, udp.length), udp]));
}

export type TcpFields = {
  readonly source: string;
  readonly destination: string;
  readonly sequence: number;
  readonly payload: Uint8Array;
};

/** A whole IPv4 TCP segment (ACK) with right checksums, ports 1000 to 2000. */
export function tcp4(addressing: Addressing, fields: TcpFields): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(1_000, 0);
  header.writeUInt16BE(2_000, 2);
  header.writeUInt32BE(fields.sequence, 4);
  header.writeUInt32BE(1, 8);
  header.writeUInt8(0x50, 12);
  header.writeUInt8(0x10, 13);
  header.writeUInt16BE(0xffff, 14);
  const tcp = Buffer.concat([header, fields.payload]);
  const pseudo = Buffer.concat([
    addressOctets(fields.source),
    addressOctets(fields.destination),
    Buffer.from([0, 6]),
    u16(tcp.length),
  ]);
  tcp.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, tcp])), 16);
  return ethernet(addressing, 0x0800, Buffer.concat([ipv4Header(fields, 6, tcp.length), tcp]));
}

function ipv4Header(
  { source, destination }: { readonly source: string; readonly destination: string },
  protocol: number,
  payloadBytes: number,
): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payloadBytes, 2);
  header.writeUInt16BE(0x4000, 6); // do not fragment
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.set(addressOctets(source), 12);
  header.set(addressOctets(destination), 16);
  header.writeUInt16BE(internetChecksum(header), 10);
  return header;
}

/** RFC 1071. */
export function internetChecksum(octets: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) {
    sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

export type TunnelDatagram = {
  readonly source: string;
  readonly destination: string;
  readonly payload: Buffer;
};

/** The tunnel datagram in an underlay frame (IPv4, not fragmented), if it is one. */
export function tunnelDatagram(frame: Buffer): TunnelDatagram | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || frame.readUInt8(23) !== 17) {
    return undefined;
  }
  const headerBytes = (frame.readUInt8(14) & 15) * 4;
  const udpAt = 14 + headerBytes;
  if (frame.readUInt16BE(udpAt + 2) !== TUNNEL_UDP_PORT) {
    return undefined;
  }
  return {
    source: frame.subarray(26, 30).join("."),
    destination: frame.subarray(30, 34).join("."),
    payload: frame.subarray(udpAt + 8, 14 + frame.readUInt16BE(16)),
  };
}

/** The Ethernet frame of a vnet in an underlay frame, if it carries one. */
export function carriedFrame(
  underlayFrame: Buffer,
  vnet: string,
): (TunnelDatagram & { readonly frame: Buffer }) | undefined {
  const datagram = tunnelDatagram(underlayFrame);
  if (
    datagram === undefined ||
    datagram.payload.length < 22 + 14 ||
    datagram.payload.readUInt16BE(0) !== 2 ||
    datagram.payload.subarray(6, 22).toString("hex") !== vnetKey(vnet)
  ) {
    return undefined;
  }
  return { ...datagram, frame: datagram.payload.subarray(22) };
}

function u16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value, 0);
  return octets;
}

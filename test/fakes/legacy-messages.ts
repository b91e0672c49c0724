/**
 * The messages of the original user-space daemon, written from its capture and not from our
 * codecs, so that the two can be held against each other. IPv4 underlay only, as it was.
 */
export const LEGACY_UDP_PORT = 1798;
export const LEGACY_GROUP = "224.10.0.1";

const VARP_BYTES = 43;
const DATA_HEADER_BYTES = 22;
const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;

export type LegacyMessage =
  | {
      readonly kind: "varp";
      readonly request: boolean;
      readonly vnet: string;
      readonly mac: string;
      readonly careOf: string;
    }
  | { readonly kind: "frame"; readonly vnet: string; readonly frame: Buffer }
  | { readonly kind: "forwarded"; readonly packet: Buffer }
  | { readonly kind: "unknown" };

/** The two EtherIP octets: the original leaves 12 of the 16 bits uninitialised. */
export type EtheripOctets = () => readonly [number, number];

export const ETHERIP_CLEAN: EtheripOctets = () => [0x00, 0x40];
/** As an x86 build with garbage on its stack sends it. */
export const ETHERIP_GARBAGE: EtheripOctets = () => [random(256), 0x40 | random(16)];
/** As a big-endian build sends it. The low octet's high nibble is not 4: that would be x86's. */
export const ETHERIP_BIG_ENDIAN: EtheripOctets = () => [0x40 | random(16), random(64)];

export function encodeLegacyFrame(
  vnet: string,
  frame: Uint8Array,
  etherip: EtheripOctets = ETHERIP_CLEAN,
): Buffer {
  return Buffer.concat([Buffer.from([0, 2, 0, 0, ...etherip()]), vnetOctets(vnet), frame]);
}

export function encodeLegacyVarp(varp: {
  readonly request: boolean;
  readonly vnet: string;
  readonly mac: string;
  readonly careOf: string;
}): Buffer {
  return Buffer.concat([
    Buffer.from([0, 1, 0, varp.request ? 1 : 2]),
    vnetOctets(varp.vnet),
    macOctets(varp.mac),
    Buffer.from([2, ...addressOctets(varp.careOf)]),
    Buffer.alloc(12),
  ]);
}

/** Wraps what this host multicasts itself: the header the original fills, and nothing more. */
export function wrapOwnMulticast(message: Uint8Array): Buffer {
  const packet = Buffer.alloc(IP_HEADER_BYTES + UDP_HEADER_BYTES);
  packet.writeUInt8(0x45, 0);
  packet.writeUInt16BE(packet.length + message.length, 2);
  packet.writeUInt8(64, 8);
  packet.writeUInt8(17, 9);
  packet.set(addressOctets(LEGACY_GROUP), 16);
  packet.writeUInt16BE(LEGACY_UDP_PORT, 20);
  packet.writeUInt16BE(LEGACY_UDP_PORT, 22);
  packet.writeUInt16BE(UDP_HEADER_BYTES + message.length, 24);
  return Buffer.concat([Buffer.from([0, 3, 0, 0]), packet, message]);
}

/**
 * Wraps a multicast that was heard. The original makes up a header of which it fills the
 * protocol, both addresses and both ports; version, lengths and the rest stay zero.
 */
export function wrapHeardMulticast(message: Uint8Array, source: string): Buffer {
  const packet = Buffer.alloc(IP_HEADER_BYTES + UDP_HEADER_BYTES);
  packet.writeUInt8(17, 9);
  packet.set(addressOctets(source), 12);
  packet.set(addressOctets(LEGACY_GROUP), 16);
  packet.writeUInt16BE(LEGACY_UDP_PORT, 20);
  packet.writeUInt16BE(LEGACY_UDP_PORT, 22);
  return Buffer.concat([Buffer.from([0, 3, 0, 0]), packet, message]);
}

/** The forwarded packet's source and message, as the original looks at them: by fixed offsets. */
export function unwrapForwarded(packet: Buffer): {
  readonly source: string;
  readonly message: Buffer;
} {
  return {
    source: packet.subarray(12, 16).join("."),
    message: packet.subarray(IP_HEADER_BYTES + UDP_HEADER_BYTES),
  };
}

export function decodeLegacy(datagram: Buffer): LegacyMessage {
  const id = datagram.length >= 4 ? datagram.readUInt16BE(0) : 0;
  if (id === 1 && datagram.length >= VARP_BYTES) {
    return decodeVarp(datagram);
  }
  if (id === 2 && datagram.length > DATA_HEADER_BYTES) {
    // An x86 build looks for the version here and nowhere else.
    return (datagram.readUInt8(5) & 0xf0) === 0x40
      ? {
          kind: "frame",
          vnet: datagram.subarray(6, DATA_HEADER_BYTES).toString("hex"),
          frame: datagram.subarray(DATA_HEADER_BYTES),
        }
      : { kind: "unknown" };
  }
  if (id === 3 && datagram.length > 4 + IP_HEADER_BYTES + UDP_HEADER_BYTES) {
    return { kind: "forwarded", packet: datagram.subarray(4) };
  }
  return { kind: "unknown" };
}

function decodeVarp(datagram: Buffer): LegacyMessage {
  const opcode = datagram.readUInt16BE(2);
  if (opcode !== 1 && opcode !== 2) {
    return { kind: "unknown" };
  }
  return {
    kind: "varp",
    request: opcode === 1,
    vnet: datagram.subarray(4, 20).toString("hex"),
    mac: macText(datagram.subarray(20, 26)),
    careOf: datagram.subarray(27, 31).join("."),
  };
}

/** `97` or `0:…:97` to 32 hex digits. */
export function vnetKey(id: string): string {
  return id
    .split(":")
    .map((field) => field.padStart(4, "0"))
    .join("")
    .padStart(32, "0");
}

export function macText(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(":");
}

export function macOctets(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

export function addressOctets(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

function vnetOctets(id: string): Buffer {
  return Buffer.from(vnetKey(id), "hex");
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

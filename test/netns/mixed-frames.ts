/** A thousand frames of every kind that VMs send, and what a super-frame of them is cut into. */
import {
  type Addressing,
  arp,
  BROADCAST_MAC,
  ethernet,
  internetChecksum,
  pattern,
  tagged,
  tcp4,
  udp4,
} from "./frames.ts";

/** What goes into a device, with the header of struct virtio_net_hdr before it, and what comes out. */
export type Sent = { readonly written: Buffer; readonly carried: readonly Buffer[] };

const IP_AT = 14;
const TCP_AT = 34;
const TCP_CHECKSUM_AT = TCP_AT + 16;
const TCP_DATA_AT = TCP_AT + 20;
const SEGMENT_BYTES = 1_300;
const SUPER_FRAME_SEGMENTS = 5;
const KIND_COUNT = 10;
const VIRTIO_HEADER_BYTES = 10;
const MULTICAST_MAC = "01:00:5e:05:06:07";
const MULTICAST6_MAC = "33:33:00:00:00:42";

export function mixedFrames(count: number, { to, from }: Addressing): readonly Sent[] {
  const frames: Sent[] = [];
  for (let number = 0; frames.reduce((sum, { carried }) => sum + carried.length, 0) < count; ) {
    for (let kind = 0; kind < KIND_COUNT; kind += 1) {
      number += 1;
      frames.push(frameOf(kind, number, { to, from }));
    }
  }
  return frames;
}

function frameOf(kind: number, number: number, unicast: Addressing): Sent {
  const { from } = unicast;
  const payload = pattern((number * 37) % 1_440, number);
  const addresses = { source: "192.168.60.9", destination: "192.168.60.2" };
  const fields = { ...addresses, sourcePort: 1_000, destinationPort: 2_000, payload };
  const arpFields = {
    request: true,
    sender: addresses.source,
    target: `192.168.60.${number % 250}`,
  };
  switch (kind) {
    case 0:
      return plain(udp4(unicast, fields));
    case 1:
      return plain(udp4({ to: BROADCAST_MAC, from }, { ...fields, destination: "192.168.60.255" }));
    case 2:
      return plain(udp4({ to: MULTICAST_MAC, from }, { ...fields, destination: "239.5.6.7" }));
    case 3:
      return plain(udp6(unicast, payload));
    case 4:
      return plain(udp6({ to: MULTICAST6_MAC, from }, payload));
    case 5:
      return plain(arp({ to: BROADCAST_MAC, from }, arpFields));
    case 6:
      return plain(arp(unicast, { ...arpFields, request: false }));
    case 7:
      return plain(tagged(udp4(unicast, fields), 0x8100, 0x6000 | (number % 4_094)));
    case 8:
      return plain(
        tagged(udp6({ to: BROADCAST_MAC, from }, payload), 0x8100, 1 + (number % 4_094)),
      );
    default:
      return superFrame(unicast, number, addresses);
  }
}

/** A frame whose checksum was left to the receiver, with it: what a real device would send. */
export function withTcpChecksum(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(0, TCP_CHECKSUM_AT);
  const sum = internetChecksum(Buffer.concat([pseudoHeader(copy), copy.subarray(TCP_AT)]));
  copy.writeUInt16BE(sum, TCP_CHECKSUM_AT);
  return copy;
}

function plain(frame: Buffer): Sent {
  return { written: Buffer.concat([Buffer.alloc(VIRTIO_HEADER_BYTES), frame]), carried: [frame] };
}

/** The hop limit is 64, the UDP checksum is not what is looked at. */
function udp6(addressing: Addressing, payload: Buffer): Buffer {
  const header = Buffer.alloc(48);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(8 + payload.length, 4);
  header.set([17, 64], 6);
  header.writeUInt16BE(0xfd00, 8);
  header.writeUInt16BE(0xff05, 24);
  header.writeUInt16BE(1_000, 40);
  header.writeUInt16BE(2_000, 42);
  header.writeUInt16BE(8 + payload.length, 44);
  header.writeUInt16BE(0xbeef, 46);
  return ethernet(addressing, 0x86dd, Buffer.concat([header, payload]));
}

/** VIRTIO_NET_HDR_F_NEEDS_CSUM and VIRTIO_NET_HDR_GSO_TCPV4, virtio 1.2 section 5.1.6. */
function superFrame(
  addressing: Addressing,
  number: number,
  addresses: { readonly source: string; readonly destination: string },
): Sent {
  const payload = pattern(SEGMENT_BYTES * SUPER_FRAME_SEGMENTS - 100, number);
  const sequence = number * 100_000;
  const whole = tcp4(addressing, { ...addresses, sequence, payload });
  whole.writeUInt16BE(~internetChecksum(pseudoHeader(whole)) & 0xffff, TCP_CHECKSUM_AT);
  const header = Buffer.alloc(VIRTIO_HEADER_BYTES);
  header.set([1, 1], 0);
  for (const [index, value] of [TCP_DATA_AT, SEGMENT_BYTES, TCP_AT, 16].entries()) {
    header.writeUInt16LE(value, 2 + index * 2);
  }
  const carried = Array.from({ length: SUPER_FRAME_SEGMENTS }, (_, index) => {
    const at = index * SEGMENT_BYTES;
    const part = payload.subarray(at, at + SEGMENT_BYTES);
    return withIpId(
      tcp4(addressing, { ...addresses, sequence: sequence + at, payload: part }),
      index,
    );
  });
  return { written: Buffer.concat([header, whole]), carried };
}

/** Segments of one super-frame are numbered on from its own identification, which is 0. */
function withIpId(frame: Buffer, id: number): Buffer {
  frame.writeUInt16BE(id, IP_AT + 4);
  frame.writeUInt16BE(0, IP_AT + 10);
  frame.writeUInt16BE(internetChecksum(frame.subarray(IP_AT, TCP_AT)), IP_AT + 10);
  return frame;
}

function pseudoHeader(frame: Buffer): Buffer {
  const tcpBytes = frame.readUInt16BE(IP_AT + 2) - (TCP_AT - IP_AT);
  return Buffer.concat([
    frame.subarray(IP_AT + 12, IP_AT + 20),
    Buffer.from([0, 6, tcpBytes >> 8, tcpBytes & 0xff]),
  ]);
}

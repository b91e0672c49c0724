/**
 * A capture as the octets of a pcap file with nanoseconds (draft-ietf-opsawg-pcap §4): a header,
 * then a record a frame. All little-endian.
 *
 *     header  u32 0xa1b23c4d | u16 2 | u16 4 | u32 0 | u32 0 | u32 snap length | u32 1 (Ethernet)
 *     record  u32 seconds | u32 nanoseconds | u32 octets here | u32 octets of the frame | octets
 */

const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
const VERSION = [2, 4] as const;
const LINKTYPE_ETHERNET = 1;
const HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const NS_PER_S = 1_000_000_000n;

export type CapturedFrame = {
  /** Since 1970. */
  readonly timeNs: bigint;
  /** Before it was cut to `octets`. */
  readonly frameBytes: number;
  readonly octets: Uint8Array;
};

export function pcapHeader(snapBytes: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, VERSION[0], true);
  view.setUint16(6, VERSION[1], true);
  view.setUint32(16, snapBytes, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return header;
}

/** @param snapBytes no more of the frame than that */
export function pcapRecord({ timeNs, frameBytes, octets }: CapturedFrame, snapBytes: number) {
  const kept = octets.subarray(0, snapBytes);
  const record = new Uint8Array(RECORD_HEADER_BYTES + kept.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Number(timeNs / NS_PER_S), true);
  view.setUint32(4, Number(timeNs % NS_PER_S), true);
  view.setUint32(8, kept.length, true);
  view.setUint32(12, frameBytes, true);
  record.set(kept, RECORD_HEADER_BYTES);
  return record;
}

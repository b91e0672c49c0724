/**
 * VNC1, the control messages between the hosts of secure vnets: a UDP payload whose first word,
 * where a sealed datagram has its SPI, is 0.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *   0 |                               0                               |
 *   4 |      "V"      |      "N"      |      "C"      |      "1"      |
 *     +---------------+---------------+-------------------------------+
 *   8 |     type      |     flags     |      total length, octets     |
 *     +---------------+---------------+-------------------------------+
 *  12 |                       vnet tag, 8 octets                      |
 *     +-------------------------------+-------------------------------+
 *  20 |            key id             |   suites: bit n-1 is suite n  |
 *     +-------------------------------+-------------------------------+
 *  24 |                      sender id, 16 octets                     |
 *  40 |                      boot nonce, 16 octets                    |
 *     +---------------------------------------------------------------+
 *  56 |                             epoch                             |
 *  60 |                   group SPI, 0: key only held                 |
 *  64 |                    boot counter, 8 octets                     |
 *  72 |                   hello sequence, 8 octets                    |
 *     +---------------+-------------------------------+---------------+
 *  80 |   TLV type    |         value's length        |   value       …   any number of these
 *     +---------------+-------------------------------+---------------+
 *     |                        MAC, 16 octets                         |
 *
 *     TLV  value
 *      1   addresses: for each u8 family (2 or 10), 16 octets (IPv4: the first 4), u16 UDP port
 *      2   u32 MTU of the sender's link              3   u32 capabilities
 *      4   challenge, 16 octets                      5   echo of a challenge, 16; may repeat
 *      6   u64 packets sealed so far                 7   membership hint, 4
 *      8   padding                                   9   u32 probe, u16 UDP payload's length
 *     10   u32 SPI that is asked for                 11   u32 age of the SA, ms
 *
 * Unknown types of TLV are skipped, unknown flags ignored, the first of a TLV that may not repeat
 * counts. The readable twin of native/wire/vnc1.h, which checks only the form; both are held to
 * test/vectors/vnc1.tsv. Whether the MAC is right is asked elsewhere.
 */
import type { Endpoint } from "../net/endpoint.ts";
import { decodeIpAddress, encodeIpAddress, ipFamily, isHostIp } from "../net/ip-address.ts";
import {
  BOOT_NONCE_BYTES,
  CONTROL_MAC_BYTES,
  FIRST_GROUP_SPI,
  LAST_GROUP_SPI,
  SENDER_ID_BYTES,
  VNET_TAG_BYTES,
} from "./key-schedule.ts";

export type Vnc1Type = "hello" | "solicit" | "bye" | "probe" | "probe-ack" | "clone-alert";

export type Vnc1Header = {
  readonly type: Vnc1Type;
  /** The SA is not sealed with yet: it will be within seconds. */
  readonly isNext: boolean;
  /** The key is held, nothing is sealed with it; the SPI is 0. */
  readonly isHeldOnly: boolean;
  readonly vnetTag: Uint8Array;
  /** 1 … 65535 */
  readonly keyId: number;
  readonly suites: number;
  readonly senderId: Uint8Array;
  readonly bootNonce: Uint8Array;
  readonly epoch: number;
  readonly spi: number;
  readonly bootCounter: bigint;
  readonly helloSequence: bigint;
};

export type Vnc1Fields = {
  readonly addresses: readonly Endpoint[];
  readonly mtuBytes: number | null;
  readonly capabilities: number;
  readonly challenge: Uint8Array | null;
  /** At most ECHOES_MAX. */
  readonly echoes: readonly Uint8Array[];
  readonly sentCounter: bigint | null;
  /** For how long the sender could seal with the SA, in ms; SA_AGE_MS_MAX: that or longer. */
  readonly saAgeMs: number | null;
  readonly hint: Uint8Array | null;
  readonly probe: { readonly id: number; readonly payloadBytes: number } | null;
  readonly wantedSpi: number | null;
};

export type Vnc1Message = Vnc1Header & Vnc1Fields;

/** What native/wire/vnc1.h calls kNotVnc1, kWrongLength and so on. */
export type Vnc1Drop = "not-vnc1" | "wrong-length" | "wrong-type" | "wrong-field" | "wrong-tlvs";

export type Vnc1Outcome =
  | {
      readonly kind: "vnc1";
      readonly message: Vnc1Message;
      /** What the MAC is of; shares memory with the payload, as does `mac`. */
      readonly authenticated: Uint8Array;
      readonly mac: Uint8Array;
    }
  | { readonly kind: "drop"; readonly reason: Vnc1Drop };

export const VNC1_HEADER_BYTES = 80;
export const VNC1_BYTES_MIN = VNC1_HEADER_BYTES + CONTROL_MAC_BYTES;
export const CHALLENGE_BYTES = 16;
export const ECHOES_MAX = 8;
export const ADDRESSES_MAX = 8;
/** TLV 3, bit 0: takes frames whose TCP or UDP checksum is not computed. */
export const CAPABILITY_CHECKSUM_PARTIAL = 1;
export const SA_AGE_MS_MAX = 0xffff_ffff;

const MAGIC = 0x564e_4331; // "VNC1"
const TYPE_AT = 8;
const FLAGS_AT = 9;
const LENGTH_AT = 10;
const TAG_AT = 12;
const KEY_ID_AT = 20;
const SUITES_AT = 22;
const SENDER_ID_AT = 24;
const BOOT_NONCE_AT = 40;
const EPOCH_AT = 56;
const SPI_AT = 60;
const BOOT_COUNTER_AT = 64;
const HELLO_SEQUENCE_AT = 72;
const FLAG_NEXT = 0x01;
const FLAG_HELD_ONLY = 0x02;
const TLV_HEADER_BYTES = 3;
const TLV_COUNT_MAX = 128;
const ADDRESS_ENTRY_BYTES = 19;
const FAMILY_IPV4 = 2;
const FAMILY_IPV6 = 10;

const TYPES: ReadonlyMap<Vnc1Type, number> = new Map([
  ["hello", 1],
  ["solicit", 2],
  ["bye", 6],
  ["probe", 7],
  ["probe-ack", 8],
  ["clone-alert", 9],
]);
const TYPES_BY_NUMBER = new Map(Array.from(TYPES, ([type, number]) => [number, type]));

const TLV = {
  addresses: 1,
  mtu: 2,
  capabilities: 3,
  challenge: 4,
  echo: 5,
  sentCounter: 6,
  hint: 7,
  padding: 8,
  probe: 9,
  wantedSpi: 10,
  saAge: 11,
} as const;

/** Lengths of the values of the types that have one length. */
const TLV_VALUE_BYTES: ReadonlyMap<number, number> = new Map([
  [TLV.mtu, 4],
  [TLV.capabilities, 4],
  [TLV.challenge, CHALLENGE_BYTES],
  [TLV.echo, CHALLENGE_BYTES],
  [TLV.sentCounter, 8],
  [TLV.hint, 4],
  [TLV.probe, 6],
  [TLV.wantedSpi, 4],
  [TLV.saAge, 4],
]);

type Tlv = { readonly type: number; readonly value: Uint8Array };

/** Reads a whole UDP payload. Never throws: a stranger's bytes are an outcome, not a failure. */
export function decodeVnc1(payload: Uint8Array): Vnc1Outcome {
  const view = viewOf(payload);
  if (payload.length < VNC1_BYTES_MIN || view.getUint32(0) !== 0 || view.getUint32(4) !== MAGIC) {
    return { kind: "drop", reason: "not-vnc1" };
  }
  if (view.getUint16(LENGTH_AT) !== payload.length) {
    return { kind: "drop", reason: "wrong-length" };
  }
  const type = TYPES_BY_NUMBER.get(view.getUint8(TYPE_AT));
  if (type === undefined) {
    return { kind: "drop", reason: "wrong-type" };
  }
  const header = decodeHeader(payload, type);
  const isGroupSpi = header.spi >= FIRST_GROUP_SPI && header.spi <= LAST_GROUP_SPI;
  if (header.keyId === 0 || !(isGroupSpi || header.spi === 0)) {
    return { kind: "drop", reason: "wrong-field" };
  }
  const authenticated = payload.subarray(0, payload.length - CONTROL_MAC_BYTES);
  const fields = decodeFields(authenticated.subarray(VNC1_HEADER_BYTES));
  if (fields === null) {
    return { kind: "drop", reason: "wrong-tlvs" };
  }
  const mac = payload.subarray(authenticated.length);
  return { kind: "vnc1", message: { ...header, ...fields }, authenticated, mac };
}

/**
 * The whole payload, padded to at least `bytesMin` octets (exactly, unless only one or two octets
 * are to be filled), with `mac` of all in front of it. The caller owns it.
 */
export function encodeVnc1(
  message: Vnc1Message,
  {
    bytesMin = 0,
    mac,
  }: { readonly bytesMin?: number; readonly mac: (authenticated: Uint8Array) => Uint8Array },
): Uint8Array {
  const tlvs = listTlvs(message);
  const missingBytes = bytesMin - VNC1_BYTES_MIN - sumBytes(tlvs);
  if (missingBytes > 0) {
    const value = new Uint8Array(Math.max(0, missingBytes - TLV_HEADER_BYTES));
    tlvs.push({ type: TLV.padding, value });
  }
  const payload = new Uint8Array(VNC1_BYTES_MIN + sumBytes(tlvs));
  encodeHeader(payload, message);
  let at = VNC1_HEADER_BYTES;
  for (const { type, value } of tlvs) {
    payload[at] = type;
    viewOf(payload).setUint16(at + 1, value.length);
    payload.set(value, at + TLV_HEADER_BYTES);
    at += TLV_HEADER_BYTES + value.length;
  }
  payload.set(mac(payload.subarray(0, at)), at);
  return payload;
}

function decodeHeader(payload: Uint8Array, type: Vnc1Type): Vnc1Header {
  const view = viewOf(payload);
  const flags = view.getUint8(FLAGS_AT);
  return {
    type,
    isNext: (flags & FLAG_NEXT) !== 0,
    isHeldOnly: (flags & FLAG_HELD_ONLY) !== 0,
    vnetTag: payload.slice(TAG_AT, TAG_AT + VNET_TAG_BYTES),
    keyId: view.getUint16(KEY_ID_AT),
    suites: view.getUint16(SUITES_AT),
    senderId: payload.slice(SENDER_ID_AT, SENDER_ID_AT + SENDER_ID_BYTES),
    bootNonce: payload.slice(BOOT_NONCE_AT, BOOT_NONCE_AT + BOOT_NONCE_BYTES),
    epoch: view.getUint32(EPOCH_AT),
    spi: view.getUint32(SPI_AT),
    bootCounter: view.getBigUint64(BOOT_COUNTER_AT),
    helloSequence: view.getBigUint64(HELLO_SEQUENCE_AT),
  };
}

function encodeHeader(payload: Uint8Array, header: Vnc1Header): void {
  const view = viewOf(payload);
  view.setUint32(4, MAGIC);
  view.setUint8(TYPE_AT, TYPES.get(header.type) ?? 0);
  const next = header.isNext ? FLAG_NEXT : 0;
  view.setUint8(FLAGS_AT, next | (header.isHeldOnly ? FLAG_HELD_ONLY : 0));
  view.setUint16(LENGTH_AT, payload.length);
  payload.set(header.vnetTag, TAG_AT);
  view.setUint16(KEY_ID_AT, header.keyId);
  view.setUint16(SUITES_AT, header.suites);
  payload.set(header.senderId, SENDER_ID_AT);
  payload.set(header.bootNonce, BOOT_NONCE_AT);
  view.setUint32(EPOCH_AT, header.epoch);
  view.setUint32(SPI_AT, header.spi);
  view.setBigUint64(BOOT_COUNTER_AT, header.bootCounter);
  view.setBigUint64(HELLO_SEQUENCE_AT, header.helloSequence);
}

/** Null when the chain does not end where it should, or a known TLV has a wrong length. */
function decodeFields(bytes: Uint8Array): Vnc1Fields | null {
  const tlvs = splitTlvs(bytes);
  if (tlvs === null) {
    return null;
  }
  const first = (type: number): Uint8Array | null =>
    tlvs.find((tlv) => tlv.type === type)?.value ?? null;
  const u32 = (value: Uint8Array | null): number | null => value && viewOf(value).getUint32(0);
  const addresses = decodeAddresses(first(TLV.addresses) ?? new Uint8Array());
  const counter = first(TLV.sentCounter);
  const probe = first(TLV.probe);
  const echoes = tlvs.filter(({ type }) => type === TLV.echo).slice(0, ECHOES_MAX);
  return {
    addresses,
    mtuBytes: u32(first(TLV.mtu)),
    capabilities: u32(first(TLV.capabilities)) ?? 0,
    challenge: first(TLV.challenge),
    echoes: echoes.map(({ value }) => value),
    sentCounter: counter && viewOf(counter).getBigUint64(0),
    saAgeMs: u32(first(TLV.saAge)),
    hint: first(TLV.hint),
    probe: probe && { id: viewOf(probe).getUint32(0), payloadBytes: viewOf(probe).getUint16(4) },
    wantedSpi: u32(first(TLV.wantedSpi)),
  };
}

/** The values are copies. */
function splitTlvs(bytes: Uint8Array): Tlv[] | null {
  const tlvs: Tlv[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    if (tlvs.length === TLV_COUNT_MAX || bytes.length - at < TLV_HEADER_BYTES) {
      return null;
    }
    const type = view.getUint8(at);
    const valueAt = at + TLV_HEADER_BYTES;
    const end = valueAt + view.getUint16(at + 1);
    if (end > bytes.length || !isValueLength(type, end - valueAt)) {
      return null;
    }
    tlvs.push({ type, value: bytes.slice(valueAt, end) });
    at = end;
  }
  return tlvs;
}

function isValueLength(type: number, bytes: number): boolean {
  if (type === TLV.addresses) {
    return bytes % ADDRESS_ENTRY_BYTES === 0;
  }
  return (TLV_VALUE_BYTES.get(type) ?? bytes) === bytes;
}

/** What can be no host's address, or is of no family we know, is left out. */
function decodeAddresses(value: Uint8Array): readonly Endpoint[] {
  const endpoints: Endpoint[] = [];
  const view = viewOf(value);
  for (
    let at = 0;
    at < value.length && endpoints.length < ADDRESSES_MAX;
    at += ADDRESS_ENTRY_BYTES
  ) {
    const family = view.getUint8(at);
    const addressBytes = family === FAMILY_IPV4 ? 4 : 16;
    const address = decodeIpAddress(value.subarray(at + 1, at + 1 + addressBytes));
    const udpPort = view.getUint16(at + 17);
    const isKnown = family === FAMILY_IPV4 || family === FAMILY_IPV6;
    if (isKnown && isHostIp(address) && udpPort !== 0) {
      endpoints.push({ address, udpPort });
    }
  }
  return endpoints;
}

function encodeAddresses(endpoints: readonly Endpoint[]): Uint8Array {
  const value = new Uint8Array(endpoints.length * ADDRESS_ENTRY_BYTES);
  for (const [index, { address, udpPort }] of endpoints.entries()) {
    const at = index * ADDRESS_ENTRY_BYTES;
    value[at] = ipFamily(address) === 4 ? FAMILY_IPV4 : FAMILY_IPV6;
    value.set(encodeIpAddress(address), at + 1);
    viewOf(value).setUint16(at + 17, udpPort);
  }
  return value;
}

function listTlvs(message: Vnc1Fields): Tlv[] {
  const { addresses, mtuBytes, capabilities, challenge, echoes, sentCounter, hint } = message;
  const { probe, wantedSpi, saAgeMs } = message;
  const tlvs: (Tlv | null)[] = [
    addresses.length === 0
      ? null
      : { type: TLV.addresses, value: encodeAddresses(addresses.slice(0, ADDRESSES_MAX)) },
    mtuBytes === null ? null : { type: TLV.mtu, value: u32(mtuBytes) },
    capabilities === 0 ? null : { type: TLV.capabilities, value: u32(capabilities) },
    challenge && { type: TLV.challenge, value: challenge },
    ...echoes.map((value) => ({ type: TLV.echo, value })),
    sentCounter === null ? null : { type: TLV.sentCounter, value: u64(sentCounter) },
    hint && { type: TLV.hint, value: hint },
    probe && {
      type: TLV.probe,
      value: Uint8Array.of(...u32(probe.id), ...u16(probe.payloadBytes)),
    },
    wantedSpi === null ? null : { type: TLV.wantedSpi, value: u32(wantedSpi) },
    saAgeMs === null ? null : { type: TLV.saAge, value: u32(Math.min(saAgeMs, SA_AGE_MS_MAX)) },
  ];
  return tlvs.filter((tlv) => tlv !== null);
}

function sumBytes(tlvs: readonly Tlv[]): number {
  return tlvs.reduce((sum, { value }) => sum + TLV_HEADER_BYTES + value.length, 0);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, value);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

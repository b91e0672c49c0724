/**
 * Matches on the wire: OXM fields (OpenFlow 1.4 §7.2.3) and Nicira's extended ones, each a header
 * and a value, and a mask when the header says so.
 *
 *     | class 16 | field 7 | has mask 1 | length 8 | value … | mask … |
 *
 * Fields go out in the order in which Open vSwitch sends them, so that what it dumps is, octet for
 * octet, what we installed.
 */
import { type Match, PROTOCOLS, type Protocol } from "./match.ts";
import { OctetReader, type OctetWriter } from "./octets.ts";
import { decodeOxmValue, encodeOxmValue, type OxmCoding } from "./oxm-value.ts";

const CLASS_NXM = 0x0001;
const CLASS_OXM = 0x8000;
const MATCH_TYPE_OXM = 1;
const MATCH_HEADER_OCTETS = 4;

const REGISTER_COUNT = 16;

export type FrameFields = {
  readonly inPort: number | null;
  /** reg0 … reg15 */
  readonly registers: readonly number[];
};

/** A match's keys, with the two numbers that `protocol` is on the wire. */
type WireKey = Exclude<keyof Match, "protocol" | "dlType" | "nwProto"> | "ethType" | "ipProto";
type WireValues = { [Key in WireKey]?: unknown };

type WireField = {
  readonly key: WireKey;
  readonly oxmClass: number;
  readonly field: number;
  readonly octets: number;
  readonly coding: OxmCoding;
  /** IP protocols under which the key is this field; for all when absent. */
  readonly ipProto?: number;
};

function oxm(key: WireKey, field: number, octets: number, coding: OxmCoding): WireField {
  return { key, oxmClass: CLASS_OXM, field, octets, coding };
}

function nxm(key: WireKey, field: number, octets: number, coding: OxmCoding): WireField {
  return { key, oxmClass: CLASS_NXM, field, octets, coding };
}

function transport(key: WireKey, ipProto: number, field: number, octets: number): WireField {
  return { key, oxmClass: CLASS_OXM, field, octets, coding: "number", ipProto };
}

const WIRE_FIELDS: readonly WireField[] = [
  nxm("conjId", 37, 4, "number"),
  oxm("inPort", 0, 4, "number"),
  oxm("dlSrc", 4, 6, "mac"),
  oxm("dlDst", 3, 6, "mac"),
  oxm("ethType", 5, 2, "number"),
  oxm("vlan", 6, 2, "vlan"),
  oxm("nwSrc", 11, 4, "ip"),
  oxm("nwDst", 12, 4, "ip"),
  oxm("ipv6Src", 26, 16, "ip"),
  oxm("ipv6Dst", 27, 16, "ip"),
  nxm("ipFragment", 26, 1, "fragment"),
  nxm("nwTtl", 29, 1, "number"),
  oxm("ipProto", 10, 1, "number"),
  transport("tpSrc", 6, 13, 2),
  transport("tpDst", 6, 14, 2),
  transport("tpSrc", 17, 15, 2),
  transport("tpDst", 17, 16, 2),
  transport("tpSrc", 132, 17, 2),
  transport("tpDst", 132, 18, 2),
  transport("icmpType", 1, 19, 1),
  transport("icmpCode", 1, 20, 1),
  transport("icmpType", 58, 29, 1),
  transport("icmpCode", 58, 30, 1),
  oxm("ndTarget", 31, 16, "ip"),
  oxm("ndSll", 32, 6, "mac"),
  oxm("ndTll", 33, 6, "mac"),
  oxm("arpOp", 21, 2, "number"),
  oxm("arpSpa", 22, 4, "ip"),
  oxm("arpTpa", 23, 4, "ip"),
  oxm("arpSha", 24, 6, "mac"),
  oxm("arpTha", 25, 6, "mac"),
  ...Array.from({ length: REGISTER_COUNT }, (_, index) =>
    nxm(`reg${index}` as WireKey, index, 4, "masked"),
  ),
];

/** A match has a few of the fields: they are looked up, not looked for. */
const FIELDS_BY_KEY: ReadonlyMap<string, readonly WireField[]> = new Map(
  WIRE_FIELDS.map(({ key }) => [key, WIRE_FIELDS.filter((field) => field.key === key)]),
);

const ORDER_BY_FIELD = new Map(WIRE_FIELDS.map((field, index) => [field, index]));

const FIELD_BY_NUMBER = new Map(
  WIRE_FIELDS.map((field) => [(field.oxmClass << 8) | field.field, field]),
);

const PROTOCOL_BY_NUMBERS = new Map(
  Object.entries(PROTOCOLS).map(([name, [ethType, ipProto]]) => [
    `${ethType}/${ipProto ?? ""}`,
    name as Protocol,
  ]),
);

/** The NXM header of a whole register, as the actions name it. */
export function registerHeader(register: number): number {
  return (CLASS_NXM << 16) | (register << 9) | 4;
}

/** The register whose header it is, or null. */
export function registerOfHeader(header: number): number | null {
  const register = (header >>> 9) & 0x7f;
  return register < REGISTER_COUNT && header === registerHeader(register) ? register : null;
}

/** Writes an ofp_match with its padding. The match must have passed check-flow.ts. */
export function writeMatch(writer: OctetWriter, match: Match): void {
  const start = writer.length;
  writer.u16(MATCH_TYPE_OXM);
  writer.u16(0);
  for (const { field, value } of wireFields(match)) {
    writeField(writer, field, value);
  }
  writer.patchLength(start + 2, start);
  writer.padFrom(start);
}

/** The octets of an ofp_match with its padding, or null when there are not as many as it says. */
export function takeMatch(reader: OctetReader): Uint8Array | null {
  const header = new OctetReader(reader.bytes(MATCH_HEADER_OCTETS));
  header.skip(2);
  const length = header.u16();
  if (reader.overrun || length < MATCH_HEADER_OCTETS) {
    return null;
  }
  const padded = Math.ceil(length / 8) * 8;
  const fields = reader.bytes(padded - MATCH_HEADER_OCTETS);
  if (reader.overrun) {
    return null;
  }
  const octets = new Uint8Array(padded);
  octets.set([0, MATCH_TYPE_OXM, length >>> 8, length & 0xff]);
  octets.set(fields, MATCH_HEADER_OCTETS);
  return octets;
}

/** The match in an ofp_match, or null when it has something that `Match` cannot say. */
export function decodeMatch(octets: Uint8Array): Match | null {
  const header = new OctetReader(octets);
  header.skip(2);
  const length = header.u16();
  const reader = new OctetReader(octets.subarray(MATCH_HEADER_OCTETS, length));
  const values: WireValues = {};
  while (reader.remaining > 0) {
    if (!readField(reader, values)) {
      return null;
    }
  }
  return matchOfValues(values);
}

/** A frame's port and registers, from OXM fields as packet-ins have them; others are passed over. */
export function decodeFrameFields(octets: Uint8Array): FrameFields {
  const reader = new OctetReader(octets);
  const values: WireValues = {};
  while (reader.remaining > 0) {
    readField(reader, values);
  }
  const registers = Array.from({ length: REGISTER_COUNT }, (_, index) => {
    const value = values[`reg${index}` as "reg0"];
    return typeof value === "number" ? value : 0;
  });
  return { inPort: typeof values.inPort === "number" ? values.inPort : null, registers };
}

type FieldValue = { readonly field: WireField; readonly value: unknown };

/** The fields that the match has, in the order of the wire. */
function wireFields(match: Match): readonly FieldValue[] {
  const { protocol, dlType } = match;
  const [ethType, named] = protocol === undefined ? [dlType, null] : PROTOCOLS[protocol];
  const ipProto = named ?? match.nwProto;
  const values: FieldValue[] = [];
  const put = (key: string, value: unknown): void => {
    const field = FIELDS_BY_KEY.get(key)?.find((one) => (one.ipProto ?? ipProto) === ipProto);
    if (field !== undefined && value !== undefined) {
      values.push({ field, value });
    }
  };
  // The three keys that are numbers on the wire are no wire keys and pass by.
  for (const [key, value] of Object.entries(match)) {
    put(key, value);
  }
  put("ethType", ethType);
  put("ipProto", ipProto);
  return values.sort((one, other) => orderOf(one.field) - orderOf(other.field));
}

function orderOf(field: WireField): number {
  return ORDER_BY_FIELD.get(field) ?? 0;
}

function matchOfValues(values: WireValues): Match | null {
  const { ethType, ipProto, ...match } = values;
  const byBoth = PROTOCOL_BY_NUMBERS.get(`${ethType}/${ipProto ?? ""}`);
  if (byBoth !== undefined) {
    return { ...match, protocol: byBoth } as Match;
  }
  const byType = PROTOCOL_BY_NUMBERS.get(`${ethType}/`);
  if (ipProto !== undefined) {
    const isIp = byType === "ip" || byType === "ipv6";
    return isIp ? ({ ...match, protocol: byType, nwProto: ipProto } as Match) : null;
  }
  return (ethType === undefined ? match : { ...match, dlType: ethType }) as Match;
}

function writeField(writer: OctetWriter, field: WireField, value: unknown): void {
  const { bits, mask } = encodeOxmValue(field.coding, value, field.octets);
  const length = mask === null ? field.octets : field.octets * 2;
  writer.u16(field.oxmClass);
  writer.u8((field.field << 1) | (mask === null ? 0 : 1));
  writer.u8(length);
  writer.bytes(bits);
  if (mask !== null) {
    writer.bytes(mask);
  }
}

/** Puts the next field into `values`; false when it is none of ours. */
function readField(reader: OctetReader, values: WireValues): boolean {
  const oxmClass = reader.u16();
  const fieldAndMask = reader.u8();
  const length = reader.u8();
  const field = FIELD_BY_NUMBER.get((oxmClass << 8) | (fieldAndMask >>> 1));
  const hasMask = (fieldAndMask & 1) === 1;
  const bits = reader.bytes(hasMask ? length >>> 1 : length);
  const mask = hasMask ? reader.bytes(length >>> 1) : null;
  if (reader.overrun || field === undefined || bits.length !== field.octets) {
    return false;
  }
  const value = decodeOxmValue(
    field.coding,
    bits,
    mask?.every((octet) => octet === 0xff) ? null : mask,
  );
  const first = values[field.key] === undefined;
  values[field.key] = value ?? undefined;
  return first && value !== null;
}

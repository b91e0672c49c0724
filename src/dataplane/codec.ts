/**
 * The octets of the messages between vnetd and vnet-dp: framing and fields as the head of
 * native/control/messages.def describes them. Twin of native/control/messages.cc; both are held to
 * test/vectors/dataplane-messages.tsv and dataplane-messages-malformed.tsv.
 */
import type { Endpoint } from "../net/endpoint.ts";
import { INTERFACE_NAME_BYTES_MAX } from "../net/interface-name.ts";
import {
  decodeIpAddress,
  encodeIpAddress,
  IPV4_BYTES,
  IPV6_BYTES,
  type IpAddress,
  ipFamily,
} from "../net/ip-address.ts";
import {
  decodeMacAddress,
  encodeMacAddress,
  MAC_ADDRESS_BYTES,
  type MacAddress,
} from "../net/mac-address.ts";
import { decodeVnetId, encodeVnetId, VNET_ID_BYTES, type VnetId } from "../net/vnet-id.ts";
import { DATAPLANE_MESSAGES, type DataplaneMessage } from "../vnet/dataplane-messages.ts";
import { FieldReader, FieldWriter } from "./message-octets.ts";

/** What `hello` and `welcome` carry: another version is another protocol. */
export const CONTROL_VERSION = 4;

/** The length field: octets after itself. */
const LENGTH_FIELD_BYTES = 4;
const HEADER_BYTES = 12;
const MESSAGE_LENGTH_MIN = 8;
const MESSAGE_LENGTH_MAX = 1_048_576;

const FAMILY_NONE = 0;
const FAMILY_IPV4 = 2;
const FAMILY_IPV6 = 10;
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [FAMILY_NONE, 0],
  [FAMILY_IPV4, IPV4_BYTES],
  [FAMILY_IPV6, IPV6_BYTES],
]);

/** `sequence`: of the command that is answered; 0 in an event. */
export type SequencedMessage = { readonly message: DataplaneMessage; readonly sequence: number };

/** The data plane said what the protocol does not know: the connection cannot go on. */
export class DataplaneProtocolError extends Error {
  readonly code = "VNETD_DATAPLANE_PROTOCOL";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataplaneProtocolError";
  }
}

type FieldValues = {
  u8: number;
  u16: number;
  u32: number;
  u64: bigint;
  flag: boolean;
  mac: MacAddress;
  vnet: VnetId;
  address: IpAddress | null;
  endpoint: Endpoint | null;
  name: string;
  text: string;
  bytes: Uint8Array;
  secret: Uint8Array;
  addresses: readonly IpAddress[];
  indexes: readonly number[];
  counters: readonly bigint[];
};

type FieldType = keyof FieldValues;

type FieldCodec<Value> = {
  write(writer: FieldWriter, value: Value): void;
  read(reader: FieldReader): Value;
};

type MessageSpec = {
  readonly number: number;
  readonly fields: Readonly<Record<string, FieldType>>;
};

// What is no UTF-8 becomes U+FFFD: text is for people, and no reason to end the connection.
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

const BYTES: FieldCodec<Uint8Array> = {
  write: (writer, value) => writer.countedOctets(value),
  read: (reader) => reader.countedOctets().slice(),
};

const FIELD_CODECS: { readonly [Type in FieldType]: FieldCodec<FieldValues[Type]> } = {
  u8: { write: (writer, value) => writer.u8(value), read: (reader) => reader.u8() },
  u16: { write: (writer, value) => writer.u16(value), read: (reader) => reader.u16() },
  u32: { write: (writer, value) => writer.u32(value), read: (reader) => reader.u32() },
  u64: { write: (writer, value) => writer.u64(value), read: (reader) => reader.u64() },
  flag: { write: (writer, value) => writer.u8(value ? 1 : 0), read: readFlag },
  mac: {
    write: (writer, value) => writer.octets(encodeMacAddress(value)),
    read: (reader) => decodeMacAddress(reader.octets(MAC_ADDRESS_BYTES)),
  },
  vnet: {
    write: (writer, value) => writer.octets(encodeVnetId(value)),
    read: (reader) => decodeVnetId(reader.octets(VNET_ID_BYTES)),
  },
  address: { write: writeAddress, read: readAddress },
  endpoint: { write: writeEndpoint, read: readEndpoint },
  name: { write: writeName, read: readName },
  text: {
    write: (writer, value) => writer.countedOctets(new TextEncoder().encode(value)),
    read: (reader) => UTF8.decode(reader.countedOctets()),
  },
  bytes: BYTES,
  secret: BYTES,
  addresses: {
    write: (writer, value) => writer.list(value, (address) => writeAddress(writer, address)),
    read: (reader) => reader.list(() => readListedAddress(reader)),
  },
  indexes: {
    write: (writer, value) => writer.list(value, (index) => writer.u32(index)),
    read: (reader) => reader.list(() => reader.u32()),
  },
  counters: {
    write: (writer, value) => writer.list(value, (counter) => writer.u64(counter)),
    read: (reader) => reader.list(() => reader.u64()),
  },
};

const KINDS_BY_NUMBER: ReadonlyMap<number, DataplaneMessage["kind"]> = new Map(
  Object.entries(DATAPLANE_MESSAGES).map(([kind, spec]) => [
    spec.number,
    kind as DataplaneMessage["kind"],
  ]),
);

/**
 * One message as it goes on the socket; the caller owns it. Commands are what vnetd sends; the
 * others are for who plays the data plane.
 *
 * @throws RangeError when a value does not fit its field: a bug of ours
 */
export function encodeMessage(message: DataplaneMessage, sequence: number): Uint8Array {
  const spec: MessageSpec = DATAPLANE_MESSAGES[message.kind];
  const values: Readonly<Record<string, unknown>> = message;
  const writer = new FieldWriter();
  writer.u32(0);
  writer.u16(spec.number);
  writer.u16(0);
  writer.u32(sequence);
  for (const [name, type] of Object.entries(spec.fields)) {
    (FIELD_CODECS[type] as FieldCodec<unknown>).write(writer, values[name]);
  }
  const octets = writer.finish();
  const length = octets.length - LENGTH_FIELD_BYTES;
  if (length > MESSAGE_LENGTH_MAX) {
    throw new RangeError(`A ${message.kind} message of ${length} octets is too long`);
  }
  new DataView(octets.buffer, octets.byteOffset).setUint32(0, length);
  return octets;
}

/** Cuts a stream into messages. Holds what is there of a message that is not whole yet. */
export class MessageReader {
  #pending: Uint8Array = new Uint8Array(0);

  /**
   * The messages that are whole with this chunk, which is the caller's again afterwards.
   *
   * @throws DataplaneProtocolError for a malformed one; those before it in the chunk are lost, and
   *   the reader is of no use then: the connection ends and the next one reads the whole state
   */
  read(chunk: Uint8Array): readonly SequencedMessage[] {
    const joined = new Uint8Array(this.#pending.length + chunk.length);
    joined.set(this.#pending);
    joined.set(chunk, this.#pending.length);
    this.#pending = joined;
    const messages: SequencedMessage[] = [];
    for (let next = this.#take(); next !== null; next = this.#take()) {
      messages.push(next);
    }
    return messages;
  }

  #take(): SequencedMessage | null {
    if (this.#pending.length < LENGTH_FIELD_BYTES) {
      return null;
    }
    const view = new DataView(this.#pending.buffer, this.#pending.byteOffset);
    const length = view.getUint32(0);
    if (length < MESSAGE_LENGTH_MIN || length > MESSAGE_LENGTH_MAX) {
      throw new DataplaneProtocolError(
        `Data plane message: length must be ${MESSAGE_LENGTH_MIN} … ${MESSAGE_LENGTH_MAX}: ${length}`,
      );
    }
    if (this.#pending.length < LENGTH_FIELD_BYTES + length) {
      return null;
    }
    const octets = this.#pending.subarray(0, LENGTH_FIELD_BYTES + length);
    this.#pending = this.#pending.subarray(LENGTH_FIELD_BYTES + length);
    return decodeWhole(octets);
  }
}

function decodeWhole(octets: Uint8Array): SequencedMessage {
  const view = new DataView(octets.buffer, octets.byteOffset, HEADER_BYTES);
  const number = view.getUint16(4);
  const kind = KINDS_BY_NUMBER.get(number);
  if (kind === undefined || view.getUint16(6) !== 0) {
    throw new DataplaneProtocolError(
      `Data plane message: no such type: ${number}, reserved ${view.getUint16(6)}`,
    );
  }
  const message = decodeBody(kind, octets.subarray(HEADER_BYTES));
  return { message, sequence: view.getUint32(8) };
}

function decodeBody(kind: DataplaneMessage["kind"], body: Uint8Array): DataplaneMessage {
  const spec: MessageSpec = DATAPLANE_MESSAGES[kind];
  const reader = new FieldReader(body);
  try {
    const fields = Object.entries(spec.fields).map(([name, type]): [string, unknown] => [
      name,
      FIELD_CODECS[type].read(reader),
    ]);
    reader.finish();
    // The table and the type are generated from one source.
    return { kind, ...Object.fromEntries(fields) } as DataplaneMessage;
  } catch (error) {
    if (error instanceof RangeError) {
      throw new DataplaneProtocolError(`Data plane message ${kind}: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

function readFlag(reader: FieldReader): boolean {
  const octet = reader.u8();
  if (octet > 1) {
    throw new RangeError(`a flag is 0 or 1: ${octet}`);
  }
  return octet === 1;
}

function writeAddress(writer: FieldWriter, address: IpAddress | null): void {
  const octets = address === null ? new Uint8Array(0) : encodeIpAddress(address);
  const family =
    address === null ? FAMILY_NONE : ipFamily(address) === 4 ? FAMILY_IPV4 : FAMILY_IPV6;
  writer.u8(family);
  writer.octets(octets);
  writer.octets(new Uint8Array(IPV6_BYTES - octets.length));
}

/** There is one form of each address: IPv4 followed by zeros, not IPv4-mapped, none all zero. */
function readAddress(reader: FieldReader): IpAddress | null {
  const family = reader.u8();
  const octets = reader.octets(IPV6_BYTES);
  const usedBytes = ADDRESS_BYTES.get(family);
  if (usedBytes === undefined) {
    throw new RangeError(`an address has family 0, 2 or 10: ${family}`);
  }
  if (octets.subarray(usedBytes).some((octet) => octet !== 0)) {
    throw new RangeError(`an address of family ${family} is followed by zeros`);
  }
  if (family === FAMILY_NONE) {
    return null;
  }
  const address = decodeIpAddress(octets.subarray(0, usedBytes));
  if (family === FAMILY_IPV6 && ipFamily(address) !== 6) {
    throw new RangeError(`an IPv4 address stands with family 2: ${address}`);
  }
  return address;
}

function readListedAddress(reader: FieldReader): IpAddress {
  const address = readAddress(reader);
  if (address === null) {
    throw new RangeError("a list of addresses has none with family 0");
  }
  return address;
}

function writeEndpoint(writer: FieldWriter, endpoint: Endpoint | null): void {
  writeAddress(writer, endpoint?.address ?? null);
  writer.u16(endpoint?.udpPort ?? 0);
}

function readEndpoint(reader: FieldReader): Endpoint | null {
  const address = readAddress(reader);
  const udpPort = reader.u16();
  if (address === null && udpPort !== 0) {
    throw new RangeError(`no endpoint has no port: ${udpPort}`);
  }
  return address === null ? null : { address, udpPort };
}

function writeName(writer: FieldWriter, name: string): void {
  const octets = new TextEncoder().encode(name);
  if (octets.length > INTERFACE_NAME_BYTES_MAX || octets.includes(0)) {
    throw new RangeError(`not an interface name: ${JSON.stringify(name)}`);
  }
  writer.u8(octets.length);
  writer.octets(octets);
}

function readName(reader: FieldReader): string {
  const length = reader.u8();
  const octets = reader.octets(length);
  if (length > INTERFACE_NAME_BYTES_MAX || octets.includes(0)) {
    throw new RangeError(`not an interface name of at most 15 octets: ${length}`);
  }
  const name = UTF8.decode(octets);
  // Names come from vnetd: one that is no UTF-8 is another one by the time it is back.
  if (name.includes("\u{FFFD}")) {
    throw new RangeError(`not an interface name in UTF-8: ${JSON.stringify(name)}`);
  }
  return name;
}

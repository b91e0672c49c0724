/**
 * Replies from the wire: OpenFlow 1.4 §7.3 to §7.5, Nicira's packet-in. Never throws: octets that
 * are no message of ours are an outcome.
 */
import { decodeFlowStats, decodeFlowUpdates } from "./flow-codec.ts";
import {
  HEADER_OCTETS,
  type PacketIn,
  type PortChange,
  type Received,
  type Reply,
  TYPE_ECHO_REPLY,
  TYPE_ECHO_REQUEST,
  TYPE_ERROR,
  TYPE_EXPERIMENTER,
  TYPE_HELLO,
} from "./message.ts";
import { OctetReader } from "./octets.ts";
import { decodeFrameFields } from "./oxm.ts";
import type { SwitchError } from "./switch-error.ts";

const TYPE_FEATURES_REPLY = 6;
const TYPE_GET_CONFIG_REPLY = 8;
const TYPE_PORT_STATUS = 12;
const TYPE_MULTIPART_REPLY = 19;
const TYPE_BARRIER_REPLY = 21;
const TYPE_BUNDLE_CONTROL = 33;

const HELLO_VERSION_BITMAP = 1;
const VERSION_MAX = 31;

const ERROR_EXPERIMENTER = 0xffff;

const MULTIPART_FLOW = 1;
const MULTIPART_FLOW_MONITOR = 16;
const MULTIPART_MORE = 1;

const BUNDLE_REPLIES = { 1: "open", 5: "commit", 7: "discard" } as const;

const PORT_CHANGES = ["added", "deleted", "modified"] as const;
const PORT_NAME_OCTETS = 16;

const EXPERIMENTER_NICIRA = 0x2320;
const NICIRA_PACKET_IN2 = 30;
const PACKET_IN_FRAME = 0;
const PACKET_IN_FRAME_BYTES = 1;
const PACKET_IN_TABLE = 3;
const PACKET_IN_COOKIE = 4;
const PACKET_IN_FIELDS = 6;
const PACKET_IN_USERDATA = 7;

/** @param message one message with its header, as `MessageSplitter` gives it */
export function decodeMessage(message: Uint8Array): Received {
  const header = new OctetReader(message);
  const version = header.u8();
  const type = header.u8();
  header.skip(2);
  const xid = header.u32();
  const body = message.subarray(HEADER_OCTETS);
  const reply = decodeBody(type, body, version);
  const why = `message of type ${type} is shorter than it says, or longer than it may be`;
  return { version, xid, reply: reply ?? { kind: "malformed", why } };
}

/** The reply, or null when the body is not what it should be. */
function decodeBody(type: number, body: Uint8Array, version: number): Reply | null {
  const reader = new OctetReader(body);
  switch (type) {
    case TYPE_HELLO:
      return decodeHello(reader, version);
    case TYPE_ERROR:
      return decodeError(reader);
    case TYPE_ECHO_REQUEST:
      return { kind: "echo-request", data: body };
    case TYPE_ECHO_REPLY:
      return { kind: "echo-reply" };
    case TYPE_EXPERIMENTER:
      return decodeExperimenter(reader);
    case TYPE_FEATURES_REPLY: {
      const datapathId = reader.u64();
      reader.skip(4);
      const tableCount = reader.u8();
      return reader.overrun ? null : { kind: "features-reply", datapathId, tableCount };
    }
    case TYPE_GET_CONFIG_REPLY: {
      reader.skip(2);
      const missSendBytes = reader.u16();
      return reader.overrun ? null : { kind: "get-config-reply", missSendBytes };
    }
    case TYPE_PORT_STATUS:
      return decodePortStatus(reader);
    case TYPE_MULTIPART_REPLY:
      return decodeMultipart(reader);
    case TYPE_BARRIER_REPLY:
      return { kind: "barrier-reply" };
    case TYPE_BUNDLE_CONTROL:
      return decodeBundleReply(reader);
    default:
      return { kind: "other", type };
  }
}

/** Without a bitmap it speaks its header's version and all before it (§6.3.1). */
function decodeHello(reader: OctetReader, version: number): Reply | null {
  while (reader.remaining >= 4) {
    const type = reader.u16();
    const length = reader.u16();
    const element = new OctetReader(reader.bytes(length - 4));
    reader.skip(Math.min(reader.remaining, (8 - (length % 8)) % 8));
    if (reader.overrun) {
      return null;
    }
    if (type === HELLO_VERSION_BITMAP && element.remaining >= 4) {
      const bits = element.u32();
      const versions = upTo(VERSION_MAX).filter((number) => (bits & (1 << number)) !== 0);
      return { kind: "hello", versions };
    }
  }
  return { kind: "hello", versions: upTo(version) };
}

function upTo(version: number): number[] {
  return Array.from({ length: version }, (_, index) => index + 1);
}

function decodeError(reader: OctetReader): Reply | null {
  const type = reader.u16();
  const code = reader.u16();
  const experimenter = type === ERROR_EXPERIMENTER ? reader.u32() : null;
  if (reader.overrun) {
    return null;
  }
  const error: SwitchError = { type, code, experimenter, data: reader.rest() };
  return { kind: "error", error };
}

function decodePortStatus(reader: OctetReader): Reply | null {
  const change = PORT_CHANGES[reader.u8()];
  reader.skip(7);
  const ofport = reader.u32();
  // Length, padding, hardware address, padding.
  reader.skip(2 + 2 + 6 + 2);
  const name = decodeName(reader.bytes(PORT_NAME_OCTETS));
  if (reader.overrun || change === undefined) {
    return null;
  }
  const port: PortChange = { change, ofport, name };
  return { kind: "port-status", change: port };
}

/** Latin-1 up to the first zero. */
function decodeName(octets: Uint8Array): string {
  const end = octets.indexOf(0);
  return String.fromCharCode(...octets.subarray(0, end === -1 ? octets.length : end));
}

function decodeMultipart(reader: OctetReader): Reply | null {
  const type = reader.u16();
  const more = (reader.u16() & MULTIPART_MORE) !== 0;
  reader.skip(4);
  if (reader.overrun) {
    return null;
  }
  if (type === MULTIPART_FLOW) {
    const flows = decodeFlowStats(reader.rest());
    return flows === null ? null : { kind: "flow-stats", flows, more };
  }
  if (type === MULTIPART_FLOW_MONITOR) {
    const updates = decodeFlowUpdates(reader.rest());
    return updates === null ? null : { kind: "flow-monitor", updates, more };
  }
  return { kind: "other", type: TYPE_MULTIPART_REPLY };
}

function decodeBundleReply(reader: OctetReader): Reply | null {
  const bundleId = reader.u32();
  const command = BUNDLE_REPLIES[reader.u16() as keyof typeof BUNDLE_REPLIES];
  if (reader.overrun || command === undefined) {
    return null;
  }
  return { kind: "bundle-reply", bundleId, command };
}

function decodeExperimenter(reader: OctetReader): Reply | null {
  const experimenter = reader.u32();
  const subtype = reader.u32();
  if (reader.overrun) {
    return null;
  }
  if (experimenter !== EXPERIMENTER_NICIRA || subtype !== NICIRA_PACKET_IN2) {
    return { kind: "other", type: TYPE_EXPERIMENTER };
  }
  const packetIn = decodePacketIn(reader);
  return packetIn === null ? null : { kind: "packet-in", packetIn };
}

/** Properties of type, length without padding, and value. Unknown ones say nothing to us. */
function decodePacketIn(reader: OctetReader): PacketIn | null {
  const values = new Map<number, Uint8Array>();
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    values.set(type, reader.bytes(length - 4));
    reader.skip((8 - (length % 8)) % 8);
    if (reader.overrun) {
      return null;
    }
  }
  const value = (type: number): Uint8Array => values.get(type) ?? new Uint8Array(0);
  const frame = value(PACKET_IN_FRAME);
  // Sent only when the frame was cut.
  const whole = values.has(PACKET_IN_FRAME_BYTES)
    ? new OctetReader(value(PACKET_IN_FRAME_BYTES)).u32()
    : frame.length;
  return {
    ...decodeFrameFields(value(PACKET_IN_FIELDS)),
    table: value(PACKET_IN_TABLE)[0] ?? 0,
    cookie: decodeCookie(value(PACKET_IN_COOKIE)),
    userdata: Array.from(value(PACKET_IN_USERDATA), hexOctet).join(""),
    frame,
    frameBytes: whole,
  };
}

/** After padding to its alignment. */
function decodeCookie(octets: Uint8Array): bigint {
  return new OctetReader(octets.subarray(-8)).u64();
}

function hexOctet(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

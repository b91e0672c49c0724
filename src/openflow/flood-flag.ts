/**
 * Keeping NORMAL's floods out of ports. Only OpenFlow 1.0 knows that flag of a port (1.0 §5.2.1,
 * OFPPC_NO_FLOOD): in the port-mods of later versions a switch passes over it without an error.
 */
import { decodeMacAddress, encodeMacAddress, type MacAddress } from "../net/mac-address.ts";
import { writeMessage } from "./encode-message.ts";
import { HEADER_OCTETS, OPENFLOW_10, TYPE_ECHO_REPLY, TYPE_EXPERIMENTER } from "./message.ts";
import { OctetReader, OctetWriter } from "./octets.ts";

export const TYPE_PORT_STATUS_10 = 12;
const TYPE_PORT_MOD = 15;
const TYPE_STATS_REQUEST = 16;
export const TYPE_STATS_REPLY_10 = 17;
const TYPE_BARRIER_REQUEST = 18;
export const TYPE_BARRIER_REPLY_10 = 19;

/** Of OpenFlow 1.3; Open vSwitch answers it in 1.0 too, for there may be more ports than a features reply holds. */
const STATS_PORT_DESCRIPTIONS = 13;
const STATS_MORE = 1;

const EXPERIMENTER_NICIRA = 0x2320;
const NICIRA_SET_ASYNC_CONFIG = 19;
/** Ports that were added, deleted or modified. */
const ALL_PORT_CHANGES = 0b111;

const PORT_OCTETS = 48;
/** A port's number has 16 bits in this version; those from here on have a meaning. */
const PORT_RESERVED_MIN = 0xff00;
const PORT_RESERVED_WIDE = 0xffff_0000;
const PORT_DELETED = 1;
const PORT_NAME_OCTETS = 16;
const FLAG_NO_FLOOD = 1 << 4;

export type FloodPort = {
  /** As in later versions: the bridge's own port is `LOCAL_PORT`. */
  readonly ofport: number;
  /** A port-mod must name it. */
  readonly mac: MacAddress;
  readonly noFlood: boolean;
};

export type FloodPortList = { readonly ports: readonly FloodPort[]; readonly more: boolean };

/** The question for all ports. */
export function encodePortListRequest(xid: number): Uint8Array {
  const writer = new OctetWriter();
  writeMessage(writer, { version: OPENFLOW_10, type: TYPE_STATS_REQUEST, xid }, () => {
    writer.u16(STATS_PORT_DESCRIPTIONS);
    writer.u16(0);
  });
  return writer.finish();
}

/** One part of the answer, a message with its header; null when it is malformed. */
export function decodePortList(message: Uint8Array): FloodPortList | null {
  const reader = new OctetReader(message.subarray(HEADER_OCTETS));
  const type = reader.u16();
  const more = (reader.u16() & STATS_MORE) !== 0;
  const ports: FloodPort[] = [];
  while (reader.remaining > 0) {
    const port = readPort(reader);
    if (port === null) {
      return null;
    }
    ports.push(port);
  }
  return reader.overrun || type !== STATS_PORT_DESCRIPTIONS ? null : { ports, more };
}

/** The port of a port-status message, as it is now; null when it was deleted, or is malformed. */
export function decodePortStatus(message: Uint8Array): FloodPort | null {
  const reader = new OctetReader(message.subarray(HEADER_OCTETS));
  const reason = reader.u8();
  reader.skip(7);
  return reason === PORT_DELETED ? null : readPort(reader);
}

function readPort(reader: OctetReader): FloodPort | null {
  const port = new OctetReader(reader.bytes(PORT_OCTETS));
  if (reader.overrun) {
    return null;
  }
  const number = port.u16();
  const ofport = number < PORT_RESERVED_MIN ? number : PORT_RESERVED_WIDE + number;
  const mac = decodeMacAddress(port.bytes(6));
  port.skip(PORT_NAME_OCTETS);
  return { ofport, mac, noFlood: (port.u32() & FLAG_NO_FLOOD) !== 0 };
}

/**
 * Changes of ports shall be told to this connection, whatever its role, and nothing else: above all
 * no frames, which go to another one. The message is Open vSwitch's, from the times of OpenFlow 1.0.
 */
export function encodeWatchPorts(xid: number): Uint8Array {
  const writer = new OctetWriter();
  writeMessage(writer, { version: OPENFLOW_10, type: TYPE_EXPERIMENTER, xid }, () => {
    writer.u32(EXPERIMENTER_NICIRA);
    writer.u32(NICIRA_SET_ASYNC_CONFIG);
    for (const events of [0, ALL_PORT_CHANGES, 0]) {
      // As one of several controllers with a role, and as any other.
      writer.u32(events);
      writer.u32(events);
    }
  });
  const barrier = { version: OPENFLOW_10, type: TYPE_BARRIER_REQUEST, xid };
  writeMessage(writer, barrier, () => {});
  return writer.finish();
}

/** @param request a whole echo request */
export function encodeEchoReply(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply[1] = TYPE_ECHO_REPLY;
  return reply;
}

/**
 * A switch has a flag at once but floods by it from its next round on, and ovs-vswitchd takes at
 * most 50 messages of a connection in one round: the reply to the last of these comes from a later.
 */
export const FLOOD_FLAG_BARRIERS = 60;

/** Makes the flag of the port so. */
export function encodeFloodFlag(port: FloodPort, xid: number): Uint8Array {
  const writer = new OctetWriter();
  writePortMod(writer, port, xid);
  return writer.finish();
}

/** Makes the flags of these ports so, and asks for barriers: errors come before their replies. */
export function encodeFloodFlags(ports: readonly FloodPort[], xid: number): Uint8Array {
  const writer = new OctetWriter();
  for (const port of ports) {
    writePortMod(writer, port, xid);
  }
  const barrier = { version: OPENFLOW_10, type: TYPE_BARRIER_REQUEST, xid };
  for (let count = 0; count < FLOOD_FLAG_BARRIERS; count += 1) {
    writeMessage(writer, barrier, () => {});
  }
  return writer.finish();
}

function writePortMod(writer: OctetWriter, { ofport, mac, noFlood }: FloodPort, xid: number): void {
  writeMessage(writer, { version: OPENFLOW_10, type: TYPE_PORT_MOD, xid }, () => {
    writer.u16(ofport & 0xffff);
    writer.bytes(encodeMacAddress(mac));
    writer.u32(noFlood ? FLAG_NO_FLOOD : 0);
    writer.u32(FLAG_NO_FLOOD);
    // What the port advertises stays; padding.
    writer.zeros(4 + 4);
  });
}

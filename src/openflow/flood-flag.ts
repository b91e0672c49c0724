/**
 * Keeping NORMAL's floods out of ports. Only OpenFlow 1.0 knows that flag of a port (1.0 §5.2.1,
 * OFPPC_NO_FLOOD): in the port-mods of later versions a switch passes over it without an error.
 */
import { decodeMacAddress, encodeMacAddress, type MacAddress } from "../net/mac-address.ts";
import { writeMessage } from "./encode-message.ts";
import { HEADER_OCTETS, OPENFLOW_10 } from "./message.ts";
import { OctetReader, OctetWriter } from "./octets.ts";

const TYPE_PORT_MOD = 15;
const TYPE_STATS_REQUEST = 16;
export const TYPE_STATS_REPLY_10 = 17;
const TYPE_BARRIER_REQUEST = 18;
export const TYPE_BARRIER_REPLY_10 = 19;

/** Of OpenFlow 1.3; Open vSwitch answers it in 1.0 too, for there may be more ports than a features reply holds. */
const STATS_PORT_DESCRIPTIONS = 13;
const STATS_MORE = 1;

const PORT_OCTETS = 48;
const PORT_NAME_OCTETS = 16;
const FLAG_NO_FLOOD = 1 << 4;

export type FloodPort = {
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
    const port = new OctetReader(reader.bytes(PORT_OCTETS));
    if (reader.overrun) {
      return null;
    }
    const ofport = port.u16();
    const mac = decodeMacAddress(port.bytes(6));
    port.skip(PORT_NAME_OCTETS);
    ports.push({ ofport, mac, noFlood: (port.u32() & FLAG_NO_FLOOD) !== 0 });
  }
  return reader.overrun || type !== STATS_PORT_DESCRIPTIONS ? null : { ports, more };
}

/** Sets the flag of these ports and asks for a barrier, so that errors come before its reply. */
export function encodeNoFlood(ports: readonly FloodPort[], xid: number): Uint8Array {
  const writer = new OctetWriter();
  for (const { ofport, mac } of ports) {
    writeMessage(writer, { version: OPENFLOW_10, type: TYPE_PORT_MOD, xid }, () => {
      writer.u16(ofport);
      writer.bytes(encodeMacAddress(mac));
      writer.u32(FLAG_NO_FLOOD);
      writer.u32(FLAG_NO_FLOOD);
      // What the port advertises stays; padding.
      writer.zeros(4 + 4);
    });
  }
  const barrier = { version: OPENFLOW_10, type: TYPE_BARRIER_REQUEST, xid };
  writeMessage(writer, barrier, () => {});
  return writer.finish();
}

/** Requests on the wire: OpenFlow 1.4 §7.3, the Nicira extension for the form of packet-ins. */

import type { FlowMod } from "./flow.ts";
import { writeFlowMod, writeFlowStatsRequest } from "./flow-codec.ts";
import {
  OPENFLOW_14,
  type Request,
  TYPE_ECHO_REPLY,
  TYPE_ECHO_REQUEST,
  TYPE_EXPERIMENTER,
  TYPE_HELLO,
} from "./message.ts";
import { OctetWriter } from "./octets.ts";
import { writeMatch } from "./oxm.ts";

const TYPE_FEATURES_REQUEST = 5;
const TYPE_GET_CONFIG_REQUEST = 7;
const TYPE_SET_CONFIG = 9;
/**
 * Nicira's extension of ofp_config_flags (§7.3.2): `nw_frag` can be matched, and the first fragment
 * of a packet has its ports. Else all fragments have ports of zero, and what a rogue DHCP server
 * sends in fragments cannot be told from what is harmless.
 */
const FRAGMENTS_NICIRA_MATCH = 3;
const TYPE_FLOW_MOD = 14;
const TYPE_MULTIPART_REQUEST = 18;
const TYPE_BARRIER_REQUEST = 20;
const TYPE_BUNDLE_CONTROL = 33;
const TYPE_BUNDLE_ADD = 34;

const HELLO_VERSION_BITMAP = 1;
const HELLO_ELEMENT_OCTETS = 8;

const MULTIPART_FLOW = 1;
const MULTIPART_FLOW_MONITOR = 16;

const EXPERIMENTER_NICIRA = 0x2320;
const NICIRA_SET_PACKET_IN_FORMAT = 16;
const PACKET_IN_FORMAT_2 = 2;

const BUNDLE_COMMANDS = { open: 0, commit: 4, discard: 6 } as const;
/** All or nothing, in the order of the additions (§7.3.9.2). */
const BUNDLE_ATOMIC_AND_ORDERED = 3;

const MONITOR_ADDED = 1 << 1;
const MONITOR_REMOVED = 1 << 2;
const MONITOR_MODIFIED = 1 << 3;
const ANY = 0xffff_ffff;
const ALL_TABLES = 0xff;
const COMMAND_ADD = 0;

export type NumberedRequest = { readonly xid: number; readonly request: Request };

/** The messages, one after the other. Flows in them must have passed check-flow.ts. */
export function encodeRequests(requests: readonly NumberedRequest[]): Uint8Array {
  const writer = new OctetWriter();
  for (const { xid, request } of requests) {
    writeRequest(writer, xid, request);
  }
  return writer.finish();
}

/** A hello that offers one version. */
export function encodeHello(version: number, xid: number): Uint8Array {
  const writer = new OctetWriter();
  writeMessage(writer, { version, type: TYPE_HELLO, xid }, () => {
    writer.u16(HELLO_VERSION_BITMAP);
    writer.u16(HELLO_ELEMENT_OCTETS);
    writer.u32(1 << version);
  });
  return writer.finish();
}

export type MessageHeader = {
  readonly version: number;
  readonly type: number;
  readonly xid: number;
};

/** Writes a header, the body, and then the length into the header. */
export function writeMessage(
  writer: OctetWriter,
  { version, type, xid }: MessageHeader,
  writeBody: () => void,
): void {
  const start = writer.length;
  writer.u8(version);
  writer.u8(type);
  writer.u16(0);
  writer.u32(xid);
  writeBody();
  writer.patchLength(start + 2, start);
}

function writeRequest(writer: OctetWriter, xid: number, request: Request): void {
  const put = (type: number, writeBody: () => void): void =>
    writeMessage(writer, { version: OPENFLOW_14, type, xid }, writeBody);
  const nothing = (): void => {};
  switch (request.kind) {
    case "echo-request":
      put(TYPE_ECHO_REQUEST, nothing);
      return;
    case "echo-reply":
      put(TYPE_ECHO_REPLY, () => writer.bytes(request.data));
      return;
    case "features-request":
      put(TYPE_FEATURES_REQUEST, nothing);
      return;
    case "get-config-request":
      put(TYPE_GET_CONFIG_REQUEST, nothing);
      return;
    case "set-config":
      put(TYPE_SET_CONFIG, () => writeConfig(writer, request.missSendBytes));
      return;
    case "set-packet-in-format":
      put(TYPE_EXPERIMENTER, () => writePacketInFormat(writer));
      return;
    case "barrier-request":
      put(TYPE_BARRIER_REQUEST, nothing);
      return;
    case "flow-mod":
      put(TYPE_FLOW_MOD, () => writeFlowMod(writer, request.mod));
      return;
    case "bundle-control":
      put(TYPE_BUNDLE_CONTROL, () => writeBundleControl(writer, request));
      return;
    case "bundle-add":
      put(TYPE_BUNDLE_ADD, () => writeBundleAdd(writer, { ...request, xid }));
      return;
    case "flow-stats-request":
      put(TYPE_MULTIPART_REQUEST, () => {
        writeMultipartHeader(writer, MULTIPART_FLOW);
        writeFlowStatsRequest(writer, request.owner);
      });
      return;
    case "flow-monitor-request":
      put(TYPE_MULTIPART_REQUEST, () => writeMonitor(writer));
      return;
  }
}

function writeConfig(writer: OctetWriter, missSendBytes: number): void {
  writer.u16(FRAGMENTS_NICIRA_MATCH);
  writer.u16(missSendBytes);
}

function writePacketInFormat(writer: OctetWriter): void {
  writer.u32(EXPERIMENTER_NICIRA);
  writer.u32(NICIRA_SET_PACKET_IN_FORMAT);
  writer.u32(PACKET_IN_FORMAT_2);
}

type BundleControl = Extract<Request, { kind: "bundle-control" }>;

function writeBundleControl(writer: OctetWriter, { bundleId, command }: BundleControl): void {
  writer.u32(bundleId);
  writer.u16(BUNDLE_COMMANDS[command]);
  writer.u16(BUNDLE_ATOMIC_AND_ORDERED);
}

type BundleAdd = { readonly bundleId: number; readonly mod: FlowMod; readonly xid: number };

/** The message inside has the xid of the one around it (§7.3.9.4). */
function writeBundleAdd(writer: OctetWriter, { bundleId, mod, xid }: BundleAdd): void {
  writer.u32(bundleId);
  writer.zeros(2);
  writer.u16(BUNDLE_ATOMIC_AND_ORDERED);
  writeMessage(writer, { version: OPENFLOW_14, type: TYPE_FLOW_MOD, xid }, () =>
    writeFlowMod(writer, mod),
  );
}

function writeMultipartHeader(writer: OctetWriter, type: number): void {
  writer.u16(type);
  // This is the last part; padding.
  writer.zeros(2 + 4);
}

/**
 * A monitor of all flows, from now on. Without the flag "no abbreviations", changes of this
 * connection come as nothing but their xid (§7.3.5.17).
 */
function writeMonitor(writer: OctetWriter): void {
  writeMultipartHeader(writer, MULTIPART_FLOW_MONITOR);
  // The monitor's number; any port, any group.
  writer.u32(0);
  writer.u32(ANY);
  writer.u32(ANY);
  writer.u16(MONITOR_ADDED | MONITOR_REMOVED | MONITOR_MODIFIED);
  writer.u8(ALL_TABLES);
  writer.u8(COMMAND_ADD);
  writeMatch(writer, {});
}

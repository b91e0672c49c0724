/**
 * Flows on the wire: flow-mods (OpenFlow 1.4 §7.3.4.1), what a switch lists (§7.3.5.2) and what its
 * flow monitor tells (§7.3.5.17). The functions write and read bodies, without the message header.
 */
import { decodeInstructions, writeInstructions } from "./action-codec.ts";
import type { CookieMask, FlowCounters, FlowMod, InstalledFlow } from "./flow.ts";
import type { Match } from "./match.ts";
import { OctetReader, type OctetWriter } from "./octets.ts";
import { decodeMatch, takeMatch, writeMatch } from "./oxm.ts";

const COMMAND_ADD = 0;
const COMMAND_DELETE = 3;
const COMMAND_DELETE_STRICT = 4;

const ANY = 0xffff_ffff;
const ALL_TABLES = 0xff;
/** Of no meaning in a deletion that is not strict. */
const PRIORITY_DEFAULT = 0x8000;
const COOKIE_EXACT = 0xffff_ffff_ffff_ffffn;

const STATS_ENTRY_OCTETS_MIN = 56;
const UPDATE_HEADER_OCTETS = 4;

export type ListedFlow = { readonly installed: InstalledFlow; readonly counters: FlowCounters };

/**
 * What a flow monitor tells. `added`, `removed`, `modified`: someone else did it. `own`: a message
 * of this connection did, the one with this xid. `gap`: changes were left out, look at everything.
 */
export type FlowUpdate =
  | { readonly kind: "added" | "removed" | "modified"; readonly flow: ChangedFlow }
  | { readonly kind: "own"; readonly xid: number }
  | { readonly kind: "gap" };

/** A flow as it is now, or was when it was removed; what it does is not told. */
export type ChangedFlow = {
  readonly cookie: bigint;
  readonly table: number;
  readonly priority: number;
  /** Null when it has something that `Match` cannot say. */
  readonly match: Match | null;
};

export function writeFlowMod(writer: OctetWriter, mod: FlowMod): void {
  switch (mod.kind) {
    case "add": {
      const { cookie, table, priority, match, actions } = mod.flow;
      writeModHeader(writer, { cookie, mask: 0n, table, command: COMMAND_ADD, priority });
      writeMatch(writer, match);
      writeInstructions(writer, actions);
      return;
    }
    case "delete-strict": {
      const { cookie, table, priority } = mod.flow.flow;
      const command = COMMAND_DELETE_STRICT;
      writeModHeader(writer, { cookie, mask: COOKIE_EXACT, table, command, priority });
      writeInstalledMatch(writer, mod.flow);
      return;
    }
    case "delete-owned": {
      const { cookie, mask } = mod.owner;
      const command = COMMAND_DELETE;
      const priority = PRIORITY_DEFAULT;
      writeModHeader(writer, { cookie, mask, table: ALL_TABLES, command, priority });
      writeMatch(writer, {});
      return;
    }
  }
}

/** The body of a request for the flows of an owner. */
export function writeFlowStatsRequest(writer: OctetWriter, { cookie, mask }: CookieMask): void {
  writer.u8(ALL_TABLES);
  writer.zeros(3);
  writer.u32(ANY);
  writer.u32(ANY);
  writer.zeros(4);
  writer.u64(cookie & mask);
  writer.u64(mask);
  writeMatch(writer, {});
}

/** The flows of one part of a listing, or null when it is malformed. */
export function decodeFlowStats(octets: Uint8Array): readonly ListedFlow[] | null {
  const reader = new OctetReader(octets);
  const flows: ListedFlow[] = [];
  while (reader.remaining > 0) {
    const length = reader.u16();
    const flow = length < STATS_ENTRY_OCTETS_MIN ? null : decodeListed(reader.bytes(length - 2));
    if (flow === null || reader.overrun) {
      return null;
    }
    flows.push(flow);
  }
  return flows;
}

/** The updates of one message, or null when it is malformed. */
export function decodeFlowUpdates(octets: Uint8Array): readonly FlowUpdate[] | null {
  const reader = new OctetReader(octets);
  const updates: FlowUpdate[] = [];
  while (reader.remaining > 0) {
    const length = reader.u16();
    const event = reader.u16();
    const body = new OctetReader(reader.bytes(length - UPDATE_HEADER_OCTETS));
    const update = reader.overrun ? null : decodeUpdate(event, body);
    if (update === null || body.overrun) {
      return null;
    }
    updates.push(update);
  }
  return updates;
}

type ModHeader = {
  readonly cookie: bigint;
  readonly mask: bigint;
  readonly table: number;
  readonly command: number;
  readonly priority: number;
};

function writeModHeader(writer: OctetWriter, header: ModHeader): void {
  writer.u64(header.cookie);
  writer.u64(header.mask);
  writer.u8(header.table);
  writer.u8(header.command);
  // No timeouts.
  writer.zeros(4);
  writer.u16(header.priority);
  // No buffered frame; any port, any group.
  writer.u32(ANY);
  writer.u32(ANY);
  writer.u32(ANY);
  // No flags, no importance.
  writer.zeros(4);
}

function writeInstalledMatch(writer: OctetWriter, { kind, flow }: InstalledFlow): void {
  if (kind === "known") {
    writeMatch(writer, flow.match);
  } else {
    writer.bytes(flow.matchOctets);
  }
}

function decodeListed(octets: Uint8Array): ListedFlow | null {
  const reader = new OctetReader(octets);
  const table = reader.u8();
  reader.skip(1 + 8);
  const priority = reader.u16();
  const timeouts = reader.u32();
  const flags = reader.u16();
  reader.skip(2 + 2);
  const cookie = reader.u64();
  const counters = { packetCount: reader.u64(), octetCount: reader.u64() };
  const matchOctets = takeMatch(reader);
  if (matchOctets === null || reader.overrun) {
    return null;
  }
  const actions = decodeInstructions(reader.rest());
  // A flow that goes by itself or reports its end is none of ours, whatever else it says.
  const match = timeouts === 0 && flags === 0 ? decodeMatch(matchOctets) : null;
  if (match === null || actions === null) {
    const flow = { cookie, table, priority, matchOctets };
    return { installed: { kind: "unknown", flow }, counters };
  }
  const flow = { cookie, table, priority, match, actions };
  return { installed: { kind: "known", flow }, counters };
}

const UPDATE_KINDS = ["added", "added", "removed", "modified"] as const;
const UPDATE_ABBREVIATED = 4;
const UPDATE_PAUSED = 5;
const UPDATE_RESUMED = 6;

function decodeUpdate(event: number, body: OctetReader): FlowUpdate | null {
  if (event === UPDATE_ABBREVIATED) {
    return { kind: "own", xid: body.u32() };
  }
  if (event === UPDATE_PAUSED || event === UPDATE_RESUMED) {
    return { kind: "gap" };
  }
  const kind = UPDATE_KINDS[event];
  const table = body.u8();
  body.skip(1 + 4);
  const priority = body.u16();
  body.skip(4);
  const cookie = body.u64();
  const matchOctets = takeMatch(body);
  if (kind === undefined || matchOctets === null) {
    return null;
  }
  return { kind, flow: { cookie, table, priority, match: decodeMatch(matchOctets) } };
}

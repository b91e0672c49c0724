/**
 * Actions on the wire: OpenFlow 1.4 §7.2.4 and Nicira's extensions (experimenter 0x2320), each
 * with a header of type and length, a multiple of 8 octets. A flow has them in one apply-actions
 * instruction (§7.2.5); a flow without actions has no instruction.
 */
import type { Action } from "./action.ts";
import type { RegisterNumber } from "./match.ts";
import { OctetReader, type OctetWriter } from "./octets.ts";
import { registerHeader, registerOfHeader } from "./oxm.ts";

const INSTRUCTION_APPLY_ACTIONS = 4;
const INSTRUCTION_HEADER_OCTETS = 8;
const ACTION_HEADER_OCTETS = 4;

const ACTION_OUTPUT = 0;
const ACTION_PUSH_VLAN = 17;
const ACTION_POP_VLAN = 18;
const ACTION_SET_FIELD = 25;
const ACTION_EXPERIMENTER = 0xffff;
const EXPERIMENTER_NICIRA = 0x2320;

const NICIRA_REG_LOAD = 7;
const NICIRA_RESUBMIT_TABLE = 14;
const NICIRA_OUTPUT_REG = 15;
const NICIRA_CONJUNCTION = 34;
const NICIRA_CONTROLLER2 = 37;
const NICIRA_CLONE = 42;

const CONTROLLER_MAX_LENGTH = 0;
const CONTROLLER_USERDATA = 3;
const CONTROLLER_METER_ID = 5;

/** Of customers (IEEE Std 802.1Q). */
const VLAN_TYPE = 0x8100;
/** OXM header of `vlan_vid`, and the bit of its value that says that there is a tag (§7.2.3.8). */
const OXM_VLAN_VID = 0x8000_0c02;
const VLAN_PRESENT = 0x1000;

const PORT_NORMAL = 0xffff_fffa;
const PORT_LOCAL = 0xffff_fffe;
/** From here on port numbers have a meaning (§7.2.1). */
const PORT_RESERVED_MIN = 0xffff_ff00;
/** "The port the frame came in from" of the extension's 16-bit port numbers. */
const IN_PORT_16 = 0xfff8;
const MAX_LENGTH_ALL = 0xffff;

/** Bits 0…31 of a register: `ofs << 6 | (n_bits - 1)`. */
const WHOLE_REGISTER = 31;

/** A clone in a clone in a clone …: a stranger's octets must not exhaust the stack. */
const CLONE_DEPTH_MAX = 8;

/** Writes the instructions of a flow, none when it drops. */
export function writeInstructions(writer: OctetWriter, actions: readonly Action[]): void {
  if (actions.length === 0) {
    return;
  }
  const start = writer.length;
  writer.u16(INSTRUCTION_APPLY_ACTIONS);
  writer.u16(0);
  writer.zeros(4);
  writeActions(writer, actions);
  writer.patchLength(start + 2, start);
}

/** The actions in a flow's instructions, or null when there is something `Action` cannot say. */
export function decodeInstructions(octets: Uint8Array): readonly Action[] | null {
  if (octets.length === 0) {
    return [];
  }
  const reader = new OctetReader(octets);
  const type = reader.u16();
  const length = reader.u16();
  reader.skip(4);
  if (type !== INSTRUCTION_APPLY_ACTIONS || length !== octets.length) {
    return null;
  }
  return decodeActions(octets.subarray(INSTRUCTION_HEADER_OCTETS), 0);
}

function writeActions(writer: OctetWriter, actions: readonly Action[]): void {
  const put = (write: () => void): void => {
    const start = writer.length;
    write();
    writer.padFrom(start);
    writer.patchLength(start + 2, start);
  };
  for (const action of actions) {
    if (action.kind === "push-vlan") {
      put(() => writePushVlan(writer));
      put(() => writeSetVlan(writer, action.vlan));
    } else {
      put(() => writeAction(writer, action));
    }
  }
}

/** A tag, whose number the next action sets. */
function writePushVlan(writer: OctetWriter): void {
  writer.u16(ACTION_PUSH_VLAN);
  writer.u16(0);
  writer.u16(VLAN_TYPE);
}

function writeSetVlan(writer: OctetWriter, vlan: number): void {
  writer.u16(ACTION_SET_FIELD);
  writer.u16(0);
  writer.u32(OXM_VLAN_VID);
  writer.u16(VLAN_PRESENT | vlan);
}

/** The length is patched by the caller, who pads too. */
function writeAction(writer: OctetWriter, action: Exclude<Action, { kind: "push-vlan" }>): void {
  switch (action.kind) {
    case "strip-vlan":
      writer.u16(ACTION_POP_VLAN);
      writer.u16(0);
      return;
    case "normal":
      writeOutput(writer, PORT_NORMAL);
      return;
    case "output":
      writeOutput(writer, action.port);
      return;
    case "resubmit":
      writeNicira(writer, NICIRA_RESUBMIT_TABLE);
      writer.u16(IN_PORT_16);
      writer.u8(action.table);
      return;
    case "load":
      writeNicira(writer, NICIRA_REG_LOAD);
      writer.u16(WHOLE_REGISTER);
      writer.u32(registerHeader(action.register));
      writer.u64(BigInt(action.value));
      return;
    case "output-register":
      writeNicira(writer, NICIRA_OUTPUT_REG);
      writer.u16(WHOLE_REGISTER);
      writer.u32(registerHeader(action.register));
      writer.u16(MAX_LENGTH_ALL);
      return;
    case "conjunction":
      writeNicira(writer, NICIRA_CONJUNCTION);
      writer.u8(action.clause - 1);
      writer.u8(action.clauseCount);
      writer.u32(action.id);
      return;
    case "clone":
      writeNicira(writer, NICIRA_CLONE);
      writer.zeros(6);
      writeActions(writer, action.actions);
      return;
    case "controller":
      writeController(writer, action);
      return;
  }
}

function writeOutput(writer: OctetWriter, port: number): void {
  writer.u16(ACTION_OUTPUT);
  writer.u16(0);
  writer.u32(port);
  // How much of the frame goes to a controller; this port is none.
  writer.u16(0);
}

function writeNicira(writer: OctetWriter, subtype: number): void {
  writer.u16(ACTION_EXPERIMENTER);
  writer.u16(0);
  writer.u32(EXPERIMENTER_NICIRA);
  writer.u16(subtype);
}

type ControllerAction = Extract<Action, { kind: "controller" }>;

function writeController(writer: OctetWriter, action: ControllerAction): void {
  writeNicira(writer, NICIRA_CONTROLLER2);
  writer.zeros(6);
  writeProperty(writer, CONTROLLER_MAX_LENGTH, () => {
    writer.u16(action.maxBytes);
    // Open vSwitch counts this property's padding.
    writer.u16(0);
  });
  writeProperty(writer, CONTROLLER_USERDATA, () => writer.bytes(hexOctets(action.userdata)));
  const { meterId } = action;
  if (meterId !== undefined) {
    writeProperty(writer, CONTROLLER_METER_ID, () => writer.u32(meterId));
  }
}

/** A property's length leaves its padding out. */
function writeProperty(writer: OctetWriter, type: number, writeValue: () => void): void {
  const start = writer.length;
  writer.u16(type);
  writer.u16(0);
  writeValue();
  writer.patchLength(start + 2, start);
  writer.padFrom(start);
}

function decodeActions(octets: Uint8Array, depth: number): readonly Action[] | null {
  const reader = new OctetReader(octets);
  const actions: Action[] = [];
  while (reader.remaining > 0) {
    const { type, body } = readAction(reader);
    const action =
      type === ACTION_PUSH_VLAN
        ? decodePushVlan(body, readAction(reader))
        : decodeAction(type, body, depth);
    if (reader.overrun || action === null || body.overrun) {
      return null;
    }
    actions.push(action);
  }
  return actions;
}

type ReadAction = { readonly type: number; readonly body: OctetReader };

/** Of a length that none has, the type is none either. */
function readAction(reader: OctetReader): ReadAction {
  const type = reader.u16();
  const length = reader.u16();
  const body = new OctetReader(reader.bytes(length - ACTION_HEADER_OCTETS));
  return { type: length % 8 === 0 ? type : -1, body };
}

function decodePushVlan(body: OctetReader, { type, body: next }: ReadAction): Action | null {
  const isTag = body.u16() === VLAN_TYPE && type === ACTION_SET_FIELD;
  const isVlan = isTag && next.u32() === OXM_VLAN_VID;
  const vlan = next.u16();
  return isVlan && (vlan & VLAN_PRESENT) !== 0 && !next.overrun
    ? { kind: "push-vlan", vlan: vlan & 0xfff }
    : null;
}

function decodeAction(type: number, body: OctetReader, depth: number): Action | null {
  switch (type) {
    case ACTION_OUTPUT:
      return outputTo(body.u32());
    case ACTION_POP_VLAN:
      return { kind: "strip-vlan" };
    case ACTION_EXPERIMENTER:
      return body.u32() === EXPERIMENTER_NICIRA ? decodeNicira(body.u16(), body, depth) : null;
    default:
      return null;
  }
}

function outputTo(port: number): Action | null {
  if (port === PORT_NORMAL) {
    return { kind: "normal" };
  }
  return port < PORT_RESERVED_MIN || port === PORT_LOCAL ? { kind: "output", port } : null;
}

function decodeNicira(subtype: number, body: OctetReader, depth: number): Action | null {
  switch (subtype) {
    case NICIRA_RESUBMIT_TABLE:
      return body.u16() === IN_PORT_16 ? { kind: "resubmit", table: body.u8() } : null;
    case NICIRA_REG_LOAD:
      return decodeLoad(body);
    case NICIRA_OUTPUT_REG: {
      const register = decodeRegister(body);
      return register === null ? null : { kind: "output-register", register };
    }
    case NICIRA_CONJUNCTION: {
      const clause = body.u8() + 1;
      const clauseCount = body.u8();
      return { kind: "conjunction", id: body.u32(), clause, clauseCount };
    }
    case NICIRA_CLONE: {
      body.skip(6);
      const actions = depth < CLONE_DEPTH_MAX ? decodeActions(body.rest(), depth + 1) : null;
      return actions === null ? null : { kind: "clone", actions };
    }
    case NICIRA_CONTROLLER2:
      return decodeController(body);
    default:
      return null;
  }
}

function decodeRegister(body: OctetReader): RegisterNumber | null {
  const bits = body.u16();
  const register = registerOfHeader(body.u32());
  return bits === WHOLE_REGISTER ? (register as RegisterNumber | null) : null;
}

function decodeLoad(body: OctetReader): Action | null {
  const register = decodeRegister(body);
  const value = Number(body.u64());
  return register === null || value > 0xffff_ffff ? null : { kind: "load", register, value };
}

function decodeController(body: OctetReader): Action | null {
  body.skip(6);
  let maxBytes: number | null = null;
  let userdata: string | null = null;
  let meterId: number | null = null;
  while (body.remaining > 0) {
    const type = body.u16();
    const length = body.u16();
    const value = new OctetReader(body.bytes(length - 4));
    body.skip((8 - (length % 8)) % 8);
    if (type === CONTROLLER_MAX_LENGTH) {
      maxBytes = value.u16();
    } else if (type === CONTROLLER_USERDATA) {
      userdata = octetsHex(value.rest());
    } else if (type === CONTROLLER_METER_ID) {
      meterId = value.u32();
    } else {
      return null;
    }
    if (value.overrun) {
      return null;
    }
  }
  if (maxBytes === null || userdata === null) {
    return null;
  }
  const action = { kind: "controller", maxBytes, userdata } as const;
  return meterId === null ? action : { ...action, meterId };
}

function hexOctets(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16));
}

function octetsHex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

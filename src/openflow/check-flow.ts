/**
 * Is this a flow that the pipeline allows and the switch will take as it stands? ovs-fields(7) has
 * the prerequisites of each field. A switch would pass over some faults without a word (a resubmit
 * to an empty table, a mask with stray bits), so every flow is held to this before it is sent.
 */
import { type IpAddress, ipFamily } from "../net/ip-address.ts";
import { encodeMacAddress } from "../net/mac-address.ts";
import { type Prefix, prefixLength } from "../net/prefix.ts";
import type { Action } from "./action.ts";
import type { Flow } from "./flow.ts";
import { formatFlow, formatFlowKey } from "./format-flow.ts";
import {
  type IpMatch,
  LOCAL_PORT,
  type MacMatch,
  type Match,
  type MatchField,
  PROTOCOLS,
  type Protocol,
  type RegisterMatch,
} from "./match.ts";
import type { Pipeline, Table } from "./pipeline.ts";

const U8_MAX = 0xff;
const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
/** Above are ports with a meaning of their own. */
const OFPORT_MAX = 0xfeff;
const CONJUNCTION_CLAUSES_MAX = 64;
const VLAN_ID_MAX = 4094;

const TYPE_SOLICITATION = 135;
const TYPE_ADVERTISEMENT = 136;

const IPV4: readonly Protocol[] = ["ip", "icmp", "tcp", "udp", "sctp"];
const IPV6: readonly Protocol[] = ["ipv6", "icmp6", "tcp6", "udp6", "sctp6"];
const ARP: readonly Protocol[] = ["arp", "rarp"];
const IP: readonly Protocol[] = [...IPV4, ...IPV6];
const PORTED: readonly Protocol[] = ["tcp", "udp", "sctp", "tcp6", "udp6", "sctp6"];

const TRANSPORT: readonly MatchField[] = [
  ...(["tpSrc", "tpDst", "icmpType", "icmpCode", "ndTarget", "ndSll", "ndTll"] as const),
];

/** Fields that mean something with these protocols only. */
const PROTOCOLS_OF_FIELD: { readonly [Field in MatchField]?: readonly Protocol[] } = {
  nwProto: ["ip", "ipv6"],
  ...{ nwSrc: IPV4, nwDst: IPV4, ipv6Src: IPV6, ipv6Dst: IPV6 },
  ...{ nwTtl: IP, ipFragment: IP, tpSrc: PORTED, tpDst: PORTED },
  ...{ icmpType: ["icmp", "icmp6"], icmpCode: ["icmp", "icmp6"] },
  ...{ ndTarget: ["icmp6"], ndSll: ["icmp6"], ndTll: ["icmp6"] },
  ...{ arpOp: ARP, arpSpa: ARP, arpTpa: ARP, arpSha: ARP, arpTha: ARP },
};

/** Types of neighbour discovery that a field is in. */
const TYPES_OF_FIELD: { readonly [Field in MatchField]?: readonly number[] } = {
  ndTarget: [TYPE_SOLICITATION, TYPE_ADVERTISEMENT],
  ndSll: [TYPE_SOLICITATION],
  ndTll: [TYPE_ADVERTISEMENT],
};

const NUMBER_MAX: { readonly [Field in MatchField]?: number } = {
  ...{ conjId: U32_MAX, dlType: U16_MAX, nwProto: U8_MAX, arpOp: U16_MAX, nwTtl: U8_MAX },
  ...{ tpSrc: U16_MAX, tpDst: U16_MAX, icmpType: U8_MAX, icmpCode: U8_MAX },
};

const IP_FAMILY: { readonly [Field in MatchField]?: 4 | 6 } = {
  ...{ nwSrc: 4, nwDst: 4, arpSpa: 4, arpTpa: 4 },
  ...{ ipv6Src: 6, ipv6Dst: 6, ndTarget: 6 },
};

/** What is wrong with the flow, as a sentence with the flow in it; null when nothing is. */
export function findFlowFault(flow: Flow, pipeline: Pipeline): string | null {
  const table = pipeline.get(flow.table);
  const fault =
    table === undefined
      ? `the pipeline has no table ${flow.table}`
      : (findNumberFault(flow) ??
        findMatchFault(flow.match, table) ??
        findActionsFault(flow.actions, table) ??
        findStripFault(flow));
  return fault === null ? null : `Flow is wrong, ${fault}: ${formatFlow(flow)}`;
}

/** The first fault of any of them; that two have the same name is one. */
export function findFlowsFault(flows: readonly Flow[], pipeline: Pipeline): string | null {
  const keys = new Set<string>();
  for (const flow of flows) {
    const fault = findFlowFault(flow, pipeline);
    if (fault !== null) {
      return fault;
    }
    const key = formatFlowKey(flow);
    if (keys.has(key)) {
      return `Flow is wrong, another one has the same match: ${formatFlow(flow)}`;
    }
    keys.add(key);
  }
  return null;
}

function findNumberFault({ cookie, priority }: Flow): string | null {
  // All ones would mean: keep the cookie that is there.
  if (cookie < 0n || cookie >= U64_MAX) {
    return "its cookie is not in 0…2⁶⁴ - 2";
  }
  return isUnsigned(priority, U16_MAX) ? null : `priority ${priority} is not in 0…65535`;
}

function findMatchFault(match: Match, table: Table): string | null {
  for (const field of Object.keys(match) as MatchField[]) {
    if (match[field] === undefined) {
      continue;
    }
    if (!table.fields.includes(field)) {
      return `flows of "${table.name}" may not match ${field}`;
    }
    const fault = findPrerequisiteFault(match, field) ?? findValueFault(match, field);
    if (fault !== null) {
      return fault;
    }
  }
  return findProtocolFault(match);
}

function findPrerequisiteFault(match: Match, field: MatchField): string | null {
  const protocols = PROTOCOLS_OF_FIELD[field];
  if (protocols !== undefined && (!match.protocol || !protocols.includes(match.protocol))) {
    return `${field} needs protocol ${protocols.join(", ")}`;
  }
  const types = TYPES_OF_FIELD[field];
  if (types !== undefined && !(types.includes(match.icmpType ?? 0) && match.icmpCode === 0)) {
    return `${field} needs icmpType ${types.join(" or ")} and icmpCode 0`;
  }
  // Later fragments have no transport header, and a switch refuses to look for one.
  return match.ipFragment === "later" && TRANSPORT.includes(field)
    ? `${field} is not in later fragments`
    : null;
}

/** One match has one spelling: what a protocol's name says is not said in numbers. */
function findProtocolFault({ protocol, dlType, nwProto }: Match): string | null {
  if (protocol !== undefined && dlType !== undefined) {
    return "protocol and dlType exclude each other";
  }
  const named = Object.entries(PROTOCOLS).find(
    ([, [ethType, ipProto]]) =>
      (dlType !== undefined && ethType === dlType) ||
      (nwProto !== undefined &&
        protocol &&
        PROTOCOLS[protocol][0] === ethType &&
        ipProto === nwProto),
  );
  return named === undefined ? null : `protocol ${named[0]} says it`;
}

function findValueFault(match: Match, field: MatchField): string | null {
  const value: unknown = match[field];
  const max = NUMBER_MAX[field];
  if (max !== undefined) {
    return isUnsigned(value, max) ? null : `${field} is not in 0…${max}`;
  }
  const family = IP_FAMILY[field];
  if (family !== undefined) {
    return findIpFault(field, value as IpMatch, family);
  }
  if (field === "vlan") {
    return typeof value !== "number" || isUnsigned(value, 0xfff) ? null : "vlan is not in 0…4095";
  }
  if (field === "inPort") {
    return isPort(value) ? null : `inPort ${value} is no port`;
  }
  if (field.startsWith("reg")) {
    return findRegisterFault(field, value as RegisterMatch);
  }
  return typeof value === "object" ? findMacFault(field, value as MacMatch) : null;
}

function findIpFault(field: MatchField, match: IpMatch, family: 4 | 6): string | null {
  if (ipFamily(match as IpAddress) !== family) {
    return `${field} is no address of IPv${family}`;
  }
  const length = match.includes("/") ? prefixLength(match as Prefix) : null;
  return length === 0 || length === (family === 4 ? 32 : 128)
    ? `${field} has a prefix of ${length} bits, write an address or nothing`
    : null;
}

function findRegisterFault(field: MatchField, match: RegisterMatch): string | null {
  if (typeof match === "number") {
    return isUnsigned(match, U32_MAX) ? null : `${field} has more than 32 bits`;
  }
  const { value, mask } = match;
  if (!isUnsigned(value, U32_MAX) || !isUnsigned(mask, U32_MAX) || (value & ~mask) !== 0) {
    return `${field} has bits beyond its mask`;
  }
  return mask === 0 || mask === U32_MAX ? `${field} has a mask of nothing or all` : null;
}

function findMacFault(field: MatchField, match: MacMatch): string | null {
  if (typeof match === "string") {
    return null;
  }
  const mask = encodeMacAddress(match.mask);
  if (encodeMacAddress(match.address).some((octet, at) => (octet & ~(mask[at] ?? 0)) !== 0)) {
    return `${field} has bits beyond its mask`;
  }
  const trivial = mask.every((octet) => octet === 0) || mask.every((octet) => octet === 0xff);
  return trivial ? `${field} has a mask of nothing or all` : null;
}

function findActionsFault(actions: readonly Action[], table: Table): string | null {
  const kinds = new Set(actions.map((action) => action.kind));
  if (kinds.has("conjunction") && kinds.size > 1) {
    return "conjunction goes with no other action";
  }
  for (const action of actions) {
    const fault = table.actions.includes(action.kind)
      ? findActionFault(action, table)
      : `flows of "${table.name}" may not ${action.kind}`;
    if (fault !== null) {
      return fault;
    }
  }
  return null;
}

/** OpenFlow 1.4 §5.12: only a header that the match makes sure of can be removed, and once. */
function findStripFault({ match, actions }: Flow): string | null {
  const strips = countStrips(actions);
  const pushes = actions.findIndex(({ kind }) => kind === "push-vlan");
  const isStripped = actions
    .slice(0, Math.max(0, pushes))
    .some(({ kind }) => kind === "strip-vlan");
  if (pushes >= 0 && match.vlan !== "untagged" && !isStripped) {
    return "push-vlan needs a match of frames without a tag, or strip-vlan before it";
  }
  if (strips === 0) {
    return null;
  }
  if (match.vlan === undefined || match.vlan === "untagged") {
    return "strip-vlan needs a match of a VLAN id or of any tag";
  }
  return strips === 1 ? null : "strip-vlan is there twice";
}

function countStrips(actions: readonly Action[]): number {
  return actions.reduce((count, action) => {
    const inner = action.kind === "clone" ? countStrips(action.actions) : 0;
    return count + inner + (action.kind === "strip-vlan" ? 1 : 0);
  }, 0);
}

function findActionFault(action: Action, table: Table): string | null {
  switch (action.kind) {
    case "resubmit":
      return table.next.includes(action.table)
        ? null
        : `"${table.name}" does not lead to table ${action.table}`;
    case "load":
      return isUnsigned(action.value, U32_MAX) ? null : "load has more than 32 bits";
    case "output":
      return isPort(action.port) ? null : `output to ${action.port}, which is no port`;
    case "conjunction":
      return findConjunctionFault(action);
    case "clone":
      return action.actions.length === 0
        ? "clone has no actions"
        : findActionsFault(action.actions, table);
    case "controller":
      return findControllerFault(action);
    case "push-vlan":
      return isUnsigned(action.vlan, VLAN_ID_MAX) && action.vlan > 0
        ? null
        : `there is no VLAN ${action.vlan}`;
    case "strip-vlan":
    case "output-register":
    case "normal":
      return null;
  }
}

function findConjunctionFault(action: Extract<Action, { kind: "conjunction" }>): string | null {
  const { id, clause, clauseCount } = action;
  if (!isUnsigned(id, U32_MAX)) {
    return "conjunction's id has more than 32 bits";
  }
  const counted = isUnsigned(clauseCount, CONJUNCTION_CLAUSES_MAX) && clauseCount >= 2;
  const within = isUnsigned(clause, clauseCount) && clause >= 1;
  return counted && within ? null : `there is no clause ${clause} of ${clauseCount}`;
}

function findControllerFault(action: Extract<Action, { kind: "controller" }>): string | null {
  if (!isUnsigned(action.maxBytes, U16_MAX)) {
    return "controller's maxBytes are not in 0…65535";
  }
  if (!/^(?:[0-9a-f]{2}){1,255}$/.test(action.userdata)) {
    return "controller's userdata is not 1…255 octets in lower-case hex digits";
  }
  const { meterId } = action;
  return meterId === undefined || (isUnsigned(meterId, U32_MAX) && meterId > 0)
    ? null
    : `there is no meter ${meterId}`;
}

function isUnsigned(value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function isPort(value: unknown): boolean {
  return value === LOCAL_PORT || (isUnsigned(value, OFPORT_MAX) && value > 0);
}

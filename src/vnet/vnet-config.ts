/**
 * A vnet as it is wanted: what `vn vnet-create` says, completed with the defaults, checked. Made
 * by `completeVnetConfig` only, so whoever holds one need not check it again.
 */
import { type Encapsulation, VNET_MTU_MIN, vnetMtuMax } from "../encap/mtu.ts";
import { type InterfaceName, parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { lastVnetIdField, parseVnetId, type VnetId } from "../net/vnet-id.ts";
import {
  parseSexprAtom,
  parseSexprs,
  readSexprCommand,
  type Sexpr,
  type SexprCommand,
  type SexprForm,
  sexprError,
} from "./sexpr.ts";

export type VnetSecurity = "none";

export type VnetConfig = {
  readonly id: VnetId;
  readonly vnetif: InterfaceName;
  readonly bridge: InterfaceName | null;
  /** The bridge is one of Open vSwitch, not the kernel's. */
  readonly ovs: boolean;
  readonly security: VnetSecurity;
  /** Of the vnet interface, so of the VMs' packets, in octets. */
  readonly mtu: number;
  readonly encapsulation: Encapsulation;
};

/** What a caller says; what is left out takes its default. */
export type VnetOptions = {
  readonly id: VnetId;
  /** @default vnif and the last field of the id, four hex digits */
  readonly vnetif?: string;
  /** @default no bridge */
  readonly bridge?: string;
  /** @default false */
  readonly ovs?: boolean;
  /** @default none */
  readonly security?: VnetSecurity;
  /** @default 1500 */
  readonly mtu?: number;
  /** @default udp */
  readonly encapsulation?: Encapsulation;
};

/** Well formed, but not in this version; nothing has been changed. */
export class UnsupportedError extends Error {
  readonly code = "VNETD_UNSUPPORTED";

  constructor(message: string) {
    super(message);
    this.name = "UnsupportedError";
  }
}

export const DEFAULT_VNET_MTU = 1500;

/** The keys of `(vnet …)`; the last three are ours. */
export const VNET_KEYS = [
  "id",
  "vnetif",
  "bridge",
  "security",
  "mtu",
  "ovs",
  "encapsulation",
] as const;
export type VnetKey = (typeof VNET_KEYS)[number];

const VNET_FORM: SexprForm<VnetKey> = { keys: VNET_KEYS };
const MTU_FORM = /^[1-9]\d{0,5}$/;

/**
 * Fills in the defaults.
 *
 * @throws ParseError for a name or an MTU that cannot be
 */
export function completeVnetConfig(options: VnetOptions): VnetConfig {
  const { id, ovs = false, security = "none", encapsulation = "udp" } = options;
  const vnetif = parseInterfaceName(options.vnetif ?? defaultVnetif(id));
  const bridge = options.bridge === undefined ? null : parseInterfaceName(options.bridge);
  if (bridge === vnetif) {
    throw new ParseError(`A bridge cannot have its vnet interface's name: ${quoteValue(vnetif)}`);
  }
  if (ovs && bridge === null) {
    throw new ParseError(`An Open vSwitch bridge was asked for without its name: vnet ${id}`);
  }
  const mtu = options.mtu ?? DEFAULT_VNET_MTU;
  const mtuMax = vnetMtuMax(encapsulation);
  if (!Number.isInteger(mtu) || mtu < VNET_MTU_MIN || mtu > mtuMax) {
    throw new ParseError(
      `MTU of a vnet must be ${VNET_MTU_MIN} … ${mtuMax}: ${quoteValue(String(mtu))}`,
    );
  }
  return { id, vnetif, bridge, ovs, security, mtu, encapsulation };
}

export function defaultVnetif(id: VnetId): string {
  return `vnif${lastFieldDigits(id)}`;
}

export function defaultBridge(id: VnetId): string {
  return `vnet${lastFieldDigits(id)}`;
}

/**
 * Reads a vnet file: one or more `(vnet (id 97) (bridge vnet97) (vnetif vnif97) (security none))`.
 * A vnet from a file has a bridge, by default `defaultBridge`, as it always had.
 *
 * @throws ParseError with line and column, UnsupportedError for a secure vnet
 */
export function parseVnetFile(text: string): readonly VnetOptions[] {
  const vnets = parseSexprs(text).map(parseVnetSexpr);
  if (vnets.length === 0) {
    throw new ParseError("No vnet in the file: (vnet (id …) …) was expected");
  }
  return vnets;
}

function parseVnetSexpr(sexpr: Sexpr): VnetOptions {
  const command = readSexprCommand(sexpr, (name) => (name === "vnet" ? VNET_FORM : null));
  const options = readVnetOptions(command);
  const vnet = { bridge: defaultBridge(options.id), ...options };
  // What only shows once the defaults are in place is refused here, where the line is known.
  parseSexprAtom(command.name, () => completeVnetConfig(vnet));
  return vnet;
}

/**
 * The fields of `(vnet …)` and of `(vnet.add …)`.
 *
 * @throws ParseError with line and column, UnsupportedError for a secure vnet
 */
export function readVnetOptions({ name, fields }: SexprCommand<VnetKey>): VnetOptions {
  const { id, vnetif, bridge, ovs, security, mtu, encapsulation } = fields;
  if (id === undefined) {
    throw sexprError(name.at, `(${name.text} …) needs an (id …)`);
  }
  const options: VnetOptions = {
    id: parseSexprAtom(id, parseVnetId),
    ...(vnetif && { vnetif: parseSexprAtom(vnetif, parseInterfaceName) }),
    ...(bridge && { bridge: parseSexprAtom(bridge, parseInterfaceName) }),
    ...(ovs && { ovs: parseSexprAtom(ovs, parseTruth) }),
    ...(security && { security: parseSexprAtom(security, parseVnetSecurity) }),
    ...(mtu && { mtu: parseSexprAtom(mtu, parseMtu) }),
    ...(encapsulation && { encapsulation: parseSexprAtom(encapsulation, parseEncapsulation) }),
  };
  return options;
}

/**
 * @throws ParseError; UnsupportedError for `auth` and `conf`: a vnet that was to be secure is
 *   never made without security
 */
export function parseVnetSecurity(text: string): VnetSecurity {
  if (text === "auth" || text === "conf") {
    throw new UnsupportedError(
      `Security ${quoteValue(text)} is not supported: this version has no secure vnets yet`,
    );
  }
  if (text !== "none") {
    throw new ParseError(`Not a security level (none, auth, conf): ${quoteValue(text)}`);
  }
  return text;
}

/** @throws ParseError */
export function parseEncapsulation(text: string): Encapsulation {
  if (text !== "udp" && text !== "etherip") {
    throw new ParseError(`Not an encapsulation (udp, etherip): ${quoteValue(text)}`);
  }
  return text;
}

/** @throws ParseError for what is no decimal number; the bounds are completeVnetConfig's */
export function parseMtu(text: string): number {
  if (!MTU_FORM.test(text)) {
    throw new ParseError(`Not an MTU (octets, decimal): ${quoteValue(text)}`);
  }
  return Number(text);
}

function parseTruth(text: string): boolean {
  if (text !== "true" && text !== "false") {
    throw new ParseError(`Neither true nor false: ${quoteValue(text)}`);
  }
  return text === "true";
}

function lastFieldDigits(id: VnetId): string {
  return lastVnetIdField(id).toString(16).padStart(4, "0");
}

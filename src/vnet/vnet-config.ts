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
import {
  chooseSuite,
  parseVnetSecurity,
  parseVnetSuite,
  type VnetSecurity,
  type VnetSuite,
} from "./vnet-security.ts";

export type VnetConfig = {
  readonly id: VnetId;
  readonly vnetif: InterfaceName;
  readonly bridge: InterfaceName | null;
  /** The bridge is one of Open vSwitch, not the kernel's. */
  readonly ovs: boolean;
  readonly security: VnetSecurity;
  /** Null: `security` is none. */
  readonly suite: VnetSuite | null;
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
  /** @default the level's own: hmac-sha256-128 or aes128-gcm */
  readonly suite?: VnetSuite;
  /** Path of the file with the first key; needed by `auth` and `conf`, there is no default key. */
  readonly keyFile?: string;
  /** @default 1500 */
  readonly mtu?: number;
  /** @default udp */
  readonly encapsulation?: Encapsulation;
};

export const DEFAULT_VNET_MTU = 1500;

/** The keys of `(vnet …)`; the last five are ours. */
export const VNET_KEYS = [
  "id",
  "vnetif",
  "bridge",
  "security",
  "mtu",
  "ovs",
  "encapsulation",
  "suite",
  "keyfile",
] as const;
export type VnetKey = (typeof VNET_KEYS)[number];

const VNET_FORM: SexprForm<VnetKey> = { keys: VNET_KEYS };
const MTU_FORM = /^[1-9]\d{0,5}$/;

/**
 * Fills in the defaults.
 *
 * @throws ParseError for a name, an MTU or a suite that cannot be, and for security without a key
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
  const suite = chooseSuite(security, options.suite ?? null);
  requireKeyFits(security, options.keyFile);
  if (encapsulation === "etherip" && security !== "none") {
    throw new ParseError(`Encapsulation etherip has no security: ${quoteValue(security)}`);
  }
  const mtuMax = vnetMtuMax(encapsulation, suite !== null);
  if (!Number.isInteger(mtu) || mtu < VNET_MTU_MIN || mtu > mtuMax) {
    throw new ParseError(
      `MTU of a vnet must be ${VNET_MTU_MIN} … ${mtuMax}: ${quoteValue(String(mtu))}`,
    );
  }
  return { id, vnetif, bridge, ovs, security, suite, mtu, encapsulation };
}

function requireKeyFits(security: VnetSecurity, keyFile: string | undefined): void {
  if (security === "none" && keyFile !== undefined) {
    throw new ParseError(`A vnet without security has no key: ${quoteValue(keyFile)}`);
  }
  if (security !== "none" && keyFile === undefined) {
    throw new ParseError(
      `Security ${security} needs the file of a key, as vn key-generate makes it (--key-file)`,
    );
  }
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
 * @throws ParseError with line and column
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
 * @throws ParseError with line and column
 */
export function readVnetOptions({ name, fields }: SexprCommand<VnetKey>): VnetOptions {
  const { id, vnetif, bridge, ovs, security, mtu, encapsulation, suite, keyfile } = fields;
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
    ...(suite && { suite: parseSexprAtom(suite, parseVnetSuite) }),
    ...(keyfile && { keyFile: parseSexprAtom(keyfile, parsePath) }),
  };
  return options;
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

function parsePath(text: string): string {
  if (text === "" || text.includes("\0")) {
    throw new ParseError(`Not the path of a file: ${quoteValue(text)}`);
  }
  return text;
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

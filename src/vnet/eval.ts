/**
 * The control protocol of the original: one S-expression a command. This reads them; the daemon
 * does what they say and answers with src/vnet/sxp-views.ts.
 */
import { parseUdpPort } from "../net/endpoint.ts";
import { parseHost } from "../net/host-name.ts";
import { type IpAddress, isMulticastIp, parseIpAddress } from "../net/ip-address.ts";
import { type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetId, type VnetId } from "../net/vnet-id.ts";
import {
  parseSexprAtom,
  parseSexprs,
  readSexprCommand,
  type Sexpr,
  type SexprAtom,
  type SexprCommand,
  type SexprForm,
  sexprError,
} from "./sexpr.ts";
import { readVnetOptions, VNET_KEYS, type VnetKey, type VnetOptions } from "./vnet-config.ts";

export type EvalRequest =
  | { readonly kind: "vnet.add"; readonly vnet: VnetOptions }
  | { readonly kind: "vnet.del"; readonly vnet: VnetId }
  | { readonly kind: "vnet.list" }
  | { readonly kind: "vif.add"; readonly vnet: VnetId; readonly mac: MacAddress }
  | { readonly kind: "vif.del"; readonly vnet: VnetId; readonly mac: MacAddress }
  | { readonly kind: "vif.list" }
  /** `host`: an address or a host name; resolving it is the daemon's. */
  | { readonly kind: "peer.add"; readonly host: string; readonly udpPort: number | null }
  | { readonly kind: "peer.del"; readonly host: string }
  | { readonly kind: "peer.list" }
  | { readonly kind: "varp.list" }
  | { readonly kind: "varp.flush" }
  | { readonly kind: "varp.mcaddr"; readonly group: IpAddress }
  | { readonly kind: "varp.print" };

type EvalKey = VnetKey | "vnet" | "vmac" | "addr" | "port";
type Command = SexprCommand<EvalKey>;

type EvalForm = SexprForm<EvalKey> & {
  readonly read: (command: Command) => EvalRequest;
};

const FORMS: ReadonlyMap<string, EvalForm> = new Map<string, EvalForm>([
  [
    "vnet.add",
    { keys: VNET_KEYS, read: (command) => ({ kind: "vnet.add", vnet: readVnetOptions(command) }) },
  ],
  [
    "vnet.del",
    { keys: ["id"], read: (command) => ({ kind: "vnet.del", vnet: readVnetId(command, "id") }) },
  ],
  ["vnet.list", { keys: [], read: () => ({ kind: "vnet.list" }) }],
  [
    "vif.add",
    { keys: ["vnet", "vmac"], read: (command) => ({ kind: "vif.add", ...readVif(command) }) },
  ],
  [
    "vif.del",
    { keys: ["vnet", "vmac"], read: (command) => ({ kind: "vif.del", ...readVif(command) }) },
  ],
  ["vif.list", { keys: [], read: () => ({ kind: "vif.list" }) }],
  ["peer.add", { keys: ["addr", "port"], read: readPeerAdd }],
  [
    "peer.del",
    { keys: ["addr"], read: (command) => ({ kind: "peer.del", host: readHost(command) }) },
  ],
  ["peer.list", { keys: [], read: () => ({ kind: "peer.list" }) }],
  ["varp.list", { keys: [], read: () => ({ kind: "varp.list" }) }],
  ["varp.flush", { keys: [], read: () => ({ kind: "varp.flush" }) }],
  [
    "varp.mcaddr",
    { keys: ["addr"], read: (command) => ({ kind: "varp.mcaddr", group: readGroup(command) }) },
  ],
  ["varp.print", { keys: [], read: () => ({ kind: "varp.print" }) }],
]);

/**
 * Reads one command, `(vnet.add (id 97))`.
 *
 * @throws ParseError with line and column
 */
export function parseEvalRequest(text: string): EvalRequest {
  const [sexpr, next] = parseSexprs(text);
  if (sexpr === undefined) {
    throw new ParseError("No command: an expression like (vnet.list) was expected");
  }
  if (next !== undefined) {
    throw sexprError(next.at, "one command was expected, here is another");
  }
  return readEvalRequest(sexpr);
}

/**
 * Reads the commands of a start-up file, in order; there may be none.
 *
 * @throws ParseError with line and column
 */
export function parseEvalFile(text: string): readonly EvalRequest[] {
  return parseSexprs(text).map(readEvalRequest);
}

function readEvalRequest(sexpr: Sexpr): EvalRequest {
  const { form, ...command } = readSexprCommand(sexpr, (name) => FORMS.get(name) ?? null);
  return form.read(command);
}

function readVif(command: Command): { readonly vnet: VnetId; readonly mac: MacAddress } {
  return {
    vnet: readVnetId(command, "vnet"),
    mac: parseSexprAtom(required(command, "vmac"), parseMacAddress),
  };
}

function readPeerAdd(command: Command): EvalRequest {
  const { port } = command.fields;
  const udpPort = port === undefined ? null : parseSexprAtom(port, parseUdpPort);
  return { kind: "peer.add", host: readHost(command), udpPort };
}

function readVnetId(command: Command, key: EvalKey): VnetId {
  return parseSexprAtom(required(command, key), parseVnetId);
}

function readHost(command: Command): string {
  return parseSexprAtom(required(command, "addr"), parseHost);
}

function readGroup(command: Command): IpAddress {
  return parseSexprAtom(required(command, "addr"), (text) => {
    const group = parseIpAddress(text);
    if (!isMulticastIp(group)) {
      throw new ParseError(`Not a multicast address: ${quoteValue(text)}`);
    }
    return group;
  });
}

function required({ name, fields }: Command, key: EvalKey): SexprAtom {
  const atom = fields[key];
  if (atom === undefined) {
    throw sexprError(name.at, `(${name.text} …) needs (${key} …)`);
  }
  return atom;
}

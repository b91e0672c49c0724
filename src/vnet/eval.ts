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
  sexprError,
} from "./sexpr.ts";
import type { FormReference, SexprKey } from "./sexpr-reference.ts";
import { readVnetOptions, VNET_KEYS, type VnetOptions } from "./vnet-config.ts";

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

type Command = SexprCommand<SexprKey>;

type EvalForm = FormReference & {
  readonly read: (command: Command) => EvalRequest;
};

const FORMS: readonly EvalForm[] = [
  {
    name: "vnet.add",
    keys: VNET_KEYS,
    needs: ["id"],
    meaning: "create a vnet",
    read: (command) => ({ kind: "vnet.add", vnet: readVnetOptions(command) }),
  },
  {
    ...{ name: "vnet.del", keys: ["id"], needs: ["id"] },
    meaning: "delete a vnet; its bridge stays",
    read: (command) => ({ kind: "vnet.del", vnet: readVnetId(command, "id") }),
  },
  {
    ...{ name: "vnet.list", keys: [], needs: [] },
    meaning: "print the vnets",
    read: () => ({ kind: "vnet.list" }),
  },
  {
    ...{ name: "vif.add", keys: ["vnet", "vmac"], needs: ["vnet", "vmac"] },
    meaning: "say that a MAC is on this host",
    read: (command) => ({ kind: "vif.add", ...readVif(command) }),
  },
  {
    ...{ name: "vif.del", keys: ["vnet", "vmac"], needs: ["vnet", "vmac"] },
    meaning: "take back a vif.add",
    read: (command) => ({ kind: "vif.del", ...readVif(command) }),
  },
  {
    ...{ name: "vif.list", keys: [], needs: [] },
    meaning: "print the local MACs of all vnets",
    read: () => ({ kind: "vif.list" }),
  },
  {
    ...{ name: "peer.add", keys: ["addr", "port"], needs: ["addr"] },
    meaning: "forward multicast to a host that does not get it",
    read: readPeerAdd,
  },
  {
    ...{ name: "peer.del", keys: ["addr"], needs: ["addr"] },
    meaning: "forward nothing to that host any more",
    read: (command) => ({ kind: "peer.del", host: readHost(command) }),
  },
  {
    ...{ name: "peer.list", keys: [], needs: [] },
    meaning: "print the peers",
    read: () => ({ kind: "peer.list" }),
  },
  {
    ...{ name: "varp.list", keys: [], needs: [] },
    meaning: "print where remote MACs are",
    read: () => ({ kind: "varp.list" }),
  },
  {
    ...{ name: "varp.flush", keys: [], needs: [] },
    meaning: "forget where remote MACs are",
    read: () => ({ kind: "varp.flush" }),
  },
  {
    ...{ name: "varp.mcaddr", keys: ["addr"], needs: ["addr"] },
    meaning: "use another multicast group, after a restart too",
    read: (command) => ({ kind: "varp.mcaddr", group: readGroup(command) }),
  },
  {
    ...{ name: "varp.print", keys: [], needs: [] },
    meaning: "print the vnets, the local MACs and where remote MACs are",
    read: () => ({ kind: "varp.print" }),
  },
];

const FORM_BY_NAME: ReadonlyMap<string, EvalForm> = new Map(FORMS.map((form) => [form.name, form]));

/** The commands, for help and manual. */
export const EVAL_REFERENCE: readonly FormReference[] = FORMS;

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
  const { form, ...command } = readSexprCommand(sexpr, (name) => FORM_BY_NAME.get(name) ?? null);
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

function readVnetId(command: Command, key: SexprKey): VnetId {
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

function required({ name, fields }: Command, key: SexprKey): SexprAtom {
  const atom = fields[key];
  if (atom === undefined) {
    throw sexprError(name.at, `(${name.text} …) needs (${key} …)`);
  }
  return atom;
}

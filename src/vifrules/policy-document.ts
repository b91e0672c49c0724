/**
 * Policy documents: JSON from a file, a request or a toolstack's metadata, read into policy.ts's
 * values. Nothing is guessed and nothing passed over: an unknown key, a value of the wrong type
 * and an address that does not stand as it should are refused, by key and value.
 */
import { parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import {
  DEFAULT_ALLOW,
  DEFAULT_VIF_MODE,
  type GroupPolicy,
  type InfraPolicy,
  type LinkLocalPolicy,
  type NetworkPolicy,
  type VifPolicy,
  type VlanPolicy,
} from "./policy.ts";
import {
  parseAddressRange,
  parseAllowSwitch,
  parseGroupName,
  parseIfaceId,
  parseLinkLocalRange,
  parseNetworkPrefix,
  parseVifMac,
  parseVifMode,
  parseVmUuid,
} from "./policy-value.ts";

const VLAN_ID_MAX = 4094;
const DEVID_MAX = 65_535;
/** A policy is read into memory and becomes flows: each of its lists is bounded. */
const LIST_LENGTH_MAX = 4_096;
const MEMBERS_LENGTH_MAX = 65_536;

/**
 * @param document from JSON.parse
 * @throws ParseError with the key and the value
 */
export function readVifPolicy(document: unknown): VifPolicy {
  const fields = readObject(document, "", [
    ...(["vif", "ifaceId", "bridge", "mac", "mode", "ipv4", "ipv6", "linkLocal"] as const),
    ...(["groups", "allow", "vlan", "vm", "devid"] as const),
  ]);
  const { vif, ifaceId, vm, devid } = fields;
  if ((vif === undefined) === (ifaceId === undefined)) {
    const value = vif === undefined ? "" : `: ${showValue({ vif, ifaceId })}`;
    throw new ParseError(`A VIF policy needs one of the keys "vif" and "ifaceId"${value}`);
  }
  return {
    ...(vif !== undefined && { vif: readText(vif, "vif", parseInterfaceName) }),
    ...(ifaceId !== undefined && { ifaceId: readText(ifaceId, "ifaceId", parseIfaceId) }),
    bridge: readText(fields.bridge, "bridge", parseInterfaceName),
    mac: readText(fields.mac, "mac", parseVifMac),
    mode: readText(fields.mode ?? DEFAULT_VIF_MODE, "mode", parseVifMode),
    ipv4: readList(fields.ipv4 ?? [], "ipv4", (text) => parseAddressRange(text, 4)),
    ipv6: readList(fields.ipv6 ?? [], "ipv6", (text) => parseAddressRange(text, 6)),
    linkLocal: readLinkLocal(fields.linkLocal ?? "auto"),
    groups: readList(fields.groups ?? [], "groups", parseGroupName),
    allow: readList(fields.allow ?? DEFAULT_ALLOW, "allow", parseAllowSwitch),
    vlan: readVlan(fields.vlan ?? {}),
    ...(vm !== undefined && { vm: readText(vm, "vm", parseVmUuid) }),
    ...(devid !== undefined && { devid: readNumber(devid, "devid", 0, DEVID_MAX) }),
  };
}

/**
 * @param document from JSON.parse
 * @throws ParseError with the key and the value
 */
export function readGroupPolicy(document: unknown): GroupPolicy {
  const { group, members } = readObject(document, "", ["group", "members"]);
  return {
    group: readText(group, "group", parseGroupName),
    members: readList(members ?? [], "members", (text) => parseAddressRange(text), {
      lengthMax: MEMBERS_LENGTH_MAX,
    }),
  };
}

/**
 * @param document from JSON.parse
 * @throws ParseError with the key and the value
 */
export function readNetworkPolicy(document: unknown): NetworkPolicy {
  const fields = readObject(document, "", ["bridge", "vlan", "internal", "infra", "uplinks"]);
  return {
    bridge: readText(fields.bridge, "bridge", parseInterfaceName),
    vlan: readNumber(fields.vlan ?? 0, "vlan", 0, VLAN_ID_MAX),
    internal: readList(fields.internal ?? [], "internal", parseNetworkPrefix),
    infra: readInfra(fields.infra ?? {}),
    uplinks: readList(fields.uplinks ?? [], "uplinks", parseInterfaceName),
  };
}

function readLinkLocal(value: unknown): LinkLocalPolicy {
  if (value === "auto" || value === "none") {
    return value;
  }
  if (!Array.isArray(value)) {
    throw keyError("linkLocal", `Not "auto", "none" or a list: ${showValue(value)}`);
  }
  return readList(value, "linkLocal", parseLinkLocalRange);
}

function readVlan(value: unknown): VlanPolicy {
  const { tag, trunks } = readObject(value, "vlan", ["tag", "trunks"]);
  return {
    tag: readNumber(tag ?? 0, "vlan.tag", 0, VLAN_ID_MAX),
    trunks: readItems(trunks ?? [], "vlan.trunks", LIST_LENGTH_MAX, (item, key) =>
      readNumber(item, key, 1, VLAN_ID_MAX),
    ),
  };
}

function readInfra(value: unknown): InfraPolicy {
  const { ipv4, ipv6, macs } = readObject(value, "infra", ["ipv4", "ipv6", "macs"]);
  return {
    ipv4: readList(ipv4 ?? [], "infra.ipv4", (text) => parseAddressRange(text, 4)),
    ipv6: readList(ipv6 ?? [], "infra.ipv6", (text) => parseAddressRange(text, 6)),
    macs: readList(macs ?? [], "infra.macs", parseVifMac),
  };
}

/** @param key of the object within its document; empty for the document itself */
function readObject<Key extends string>(
  value: unknown,
  key: string,
  keys: readonly Key[],
): { readonly [K in Key]?: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw keyError(key, `Not an object: ${showValue(value)}`);
  }
  const known: readonly string[] = keys;
  for (const [name, item] of Object.entries(value)) {
    const path = key === "" ? name : `${key}.${name}`;
    if (!known.includes(name)) {
      throw new ParseError(
        `Unknown key ${quoteValue(path)} (one of ${keys.join(", ")}): ${showValue(item)}`,
      );
    }
    // A key that is left out has its default; null is not leaving out.
    if (item === null) {
      throw keyError(path, "Not a value: null");
    }
  }
  return value as { readonly [K in Key]?: unknown };
}

function readText<Value>(value: unknown, key: string, parse: (text: string) => Value): Value {
  if (value === undefined) {
    throw new ParseError(`Key ${quoteValue(key)} is missing`);
  }
  if (typeof value !== "string") {
    throw keyError(key, `Not text: ${showValue(value)}`);
  }
  try {
    return parse(value);
  } catch (cause) {
    throw cause instanceof ParseError ? keyError(key, cause.message, cause) : cause;
  }
}

function readNumber(value: unknown, key: string, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw keyError(key, `Not a number in ${min}…${max}: ${showValue(value)}`);
  }
  return value as number;
}

/** A list of texts, each value once, in the order of the document. */
function readList<Value>(
  value: unknown,
  key: string,
  parse: (text: string) => Value,
  { lengthMax } = { lengthMax: LIST_LENGTH_MAX },
): readonly Value[] {
  return readItems(value, key, lengthMax, (item, itemKey) => readText(item, itemKey, parse));
}

function readItems<Value>(
  value: unknown,
  key: string,
  lengthMax: number,
  read: (item: unknown, key: string) => Value,
): readonly Value[] {
  if (!Array.isArray(value)) {
    throw keyError(key, `Not a list: ${showValue(value)}`);
  }
  if (value.length > lengthMax) {
    throw keyError(key, `More than ${lengthMax} entries: ${value.length}`);
  }
  return [...new Set(value.map((item, index) => read(item, `${key}[${index}]`)))];
}

function keyError(key: string, message: string, cause?: ParseError): ParseError {
  const where = key === "" ? "A policy" : `Key ${quoteValue(key)}`;
  return new ParseError(`${where}: ${message}`, { cause });
}

function showValue(value: unknown): string {
  return quoteValue(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
}

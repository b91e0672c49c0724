/**
 * One VIF in xapi's words, as xenopsd writes them to xenstore and to its own files: its locking
 * mode and allowed addresses, and what an operator put into the VIF's `other-config` for us.
 *
 *     locking-mode            locked, unlocked, disabled
 *     ipv4-allowed            addresses with commas between them; ipv6-allowed as well
 *     other-config/vnetd-mode, -ipv4, -ipv6, -groups, -allow, -link-local, -vlan-tag
 *
 * A vnetd-… list takes the place of xapi's; of two modes the stricter one is in force, because
 * either of them may be the one that somebody relies on.
 */
import { parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import {
  type AddressRange,
  type AllowSwitch,
  DEFAULT_ALLOW,
  type LinkLocalPolicy,
  type VifMode,
  type VifPolicy,
} from "../vifrules/policy.ts";
import {
  parseAddressRange,
  parseAllowSwitch,
  parseGroupName,
  parseIfaceId,
  parseLinkLocalRange,
  parseVifMac,
  parseVifMode,
} from "../vifrules/policy-value.ts";
import { stricterMode } from "./narrow-policy.ts";

export type XapiField = {
  /** As its author knows it: `ipv4-allowed`, `locking_mode.ipv4`. */
  readonly key: string;
  readonly text: string;
};

/** By xenstore's names. */
export type XapiFields = ReadonlyMap<string, XapiField>;

export type XapiVif = {
  /** What its port is known by. */
  readonly name: { readonly vif: string } | { readonly ifaceId: string };
  readonly vm: string;
  readonly devid: number;
  readonly fields: XapiFields;
};

const OTHER_CONFIG = "other-config/";
const OWN_PREFIX = `${OTHER_CONFIG}vnetd-`;
const OWN_KEYS = ["mode", "ipv4", "ipv6", "groups", "allow", "link-local", "vlan-tag"] as const;
const VLAN_ID_MAX = 4094;

/** All that is read of a VIF's node; the other keys of `other-config` are others' business. */
export const XAPI_FIELD_NAMES = [
  "mac",
  "bridge",
  "locking-mode",
  "ipv4-allowed",
  "ipv6-allowed",
  "trunks",
] as const;

/** A field that is called there what it is called in xenstore. */
export function xapiFieldOf(name: string, text: string): XapiField {
  return { key: name, text };
}

/** Whether a key of `other-config` is one for us, known or not. */
export function isOwnOtherConfig(name: string): boolean {
  return `${OTHER_CONFIG}${name}`.startsWith(OWN_PREFIX);
}

/** @throws ParseError with the key and the value, also when a key is missing: half-written */
export function readXapiVif({ name, vm, devid, fields }: XapiVif): VifPolicy {
  requireKnownKeys(fields);
  return {
    ...("vif" in name
      ? { vif: parseInterfaceName(name.vif) }
      : { ifaceId: parseIfaceId(name.ifaceId) }),
    bridge: readField(fields, "bridge", parseInterfaceName),
    mac: readField(fields, "mac", parseVifMac),
    mode: readMode(fields),
    ipv4: readAddresses(fields, "ipv4"),
    ipv6: readAddresses(fields, "ipv6"),
    linkLocal: readLinkLocal(fields),
    groups: readOwnList(fields, "groups", parseGroupName) ?? [],
    allow: readOwnList<AllowSwitch>(fields, "allow", parseAllowSwitch) ?? DEFAULT_ALLOW,
    vlan: {
      tag: fields.has(`${OWN_PREFIX}vlan-tag`)
        ? readField(fields, `${OWN_PREFIX}vlan-tag`, (text) => parseVlanId(text, 0))
        : 0,
      trunks: readList(fields, "trunks", (text) => parseVlanId(text, 1)) ?? [],
    },
    vm,
    devid,
  };
}

function requireKnownKeys(fields: XapiFields): void {
  const known: readonly string[] = OWN_KEYS;
  for (const [name, { key, text }] of fields) {
    if (name.startsWith(OWN_PREFIX) && !known.includes(name.slice(OWN_PREFIX.length))) {
      const names = OWN_KEYS.map((ownKey) => `vnetd-${ownKey}`).join(", ");
      throw new ParseError(`Unknown key ${quoteValue(key)} (one of ${names}): ${quoteValue(text)}`);
    }
  }
}

function readMode(fields: XapiFields): VifMode {
  const mode = readField(fields, "locking-mode", (text) => {
    if (text !== "locked" && text !== "unlocked" && text !== "disabled") {
      throw new ParseError(`Not a locking mode (locked, unlocked, disabled): ${quoteValue(text)}`);
    }
    return text;
  });
  const own = `${OWN_PREFIX}mode`;
  return fields.has(own) ? stricterMode(mode, readField(fields, own, parseVifMode)) : mode;
}

function readAddresses(fields: XapiFields, family: "ipv4" | "ipv6"): readonly AddressRange[] {
  const parse = (text: string): AddressRange => parseAddressRange(text, family === "ipv4" ? 4 : 6);
  return readOwnList(fields, family, parse) ?? readList(fields, `${family}-allowed`, parse) ?? [];
}

function readLinkLocal(fields: XapiFields): LinkLocalPolicy {
  const text = fields.get(`${OWN_PREFIX}link-local`)?.text.trim();
  if (text === undefined || text === "auto" || text === "none") {
    return text ?? "auto";
  }
  return readOwnList(fields, "link-local", parseLinkLocalRange) ?? "auto";
}

function readOwnList<Value>(
  fields: XapiFields,
  ownKey: (typeof OWN_KEYS)[number],
  parse: (text: string) => Value,
): readonly Value[] | null {
  return readList(fields, `${OWN_PREFIX}${ownKey}`, parse);
}

/** Values with commas between them; null without the key. */
function readList<Value>(
  fields: XapiFields,
  name: string,
  parse: (text: string) => Value,
): readonly Value[] | null {
  if (!fields.has(name)) {
    return null;
  }
  return readField(fields, name, (text) => {
    const items = text.split(",").map((item) => item.trim());
    return [...new Set(items.filter((item) => item !== "").map(parse))];
  });
}

function readField<Value>(fields: XapiFields, name: string, parse: (text: string) => Value): Value {
  const field = fields.get(name);
  if (field === undefined) {
    throw new ParseError(`Key ${quoteValue(name)} is missing`);
  }
  try {
    return parse(field.text.trim());
  } catch (cause) {
    if (!(cause instanceof ParseError)) {
      throw cause;
    }
    throw new ParseError(`Key ${quoteValue(field.key)}: ${cause.message}`, { cause });
  }
}

function parseVlanId(text: string, min: 0 | 1): number {
  if (!/^(?:0|[1-9]\d{0,3})$/.test(text) || Number(text) > VLAN_ID_MAX || Number(text) < min) {
    throw new ParseError(`Not a VLAN id (${min}…${VLAN_ID_MAX}): ${quoteValue(text)}`);
  }
  return Number(text);
}

/**
 * The single values of policy documents, from text. Stricter than the readers of `net/`: an
 * address has one spelling here, since a policy that says something else than its author meant
 * locks the wrong VIF.
 */
import {
  type IpAddress,
  type IpFamily,
  ipFamily,
  isHostIp,
  parseIpAddress,
} from "../net/ip-address.ts";
import { isUnicastMac, type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import {
  type Prefix,
  parsePrefix,
  prefixAddress,
  prefixContains,
  prefixLength,
  prefixOf,
} from "../net/prefix.ts";
import {
  type AddressRange,
  ALLOW_SWITCHES,
  type AllowSwitch,
  VIF_MODES,
  type VifMode,
} from "./policy.ts";

/** Text, parsed on use: Node's first look at an IPv6 address costs `vn` four milliseconds. */
const LINK_LOCAL = "fe80::/10";
const GROUP_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
// What the switch's database holds may be anything; an id is a word that fits on a line.
const IFACE_ID = /^[!-~]{1,128}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const DECIMAL = /^(?:0|[1-9]\d{0,2})$/;

/**
 * An address, an address with the length of its network (`10.0.0.5/24` is the host 10.0.0.5), or
 * a network (`10.0.0.0/24` is any address in it).
 *
 * @throws ParseError for what no host can have too: multicast, loopback, `0.0.0.0/8`, `::`
 */
export function parseAddressRange(text: string, family: IpFamily | "any" = "any"): AddressRange {
  const [addressText = "", lengthText, ...rest] = text.split("/");
  const address = parseCanonicalIp(addressText, text);
  if (family !== "any" && ipFamily(address) !== family) {
    throw new ParseError(`Not an IPv${family} address: ${quoteValue(text)}`);
  }
  const range =
    lengthText === undefined ? address : readLength(address, [lengthText, ...rest], text);
  if (!isHostIp(address)) {
    throw new ParseError(`Not an address that a host can have: ${quoteValue(text)}`);
  }
  return range;
}

/**
 * An address or a prefix of fe80::/10 (RFC 4291 §2.5.6).
 *
 * @throws ParseError
 */
export function parseLinkLocalRange(text: string): AddressRange {
  const range = parseAddressRange(text, 6);
  const isInside = prefixContains(parsePrefix(LINK_LOCAL), rangeAddress(range));
  if (!isInside || (rangeLength(range) ?? 128) < 10) {
    throw new ParseError(`Not a link-local address (${LINK_LOCAL}): ${quoteValue(text)}`);
  }
  return range;
}

/**
 * A network, or one address. An address with the length of its network is refused, unlike in
 * `parseAddressRange`: where networks are expected it is not clear which of both is meant.
 *
 * @throws ParseError
 */
export function parseNetworkPrefix(text: string): AddressRange {
  parseCanonicalIp(text.split("/")[0] ?? "", text);
  const prefix = parsePrefix(text);
  const address = prefixAddress(prefix);
  if (prefixLength(prefix) === 0) {
    throw new ParseError(`A prefix of every address: ${quoteValue(text)}`);
  }
  return prefixLength(prefix) === addressBits(address) ? address : prefix;
}

/** The address itself, or the first one of the prefix. */
export function rangeAddress(range: AddressRange): IpAddress {
  return isPrefix(range) ? prefixAddress(range) : range;
}

/** In bits; null for an address. */
export function rangeLength(range: AddressRange): number | null {
  return isPrefix(range) ? prefixLength(range) : null;
}

export function isPrefix(range: AddressRange): range is Prefix {
  return range.includes("/");
}

/**
 * A unicast MAC: six octets of two hex digits with colons between them.
 *
 * @throws ParseError
 */
export function parseVifMac(text: string): MacAddress {
  if (!MAC.test(text)) {
    throw new ParseError(`Not a MAC address (xx:xx:xx:xx:xx:xx): ${quoteValue(text)}`);
  }
  const mac = parseMacAddress(text);
  if (!isUnicastMac(mac)) {
    throw new ParseError(`Not the MAC address of one interface: ${quoteValue(text)}`);
  }
  return mac;
}

/** @throws ParseError */
export function parseVifMode(text: string): VifMode {
  return parseOneOf(text, VIF_MODES, "a mode");
}

/** @throws ParseError */
export function parseAllowSwitch(text: string): AllowSwitch {
  return parseOneOf(text, ALLOW_SWITCHES, "an allow switch");
}

/** @throws ParseError */
export function parseGroupName(text: string): string {
  if (!GROUP_NAME.test(text)) {
    throw new ParseError(
      `Not a group's name (letters, digits, "._-", at most 64): ${quoteValue(text)}`,
    );
  }
  return text;
}

/** @throws ParseError */
export function parseIfaceId(text: string): string {
  if (!IFACE_ID.test(text)) {
    throw new ParseError(`Not an iface-id (1…128 characters, no space): ${quoteValue(text)}`);
  }
  return text;
}

/** @throws ParseError */
export function parseVmUuid(text: string): string {
  const uuid = text.toLowerCase();
  if (!UUID.test(uuid)) {
    throw new ParseError(`Not a UUID: ${quoteValue(text)}`);
  }
  return uuid;
}

function parseOneOf<Word extends string>(text: string, words: readonly Word[], what: string): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) {
    throw new ParseError(`Not ${what} (${words.join(", ")}): ${quoteValue(text)}`);
  }
  return found;
}

function parseCanonicalIp(addressText: string, text: string): IpAddress {
  let address: IpAddress;
  try {
    address = parseIpAddress(addressText);
  } catch (cause) {
    if (!(cause instanceof ParseError)) {
      throw cause;
    }
    // The whole value, not only what stands before the slash.
    throw new ParseError(`Not an IPv4 or IPv6 address: ${quoteValue(text)}`, { cause });
  }
  if (address !== addressText) {
    throw new ParseError(`Address has to be written as ${address}: ${quoteValue(text)}`);
  }
  return address;
}

function readLength(address: IpAddress, lengths: readonly string[], text: string): AddressRange {
  const [lengthText = ""] = lengths;
  const bits = addressBits(address);
  if (lengths.length !== 1 || !DECIMAL.test(lengthText) || Number(lengthText) > bits) {
    throw new ParseError(`Not an address/length (0…${bits}): ${quoteValue(text)}`);
  }
  const length = Number(lengthText);
  if (length === 0) {
    throw new ParseError(`A length of 0 would be every address: ${quoteValue(text)}`);
  }
  const prefix = prefixOf(address, length);
  return length === bits || prefixAddress(prefix) !== address ? address : prefix;
}

function addressBits(address: IpAddress): number {
  return ipFamily(address) === 4 ? 32 : 128;
}

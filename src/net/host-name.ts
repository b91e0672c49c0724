/** Another host as people name it: an address, or a name that a resolver knows. */
import { parseIpAddress } from "./ip-address.ts";
import { ParseError, quoteValue } from "./parse-error.ts";

/** RFC 1035 §2.3.4, as text. */
const HOST_NAME_CHARACTERS_MAX = 253;

/**
 * An address or a host name, in the characters that either can have; resolving it is the daemon's.
 * @throws ParseError
 */
export function parseHost(text: string): string {
  if (text.length > HOST_NAME_CHARACTERS_MAX || !/^[0-9A-Za-z:][0-9A-Za-z._:-]*$/.test(text)) {
    throw new ParseError(`Not an address or a host name: ${quoteValue(text)}`);
  }
  // No name ends in a number (RFC 1123 §2.1), but resolvers take 1.2.3 for 1.2.0.3, 010.0.0.1 for
  // 8.0.0.1: a slip of the pen would be another host.
  if (!text.includes(":") && /(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?$/.test(text)) {
    try {
      parseIpAddress(text);
    } catch (cause) {
      throw new ParseError(`Not an IPv4 address: ${quoteValue(text)}`, { cause });
    }
  }
  return text;
}

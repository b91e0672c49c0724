/** How a caller names what is there already: a vnet, and another host. */
import { parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetId } from "../net/vnet-id.ts";
import type { VnetRef } from "./api.ts";

/** RFC 1035 §2.3.4, as text. */
const HOST_NAME_CHARACTERS_MAX = 253;

/**
 * An id or the name of a vnet interface, given on as it was written.
 * @throws ParseError
 */
export function parseVnetRef(text: string): VnetRef {
  if (!reads(parseVnetId, text) && !reads(parseInterfaceName, text)) {
    throw new ParseError(`Neither a vnet id nor the name of a vnet interface: ${quoteValue(text)}`);
  }
  return text;
}

/**
 * An address or a host name, in the characters that either can have; resolving it is the daemon's.
 * @throws ParseError
 */
export function parseHost(text: string): string {
  if (text.length > HOST_NAME_CHARACTERS_MAX || !/^[0-9A-Za-z:][0-9A-Za-z._:-]*$/.test(text)) {
    throw new ParseError(`Not an address or a host name: ${quoteValue(text)}`);
  }
  return text;
}

function reads(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (error instanceof ParseError) {
      return false;
    }
    throw error;
  }
}

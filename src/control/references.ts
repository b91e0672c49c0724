/** How a caller names what is there already: a vnet, and another host. */
import { parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetId } from "../net/vnet-id.ts";
import type { VnetRef } from "./api.ts";

/**
 * An id or the name of a vnet interface, given on as it was written.
 * @throws ParseError
 */
export function parseVnetRef(text: string): VnetRef {
  if (!isVnetIdText(text) && !reads(parseInterfaceName, text)) {
    throw new ParseError(`Neither a vnet id nor the name of a vnet interface: ${quoteValue(text)}`);
  }
  return text;
}

export function isVnetIdText(text: string): boolean {
  return reads(parseVnetId, text);
}

/**
 * The path of a file that the daemon opens: its working directory is not the caller's.
 * @throws ParseError
 */
export function parseAbsolutePath(text: string): string {
  if (!text.startsWith("/") || text.includes("\0")) {
    throw new ParseError(`Not an absolute path: ${quoteValue(text)}`);
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

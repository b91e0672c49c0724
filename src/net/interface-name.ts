/**
 * Names of network interfaces and bridges, as the kernel takes them (Linux dev_valid_name) and as
 * they can stand on the command line of `ip` and `ovs-vsctl`.
 */
import { ParseError, quoteValue } from "./parse-error.ts";

declare const interfaceNameBrand: unique symbol;

export type InterfaceName = string & { readonly [interfaceNameBrand]: true };

/** IFNAMSIZ less the terminating zero; in UTF-8 octets. */
export const INTERFACE_NAME_BYTES_MAX = 15;

// The kernel refuses `/`, `:` and white space, and takes `%` as the place of a number to fill in.
// Control characters would garble logs and listings.
const FORBIDDEN = /[/:%\s\p{Cc}]/u;

/** @throws ParseError */
export function parseInterfaceName(text: string): InterfaceName {
  const lengthBytes = new TextEncoder().encode(text).length;
  if (lengthBytes === 0 || lengthBytes > INTERFACE_NAME_BYTES_MAX) {
    throw new ParseError(
      `Interface name must be 1 … ${INTERFACE_NAME_BYTES_MAX} bytes long: ${quoteValue(text)}`,
    );
  }
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) {
    throw new ParseError(
      `Interface name must not contain ${quoteValue(forbidden[0])}: ${quoteValue(text)}`,
    );
  }
  // A leading dash would be read as an option by the programs that are given the name.
  if (text === "." || text === ".." || text.startsWith("-")) {
    throw new ParseError(`Not an interface name: ${quoteValue(text)}`);
  }
  return text as InterfaceName;
}

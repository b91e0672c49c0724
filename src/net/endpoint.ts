/** Where a host's tunnel socket is: an address and a UDP port. */
import { type IpAddress, ipFamily, parseIpAddress } from "./ip-address.ts";
import { ParseError, quoteValue } from "./parse-error.ts";

export type Endpoint = {
  readonly address: IpAddress;
  readonly udpPort: number;
};

const UDP_PORT_MAX = 65_535;
const DECIMAL = /^[1-9]\d{0,4}$/;

/**
 * Reads a decimal port, 1 … 65535.
 *
 * @throws ParseError
 */
export function parseUdpPort(text: string): number {
  if (!DECIMAL.test(text) || Number(text) > UDP_PORT_MAX) {
    throw new ParseError(`Not a UDP port (1 … ${UDP_PORT_MAX}): ${quoteValue(text)}`);
  }
  return Number(text);
}

/**
 * Reads `10.0.0.1:1798` or `[2001:db8::1]:1798`.
 *
 * @throws ParseError
 */
export function parseEndpoint(text: string): Endpoint {
  const colonAt = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, colonAt));
  const bracketed = host.startsWith("[") && host.endsWith("]");
  const address = parseIpAddress(bracketed ? host.slice(1, -1) : host);
  if (bracketed !== (ipFamily(address) === 6)) {
    throw new ParseError(`Not an endpoint (address:port, [address]:port): ${quoteValue(text)}`);
  }
  return { address, udpPort: parseUdpPort(text.slice(colonAt + 1)) };
}

/** Also the key of an endpoint in a Map: equal endpoints have equal texts. */
export function formatEndpoint({ address, udpPort }: Endpoint): string {
  return ipFamily(address) === 6 ? `[${address}]:${udpPort}` : `${address}:${udpPort}`;
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.udpPort === other.udpPort;
}

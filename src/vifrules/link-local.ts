/** Link-local addresses of IPv6 (RFC 4291 §2.5.6). */
import { decodeIpAddress, type IpAddress } from "../net/ip-address.ts";
import { encodeMacAddress, type MacAddress } from "../net/mac-address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { AddressRange, VifPolicy } from "./policy.ts";

export const LINK_LOCAL_PREFIX = parsePrefix("fe80::/10");

/** fe80:: and the modified EUI-64 of the MAC (RFC 4291 appendix A). */
export function eui64LinkLocal(mac: MacAddress): IpAddress {
  const octets = encodeMacAddress(mac);
  const [first = 0] = octets;
  return decodeIpAddress(
    Uint8Array.of(
      ...[0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ 0x02, ...octets.subarray(1, 3)],
      ...[0xff, 0xfe, ...octets.subarray(3)],
    ),
  );
}

/** A policy does not change, and is asked for its addresses again and again. */
const known = new WeakMap<VifPolicy, readonly AddressRange[]>();

/** All IPv6 addresses that the VIF may use. */
export function ipv6Addresses(policy: VifPolicy): readonly AddressRange[] {
  const addresses = known.get(policy) ?? listIpv6(policy);
  known.set(policy, addresses);
  return addresses;
}

function listIpv6({ ipv6, linkLocal, mac }: VifPolicy): readonly AddressRange[] {
  if (linkLocal === "none") {
    return ipv6;
  }
  const own = linkLocal === "auto" ? [eui64LinkLocal(mac)] : linkLocal;
  return [...new Set([...ipv6, ...own])];
}

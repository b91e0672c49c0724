/** Why a frame of a VIF, or one for it, is dropped; each is a counter of `vn vif-show`. */
import type { Action } from "../openflow/action.ts";

/** The order is that of the numbers in the registers and in packet-ins: new ones go to the end. */
export const DROP_REASONS = [
  /** From the VIF: not its source MAC. */
  "mac",
  /** From the VIF: a VLAN tag that it may not use. */
  "vlan",
  /** From the VIF: neither IPv4, IPv6 nor ARP. */
  "protocol",
  /** From the VIF: ARP with another's addresses in it. */
  "arp-spoof",
  "ipv4-spoof",
  "ipv6-spoof",
  /** From the VIF: neighbour discovery with another's addresses in it. */
  "nd-spoof",
  /** From the VIF: what only a DHCP server sends. */
  "dhcp-server",
  /** From the VIF: what only a DHCP client sends, when it may not be one. */
  "dhcp-client",
  /** From the VIF: what only a router sends: advertisements, redirects, multicast queries. */
  "router-advertisement",
  "vrrp",
  /** From the VIF: a first fragment without the whole chain of headers (RFC 7112). */
  "fragment",
  /** From an isolated VIF: to an inner address that is in none of its groups. */
  "group",
  /** From an isolated VIF: to the outside, but not through the gateway. */
  "external",
  /** From the VIF: to the host, which is no infrastructure. */
  "host",
  /** To an isolated VIF: from an address that is in none of its groups. */
  "to-group",
  /** To an isolated VIF: from one that is unlocked, so that its addresses may be forged. */
  "to-unlocked",
  /** The VIF is disabled, or in quarantine: either way. */
  "disabled",
  "quarantine",
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/** What is done with a frame that is dropped for a reason: nothing, or a note to us. */
export type DropActions = (reason: DropReason) => readonly Action[];

/** From 1: a register that was not loaded is no reason. */
export function dropReasonNumber(reason: DropReason): number {
  return DROP_REASONS.indexOf(reason) + 1;
}

/**
 * What a flow matches, as a value. The keys are ovs-fields(7)'s names in our spelling; a field that
 * is absent is not looked at. Values are canonical text or numbers, so that equal matches are equal
 * values: format-flow.ts prints them as `ovs-ofctl dump-flows` does, oxm.ts puts them on the wire.
 */
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { Prefix } from "../net/prefix.ts";

/** The shorthands of ovs-ofctl: an Ethernet type and, for some, an IP protocol. */
export type Protocol = keyof typeof PROTOCOLS;

/** [Ethernet type, IP protocol or null] */
export const PROTOCOLS = {
  ip: [0x0800, null],
  icmp: [0x0800, 1],
  tcp: [0x0800, 6],
  udp: [0x0800, 17],
  sctp: [0x0800, 132],
  ipv6: [0x86dd, null],
  icmp6: [0x86dd, 58],
  tcp6: [0x86dd, 6],
  udp6: [0x86dd, 17],
  sctp6: [0x86dd, 132],
  arp: [0x0806, null],
  rarp: [0x8035, null],
} as const satisfies Record<string, readonly [number, number | null]>;

/** An exact address, or the bits of one that the mask has. */
export type MacMatch = MacAddress | { readonly address: MacAddress; readonly mask: MacAddress };

/** One address, or all of a prefix (which is shorter than the address). */
export type IpMatch = IpAddress | Prefix;

/** An exact value (unsigned, 32 bits), or the bits of one that the mask has. */
export type RegisterMatch = number | { readonly value: number; readonly mask: number };

/** `untagged`: no 802.1Q header; `tagged`: any; a number: this VLAN id (0 is a priority tag). */
export type VlanMatch = "untagged" | "tagged" | number;

/** As OVS reports later fragments: `later` has no transport header, `first` has one. */
export type FragmentMatch = "no" | "yes" | "first" | "later" | "not_later";

export type RegisterNumber = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

export type RegisterMatches = {
  readonly [Key in `reg${RegisterNumber}`]?: RegisterMatch;
};

/** A port number of OpenFlow ≥ 1.1: an `ofport`, or `LOCAL_PORT`. */
export const LOCAL_PORT = 0xffff_fffe;

export type Match = RegisterMatches & {
  /** The id of a conjunction (action.ts), all of whose clauses have matched. */
  readonly conjId?: number;
  readonly inPort?: number;
  readonly dlSrc?: MacMatch;
  readonly dlDst?: MacMatch;
  readonly vlan?: VlanMatch;
  readonly protocol?: Protocol;
  /** An Ethernet type that has no `Protocol`; not together with it. */
  readonly dlType?: number;
  /** An IP protocol that has no `Protocol`, with protocol `ip` or `ipv6`. */
  readonly nwProto?: number;
  /** With an IPv4 protocol. */
  readonly nwSrc?: IpMatch;
  readonly nwDst?: IpMatch;
  /** With an IPv6 protocol. */
  readonly ipv6Src?: IpMatch;
  readonly ipv6Dst?: IpMatch;
  /** With `arp` or `rarp`. */
  readonly arpOp?: number;
  readonly arpSpa?: IpMatch;
  readonly arpTpa?: IpMatch;
  readonly arpSha?: MacMatch;
  readonly arpTha?: MacMatch;
  /** With any IP protocol. The TTL of IPv4, the hop limit of IPv6. */
  readonly nwTtl?: number;
  readonly ipFragment?: FragmentMatch;
  /** With tcp, udp or sctp over either IP. */
  readonly tpSrc?: number;
  readonly tpDst?: number;
  /** With `icmp` or `icmp6`. */
  readonly icmpType?: number;
  readonly icmpCode?: number;
  /** With `icmp6`, type 135 or 136 and code 0. */
  readonly ndTarget?: IpMatch;
  /** The source link-layer address of a solicitation (135); zero when it has none. */
  readonly ndSll?: MacMatch;
  /** The target link-layer address of an advertisement (136); zero when it has none. */
  readonly ndTll?: MacMatch;
};

export type MatchField = keyof Match;

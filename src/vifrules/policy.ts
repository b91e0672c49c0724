/**
 * What an operator wants of VIFs, groups and networks, as values. A value is made by
 * policy-document.ts only, so whoever holds one need not check it again; as JSON it is a document
 * that is read back as the same value.
 */
import type { InterfaceName } from "../net/interface-name.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { Prefix } from "../net/prefix.ts";

/**
 * - `unlocked`: everything, but not into isolated VIFs and not with the MAC of infrastructure.
 * - `locked`: from its own MAC and its listed addresses only.
 * - `disabled`: nothing, either way.
 * - `isolated`: locked, and only to members of its groups, to infrastructure and to the outside.
 *
 * A VIF without a policy is in quarantine, which is as `disabled`.
 */
export const VIF_MODES = ["unlocked", "locked", "disabled", "isolated"] as const;
export type VifMode = (typeof VIF_MODES)[number];

/** The mode of a policy that says none. */
export const DEFAULT_VIF_MODE: VifMode = "locked";

/** What a locked or isolated VIF may be besides a host. */
export const ALLOW_SWITCHES = [
  /** Asks for an address by DHCPv4 or DHCPv6. */
  "dhcp-client",
  /** Answers such questions. */
  "dhcp-server",
  /** Advertises itself as an IPv6 router. */
  "router-advertisement",
  /** Shares addresses by VRRP (RFC 9568): its protocol and its virtual MACs. */
  "vrrp",
  /** Announces its MAC by RARP, as QEMU does after a migration. */
  "rarp-announce",
] as const;
export type AllowSwitch = (typeof ALLOW_SWITCHES)[number];

export const DEFAULT_ALLOW: readonly AllowSwitch[] = ["dhcp-client"];

/** One address, or any address of a prefix, which is shorter than an address. */
export type AddressRange = IpAddress | Prefix;

/** `auto`: the EUI-64 one of the MAC (RFC 4291 appendix A); else those of the list, in fe80::/10. */
export type LinkLocalPolicy = "auto" | "none" | readonly AddressRange[];

/** VLAN ids are 1…4094. */
export type VlanPolicy = {
  /** The VLAN of the VIF's untagged frames; 0 is the network without one. */
  readonly tag: number;
  /** The VLANs that the VIF may use with tags; without any, its tagged frames are dropped. */
  readonly trunks: readonly number[];
};

export type VifPolicy = {
  /** The name of its port. Each policy has this or `ifaceId`, not both. */
  readonly vif?: InterfaceName;
  /** `external_ids:iface-id` of its port, or `xs-vif-uuid`. */
  readonly ifaceId?: string;
  /** May be a fake bridge; then its VLAN is the VIF's, unless `vlan.tag` says one. */
  readonly bridge: InterfaceName;
  readonly mac: MacAddress;
  readonly mode: VifMode;
  readonly ipv4: readonly AddressRange[];
  readonly ipv6: readonly AddressRange[];
  readonly linkLocal: LinkLocalPolicy;
  /** Names of the groups it is a member of. */
  readonly groups: readonly string[];
  readonly allow: readonly AllowSwitch[];
  readonly vlan: VlanPolicy;
  /** UUID, lower case. */
  readonly vm?: string;
  /** The number of the VIF within its VM. */
  readonly devid?: number;
};

export type GroupPolicy = {
  readonly group: string;
  /** Members wherever they are, besides the VIFs of this host that name the group. */
  readonly members: readonly AddressRange[];
};

/** The hosts that every isolated VIF may talk to: gateway, DHCP, DNS. */
export type InfraPolicy = {
  readonly ipv4: readonly AddressRange[];
  readonly ipv6: readonly AddressRange[];
  /** No other VIF may send from these. With any, the outside is reached through them only. */
  readonly macs: readonly MacAddress[];
};

/** One a bridge and VLAN. */
export type NetworkPolicy = {
  readonly bridge: InterfaceName;
  /** 0: the network without a tag. */
  readonly vlan: number;
  /** What is not of these is outside. */
  readonly internal: readonly AddressRange[];
  readonly infra: InfraPolicy;
  /** Names of ports; without any, each port is one that is no VIF. */
  readonly uplinks: readonly InterfaceName[];
};

/**
 * A network as the flows see it: its number and what is infrastructure. What is inner is by itself,
 * because it changes with every address of a VIF.
 */
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import { type Prefix, prefixLength } from "../net/prefix.ts";
import { familyOf, lastAddress } from "./address-set.ts";
import type { BridgeEndpoint, BridgeView } from "./bridge-rules.ts";
import { eui64LinkLocal, ipv6Addresses, LINK_LOCAL_PREFIX } from "./link-local.ts";
import type { AddressRange, NetworkPolicy } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { netNumber } from "./rule.ts";

export type NetworkView = {
  readonly vlan: number;
  /** The register's value. */
  readonly net: number;
  readonly infra: readonly AddressRange[];
  readonly infraMacs: readonly MacAddress[];
  /** The addresses of all hosts of its IPv4 networks. */
  readonly broadcasts: readonly IpAddress[];
};

/** The networks that a VIF or a policy is in, by VLAN. */
export function networkViews(view: BridgeView): ReadonlyMap<number, NetworkView> {
  const vlans = new Set([
    ...view.networks.keys(),
    ...view.endpoints.flatMap(({ vlan, policy }) => [vlan, ...policy.vlan.trunks]),
  ]);
  return new Map(
    [...vlans]
      .toSorted((one, other) => one - other)
      .map((vlan) => [vlan, viewNetwork(vlan, view.networks.get(vlan))]),
  );
}

/** The inner addresses of a network, as they are listed: those of its VIFs and of all groups too. */
export function internalAddresses(
  vlan: number,
  { networks, endpoints, groups }: BridgeView,
): ReadonlySet<AddressRange> {
  const addresses = new Set<AddressRange>(networks.get(vlan)?.internal);
  const add = (more: readonly AddressRange[]): void => {
    for (const address of more) {
      addresses.add(address);
    }
  };
  // Wherever they are: the same address may be a neighbour of every network.
  for (const members of groups.values()) {
    add(members);
  }
  for (const endpoint of endpoints) {
    if (isIn(endpoint, vlan)) {
      add(endpoint.policy.ipv4);
      add(ipv6Addresses(endpoint.policy));
    }
  }
  return addresses.add(LINK_LOCAL_PREFIX);
}

function viewNetwork(vlan: number, network: NetworkPolicy | undefined): NetworkView {
  const infraMacs = network?.infra.macs ?? [];
  return {
    vlan,
    net: netNumber(vlan),
    infra: [
      ...new Set([
        ...(network?.infra.ipv4 ?? []),
        ...(network?.infra.ipv6 ?? []),
        // Its router must be asked for, whatever else is listed.
        ...infraMacs.map(eui64LinkLocal),
      ]),
    ],
    infraMacs,
    broadcasts: subnetBroadcasts(network?.internal ?? []),
  };
}

/** Whether it may send and receive there, with a tag or without. */
export function isIn({ vlan, policy }: BridgeEndpoint, other: number): boolean {
  return vlan === other || policy.vlan.trunks.includes(other);
}

export function endpointAddresses({ policy }: BridgeEndpoint): readonly AddressRange[] {
  return [...policy.ipv4, ...ipv6Addresses(policy)];
}

/** Where "to all hosts of the network" goes; a network of two addresses has none (RFC 3021). */
function subnetBroadcasts(internal: readonly AddressRange[]): readonly IpAddress[] {
  const networks = internal.filter(
    (range): range is Prefix =>
      isPrefix(range) && familyOf(range) === 4 && prefixLength(range) < 31,
  );
  return [...new Set(networks.map(lastAddress))];
}

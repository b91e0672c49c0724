/** A network as the flows see it: its number, what is inner, what is infrastructure. */
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import { type Prefix, prefixLength } from "../net/prefix.ts";
import { familyOf, joinRanges, lastAddress } from "./address-set.ts";
import type { BridgeEndpoint, BridgeView } from "./bridge-rules.ts";
import { eui64LinkLocal, ipv6Addresses, LINK_LOCAL_PREFIX } from "./link-local.ts";
import type { AddressRange } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { netNumber } from "./rule.ts";

export type NetworkView = {
  readonly vlan: number;
  /** The register's value. */
  readonly net: number;
  /** Sorted, of both families, without overlaps; fe80::/10 is in it. */
  readonly internal: readonly AddressRange[];
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
  // Wherever they are: the same address may be a neighbour of every network.
  const known = [...view.groups.values()].flat();
  return new Map(
    [...vlans]
      .toSorted((one, other) => one - other)
      .map((vlan) => [vlan, viewNetwork(vlan, view, known)]),
  );
}

function viewNetwork(
  vlan: number,
  { networks, endpoints }: BridgeView,
  known: readonly AddressRange[],
): NetworkView {
  const network = networks.get(vlan);
  const infraMacs = network?.infra.macs ?? [];
  const internal = [
    ...(network?.internal ?? []),
    ...known,
    ...endpoints.filter((endpoint) => isIn(endpoint, vlan)).flatMap(endpointAddresses),
    LINK_LOCAL_PREFIX,
  ];
  return {
    vlan,
    net: netNumber(vlan),
    internal: [...joinRanges(internal, 4), ...joinRanges(internal, 6)],
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

function isIn({ vlan, policy }: BridgeEndpoint, other: number): boolean {
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

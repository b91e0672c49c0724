/** The ports that are no VIF: uplinks, the host itself, and others. */
import type { MacAddress } from "../net/mac-address.ts";
import { TABLE_DELIVER, TABLE_SWITCH } from "../openflow/pipeline.ts";
import { rangesOverlap } from "./address-set.ts";
import { hostAdmitRules, otherAdmitRules } from "./admit-rules.ts";
import type { BridgePort, PortVlans } from "./bridge-rules.ts";
import { ownMacRules, portClassifyRules } from "./classify-rules.ts";
import { deliverRules } from "./deliver-rules.ts";
import type { NetworkView } from "./network-view.ts";
import type { AddressRange } from "./policy.ts";
import { type Rule, rule, TO_MANY, targetNumber } from "./rule.ts";
import { macRule } from "./switch-rules.ts";

export type PlainPort = Exclude<BridgePort, { kind: "quarantine" }>;
/** Those that the flows flood into, so that NORMAL must not. */
export type ListedPort = Extract<BridgePort, { kind: "host" | "other" }>;
type HostPort = Extract<BridgePort, { kind: "host" }>;

export function listedPorts(ports: readonly BridgePort[]): readonly ListedPort[] {
  return ports.filter((port) => port.kind === "host" || port.kind === "other");
}

export function isInVlan({ untagged, tagged }: PortVlans, vlan: number): boolean {
  return vlan === untagged || tagged === "all" || tagged.includes(vlan);
}

/** @param vifMacs MACs of the host that a VIF has by its policy: these are the VIF's */
export function portRules(
  ports: readonly PlainPort[],
  networks: ReadonlyMap<number, NetworkView>,
  vifMacs: ReadonlySet<MacAddress>,
): readonly Rule[] {
  const uplinks = ports.filter(({ kind }) => kind === "uplink").map(({ ofport }) => ofport);
  const listed = listedPorts(ports).filter(({ vlans }) =>
    [...networks.keys()].some((vlan) => isInVlan(vlans, vlan)),
  );
  const hosts = listed
    .filter((port) => port.kind === "host")
    .filter(({ mac }) => !vifMacs.has(mac));
  return [
    ...ports.flatMap((port) => portClassifyRules(port, networks)),
    ...listed.flatMap((port) => listedPortRules(port, networks)),
    ...[...new Set(hosts.map(({ mac }) => mac))].flatMap((mac) => ownMacRules(mac, uplinks)),
    ...hostMacRules(hosts, networks),
    ...strangeVlanRules(listed),
  ];
}

function listedPortRules(
  port: ListedPort,
  networks: ReadonlyMap<number, NetworkView>,
): readonly Rule[] {
  const target = targetNumber(port.ofport);
  const network = networks.get(port.vlans.untagged);
  const isInfra = port.kind === "host" && (network?.infraMacs.includes(port.mac) ?? false);
  const infra = port.kind === "host" && network !== undefined ? hostInfra(port, network) : [];
  return [
    ...deliverRules(target, [port.ofport]),
    ...taggedRules(port, networks),
    ...(port.kind === "other"
      ? otherAdmitRules(target)
      : hostAdmitRules(target, { infra, isInfra })),
  ];
}

/** In its tagged VLANs it gets what has a tag, and with it. A tag is not added here. */
function taggedRules(
  { ofport, vlans }: ListedPort,
  networks: ReadonlyMap<number, NetworkView>,
): readonly Rule[] {
  const target = targetNumber(ofport);
  return [...networks.values()]
    .filter(({ vlan }) => vlan !== vlans.untagged && isInVlan(vlans, vlan))
    .flatMap(({ net }) => [
      rule(TABLE_DELIVER, 20, { reg15: target, reg6: net, vlan: "tagged" }, [
        { kind: "output", port: ofport },
      ]),
      rule(TABLE_DELIVER, 15, { reg15: target, reg6: net }),
    ]);
}

/** By network and MAC: a host's ports may have the same one. */
function hostMacRules(
  hosts: readonly HostPort[],
  networks: ReadonlyMap<number, NetworkView>,
): readonly Rule[] {
  return [...networks.values()].flatMap((network) => {
    const targets = new Map<MacAddress, readonly number[]>();
    for (const { mac, ofport, vlans } of hosts) {
      if (vlans.untagged === network.vlan) {
        targets.set(mac, [...(targets.get(mac) ?? []), targetNumber(ofport)]);
      }
    }
    return [...targets].map(([mac, numbers]) => macRule(network, mac, numbers));
  });
}

/** Floods of VLANs without VIFs, which NORMAL keeps out of these trunks like all others. */
function strangeVlanRules(listed: readonly ListedPort[]): readonly Rule[] {
  const trunks = listed.filter(({ vlans }) => vlans.tagged === "all");
  return trunks.length === 0
    ? []
    : [
        rule(TABLE_SWITCH, 45, { reg6: 0, vlan: "tagged", dlDst: TO_MANY }, [
          { kind: "normal" },
          ...trunks.map(({ ofport }) => ({ kind: "output", port: ofport }) as const),
        ]),
      ];
}

/** The addresses of infrastructure that the host has, or may have. */
export function hostInfra(
  { addresses }: HostPort,
  { infra }: NetworkView,
): readonly AddressRange[] {
  return addresses === undefined
    ? infra
    : addresses.filter((address) => infra.some((range) => rangesOverlap(address, range)));
}

/**
 * The flows that lock the VIFs of a bridge, as a function of who is on it. docs/PIPELINE.md follows
 * a frame through them.
 */
import { JoinedRanges } from "./address-set.ts";
import { internalAdmitRules, networkAdmitRules, sharedAdmitRules } from "./admit-rules.ts";
import type { BridgeEndpoint, BridgeFlows, BridgePort, BridgeView } from "./bridge-rules.ts";
import { bucketsOf } from "./buckets.ts";
import { quarantineRules, sharedClassifyRules } from "./classify-rules.ts";
import {
  internalDestinationRules,
  networkDestinationRules,
  sharedDestinationRules,
} from "./destination-rules.ts";
import { FlowSections } from "./flow-sections.ts";
import {
  type GroupNumbers,
  groupNumbers,
  groupRules,
  memberRules,
  membershipsOf,
} from "./groups.ts";
import { internalAddresses, isIn, type NetworkView, networkViews } from "./network-view.ts";
import { hostInfra, isInVlan, listedPorts, portRules } from "./port-rules.ts";
import { PresentVifs, type VifChanges } from "./present-vifs.ts";
import { sharedRoleRules } from "./role-rules.ts";
import { targetNumber } from "./rule.ts";
import {
  type FloodTargets,
  floodRules,
  noMacRule,
  sharedMacRules,
  sharedSwitchRules,
} from "./switch-rules.ts";
import { type PresentVif, vifRules } from "./vif-rules.ts";

/** All flows of a bridge. The same view gives the same flows, whatever the order of its lists. */
export function planBridgeFlows(view: BridgeView): BridgeFlows {
  return new BridgePlanner().plan(view);
}

/**
 * Plans the flows of one bridge again and again: what a change does not touch is not looked at, and
 * its sections are the same arrays as before. A network, an endpoint and a list of members that are
 * the same value as before are taken to be unchanged.
 */
export class BridgePlanner {
  readonly #vifs = new PresentVifs();
  readonly #internal = new Map<number, JoinedRanges>();
  #sections: FlowSections | null = null;
  #networks: ReadonlyMap<number, NetworkView> = new Map();
  #numbers: GroupNumbers = new Map();
  #uplinks: readonly number[] = [];

  plan(view: BridgeView): BridgeFlows {
    const networks = keepEqual(this.#networks, networkViews(view));
    this.#networks = networks;
    const changes = this.#vifs.follow(view.endpoints, networks);
    const { vifs } = changes;
    const ports = view.ports.toSorted((one, other) => one.ofport - other.ofport);
    const sections = new FlowSections(this.#sections);
    putShared(sections, { view, networks, ports });
    this.#putInternal(sections, view);
    putFloods(sections, { view, networks, ports, vifs });
    this.#putGroups(sections, { view, vifs });
    const uplinks = ports.flatMap(({ kind, ofport }) => (kind === "uplink" ? [ofport] : []));
    this.#uplinks = this.#uplinks.join() === uplinks.join() ? this.#uplinks : uplinks;
    this.#putVifs(sections, changes);
    sections.finish();
    this.#sections = sections;
    return {
      ...{ sections: sections.flows, noFloodPorts: noFloodPorts(view, networks) },
      learningPorts: vifs
        .filter(({ endpoint }) => endpoint.policy.mode === "unlocked")
        .flatMap(({ endpoint }) => endpoint.ofports),
    };
  }

  #putInternal(sections: FlowSections, view: BridgeView): void {
    const owner = { kind: "infra", generation: view.generation, ofport: 0 } as const;
    for (const vlan of this.#internal.keys()) {
      if (!this.#networks.has(vlan)) {
        this.#internal.delete(vlan);
      }
    }
    for (const network of this.#networks.values()) {
      const { vlan } = network;
      const ranges = this.#internal.get(vlan) ?? new JoinedRanges();
      this.#internal.set(vlan, ranges);
      const internal = ranges.join(internalAddresses(vlan, view));
      sections.part(`internal ${vlan}`, [internal, network, view.generation], () => {
        for (const [bucket, some] of bucketsOf(internal, (range) => range)) {
          sections.put({
            ...{ name: `internal ${vlan} ${bucket}`, owner, input: [network.net, some] },
            make: () => [
              ...internalDestinationRules(network, some),
              ...internalAdmitRules(network, some),
            ],
          });
        }
      });
    }
  }

  #putGroups(
    sections: FlowSections,
    { view, vifs }: { readonly view: BridgeView; readonly vifs: readonly PresentVif[] },
  ): void {
    const owner = { kind: "group", generation: view.generation, ofport: 0 } as const;
    const numbers = keepEqual(
      this.#numbers,
      groupNumbers(vifs.flatMap(({ endpoint }) => endpoint.policy.groups)),
    );
    this.#numbers = numbers;
    const members = [...numbers.keys()].map((name) => view.groups.get(name));
    sections.part("groups", [numbers, view.generation, ...members], () => {
      sections.put({
        ...{ name: "groups", owner, input: [...numbers] },
        make: () => groupRules(numbers),
      });
      const memberships = membershipsOf(view.groups, numbers);
      for (const [bucket, some] of bucketsOf(memberships, ([address]) => address)) {
        sections.put({
          ...{ name: `members ${bucket}`, owner, input: some },
          make: () => memberRules(some),
        });
      }
    });
  }

  #putVifs(sections: FlowSections, { vifs, touched, targetsOf }: VifChanges): void {
    const [numbers, uplinks] = [this.#numbers, this.#uplinks];
    for (const vif of vifs) {
      const { endpoint, network, trunks, infraNets, port } = vif;
      const name = sectionOf(endpoint);
      const fill = (): void => {
        const own = {
          uplinks,
          numbers: endpoint.policy.groups.flatMap((group) => numbers.get(group) ?? []),
          targets: targetsOf(vif),
        };
        sections.put({
          ...{ name, owner: { kind: "vif", generation: endpoint.generation, ofport: port } },
          input: [
            ...[endpoint.policy, endpoint.ofports, endpoint.vlan, endpoint.log, infraNets],
            [network, ...trunks].map(({ infraMacs }) => infraMacs),
            ...[uplinks, own.numbers, [...own.targets.values()]],
          ],
          make: () => vifRules(vif, own),
        });
      };
      sections.part(name, [vif, numbers, uplinks], fill, touched.has(vif));
    }
  }
}

/** The former values where the new ones say the same, and the former map when all do. */
function keepEqual<Key, Value>(
  former: ReadonlyMap<Key, Value>,
  now: ReadonlyMap<Key, Value>,
): ReadonlyMap<Key, Value> {
  let isSame = former.size === now.size;
  const kept = new Map<Key, Value>();
  for (const [key, value] of now) {
    const before = former.get(key);
    const isEqual = before !== undefined && JSON.stringify(before) === JSON.stringify(value);
    isSame &&= isEqual;
    kept.set(key, isEqual ? before : value);
  }
  return isSame ? former : kept;
}

/** The name of a VIF's section: `vif vif5.0`, `vif iface-id 6f1c…`. */
export function sectionOf({ policy }: Pick<BridgeEndpoint, "policy">): string {
  return `vif ${policy.vif ?? `iface-id ${policy.ifaceId}`}`;
}

type Place = {
  readonly view: BridgeView;
  readonly networks: ReadonlyMap<number, NetworkView>;
  readonly ports: readonly BridgePort[];
};

function putShared(sections: FlowSections, { view, networks, ports }: Place): void {
  const infra = { kind: "infra", generation: view.generation, ofport: 0 } as const;
  sections.put({
    ...{ name: "shared", owner: infra, input: null },
    make: () => [
      ...sharedClassifyRules(),
      ...sharedRoleRules(),
      ...sharedDestinationRules(),
      ...sharedSwitchRules(),
      ...sharedAdmitRules(),
    ],
  });
  for (const network of networks.values()) {
    sections.put({
      ...{ name: `network ${network.vlan}`, owner: infra, input: network },
      make: () => [...networkDestinationRules(network), ...networkAdmitRules(network)],
    });
  }
  const plain = ports.filter((port) => port.kind !== "quarantine");
  const owned = new Set(view.endpoints.map(({ policy }) => policy.mac));
  const vifMacs = plain.flatMap((port) =>
    port.kind === "host" && owned.has(port.mac) ? [port.mac] : [],
  );
  sections.put({
    ...{ name: "ports", owner: infra, input: [plain, [...networks.values()], vifMacs] },
    make: () => portRules(plain, networks, new Set(vifMacs)),
  });
  for (const port of ports) {
    if (port.kind === "quarantine") {
      const mac = port.mac !== null && !owned.has(port.mac) ? port.mac : null;
      if (mac !== null) {
        owned.add(mac);
      }
      const { generation, ofport } = port;
      sections.put({
        ...{ name: `port ${ofport}`, owner: { kind: "vif", generation, ofport }, input: mac },
        make: () => [...quarantineRules(ofport), ...(mac === null ? [] : [noMacRule(mac)])],
      });
    }
  }
}

function putFloods(
  sections: FlowSections,
  { view, networks, ports, vifs }: Place & { readonly vifs: readonly PresentVif[] },
): void {
  for (const network of networks.values()) {
    const listed = vifs.filter(
      ({ endpoint }) => isIn(endpoint, network.vlan) && endpoint.policy.mode !== "disabled",
    );
    const plain = listedPorts(ports).filter(({ vlans }) => isInVlan(vlans, network.vlan));
    const hosts = plain.filter((port) => port.kind === "host");
    const open = listed.filter(({ endpoint }) => endpoint.policy.mode === "unlocked");
    const infraHosts = hosts.filter(
      (host) => network.infraMacs.includes(host.mac) || hostInfra(host, network).length > 0,
    );
    const toHosts = infraHosts.map(({ ofport }) => targetNumber(ofport));
    const toPlain = plain.map(({ ofport }) => targetNumber(ofport));
    const targets: FloodTargets = {
      all: [...toPlain, ...portsOf(listed)],
      infra: [...toHosts, ...portsOf(listed.filter((vif) => vif.infraNets.includes(network.net)))],
      open: [...toPlain, ...portsOf(open)],
    };
    sections.put({
      name: `floods ${network.vlan}`,
      owner: { kind: "infra", generation: view.generation, ofport: 0 },
      input: targets,
      make: () => floodRules(network, targets),
    });
    const routers = listed.filter(({ endpoint }) => endpoint.policy.allow.includes("vrrp"));
    const uplinks = ports.filter((port) => port.kind === "uplink" && port.takesFloods);
    const sharing = {
      isNeeded: routers.some(({ endpoint }) => endpoint.policy.mode === "isolated"),
      targets: portsOf(routers),
      uplinks: uplinks.flatMap((port) =>
        port.kind === "uplink" && port.vlans.untagged === network.vlan ? [port.ofport] : [],
      ),
    };
    sections.put({
      name: `routers ${network.vlan}`,
      owner: { kind: "infra", generation: view.generation, ofport: 0 },
      input: sharing,
      make: () =>
        sharing.isNeeded ? sharedMacRules(network, sharing.targets, sharing.uplinks) : [],
    });
  }
}

function portsOf(vifs: readonly PresentVif[]): readonly number[] {
  return vifs.map(({ port }) => port);
}

function noFloodPorts(
  { endpoints, ports }: BridgeView,
  networks: ReadonlyMap<number, NetworkView>,
): readonly number[] {
  const numbers = new Set(endpoints.flatMap(({ ofports }) => ofports));
  for (const { ofport, vlans } of listedPorts(ports)) {
    if ([...networks.keys()].some((vlan) => isInVlan(vlans, vlan))) {
      numbers.add(ofport);
    }
  }
  for (const { kind, ofport } of ports) {
    if (kind === "quarantine") {
      numbers.add(ofport);
    }
  }
  return [...numbers].toSorted((one, other) => one - other);
}

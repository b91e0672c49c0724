/**
 * The flows that lock the VIFs of a bridge, as a function of who is on it. docs/PIPELINE.md follows
 * a frame through them.
 */
import type { Flow } from "../openflow/flow.ts";
import { rangesOverlap } from "./address-set.ts";
import { networkAdmitRules, sharedAdmitRules } from "./admit-rules.ts";
import type { BridgeEndpoint, BridgeFlows, BridgePort, BridgeView } from "./bridge-rules.ts";
import { quarantineRules, sharedClassifyRules } from "./classify-rules.ts";
import { encodeCookie, type FlowCookie } from "./cookie.ts";
import { networkDestinationRules, sharedDestinationRules } from "./destination-rules.ts";
import { groupNumbers, memberRules } from "./groups.ts";
import { endpointAddresses, type NetworkView, networkViews } from "./network-view.ts";
import type { VifPolicy } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { hostInfra, isInVlan, listedPorts, portRules } from "./port-rules.ts";
import { sharedRoleRules } from "./role-rules.ts";
import { type Rule, targetNumber } from "./rule.ts";
import {
  type FloodTargets,
  floodRules,
  noMacRule,
  sharedMacRules,
  sharedSwitchRules,
} from "./switch-rules.ts";
import { type PresentVif, type Targets, targetKeys, vifRules } from "./vif-rules.ts";

/**
 * All flows of a bridge. The same view gives the same flows, whatever the order of its lists.
 *
 * @param former what this made of an earlier view of the bridge: sections that are the same are
 *   taken from there, as the same arrays
 */
export function planBridgeFlows(view: BridgeView, former?: BridgeFlows): BridgeFlows {
  const networks = networkViews(view);
  const vifs = presentVifs(view, networks);
  const ports = view.ports.toSorted((one, other) => one.ofport - other.ofport);
  const sections = new Sections(former);
  putShared(sections, { view, networks, ports });
  putFloods(sections, { view, networks, ports, vifs });
  const numbers = groupNumbers(vifs.flatMap(({ endpoint }) => endpoint.policy.groups));
  const infra = { kind: "infra", generation: view.generation, ofport: 0 } as const;
  sections.put({
    ...{ name: "groups", owner: { ...infra, kind: "group" } },
    input: [...numbers].map(([name, number]) => [number, view.groups.get(name)]),
    make: () => memberRules(view.groups, numbers),
  });
  const uplinks = ports.flatMap(({ kind, ofport }) => (kind === "uplink" ? [ofport] : []));
  const targets = targetsOf(vifs);
  for (const vif of vifs) {
    const { endpoint, network, isInfra, port } = vif;
    const own = {
      uplinks,
      numbers: endpoint.policy.groups.flatMap((name) => numbers.get(name) ?? []),
      targets: new Map(vif.keys.map((key) => [key, targets.get(key) ?? []])),
    };
    sections.put({
      name: sectionOf(endpoint),
      owner: { kind: "vif", generation: endpoint.generation, ofport: port },
      input: [
        ...[policyText(endpoint.policy), endpoint.ofports, endpoint.vlan, endpoint.log, isInfra],
        ...[network.infraMacs, uplinks, own.numbers, [...own.targets.values()]],
      ],
      make: () => vifRules(vif, own),
    });
  }
  const { flows, inputs } = sections;
  return {
    ...{ sections: flows, inputs, noFloodPorts: noFloodPorts(view, networks) },
    learningPorts: vifs
      .filter(({ endpoint }) => endpoint.policy.mode === "unlocked")
      .flatMap(({ endpoint }) => endpoint.ofports),
  };
}

/** A policy does not change: it is made into text once. */
const policyTexts = new WeakMap<VifPolicy, string>();

function policyText(policy: VifPolicy): string {
  const text = policyTexts.get(policy) ?? JSON.stringify(policy);
  policyTexts.set(policy, text);
  return text;
}

/** The name of a VIF's section: `vif vif5.0`, `vif iface-id 6f1c…`. */
export function sectionOf({ policy }: Pick<BridgeEndpoint, "policy">): string {
  return `vif ${policy.vif ?? `iface-id ${policy.ifaceId}`}`;
}

type Section = {
  readonly name: string;
  readonly owner: FlowCookie;
  /** All that `make` looks at, as what JSON can say. */
  readonly input: unknown;
  readonly make: () => readonly Rule[];
};

class Sections {
  readonly flows = new Map<string, readonly Flow[]>();
  readonly inputs = new Map<string, string>();
  readonly #former: BridgeFlows | undefined;

  constructor(former: BridgeFlows | undefined) {
    this.#former = former;
  }

  put({ name, owner, input, make }: Section): void {
    const text = JSON.stringify([owner, input]);
    const isSame = this.#former?.inputs.get(name) === text;
    const former = isSame ? this.#former?.sections.get(name) : undefined;
    this.inputs.set(name, text);
    this.flows.set(name, former ?? ownedBy(owner, make()));
  }
}

function ownedBy(owner: FlowCookie, rules: readonly Rule[]): readonly Flow[] {
  const cookie = encodeCookie(owner);
  return rules.map((rule) => ({ cookie, ...rule }));
}

type Place = {
  readonly view: BridgeView;
  readonly networks: ReadonlyMap<number, NetworkView>;
  readonly ports: readonly BridgePort[];
};

function putShared(sections: Sections, { view, networks, ports }: Place): void {
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
  sections: Sections,
  { view, networks, ports, vifs }: Place & { readonly vifs: readonly PresentVif[] },
): void {
  for (const network of networks.values()) {
    const listed = vifs.filter(
      ({ endpoint }) => endpoint.vlan === network.vlan && endpoint.policy.mode !== "disabled",
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
      all: [...toPlain, ...listed.map(({ port }) => port)],
      infra: [...toHosts, ...listed.filter((vif) => vif.isInfra).map(({ port }) => port)],
      open: [...toPlain, ...open.map(({ port }) => port)],
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
      targets: routers.map(({ port }) => port),
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

/** The VIFs that have a port, in the order of their first ports. */
function presentVifs(
  { endpoints }: BridgeView,
  networks: ReadonlyMap<number, NetworkView>,
): readonly PresentVif[] {
  return endpoints
    .flatMap((endpoint): readonly PresentVif[] => {
      const [port] = endpoint.ofports;
      const network = networks.get(endpoint.vlan);
      return port === undefined || network === undefined
        ? []
        : [
            {
              ...{ endpoint, port, network, isInfra: isInfra(endpoint, network) },
              keys: targetKeys(endpoint, network),
            },
          ];
    })
    .toSorted((one, other) => one.port - other.port);
}

function isInfra(endpoint: BridgeEndpoint, { infra, infraMacs }: NetworkView): boolean {
  return (
    infraMacs.includes(endpoint.policy.mac) ||
    endpointAddresses(endpoint).some((address) =>
      infra.some((range) => !isPrefix(address) && rangesOverlap(address, range)),
    )
  );
}

/** Which VIFs take what is sent to a MAC, or asked for an address; the first of them owns the flow. */
function targetsOf(vifs: readonly PresentVif[]): Targets {
  const targets = new Map<string, number[]>();
  for (const vif of vifs) {
    for (const key of vif.keys) {
      const list = targets.get(key) ?? [];
      targets.set(key, list);
      list.push(vif.port);
    }
  }
  return targets;
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

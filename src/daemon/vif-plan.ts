/**
 * Which bridges are managed, which of their ports are VIFs and under which policy: a pure function
 * of the policies and of what the switch's database says.
 */
import {
  resolveBridge,
  type SwitchBridge,
  type SwitchInterface,
  type SwitchPort,
  type SwitchView,
} from "../host/switch-view.ts";
import type { MergedPolicies, Sourced } from "../metadata/merge-snapshots.ts";
import type { VifPolicy } from "../vifrules/policy.ts";
import { PolicyIndex, portNamesOf } from "./vif-policy-index.ts";

/** `external_ids` of an interface that say that it is a VIF. */
const VIF_IDS = ["attached-mac", "iface-id", "xs-vif-uuid"];

export type PlannedPort = {
  readonly name: string;
  /** Null: the switch has given it none, or not yet. */
  readonly ofport: number | null;
  /** Why the switch has not opened it. */
  readonly error: string | null;
  /** Null: it is about to be added. */
  readonly port: SwitchPort | null;
};

/** One endpoint: a VM's interface, with one port, or two when an HVM guest has `tap` and `vif`. */
export type PlannedVif = {
  /** Unique on this host: the port's name or the iface-id that its policy has. */
  readonly key: string;
  readonly name: string | null;
  readonly ifaceId: string | null;
  /** Null: quarantine. */
  readonly sourced: Sourced<VifPolicy> | null;
  /** The bridge that has its ports, or that its policy names; never a fake one. */
  readonly bridge: string | null;
  /** Its untagged frames' VLAN; 0: none. */
  readonly vlan: number;
  readonly ports: readonly PlannedPort[];
  /** Why the policy cannot be in force; the VIF is in quarantine then. */
  readonly failure: string | null;
};

export type PlannedBridge = {
  readonly bridge: SwitchBridge;
  readonly vifs: readonly PlannedVif[];
  /** The ports that are no VIF, without the bridge's own. */
  readonly others: readonly SwitchPort[];
};

export type VifPlan = {
  /** What it was made from; null: nothing is known. */
  readonly view: SwitchView | null;
  /** The managed bridges that there are, by name. */
  readonly bridges: ReadonlyMap<string, PlannedBridge>;
  /** Managed by name, but not there. */
  readonly missingBridges: readonly string[];
  /** Those that have a policy or a port on a managed bridge, by key. */
  readonly vifs: ReadonlyMap<string, PlannedVif>;
};

export type VifPlanInput = {
  readonly view: SwitchView;
  readonly policies: MergedPolicies;
  /** Bridges that were managed before. */
  readonly formerBridges: readonly string[];
  /** Names of ports that are VIFs, whatever their ids. */
  readonly vifPattern: RegExp;
  /** Ports that are about to be added, with the numbers they are to get. */
  readonly reserved: ReadonlyMap<string, number>;
};

export const EMPTY_PLAN: VifPlan = {
  view: null,
  bridges: new Map(),
  missingBridges: [],
  vifs: new Map(),
};

/** What people call it. */
export function nameOf({ ports, name, key }: PlannedVif): string {
  return ports[0]?.name ?? name ?? key;
}

export function planVifs(input: VifPlanInput): VifPlan {
  const { view } = input;
  const wanted = new Set([
    ...input.formerBridges,
    ...input.policies.vifs.map(({ policy }) => policy.bridge),
    ...input.policies.networks.map(({ policy }) => policy.bridge),
  ]);
  const managed = new Set<string>();
  const missingBridges: string[] = [];
  for (const name of wanted) {
    const resolved = resolveBridge(view, name);
    if (resolved === null) {
      missingBridges.push(name);
    } else {
      managed.add(resolved.bridge);
    }
  }
  const policies = new PolicyIndex(input.policies);
  const vifs = new Map<string, PlannedVif>();
  const others = new Map<string, SwitchPort[]>();
  for (const name of managed) {
    others.set(name, addPortsOf(view.bridges.get(name), { input, policies, vifs }));
  }
  addAbsent(vifs, { input, policies });
  const bridges = new Map<string, PlannedBridge>();
  for (const name of managed) {
    const bridge = view.bridges.get(name);
    if (bridge !== undefined) {
      bridges.set(name, { bridge, vifs: [], others: others.get(name) ?? [] });
    }
  }
  return { view, bridges: withVifs(bridges, vifs), missingBridges, vifs };
}

/** The VIFs that have a policy, while nobody can see the switch. */
export function planWithoutSwitch({ vifs }: MergedPolicies): readonly PlannedVif[] {
  return vifs.map((sourced) => ({
    key: policyKey(sourced.policy),
    name: sourced.policy.vif ?? null,
    ifaceId: sourced.policy.ifaceId ?? null,
    sourced,
    bridge: null,
    vlan: 0,
    ports: [],
    failure: null,
  }));
}

/** What a policy is about, as a key of {@link VifPlan.vifs}. */
export function policyKey({ vif, ifaceId }: VifPolicy): string {
  return vif ?? `iface-id ${ifaceId}`;
}

/** The id by which a policy may name the port of this interface. */
export function ifaceIdOf({ externalIds }: SwitchInterface): string | null {
  return externalIds.get("iface-id") ?? externalIds.get("xs-vif-uuid") ?? null;
}

/** Whether the port is a VIF by what it is, without regard to policies. */
function looksLikeVif(port: SwitchPort, vifPattern: RegExp): boolean {
  return (
    vifPattern.test(port.name) ||
    port.interfaces.some(({ externalIds }) => VIF_IDS.some((id) => externalIds.has(id)))
  );
}

/** Adds the bridge's VIFs, and returns its other ports. */
function addPortsOf(
  bridge: SwitchBridge | undefined,
  context: {
    readonly input: VifPlanInput;
    readonly policies: PolicyIndex;
    readonly vifs: Map<string, PlannedVif>;
  },
): SwitchPort[] {
  const others: SwitchPort[] = [];
  for (const port of bridge?.ports ?? []) {
    if (port.name === bridge?.name) {
      continue;
    }
    const [first, ...more] = port.interfaces;
    const sourced =
      first === undefined || more.length > 0 || port.fakeBridge
        ? null
        : context.policies.find(port.name, ifaceIdOf(first));
    if (sourced !== null || looksLikeVif(port, context.input.vifPattern)) {
      addVifPort(context.vifs, { port, sourced, view: context.input.view });
    } else {
      others.push(port);
    }
  }
  return others;
}

function addVifPort(
  vifs: Map<string, PlannedVif>,
  {
    port,
    sourced,
    view,
  }: {
    readonly port: SwitchPort;
    readonly sourced: Sourced<VifPolicy> | null;
    readonly view: SwitchView;
  },
): void {
  const [device] = port.interfaces;
  const planned: PlannedPort = {
    name: port.name,
    ofport: device?.ofport ?? null,
    error: device?.error ?? null,
    port,
  };
  const ifaceId = device === undefined ? null : ifaceIdOf(device);
  const resolved = sourced === null ? null : resolveBridge(view, sourced.policy.bridge);
  if (sourced === null || resolved?.bridge !== port.bridge) {
    const failure =
      sourced === null
        ? null
        : `it is on bridge ${port.bridge}, its policy says ${sourced.policy.bridge}`;
    const [bridge, vlan] = [port.bridge, 0];
    const base = { key: port.name, name: port.name, ifaceId, bridge, vlan, failure };
    // Two ports of one VIF on two bridges: each is denied by itself.
    vifs.set(port.name, { ...base, sourced, ports: [planned] });
    return;
  }
  const key = policyKey(sourced.policy);
  const former = vifs.get(key);
  vifs.set(key, {
    key,
    name: sourced.policy.vif ?? former?.name ?? port.name,
    ifaceId: sourced.policy.ifaceId ?? former?.ifaceId ?? ifaceId,
    sourced,
    bridge: port.bridge,
    vlan: sourced.policy.vlan.tag || (resolved.vlan ?? 0),
    ports: [...(former?.ports ?? []), planned],
    failure: null,
  });
}

/** The policies of VIFs that have no port, or one that is about to be added. */
function addAbsent(
  vifs: Map<string, PlannedVif>,
  { input, policies }: { readonly input: VifPlanInput; readonly policies: PolicyIndex },
): void {
  for (const { policy } of input.policies.vifs) {
    const key = policyKey(policy);
    const present = vifs.get(key);
    const coming = comingPorts(policy, present?.ports ?? [], input.reserved);
    if (present === undefined) {
      vifs.set(key, absentVif(policy, { coming, input, policies }));
    } else if (coming.length > 0 && present.failure === null) {
      vifs.set(key, { ...present, ports: [...present.ports, ...coming] });
    }
  }
}

function absentVif(
  policy: VifPolicy,
  {
    coming,
    input,
    policies,
  }: {
    readonly coming: readonly PlannedPort[];
    readonly input: VifPlanInput;
    readonly policies: PolicyIndex;
  },
): PlannedVif {
  const resolved = resolveBridge(input.view, policy.bridge);
  return {
    key: policyKey(policy),
    name: policy.vif ?? null,
    ifaceId: policy.ifaceId ?? null,
    sourced: policies.find(policy.vif ?? "", policy.ifaceId ?? null),
    bridge: resolved?.bridge ?? null,
    vlan: policy.vlan.tag || (resolved?.vlan ?? 0),
    ports: coming,
    failure: resolved === null ? `there is no bridge ${policy.bridge}` : null,
  };
}

function comingPorts(
  policy: VifPolicy,
  present: readonly PlannedPort[],
  reserved: ReadonlyMap<string, number>,
): readonly PlannedPort[] {
  const names = policy.vif === undefined ? [] : portNamesOf(policy.vif);
  return names.flatMap((name): PlannedPort[] => {
    const ofport = reserved.get(name);
    const isThere = present.some((port) => port.name === name);
    return ofport === undefined || isThere ? [] : [{ name, ofport, error: null, port: null }];
  });
}

function withVifs(
  bridges: ReadonlyMap<string, PlannedBridge>,
  vifs: ReadonlyMap<string, PlannedVif>,
): ReadonlyMap<string, PlannedBridge> {
  const lists = new Map<string, PlannedVif[]>();
  for (const vif of vifs.values()) {
    if (vif.bridge !== null) {
      const list = lists.get(vif.bridge) ?? [];
      list.push(vif);
      lists.set(vif.bridge, list);
    }
  }
  return new Map(
    [...bridges].map(([name, planned]) => [name, { ...planned, vifs: lists.get(name) ?? [] }]),
  );
}

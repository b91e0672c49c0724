/** From the plan of a bridge to its flows: names become port numbers and VLANs. */
import { resolveBridge, type SwitchInterface, type SwitchPort } from "../host/switch-view.ts";
import type { MergedPolicies } from "../metadata/merge-snapshots.ts";
import type { IpAddress } from "../net/ip-address.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import type { CookieMask } from "../openflow/flow.ts";
import { LOCAL_PORT } from "../openflow/match.ts";
import { BridgePlanner } from "../vifrules/bridge-flows.ts";
import type {
  BridgeEndpoint,
  BridgePort,
  BridgeView,
  GroupMembers,
  PortVlans,
} from "../vifrules/bridge-rules.ts";
import { encodeCookie } from "../vifrules/cookie.ts";
import { groupMembers } from "../vifrules/groups.ts";
import type { NetworkPolicy } from "../vifrules/policy.ts";
import type { BridgeDesire } from "./vif-bridge.ts";
import type { PlannedBridge, PlannedVif, VifPlan } from "./vif-plan.ts";

/** Raised when flows of an older version must not be taken for ours. */
const GENERATION = 1;
/** Kind and port; of any generation. */
const VIF_MASK = 0xffff_0000_ffff_ffffn;

/** The flows of the VIF whose first port this is. */
export function cookiesOf(ofport: number): CookieMask {
  return { cookie: encodeCookie({ kind: "vif", generation: 0, ofport }), mask: VIF_MASK };
}

/** The host's addresses on one of its devices; null when there is no such device. */
export type AddressesOf = (device: string) => readonly IpAddress[] | null;

type FlowContext = { readonly plan: VifPlan; readonly policies: MergedPolicies };

/** Plans the flows of bridges, each from what was planned for it before. */
export class FlowPlanner {
  readonly #planners = new Map<string, BridgePlanner>();
  /** By the VIF's key: one that is as before is the same value, so that its flows are not looked at. */
  #endpoints = new Map<string, BridgeEndpoint>();
  #groups: GroupMembers = new Map();
  readonly #addressesOf: AddressesOf;

  constructor(addressesOf: AddressesOf) {
    this.#addressesOf = addressesOf;
  }

  desire(bridge: PlannedBridge, context: FlowContext): BridgeDesire {
    const { name } = bridge.bridge;
    const view = this.#viewOf(bridge, context);
    const planner = this.#planners.get(name) ?? new BridgePlanner();
    this.#planners.set(name, planner);
    const flows = planner.plan(view);
    return {
      ...{ sections: flows.sections, floods: floodsOf(view, flows.noFloodPorts) },
      learning: flows.learningPorts,
    };
  }

  #viewOf(planned: PlannedBridge, { plan, policies }: FlowContext): BridgeView {
    const addressesOf = this.#addressesOf;
    const networks = networksOf(planned, { plan, policies });
    const uplinks = new Set([...networks.values()].flatMap((network) => network.uplinks));
    const known = [...plan.vifs.values()].flatMap(({ sourced }) => sourced?.policy ?? []);
    const groups = groupMembers(
      policies.groups.map(({ policy }) => policy),
      known,
    );
    this.#groups = keepSameLists(this.#groups, groups);
    return {
      endpoints: this.#endpointsOf(planned, plan),
      ports: [
        ...planned.vifs.flatMap(quarantinedPorts),
        ...planned.others.flatMap((port) => portsOf(port, { uplinks, addressesOf })),
        ...localPort(planned, addressesOf),
      ],
      networks,
      groups: this.#groups,
      generation: GENERATION,
    };
  }

  #endpointsOf({ vifs }: PlannedBridge, plan: VifPlan): readonly BridgeEndpoint[] {
    if (this.#endpoints.size > 2 * plan.vifs.size) {
      this.#endpoints = new Map([...this.#endpoints].filter(([key]) => plan.vifs.has(key)));
    }
    return vifs.flatMap((vif) => {
      const endpoint = endpointOf(vif);
      const former = this.#endpoints.get(vif.key);
      if (endpoint === null || (former !== undefined && isSameEndpoint(former, endpoint))) {
        return endpoint === null ? [] : (former ?? []);
      }
      this.#endpoints.set(vif.key, endpoint);
      return endpoint;
    });
  }
}

/** The former lists where the new ones say the same. */
function keepSameLists(former: GroupMembers, now: GroupMembers): GroupMembers {
  return new Map(
    Array.from(now, ([name, members]) => {
      const before = former.get(name);
      return [name, before !== undefined && isSameList(before, members) ? before : members];
    }),
  );
}

function floodsOf({ ports }: BridgeView, out: readonly number[]): BridgeDesire["floods"] {
  const closed = new Set(out);
  return { out, into: ports.flatMap(({ ofport }) => (closed.has(ofport) ? [] : [ofport])) };
}

function networksOf(
  { bridge }: PlannedBridge,
  { plan, policies }: FlowContext,
): ReadonlyMap<number, NetworkPolicy> {
  const networks = new Map<number, NetworkPolicy>();
  for (const { policy } of policies.networks) {
    const resolved = plan.view === null ? null : resolveBridge(plan.view, policy.bridge);
    const vlan = policy.vlan || (resolved?.vlan ?? 0);
    // Of a fake bridge and of its parent's VLAN, the more trusted one is named first.
    if (resolved?.bridge === bridge.name && !networks.has(vlan)) {
      networks.set(vlan, policy);
    }
  }
  return networks;
}

function endpointOf({ sourced, failure, ports, vlan }: PlannedVif): BridgeEndpoint | null {
  if (sourced === null || failure !== null) {
    return null;
  }
  const ofports = ports.flatMap(({ ofport }) => ofport ?? []);
  return { policy: sourced.policy, ofports, vlan, generation: GENERATION, log: null };
}

function isSameEndpoint(one: BridgeEndpoint, other: BridgeEndpoint): boolean {
  return (
    one.policy === other.policy && one.vlan === other.vlan && isSameList(one.ofports, other.ofports)
  );
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

function quarantinedPorts({ sourced, failure, ports }: PlannedVif): readonly BridgePort[] {
  if (sourced !== null && failure === null) {
    return [];
  }
  return ports.flatMap(({ ofport, port }): BridgePort[] => {
    const mac = port?.interfaces[0]?.externalIds.get("attached-mac");
    return ofport === null
      ? []
      : [{ kind: "quarantine", ofport, mac: readMac(mac), generation: GENERATION }];
  });
}

/** Others wrote it: what is no address is as good as none. */
function readMac(text: string | undefined): ReturnType<typeof parseMacAddress> | null {
  try {
    return text === undefined ? null : parseMacAddress(text);
  } catch {
    return null;
  }
}

function portsOf(
  port: SwitchPort,
  { uplinks, addressesOf }: { uplinks: ReadonlySet<string>; addressesOf: AddressesOf },
): readonly BridgePort[] {
  const vlans = vlansOf(port);
  return port.interfaces.flatMap((device): BridgePort[] => {
    const { ofport, mac, type } = device;
    if (ofport === null) {
      return [];
    }
    const isNamed = uplinks.has(port.name) || uplinks.has(device.name);
    if (isNamed) {
      return [{ kind: "uplink", ofport, vlans, takesFloods: takesFloods(port, device) }];
    }
    // A device of this host's own, such as that of a fake bridge.
    if (type === "internal" && mac !== null) {
      return [{ kind: "host", ofport, mac, vlans, ...addressesAt(device.name, addressesOf) }];
    }
    return uplinks.size > 0
      ? [{ kind: "other", ofport, vlans }]
      : [{ kind: "uplink", ofport, vlans, takesFloods: takesFloods(port, device) }];
  });
}

/** With active-backup and SLB, the switch takes floods from the active member alone. */
function takesFloods(port: SwitchPort, device: SwitchInterface): boolean {
  const isAlone = port.interfaces.length === 1 || port.bondMode === "balance-tcp";
  return isAlone || port.bondActiveMac === null || port.bondActiveMac === device.mac;
}

function localPort({ bridge }: PlannedBridge, addressesOf: AddressesOf): readonly BridgePort[] {
  const own = bridge.ports.find((port) => port.name === bridge.name);
  const mac = own?.interfaces[0]?.mac ?? null;
  return own === undefined || mac === null
    ? []
    : [
        {
          ...{ kind: "host", ofport: LOCAL_PORT, mac, vlans: vlansOf(own) },
          ...addressesAt(bridge.name, addressesOf),
        },
      ];
}

/** Nothing is said of a device that the kernel does not have: a switch of tests has such ones. */
function addressesAt(
  device: string,
  addressesOf: AddressesOf,
): { readonly addresses?: readonly IpAddress[] } {
  const addresses = addressesOf(device);
  return addresses === null ? {} : { addresses };
}

/** ovs-vswitchd.conf.db(5), "VLAN Configuration". */
function vlansOf({ tag, vlanMode, trunks }: SwitchPort): PortVlans {
  const mode = vlanMode ?? (tag === null ? "trunk" : "access");
  if (mode === "access" || mode === "dot1q-tunnel") {
    return { untagged: tag ?? 0, tagged: [] };
  }
  return {
    untagged: mode === "native-untagged" ? (tag ?? 0) : 0,
    tagged: trunks.length === 0 ? "all" : trunks,
  };
}

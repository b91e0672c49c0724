/** From the plan of a bridge to its flows: names become port numbers and VLANs. */
import { resolveBridge, type SwitchInterface, type SwitchPort } from "../host/switch-view.ts";
import type { MergedPolicies } from "../metadata/merge-snapshots.ts";
import type { IpAddress } from "../net/ip-address.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import type { CookieMask } from "../openflow/flow.ts";
import { LOCAL_PORT } from "../openflow/match.ts";
import { planBridgeFlows } from "../vifrules/bridge-flows.ts";
import type {
  BridgeEndpoint,
  BridgeFlows,
  BridgePort,
  BridgeView,
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

/** Plans the flows of bridges, each from what was planned for it before. */
export class FlowPlanner {
  readonly #former = new Map<string, BridgeFlows>();
  readonly #addressesOf: AddressesOf;

  constructor(addressesOf: AddressesOf) {
    this.#addressesOf = addressesOf;
  }

  desire(
    bridge: PlannedBridge,
    context: { readonly plan: VifPlan; readonly policies: MergedPolicies },
  ): BridgeDesire {
    const { name } = bridge.bridge;
    const view = viewOf(bridge, context, this.#addressesOf);
    const flows = planBridgeFlows(view, this.#former.get(name));
    this.#former.set(name, flows);
    return {
      ...{ sections: flows.sections, noFlood: flows.noFloodPorts },
      learning: flows.learningPorts,
    };
  }
}

function viewOf(
  planned: PlannedBridge,
  { plan, policies }: { readonly plan: VifPlan; readonly policies: MergedPolicies },
  addressesOf: AddressesOf,
): BridgeView {
  const networks = networksOf(planned, { plan, policies });
  const uplinks = new Set([...networks.values()].flatMap((network) => network.uplinks));
  const known = [...plan.vifs.values()].flatMap(({ sourced }) => sourced?.policy ?? []);
  return {
    endpoints: planned.vifs.flatMap(endpointOf),
    ports: [
      ...planned.vifs.flatMap(quarantinedPorts),
      ...planned.others.flatMap((port) => portsOf(port, { uplinks, addressesOf })),
      ...localPort(planned, addressesOf),
    ],
    networks,
    groups: groupMembers(
      policies.groups.map(({ policy }) => policy),
      known,
    ),
    generation: GENERATION,
  };
}

function networksOf(
  { bridge }: PlannedBridge,
  { plan, policies }: { readonly plan: VifPlan; readonly policies: MergedPolicies },
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

function endpointOf({ sourced, failure, ports, vlan }: PlannedVif): readonly BridgeEndpoint[] {
  if (sourced === null || failure !== null) {
    return [];
  }
  const ofports = ports.flatMap(({ ofport }) => ofport ?? []);
  return [{ policy: sourced.policy, ofports, vlan, generation: GENERATION, log: null }];
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

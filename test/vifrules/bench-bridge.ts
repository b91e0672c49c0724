/**
 * The bridge on which the pipeline is judged: VIFs in every mode, a gateway and a stranger behind
 * the uplink, the host itself. The cases of spoof-cases.ts are about these.
 */
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { type MacAddress, parseMacAddress } from "../../src/net/mac-address.ts";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import type { BridgeEndpoint, BridgePort, BridgeView } from "../../src/vifrules/bridge-rules.ts";
import { groupMembers } from "../../src/vifrules/groups.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import {
  readGroupPolicy,
  readNetworkPolicy,
  readVifPolicy,
} from "../../src/vifrules/policy-document.ts";

export const UPLINK = 14;
export const QUARANTINED = 19;
export const GATEWAY_MAC = parseMacAddress("02:00:00:00:00:14");
export const GATEWAY_IP = parseIpAddress("10.0.0.1");
const HOST_IPS = ["10.0.0.54", "fd00::54"].map(parseIpAddress);
export const HOST_MAC = parseMacAddress("02:00:00:00:00:54");

/** The number of a VIF is its port, and the end of its MAC and its addresses. */
export function macOf(ofport: number): MacAddress {
  return parseMacAddress(`02:00:00:00:00:${String(ofport).padStart(2, "0")}`);
}

export function vifPolicy(ofport: number, changes: object): VifPolicy {
  return readVifPolicy({
    ...{ vif: `vif${ofport}.0`, bridge: "br0", mac: macOf(ofport) },
    ...{ ipv4: [`10.0.0.${ofport}`], ipv6: [`fd00::${ofport}`] },
    ...changes,
  });
}

export function endpoint(policy: VifPolicy, changes: Partial<BridgeEndpoint> = {}): BridgeEndpoint {
  const ofport = Number(/\d+/.exec(policy.vif ?? "")?.[0]);
  return { policy, ofports: [ofport], vlan: policy.vlan.tag, generation: 1, log: null, ...changes };
}

/** @param vif what the policy of the VIF that is judged says; null: it has none */
export function view(
  changes: Partial<BridgeView> = {},
  vif: object | null = { mode: "isolated" },
): BridgeView {
  const policies = [
    ...(vif === null ? [] : [vifPolicy(10, { groups: ["web"], ...vif })]),
    vifPolicy(11, { mode: "isolated", groups: ["web"] }),
    vifPolicy(12, { mode: "isolated", groups: ["db"] }),
    vifPolicy(13, { mode: "locked" }),
    vifPolicy(15, { mode: "unlocked" }),
    vifPolicy(16, { mode: "disabled" }),
  ];
  const network = readNetworkPolicy({
    ...{ bridge: "br0", internal: ["10.0.0.0/24", "fd00::/64"], uplinks: ["p14"] },
    infra: { ipv4: [GATEWAY_IP], ipv6: ["fd00::1"], macs: [GATEWAY_MAC] },
  });
  const groups = [readGroupPolicy({ group: "web", members: ["10.0.0.20", "fd00::20"] })];
  return {
    endpoints: policies.map((policy) => endpoint(policy)),
    ports: vif === null ? [...PORTS, quarantined(10)] : PORTS,
    networks: new Map([[0, network]]),
    groups: groupMembers(groups, policies),
    generation: 1,
    ...changes,
  };
}

const ALL_VLANS = { untagged: 0, tagged: "all" } as const;

function quarantined(ofport: number): BridgePort {
  return { kind: "quarantine", ofport, mac: macOf(ofport), generation: 1 };
}

export const PORTS: readonly BridgePort[] = [
  { kind: "uplink", ofport: UPLINK, vlans: ALL_VLANS, takesFloods: true },
  { kind: "host", ofport: LOCAL_PORT, mac: HOST_MAC, vlans: ALL_VLANS, addresses: HOST_IPS },
  quarantined(QUARANTINED),
];

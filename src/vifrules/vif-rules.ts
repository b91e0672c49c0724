/** All that one VIF has in the tables. */
import type { Action } from "../openflow/action.ts";
import { admitRules } from "./admit-rules.ts";
import type { BridgeEndpoint } from "./bridge-rules.ts";
import { ownMacRules, vifClassifyRules } from "./classify-rules.ts";
import { deliverRules, dropRules, trunkRules } from "./deliver-rules.ts";
import { ownDestinationRules } from "./destination-rules.ts";
import { type DropReason, dropReasonNumber } from "./drop-reason.ts";
import { membershipRules } from "./groups.ts";
import type { NetworkView } from "./network-view.ts";
import type { AddressRange } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { roleRules } from "./role-rules.ts";
import type { Rule } from "./rule.ts";
import { sourceRules } from "./source-rules.ts";
import { macRule, questionRule } from "./switch-rules.ts";

/** What of a dropped frame is sent to us, in octets. */
const LOGGED_OCTETS = 128;

/** A VIF that has a port. */
export type PresentVif = {
  readonly endpoint: BridgeEndpoint;
  /** Its first port: its number in the registers. */
  readonly port: number;
  /** That of its frames without a tag. */
  readonly network: NetworkView;
  /** Those of its frames with tags. */
  readonly trunks: readonly NetworkView[];
  /** Networks that list it as infrastructure, by its MAC or by an address. */
  readonly infraNets: readonly number[];
  /** `targetKeys` of it. */
  readonly keys: readonly string[];
};

/** By `targetKeys`: VIFs that share a MAC or an address share one flow. */
export type Targets = ReadonlyMap<string, readonly number[]>;

export type VifContext = {
  readonly uplinks: readonly number[];
  /** Of its groups. */
  readonly numbers: readonly number[];
  readonly targets: Targets;
};

/** What the VIF is a target for: its MAC (a disabled VIF is, so that it gets nothing), addresses. */
export function targetKeys(
  endpoint: BridgeEndpoint,
  networks: readonly NetworkView[],
): readonly string[] {
  const { mac, mode } = endpoint.policy;
  const addresses = askedFor(endpoint);
  const keys = networks.flatMap(({ net }) => [
    ...(mode === "disabled" ? [] : [`${net} ${mac}`]),
    ...addresses.map((ip) => `${net} ${ip}`),
  ]);
  return [`own ${mac}`, ...keys];
}

/** Addresses that a question from the outside is for this VIF alone for. */
function askedFor({ policy }: BridgeEndpoint): readonly AddressRange[] {
  const isLocked = policy.mode === "locked" || policy.mode === "isolated";
  return isLocked ? policy.ipv4.filter((address) => !isPrefix(address)) : [];
}

export function vifRules(vif: PresentVif, context: VifContext): readonly Rule[] {
  const { endpoint, port, network, trunks, infraNets } = vif;
  const { policy, ofports } = endpoint;
  const { mode } = policy;
  const drop = (reason: DropReason): readonly Action[] => dropActions(endpoint, reason);
  const isVerified = mode === "locked" || mode === "isolated";
  const classified = ofports.flatMap((ofport) =>
    vifClassifyRules(policy, ofport, { network, trunks, source: port, drop }),
  );
  const rules = [...classified, ...switchRules(vif, context)];
  if (mode === "disabled") {
    return rules;
  }
  return [
    ...rules,
    ...(isVerified ? [...sourceRules(policy, port, drop), ...roleRules(policy, port)] : []),
    ...(mode === "isolated" ? ownDestinationRules(policy, port) : []),
    ...membershipRules(policy, port, context.numbers),
    ...admitRules(policy, port, { infraNets, isPair: ofports.length > 1 }),
    ...deliverRules(port, ofports),
    ...trunks.flatMap((trunk) => trunkRules(port, ofports, trunk)),
    ...dropRules(mode, port, drop),
  ];
}

/** Its MAC and its addresses as destinations, where it is the first one that has them. */
function switchRules(vif: PresentVif, context: VifContext): readonly Rule[] {
  const { mac } = vif.endpoint.policy;
  const isFirst = context.targets.get(`own ${mac}`)?.[0] === vif.port;
  return [
    ...[vif.network, ...vif.trunks].flatMap((network) => networkRules(vif, network, context)),
    ...(isFirst ? ownMacRules(mac, context.uplinks) : []),
  ];
}

function networkRules(
  { endpoint, port }: PresentVif,
  network: NetworkView,
  { targets }: VifContext,
): readonly Rule[] {
  const { mac } = endpoint.policy;
  const isFirst = (key: string): boolean => targets.get(key)?.[0] === port;
  const key = `${network.net} ${mac}`;
  const takers = targets.get(key) ?? [];
  // A disabled VIF's MAC is nobody's, unless another VIF has it too.
  const isMine = takers.length === 0 ? isFirst(`own ${mac}`) : isFirst(key);
  return [
    ...(isMine ? [macRule(network, mac, takers)] : []),
    ...askedFor(endpoint)
      .filter((address) => isFirst(`${network.net} ${address}`))
      .map((address) =>
        questionRule(network, address, targets.get(`${network.net} ${address}`) ?? []),
      ),
  ];
}

function dropActions({ log, ofports }: BridgeEndpoint, reason: DropReason): readonly Action[] {
  if (log === null) {
    return [];
  }
  const { meterId } = log;
  const userdata =
    [0x76, dropReasonNumber(reason)].map(hexOctet).join("") + hexPort(ofports[0] ?? 0);
  const action = { kind: "controller", maxBytes: LOGGED_OCTETS, userdata } as const;
  return [meterId === undefined ? action : { ...action, meterId }];
}

function hexOctet(value: number): string {
  return value.toString(16).padStart(2, "0");
}

function hexPort(ofport: number): string {
  return ofport.toString(16).padStart(4, "0");
}

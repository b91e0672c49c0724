/** All that one VIF has in the tables. */
import type { Action } from "../openflow/action.ts";
import { admitRules } from "./admit-rules.ts";
import type { BridgeEndpoint } from "./bridge-rules.ts";
import { ownMacRules, vifClassifyRules } from "./classify-rules.ts";
import { deliverRules, dropRules } from "./deliver-rules.ts";
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
  readonly network: NetworkView;
  /** It is listed as infrastructure, by its MAC or by an address. */
  readonly isInfra: boolean;
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
export function targetKeys(endpoint: BridgeEndpoint, network: NetworkView): readonly string[] {
  const { mac, mode } = endpoint.policy;
  const active = mode === "disabled" ? [] : [`${network.net} ${mac}`];
  return [...active, `own ${mac}`, ...askedFor(endpoint).map((ip) => `${network.net} ${ip}`)];
}

/** Addresses that a question from the outside is for this VIF alone for. */
function askedFor({ policy }: BridgeEndpoint): readonly AddressRange[] {
  const isLocked = policy.mode === "locked" || policy.mode === "isolated";
  return isLocked ? policy.ipv4.filter((address) => !isPrefix(address)) : [];
}

export function vifRules(vif: PresentVif, context: VifContext): readonly Rule[] {
  const { endpoint, port, network, isInfra } = vif;
  const { policy, ofports, vlan } = endpoint;
  const { mode } = policy;
  const drop = (reason: DropReason): readonly Action[] => dropActions(endpoint, reason);
  const isVerified = mode === "locked" || mode === "isolated";
  const classified = ofports.flatMap((ofport) =>
    vifClassifyRules(policy, ofport, { network, vlan, source: port, drop }),
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
    ...admitRules(policy, port, { isInfra, isPair: ofports.length > 1 }),
    ...deliverRules(port, ofports),
    ...dropRules(mode, port, drop),
  ];
}

/** Its MAC and its addresses as destinations, where it is the first one that has them. */
function switchRules(
  { endpoint, port, network }: PresentVif,
  { uplinks, targets }: VifContext,
): readonly Rule[] {
  const { mac } = endpoint.policy;
  const isFirst = (key: string): boolean => targets.get(key)?.[0] === port;
  const key = `${network.net} ${mac}`;
  const takers = targets.get(key) ?? [];
  // A disabled VIF's MAC is nobody's, unless another VIF has it too.
  const isMine = takers.length === 0 ? isFirst(`own ${mac}`) : isFirst(key);
  return [
    ...(isMine ? [macRule(network, mac, takers)] : []),
    ...(isFirst(`own ${mac}`) ? ownMacRules(mac, uplinks) : []),
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

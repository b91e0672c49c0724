/**
 * The difference between what the data plane should do and what it does, as the commands that
 * make them one. Run again after they are done, it gives none.
 */
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { DataplaneAnswer, DataplaneCommand } from "./dataplane-messages.ts";
import type { PinnedVif } from "./desired-state.ts";

type Command<Kind extends DataplaneCommand["kind"]> = Extract<
  DataplaneCommand,
  { readonly kind: Kind }
>;
type Answer<Kind extends DataplaneAnswer["kind"]> = Extract<
  DataplaneAnswer,
  { readonly kind: Kind }
>;

/** What the data plane should do. */
export type DataplaneTarget = {
  /** Null: leave the underlay as it is, because none was found yet. */
  readonly underlay: Command<"set-underlay"> | null;
  readonly ages: Command<"set-ages">;
  readonly vnets: readonly Command<"set-vnet">[];
  readonly peers: readonly Endpoint[];
  readonly pinnedVifs: readonly PinnedVif[];
};

/** What it does, as its listings say. */
export type AppliedState = {
  readonly underlay: Answer<"underlay-state"> | null;
  readonly ages: Answer<"ages-state"> | null;
  readonly vnets: readonly Answer<"vnet-state">[];
  readonly peers: readonly Answer<"peer-state">[];
  readonly vifs: readonly Answer<"vif-entry">[];
};

/** In the order to send them: places are freed before they are taken. */
export function planDataplane(
  target: DataplaneTarget,
  applied: AppliedState,
): readonly DataplaneCommand[] {
  const wanted = new Map(target.vnets.map((vnet) => [vnet.vnet, vnet]));
  // A vnet that changes its TAP is made anew: another one may be about to take the old TAP.
  const kept = new Set(
    applied.vnets
      .filter(({ vnet, deviceName }) => wanted.get(vnet)?.deviceName === deviceName)
      .map(({ vnet }) => vnet),
  );
  return [
    ...planUnderlay(target, applied),
    ...planAges(target, applied),
    ...applied.vnets
      .filter(({ vnet }) => !kept.has(vnet))
      .map(({ vnet }): DataplaneCommand => ({ kind: "delete-vnet", vnet })),
    ...planPeerDeletions(target, applied),
    ...planVnets(target, applied),
    ...planPeerAdditions(target, applied),
    ...planVifs(target, { ...applied, vifs: applied.vifs.filter(({ vnet }) => kept.has(vnet)) }),
  ];
}

function planUnderlay({ underlay }: DataplaneTarget, applied: AppliedState): DataplaneCommand[] {
  return underlay === null ||
    (applied.underlay !== null && sameUnderlay(underlay, applied.underlay))
    ? []
    : [underlay];
}

function planAges({ ages }: DataplaneTarget, applied: AppliedState): DataplaneCommand[] {
  const same =
    applied.ages !== null &&
    ages.fdbTtlMs === applied.ages.fdbTtlMs &&
    ages.vifTtlMs === applied.ages.vifTtlMs &&
    ages.refreshAfterMs === applied.ages.refreshAfterMs;
  return same ? [] : [ages];
}

function planVnets({ vnets }: DataplaneTarget, applied: AppliedState): DataplaneCommand[] {
  const states = new Map(applied.vnets.map((state) => [state.vnet, state]));
  return vnets.filter((vnet) => {
    const state = states.get(vnet.vnet);
    return state === undefined || !state.attached || !sameVnet(vnet, state);
  });
}

function planPeerDeletions({ peers }: DataplaneTarget, applied: AppliedState): DataplaneCommand[] {
  const wanted = new Set(peers.map(formatEndpoint));
  return applied.peers.flatMap(({ host }): DataplaneCommand[] =>
    host === null || wanted.has(formatEndpoint(host)) ? [] : [{ kind: "delete-peer", host }],
  );
}

function planPeerAdditions({ peers }: DataplaneTarget, applied: AppliedState): DataplaneCommand[] {
  const present = new Set(applied.peers.map(({ host }) => host && formatEndpoint(host)));
  return peers
    .filter((host) => !present.has(formatEndpoint(host)))
    .map((host): DataplaneCommand => ({ kind: "set-peer", host }));
}

function planVifs({ pinnedVifs, vnets }: DataplaneTarget, applied: AppliedState) {
  const carried = new Set(vnets.map(({ vnet }) => vnet));
  const pins = pinnedVifs.filter(({ vnet }) => carried.has(vnet));
  const wanted = new Set(pins.map(vifKey));
  const present = applied.vifs.filter(({ pinned }) => pinned);
  const presentKeys = new Set(present.map(vifKey));
  const deletions = present.filter((vif) => !wanted.has(vifKey(vif)));
  const additions = pins.filter((vif) => !presentKeys.has(vifKey(vif)));
  return [
    ...deletions.map(({ vnet, mac }): DataplaneCommand => ({ kind: "delete-vif", vnet, mac })),
    ...additions.map(({ vnet, mac }): DataplaneCommand => ({ kind: "pin-vif", vnet, mac })),
  ];
}

function sameUnderlay(wanted: Command<"set-underlay">, state: Answer<"underlay-state">): boolean {
  return (
    wanted.deviceIndex === state.deviceIndex &&
    wanted.mtuBytes === state.mtuBytes &&
    wanted.sourceAddress4 === state.sourceAddress4 &&
    wanted.sourceAddress6 === state.sourceAddress6 &&
    wanted.group4 === state.group4 &&
    wanted.group6 === state.group6 &&
    wanted.multicastTtl === state.multicastTtl &&
    wanted.multicast === state.multicast &&
    sameSet(localPrefixes(wanted), localPrefixes(state)) &&
    sameSet(wanted.guestSideDevices, state.guestSideDevices)
  );
}

/** Each address with its prefix length, which stands at the same place of the other list. */
function localPrefixes({
  localAddresses,
  localPrefixLengths,
}: Command<"set-underlay"> | Answer<"underlay-state">): readonly string[] {
  return localAddresses.map((address, index) => `${address}/${localPrefixLengths[index]}`);
}

function sameVnet(wanted: Command<"set-vnet">, state: Answer<"vnet-state">): boolean {
  return (
    wanted.deviceName === state.deviceName &&
    wanted.encapsulation === state.encapsulation &&
    wanted.mtuBytes === state.mtuBytes &&
    wanted.fdbLimit === state.fdbLimit &&
    wanted.vifLimit === state.vifLimit &&
    wanted.security === state.security
  );
}

/** The order of addresses and devices has no meaning, nor has saying one twice. */
function sameSet<T>(one: readonly T[], other: readonly T[]): boolean {
  const left = new Set(one);
  const right = new Set(other);
  return left.size === right.size && [...left].every((item) => right.has(item));
}

function vifKey({ vnet, mac }: PinnedVif): string {
  return `${vnet} ${mac}`;
}

/**
 * What this host is to carry, as its operators said: vnets, peers, pinned vifs, the multicast
 * group. It is what is stored; everything learned is not. Each change is a pure function, and
 * either makes a new state or says why not.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import { isMulticastIp } from "../net/ip-address.ts";
import { isUnicastMac, type MacAddress } from "../net/mac-address.ts";
import { ParseError } from "../net/parse-error.ts";
import {
  ALL_VNETS,
  isReservedVnetId,
  parseVnetId,
  shortVnetId,
  type VnetId,
} from "../net/vnet-id.ts";
import type { VnetConfig } from "./vnet-config.ts";

export type PeerConfig = {
  readonly endpoint: Endpoint;
  /** The host name that was given, or null when an address was. */
  readonly name: string | null;
};

/** A local MAC that does not age. */
export type PinnedVif = { readonly vnet: VnetId; readonly mac: MacAddress };

export type DesiredState = {
  readonly vnets: readonly VnetConfig[];
  readonly peers: readonly PeerConfig[];
  readonly pinnedVifs: readonly PinnedVif[];
  /** Set by `varp.mcaddr`; null: as configured. */
  readonly multicastGroup: IpAddress | null;
};

export type DesiredProblemCode =
  | "VNETD_RESERVED_VNET_ID"
  | "VNETD_VNET_EXISTS"
  | "VNETD_UNKNOWN_VNET"
  | "VNETD_NAME_TAKEN"
  | "VNETD_VIF_EXISTS"
  | "VNETD_UNKNOWN_VIF"
  | "VNETD_PEER_EXISTS"
  | "VNETD_UNKNOWN_PEER"
  | "VNETD_PARSE"
  | "VNETD_LIMIT";

/** `message` is a whole sentence without "Cannot …: " before it; `value` is already in it. */
export type DesiredChange =
  | { readonly kind: "changed"; readonly state: DesiredState }
  | { readonly kind: "refused"; readonly code: DesiredProblemCode; readonly message: string };

export const EMPTY_DESIRED_STATE: DesiredState = {
  vnets: [],
  peers: [],
  pinnedVifs: [],
  multicastGroup: null,
};

/** Bounds on what is stored and replayed; far above what one host was seen to need. */
export const VNETS_MAX = 16_384;
export const PEERS_MAX = 1024;
export const PINNED_VIFS_PER_VNET_MAX = 1024;

/** Adds all of `added`, or none. */
export function addVnets(state: DesiredState, added: readonly VnetConfig[]): DesiredChange {
  const vnets = [...state.vnets];
  const ids = new Set(vnets.map(({ id }) => id));
  const owners = new Map(vnets.flatMap(ownedNames));
  for (const vnet of added) {
    const problem = findVnetProblem(vnet, ids, owners);
    if (problem !== null) {
      return problem;
    }
    vnets.push(vnet);
    ids.add(vnet.id);
    for (const [name, owner] of ownedNames(vnet)) {
      owners.set(name, owner);
    }
  }
  if (vnets.length > VNETS_MAX) {
    return refuse("VNETD_LIMIT", `a host has at most ${VNETS_MAX} vnets`);
  }
  return changed({ ...state, vnets });
}

/** Deletes all of `ids` with their pinned vifs, or none. */
export function deleteVnets(state: DesiredState, ids: readonly VnetId[]): DesiredChange {
  const deleted = new Set(ids);
  const missing = ids.find((id) => !state.vnets.some((vnet) => vnet.id === id));
  if (missing !== undefined) {
    return unknownVnet(missing);
  }
  return changed({
    ...state,
    vnets: state.vnets.filter(({ id }) => !deleted.has(id)),
    pinnedVifs: state.pinnedVifs.filter(({ vnet }) => !deleted.has(vnet)),
  });
}

/** The vnet with that id, or with that vnet interface: an id wins, as in the original. */
export function findVnet(state: DesiredState, ref: string): VnetConfig | null {
  const id = idOrNull(ref);
  return (
    state.vnets.find((vnet) => vnet.id === id) ??
    state.vnets.find((vnet) => vnet.vnetif === ref) ??
    null
  );
}

export function pinVif(state: DesiredState, vif: PinnedVif): DesiredChange {
  if (!state.vnets.some(({ id }) => id === vif.vnet)) {
    return unknownVnet(vif.vnet);
  }
  if (!isUnicastMac(vif.mac)) {
    return refuse("VNETD_PARSE", `${vif.mac} is not the MAC address of one interface`);
  }
  const pinned = state.pinnedVifs.filter(({ vnet }) => vnet === vif.vnet);
  if (pinned.some(({ mac }) => mac === vif.mac)) {
    return refuse("VNETD_VIF_EXISTS", `vif ${vif.mac} is on vnet ${shortVnetId(vif.vnet)} already`);
  }
  if (pinned.length >= PINNED_VIFS_PER_VNET_MAX) {
    return refuse("VNETD_LIMIT", `a vnet has at most ${PINNED_VIFS_PER_VNET_MAX} pinned vifs`);
  }
  return changed({ ...state, pinnedVifs: [...state.pinnedVifs, vif] });
}

export function unpinVif(state: DesiredState, vif: PinnedVif): DesiredChange {
  const pinnedVifs = state.pinnedVifs.filter(
    ({ vnet, mac }) => vnet !== vif.vnet || mac !== vif.mac,
  );
  return pinnedVifs.length === state.pinnedVifs.length
    ? refuse("VNETD_UNKNOWN_VIF", `no vif ${vif.mac} was added to vnet ${shortVnetId(vif.vnet)}`)
    : changed({ ...state, pinnedVifs });
}

/** A host is one peer: its address is the key, as in the original. */
export function addPeer(state: DesiredState, peer: PeerConfig): DesiredChange {
  const { address } = peer.endpoint;
  if (state.peers.some(({ endpoint }) => endpoint.address === address)) {
    return refuse("VNETD_PEER_EXISTS", `${address} is a peer already`);
  }
  if (state.peers.length >= PEERS_MAX) {
    return refuse("VNETD_LIMIT", `a host has at most ${PEERS_MAX} peers`);
  }
  return changed({ ...state, peers: [...state.peers, peer] });
}

export function deletePeer(state: DesiredState, address: IpAddress): DesiredChange {
  const peers = state.peers.filter(({ endpoint }) => endpoint.address !== address);
  return peers.length === state.peers.length
    ? refuse("VNETD_UNKNOWN_PEER", `${address} is not a peer`)
    : changed({ ...state, peers });
}

export function setMulticastGroup(state: DesiredState, group: IpAddress): DesiredChange {
  return isMulticastIp(group)
    ? changed({ ...state, multicastGroup: group })
    : refuse("VNETD_PARSE", `${group} is not a multicast address`);
}

function findVnetProblem(
  vnet: VnetConfig,
  ids: ReadonlySet<VnetId>,
  owners: ReadonlyMap<string, VnetId>,
): DesiredChange | null {
  const short = shortVnetId(vnet.id);
  if (isReservedVnetId(vnet.id) || vnet.id === ALL_VNETS) {
    const why = vnet.id === ALL_VNETS ? "names no vnet" : "is reserved for the physical network";
    return refuse("VNETD_RESERVED_VNET_ID", `vnet id ${short} ${why}`);
  }
  if (ids.has(vnet.id)) {
    return refuse("VNETD_VNET_EXISTS", `vnet ${short} exists already`);
  }
  for (const [name] of ownedNames(vnet)) {
    const owner = owners.get(name);
    if (owner !== undefined) {
      // A bridge shared by two vnets would join them: that is never an accident to allow.
      return refuse("VNETD_NAME_TAKEN", `${name} belongs to vnet ${shortVnetId(owner)}`);
    }
  }
  return null;
}

function ownedNames({ id, vnetif, bridge }: VnetConfig): readonly (readonly [string, VnetId])[] {
  return bridge === null
    ? [[vnetif, id]]
    : [
        [vnetif, id],
        [bridge, id],
      ];
}

function idOrNull(ref: string): VnetId | null {
  try {
    return parseVnetId(ref);
  } catch (error) {
    if (error instanceof ParseError) {
      return null;
    }
    throw error;
  }
}

function unknownVnet(id: VnetId): DesiredChange {
  return refuse("VNETD_UNKNOWN_VNET", `vnet ${shortVnetId(id)} is not on this host`);
}

function changed(state: DesiredState): DesiredChange {
  return { kind: "changed", state };
}

function refuse(code: DesiredProblemCode, message: string): DesiredChange {
  return { kind: "refused", code, message };
}

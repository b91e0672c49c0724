/**
 * What the VARP machine remembers: the MACs that live here, the MACs it is asking for, and when
 * it has to do what next. Where remote MACs are is not here: the data plane keeps that.
 */
import type { Endpoint } from "../net/endpoint.ts";
import { type IpAddress, ipFamily } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { createFloodBudget, type FloodBudget } from "./flood-budget.ts";
import type { Millis, VarpEffect, VarpMove, VarpRefusal } from "./varp-events.ts";
import { addDeadline, type WakeQueue } from "./wake-queue.ts";

/** Owned by one caller, changed in place by stepVarp(): it may hold many thousand MACs. */
export type Varp = {
  readonly udpPort: number;
  sourceAddress4: IpAddress | null;
  sourceAddress6: IpAddress | null;
  localAddresses: ReadonlySet<IpAddress>;
  /** 16 octets; null: not said yet. */
  senderId: Uint8Array | null;
  /** Of the peers that do not use our own port. */
  peerPorts: ReadonlyMap<IpAddress, number>;
  readonly vnets: Map<VnetId, VarpVnet>;
  readonly wakes: WakeQueue<VarpWake>;
  readonly refusedCounts: Map<VarpRefusal, number>;
  /** Since they were taken last. */
  moves: VarpMove[];
};

export type VarpVnet = {
  readonly id: VnetId;
  /** The MACs that live here. */
  readonly vifs: Map<MacAddress, LocalVif>;
  /** In the order the asking began. */
  readonly asks: Map<MacAddress, Ask>;
  readonly budget: FloodBudget;
  /** Of a sealed vnet: which remote MACs are claimed, and by whom. Null: frames say where MACs are. */
  readonly claims: Map<MacAddress, MacClaim> | null;
  /** When our claims are repeated. */
  claimsAt: Millis;
  /** When MACs changed their places, the latest moves of each. The MAC that moved last is last. */
  readonly moves: Map<MacAddress, readonly Millis[]>;
};

/** What another host says of one of its MACs. */
export type MacClaim = {
  readonly host: Endpoint;
  /** Its sender id in hex; empty: it does not say, or an earlier daemon heard it. */
  readonly owner: string;
  readonly sequence: number;
  /** Pinned there: no other host gets it by claiming it, unless it is pinned there, too. */
  readonly permanent: boolean;
  readonly heardAt: Millis;
};

export type LocalVif = {
  pinned: boolean;
  /** Of our claim to it, in a sealed vnet. */
  moveSequence: number;
  /** The next announcement; null: everybody has been told. */
  announcement: Announcement | null;
  /** When a foreign claim to this pinned MAC was last answered. */
  defendedAt: Millis;
};

export type Announcement = {
  readonly dueAt: Millis;
  /** How often it is to be sent yet, this one included. */
  readonly leftCount: number;
  /** Its place in the vnet's budget is taken already. */
  readonly reserved: boolean;
};

/**
 * One MAC that is asked for. With a `host`: whether it is still there (a refresh); with null:
 * where it is (its frames are flooded meanwhile).
 */
export type Ask = {
  readonly host: Endpoint | null;
  readonly since: Millis;
  dueAt: Millis;
  intervalMs: number;
  askedCount: number;
  /** Frames for it were flooded since the last request. */
  missed: boolean;
  /** Nothing was flooded for a whole interval: it is forgotten after another one. */
  quiet: boolean;
};

export type VarpWake =
  | { readonly task: "announce" | "ask"; readonly vnet: VnetId; readonly mac: MacAddress }
  | { readonly task: "claim"; readonly vnet: VnetId };

/** One call of stepVarp(): what it works on, and the effects it gathers. */
export type VarpStep = {
  readonly varp: Varp;
  readonly now: Millis;
  readonly effects: VarpEffect[];
};

export function createVarpVnet(id: VnetId, { sealed }: { readonly sealed: boolean }): VarpVnet {
  return {
    ...{ id, vifs: new Map(), asks: new Map(), budget: createFloodBudget() },
    ...{ claims: sealed ? new Map() : null, claimsAt: Number.POSITIVE_INFINITY, moves: new Map() },
  };
}

/**
 * Where a host takes messages: at our own port, whatever port it sends from (the original answers
 * so), unless it is a peer that was given another.
 */
export function endpointOf(varp: Varp, address: IpAddress): Endpoint {
  return { address, udpPort: varp.peerPorts.get(address) ?? varp.udpPort };
}

/** The care-of address of a message to `host`: the one of ours that it can reach. */
export function sourceAddressFor(varp: Varp, host: Endpoint): IpAddress | null {
  return ipFamily(host.address) === 4 ? varp.sourceAddress4 : varp.sourceAddress6;
}

/** The care-of address of a flood: the original knows IPv4 only. */
export function floodSource(varp: Varp): IpAddress | null {
  return varp.sourceAddress4 ?? varp.sourceAddress6;
}

export function wakeAt(step: VarpStep, at: Millis, wake: VarpWake): void {
  addDeadline(step.varp.wakes, { at, what: wake });
}

export function countRefusal({ varp }: VarpStep, reason: VarpRefusal): void {
  varp.refusedCounts.set(reason, (varp.refusedCounts.get(reason) ?? 0) + 1);
}

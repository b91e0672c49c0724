/**
 * What `vnetd` offers on its socket, as plain data: the nouns of docs/CONTROL.md.
 * The server maps HTTP to these methods, the client maps them back, the daemon
 * implements them; field names are stable (`--json` prints them as they stand).
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";

/** What a caller asks for; what is left out takes its default from the id. */
export type VnetRequest = {
  readonly id: VnetId;
  readonly vnetif?: string;
  /** Left out: no bridge is made. */
  readonly bridge?: string;
  readonly ovs?: boolean;
  readonly security?: "none";
  readonly mtu?: number;
  readonly encapsulation?: "udp" | "etherip";
};

export type VnetView = {
  readonly id: VnetId;
  readonly vnetif: string;
  readonly bridge: string | null;
  readonly ovs: boolean;
  readonly security: "none";
  readonly mtu: number;
  readonly encapsulation: "udp" | "etherip";
  /** `up`: frames pass; `error`: see `error`, the daemon keeps trying. */
  readonly state: "up" | "error";
  readonly error: string | null;
  /** The bridge's ports now, the vnet interface left out. */
  readonly bridgePorts: readonly string[];
};

export type VifView = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  readonly pinned: boolean;
  readonly ageMs: number;
};

export type PeerView = {
  readonly address: string;
  readonly udpPort: number;
  /** The host name that was given, or null when an address was. */
  readonly name: string | null;
  /** `up`: a forwarded message or frame was heard within the age limit. */
  readonly forwardedOut: number;
  readonly forwardedIn: number;
};

export type VarpView = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /** `asking`: a request is out and no answer yet; frames are flooded meanwhile. */
  readonly state: "reachable" | "asking";
  readonly host: Endpoint | null;
  readonly ageMs: number;
  readonly pinned: boolean;
};

export type StatusView = {
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly serving: boolean;
  readonly dataplane: {
    readonly state: "up" | "starting" | "down";
    readonly pid: number | null;
    readonly tapOffload: boolean;
    readonly udpSegmentation: boolean;
    readonly udpCoalescing: boolean;
    readonly error: string | null;
  };
  readonly underlay: {
    readonly device: string | null;
    readonly mtu: number;
    readonly addresses: readonly string[];
    readonly udpPort: number;
    readonly multicastGroup: string | null;
    readonly multicastTtl: number;
    readonly error: string | null;
  };
  /** Needed by vnets with `ovs` alone: whether its database answers. */
  readonly openVswitch: { readonly running: boolean };
  readonly vnetCount: number;
  readonly vifCount: number;
  readonly peerCount: number;
  readonly varpCount: number;
};

/** Counters of the process (`vnet` null) or of one vnet, by the names of counters.def. */
export type StatsView = {
  readonly vnet: VnetId | null;
  readonly counters: Readonly<Record<string, number>>;
};

/**
 * VNET on the command line, as the caller wrote it (`97`, `0:…:97`, `vnif97`): an id or the name
 * of a vnet interface. What reads as an id is one; only if no such vnet is here is it a name.
 */
export type VnetRef = VnetId | string;

/** Every method rejects with a ControlError (control-error.ts: code, message). */
export interface ControlApi {
  status(): Promise<StatusView>;
  listVnets(vnets: readonly VnetRef[]): Promise<readonly VnetView[]>;
  /** All or none; resolves once frames pass and the change is on disk. */
  createVnets(vnets: readonly VnetRequest[]): Promise<readonly VnetView[]>;
  deleteVnets(vnets: readonly VnetRef[], options: { readonly bridge: boolean }): Promise<void>;
  listVifs(vnets: readonly VnetRef[]): Promise<readonly VifView[]>;
  addVif(
    vnet: VnetRef,
    vif: { readonly mac: MacAddress } | { readonly device: string },
  ): Promise<VifView>;
  deleteVif(
    vnet: VnetRef,
    vif: { readonly mac: MacAddress } | { readonly device: string },
  ): Promise<void>;
  listPeers(): Promise<readonly PeerView[]>;
  /** `host`: an address or a host name. */
  addPeer(host: string, udpPort: number | null): Promise<PeerView>;
  deletePeer(host: string): Promise<void>;
  listVarp(vnets: readonly VnetRef[]): Promise<readonly VarpView[]>;
  flushVarp(): Promise<void>;
  stats(vnet: VnetRef | null): Promise<readonly StatsView[]>;
  /** One expression of the original control protocol; answers its text, often empty. */
  evaluate(expression: string): Promise<string>;
  /** Prometheus text format. */
  metrics(): Promise<string>;
}

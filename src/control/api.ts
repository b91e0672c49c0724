/**
 * What `vnetd` offers on its socket, as plain data: the nouns of docs/CONTROL.md.
 * The server maps HTTP to these methods, the client maps them back, the daemon
 * implements them; field names are stable (`--json` prints them as they stand).
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { SecureHostState } from "../vnet/secure-events.ts";
import type { VnetSecurity, VnetSuite } from "../vnet/vnet-security.ts";
import type { EventFilter } from "./events-api.ts";
import type { KeysApi } from "./keys-api.ts";
import type { LibvirtApi } from "./libvirt-api.ts";
import type { TrafficApi } from "./traffic-api.ts";
import type { VifRulesApi } from "./vif-rules-api.ts";

/** What a caller asks for; what is left out takes its default from the id. */
export type VnetRequest = {
  readonly id: VnetId;
  readonly vnetif?: string;
  /** Left out: no bridge is made. */
  readonly bridge?: string;
  readonly ovs?: boolean;
  readonly security?: VnetSecurity;
  /** Left out: the level's own. */
  readonly suite?: VnetSuite;
  /** Absolute path of the file with the first key, on the daemon's host; needed by auth and conf. */
  readonly keyFile?: string;
  readonly mtu?: number;
  readonly encapsulation?: "udp" | "etherip";
};

export type VnetView = {
  readonly id: VnetId;
  readonly vnetif: string;
  readonly bridge: string | null;
  readonly ovs: boolean;
  readonly security: VnetSecurity;
  /** Null: `security` is none. */
  readonly suite: VnetSuite | null;
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
  /** By `vn peer-add`; false: a host that was only heard, in a secure vnet. */
  readonly configured: boolean;
  readonly forwardedOut: number;
  readonly forwardedIn: number;
  /** The largest IP packet that reaches it in one piece; null: not probed (yet). */
  readonly pathMtu: number | null;
  /** The secure vnets it was heard in; hosts of vnets without security do not say who they are. */
  readonly vnets: readonly PeerVnetView[];
};

/** A host in a secure vnet. */
export type PeerVnetView = {
  readonly vnet: VnetId;
  readonly state: SecureHostState;
  /** How long it has been in that state. */
  readonly sinceMs: number;
  /** Since it was heard last. */
  readonly heardMs: number;
  /** What it sends with; null when that is not known. */
  readonly keyId: string | null;
  /** What the host calls itself, 32 hex digits; it is a new one when two machines had the same. */
  readonly senderId: string;
};

export type VarpView = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /**
   * `asking`: a request is out and no answer yet; frames are flooded meanwhile. `duplicate`: it
   * moved five times within three minutes, two hosts seem to have it; it stays at `host` for a
   * while (null: on this host).
   */
  readonly state: "reachable" | "asking" | "duplicate";
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
    /** `off`: this host has no overlay (`--underlay none`). */
    readonly state: "up" | "starting" | "down" | "off";
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
  /** Needed by vnets with `ovs` and by VIF rules: whether its database answers. */
  readonly openVswitch: { readonly running: boolean };
  readonly vifRules: VifRulesStatus;
  readonly vnetCount: number;
  readonly vifCount: number;
  readonly peerCount: number;
  readonly varpCount: number;
};

export type VifRulesStatus = {
  /** Names of the Open vSwitch bridges whose VIFs are under rules. */
  readonly bridges: readonly string[];
  readonly applied: number;
  readonly quarantined: number;
  /** Policies of VIFs that are not there yet. */
  readonly waiting: number;
  /** VIFs whose policy is not in force. */
  readonly failed: number;
  /** What keeps all of it from working; null: nothing. */
  readonly error: string | null;
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
  /** The key rings of secure vnets. */
  readonly keys: KeysApi;
  /** Locks VIFs and keeps groups apart. */
  readonly vifRules: VifRulesApi;
  readonly libvirt: LibvirtApi;
  /** State and counters at one moment, for `vn top` and the status page. */
  readonly traffic: TrafficApi;
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
  /**
   * The vnet's frames from now on, decrypted and with whole checksums, as a pcap file, until the
   * caller stops reading or the vnet is deleted. Who reads too slowly misses some.
   */
  capture(
    vnet: VnetRef,
    options: { readonly snapBytes: number },
  ): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Events from now on, a line of JSON each (EventView), until the caller stops reading. Who reads
   * too slowly misses some and is told how many.
   */
  watchEvents(filter: EventFilter): Promise<AsyncIterable<Uint8Array>>;
  stats(vnet: VnetRef | null): Promise<readonly StatsView[]>;
  /** One expression of the original control protocol; answers its text, often empty. */
  evaluate(expression: string): Promise<string>;
  /** Prometheus text format. */
  metrics(): Promise<string>;
}

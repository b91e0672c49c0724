/**
 * The part of the control API that says what is carried now: the state and the counters of
 * vnets, VIFs and hosts, all read at one moment and small, for those who ask again and again and
 * compute rates (rates.ts). Field names are stable.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { SecureHostState } from "../vnet/secure-events.ts";
import type { VnetSecurity } from "../vnet/vnet-security.ts";
import type { VifState } from "./vif-rules-api.ts";

/** What may be left out, because nobody looks at it. */
export const TRAFFIC_PARTS = ["vnets", "vifs", "hosts"] as const;

export type TrafficPart = (typeof TRAFFIC_PARTS)[number];

/** Outbound is what VMs sent, inbound what they got. */
export type Carried = {
  readonly outboundFrames: number;
  readonly outboundOctets: number;
  readonly inboundFrames: number;
  readonly inboundOctets: number;
};

/** Frames and datagrams that went no further, by reason; a reason that never happened is left out. */
export type Dropped = Readonly<Record<string, number>>;

export type VnetTraffic = {
  readonly vnet: VnetId;
  readonly vnetif: string;
  readonly bridge: string | null;
  readonly security: VnetSecurity;
  readonly state: "up" | "error";
  readonly error: string | null;
  /** MACs of this host on it, and of others. */
  readonly localMacs: number;
  readonly remoteMacs: number;
  /** Null: there is no data plane to ask. */
  readonly carried: Carried | null;
  readonly dropped: Dropped;
};

export type VifTraffic = {
  /** The port's name, or the iface-id of a VIF that has no port yet. */
  readonly vif: string;
  readonly bridge: string | null;
  /** The vnet whose bridge it is on. */
  readonly vnet: VnetId | null;
  /** `open`: a port of a vnet's bridge that is under no rules. */
  readonly state: VifState | "open";
  readonly error: string | null;
  readonly mac: MacAddress | null;
  /** By the kernel's counters of its device; null without a device. */
  readonly carried: Carried | null;
  /** By the rules; `link`: by the kernel, at the port. */
  readonly dropped: Dropped;
};

export type HostTraffic = Endpoint & {
  /** The host name that was given, or null when an address was. */
  readonly name: string | null;
  /** By `vn peer-add`. */
  readonly configured: boolean;
  /** Messages forwarded to and from a configured peer. */
  readonly forwardedOut: number;
  readonly forwardedIn: number;
  /** Sealed datagrams of it that were opened, were seen before, or have a wrong check value. */
  readonly opened: number;
  readonly replayed: number;
  readonly forged: number;
  /** Remote MACs that are there, `null` when there are too many to count. */
  readonly macs: number | null;
  readonly vnets: readonly HostVnetTraffic[];
};

export type HostVnetTraffic = {
  readonly vnet: VnetId;
  /** Null: the vnet has no security, its hosts do not say who they are. */
  readonly state: SecureHostState | null;
};

/** What `StatusView` of api.ts says of the host, as far as it is looked at here. */
export type HostStatus = {
  readonly version: string;
  readonly uptimeMs: number;
  readonly dataplane: {
    readonly state: "up" | "starting" | "down" | "off";
    readonly pid: number | null;
    readonly error: string | null;
  };
  readonly underlay: {
    readonly device: string | null;
    readonly addresses: readonly string[];
    readonly error: string | null;
  };
  readonly openVswitch: { readonly running: boolean };
  readonly vifRules: { readonly bridges: readonly string[]; readonly error: string | null };
  readonly varpCount: number;
};

export type TrafficView = {
  /** When the counters were read, in milliseconds of a clock that only goes forward. */
  readonly atMs: number;
  readonly status: HostStatus;
  /** Of the whole data plane; null without one. */
  readonly carried: Carried | null;
  readonly dropped: Dropped;
  /** MACs that two hosts seem to have. */
  readonly duplicates: readonly { readonly vnet: VnetId; readonly mac: MacAddress }[];
  /** Each of these is null when it was not asked for. */
  readonly vnets: readonly VnetTraffic[] | null;
  readonly vifs: readonly VifTraffic[] | null;
  readonly hosts: readonly HostTraffic[] | null;
};

export interface TrafficApi {
  /** @param parts empty: all of them */
  read(parts: readonly TrafficPart[]): Promise<TrafficView>;
}

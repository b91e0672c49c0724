/**
 * What happens to the VARP machine, and what it asks for. The data plane's own events go in as
 * they come; its commands come out as they go down.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand, DataplaneEvent } from "./dataplane-messages.ts";

/** An instant in milliseconds on a clock that never steps back. */
export type Millis = number;

export type VarpEvent =
  | Extract<
      DataplaneEvent,
      {
        readonly kind:
          | "vif-learned"
          | "vif-gone"
          | "fdb-learned"
          | "fdb-gone"
          | "fdb-miss"
          | "fdb-stale"
          | "control-received";
      }
    >
  /** The vnet is carried from now on. `sealed`: its messages travel inside SAs, and MACs are claimed. */
  | { readonly kind: "vnet-added"; readonly vnet: VnetId; readonly sealed?: boolean }
  | { readonly kind: "vnet-removed"; readonly vnet: VnetId }
  /** `vn vif-add`: the MAC lives here, whether it is heard or not. */
  | { readonly kind: "vif-pinned"; readonly vnet: VnetId; readonly mac: MacAddress }
  | { readonly kind: "vif-unpinned"; readonly vnet: VnetId; readonly mac: MacAddress }
  /**
   * The data plane's whole listing, after it was adopted or when events were lost: what is not in
   * it is gone. `announce`: tell the others of the ones that were not known; false after adoption,
   * when nothing has moved.
   */
  | {
      readonly kind: "vifs-listed";
      readonly vifs: readonly VarpVif[];
      readonly announce: boolean;
    }
  /** The addresses this host sends from and is reached at; null: no such address now. */
  | {
      readonly kind: "underlay-changed";
      readonly sourceAddress4: IpAddress | null;
      readonly sourceAddress6: IpAddress | null;
      readonly localAddresses: readonly IpAddress[];
    }
  /** The configured peers: where they listen. */
  | { readonly kind: "peers-changed"; readonly peers: readonly Endpoint[] }
  /** A VARP message that an SA of the vnet has opened, `source` being the SA's host. */
  | {
      readonly kind: "sealed-received";
      readonly vnet: VnetId;
      readonly source: Endpoint;
      readonly datagram: Uint8Array;
    }
  /** This installation's id: of two claims that are equal otherwise the higher one's stands. */
  | { readonly kind: "identity-changed"; readonly senderId: Uint8Array }
  /**
   * The remote MACs that the data plane has pinned in sealed vnets, after it was adopted (an earlier
   * daemon's claims) or started (none).
   */
  | { readonly kind: "claims-listed"; readonly claims: readonly ListedClaim[] }
  /** `vn varp-flush`. */
  | { readonly kind: "flush" }
  /** Time has passed; due at nextWakeAt(). */
  | { readonly kind: "tick" };

export type ListedClaim = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  readonly host: Endpoint;
};

export type VarpVif = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  readonly pinned: boolean;
};

/** To be sent to the data plane in this order. */
export type VarpEffect = Extract<
  DataplaneCommand,
  {
    readonly kind:
      | "send-to"
      | "send-flood"
      | "seal-to"
      | "seal-flood"
      | "set-fdb"
      | "delete-fdb"
      | "delete-vif"
      | "flush-fdb";
  }
>;

export type VarpOptions = {
  /** Answers and requests go to this port, whatever port a message came from. @default 1798 */
  readonly udpPort?: number;
};

/** A MAC that is asked for and not found yet; frames for it are flooded meanwhile. */
export type VarpAsking = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /** Since the first request. */
  readonly askingMs: number;
  /** The host that is asked, null: all of them. */
  readonly host: Endpoint | null;
};

/** A MAC that moved five times within three minutes: two hosts seem to have it. */
export type VarpDuplicate = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /** Where it was left; null: here, or wherever frames say. */
  readonly host: Endpoint | null;
  readonly isHere: boolean;
};

/** A MAC has changed its place, for whoever watches. */
export type VarpMove = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  /** Where it is now; null: on this host. */
  readonly host: Endpoint | null;
  /** It moved five times within three minutes. */
  readonly isDuplicate: boolean;
};

/** Messages that were refused, by reason. */
export type VarpRefusal =
  | "malformed"
  | "unknown-vnet"
  | "not-unicast-mac"
  | "from-self"
  | "third-party-care-of"
  | "pinned-here"
  | "pinned-there"
  | "outranked"
  | "duplicate"
  | "rate";

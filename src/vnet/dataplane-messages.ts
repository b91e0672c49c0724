/**
 * The messages between vnetd and vnet-dp. GENERATED from native/control/messages.def by
 * scripts/generate-messages.ts: change that table and run `npm run generate`.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";

/** What vnetd tells the data plane. */
export type DataplaneCommand =
  /**
   * First on every connection. `version` is kControlVersion; another one is refused with RESULT EPROTO.
   */
  | {
      readonly kind: "hello";
      readonly version: number;
    }
  /**
   * Where datagrams leave and enter. Joins the groups on `deviceIndex`, leaves the former ones.
   * `localAddresses`: every address of this host (source filter); `guestSideDevices`: interface
   * indexes (bridges, TAPs) from which no tunnel datagram is accepted; `localPrefixLengths`: one for
   * each local address, in order: a group datagram whose source is in none of these prefixes was
   * re-emitted by a gateway. Empty: every source counts as a host of our segment.
   */
  | {
      readonly kind: "set-underlay";
      readonly deviceIndex: number;
      readonly mtuBytes: number;
      readonly sourceAddress4: IpAddress | null;
      readonly sourceAddress6: IpAddress | null;
      readonly group4: IpAddress | null;
      readonly group6: IpAddress | null;
      readonly multicastTtl: number;
      readonly multicast: boolean;
      readonly localAddresses: readonly IpAddress[];
      readonly guestSideDevices: readonly number[];
      readonly localPrefixLengths: readonly number[];
    }
  /**
   * Ages, in milliseconds: a learned entry dies between ttl and ttl + 5 s; an entry in use that
   * was not heard for `refreshAfterMs` raises FdbStale, at most once per `refreshAfterMs / 4`.
   */
  | {
      readonly kind: "set-ages";
      readonly fdbTtlMs: number;
      readonly vifTtlMs: number;
      readonly refreshAfterMs: number;
    }
  /**
   * Creates the vnet and attaches its TAP, or changes it in place. `encapsulation`: 0 UDP,
   * 1 EtherIP (protocol 97). `mtuBytes`: the vnet interface's MTU, frames above it + 18 are dropped.
   */
  | {
      readonly kind: "set-vnet";
      readonly vnet: VnetId;
      readonly deviceName: string;
      readonly encapsulation: number;
      readonly mtuBytes: number;
      readonly fdbLimit: number;
      readonly vifLimit: number;
    }
  | {
      readonly kind: "delete-vnet";
      readonly vnet: VnetId;
    }
  /**
   * Sets where a remote MAC is. `pinned`: learning does not change it and it does not age.
   */
  | {
      readonly kind: "set-fdb";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly host: Endpoint | null;
      readonly pinned: boolean;
    }
  | {
      readonly kind: "delete-fdb";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
    }
  /**
   * Forgets the learned and set remote MACs of one vnet, or of all (vnet all zero).
   */
  | {
      readonly kind: "flush-fdb";
      readonly vnet: VnetId;
    }
  /**
   * A local MAC that does not age (`vn vif-add`).
   */
  | {
      readonly kind: "pin-vif";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
    }
  | {
      readonly kind: "delete-vif";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
    }
  | {
      readonly kind: "set-peer";
      readonly host: Endpoint | null;
    }
  | {
      readonly kind: "delete-peer";
      readonly host: Endpoint | null;
    }
  /**
   * Sends a control datagram (VARP): to one host, or flooded to the group and wrapped to every peer.
   */
  | {
      readonly kind: "send-to";
      readonly host: Endpoint | null;
      readonly datagram: Uint8Array;
    }
  | {
      readonly kind: "send-flood";
      readonly datagram: Uint8Array;
    }
  /**
   * Listings. GetState answers Underlay, Ages, VnetState…, PeerState…; ListFdb and ListVifs answer entries
   * of one vnet, or of all (vnet all zero); GetCounters answers Counters for one vnet, or (all zero) for
   * the process (vnet all zero) and then for every vnet.
   */
  | {
      readonly kind: "get-state";
    }
  | {
      readonly kind: "list-fdb";
      readonly vnet: VnetId;
    }
  | {
      readonly kind: "list-vifs";
      readonly vnet: VnetId;
    }
  | {
      readonly kind: "get-counters";
      readonly vnet: VnetId;
    }
  /**
   * Detaches the TAPs (they persist) and exits 0.
   */
  | {
      readonly kind: "shutdown";
    };

/** What the data plane answers to a command; `result` ends every answer. */
export type DataplaneAnswer =
  /**
   * The end of every answer. `error`: 0 or an errno; `message`: what failed, for a person.
   */
  | {
      readonly kind: "result";
      readonly error: number;
      readonly message: string;
    }
  /**
   * Answers Hello before its Result. The switches say what works now (asked for, and not failed since).
   */
  | {
      readonly kind: "welcome";
      readonly version: number;
      readonly pid: number;
      readonly bootId: bigint;
      readonly udpPort: number;
      readonly tapOffload: boolean;
      readonly udpSegmentation: boolean;
      readonly udpCoalescing: boolean;
      readonly ipv6: boolean;
      readonly rawSocket: boolean;
      readonly options: string;
    }
  | {
      readonly kind: "underlay-state";
      readonly deviceIndex: number;
      readonly mtuBytes: number;
      readonly sourceAddress4: IpAddress | null;
      readonly sourceAddress6: IpAddress | null;
      readonly group4: IpAddress | null;
      readonly group6: IpAddress | null;
      readonly multicastTtl: number;
      readonly multicast: boolean;
      readonly localAddresses: readonly IpAddress[];
      readonly guestSideDevices: readonly number[];
      readonly localPrefixLengths: readonly number[];
    }
  | {
      readonly kind: "ages-state";
      readonly fdbTtlMs: number;
      readonly vifTtlMs: number;
      readonly refreshAfterMs: number;
    }
  /**
   * `attached`: the TAP is open now. The counts: how many MACs the tables hold, without listing them.
   */
  | {
      readonly kind: "vnet-state";
      readonly vnet: VnetId;
      readonly deviceName: string;
      readonly encapsulation: number;
      readonly mtuBytes: number;
      readonly fdbLimit: number;
      readonly vifLimit: number;
      readonly attached: boolean;
      readonly fdbCount: number;
      readonly vifCount: number;
    }
  | {
      readonly kind: "peer-state";
      readonly host: Endpoint | null;
      readonly forwardedOut: bigint;
      readonly forwardedIn: bigint;
    }
  /**
   * `ageMs`: since the MAC was last heard or set.
   */
  | {
      readonly kind: "fdb-entry";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly host: Endpoint | null;
      readonly ageMs: number;
      readonly pinned: boolean;
    }
  | {
      readonly kind: "vif-entry";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly ageMs: number;
      readonly pinned: boolean;
    }
  | {
      readonly kind: "counters";
      readonly vnet: VnetId;
      readonly values: readonly bigint[];
    };

/** What the data plane says unasked. */
export type DataplaneEvent =
  /**
   * A local source MAC was heard first (`moved` 0) or was remote until now (`moved` 1).
   */
  | {
      readonly kind: "vif-learned";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly moved: boolean;
    }
  /**
   * A local MAC aged out (`moved` 0), was evicted (0), or was heard from another host (1).
   */
  | {
      readonly kind: "vif-gone";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly moved: boolean;
    }
  | {
      readonly kind: "fdb-learned";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly host: Endpoint | null;
      readonly moved: boolean;
    }
  | {
      readonly kind: "fdb-gone";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
    }
  /**
   * A frame for an unknown unicast MAC was flooded. At most one per MAC and second.
   */
  | {
      readonly kind: "fdb-miss";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
    }
  /**
   * Frames still go to `mac`, but it has not been heard for refreshAfterMs: ask it.
   */
  | {
      readonly kind: "fdb-stale";
      readonly vnet: VnetId;
      readonly mac: MacAddress;
      readonly host: Endpoint | null;
    }
  /**
   * A VARP message that passed the codec's and the source's checks. `via`: 0 unicast, 1 multicast,
   * 2 forwarded by a peer. `source`: the host that made it (of a forwarded one: the inner source).
   */
  | {
      readonly kind: "control-received";
      readonly source: Endpoint | null;
      readonly via: number;
      readonly datagram: Uint8Array;
    }
  /**
   * The TAP vanished or failed (`error`: errno): vnetd makes it anew and sends SetVnet again.
   */
  | {
      readonly kind: "tap-lost";
      readonly vnet: VnetId;
      readonly deviceName: string;
      readonly error: number;
    }
  /**
   * `count` events were dropped because vnetd did not read fast enough; it asks for the listings.
   */
  | {
      readonly kind: "events-lost";
      readonly count: number;
    }
  /**
   * A line for the log. `level`: 0 debug, 1 info, 2 warn, 3 error.
   */
  | {
      readonly kind: "log";
      readonly level: number;
      readonly text: string;
    }
  /**
   * An offload failed at run time and was switched off (Welcome's flags, new values).
   */
  | {
      readonly kind: "offload-changed";
      readonly tapOffload: boolean;
      readonly udpSegmentation: boolean;
      readonly udpCoalescing: boolean;
    };

export type DataplaneMessage = DataplaneCommand | DataplaneAnswer | DataplaneEvent;

/** How the fields of each kind stand in a message: in this order, as this type of messages.def. */
export const DATAPLANE_MESSAGES = {
  hello: {
    number: 1,
    fields: {
      version: "u16",
    },
  },
  "set-underlay": {
    number: 2,
    fields: {
      deviceIndex: "u32",
      mtuBytes: "u32",
      sourceAddress4: "address",
      sourceAddress6: "address",
      group4: "address",
      group6: "address",
      multicastTtl: "u8",
      multicast: "flag",
      localAddresses: "addresses",
      guestSideDevices: "indexes",
      localPrefixLengths: "indexes",
    },
  },
  "set-ages": {
    number: 3,
    fields: {
      fdbTtlMs: "u32",
      vifTtlMs: "u32",
      refreshAfterMs: "u32",
    },
  },
  "set-vnet": {
    number: 4,
    fields: {
      vnet: "vnet",
      deviceName: "name",
      encapsulation: "u8",
      mtuBytes: "u32",
      fdbLimit: "u32",
      vifLimit: "u32",
    },
  },
  "delete-vnet": {
    number: 5,
    fields: {
      vnet: "vnet",
    },
  },
  "set-fdb": {
    number: 6,
    fields: {
      vnet: "vnet",
      mac: "mac",
      host: "endpoint",
      pinned: "flag",
    },
  },
  "delete-fdb": {
    number: 7,
    fields: {
      vnet: "vnet",
      mac: "mac",
    },
  },
  "flush-fdb": {
    number: 8,
    fields: {
      vnet: "vnet",
    },
  },
  "pin-vif": {
    number: 9,
    fields: {
      vnet: "vnet",
      mac: "mac",
    },
  },
  "delete-vif": {
    number: 10,
    fields: {
      vnet: "vnet",
      mac: "mac",
    },
  },
  "set-peer": {
    number: 11,
    fields: {
      host: "endpoint",
    },
  },
  "delete-peer": {
    number: 12,
    fields: {
      host: "endpoint",
    },
  },
  "send-to": {
    number: 13,
    fields: {
      host: "endpoint",
      datagram: "bytes",
    },
  },
  "send-flood": {
    number: 14,
    fields: {
      datagram: "bytes",
    },
  },
  "get-state": {
    number: 15,
    fields: {},
  },
  "list-fdb": {
    number: 16,
    fields: {
      vnet: "vnet",
    },
  },
  "list-vifs": {
    number: 17,
    fields: {
      vnet: "vnet",
    },
  },
  "get-counters": {
    number: 18,
    fields: {
      vnet: "vnet",
    },
  },
  shutdown: {
    number: 19,
    fields: {},
  },
  result: {
    number: 64,
    fields: {
      error: "u32",
      message: "text",
    },
  },
  welcome: {
    number: 65,
    fields: {
      version: "u16",
      pid: "u32",
      bootId: "u64",
      udpPort: "u16",
      tapOffload: "flag",
      udpSegmentation: "flag",
      udpCoalescing: "flag",
      ipv6: "flag",
      rawSocket: "flag",
      options: "text",
    },
  },
  "underlay-state": {
    number: 66,
    fields: {
      deviceIndex: "u32",
      mtuBytes: "u32",
      sourceAddress4: "address",
      sourceAddress6: "address",
      group4: "address",
      group6: "address",
      multicastTtl: "u8",
      multicast: "flag",
      localAddresses: "addresses",
      guestSideDevices: "indexes",
      localPrefixLengths: "indexes",
    },
  },
  "ages-state": {
    number: 67,
    fields: {
      fdbTtlMs: "u32",
      vifTtlMs: "u32",
      refreshAfterMs: "u32",
    },
  },
  "vnet-state": {
    number: 68,
    fields: {
      vnet: "vnet",
      deviceName: "name",
      encapsulation: "u8",
      mtuBytes: "u32",
      fdbLimit: "u32",
      vifLimit: "u32",
      attached: "flag",
      fdbCount: "u32",
      vifCount: "u32",
    },
  },
  "peer-state": {
    number: 69,
    fields: {
      host: "endpoint",
      forwardedOut: "u64",
      forwardedIn: "u64",
    },
  },
  "fdb-entry": {
    number: 70,
    fields: {
      vnet: "vnet",
      mac: "mac",
      host: "endpoint",
      ageMs: "u32",
      pinned: "flag",
    },
  },
  "vif-entry": {
    number: 71,
    fields: {
      vnet: "vnet",
      mac: "mac",
      ageMs: "u32",
      pinned: "flag",
    },
  },
  counters: {
    number: 72,
    fields: {
      vnet: "vnet",
      values: "counters",
    },
  },
  "vif-learned": {
    number: 128,
    fields: {
      vnet: "vnet",
      mac: "mac",
      moved: "flag",
    },
  },
  "vif-gone": {
    number: 129,
    fields: {
      vnet: "vnet",
      mac: "mac",
      moved: "flag",
    },
  },
  "fdb-learned": {
    number: 130,
    fields: {
      vnet: "vnet",
      mac: "mac",
      host: "endpoint",
      moved: "flag",
    },
  },
  "fdb-gone": {
    number: 131,
    fields: {
      vnet: "vnet",
      mac: "mac",
    },
  },
  "fdb-miss": {
    number: 132,
    fields: {
      vnet: "vnet",
      mac: "mac",
    },
  },
  "fdb-stale": {
    number: 133,
    fields: {
      vnet: "vnet",
      mac: "mac",
      host: "endpoint",
    },
  },
  "control-received": {
    number: 134,
    fields: {
      source: "endpoint",
      via: "u8",
      datagram: "bytes",
    },
  },
  "tap-lost": {
    number: 135,
    fields: {
      vnet: "vnet",
      deviceName: "name",
      error: "u32",
    },
  },
  "events-lost": {
    number: 136,
    fields: {
      count: "u32",
    },
  },
  log: {
    number: 137,
    fields: {
      level: "u8",
      text: "text",
    },
  },
  "offload-changed": {
    number: 138,
    fields: {
      tapOffload: "flag",
      udpSegmentation: "flag",
      udpCoalescing: "flag",
    },
  },
} as const;

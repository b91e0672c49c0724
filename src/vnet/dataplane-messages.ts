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
   * 1 EtherIP (protocol 97, security 0 only). `mtuBytes`: the vnet interface's MTU, frames above it +
   * 18 are dropped. `security`: 0 none, 1 auth, 2 conf; another one than before forgets the vnet's SAs
   * and remote MACs. A vnet with security 1 or 2 sends nothing until it has a send SA, never in clear,
   * and accepts no legacy message; one with 0 accepts no ESP.
   */
  | {
      readonly kind: "set-vnet";
      readonly vnet: VnetId;
      readonly deviceName: string;
      readonly encapsulation: number;
      readonly mtuBytes: number;
      readonly fdbLimit: number;
      readonly vifLimit: number;
      readonly security: number;
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
   * Detaches the TAPs (they persist) and exits 0. Heeded without Hello, whatever the version.
   */
  | {
      readonly kind: "shutdown";
    }
  /**
   * Security associations (SAs): the traffic keys of one sender in one vnet. `suite`: 1 aes128-gcm,
   * 2 aes256-gcm, 3 hmac-sha256-128, 4 hmac96, 5 aes128-hmac96; security 1 (auth) takes 3 and 4,
   * security 2 (conf) takes 1, 2 and 5. `keys` by suite: 1 key 16, salt 4; 2 key 32, salt 4; 3 key 32;
   * 4 key 20; 5 encryption key 16, IV key 16, MAC key 20. `spi`: 0x10000000 … 0xfffffffe. `context`: at most
   * 128 octets of vnetd's own, given back in listings. Keys are never given back, and are wiped when the
   * SA goes. Errors: ENOENT no such vnet or SA, EINVAL a wrong field, ENOSPC too many SAs. SetSendSa:
   * what this host seals with from now on, in place of the SA before; its packet counter begins at 1.
   * Raises SaSpent once when `rekeyAt` packets are sealed, and seals nothing beyond `stopAt`, which is
   * at most 2^32 - 2^16. EEXIST: the vnet's send SA has this SPI already (its keys must not be reused).
   */
  | {
      readonly kind: "set-send-sa";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly suite: number;
      readonly keys: Uint8Array;
      readonly context: Uint8Array;
      readonly rekeyAt: bigint;
      readonly stopAt: bigint;
    }
  /**
   * Opens what `host` seals with this SPI; several hosts may use one SPI. Counters up to `seenUpTo`
   * count as seen. `checksumPartial`: the host takes frames whose TCP or UDP checksum is not computed
   * (CAP_CSUM): unicast frames to it may be sent so. What was held for the SPI is opened now. EEXIST:
   * there is one of this vnet, SPI and host; ChangeReceiveSa changes it.
   */
  | {
      readonly kind: "set-receive-sa";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly suite: number;
      readonly keys: Uint8Array;
      readonly host: Endpoint | null;
      readonly context: Uint8Array;
      readonly seenUpTo: bigint;
      readonly checksumPartial: boolean;
    }
  /**
   * The sender moved or said something new; keys and replay window stay.
   */
  | {
      readonly kind: "change-receive-sa";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly host: Endpoint | null;
      readonly newHost: Endpoint | null;
      readonly context: Uint8Array;
      readonly checksumPartial: boolean;
    }
  /**
   * `send`: the vnet's send SA (`host` is none); else the receive SA of that host.
   */
  | {
      readonly kind: "delete-sa";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly host: Endpoint | null;
      readonly send: boolean;
    }
  /**
   * Answers SaState of one vnet, or of all (vnet all zero); of one SPI, or of all (spi 0).
   */
  | {
      readonly kind: "list-sas";
      readonly vnet: VnetId;
      readonly spi: number;
    }
  /**
   * Seals a control message with the vnet's send SA: for one host, or for all as SendFlood does.
   * `nextHeader`: 17 (a UDP header and a VARP message) or 59 (a dummy). ENOKEY: there is no send SA, or
   * it is spent.
   */
  | {
      readonly kind: "seal-to";
      readonly vnet: VnetId;
      readonly host: Endpoint | null;
      readonly nextHeader: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "seal-flood";
      readonly vnet: VnetId;
      readonly nextHeader: number;
      readonly payload: Uint8Array;
    }
  /**
   * CapturedFrame events of one vnet's frames, both directions, cut to `snapBytes` octets each; again:
   * changes `snapBytes`. Ends with StopCapture, with the vnet, or with this connection.
   */
  | {
      readonly kind: "start-capture";
      readonly vnet: VnetId;
      readonly snapBytes: number;
    }
  | {
      readonly kind: "stop-capture";
      readonly vnet: VnetId;
    }
  /**
   * As SendTo, in one packet that is not fragmented on its way (RFC 791: DF): whether it arrives says
   * something of the path. EMSGSIZE: it does not even fit our link. EOPNOTSUPP: there is no raw socket.
   */
  | {
      readonly kind: "send-probe";
      readonly host: Endpoint | null;
      readonly datagram: Uint8Array;
    }
  /**
   * The largest packet, outer IP header included, that reaches `host` in one piece, whatever vnet it is
   * of: TCP to it is cut to that, and what is larger goes in fragments of that size. At least 576 (IPv4)
   * or 1280 (IPv6); 0, or no less than the underlay's MTU: as much as the underlay takes. ENOSPC: too
   * many paths are known.
   */
  | {
      readonly kind: "set-path-mtu";
      readonly host: IpAddress | null;
      readonly mtuBytes: number;
    }
  /**
   * Answers PathMtuState for every host to which less is sent in one piece than the underlay takes.
   */
  | {
      readonly kind: "list-path-mtus";
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
      readonly security: number;
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
    }
  /**
   * `send`: ours (`host` none), with its limits; else another host's, whose limits are 0. `counter`: the
   * last one that was sealed, or the highest that was opened; 0 before the first. `packets`: sealed, or
   * opened and not seen before; `replayed` and `forged` (wrong check value) were dropped. `silentMs`:
   * since the last packet that was opened, 0xffffffff before the first and in a send SA.
   */
  | {
      readonly kind: "sa-state";
      readonly vnet: VnetId;
      readonly send: boolean;
      readonly spi: number;
      readonly suite: number;
      readonly host: Endpoint | null;
      readonly context: Uint8Array;
      readonly counter: bigint;
      readonly rekeyAt: bigint;
      readonly stopAt: bigint;
      readonly checksumPartial: boolean;
      readonly packets: bigint;
      readonly replayed: bigint;
      readonly forged: bigint;
      readonly silentMs: number;
    }
  | {
      readonly kind: "path-mtu-state";
      readonly host: IpAddress | null;
      readonly mtuBytes: number;
    };

/** What the data plane says unasked. */
export type DataplaneEvent =
  /**
   * A local source MAC was heard first (`moved` 0) or was remote until now (`moved` 1). One that is
   * pinned to a remote host stays there; that it was heard is told at most once a second (`moved` 1).
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
    }
  /**
   * A sealed datagram of no SA that is known, from `source` (as in ControlReceived): its key may be asked
   * for. It is held for 200 ms, as one of 128 of its SPI. At most one event per SPI and source in 200 ms.
   */
  | {
      readonly kind: "unknown-spi";
      readonly spi: number;
      readonly source: Endpoint | null;
    }
  /**
   * The send SA has sealed `rekeyAt` packets: time for another. Once per SA.
   */
  | {
      readonly kind: "sa-spent";
      readonly vnet: VnetId;
      readonly spi: number;
    }
  /**
   * A packet came from another host that verifies under our own send SA: a clone of this host, or our
   * packet sent back. At most one a second for each vnet.
   */
  | {
      readonly kind: "own-spi-heard";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly source: Endpoint | null;
    }
  /**
   * A control message that was opened, `host` being the SA's: `payload` begins with its UDP header
   * (nextHeader 17), neither header nor message has been looked at. `via` as in ControlReceived.
   */
  | {
      readonly kind: "sealed-control";
      readonly vnet: VnetId;
      readonly spi: number;
      readonly host: Endpoint | null;
      readonly via: number;
      readonly nextHeader: number;
      readonly payload: Uint8Array;
    }
  /**
   * A VNC1 control message, its form checked, its MAC not. `source` and `via` as in ControlReceived.
   */
  | {
      readonly kind: "vnc-received";
      readonly source: Endpoint | null;
      readonly via: number;
      readonly datagram: Uint8Array;
    }
  /**
   * A frame as it left (`direction` 0, read from the vnet interface) or came (1, for it), its checksums
   * completed, a super-frame whole. `timeNs`: since 1970. `frameBytes`: before it was cut to `octets`.
   * `lost`: frames that were not captured since the last event, because vnetd did not keep up.
   */
  | {
      readonly kind: "captured-frame";
      readonly vnet: VnetId;
      readonly direction: number;
      readonly timeNs: bigint;
      readonly frameBytes: number;
      readonly lost: number;
      readonly octets: Uint8Array;
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
      security: "u8",
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
  "set-send-sa": {
    number: 20,
    fields: {
      vnet: "vnet",
      spi: "u32",
      suite: "u8",
      keys: "secret",
      context: "bytes",
      rekeyAt: "u64",
      stopAt: "u64",
    },
  },
  "set-receive-sa": {
    number: 21,
    fields: {
      vnet: "vnet",
      spi: "u32",
      suite: "u8",
      keys: "secret",
      host: "endpoint",
      context: "bytes",
      seenUpTo: "u64",
      checksumPartial: "flag",
    },
  },
  "change-receive-sa": {
    number: 22,
    fields: {
      vnet: "vnet",
      spi: "u32",
      host: "endpoint",
      newHost: "endpoint",
      context: "bytes",
      checksumPartial: "flag",
    },
  },
  "delete-sa": {
    number: 23,
    fields: {
      vnet: "vnet",
      spi: "u32",
      host: "endpoint",
      send: "flag",
    },
  },
  "list-sas": {
    number: 24,
    fields: {
      vnet: "vnet",
      spi: "u32",
    },
  },
  "seal-to": {
    number: 25,
    fields: {
      vnet: "vnet",
      host: "endpoint",
      nextHeader: "u8",
      payload: "bytes",
    },
  },
  "seal-flood": {
    number: 26,
    fields: {
      vnet: "vnet",
      nextHeader: "u8",
      payload: "bytes",
    },
  },
  "start-capture": {
    number: 27,
    fields: {
      vnet: "vnet",
      snapBytes: "u32",
    },
  },
  "stop-capture": {
    number: 28,
    fields: {
      vnet: "vnet",
    },
  },
  "send-probe": {
    number: 29,
    fields: {
      host: "endpoint",
      datagram: "bytes",
    },
  },
  "set-path-mtu": {
    number: 30,
    fields: {
      host: "address",
      mtuBytes: "u32",
    },
  },
  "list-path-mtus": {
    number: 31,
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
      security: "u8",
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
  "sa-state": {
    number: 73,
    fields: {
      vnet: "vnet",
      send: "flag",
      spi: "u32",
      suite: "u8",
      host: "endpoint",
      context: "bytes",
      counter: "u64",
      rekeyAt: "u64",
      stopAt: "u64",
      checksumPartial: "flag",
      packets: "u64",
      replayed: "u64",
      forged: "u64",
      silentMs: "u32",
    },
  },
  "path-mtu-state": {
    number: 74,
    fields: {
      host: "address",
      mtuBytes: "u32",
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
  "unknown-spi": {
    number: 139,
    fields: {
      spi: "u32",
      source: "endpoint",
    },
  },
  "sa-spent": {
    number: 140,
    fields: {
      vnet: "vnet",
      spi: "u32",
    },
  },
  "own-spi-heard": {
    number: 141,
    fields: {
      vnet: "vnet",
      spi: "u32",
      source: "endpoint",
    },
  },
  "sealed-control": {
    number: 142,
    fields: {
      vnet: "vnet",
      spi: "u32",
      host: "endpoint",
      via: "u8",
      nextHeader: "u8",
      payload: "bytes",
    },
  },
  "vnc-received": {
    number: 143,
    fields: {
      source: "endpoint",
      via: "u8",
      datagram: "bytes",
    },
  },
  "captured-frame": {
    number: 144,
    fields: {
      vnet: "vnet",
      direction: "u8",
      timeNs: "u64",
      frameBytes: "u32",
      lost: "u32",
      octets: "bytes",
    },
  },
} as const;

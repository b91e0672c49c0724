/**
 * What happens to the machine of secure vnets, what it asks for, and what it shows. Its commands
 * have the names and fields of the data plane's, so they go down as they come out.
 *
 * Order at the start: createSecure(), `underlay-changed`, for each secure vnet `vnet-added` and
 * `keys-changed`, then `sas-listed` with what the data plane has. No SA is made before that.
 */
import type { SecureCrypto, SuiteName } from "../encap/key-schedule.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneAnswer, DataplaneCommand, DataplaneEvent } from "./dataplane-messages.ts";

export type SecureOptions = {
  readonly crypto: SecureCrypto;
  /** 16 octets, of this installation. */
  readonly senderId: Uint8Array;
  /** Greater at every start of the daemon: max(stored + 1, Unix time in seconds). */
  readonly bootCounter: bigint;
  /** Hosts of one vnet that are remembered. @default 4096 */
  readonly hostsPerVnetMax?: number;
  /** How many packets an SA seals before the next one is announced. @default REKEY_PACKETS */
  readonly rekeyPackets?: number;
};

/** One key of a vnet's ring. The machine copies `psk` and overwrites its copy when it is removed. */
export type RingKey = {
  readonly keyId: number;
  /** 32 octets. */
  readonly psk: Uint8Array;
  /** This host seals with it. At most one of a ring; with none, nothing is sent. */
  readonly active: boolean;
};

export type SecureEvent =
  /** The vnet is carried, sealed with this suite. Another suite is: removed, then added. */
  | { readonly kind: "vnet-added"; readonly vnet: VnetId; readonly suite: SuiteName }
  /** Says goodbye to the vnet's hosts and removes its SAs. */
  | { readonly kind: "vnet-removed"; readonly vnet: VnetId }
  /** The whole ring, whenever it changes. */
  | { readonly kind: "keys-changed"; readonly vnet: VnetId; readonly keys: readonly RingKey[] }
  /** Where this host sends from and is reached (the first four are told), and the link's MTU. */
  | {
      readonly kind: "underlay-changed";
      readonly endpoints: readonly Endpoint[];
      readonly mtuBytes: number;
    }
  /**
   * All SAs and paths of the data plane: after it was started (none), adopted, or when events were lost.
   * SAs that this machine can name are kept as they are; the others are deleted.
   */
  | {
      readonly kind: "sas-listed";
      readonly sas: readonly ListedSa[];
      readonly paths: readonly ListedPath[];
    }
  | Extract<
      DataplaneEvent,
      { readonly kind: "vnc-received" | "unknown-spi" | "sa-spent" | "own-spi-heard" }
    >
  /** The answer to the effect `read-counter`; `counter`: packets sealed so far. */
  | { readonly kind: "counter-read"; readonly request: CounterRequest; readonly counter: bigint }
  /** New boot nonces at once, of one vnet or (null) of all: SIGUSR1, a restored snapshot. */
  | { readonly kind: "renew"; readonly vnet: VnetId | null }
  /** Says goodbye everywhere: the data plane is about to end. */
  | { readonly kind: "stop" }
  /** Time has passed; due at nextSecureWakeAt(). */
  | { readonly kind: "tick" };

/** An SA as the data plane lists it. */
export type ListedSa = Pick<
  Extract<DataplaneAnswer, { readonly kind: "sa-state" }>,
  "vnet" | "send" | "spi" | "suite" | "host" | "context"
>;

/** As the data plane lists it. */
export type ListedPath = { readonly host: IpAddress; readonly mtuBytes: number };

/** Plain data, to be handed back in `counter-read` as it is; no state is kept for it. */
export type CounterRequest = {
  readonly vnet: VnetId;
  readonly spi: number;
  readonly asker: Endpoint;
  readonly echo: Uint8Array;
  /** For the asker to answer, when this host does not know it yet. */
  readonly challenge: Uint8Array | null;
  readonly answerBytesMax: number;
};

/** To be carried out in this order. */
export type SecureEffect =
  | Extract<
      DataplaneCommand,
      {
        readonly kind:
          | "send-to"
          | "send-flood"
          | "set-send-sa"
          | "set-receive-sa"
          | "change-receive-sa"
          | "delete-sa"
          | "set-path-mtu";
      }
    >
  /** As send-to, but it must not be fragmented (DF set); when it is too long it is just lost. */
  | { readonly kind: "send-probe"; readonly host: Endpoint; readonly datagram: Uint8Array }
  /**
   * Read how many packets the send SA has sealed, now and not from a cache, and hand it back in
   * `counter-read`; when the data plane has no such SA, do nothing.
   */
  | { readonly kind: "read-counter"; readonly request: CounterRequest }
  /** This installation's id from now on: write it down. Another machine had the former one. */
  | { readonly kind: "store-sender-id"; readonly senderId: Uint8Array }
  /** For the log: the largest packet that reaches the host in one piece, IP header included. */
  | { readonly kind: "path-mtu"; readonly host: Endpoint; readonly mtuBytes: number }
  /** For the log, at level `warn`. */
  | {
      readonly kind: "alert";
      readonly code: SecureAlert;
      readonly vnet: VnetId;
      readonly host: Endpoint | null;
    };

export type SecureAlert =
  /** Another machine has our sender id, and it is there now. */
  | "clone"
  /** Packets under our own SA came from elsewhere: a clone, or somebody reflects them. */
  | "own-packets-heard"
  /** A host told that another machine has its identity. */
  | "clone-elsewhere"
  | "key-mismatch"
  | "suite-mismatch"
  | "host-up"
  | "host-unreachable"
  | "hosts-full";

/** The state of a host in a vnet, in the words of `vn peers`. */
export type SecureHostState =
  | "up"
  /** It seals with another key than we do. */
  | "stale key"
  /** Of this vnet, by its hint, but no key here fits: not proved. */
  | "key mismatch"
  | "suite mismatch"
  | "clone"
  | "unreachable";

export type SecureHostView = {
  readonly vnet: VnetId;
  readonly host: Endpoint;
  /** 32 hex digits. */
  readonly senderId: string;
  readonly state: SecureHostState;
  /** How long it has been in a state that is not `up`; of `up`: since it was first proved. */
  readonly sinceMs: number;
  /** Since its last authentic HELLO. */
  readonly heardMs: number;
  /** What it seals with; null when that is not known. */
  readonly keyId: number | null;
  readonly spi: number | null;
  readonly epoch: number | null;
  /** What it says of its own link; null: nothing. */
  readonly mtuBytes: number | null;
  /** What probing found; null: not yet. */
  readonly pathMtuBytes: number | null;
  /** Takes frames whose checksum is not computed. */
  readonly csum: boolean;
};

/** One key of a ring, for `vn vnet-keys`. */
export type SecureKeyView = {
  readonly vnet: VnetId;
  readonly keyId: number;
  readonly active: boolean;
  /** Reachable hosts of the vnet, this one not counted. */
  readonly hostCount: number;
  /** Of those, the ones that hold the key, and the ones that seal with it. */
  readonly heldBy: readonly Endpoint[];
  readonly usedBy: readonly Endpoint[];
  /** Reachable hosts that do not hold it. */
  readonly missingAt: readonly Endpoint[];
};

/** Our own SA, for `vn sa-export` and status. `keys` are secret. */
export type SecureSaView = {
  readonly vnet: VnetId;
  readonly direction: "send" | "receive";
  readonly spi: number;
  readonly suite: SuiteName;
  readonly keyId: number;
  readonly epoch: number;
  /** Null for a send SA. */
  readonly host: Endpoint | null;
  readonly keys: Uint8Array;
};

/** Messages and events that led to nothing, by reason; each is a counter. */
export type SecureRefusal =
  | "malformed"
  | "unknown-tag"
  | "bad-mac"
  | "from-self"
  | "replayed"
  | "bad-spi"
  | "foreign-address"
  | "bad-echo"
  | "no-counter"
  | "suite-mismatch"
  | "too-large-answer"
  | "hosts-full"
  | "rate";

/**
 * The configuration of Open vSwitch, as whoever manages VIFs sees and changes it.
 */
import type { SwitchInterface, SwitchView, VlanMode } from "./switch-view.ts";

/**
 * - `no-database`: there is no socket, or none listens: ovsdb-server is down.
 * - `no-permission`: the socket is there, but not for us.
 * - `refused`: the database rejected the transaction; nothing has been changed.
 * - `not-found`: there is no such bridge or port; nothing has been changed.
 * - `exists`: there is such a port already, elsewhere; nothing has been changed.
 * - `not-applied`: the database has it, ovs-vswitchd could not do it, or did not in time.
 * - `ended`: the connection ended before the answer; it is not known what has been changed.
 * - `deadline`: no answer in time; as `ended`, which it leads to.
 */
export type SwitchDatabaseFailure =
  | "no-database"
  | "no-permission"
  | "refused"
  | "not-found"
  | "exists"
  | "not-applied"
  | "ended"
  | "deadline";

export class SwitchDatabaseError extends Error {
  override readonly name = "SwitchDatabaseError";
  readonly code = "VNETD_OVS_FAILED";
  readonly reason: SwitchDatabaseFailure;

  constructor(reason: SwitchDatabaseFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export type VlanSettings = {
  readonly tag: number | null;
  readonly vlanMode: VlanMode | null;
  readonly trunks: readonly number[];
};

export type NewPort = {
  /** May be a fake bridge: then the port goes to its parent, with its tag unless `vlan` is given. */
  readonly bridge: string;
  readonly name: string;
  readonly vlan?: VlanSettings;
  readonly ofportRequest?: number;
  /** Of the interface. */
  readonly externalIds?: StringEntries;
  /** @default "", a network device */
  readonly type?: string;
  readonly options?: StringEntries;
};

export type StringEntries = Readonly<Record<string, string>>;

/** A null removes the key; keys that are not named stay. */
export type StringChanges = Readonly<Record<string, string | null>>;

export type PortChanges = {
  readonly vlan?: VlanSettings;
  /** Of its one interface. Of a bond: refused. */
  readonly ofportRequest?: number | null;
  readonly externalIds?: StringChanges;
};

export type Adoption = {
  /**
   * `fail_mode` was something else: ovs-vswitchd has just deleted all flows of the bridge, also
   * those of others, and drops what it has no flow for.
   */
  readonly flowsFlushed: boolean;
  /** `protocols` lacked OpenFlow 1.0 or 1.4: connections to the bridge may have been closed. */
  readonly protocolsChanged: boolean;
};

/**
 * The changes are transactions of their own, all or nothing, and return when ovs-vswitchd has
 * applied them (external ids do not concern it) and {@link SwitchDatabase.view} shows them. All
 * throw {@link SwitchDatabaseError}.
 */
export type SwitchDatabase = {
  /** All of it, of one moment; null while there is no connection. */
  readonly view: SwitchView | null;
  /** Why there is no view; null when there is one, and before the first attempt. */
  readonly failure: SwitchDatabaseError | null;
  /** Whether the lock asked for is ours; false without a connection. True when none was asked for. */
  readonly locked: boolean;

  /** Secure, and with the protocols that we need besides those it has. */
  adoptBridge(bridge: string): Promise<Adoption>;
  /** The interface, once ovs-vswitchd has given it a number, which may not be the one asked for. */
  addPort(port: NewPort): Promise<SwitchInterface>;
  /**
   * Whether there was one. A port of the same name that is added next is a new transaction, so the
   * device is opened anew.
   */
  deletePort(name: string): Promise<boolean>;
  changePort(name: string, changes: PortChanges): Promise<void>;
  /** All of them in one transaction, since each makes ovs-vswitchd look at all ports. */
  changePorts(changes: ReadonlyMap<string, PortChanges>): Promise<void>;
  /** Ends the connection. What is unanswered is rejected. */
  close(): void;
};

export type SwitchDatabaseOptions = {
  /** Where `db.sock` is, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  /** {@link SwitchDatabase.view}, `failure` or `locked` has changed: look at all of it. */
  readonly onChange: () => void;
  /** Nobody else that asks for this lock has it at the same time (RFC 7047 §4.1.8). */
  readonly lock?: string;
  /** For each answer, of ovsdb-server or ovs-vswitchd. @default 5000 */
  readonly deadlineMs?: number;
  /** How often a silent server is asked whether it lives. @default 5000 */
  readonly probeIntervalMs?: number;
};

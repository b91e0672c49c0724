/** The switch's database over its own socket: `db.sock` in Open vSwitch's run directory. */
import { JsonRpcError } from "./json-rpc.ts";
import { type KeptConnection, keepConnected } from "./keep-connected.ts";
import {
  addPortOperations,
  adoptBridgeOperations,
  changePortOperations,
  deletePortOperations,
  protocolsMissing,
  REQUEST_CONFIGURATION,
} from "./ovsdb-changes.ts";
import { DEVICE_INDEX_ID, readDeviceIndex } from "./ovsdb-devices.ts";
import { joinRows } from "./ovsdb-join.ts";
import type { OvsdbTables } from "./ovsdb-rows.ts";
import {
  type OvsdbOperation,
  OvsdbRefusal,
  type OvsdbResult,
  OvsdbSession,
} from "./ovsdb-session.ts";
import {
  type Adoption,
  type NewPort,
  type PortChanges,
  type SwitchDatabase,
  SwitchDatabaseError,
  type SwitchDatabaseFailure,
  type SwitchDatabaseOptions,
} from "./switch-database.ts";
import { resolveBridge, type SwitchInterface, type SwitchView } from "./switch-view.ts";

const DEADLINE_MS = 5_000;
const PROBE_INTERVAL_MS = 5_000;
const RECONNECT_MS_MIN = 50;
const RECONNECT_MS_MAX = 1_000;

/** Connects in the background; the first {@link SwitchDatabase.view} is told as a change. */
export function openSwitchDatabase(options: SwitchDatabaseOptions): SwitchDatabase {
  return new OvsdbSwitchDatabase(options);
}

/** Someone who waits for ovs-vswitchd. */
type Waiter = { check(): void; reject(error: SwitchDatabaseError): void };

class OvsdbSwitchDatabase implements SwitchDatabase {
  readonly #options: SwitchDatabaseOptions;
  readonly #connection: KeptConnection;
  readonly #waiters = new Set<Waiter>();
  #session: OvsdbSession | null = null;
  #failure: SwitchDatabaseError | null = null;
  /** Joined when it is asked for. */
  #view: SwitchView | null = null;

  constructor(options: SwitchDatabaseOptions) {
    this.#options = options;
    this.#connection = keepConnected({
      delayMsMin: RECONNECT_MS_MIN,
      delayMsMax: RECONNECT_MS_MAX,
      connect: (onEnd) =>
        OvsdbSession.open({
          runDirectory: options.runDirectory,
          lock: options.lock ?? null,
          deadlineMs: options.deadlineMs ?? DEADLINE_MS,
          probeIntervalMs: options.probeIntervalMs ?? PROBE_INTERVAL_MS,
          onChange: () => this.#change(),
          onEnd,
        }),
      onUp: (session) => {
        this.#session = session;
        this.#failure = null;
        this.#change();
      },
      onDown: (error) => this.#lose(error),
    });
  }

  get view(): SwitchView | null {
    if (this.#session === null) {
      return null;
    }
    this.#view ??= joinRows(this.#session);
    return this.#view;
  }

  get failure(): SwitchDatabaseError | null {
    return this.#failure;
  }

  get locked(): boolean {
    return this.#session?.locked ?? false;
  }

  async adoptBridge(bridge: string): Promise<Adoption> {
    const doing = `make bridge ${bridge} secure`;
    const { session, view } = this.#connected(doing);
    const known = view.bridges.get(bridge);
    const uuid = findByName(session.tables.Bridge, bridge);
    if (known === undefined || uuid === null) {
      throw failureOf("not-found", doing, "there is no such bridge");
    }
    const protocols = protocolsMissing(known.protocols);
    const secure = known.failMode !== "secure";
    if (protocols.length > 0 || secure) {
      const change = { protocols, secure };
      await this.#apply(doing, adoptBridgeOperations({ uuid, name: bridge }, change));
    }
    return { flowsFlushed: secure, protocolsChanged: protocols.length > 0 };
  }

  async addPort(port: NewPort): Promise<SwitchInterface> {
    const doing = `add port ${port.name} to ${port.bridge}`;
    const { session, view } = this.#connected(doing);
    const resolved = resolveBridge(view, port.bridge);
    const uuid = resolved && findByName(session.tables.Bridge, resolved.bridge);
    if (resolved === null || uuid === null) {
      throw failureOf("not-found", doing, "there is no such bridge");
    }
    const former = view.interfaces.get(port.name)?.bridge ?? view.ports.get(port.name)?.bridge;
    if (former !== undefined) {
      throw failureOf("exists", doing, `it is already on ${former}`);
    }
    const ofFakeBridge = { tag: resolved.vlan, vlanMode: null, trunks: [] };
    const withVlan =
      port.vlan === undefined && resolved.vlan !== null ? { ...port, vlan: ofFakeBridge } : port;
    const index = port.type === undefined ? await readDeviceIndex(port.name) : null;
    const noted = index === null ? {} : { [DEVICE_INDEX_ID]: index };
    const complete = { ...withVlan, externalIds: { ...port.externalIds, ...noted } };
    await this.#apply(doing, addPortOperations({ uuid, name: resolved.bridge }, complete));
    const added = this.view?.interfaces.get(port.name);
    if (added === undefined) {
      throw failureOf("not-applied", doing, "it was deleted at the same time");
    }
    if (added.ofport === null) {
      throw failureOf("not-applied", doing, added.error ?? "ovs-vswitchd gave it no number");
    }
    return added;
  }

  async deletePort(name: string): Promise<boolean> {
    const doing = `delete port ${name}`;
    const { session, view } = this.#connected(doing);
    const uuid = findByName(session.tables.Port, name);
    const bridge = view.ports.get(name)?.bridge;
    const bridgeUuid = bridge === undefined ? null : findByName(session.tables.Bridge, bridge);
    if (uuid === null || bridgeUuid === null) {
      return false;
    }
    await this.#apply(doing, deletePortOperations(bridgeUuid, { uuid, name }));
    return true;
  }

  async changePort(name: string, changes: PortChanges): Promise<void> {
    await this.changePorts(new Map([[name, changes]]));
  }

  async changePorts(changes: ReadonlyMap<string, PortChanges>): Promise<void> {
    const [first] = changes.keys();
    const doing = changes.size === 1 ? `change port ${first}` : `change ${changes.size} ports`;
    const operations = Array.from(changes, ([name, change]) =>
      this.#operationsOf(doing, name, change),
    );
    const all = [...changes.values()];
    if (all.every(({ vlan, ofportRequest }) => vlan === undefined && ofportRequest === undefined)) {
      // Nothing to ovs-vswitchd, which may take long to find that out when ports are many.
      await this.#transact(doing, operations.flat());
    } else {
      await this.#apply(doing, operations.flat());
    }
  }

  close(): void {
    this.#connection.close();
    this.#drop(new SwitchDatabaseError("ended", "The connection to ovsdb-server was closed"));
  }

  #operationsOf(doing: string, name: string, changes: PortChanges): readonly OvsdbOperation[] {
    const { session } = this.#connected(doing);
    const uuid = findByName(session.tables.Port, name);
    const [interfaceUuid, ...more] = session.tables.Port.get(uuid ?? "")?.interfaces ?? [];
    if (uuid === null || interfaceUuid === undefined) {
      throw failureOf("not-found", doing, "there is no such port");
    }
    if (more.length > 0 && (changes.ofportRequest ?? changes.externalIds) !== undefined) {
      throw failureOf("refused", doing, "it is a bond");
    }
    return changePortOperations({ uuid, interfaceUuid, name }, changes);
  }

  #connected(doing: string): { readonly session: OvsdbSession; readonly view: SwitchView } {
    const session = this.#session;
    const view = this.view;
    if (session === null || view === null) {
      const why = this.#failure?.message ?? "there is no connection to ovsdb-server yet";
      throw failureOf(this.#failure?.reason ?? "no-database", doing, why);
    }
    return { session, view };
  }

  /** Returns when ovs-vswitchd has done it. */
  async #apply(doing: string, operations: readonly OvsdbOperation[]): Promise<void> {
    const { session } = this.#connected(doing);
    const results = await this.#transact(doing, [...operations, ...REQUEST_CONFIGURATION]);
    const number = configurationNumber(results.at(-1));
    await this.#until(doing, () => currentConfiguration(session.tables) >= number);
  }

  async #transact(
    doing: string,
    operations: readonly OvsdbOperation[],
  ): Promise<readonly OvsdbResult[]> {
    const { session } = this.#connected(doing);
    const comment = { op: "comment", comment: `vnetd: ${doing}` };
    try {
      return await session.transact([comment, ...operations]);
    } catch (error) {
      throw refusalOf(doing, error);
    }
  }

  #until(doing: string, isSo: () => boolean): Promise<void> {
    if (isSo()) {
      return Promise.resolve();
    }
    const { deadlineMs = DEADLINE_MS } = this.#options;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(deadline);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        check() {
          if (isSo()) {
            done();
            resolve();
          }
        },
        reject(error) {
          done();
          reject(failureOf(error.reason, doing, error.message, error));
        },
      };
      const deadline = setTimeout(() => {
        const why = `ovs-vswitchd did not do it in ${deadlineMs} ms; the database has it`;
        done();
        reject(failureOf("not-applied", doing, why));
      }, deadlineMs);
      this.#waiters.add(waiter);
    });
  }

  #change(): void {
    this.#view = null;
    for (const waiter of this.#waiters) {
      waiter.check();
    }
    this.#options.onChange();
  }

  #lose(cause: Error): void {
    const reason = cause instanceof JsonRpcError ? cause.reason : "ended";
    this.#drop(
      new SwitchDatabaseError(reason === "no-socket" ? "no-database" : reason, cause.message, {
        cause,
      }),
    );
    this.#options.onChange();
  }

  #drop(error: SwitchDatabaseError): void {
    this.#session = null;
    this.#view = null;
    this.#failure = error;
    for (const waiter of this.#waiters) {
      waiter.reject(error);
    }
  }
}

function findByName(
  rows: ReadonlyMap<string, { readonly name: string }>,
  name: string,
): string | null {
  for (const [uuid, row] of rows) {
    if (row.name === name) {
      return uuid;
    }
  }
  return null;
}

function configurationNumber(selected: Readonly<Record<string, unknown>> | undefined): number {
  const { rows } = (selected ?? {}) as { readonly rows?: readonly { next_cfg?: unknown }[] };
  const number = rows?.[0]?.next_cfg;
  return typeof number === "number" ? number : Number.POSITIVE_INFINITY;
}

function currentConfiguration(tables: OvsdbTables): number {
  const [root] = tables.Open_vSwitch.values();
  return root?.cur_cfg ?? 0;
}

function failureOf(
  reason: SwitchDatabaseFailure,
  doing: string,
  why: string,
  cause?: unknown,
): SwitchDatabaseError {
  return new SwitchDatabaseError(reason, `Cannot ${doing}: ${why}`, { cause });
}

function refusalOf(doing: string, error: unknown): unknown {
  if (error instanceof OvsdbRefusal) {
    // The only operation that waits is the one that looks for the row.
    return error.refusal === "timed out"
      ? failureOf("not-found", doing, "it was deleted at the same time", error)
      : failureOf("refused", doing, error.message, error);
  }
  if (error instanceof JsonRpcError) {
    const reason = error.reason === "no-socket" ? "no-database" : error.reason;
    return failureOf(reason, doing, error.message, error);
  }
  return error;
}

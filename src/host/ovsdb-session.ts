/**
 * One connection to ovsdb-server: a copy of the tables that is kept up to date, transactions, and a
 * lock (RFC 7047 §4.1). When it ends, the copy ends with it.
 */
import { join } from "node:path";
import { JsonFormatError, JsonRpcConnection, JsonRpcError } from "./json-rpc.ts";
import { TABLES } from "./ovsdb-columns.ts";
import type { OpenedDevices } from "./ovsdb-devices.ts";
import { OvsdbRows, type OvsdbTables, type UpdateForm } from "./ovsdb-rows.ts";

/** An operation of a transaction (RFC 7047 §5.2). */
export type OvsdbOperation = Readonly<Record<string, unknown>>;

export type OvsdbResult = Readonly<Record<string, unknown>>;

/** The database undid a transaction. */
export class OvsdbRefusal extends Error {
  override readonly name = "OvsdbRefusal";
  readonly code = "VNETD_OVS_FAILED";
  /** Its short name, `constraint violation`. */
  readonly refusal: string;

  constructor(refusal: string, details: string) {
    super(details === "" ? refusal : `${refusal}: ${details}`);
    this.refusal = refusal;
  }
}

export type OvsdbSessionOptions = {
  readonly runDirectory: string;
  readonly lock: string | null;
  readonly deadlineMs: number;
  readonly probeIntervalMs: number;
  /** The tables or the lock have changed. Not called before the session is open. */
  readonly onChange: () => void;
  readonly onEnd: (error: JsonRpcError) => void;
};

const DATABASE = "Open_vSwitch";
const MONITOR_ID = "vnetd";
const DETAILS_MAX = 500;

export class OvsdbSession {
  readonly #options: OvsdbSessionOptions;
  readonly #rows = new OvsdbRows();
  #rpc: JsonRpcConnection | null = null;
  /** What came between the first rows and their being taken in; null from then on. */
  #early: (readonly [UpdateForm, unknown])[] | null = [];
  #locked = false;
  #lockTold = false;

  private constructor(options: OvsdbSessionOptions) {
    this.#options = options;
  }

  /** @throws JsonRpcError */
  static async open(options: OvsdbSessionOptions): Promise<OvsdbSession> {
    const session = new OvsdbSession(options);
    const rpc = await JsonRpcConnection.connect({
      ...options,
      socketPath: join(options.runDirectory, "db.sock"),
      server: "ovsdb-server",
      onNotification: (method, params) => session.#notify(method, params),
      onEnd: options.onEnd,
    });
    session.#rpc = rpc;
    try {
      await session.#begin(rpc);
    } catch (error) {
      rpc.close();
      throw error instanceof JsonFormatError ? malformed(error) : error;
    }
    return session;
  }

  get tables(): OvsdbTables {
    return this.#rows.tables;
  }

  /** Of the tables as they are now. */
  get devices(): OpenedDevices {
    return this.#rows.devices;
  }

  get locked(): boolean {
    return this.#locked;
  }

  /**
   * The results of the operations, each in its place. The tables have its changes when this returns.
   *
   * @throws OvsdbRefusal when nothing was changed, JsonRpcError
   */
  async transact(operations: readonly OvsdbOperation[]): Promise<readonly OvsdbResult[]> {
    const guard = this.#options.lock === null ? [] : [{ op: "assert", lock: this.#options.lock }];
    const results = await this.#request("transact", [DATABASE, ...guard, ...operations]);
    if (!Array.isArray(results)) {
      throw new JsonRpcError("refused", "ovsdb-server did not answer with a list of results");
    }
    for (const result of results as readonly (OvsdbResult | null)[]) {
      const { error, details } = (result ?? {}) as { error?: unknown; details?: unknown };
      if (typeof error === "string") {
        throw new OvsdbRefusal(error, oneLine(details));
      }
    }
    return results.slice(guard.length).map((result: OvsdbResult | null) => result ?? {});
  }

  close(): void {
    this.#rpc?.close();
  }

  #request(method: string, params: readonly unknown[]): Promise<unknown> {
    const rpc = this.#rpc;
    return rpc === null
      ? Promise.reject(new JsonRpcError("ended", "There is no connection to ovsdb-server"))
      : rpc.request(method, params);
  }

  async #begin(rpc: JsonRpcConnection): Promise<void> {
    const { lock } = this.#options;
    if (lock !== null) {
      const answer = (await rpc.request("lock", [lock])) as { readonly locked?: unknown } | null;
      // A notification that came with the answer is newer than it.
      if (!this.#lockTold) {
        this.#locked = answer?.locked === true;
      }
    } else {
      this.#locked = true;
    }
    const requests = monitorRequests(await rpc.request("get_schema", [DATABASE]));
    const params = [DATABASE, MONITOR_ID, requests];
    try {
      this.#rows.apply("update2", await rpc.request("monitor_cond", params));
    } catch (error) {
      if (!(error instanceof JsonRpcError && error.reason === "refused")) {
        throw error;
      }
      // Before Open vSwitch 2.6.
      this.#rows.apply("update", await rpc.request("monitor", params));
    }
    for (const [form, updates] of this.#early ?? []) {
      this.#rows.apply(form, updates);
    }
    this.#early = null;
  }

  #notify(method: string, params: readonly unknown[]): void {
    if (method === "update2" || method === "update") {
      this.#update(method, params[1]);
    } else if ((method === "locked" || method === "stolen") && params[0] === this.#options.lock) {
      this.#lockTold = true;
      this.#locked = method === "locked";
      if (this.#early === null) {
        this.#options.onChange();
      }
    }
  }

  #update(form: UpdateForm, updates: unknown): void {
    if (this.#early === null) {
      this.#rows.apply(form, updates);
      this.#options.onChange();
    } else {
      this.#early.push([form, updates]);
    }
  }
}

/** The columns that we look at, as far as this version's schema has them. */
function monitorRequests(schema: unknown): object {
  const { tables } = (schema ?? {}) as { readonly tables?: unknown };
  const described = (tables ?? {}) as Readonly<
    Record<string, { readonly columns?: object } | undefined>
  >;
  return Object.fromEntries(
    Object.entries(TABLES).map(([table, kinds]) => {
      const there = described[table]?.columns ?? {};
      const columns = Object.keys(kinds).filter((column) => Object.hasOwn(there, column));
      return [table, [{ columns }]];
    }),
  );
}

function malformed(error: JsonFormatError): JsonRpcError {
  return new JsonRpcError("ended", `ovsdb-server sent what it must not: ${error.message}`);
}

function oneLine(details: unknown): string {
  return typeof details === "string" ? details.replaceAll(/\s+/g, " ").slice(0, DETAILS_MAX) : "";
}

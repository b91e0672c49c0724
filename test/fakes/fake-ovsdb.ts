/**
 * An ovsdb-server in memory, with the part of RFC 7047 that the client uses, and an ovs-vswitchd
 * that only numbers interfaces. It is held to the same contract as the real ones
 * (test/host/switch-database-contract.ts).
 */
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { JsonStreamSplitter } from "../../src/host/json-stream.ts";
import { emptyRow, TABLES, type TableName } from "../../src/host/ovsdb-columns.ts";
import {
  checkNames,
  emptyTables,
  type FakeRow,
  type FakeTables,
  mapValues,
  nameUuids,
  type Operation,
  perform,
  Refusal,
  removeUnreferenced,
} from "./ovsdb-tables.ts";
import { differences } from "./ovsdb-updates.ts";

type Client = {
  readonly socket: Socket;
  monitors: boolean;
  readonly locks: Set<string>;
};

const MESSAGE_BYTES_MAX = 1 << 20;
const OFPORT_LOCAL = 0xfffe;
const KNOWN_TYPES = new Set(["", "internal", "dummy", "patch"]);

export class FakeOvsdb {
  readonly #socketPath: string;
  readonly #root = randomUUID();
  #tables: FakeTables = {
    Open_vSwitch: new Map([[this.#root, emptyRow("Open_vSwitch")]]),
    Bridge: new Map(),
    Port: new Map(),
    Interface: new Map(),
  };
  readonly #clients = new Set<Client>();
  /** Who has a lock is first. */
  readonly #locks = new Map<string, Client[]>();
  #server: Server | null = null;
  #switchRuns = true;
  #answers = true;

  constructor(runDirectory: string) {
    this.#socketPath = join(runDirectory, "db.sock");
  }

  async start(): Promise<void> {
    rmSync(this.#socketPath, { force: true });
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve) => {
      server.listen(this.#socketPath, resolve);
    });
    this.#server = server;
  }

  /** As the death of ovsdb-server: its tables are there when it starts again. */
  async stop(): Promise<void> {
    for (const client of this.#clients) {
      client.socket.destroy();
    }
    this.#clients.clear();
    this.#locks.clear();
    const server = this.#server;
    this.#server = null;
    await new Promise<void>((resolve) => {
      server === null ? resolve() : server.close(() => resolve());
    });
  }

  /** Whether ovs-vswitchd does what the database says. */
  runSwitch(runs: boolean): void {
    this.#switchRuns = runs;
    this.#configure();
  }

  /** Whether ovsdb-server answers, or hangs. */
  answer(answers: boolean): void {
    this.#answers = answers;
  }

  /** As by someone else's client. @throws Error when it is refused */
  transact(...operations: readonly Operation[]): void {
    const failed = this.#transact(operations).find((result) => "error" in result);
    if (failed !== undefined) {
      throw new Error(JSON.stringify(failed));
    }
  }

  addBridge(name: string): void {
    this.transact(
      { op: "insert", table: "Interface", "uuid-name": "i", row: { name, type: "internal" } },
      { op: "insert", table: "Port", "uuid-name": "p", row: { name, interfaces: named("i") } },
      { op: "insert", table: "Bridge", "uuid-name": "b", row: { name, ports: named("p") } },
      mutation("Open_vSwitch", [], ["bridges", "insert", ["set", [named("b")]]]),
      NEXT_CONFIGURATION,
    );
  }

  deleteBridge(name: string): void {
    const [uuid] = this.#find("Bridge", name);
    this.transact(
      mutation("Open_vSwitch", [], ["bridges", "delete", ["set", [["uuid", uuid]]]]),
      NEXT_CONFIGURATION,
    );
  }

  addPort(bridge: string, name: string, columns: object = {}, interfaces = [name]): void {
    this.transact(
      ...interfaces.map((one, index) => {
        return { op: "insert", table: "Interface", "uuid-name": `i${index}`, row: { name: one } };
      }),
      {
        op: "insert",
        table: "Port",
        "uuid-name": "p",
        row: {
          name,
          interfaces: ["set", interfaces.map((_, index) => named(`i${index}`))],
          ...columns,
        },
      },
      mutation("Bridge", whereName(bridge), ["ports", "insert", ["set", [named("p")]]]),
      NEXT_CONFIGURATION,
    );
  }

  deletePort(name: string): void {
    const [uuid] = this.#find("Port", name);
    const gone = ["ports", "delete", ["set", [["uuid", uuid]]]];
    this.transact(mutation("Bridge", [], gone), NEXT_CONFIGURATION);
  }

  update(table: TableName, name: string, row: object): void {
    this.transact({ op: "update", table, where: whereName(name), row }, NEXT_CONFIGURATION);
  }

  setExternalId(name: string, key: string, value: string): void {
    this.transact(
      mutation("Interface", whereName(name), ["external_ids", "delete", ["set", [key]]]),
      mutation("Interface", whereName(name), ["external_ids", "insert", ["map", [[key, value]]]]),
    );
  }

  #find(table: TableName, name: string): [string, FakeRow] {
    const found = [...this.#tables[table]].find(([, row]) => row["name"] === name);
    if (found === undefined) {
      throw new Error(`no ${name} in ${table}`);
    }
    return found;
  }

  #accept(socket: Socket): void {
    const client: Client = { socket, monitors: false, locks: new Set() };
    const splitter = new JsonStreamSplitter(MESSAGE_BYTES_MAX);
    this.#clients.add(client);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#clients.delete(client);
      for (const lock of client.locks) {
        this.#unlock(client, lock);
      }
    });
    socket.on("data", (bytes) => {
      for (const text of splitter.split(bytes) ?? []) {
        const request = JSON.parse(text) as { id: unknown; method: string; params: unknown[] };
        if (this.#answers) {
          send(client, { id: request.id, error: null, result: this.#serve(client, request) });
        }
      }
    });
  }

  #serve(client: Client, { method, params }: { method: string; params: unknown[] }): unknown {
    switch (method) {
      case "echo":
        return params;
      case "get_schema":
        return { tables: mapValues(TABLES, (columns) => ({ columns })) };
      case "monitor_cond":
        client.monitors = true;
        return differences(emptyTables(), this.#tables, "initial");
      case "lock":
        return { locked: this.#lock(client, String(params[0])) };
      case "transact":
        return this.#transact(params.slice(1) as Operation[], client);
      default:
        throw new Error(`the fake does not know ${method}`);
    }
  }

  #lock(client: Client, lock: string): boolean {
    const queue = this.#locks.get(lock) ?? [];
    queue.push(client);
    client.locks.add(lock);
    this.#locks.set(lock, queue);
    return queue[0] === client;
  }

  #unlock(client: Client, lock: string): void {
    const queue = this.#locks.get(lock) ?? [];
    const rest = queue.filter((one) => one !== client);
    this.#locks.set(lock, rest);
    if (queue[0] === client && rest[0] !== undefined) {
      send(rest[0], { id: null, method: "locked", params: [lock] });
    }
  }

  /** All or nothing; who monitors is told before who asked. */
  #transact(operations: readonly Operation[], client?: Client): readonly object[] {
    const former = this.#tables;
    const tables = mapValues(former, (rows) => {
      return new Map([...rows].map(([uuid, row]) => [uuid, { ...row }]));
    });
    const results: object[] = [];
    try {
      const uuids = nameUuids(operations);
      for (const operation of operations) {
        if (operation.op === "assert") {
          this.#assertLock(client, String(operation["lock"]));
          results.push({});
        } else {
          results.push(perform(tables, uuids, operation));
        }
      }
      removeUnreferenced(tables, this.#root);
      checkNames(tables);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      return [...results, { error: error.refusal, details: error.message }];
    }
    this.#commit(former, tables);
    // What it does is a transaction of its own.
    setImmediate(() => this.#configure());
    return results;
  }

  #assertLock(client: Client | undefined, lock: string): void {
    if (client === undefined || this.#locks.get(lock)?.[0] !== client) {
      throw new Refusal("not owner", "Asserted lock not held by this session.");
    }
  }

  #commit(former: FakeTables, tables: FakeTables): void {
    this.#tables = tables;
    const updates = differences(former, tables, "insert");
    if (Object.keys(updates).length > 0) {
      for (const client of this.#clients) {
        if (client.monitors && this.#answers) {
          send(client, { id: null, method: "update2", params: ["vnetd", updates] });
        }
      }
    }
  }

  /** What ovs-vswitchd does when the configuration has another number. */
  #configure(): void {
    const root = this.#tables.Open_vSwitch.get(this.#root) ?? {};
    if (!this.#switchRuns || root["cur_cfg"] === root["next_cfg"]) {
      return;
    }
    const former = this.#tables;
    const tables: FakeTables = { ...former, Interface: new Map(former.Interface) };
    tables.Open_vSwitch = new Map([[this.#root, { ...root, cur_cfg: root["next_cfg"] }]]);
    const taken = new Set([...former.Interface.values()].map((row) => row["ofport"]));
    const bridges = new Set([...former.Bridge.values()].map((row) => row["name"]));
    for (const [uuid, row] of former.Interface) {
      if (row["ofport"] === null) {
        const ofport = bridges.has(row["name"]) ? OFPORT_LOCAL : numberFor(row, taken);
        const error = ofport === -1 ? `${String(row["name"])}: unknown type` : null;
        taken.add(ofport);
        tables.Interface.set(uuid, { ...row, ofport, error });
      }
    }
    this.#commit(former, tables);
  }
}

const NEXT_CONFIGURATION = mutation("Open_vSwitch", [], ["next_cfg", "+=", 1]);

function mutation(table: TableName, where: unknown, change: readonly unknown[]): Operation {
  return { op: "mutate", table, where, mutations: [change] };
}

function named(name: string): readonly unknown[] {
  return ["named-uuid", name];
}

function whereName(name: string): readonly unknown[] {
  return [["name", "==", name]];
}

function numberFor(row: FakeRow, taken: ReadonlySet<unknown>): number {
  if (!KNOWN_TYPES.has(String(row["type"]))) {
    return -1;
  }
  const asked = row["ofport_request"];
  if (typeof asked === "number" && !taken.has(asked)) {
    return asked;
  }
  let ofport = 1;
  while (taken.has(ofport)) {
    ofport += 1;
  }
  return ofport;
}

function send({ socket }: Client, message: object): void {
  socket.write(JSON.stringify(message));
}

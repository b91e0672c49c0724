/** The transactions of the fake ovsdb-server (RFC 7047 §5.2), on tables in memory. */
import { randomUUID } from "node:crypto";
import { decodeValue, emptyRow, kindOf, type TableName } from "../../src/host/ovsdb-columns.ts";

export type FakeRow = Record<string, unknown>;
export type FakeTables = Record<TableName, Map<string, FakeRow>>;
export type Operation = Readonly<Record<string, unknown>> & { readonly op: string };

const OFPORT_MAX = 0xfeff;

/** A transaction is undone; as an answer to its operation. */
export class Refusal extends Error {
  readonly refusal: string;

  constructor(refusal: string, details: string) {
    super(details);
    this.refusal = refusal;
  }
}

export function emptyTables(): FakeTables {
  return { Open_vSwitch: new Map(), Bridge: new Map(), Port: new Map(), Interface: new Map() };
}

export function mapValues<K extends string, V, W>(
  object: Readonly<Record<K, V>>,
  change: (value: V) => W,
): Record<K, W> {
  const entries = Object.entries(object) as [K, V][];
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)])) as Record<K, W>;
}

export function nameUuids(operations: readonly Operation[]): ReadonlyMap<string, string> {
  const names = operations.map((operation) => operation["uuid-name"]);
  return new Map(
    names.filter((name) => name !== undefined).map((name) => [String(name), randomUUID()]),
  );
}

export function perform(
  tables: FakeTables,
  uuids: ReadonlyMap<string, string>,
  operation: Operation,
): object {
  const table = operation["table"] as TableName;
  const columns = (operation["row"] ?? {}) as Readonly<Record<string, unknown>>;
  const read = (column: string, json: unknown): unknown =>
    decodeValue(kindOf(table, column), resolveNames(json, uuids));
  switch (operation.op) {
    case "comment":
      return {};
    case "insert": {
      const row = emptyRow(table);
      assignColumns(row, columns, read);
      const uuid = uuids.get(String(operation["uuid-name"])) ?? randomUUID();
      tables[table].set(uuid, row);
      return { uuid: ["uuid", uuid] };
    }
    case "update": {
      const rows = select(tables, operation);
      for (const row of rows) {
        assignColumns(row, columns, read);
      }
      return { count: rows.length };
    }
    case "mutate": {
      const rows = select(tables, operation);
      for (const row of rows) {
        mutateRow(row, operation["mutations"] as [string, string, unknown][], { table, uuids });
      }
      return { count: rows.length };
    }
    case "select":
      return { rows: select(tables, operation).map((row) => ({ next_cfg: row["next_cfg"] })) };
    case "wait": {
      const names = select(tables, operation).map((row) => row["name"]);
      const expected = operation["rows"] as readonly { readonly name: string }[];
      if (JSON.stringify(names) !== JSON.stringify(expected.map((row) => row.name))) {
        throw new Refusal("timed out", '"wait" timed out');
      }
      return {};
    }
    default:
      throw new Error(`the fake does not know ${operation.op}`);
  }
}

function assignColumns(
  row: FakeRow,
  columns: Readonly<Record<string, unknown>>,
  read: (column: string, json: unknown) => unknown,
): void {
  for (const [column, json] of Object.entries(columns)) {
    row[column] = read(column, json);
  }
  const asked = row["ofport_request"];
  if (typeof asked === "number" && (asked < 1 || asked > OFPORT_MAX)) {
    const details = `${asked} is not in the valid range 1 to ${OFPORT_MAX} (inclusive)`;
    throw new Refusal("constraint violation", details);
  }
}

function select(tables: FakeTables, operation: Operation): readonly FakeRow[] {
  const table = tables[operation["table"] as TableName];
  const conditions = operation["where"] as readonly [string, string, unknown][];
  return [...table]
    .filter(([uuid, row]) =>
      conditions.every(([column, , value]) =>
        column === "_uuid" ? uuid === (value as unknown[])[1] : row[column] === value,
      ),
    )
    .map(([, row]) => row);
}

function mutateRow(
  row: FakeRow,
  mutations: readonly (readonly [column: string, how: string, json: unknown])[],
  { table, uuids }: { readonly table: TableName; readonly uuids: ReadonlyMap<string, string> },
): void {
  for (const [column, how, json] of mutations) {
    const former = row[column];
    const kind = kindOf(table, column);
    if (former instanceof Map) {
      row[column] = mutateMap(former, how, json);
    } else if (Array.isArray(former)) {
      const some = decodeValue(kind, resolveNames(json, uuids)) as readonly unknown[];
      const rest = former.filter((element) => !some.includes(element));
      row[column] = how === "insert" ? [...rest, ...some] : rest;
    } else {
      row[column] = (former as number) + (json as number);
    }
  }
}

/** Keys may be deleted by themselves; insertion leaves those that are there as they are. */
function mutateMap(former: ReadonlyMap<unknown, unknown>, how: string, json: unknown): unknown {
  if (how === "insert") {
    return new Map([...(decodeValue("map", json) as ReadonlyMap<unknown, unknown>), ...former]);
  }
  const keys = decodeValue("strings", json) as readonly unknown[];
  return new Map([...former].filter(([key]) => !keys.includes(key)));
}

function resolveNames(json: unknown, uuids: ReadonlyMap<string, string>): unknown {
  if (!Array.isArray(json)) {
    return json;
  }
  return json[0] === "named-uuid"
    ? ["uuid", uuids.get(String(json[1]))]
    : json.map((element) => resolveNames(element, uuids));
}

/** Rows live as long as something refers to them, from the one of the switch down. */
export function removeUnreferenced(tables: FakeTables, root: string): void {
  const roots = tables.Open_vSwitch.get(root);
  keepOnly(tables.Bridge, roots === undefined ? [] : [roots], "bridges");
  keepOnly(tables.Port, [...tables.Bridge.values()], "ports");
  keepOnly(tables.Interface, [...tables.Port.values()], "interfaces");
}

function keepOnly(rows: Map<string, FakeRow>, parents: readonly FakeRow[], column: string): void {
  const kept = new Set(parents.flatMap((parent) => parent[column] as readonly string[]));
  for (const uuid of rows.keys()) {
    if (!kept.has(uuid)) {
      rows.delete(uuid);
    }
  }
}

export function checkNames(tables: FakeTables): void {
  for (const table of ["Bridge", "Port", "Interface"] as const) {
    const names = [...tables[table].values()].map((row) => row["name"]);
    if (new Set(names).size < names.length) {
      throw new Refusal("constraint violation", `rows in "${table}" table have identical values`);
    }
  }
}

/** What the fake ovsdb-server tells of changes: the form "update2" of ovsdb-server(7). */
import { type ColumnKind, emptyRow, TABLES, type TableName } from "../../src/host/ovsdb-columns.ts";
import type { FakeRow, FakeTables } from "./ovsdb-tables.ts";

/** New rows are `initial` or `insert`. */
export function differences(
  former: FakeTables,
  now: FakeTables,
  word: "initial" | "insert",
): object {
  const tables = (Object.keys(TABLES) as TableName[]).map((table) => {
    const uuids = new Set([...former[table].keys(), ...now[table].keys()]);
    const changes = [...uuids].flatMap((uuid) => {
      const change = rowChange(table, former[table].get(uuid), now[table].get(uuid), word);
      return change === null ? [] : [[uuid, change] as const];
    });
    return [table, changes] as const;
  });
  return Object.fromEntries(
    tables
      .filter(([, changes]) => changes.length > 0)
      .map(([table, changes]) => [table, Object.fromEntries(changes)]),
  );
}

/** Null when the row is as it was. */
function rowChange(
  table: TableName,
  before: FakeRow | undefined,
  after: FakeRow | undefined,
  word: "initial" | "insert",
): object | null {
  if (after === undefined) {
    return { delete: null };
  }
  const changed = rowDifference(table, before ?? emptyRow(table), after);
  if (before === undefined) {
    return { [word]: changed };
  }
  return Object.keys(changed).length === 0 ? null : { modify: changed };
}

function rowDifference(table: TableName, before: FakeRow, after: FakeRow): object {
  const kinds = Object.entries(TABLES[table]) as [string, ColumnKind][];
  return Object.fromEntries(
    kinds.flatMap(([column, kind]) => {
      const json = valueDifference(kind, before[column], after[column]);
      return json === undefined ? [] : [[column, json]];
    }),
  );
}

/** Undefined when they are equal. */
function valueDifference(kind: ColumnKind, before: unknown, after: unknown): unknown {
  if (before instanceof Map && after instanceof Map) {
    const gone = [...before].filter(([key]) => !after.has(key));
    const changed = [...after].filter(([key, value]) => before.get(key) !== value);
    const pairs = [...gone, ...changed];
    return pairs.length === 0 ? undefined : ["map", pairs];
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const gone = before.filter((element) => !after.includes(element));
    const come = after.filter((element) => !before.includes(element));
    const all = [...gone, ...come].map((one) => (kind === "uuids" ? ["uuid", one] : one));
    return all.length === 0 ? undefined : ["set", all];
  }
  if (before === after) {
    return undefined;
  }
  return after === null ? ["set", []] : after;
}

/**
 * The rows that a monitor has told of so far: a copy of the database's part that we look at, as of
 * the last notification. Updates come in either of two forms: `update` (RFC 7047 §4.1.6) with whole
 * rows, and `update2` (ovsdb-server(7)) with what has changed in them.
 */
import { JsonFormatError } from "./json-rpc.ts";
import {
  decodeValue,
  emptyRow,
  kindOf,
  patchValue,
  type Row,
  TABLES,
  type TableName,
} from "./ovsdb-columns.ts";
import { OpenedDevices } from "./ovsdb-devices.ts";

export type UpdateForm = "update" | "update2";

type JsonObject = Readonly<Record<string, unknown>>;

type StoredTables = { readonly [T in TableName]: Map<string, Row<T>> };

/** By their identifiers. */
export type OvsdbTables = { readonly [T in TableName]: ReadonlyMap<string, Row<T>> };

export class OvsdbRows {
  readonly #tables: StoredTables = {
    Open_vSwitch: new Map(),
    Bridge: new Map(),
    Port: new Map(),
    Interface: new Map(),
  };

  readonly devices = new OpenedDevices();

  get tables(): OvsdbTables {
    return this.#tables;
  }

  /**
   * Takes in what one notification says, or the answer to the monitor request.
   *
   * @throws JsonFormatError; the rows are not to be used then
   */
  apply(form: UpdateForm, updates: unknown): void {
    for (const [table, changes] of entriesOf(updates)) {
      if (!isTableName(table)) {
        throw new JsonFormatError(`a table ${table}, which was not asked for`);
      }
      for (const [uuid, change] of entriesOf(changes)) {
        const row =
          form === "update"
            ? wholeRow(table, objectOf(change)["new"])
            : this.#changedRow(table, uuid, objectOf(change));
        this.#store(table, uuid, row);
      }
    }
    this.devices.settle();
  }

  #changedRow(table: TableName, uuid: string, change: JsonObject): object | null {
    const { initial, insert, modify } = change as {
      readonly [name in "initial" | "insert" | "modify"]?: unknown;
    };
    if (modify !== undefined) {
      const former = this.#tables[table].get(uuid);
      if (former === undefined) {
        throw new JsonFormatError(`a change of a row of ${table} that is not there`);
      }
      return patchedRow(table, former, modify);
    }
    return wholeRow(table, initial ?? insert);
  }

  #store(table: TableName, uuid: string, row: object | null): void {
    // The row was made of the columns of this very table.
    const rows = this.#tables[table] as Map<string, unknown>;
    if (table === "Interface") {
      const former = this.#tables.Interface.get(uuid);
      this.devices.note(uuid, former, row as Row<"Interface"> | null);
    }
    if (row === null) {
      rows.delete(uuid);
    } else {
      rows.set(uuid, row);
    }
  }
}

/** Null when it was deleted. Columns with nothing in them are left out. */
function wholeRow(table: TableName, json: unknown): object | null {
  if (json === undefined || json === null) {
    return null;
  }
  const row = emptyRow(table);
  for (const [column, value] of entriesOf(json)) {
    row[column] = decodeValue(kindOf(table, column), value);
  }
  return row;
}

function patchedRow(table: TableName, former: object, json: unknown): object {
  const row: Record<string, unknown> = { ...former };
  for (const [column, value] of entriesOf(json)) {
    row[column] = patchValue(kindOf(table, column), row[column], value);
  }
  return row;
}

function isTableName(name: string): name is TableName {
  return Object.hasOwn(TABLES, name);
}

function entriesOf(json: unknown): [string, unknown][] {
  return Object.entries(objectOf(json));
}

function objectOf(json: unknown): JsonObject {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new JsonFormatError(`no object: ${(JSON.stringify(json) ?? "nothing").slice(0, 80)}`);
  }
  return json as JsonObject;
}

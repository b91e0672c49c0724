/**
 * The tables and columns of Open vSwitch's database that we look at (ovs-vswitchd.conf.db(5)), and
 * how their values stand in JSON (RFC 7047 §5.1): an atom, `["set", [atom…]]`,
 * `["map", [[key, value]…]]`, and an identifier as `["uuid", text]`. A set of one may be its atom.
 */
import { JsonFormatError } from "./json-rpc.ts";
import type { StringMap } from "./switch-view.ts";

/** By what kind of value a column has. `?`: none or one. */
export type ColumnValues = {
  string: string;
  boolean: boolean;
  integer: number;
  "string?": string | null;
  "integer?": number | null;
  strings: readonly string[];
  integers: readonly number[];
  uuids: readonly string[];
  map: StringMap;
};

export type ColumnKind = keyof ColumnValues;

export const TABLES = {
  Open_vSwitch: {
    bridges: "uuids",
    next_cfg: "integer",
    cur_cfg: "integer",
    ovs_version: "string?",
    other_config: "map",
    external_ids: "map",
  },
  Bridge: {
    name: "string",
    ports: "uuids",
    protocols: "strings",
    fail_mode: "string?",
    datapath_type: "string",
    controller: "uuids",
    external_ids: "map",
    other_config: "map",
  },
  Port: {
    name: "string",
    interfaces: "uuids",
    tag: "integer?",
    vlan_mode: "string?",
    trunks: "integers",
    bond_mode: "string?",
    bond_active_slave: "string?",
    fake_bridge: "boolean",
    external_ids: "map",
  },
  Interface: {
    name: "string",
    type: "string",
    options: "map",
    ofport: "integer?",
    ofport_request: "integer?",
    error: "string?",
    ifindex: "integer?",
    mac_in_use: "string?",
    link_state: "string?",
    external_ids: "map",
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ColumnKind>>>>;

export type TableName = keyof typeof TABLES;

type Kinds<T extends TableName> = (typeof TABLES)[T];

export type Row<T extends TableName> = {
  readonly [C in keyof Kinds<T>]: Kinds<T>[C] extends ColumnKind
    ? ColumnValues[Kinds<T>[C]]
    : never;
};

const DEFAULTS: { readonly [K in ColumnKind]: ColumnValues[K] } = {
  string: "",
  boolean: false,
  integer: 0,
  "string?": null,
  "integer?": null,
  strings: [],
  integers: [],
  uuids: [],
  map: new Map(),
};

/** The kind of a column that we look at. @throws JsonFormatError for another */
export function kindOf(table: TableName, column: string): ColumnKind {
  const kind = (TABLES[table] as Readonly<Record<string, ColumnKind>>)[column];
  if (kind === undefined || !Object.hasOwn(TABLES[table], column)) {
    throw new JsonFormatError(`a column ${column} of ${table}, which was not asked for`);
  }
  return kind;
}

/** A row without anything in it, which is what a column that is left out stands for. */
export function emptyRow(table: TableName): Record<string, unknown> {
  const kinds = Object.entries(TABLES[table]) as [string, ColumnKind][];
  return Object.fromEntries(kinds.map(([column, kind]) => [column, DEFAULTS[kind]]));
}

/** @throws JsonFormatError */
export function decodeValue(kind: ColumnKind, json: unknown): ColumnValues[ColumnKind] {
  switch (kind) {
    case "string":
      return textOf(json);
    case "boolean":
      return flagOf(json);
    case "integer":
      return numberOf(json);
    case "string?":
      return optionOf(json, textOf);
    case "integer?":
      return optionOf(json, numberOf);
    case "strings":
      return setOf(json).map(textOf);
    case "integers":
      return setOf(json).map(numberOf);
    case "uuids":
      return setOf(json).map(uuidOf);
    case "map":
      return mapOf(json);
  }
}

/**
 * What a value becomes by a change of update2 (ovsdb-server(7), "Update2 notification"): of a set,
 * the elements that come or go; of a map, new and changed pairs, and those that go just as they
 * were; anything else is the new value itself.
 *
 * @throws JsonFormatError
 */
export function patchValue(kind: ColumnKind, former: unknown, json: unknown): unknown {
  const change = decodeValue(kind, json);
  switch (kind) {
    case "strings":
    case "integers":
    case "uuids":
      return toggled(former as readonly unknown[], change as readonly unknown[]);
    case "map":
      return patched(former as StringMap, change as StringMap);
    default:
      return change;
  }
}

function toggled(former: readonly unknown[], change: readonly unknown[]): readonly unknown[] {
  const all = new Set(former);
  for (const element of change) {
    if (!all.delete(element)) {
      all.add(element);
    }
  }
  return [...all];
}

function patched(former: StringMap, change: StringMap): StringMap {
  const all = new Map(former);
  for (const [key, value] of change) {
    if (all.get(key) === value) {
      all.delete(key);
    } else {
      all.set(key, value);
    }
  }
  return all;
}

/** The elements of a set, which may be written as one atom. */
function setOf(json: unknown): readonly unknown[] {
  if (Array.isArray(json) && json[0] === "set" && Array.isArray(json[1])) {
    return json[1];
  }
  return [json];
}

function optionOf<T>(json: unknown, atomOf: (json: unknown) => T): T | null {
  const [first, ...more] = setOf(json);
  if (more.length > 0) {
    throw new JsonFormatError(`several values where one is expected: ${shown(json)}`);
  }
  return first === undefined ? null : atomOf(first);
}

function mapOf(json: unknown): StringMap {
  if (!Array.isArray(json) || json[0] !== "map" || !Array.isArray(json[1])) {
    throw new JsonFormatError(`no map: ${shown(json)}`);
  }
  return new Map(
    json[1].map((pair: unknown) => {
      if (!Array.isArray(pair)) {
        throw new JsonFormatError(`no pair of a map: ${shown(pair)}`);
      }
      return [textOf(pair[0]), textOf(pair[1])] as const;
    }),
  );
}

function textOf(json: unknown): string {
  if (typeof json !== "string") {
    throw new JsonFormatError(`no string: ${shown(json)}`);
  }
  return json;
}

function numberOf(json: unknown): number {
  if (!Number.isSafeInteger(json)) {
    throw new JsonFormatError(`no integer: ${shown(json)}`);
  }
  return json as number;
}

function flagOf(json: unknown): boolean {
  if (typeof json !== "boolean") {
    throw new JsonFormatError(`neither true nor false: ${shown(json)}`);
  }
  return json;
}

function uuidOf(json: unknown): string {
  if (!Array.isArray(json) || json[0] !== "uuid" || typeof json[1] !== "string") {
    throw new JsonFormatError(`no identifier: ${shown(json)}`);
  }
  return json[1];
}

function shown(json: unknown): string {
  return (JSON.stringify(json) ?? "nothing").slice(0, 80);
}

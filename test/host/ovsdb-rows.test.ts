import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { JsonFormatError } from "../../src/host/json-rpc.ts";
import { TABLES } from "../../src/host/ovsdb-columns.ts";
import { joinRows } from "../../src/host/ovsdb-join.ts";
import { OvsdbRows } from "../../src/host/ovsdb-rows.ts";

const BRIDGE = "00000000-0000-0000-0000-00000000000b";
const PORT = "00000000-0000-0000-0000-00000000000c";
const OTHER_PORT = "00000000-0000-0000-0000-00000000000d";
const INTERFACE = "00000000-0000-0000-0000-00000000000e";

/** A bridge with one port of one interface, which has a map. */
function rowsWithPort(): OvsdbRows {
  const rows = new OvsdbRows();
  rows.apply("update2", {
    Bridge: { [BRIDGE]: { initial: { name: "br0", ports: ["uuid", PORT] } } },
    Port: { [PORT]: { initial: { name: "p1", interfaces: ["uuid", INTERFACE], trunks: 5 } } },
    Interface: {
      [INTERFACE]: {
        insert: {
          name: "p1",
          ofport: 3,
          external_ids: [
            "map",
            [
              ["a", "1"],
              ["b", "2"],
            ],
          ],
        },
      },
    },
  });
  return rows;
}

describe("OvsdbRows", () => {
  test("columns that are left out have nothing in them", () => {
    const port = joinRows(rowsWithPort()).ports.get("p1");
    assert.deepEqual(
      [port?.tag, port?.vlanMode, port?.trunks, port?.bondMode, port?.fakeBridge],
      [null, null, [5], null, false],
    );
    const one = port?.interfaces[0];
    assert.deepEqual([one?.ofport, one?.error, one?.mac, one?.linkUp], [3, null, null, null]);
  });

  test("a change of a set names what comes and what goes", () => {
    const rows = rowsWithPort();
    const modify = {
      ports: [
        "set",
        [
          ["uuid", PORT],
          ["uuid", OTHER_PORT],
        ],
      ],
    };
    rows.apply("update2", { Bridge: { [BRIDGE]: { modify } } });
    assert.deepEqual(rows.tables.Bridge.get(BRIDGE)?.ports, [OTHER_PORT]);
    rows.apply("update2", { Port: { [PORT]: { modify: { trunks: ["set", [5, 6, 7]] } } } });
    assert.deepEqual(rows.tables.Port.get(PORT)?.trunks, [6, 7]);
  });

  test("a change of a map names what is new, what is other, and what goes", () => {
    const rows = rowsWithPort();
    const change = [
      ["a", "1"],
      ["b", "3"],
      ["c", "4"],
    ];
    const modify = { external_ids: ["map", change], ofport: ["set", []] };
    rows.apply("update2", { Interface: { [INTERFACE]: { modify } } });
    const row = rows.tables.Interface.get(INTERFACE);
    assert.deepEqual(
      [...(row?.external_ids ?? [])],
      [
        ["b", "3"],
        ["c", "4"],
      ],
    );
    assert.equal(row?.ofport, null);
  });

  test("a row is deleted in either form, and replaced as a whole in the older one", () => {
    const rows = rowsWithPort();
    rows.apply("update", {
      Interface: { [INTERFACE]: { new: { name: "p1", ofport: -1 }, old: {} } },
    });
    const failed = joinRows(rows).interfaces.get("p1");
    assert.deepEqual(
      [failed?.ofport, failed?.error, failed?.externalIds.size],
      [null, "ovs-vswitchd could not open it", 0],
    );
    rows.apply("update", { Interface: { [INTERFACE]: { old: { name: "p1" } } } });
    rows.apply("update2", { Port: { [PORT]: { delete: null } } });
    assert.equal(rows.tables.Interface.size, 0);
    assert.deepEqual(joinRows(rows).bridges.get("br0")?.ports, []);
  });

  test("an interface keeps the index of the device that was opened first", () => {
    const rows = rowsWithPort();
    const index = () => joinRows(rows).interfaces.get("p1")?.ifindex;
    assert.equal(index(), null);
    const modify = (columns: object) =>
      rows.apply("update2", { Interface: { [INTERFACE]: { modify: columns } } });
    for (const ifindex of [0, 5, 0, 9]) {
      modify({ ifindex });
    }
    assert.equal(index(), 5);
    // Deleted and added in one transaction: it is not opened anew.
    const again = "00000000-0000-0000-0000-00000000000f";
    const port = {
      modify: {
        interfaces: [
          "set",
          [
            ["uuid", INTERFACE],
            ["uuid", again],
          ],
        ],
      },
    };
    const insert = { name: "p1", ofport: 3, ifindex: 9 };
    rows.apply("update2", {
      Port: { [PORT]: port },
      Interface: { [again]: { insert }, [INTERFACE]: { delete: null } },
    });
    assert.equal(index(), 5);
    // In two, it is.
    rows.apply("update2", { Interface: { [again]: { delete: null } } });
    rows.apply("update2", { Interface: { [again]: { insert } } });
    assert.equal(index(), 9);
  });

  test("what was written down when the port was added counts more", () => {
    const rows = rowsWithPort();
    const ids = (index: string) => ({ external_ids: ["map", [["vnetd-ifindex", index]]] });
    const insert = { name: "p1", ofport: 3, ifindex: 9 };
    rows.apply("update", { Interface: { [INTERFACE]: { new: { ...insert, ...ids("5") } } } });
    assert.equal(joinRows(rows).interfaces.get("p1")?.ifindex, 5);
    rows.apply("update", { Interface: { [INTERFACE]: { new: { ...insert, ...ids("x") } } } });
    assert.equal(joinRows(rows).interfaces.get("p1")?.ifindex, 9);
  });

  test("whatever comes is understood or refused", () => {
    // Nearly right, so that it gets somewhere.
    const tables = Object.entries(TABLES);
    const atom = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(["uuid", PORT]));
    const value = fc.oneof(
      atom,
      fc.array(atom).map((atoms) => ["set", atoms]),
      fc.array(fc.tuple(atom, atom)).map((pairs) => ["map", pairs]),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const columns = fc.dictionary(
      fc.constantFrom(...tables.flatMap(([, kinds]) => Object.keys(kinds)), "__proto__"),
      value,
    );
    const word = fc.constantFrom("initial", "insert", "modify", "delete", "new", "old", "other");
    const change = fc.oneof(
      fc.dictionary(word, fc.oneof(columns, value)),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const rows = fc.dictionary(fc.constantFrom(BRIDGE, PORT, INTERFACE), change);
    const names = fc.constantFrom(...tables.map(([table]) => table), "__proto__", "toString");
    const updates = fc.oneof(fc.dictionary(names, rows), fc.jsonValue({ maxDepth: 2 }));
    let understoodCount = 0;
    fc.assert(
      fc.property(fc.constantFrom("update", "update2"), updates, (form, json) => {
        const known = rowsWithPort();
        try {
          known.apply(form, JSON.parse(JSON.stringify(json)));
          joinRows(known);
          understoodCount += 1;
        } catch (error) {
          assert.ok(error instanceof JsonFormatError, String(error));
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(understoodCount > 20, `${understoodCount} were understood`);
  });

  const faults: readonly (readonly [name: string, updates: unknown, message: RegExp])[] = [
    ["no object", [], /^no object: \[\]$/],
    ["a table that was not asked for", { QoS: {} }, /^a table QoS, which was not/],
    ["a table by the name of a method", { toString: {} }, /^a table toString/],
    ["a column that was not asked for", row({ mac: "x" }), /^a column mac of Interface/],
    ["a column by the name of a method", row({ constructor: "x" }), /^a column constructor/],
    ["a number for a name", row({ name: 5 }), /^no string: 5$/],
    ["a fraction for a number", row({ ofport: 1.5 }), /^no integer: 1.5$/],
    ["two numbers for one", row({ ofport: ["set", [1, 2]] }), /^several values where one/],
    ["a set for a map", row({ external_ids: ["set", []] }), /^no map/],
    ["a map of no pairs", row({ external_ids: ["map", [1]] }), /^no pair of a map: 1$/],
    [
      "a change of an absent row",
      { Interface: { x: { modify: {} } } },
      /^a change of a row of Interface that is not there$/,
    ],
    [
      "a bridge's port that is none",
      { Bridge: { x: { initial: { ports: 1 } } } },
      /^no identifier/,
    ],
  ];
  for (const [name, updates, message] of faults) {
    test(`refuses ${name}`, () => {
      assert.throws(() => new OvsdbRows().apply("update2", updates), {
        name: "JsonFormatError",
        message,
      });
    });
  }
});

function row(columns: object): object {
  return { Interface: { [INTERFACE]: { initial: columns } } };
}

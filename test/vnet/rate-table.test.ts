import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRateTable, mayOnceMore } from "../../src/vnet/rate-table.ts";

const LIMITS = { perSecond: 10, burst: 3, entriesMax: 4 };

describe("mayOnceMore", () => {
  test("lets a burst through, then one each interval, for each name", () => {
    const table = createRateTable(LIMITS);
    const tries = (name: string, now: number) =>
      [1, 2, 3, 4].map(() => mayOnceMore(table, name, now));
    assert.deepEqual(tries("a", 0), [true, true, true, false]);
    assert.deepEqual(tries("b", 0), [true, true, true, false]);
    assert.deepEqual(tries("a", 99), [false, false, false, false]);
    assert.deepEqual(tries("a", 100), [true, false, false, false]);
    assert.deepEqual(tries("a", 10_000), [true, true, true, false]);
  });

  test("forgets the name that was let through longest ago when there are too many", () => {
    const table = createRateTable(LIMITS);
    for (let round = 0; round < 3; round++) {
      mayOnceMore(table, "busy", 0);
    }
    for (let index = 0; index < 1000; index++) {
      mayOnceMore(table, `name ${index}`, 0);
    }
    assert.equal(table.fullAt.size, 4);
    assert.deepEqual([...table.fullAt.keys()].at(-1), "name 999");
  });
});

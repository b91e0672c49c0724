import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createFloodBudget, reserveFlood } from "../../src/vnet/flood-budget.ts";

describe("reserveFlood", () => {
  test("lets a burst of 200 out at once, then 100 a second", () => {
    const budget = createFloodBudget();
    const sent = (now: number) => {
      let count = 0;
      while (reserveFlood(budget, { now, waitMsMax: 0 }) !== null) {
        count += 1;
      }
      return count;
    };
    assert.equal(sent(5000), 200);
    assert.equal(sent(5000), 0);
    assert.equal(sent(6000), 100);
    assert.equal(sent(6005), 0);
    assert.equal(sent(60_000), 200);
  });

  test("gives places in the future one after the other, as far as is asked", () => {
    const budget = createFloodBudget();
    const places = Array.from({ length: 203 }, () =>
      reserveFlood(budget, { now: 0, waitMsMax: 30 }),
    );
    assert.deepEqual(places.slice(199), [0, 10, 20, 30]);
    assert.equal(reserveFlood(budget, { now: 0, waitMsMax: 30 }), null);
    // What was refused was not spent.
    assert.equal(reserveFlood(budget, { now: 10, waitMsMax: 30 }), 40);
  });
});

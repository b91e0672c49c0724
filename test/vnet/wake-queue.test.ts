import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  addDeadline,
  createWakeQueue,
  earliestWakeAt,
  takeDue,
  type WakeQueue,
} from "../../src/vnet/wake-queue.ts";

describe("WakeQueue", () => {
  test("an empty one never wakes", () => {
    const queue = createWakeQueue<string>();
    assert.equal(earliestWakeAt(queue), Number.POSITIVE_INFINITY);
    assert.equal(takeDue(queue, Number.MAX_SAFE_INTEGER), null);
  });

  test("gives the deadlines back as a sorted list would", () => {
    // A number to add, or null to take what is due at 25.
    const steps = fc.array(fc.option(fc.nat(50)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (ats) => {
        const queue = createWakeQueue<number>();
        let slow: readonly number[] = [];
        for (const at of ats) {
          slow = at === null ? checkTake(queue, slow) : addToBoth(queue, slow, at);
          assert.equal(earliestWakeAt(queue), slow[0] ?? Number.POSITIVE_INFINITY);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function addToBoth(queue: WakeQueue<number>, slow: readonly number[], at: number) {
  addDeadline(queue, { at, what: at });
  return [...slow, at].toSorted((one, other) => one - other);
}

function checkTake(queue: WakeQueue<number>, slow: readonly number[]) {
  const due = slow[0] !== undefined && slow[0] <= 25 ? slow[0] : null;
  assert.equal(takeDue(queue, 25)?.what ?? null, due);
  return due === null ? slow : slow.slice(1);
}

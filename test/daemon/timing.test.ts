import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PassTimer } from "../../src/daemon/pass-timer.ts";
import { RetryTimes } from "../../src/daemon/retry-times.ts";
import { Serial } from "../../src/daemon/serial.ts";

describe("RetryTimes", () => {
  test("waits twice as long each time, up to a minute, and from the start after a success", () => {
    let now = 0;
    const retries = new RetryTimes(() => now);
    assert.equal(retries.isDue("a"), true);
    const delays: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      retries.fail("a");
      assert.equal(retries.isDue("a"), false);
      delays.push(retries.nextAt() - now);
      now = retries.nextAt();
      assert.equal(retries.isDue("a"), true);
    }
    assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    retries.succeed("a");
    assert.equal(retries.nextAt(), Number.POSITIVE_INFINITY);
    retries.fail("a");
    assert.equal(retries.nextAt() - now, 1_000);
  });
});

describe("PassTimer", () => {
  test("many wake-ups are one pass, soon", async () => {
    let runCount = 0;
    let ran: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      ran = resolve;
    });
    const timer = new PassTimer(
      () => performance.now(),
      async () => {
        runCount += 1;
        ran();
      },
    );
    const startedAt = performance.now();
    for (let count = 0; count < 100; count += 1) {
      timer.wake();
    }
    await done;
    assert.ok(performance.now() - startedAt >= 40);
    assert.equal(runCount, 1);
    timer.close();
    timer.wake();
  });

  test("wake-ups while a pass waits its turn make one more, not many", async () => {
    let runCount = 0;
    let ran: () => void = () => {};
    const nextRun = (): Promise<void> =>
      new Promise((resolve) => {
        ran = resolve;
      });
    const timer = new PassTimer(
      () => performance.now(),
      async () => {
        runCount += 1;
        ran();
      },
    );
    const first = nextRun();
    timer.wake();
    await first;
    for (let count = 0; count < 5; count += 1) {
      // Longer than the delay of a wake-up: each would have been a pass of its own.
      timer.wake();
      await new Promise((resolve) => setTimeout(resolve, 70));
    }
    assert.equal(runCount, 1);
    const second = nextRun();
    timer.ended(performance.now(), Number.POSITIVE_INFINITY);
    await second;
    assert.equal(runCount, 2);
    timer.close();
  });

  test("what turns out right meanwhile needs no pass", async () => {
    let runCount = 0;
    let isNeeded = true;
    const timer = new PassTimer(
      () => performance.now(),
      async () => {
        runCount += 1;
      },
    );
    const asked = new Promise<void>((resolve) => {
      timer.wakeIf(() => {
        resolve();
        return isNeeded;
      });
    });
    isNeeded = false;
    await asked;
    assert.equal(runCount, 0);
    timer.close();
  });
});

describe("Serial", () => {
  test("runs one task at a time, in order, and goes on after one that fails", async () => {
    const serial = new Serial();
    const events: string[] = [];
    const task = (name: string) => async () => {
      events.push(`${name} begins`);
      await Promise.resolve();
      events.push(`${name} ends`);
      if (name === "b") {
        throw new Error(name);
      }
      return name;
    };
    const results = await Promise.allSettled(["a", "b", "c"].map((name) => serial.run(task(name))));
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(
      events,
      ["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });
});

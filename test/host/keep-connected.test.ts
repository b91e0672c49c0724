import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { keepConnected } from "../../src/host/keep-connected.ts";

const DELAYS = { delayMsMin: 5, delayMsMax: 80 };

/** A connection that only knows whether it was closed. */
function connection(): { closed: boolean; close(): void } {
  return {
    closed: false,
    close() {
      this.closed = true;
    },
  };
}

describe("keepConnected", () => {
  test("makes a connection that is lost at once less and less often", async () => {
    let attemptCount = 0;
    const told: string[] = [];
    const kept = keepConnected({
      ...DELAYS,
      async connect(onEnd) {
        attemptCount += 1;
        setImmediate(() => onEnd(new Error("lost")));
        return connection();
      },
      onUp: () => told.push("up"),
      onDown: (error) => told.push(error.message),
    });
    await delay(500);
    kept.close();
    // 10, 20, 40, and then every 80 ms.
    assert.ok(attemptCount >= 4 && attemptCount <= 11, `${attemptCount} attempts in 500 ms`);
    assert.deepEqual(told.slice(0, 4), ["up", "lost", "up", "lost"]);
  });

  test("connects at once when a connection that lasted is lost", async () => {
    const upAt: number[] = [];
    let end: (error: Error) => void = () => {};
    const kept = keepConnected({
      ...DELAYS,
      async connect(onEnd) {
        end = onEnd;
        return connection();
      },
      onUp: () => upAt.push(performance.now()),
      onDown() {},
    });
    await delay(DELAYS.delayMsMax + 20);
    const lostAt = performance.now();
    end(new Error("lost"));
    // Only the first time does it count.
    end(new Error("lost again"));
    await delay(60);
    kept.close();
    assert.equal(upAt.length, 2);
    assert.ok((upAt[1] ?? 0) - lostAt < 40, `after ${(upAt[1] ?? 0) - lostAt} ms`);
  });

  test("tells a reason once, and another one", async () => {
    const reasons = ["none", "none", "none", "denied", "denied"];
    const told: string[] = [];
    let attemptCount = 0;
    const kept = keepConnected({
      ...DELAYS,
      async connect() {
        attemptCount += 1;
        throw new Error(reasons[attemptCount - 1] ?? "denied");
      },
      onUp: () => assert.fail("there is no connection"),
      onDown: (error) => told.push(error.message),
    });
    while (attemptCount < 5) {
      await delay(5);
    }
    kept.close();
    assert.deepEqual(told, ["none", "denied"]);
  });

  test("closes what it has, and what comes too late, and calls nothing more", async () => {
    const made: { closed: boolean; close(): void }[] = [];
    const open = (ms: number) =>
      keepConnected({
        ...DELAYS,
        async connect() {
          await delay(ms);
          const one = connection();
          made.push(one);
          return one;
        },
        onUp: () => assert.equal(ms, 0),
        onDown: () => assert.fail("it was closed by us"),
      });
    const first = open(0);
    const second = open(50);
    await delay(20);
    first.close();
    second.close();
    await delay(60);
    assert.deepEqual(
      made.map(({ closed }) => closed),
      [true, true],
    );
  });

  test("closes a connection that had ended while it was made", async () => {
    const one = connection();
    const kept = keepConnected({
      ...DELAYS,
      connect(onEnd) {
        onEnd(new Error("lost"));
        return one.closed ? new Promise<typeof one>(() => {}) : Promise.resolve(one);
      },
      onUp: () => assert.fail("it had ended"),
      onDown() {},
    });
    await delay(20);
    kept.close();
    assert.equal(one.closed, true);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Latest } from "../../src/daemon/latest.ts";

/** A task whose runs end when the test says so. */
function held() {
  const runs: { resolve(): void; reject(error: Error): void }[] = [];
  let runningCount = 0;
  const latest = new Latest(async () => {
    runningCount += 1;
    assert.equal(runningCount, 1, "never twice at a time");
    try {
      await new Promise<void>((resolve, reject) => runs.push({ resolve, reject }));
    } finally {
      runningCount -= 1;
    }
  });
  return { latest, runs };
}

describe("Latest", () => {
  test("all who ask while a run goes on share the next one", async () => {
    const { latest, runs } = held();
    const first = latest.run();
    const later = [latest.run(), latest.run(), latest.run()];
    assert.equal(runs.length, 1);
    runs[0]?.resolve();
    await first;
    assert.equal(runs.length, 1, "the next one begins a moment later");
    const joined = latest.run();
    await new Promise(setImmediate);
    assert.equal(runs.length, 2);
    runs[1]?.resolve();
    await Promise.all([...later, joined]);
    assert.equal(runs.length, 2);
  });

  test("a run that fails is told to those who asked for it, and to nobody else", async () => {
    const { latest, runs } = held();
    const first = latest.run();
    const second = latest.run();
    runs[0]?.reject(new Error("no"));
    await assert.rejects(first, /no/);
    await new Promise(setImmediate);
    runs[1]?.resolve();
    await second;
  });

  test("idle() waits for what runs and for what waits", async () => {
    const { latest, runs } = held();
    void latest.run();
    void latest.run();
    let isIdle = false;
    const idle = latest.idle().then(() => {
      isIdle = true;
    });
    runs[0]?.resolve();
    await new Promise(setImmediate);
    assert.equal(isIdle, false);
    runs[1]?.resolve();
    await idle;
    assert.equal(runs.length, 2);
  });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { COUNTERS } from "../../src/vnet/counters.ts";
import { DATAPLANE_MESSAGES } from "../../src/vnet/dataplane-messages.ts";

describe("the generated modules", () => {
  test("are what native/control/messages.def and counters.def give", () => {
    const generator = "dist/scripts/generate-messages.js";
    const result = spawnSync(process.execPath, [generator, "--check", "."], { encoding: "utf8" });
    assert.equal(result.stderr, "");
    assert.equal(result.status, 0);
  });

  test("have every row of the tables", () => {
    assert.equal(Object.keys(DATAPLANE_MESSAGES).length, rowCount("messages.def"));
    assert.equal(COUNTERS.length, rowCount("counters.def"));
  });
});

function rowCount(file: string): number {
  const table = readFileSync(`native/control/${file}`, "utf8");
  return table.match(/^VNETD_(?:MESSAGE|COUNTER)\(/gm)?.length ?? 0;
}

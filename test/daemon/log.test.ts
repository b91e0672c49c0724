import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatLine } from "../../src/daemon/log.ts";

describe("formatLine", () => {
  test("is one line: time, level, message, cause, fields", () => {
    const line = JSON.stringify({
      ...{ level: 40, time: "2026-11-20T20:01:57.114Z", msg: "a TAP was lost", vnetif: "vnif0097" },
      ...{ err: { message: "gone\nreally" }, what: "two words", names: ["a", "b"] },
    });
    assert.equal(
      formatLine(`${line}\n`),
      '20:01:57.114 warn a TAP was lost (gone really) vnetif=vnif0097 what="two words" names=["a","b"]\n',
    );
  });
});

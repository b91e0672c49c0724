import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { VERSION } from "../../src/control/version.ts";

describe("VERSION", () => {
  test("is the version of package.json", async () => {
    // dist/test/control/ is three folders below the checkout.
    const file = new URL("../../../package.json", import.meta.url);
    const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
    assert.equal(VERSION, version);
  });
});

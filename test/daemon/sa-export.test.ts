import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { pino } from "pino";
import { SaExports } from "../../src/daemon/sa-export.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

const VNET = parseVnetId("97");

describe("SaExports", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-exports-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const open = (): SaExports =>
    new SaExports({ runDirectory: folder, listSas: () => [], log: pino({ level: "silent" }) });

  test("what was not fetched goes with the daemon", async () => {
    const exports = open();
    await exports.write(VNET);
    assert.equal(readdirSync(folder).length, 1);
    await exports.close();
    assert.deepEqual(readdirSync(folder), []);
  });

  test("what a killed daemon left is wiped by the next one, and nothing else is", async () => {
    const names = ["sa-export-0123456789abcdef", "sa-export-0123456789abcdef.new"];
    const others = ["sa-export-mine", "vnetd.sock"];
    for (const name of [...names, ...others]) {
      writeFileSync(join(folder, name), "keys");
    }
    await open().wipeLeft();
    assert.deepEqual(readdirSync(folder).toSorted(), others);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { missingCapabilities } from "../../src/host/capabilities.ts";

const BOTH = ["CAP_NET_ADMIN", "CAP_NET_RAW"] as const;

describe("missingCapabilities", () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ["000001ffffffffff", []],
    ["0000000000003000", []],
    ["0000000000001000", ["CAP_NET_RAW"]],
    ["0000000000002000", ["CAP_NET_ADMIN"]],
    ["0000000000000000", BOTH],
  ];
  for (const [mask, missing] of table) {
    test(`of CapEff ${mask}: ${missing.join(" and ") || "none"}`, () => {
      const status = `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${mask}\nSeccomp:\t0\n`;
      assert.deepEqual(missingCapabilities(status, BOTH), missing);
    });
  }

  test("takes a status without the line for one without rights", () => {
    assert.deepEqual(missingCapabilities("Name:\tnode\n", BOTH), BOTH);
  });
});

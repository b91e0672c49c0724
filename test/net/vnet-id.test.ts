import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ParseError } from "../../src/net/parse-error.ts";
import {
  ALL_VNETS,
  decodeVnetId,
  encodeVnetId,
  isReservedVnetId,
  lastVnetIdField,
  parseVnetId,
  shortVnetId,
} from "../../src/net/vnet-id.ts";

describe("parseVnetId", () => {
  const good = [
    ["97", "0000:0000:0000:0000:0000:0000:0000:0097"],
    ["0004", "0000:0000:0000:0000:0000:0000:0000:0004"],
    ["0:0:0:0:0:0:0:97", "0000:0000:0000:0000:0000:0000:0000:0097"],
    ["ABCD:0:1", "0000:0000:0000:0000:0000:abcd:0000:0001"],
    ["1:2:3:4:5:6:7:8", "0001:0002:0003:0004:0005:0006:0007:0008"],
  ] as const;
  for (const [text, canonical] of good) {
    test(`reads ${text}`, () => assert.equal(parseVnetId(text), canonical));
  }

  for (const text of [
    "",
    ":",
    "::1",
    "12345",
    "1:2:3:4:5:6:7:8:9",
    "0x97",
    "9 7",
    "-1",
    "97:",
    "g",
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseVnetId(text), { name: "ParseError", code: "VNETD_PARSE" });
    });
  }

  for (const text of ["0", "0000", "0:0:0:0:0:0:0:0"]) {
    test(`refuses id 0, written ${text}`, () => {
      assert.throws(
        () => parseVnetId(text),
        (error) => error instanceof ParseError && /Vnet id 0/.test(error.message),
      );
    });
  }
});

describe("VnetId", () => {
  test("text and octets are each other's inverse, and the short form reads back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
        const id = decodeVnetId(Uint8Array.of(7, ...octets), 1);
        assert.deepEqual(encodeVnetId(id), octets);
        assert.equal(lastVnetIdField(id), (octets[14] ?? 0) * 256 + (octets[15] ?? 0));
        if (id !== ALL_VNETS) {
          assert.equal(parseVnetId(shortVnetId(id)), id);
        }
      }),
    );
  });

  test("the short form leaves out leading zeros and nothing else", () => {
    assert.equal(shortVnetId(parseVnetId("97")), "97");
    assert.equal(shortVnetId(parseVnetId("abcd:0:1")), "abcd:0:1");
    assert.equal(shortVnetId(ALL_VNETS), "0");
  });

  test("sixteen zero octets are all vnets, 1 is the physical network", () => {
    assert.equal(decodeVnetId(new Uint8Array(16)), ALL_VNETS);
    assert.ok(isReservedVnetId(parseVnetId("1")));
    assert.ok(!isReservedVnetId(parseVnetId("1:1")));
  });

  test("decodeVnetId() needs sixteen octets", () => {
    assert.throws(() => decodeVnetId(new Uint8Array(16), 1), RangeError);
  });
});

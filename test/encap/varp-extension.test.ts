import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  BATCH_ENTRIES_MAX,
  decodeExtendedVarp,
  type ExtendedVarp,
  encodeExtendedVarp,
} from "../../src/encap/varp-extension.ts";
import { decodeVarp } from "../../src/encap/varp-message.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { decodeMacAddress, parseMacAddress } from "../../src/net/mac-address.ts";
import { decodeVnetId, parseVnetId } from "../../src/net/vnet-id.ts";

const MAC = parseMacAddress("02:00:00:00:00:01");
const ANNOUNCE: ExtendedVarp = {
  ...{ opcode: "announce", vnet: parseVnetId("97"), careOf: parseIpAddress("10.0.0.1") },
  ...{
    claim: { mac: MAC, moveSequence: 7 },
    owner: new Uint8Array(16).fill(0xa1),
    permanent: true,
  },
};

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const claims = plainRecord({
  mac: octets(6).map((bytes) => decodeMacAddress(bytes)),
  moveSequence: fc.nat({ max: 0xffff_ffff }),
});
const common = {
  vnet: octets(16).map((bytes) => decodeVnetId(bytes)),
  careOf: fc.constantFrom("10.0.0.1", "2001:db8::7").map(parseIpAddress),
  owner: fc.option(octets(16), { nil: null }),
  permanent: fc.boolean(),
};
const messages: fc.Arbitrary<ExtendedVarp> = fc.oneof(
  plainRecord({
    ...common,
    opcode: fc.constantFrom("request", "announce", "withdraw"),
    claim: claims,
  }) as fc.Arbitrary<ExtendedVarp>,
  plainRecord({
    ...common,
    opcode: fc.constant("batch"),
    claims: fc.array(claims, { maxLength: BATCH_ENTRIES_MAX }),
  }) as fc.Arbitrary<ExtendedVarp>,
);

describe("encodeExtendedVarp and decodeExtendedVarp", () => {
  test("write the documented octets", () => {
    const expected = [
      ...[
        "0001",
        "0002",
        `${"00".repeat(15)}97`,
        "020000000001",
        "02",
        "0a000001",
        "00".repeat(12),
      ],
      ...["01000400000007", "04000101", `050010${"a1".repeat(16)}`],
    ];
    assert.equal(Buffer.from(encodeExtendedVarp(ANNOUNCE)).toString("hex"), expected.join(""));
  });

  test("write a batch of MACs in ten octets each", () => {
    const { vnet, careOf } = ANNOUNCE;
    const batch = { opcode: "batch", vnet, careOf, owner: null, permanent: false } as const;
    const claim = { mac: MAC, moveSequence: 0x01020304 };
    const octetsOf = encodeExtendedVarp({ ...batch, claims: [claim, claim] });
    assert.equal(
      Buffer.from(octetsOf.subarray(37)).toString("hex"),
      `0002${"02000000000101020304".repeat(2)}`,
    );
    const tooMany = new Array(BATCH_ENTRIES_MAX + 1).fill(claim);
    assert.throws(() => encodeExtendedVarp({ ...batch, claims: tooMany }), RangeError);
  });

  test("the first 43 octets are the original's", () => {
    const outcome = decodeVarp(encodeExtendedVarp(ANNOUNCE));
    const { opcode, vnet, careOf } = ANNOUNCE;
    assert.deepEqual(outcome, { kind: "varp", message: { opcode, vnet, mac: MAC, careOf } });
  });

  test("give back what was written", () => {
    fc.assert(
      fc.property(messages, (message) => {
        assert.deepEqual(decodeExtendedVarp(encodeExtendedVarp(message)), {
          kind: "varp",
          message,
        });
      }),
    );
  });

  test("never throw, whatever the bytes, cut anywhere", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(messages, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }))
        .map(([message, changes]) => {
          const changed = encodeExtendedVarp(message);
          for (const [at, octet] of changes) {
            changed[at % changed.length] = octet;
          }
          return changed;
        }),
    );
    fc.assert(
      fc.property(bytes, fc.nat({ max: 300 }), (payload, length) => {
        assert.ok(["varp", "drop"].includes(decodeExtendedVarp(payload.subarray(0, length)).kind));
      }),
      { numRuns: 2000 },
    );
  });

  test("refuse a count that lies, a broken chain, a wrong length and another id", () => {
    const good = encodeExtendedVarp(ANNOUNCE);
    const variants: readonly Uint8Array[] = [
      good.subarray(0, good.length - 1),
      Uint8Array.of(...good, 9),
      Uint8Array.of(...good, 1, 0, 3, 0, 0, 0),
      Uint8Array.of(0, 2, ...good.subarray(2)),
      Uint8Array.of(0, 1, 0, 5, ...good.subarray(4)),
      Uint8Array.of(0, 1, 0, 4, ...good.subarray(4, 37), 0, 200),
    ];
    for (const payload of variants) {
      assert.equal(decodeExtendedVarp(payload).kind, "drop");
    }
    assert.equal(decodeExtendedVarp(Uint8Array.of(...good, 99, 0, 1, 0)).kind, "varp");
  });
});

/** Of objects as a literal makes them, which deepEqual() compares with. */
function plainRecord<T>(values: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(values, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

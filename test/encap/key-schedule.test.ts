import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { nodeCrypto } from "../../src/daemon/node-crypto.ts";
import {
  deriveControlKey,
  deriveKeyId,
  deriveSpi,
  deriveTrafficKeys,
  deriveVnetTag,
  FIRST_GROUP_SPI,
  LAST_GROUP_SPI,
  membershipHint,
  type SaName,
  SUITES,
  suiteById,
} from "../../src/encap/key-schedule.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

/** RFC 5869 appendix A.1 to A.3, and RFC 4231 §4.2 and §4.4. */
const HKDF_VECTORS = [
  {
    name: "A.1",
    inputKey: "0b".repeat(22),
    salt: "000102030405060708090a0b0c",
    info: "f0f1f2f3f4f5f6f7f8f9",
    output: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  },
  {
    name: "A.2",
    inputKey: countingHex(0x00, 80),
    salt: countingHex(0x60, 80),
    info: countingHex(0xb0, 80),
    output:
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
  },
  {
    name: "A.3",
    inputKey: "0b".repeat(22),
    salt: "",
    info: "",
    output: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  },
];

const HMAC_VECTORS = [
  {
    name: "RFC 4231 §4.2",
    key: "0b".repeat(20),
    message: hexOf("Hi There"),
    output: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  },
  {
    name: "RFC 4231 §4.4",
    key: "aa".repeat(20),
    message: "dd".repeat(50),
    output: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
  },
];

const PSK = Uint8Array.from({ length: 32 }, (_, index) => index);
const NAME: SaName = {
  vnet: parseVnetId("97"),
  keyId: 0x1234,
  suite: suiteOf(1),
  senderId: new Uint8Array(16).fill(0xa1),
  bootNonce: new Uint8Array(16).fill(0xb2),
  epoch: 7,
};

describe("nodeCrypto", () => {
  for (const { name, inputKey, salt, info, output } of HKDF_VECTORS) {
    test(`computes HKDF as RFC 5869 appendix ${name}`, () => {
      const length = output.length / 2;
      const octets = nodeCrypto.hkdfSha256(bytes(inputKey), bytes(salt), bytes(info), length);
      assert.equal(hex(octets), output);
    });
  }

  for (const { name, key, message, output } of HMAC_VECTORS) {
    test(`computes HMAC-SHA-256 as ${name}`, () => {
      assert.equal(hex(nodeCrypto.hmacSha256(bytes(key), bytes(message))), output);
    });
  }
});

describe("the key schedule", () => {
  test("is expansion of one extracted key with the documented info strings", () => {
    const vnet = "00000000000000000000000000000097";
    const about = `${vnet}1234`;
    const sa = `${about}01${"a1".repeat(16)}${"b2".repeat(16)}00000007`;
    const prk = hmac(Buffer.from("vnetd v1"), PSK);
    const expand = (info: string, length: number) =>
      Buffer.concat([hmac(prk, bytes(`${info}01`))]).subarray(0, length);
    assert.equal(
      hex(deriveControlKey(nodeCrypto, PSK, NAME)),
      hex(expand(hexOf("ctl") + about, 32)),
    );
    assert.equal(hex(deriveTrafficKeys(nodeCrypto, PSK, NAME)), hex(expand(hexOf("grp") + sa, 20)));
    const draw = expand(hexOf("spi") + sa, 4).readUInt32BE(0);
    assert.equal(deriveSpi(nodeCrypto, PSK, NAME), 0x10000000 + (draw % 0x70000000));
    const tag = hmac(expand(hexOf("tag") + about, 32), bytes(about)).subarray(0, 8);
    assert.equal(hex(deriveVnetTag(nodeCrypto, PSK, NAME)), hex(tag));
    assert.equal(deriveKeyId(nodeCrypto, PSK), expand(hexOf("id"), 2).readUInt16BE(0));
    const hint = hmac(Buffer.from([...NAME.senderId, ...NAME.bootNonce]), bytes(vnet));
    assert.equal(hex(membershipHint(nodeCrypto, NAME)), hex(hint.subarray(0, 4)));
  });

  test("gives other traffic keys whenever any part of the SA's name differs", () => {
    const others: readonly Partial<SaName>[] = [
      { vnet: parseVnetId("98") },
      { keyId: 0x1235 },
      { senderId: new Uint8Array(16).fill(0xa2) },
      { bootNonce: new Uint8Array(16).fill(0xb3) },
      { epoch: 8 },
    ];
    const names = [NAME, ...others.map((other) => ({ ...NAME, ...other }))];
    const keys = names.map((name) => hex(deriveTrafficKeys(nodeCrypto, PSK, name)));
    assert.equal(new Set(keys).size, names.length);
    const bySuite = SUITES.map((suite) =>
      hex(deriveTrafficKeys(nodeCrypto, PSK, { ...NAME, suite })),
    );
    assert.equal(new Set(bySuite.map((key) => key.slice(0, 40))).size, SUITES.length);
  });

  test("gives each suite as many octets as its layout has", () => {
    const lengths = SUITES.map(
      (suite) => deriveTrafficKeys(nodeCrypto, PSK, { ...NAME, suite }).length,
    );
    assert.deepEqual(lengths, [16 + 4, 32 + 4, 32, 20, 16 + 16 + 20]);
  });

  test("draws SPIs from the group range only, over all of it", () => {
    const eighths = new Set<number>();
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), (epoch) => {
        const spi = deriveSpi(nodeCrypto, PSK, { ...NAME, epoch });
        assert.ok(spi >= FIRST_GROUP_SPI && spi <= LAST_GROUP_SPI);
        eighths.add(spi >>> 28);
      }),
      { numRuns: 300 },
    );
    assert.deepEqual([...eighths].sort(), [1, 2, 3, 4, 5, 6, 7]);
  });

  test("never gives key id 0", () => {
    const zeros = { ...nodeCrypto, hkdfSha256: () => new Uint8Array(2) };
    assert.equal(deriveKeyId(zeros, PSK), 1);
  });
});

function suiteOf(id: number) {
  const suite = suiteById(id);
  assert.ok(suite);
  return suite;
}

function hmac(key: Uint8Array, message: Uint8Array): Buffer {
  return createHmac("sha256", key).update(message).digest();
}

function countingHex(from: number, count: number): string {
  return hex(Uint8Array.from({ length: count }, (_, index) => from + index));
}

function hexOf(text: string): string {
  return Buffer.from(text).toString("hex");
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

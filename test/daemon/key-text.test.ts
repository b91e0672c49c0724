import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodeBase64Key,
  encodeBase64Key,
  keyIdOf,
  parseKeyText,
} from "../../src/daemon/key-text.ts";

const SECRET = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7 + 1));
const BASE64 = SECRET.toString("base64");
const HEX = SECRET.toString("hex");

describe("parseKeyText", () => {
  const GOOD: readonly (readonly [what: string, text: string])[] = [
    ["base64", `${BASE64}\n`],
    ["hexadecimal", `${HEX}\n`],
    ["capital hexadecimal", HEX.toUpperCase()],
    ["comments, blank lines and white space", `# a key\n\n \t${BASE64}  # made today\r\n# end\n`],
  ];
  for (const [what, text] of GOOD) {
    test(`reads ${what}`, () => {
      assert.deepEqual(Buffer.from(parseKeyText(Buffer.from(text)) as Uint8Array), SECRET);
    });
  }

  const BAD: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
    ["nothing", "", /^it has no key$/],
    ["comments alone", "# key\n#\n", /^it has no key$/],
    ["two keys", `${BASE64}\n${BASE64}\n`, /^it has more than one line/],
    ["a short key", `${BASE64.slice(0, 40)}\n`, /^its 40 characters are no key/],
    ["16 octets", `${HEX.slice(0, 32)}\n`, /^its 32 characters are no key/],
    ["a digit that is none", `${HEX.slice(0, 63)}g`, /^its 64 characters are no key/],
    ["base64 without its padding", BASE64.slice(0, 43), /^its 43 characters are no key/],
    ["base64 for URLs", `${"-".repeat(43)}=`, /^its 44 characters are no key/],
    ["base64 with bits that belong to nothing", `${BASE64.slice(0, 42)}/=`, /are no key/],
    ["zeros", "0".repeat(64), /^its octets are all the same$/],
    ["one letter", "ff".repeat(32), /^its octets are all the same$/],
  ];
  for (const [what, text, reason] of BAD) {
    test(`refuses ${what}, and does not say what it read`, () => {
      const problem = parseKeyText(Buffer.from(text));
      assert.match(String(problem), reason);
      assert.ok(!String(problem).includes(text.trim().slice(0, 8)) || text.trim() === "");
    });
  }

  test("takes every key in both forms", () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(key, (octets) => {
        fc.pre(new Set(octets).size > 1);
        const secret = Buffer.from(octets);
        const text = Buffer.alloc(44);
        encodeBase64Key(secret, text);
        assert.equal(text.toString(), secret.toString("base64"));
        assert.deepEqual(Buffer.from(decodeBase64Key(text) ?? []), secret);
        assert.deepEqual(
          Buffer.from(parseKeyText(Buffer.from(secret.toString("hex"))) as Uint8Array),
          secret,
        );
      }),
    );
  });

  test("never throws, whatever the octets", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (text) => void parseKeyText(text)));
  });
});

describe("keyIdOf", () => {
  test("is the beginning of HKDF's output (RFC 5869), never 0", () => {
    const hmac = (key: Uint8Array | string, data: Uint8Array | string): Buffer =>
      createHmac("sha256", key).update(data).digest();
    const expand = (secret: Uint8Array): number =>
      hmac(hmac("vnetd v1", secret), Buffer.from("id\x01")).readUInt16BE(0);
    assert.equal(keyIdOf(SECRET), expand(SECRET));
    // The first of the keys 0, 1, 2 … (32 octets, big-endian) whose two octets are zero.
    const rare = Buffer.alloc(32);
    let count = 0;
    while (expand(rare) !== 0) {
      count += 1;
      rare.writeUInt32BE(count, 28);
    }
    assert.equal(keyIdOf(rare), 1);
  });
});

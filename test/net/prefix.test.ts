import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeIpAddress, ipFamily } from "../../src/net/ip-address.ts";
import { ParseError } from "../../src/net/parse-error.ts";
import {
  type Prefix,
  parsePrefix,
  prefixAddress,
  prefixContains,
  prefixLength,
} from "../../src/net/prefix.ts";

describe("parsePrefix", () => {
  const good = [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.0.0.1", "10.0.0.1/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8:0::/32", "2001:db8::/32"],
    ["::1", "::1/128"],
  ] as const;
  for (const [text, canonical] of good) {
    test(`reads ${text}`, () => assert.equal(parsePrefix(text), canonical));
  }

  const bad = [
    ["10.0.0.1/8", /10\.0\.0\.0\/8 is meant\?/],
    ["10.0.0.0/33", /above 32/],
    ["::/129", /above 128/],
    ["10.0.0.0/08", /Not a prefix/],
    ["10.0.0.0/", /Not a prefix/],
    ["10.0.0.0/8/8", /Not a prefix/],
    ["10.0.0.0/-1", /Not a prefix/],
    ["/8", /Not an IPv4 or IPv6 address/],
  ] as const;
  for (const [text, why] of bad) {
    test(`refuses ${text}`, () => {
      assert.throws(
        () => parsePrefix(text),
        (error) => error instanceof ParseError && why.test(error.message),
      );
    });
  }
});

describe("prefixContains", () => {
  test("agrees with node:net's BlockList", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, bytes, fc.nat(128), (network, candidate, length) => {
        const prefix = maskedPrefix(network, Math.min(length, network.length * 8));
        const address = decodeIpAddress(candidate);
        const list = new BlockList();
        const family = ipFamily(prefixAddress(prefix)) === 4 ? "ipv4" : "ipv6";
        list.addSubnet(prefixAddress(prefix), prefixLength(prefix), family);
        const sameFamily = candidate.length === network.length;
        assert.equal(
          prefixContains(prefix, address),
          sameFamily && list.check(address, ipFamily(address) === 4 ? "ipv4" : "ipv6"),
        );
        assert.equal(prefixContains(prefix, prefixAddress(prefix)), true);
      }),
    );
  });
});

/** By the refusal's own hint, or as it stands when there is nothing to mask. */
function maskedPrefix(network: Uint8Array, length: number): Prefix {
  const masked = network.map(
    (octet, index) => octet & (0xff00 >> Math.max(0, Math.min(8, length - index * 8))),
  );
  return parsePrefix(`${decodeIpAddress(masked)}/${length}`);
}

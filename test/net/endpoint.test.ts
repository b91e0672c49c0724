import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  formatEndpoint,
  parseEndpoint,
  parseUdpPort,
  sameEndpoint,
} from "../../src/net/endpoint.ts";
import { decodeIpAddress } from "../../src/net/ip-address.ts";
import { ParseError } from "../../src/net/parse-error.ts";

describe("parseUdpPort", () => {
  test("reads 1 … 65535", () => {
    assert.deepEqual(["1", "1798", "65535"].map(parseUdpPort), [1, 1798, 65_535]);
  });

  for (const text of ["0", "65536", "01798", "-1", "1e3", "0x10", "", " 1", "1798 "]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseUdpPort(text), ParseError);
    });
  }
});

describe("parseEndpoint", () => {
  test("is formatEndpoint's inverse", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(octets, fc.integer({ min: 1, max: 65_535 }), (bytes, udpPort) => {
        const endpoint = { address: decodeIpAddress(bytes), udpPort };
        const read = parseEndpoint(formatEndpoint(endpoint));
        assert.ok(sameEndpoint(read, endpoint));
        assert.ok(!sameEndpoint(read, { ...endpoint, udpPort: udpPort + 1 }));
      }),
    );
  });

  for (const text of [
    "",
    "10.0.0.1",
    "10.0.0.1:",
    ":1798",
    "::1:1798",
    "[10.0.0.1]:1798",
    "[::1]",
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseEndpoint(text), ParseError);
    });
  }
});

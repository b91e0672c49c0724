import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseHost } from "../../src/net/host-name.ts";
import { ParseError } from "../../src/net/parse-error.ts";

describe("parseHost", () => {
  const good = [
    ...["10.0.0.1", "fd00::1", "::ffff:10.0.0.1", "host", "host-2.example", "2.example"],
    ...["host.example.", "3com", "a".repeat(253)],
  ];
  for (const text of good) {
    test(`takes ${text.slice(0, 40)} as it is`, () => {
      assert.equal(parseHost(text), text);
    });
  }

  const bad: readonly (readonly [string, RegExp])[] = [
    ["", /^Not an address or a host name: ""$/],
    ["a b", /^Not an address or a host name: "a b"$/],
    ["-a", /^Not an address or a host name: "-a"$/],
    ["a".repeat(254), /^Not an address or a host name: /],
    ["1.2.3", /^Not an IPv4 address: "1\.2\.3"$/],
    ["1", /^Not an IPv4 address: "1"$/],
    ["167772161", /^Not an IPv4 address: "167772161"$/],
    ["010.0.0.1", /^Not an IPv4 address: "010\.0\.0\.1"$/],
    ["10.0.0.256", /^Not an IPv4 address: "10\.0\.0\.256"$/],
    ["10.0.0.0x1", /^Not an IPv4 address: "10\.0\.0\.0x1"$/],
    ["10.0.0.1.", /^Not an IPv4 address: "10\.0\.0\.1\."$/],
    ["host.7", /^Not an IPv4 address: "host\.7"$/],
  ];
  for (const [text, message] of bad) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(
        () => parseHost(text),
        (error) => error instanceof ParseError && message.test(error.message),
      );
    });
  }
});

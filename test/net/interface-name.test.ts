import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseInterfaceName } from "../../src/net/interface-name.ts";
import { ParseError, quoteValue } from "../../src/net/parse-error.ts";

describe("parseInterfaceName", () => {
  for (const text of [
    "a",
    "vnif0097",
    "xen-br0",
    "eth0.100",
    "fifteen-bytes-x",
    "ü3456789012345",
  ]) {
    test(`takes ${text}`, () => assert.equal(parseInterfaceName(text), text));
  }

  const bad = [
    ["", /1 … 15 bytes/],
    ["sixteen-bytes-xx", /1 … 15 bytes/],
    ["üüüüüüüü", /1 … 15 bytes/],
    ["a/b", /must not contain "\/"/],
    ["a b", /must not contain " "/],
    ["a\tb", /must not contain/],
    ["a\n", /must not contain/],
    ["a\u0000", /must not contain/],
    ["a\u00a0b", /must not contain/],
    ["eth0:1", /must not contain ":"/],
    ["vif%d", /must not contain "%"/],
    [".", /Not an interface name/],
    ["..", /Not an interface name/],
    ["-help", /Not an interface name/],
  ] as const;
  for (const [text, why] of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseInterfaceName(text),
        (error) => error instanceof ParseError && why.test(error.message),
      );
    });
  }
});

describe("quoteValue", () => {
  test("keeps a message on one line and of bounded length", () => {
    assert.equal(quoteValue('a"\n'), '"a\\"\\n"');
    assert.equal(quoteValue("x".repeat(5000)).length, 83);
  });
});

import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodeIpAddress,
  encodeIpAddress,
  ipFamily,
  isHostIp,
  isMulticastIp,
  isUnspecifiedIp,
  parseIpAddress,
} from "../../src/net/ip-address.ts";
import { ParseError } from "../../src/net/parse-error.ts";

describe("parseIpAddress", () => {
  const good = [
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8::1", "2001:db8::1"],
    // RFC 5952 §4.1, §4.2.1, §4.2.2, §4.2.3, §4.3.
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["64:ff9b::10.1.2.3", "64:ff9b::a01:203"],
    ["1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ] as const;
  for (const [text, canonical] of good) {
    test(`reads ${text}`, () => assert.equal(parseIpAddress(text), canonical));
  }

  const bad = [
    "",
    "010.0.0.1",
    "10.1",
    "0x0a000001",
    "167772161",
    "10.0.0.256",
    "10.0.0.1/8",
    " 10.0.0.1",
    "10.0.0.1.",
    "fe80::1%eth0",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "12345::",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
    "localhost",
  ];
  for (const text of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseIpAddress(text),
        (error) => error instanceof ParseError && error.message.endsWith(JSON.stringify(text)),
      );
    });
  }

  test("accepts what node:net accepts, less zones and mapped addresses", () => {
    const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(text, (candidate) => {
        const accepted = accepts(candidate);
        const mapped = isIP(candidate) === 6 && isMapped(candidate);
        assert.equal(accepted, isIP(candidate) !== 0 && !candidate.includes("%") && !mapped);
      }),
    );
  });
});

describe("encodeIpAddress and decodeIpAddress", () => {
  test("are each other's inverse, and the text is canonical", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      // Mostly zero, to meet every form of the shortened text.
      fc
        .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
        .map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(octets, (bytes) => {
        const address = decodeIpAddress(bytes);
        assert.equal(ipFamily(address), bytes.length === 4 ? 4 : 6);
        assert.deepEqual(encodeIpAddress(address), bytes);
        assert.equal(parseIpAddress(address), address);
      }),
      { numRuns: 1000 },
    );
  });

  test("an IPv4-mapped address is read as the IPv4 address it holds", () => {
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1);
    assert.equal(decodeIpAddress(mapped), "10.0.0.1");
  });

  test("decodeIpAddress() needs 4 or 16 octets", () => {
    assert.throws(() => decodeIpAddress(new Uint8Array(5)), RangeError);
  });
});

describe("kinds of IP addresses", () => {
  const cases = [
    ["223.255.255.255", { multicast: false, unspecified: false, host: true }],
    ["224.0.0.0", { multicast: true, unspecified: false, host: false }],
    ["239.255.255.255", { multicast: true, unspecified: false, host: false }],
    ["240.0.0.0", { multicast: false, unspecified: false, host: true }],
    ["255.255.255.255", { multicast: false, unspecified: false, host: false }],
    ["0.0.0.0", { multicast: false, unspecified: true, host: false }],
    ["0.1.2.3", { multicast: false, unspecified: false, host: false }],
    ["127.0.1.1", { multicast: false, unspecified: false, host: false }],
    ["1.2.7.1", { multicast: false, unspecified: false, host: true }],
    ["ff02::1", { multicast: true, unspecified: false, host: false }],
    ["ff::1", { multicast: false, unspecified: false, host: true }],
    ["::", { multicast: false, unspecified: true, host: false }],
    ["::1", { multicast: false, unspecified: false, host: false }],
    ["2001:db8::1", { multicast: false, unspecified: false, host: true }],
  ] as const;
  for (const [text, kinds] of cases) {
    test(text, () => {
      const address = parseIpAddress(text);
      assert.deepEqual(
        {
          multicast: isMulticastIp(address),
          unspecified: isUnspecifiedIp(address),
          host: isHostIp(address),
        },
        kinds,
      );
    });
  }
});

function accepts(text: string): boolean {
  try {
    parseIpAddress(text);
    return true;
  } catch (error) {
    assert.ok(error instanceof ParseError);
    return false;
  }
}

function isMapped(text: string): boolean {
  const mapped = new BlockList();
  mapped.addSubnet("::ffff:0:0", 96, "ipv6");
  return mapped.check(text.replace(/%.*$/, ""), "ipv6");
}

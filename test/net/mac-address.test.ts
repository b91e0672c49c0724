import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodeMacAddress,
  encodeMacAddress,
  isGroupMac,
  isReservedMac,
  isUnicastMac,
  isZeroMac,
  parseMacAddress,
} from "../../src/net/mac-address.ts";

describe("parseMacAddress", () => {
  const same = "00:16:3e:01:02:0f";
  for (const text of [same, "00:16:3E:01:02:0F", "00-16-3e-01-02-0f", "0:16:3e:1:2:f"]) {
    test(`reads ${text}`, () => assert.equal(parseMacAddress(text), same));
  }

  const wrong = [
    "",
    "00:16:3e:01:02",
    "00:16:3e:01:02:03:04",
    "00:16-3e:01:02:03",
    "0016.3e01.0203",
    "00163e010203",
    "00:16:3e:01:02:0g",
    "000:16:3e:01:02:03",
    " 00:16:3e:01:02:03",
    "00:16:3e:01:02:03\n",
    "::::::",
  ];
  for (const text of wrong) {
    test(`refuses ${JSON.stringify(text)} and says it`, () => {
      assert.throws(() => parseMacAddress(text), {
        name: "ParseError",
        code: "VNETD_PARSE",
        message: `Not a MAC address (six hex octets): ${JSON.stringify(text)}`,
      });
    });
  }
});

describe("encodeMacAddress and decodeMacAddress", () => {
  test("are each other's inverse, at any offset", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.nat(9), (octets, offset) => {
        const mac = decodeMacAddress(Uint8Array.of(...new Uint8Array(offset), ...octets), offset);
        assert.deepEqual(encodeMacAddress(mac), octets);
        assert.equal(parseMacAddress(mac.toUpperCase()), mac);
      }),
    );
  });

  test("decodeMacAddress() needs six octets", () => {
    assert.throws(() => decodeMacAddress(new Uint8Array(7), 2), RangeError);
  });
});

describe("kinds of MAC addresses", () => {
  const cases = [
    ["ff:ff:ff:ff:ff:ff", { group: true, zero: false, reserved: false, unicast: false }],
    ["01:80:c2:00:00:0e", { group: true, zero: false, reserved: true, unicast: false }],
    ["01:80:c2:00:00:10", { group: true, zero: false, reserved: false, unicast: false }],
    ["00:00:00:00:00:00", { group: false, zero: true, reserved: false, unicast: false }],
    ["02:80:c2:00:00:00", { group: false, zero: false, reserved: false, unicast: true }],
  ] as const;
  for (const [text, kinds] of cases) {
    test(text, () => {
      const mac = parseMacAddress(text);
      assert.deepEqual(
        {
          group: isGroupMac(mac),
          zero: isZeroMac(mac),
          reserved: isReservedMac(mac),
          unicast: isUnicastMac(mac),
        },
        kinds,
      );
    });
  }
});

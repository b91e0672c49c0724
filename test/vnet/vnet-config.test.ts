import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ParseError } from "../../src/net/parse-error.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import {
  completeVnetConfig,
  parseEncapsulation,
  parseMtu,
  parseVnetFile,
  type VnetOptions,
} from "../../src/vnet/vnet-config.ts";

const ID = parseVnetId("97");

describe("completeVnetConfig", () => {
  test("fills in what is left out", () => {
    assert.deepEqual(completeVnetConfig({ id: ID }), {
      id: "0000:0000:0000:0000:0000:0000:0000:0097",
      vnetif: "vnif0097",
      bridge: null,
      ovs: false,
      security: "none",
      suite: null,
      mtu: 1500,
      encapsulation: "udp",
    });
  });

  test("makes names of the last field of the id", () => {
    assert.equal(completeVnetConfig({ id: parseVnetId("1:2:3:4:5:6:7:abcd") }).vnetif, "vnifabcd");
  });

  test("keeps what is said", () => {
    const options = {
      id: ID,
      vnetif: "vi0",
      bridge: "br0",
      ovs: true,
      security: "none",
      mtu: 9000,
      encapsulation: "etherip",
    } as const;
    assert.deepEqual(completeVnetConfig(options), { ...options, suite: null });
  });

  const suites: readonly (readonly [Partial<VnetOptions>, suite: string])[] = [
    [{ security: "auth" }, "hmac-sha256-128"],
    [{ security: "conf" }, "aes128-gcm"],
    [{ security: "auth", suite: "hmac96" }, "hmac96"],
    [{ security: "conf", suite: "aes256-gcm" }, "aes256-gcm"],
    [{ security: "conf", suite: "aes128-hmac96" }, "aes128-hmac96"],
  ];
  for (const [options, suite] of suites) {
    test(`gives ${JSON.stringify(options)} the suite ${suite}, and keeps no path of a key`, () => {
      const vnet = completeVnetConfig({ id: ID, keyFile: "/k", ...options });
      assert.deepEqual([vnet.security, vnet.suite], [options.security, suite]);
      assert.ok(!("keyFile" in vnet));
    });
  }

  const bad: readonly (readonly [options: Partial<VnetOptions>, why: RegExp])[] = [
    [{ vnetif: "sixteen-bytes-xx" }, /Interface name must be/],
    [{ bridge: "a b" }, /Interface name must not contain/],
    [{ bridge: "vnif0097" }, /cannot have its vnet interface's name/],
    [{ ovs: true }, /without its name/],
    [{ mtu: 67 }, /must be 68 … 65467: "67"/],
    [{ mtu: 65_468 }, /must be 68 … 65467/],
    [{ mtu: 65_480, encapsulation: "etherip" }, /must be 68 … 65479/],
    [{ mtu: 1500.5 }, /must be 68/],
    [{ mtu: Number.NaN }, /must be 68/],
    [{ security: "conf" }, /^Security conf needs the file of a key/],
    [{ security: "auth" }, /^Security auth needs the file of a key/],
    [{ keyFile: "/k" }, /^A vnet without security has no key: "\/k"$/],
    [{ suite: "aes128-gcm" }, /^A vnet without security has no suite: "aes128-gcm"$/],
    [
      { security: "auth", suite: "aes128-gcm", keyFile: "/k" },
      /^Not a suite of security auth \(hmac-sha256-128, hmac96\): "aes128-gcm"$/,
    ],
    [{ security: "conf", suite: "hmac96", keyFile: "/k" }, /^Not a suite of security conf/],
    [
      { security: "conf", encapsulation: "etherip", keyFile: "/k" },
      /^Encapsulation etherip has no security: "conf"$/,
    ],
    [{ security: "conf", keyFile: "/k", mtu: 65_468 }, /must be 68 … 65430: "65468"$/],
  ];
  for (const [options, why] of bad) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => completeVnetConfig({ id: ID, ...options }),
        (error) => error instanceof ParseError && why.test(error.message),
      );
    });
  }

  test("takes the smallest and the largest MTU", () => {
    assert.equal(completeVnetConfig({ id: ID, mtu: 68 }).mtu, 68);
    assert.equal(completeVnetConfig({ id: ID, mtu: 65_467 }).mtu, 65_467);
  });
});

describe("parseVnetFile", () => {
  test("reads the original's example", () => {
    const text = `# Vnet configuration for a vnet with id 97 and no security.
      (vnet (id 97) (bridge vnet97) (vnetif vnetif97) (security none))\n`;
    assert.deepEqual(parseVnetFile(text), [
      { id: ID, bridge: "vnet97", vnetif: "vnetif97", security: "none" },
    ]);
  });

  test("gives a vnet from a file a bridge, as it always had", () => {
    assert.deepEqual(parseVnetFile("(vnet (id abc:97))"), [
      { id: parseVnetId("abc:97"), bridge: "vnet0097" },
    ]);
  });

  test("reads several vnets and our own keys", () => {
    const text = "(vnet(id 2)(mtu 1400)(encapsulation etherip)(bridge b)(ovs true))(vnet (id 3))";
    assert.deepEqual(parseVnetFile(text), [
      { id: parseVnetId("2"), mtu: 1400, encapsulation: "etherip", bridge: "b", ovs: true },
      { id: parseVnetId("3"), bridge: "vnet0003" },
    ]);
  });

  const bad = [
    ["", "No vnet in the file"],
    ["(vnet)", "line 1, column 2: (vnet …) needs an (id …)"],
    ["(net (id 97))", 'line 1, column 2: unknown command "net"'],
    ["(vnet (id 0))", "line 1, column 11: Vnet id 0 names no vnet"],
    ["(vnet\n (id xyz))", "line 2, column 6: Not a vnet id"],
    ["(vnet (id 97)\n  (brigde vnet97))", 'line 2, column 4: unknown key "brigde"'],
    ["(vnet (id 97) (bridge a/b))", "line 1, column 23: Interface name must not contain"],
    ["(vnet (id 97) (bridge b) (vnetif b))", "line 1, column 2: A bridge cannot have"],
    ["(vnet (id 97) (mtu 10))", "line 1, column 2: MTU of a vnet must be"],
    ["(vnet (id 97) (mtu 0x600))", "line 1, column 20: Not an MTU"],
    ["(vnet (id 97) (ovs yes))", "line 1, column 20: Neither true nor false"],
    ["(vnet (id 97) (encapsulation gre))", "line 1, column 30: Not an encapsulation"],
    ["(vnet (id 97) (security strong))", "line 1, column 25: Not a security level"],
    ["(vnet (id 97) (suite rot13))", "line 1, column 22: Not a suite (aes128-gcm, "],
    ["(vnet (id 97)) (vnet (id 98", "line 1, column 28: unexpected end"],
  ] as const;
  for (const [text, message] of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseVnetFile(text),
        (error) => error instanceof ParseError && error.message.startsWith(message),
      );
    });
  }

  for (const level of ["auth", "conf"]) {
    test(`refuses security ${level} without a key, and reads it with one`, () => {
      assert.throws(
        () => parseVnetFile(`(vnet (id 97) (security ${level}))`),
        (error) => error instanceof ParseError && /needs the file of a key/.test(error.message),
      );
      const [vnet] = parseVnetFile(`(vnet (id 97) (security ${level}) (keyfile keys/k97))`);
      assert.deepEqual([vnet?.security, vnet?.keyFile], [level, "keys/k97"]);
    });
  }
});

describe("values of options", () => {
  test("are read, or refused with a ParseError", () => {
    assert.equal(parseEncapsulation("udp"), "udp");
    assert.equal(parseMtu("1500"), 1500);
    for (const text of ["", "-1", "1e3", "1500.0", "01500", "9999999"]) {
      assert.throws(() => parseMtu(text), ParseError);
    }
  });
});

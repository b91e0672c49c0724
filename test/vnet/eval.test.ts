import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ParseError } from "../../src/net/parse-error.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { EVAL_REFERENCE, parseEvalFile, parseEvalRequest } from "../../src/vnet/eval.ts";

const ID = parseVnetId("10");

describe("parseEvalRequest", () => {
  const good = [
    ["(vnet.add (id 10))", { kind: "vnet.add", vnet: { id: ID } }],
    [
      "(vnet.add (id 10) (vnetif v) (security none) (bridge b))",
      { kind: "vnet.add", vnet: { id: ID, vnetif: "v", security: "none", bridge: "b" } },
    ],
    ["(vnet.del (id 0010))", { kind: "vnet.del", vnet: ID }],
    ["(vnet.list)", { kind: "vnet.list" }],
    [
      "(vif.add (vnet 10) (vmac AA:00:00:bc:34:ae))",
      { kind: "vif.add", vnet: ID, mac: "aa:00:00:bc:34:ae" },
    ],
    [
      "(vif.del (vmac aa:0:0:bc:34:ae) (vnet 10))",
      { kind: "vif.del", vnet: ID, mac: "aa:00:00:bc:34:ae" },
    ],
    ["(vif.list)", { kind: "vif.list" }],
    ["(peer.add (addr 10.0.0.1))", { kind: "peer.add", host: "10.0.0.1", udpPort: null }],
    ["(peer.add (addr host-a) (port 1799))", { kind: "peer.add", host: "host-a", udpPort: 1799 }],
    ["(peer.add (addr 2001:db8::1))", { kind: "peer.add", host: "2001:db8::1", udpPort: null }],
    ["(peer.del (addr 10.0.0.1))", { kind: "peer.del", host: "10.0.0.1" }],
    ["(peer.list)", { kind: "peer.list" }],
    ["(varp.list)", { kind: "varp.list" }],
    ["(varp.flush)", { kind: "varp.flush" }],
    ["(varp.mcaddr (addr 239.1.2.3))", { kind: "varp.mcaddr", group: "239.1.2.3" }],
    ["# all of it\n(varp.print)\n", { kind: "varp.print" }],
  ] as const;
  for (const [text, request] of good) {
    test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseEvalRequest(text), request));
  }

  const bad = [
    ["", "No command"],
    ["(vnet.list)(vnet.list)", "line 1, column 12: one command was expected"],
    ["vnet.list", "line 1, column 1: a list that begins with a name"],
    ["(vnet.frob)", 'line 1, column 2: unknown command "vnet.frob"'],
    ["(constructor)", 'line 1, column 2: unknown command "constructor"'],
    ["(vnet.list (id 1))", 'line 1, column 13: unknown key "id" in (vnet.list …)'],
    ["(vnet.add)", "line 1, column 2: (vnet.add …) needs an (id …)"],
    ["(vnet.del)", "line 1, column 2: (vnet.del …) needs (id …)"],
    ["(vif.add (vnet 10))", "line 1, column 2: (vif.add …) needs (vmac …)"],
    ["(vif.add (vnet 10) (vmac 1:2))", "line 1, column 26: Not a MAC address"],
    ["(peer.add)", "line 1, column 2: (peer.add …) needs (addr …)"],
    ["(peer.add (addr 'a b'))", "line 1, column 17: Not an address or a host name"],
    ["(peer.add (addr -a))", "line 1, column 17: Not an address or a host name"],
    ["(peer.add (addr a) (port 0))", "line 1, column 26: Not a UDP port"],
    ["(varp.mcaddr (addr 10.0.0.1))", "line 1, column 20: Not a multicast address"],
    ["(varp.mcaddr (addr host-a))", "line 1, column 20: Not an IPv4 or IPv6 address"],
    ["(vnet.add (id 10) (vnetif a/b))", "line 1, column 27: Interface name"],
  ] as const;
  for (const [text, message] of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseEvalRequest(text),
        (error) => error instanceof ParseError && error.message.startsWith(message),
      );
    });
  }

  test("reads a secure vnet", () => {
    const text = "(vnet.add (id 10) (security conf) (suite aes256-gcm) (keyfile /k))";
    const vnet = { id: parseVnetId("10"), security: "conf", suite: "aes256-gcm", keyFile: "/k" };
    assert.deepEqual(parseEvalRequest(text), { kind: "vnet.add", vnet });
  });
});

describe("parseEvalFile", () => {
  test("reads the commands in order, or none", () => {
    const text = "(peer.add (addr 10.0.0.1))\n# the vnets\n(vnet.add (id 10))\n";
    assert.deepEqual(
      parseEvalFile(text).map(({ kind }) => kind),
      ["peer.add", "vnet.add"],
    );
    assert.deepEqual(parseEvalFile("# nothing\n"), []);
  });

  test("says where a command is wrong", () => {
    assert.throws(
      () => parseEvalFile("(vnet.list)\n(vnet.lst)"),
      /^ParseError: line 2, column 2: /,
    );
  });
});

describe("EVAL_REFERENCE", () => {
  const values = { id: "10", vnet: "10", vmac: "02:00:00:00:00:01", addr: "224.10.0.2" };
  const isValue = (key: string): key is keyof typeof values => key in values;

  for (const { name, needs } of EVAL_REFERENCE) {
    test(`says what ${name} needs: that, and no less`, () => {
      const fields = needs.map((key) => `(${key} ${isValue(key) ? values[key] : ""})`);
      assert.equal(parseEvalRequest(`(${name} ${fields.join(" ")})`).kind, name);
      for (const field of fields) {
        const rest = fields.filter((other) => other !== field).join(" ");
        assert.throws(() => parseEvalRequest(`(${name} ${rest})`), ParseError);
      }
    });
  }
});

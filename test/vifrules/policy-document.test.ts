import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ParseError } from "../../src/net/parse-error.ts";
import {
  readGroupPolicy,
  readNetworkPolicy,
  readVifPolicy,
} from "../../src/vifrules/policy-document.ts";

const VIF = { vif: "vif5.0", bridge: "xenbr0", mac: "00:16:3e:00:00:10" };
const NETWORK = { bridge: "xenbr0" };

describe("readVifPolicy", () => {
  test("fills in what is left out: locked, the EUI-64 link-local, a DHCP client, no VLAN", () => {
    assert.deepEqual(readVifPolicy(VIF), {
      ...VIF,
      mode: "locked",
      ...{ ipv4: [], ipv6: [], linkLocal: "auto", groups: [], allow: ["dhcp-client"] },
      vlan: { tag: 0, trunks: [] },
    });
  });

  test("reads every key, and its result as JSON as the same value", () => {
    const { vif: _, ...unnamed } = VIF;
    const policy = readVifPolicy({
      ...{ ...unnamed, ifaceId: "6f1c2a", mac: "00:16:3E:AB:cd:10", mode: "isolated" },
      ...{ ipv4: ["10.0.0.5/24", "10.0.1.0/24", "10.0.0.5"], ipv6: ["fd00::10/64", "fd00:1::/64"] },
      ...{ linkLocal: ["fe80::1"], groups: ["web", "db-1"], allow: ["vrrp", "rarp-announce"] },
      vlan: { tag: 10, trunks: [20, 30, 20] },
      ...{ vm: "9F1C2A00-0000-4000-8000-00000000000A", devid: 3 },
    });
    assert.deepEqual(policy, {
      ...{ ...unnamed, ifaceId: "6f1c2a", mac: "00:16:3e:ab:cd:10", mode: "isolated" },
      ...{ ipv4: ["10.0.0.5", "10.0.1.0/24"], ipv6: ["fd00::10", "fd00:1::/64"] },
      ...{ linkLocal: ["fe80::1"], groups: ["web", "db-1"], allow: ["vrrp", "rarp-announce"] },
      vlan: { tag: 10, trunks: [20, 30] },
      ...{ vm: "9f1c2a00-0000-4000-8000-00000000000a", devid: 3 },
    });
    assert.deepEqual(readVifPolicy(JSON.parse(JSON.stringify(policy))), policy);
  });

  const ranges = [
    ["10.0.0.5", "10.0.0.5"],
    ["10.0.0.5/24", "10.0.0.5"],
    ["10.0.0.5/32", "10.0.0.5"],
    ["10.0.0.0/32", "10.0.0.0"],
    ["10.0.0.0/24", "10.0.0.0/24"],
    ["10.0.0.4/31", "10.0.0.4/31"],
    ["10.0.0.5/31", "10.0.0.5"],
    ["10.0.0.0/8", "10.0.0.0/8"],
  ] as const;
  for (const [text, range] of ranges) {
    test(`takes ${text} as ${range}`, () => {
      assert.deepEqual(readVifPolicy({ ...VIF, ipv4: [text] }).ipv4, [range]);
    });
  }

  const ranges6 = [
    ["fd00::10/64", "fd00::10"],
    ["fd00::10/128", "fd00::10"],
    ["fd00::/64", "fd00::/64"],
    ["fd00::/128", "fd00::"],
    ["fe80::1", "fe80::1"],
  ] as const;
  for (const [text, range] of ranges6) {
    test(`takes ${text} as ${range}`, () => {
      assert.deepEqual(readVifPolicy({ ...VIF, ipv6: [text] }).ipv6, [range]);
    });
  }

  const bad: readonly (readonly [changes: object, key: string, value: string])[] = [
    [{ ipv4: ["010.0.0.1"] }, "ipv4[0]", "010.0.0.1"],
    [{ ipv4: ["10.1"] }, "ipv4[0]", "10.1"],
    [{ ipv4: ["10.0.0.1", "10.0.0.300"] }, "ipv4[1]", "10.0.0.300"],
    [{ ipv4: ["0xa.0.0.1"] }, "ipv4[0]", "0xa.0.0.1"],
    [{ ipv4: [" 10.0.0.1"] }, "ipv4[0]", " 10.0.0.1"],
    [{ ipv4: ["10.0.0.1\n"] }, "ipv4[0]", "10.0.0.1\\n"],
    [{ ipv4: ["10.0.0.1/33"] }, "ipv4[0]", "10.0.0.1/33"],
    [{ ipv4: ["10.0.0.1/024"] }, "ipv4[0]", "10.0.0.1/024"],
    [{ ipv4: ["10.0.0.1/"] }, "ipv4[0]", "10.0.0.1/"],
    [{ ipv4: ["10.0.0.1/24/24"] }, "ipv4[0]", "10.0.0.1/24/24"],
    [{ ipv4: ["10.0.0.1/255.255.255.0"] }, "ipv4[0]", "10.0.0.1/255.255.255.0"],
    [{ ipv4: ["0.0.0.0/0"] }, "ipv4[0]", "0.0.0.0/0"],
    [{ ipv4: ["0.0.0.0"] }, "ipv4[0]", "0.0.0.0"],
    [{ ipv4: ["127.0.0.1"] }, "ipv4[0]", "127.0.0.1"],
    [{ ipv4: ["224.0.0.0/4"] }, "ipv4[0]", "224.0.0.0/4"],
    [{ ipv4: ["255.255.255.255"] }, "ipv4[0]", "255.255.255.255"],
    [{ ipv4: ["fd00::10"] }, "ipv4[0]", "fd00::10"],
    [{ ipv4: [""] }, "ipv4[0]", ""],
    [{ ipv4: [10] }, "ipv4[0]", "10"],
    [{ ipv4: "10.0.0.1" }, "ipv4", "10.0.0.1"],
    [{ ipv4: null }, "ipv4", "null"],
    [{ ipv6: ["10.0.0.1"] }, "ipv6[0]", "10.0.0.1"],
    [{ ipv6: ["::"] }, "ipv6[0]", "::"],
    [{ ipv6: ["::/0"] }, "ipv6[0]", "::/0"],
    [{ ipv6: ["ff02::1"] }, "ipv6[0]", "ff02::1"],
    [{ ipv6: ["fe80::1%eth0"] }, "ipv6[0]", "fe80::1%eth0"],
    [{ ipv6: ["::ffff:10.0.0.1"] }, "ipv6[0]", "::ffff:10.0.0.1"],
    [{ ipv6: ["FD00::10"] }, "ipv6[0]", "FD00::10"],
    [{ ipv6: ["fd00:0:0::10"] }, "ipv6[0]", "fd00:0:0::10"],
    [{ linkLocal: "yes" }, "linkLocal", "yes"],
    [{ linkLocal: ["fd00::10"] }, "linkLocal[0]", "fd00::10"],
    [{ linkLocal: ["fe00::/8"] }, "linkLocal[0]", "fe00::/8"],
    [{ mac: "00:16:3e:00:00:100" }, "mac", "00:16:3e:00:00:100"],
    [{ mac: "0:16:3e:0:0:1" }, "mac", "0:16:3e:0:0:1"],
    [{ mac: "00-16-3e-00-00-01" }, "mac", "00-16-3e-00-00-01"],
    [{ mac: "00:16:3e:00:00" }, "mac", "00:16:3e:00:00"],
    [{ mac: "01:00:5e:00:00:01" }, "mac", "01:00:5e:00:00:01"],
    [{ mac: "00:00:00:00:00:00" }, "mac", "00:00:00:00:00:00"],
    [{ mac: undefined }, "mac", ""],
    [{ bridge: undefined }, "bridge", ""],
    [{ bridge: "xen br0" }, "bridge", "xen br0"],
    [{ mode: "Locked" }, "mode", "Locked"],
    [{ mode: "open" }, "mode", "open"],
    [{ groups: ["web,db"] }, "groups[0]", "web,db"],
    [{ groups: { web: true } }, "groups", "web"],
    [{ allow: ["dhcp_client"] }, "allow[0]", "dhcp_client"],
    [{ vlan: 10 }, "vlan", "10"],
    [{ vlan: { tag: 4095 } }, "vlan.tag", "4095"],
    [{ vlan: { tag: "10" } }, "vlan.tag", "10"],
    [{ vlan: { tag: 1.5 } }, "vlan.tag", "1.5"],
    [{ vlan: { trunks: [0] } }, "vlan.trunks[0]", "0"],
    [{ vlan: { trunk: [] } }, "vlan.trunk", "[]"],
    [{ vm: "9f1c2a" }, "vm", "9f1c2a"],
    [{ devid: -1 }, "devid", "-1"],
    [{ devid: "0" }, "devid", "0"],
    [{ ip4: ["10.0.0.1"] }, "ip4", "10.0.0.1"],
    [{ Mode: "locked" }, "Mode", "locked"],
    [{ vif: "vif5.0-way-too-long" }, "vif", "vif5.0-way-too-long"],
    [{ ifaceId: "6f1c" }, "ifaceId", "6f1c"],
    [{ vif: undefined }, "vif", ""],
    [{ vif: undefined, ifaceId: "6f 1c" }, "ifaceId", "6f 1c"],
  ];
  for (const [changes, key, value] of bad) {
    test(`refuses ${JSON.stringify(changes)}, naming ${key}`, () => {
      assertRefused(() => readVifPolicy({ ...VIF, ...changes }), key, value);
    });
  }

  test("refuses a key that JSON has and an object literal has not", () => {
    const document: unknown = JSON.parse(`{"__proto__": 1, "vif": "v", "bridge": "b"}`);
    assertRefused(() => readVifPolicy(document), "__proto__", "1");
  });

  for (const document of [null, [], "vif5.0", 5, undefined, [VIF]]) {
    test(`refuses ${JSON.stringify(document)} as a document`, () => {
      assert.throws(() => readVifPolicy(document), /A policy: Not an object/);
    });
  }

  test("refuses a list that has no end", () => {
    const ipv4 = Array.from({ length: 5_000 }, () => "10.0.0.1");
    assert.throws(() => readVifPolicy({ ...VIF, ipv4 }), /"ipv4".*4096 entries: 5000/);
  });

  test("throws nothing but ParseError, whatever the document", () => {
    const keys = fc.constantFrom("vif", "bridge", "mac", "ipv4", "ipv6", "vlan", "mode", "other");
    fc.assert(
      fc.property(fc.dictionary(keys, fc.jsonValue()), (document) => {
        try {
          readVifPolicy(document);
        } catch (error) {
          assert.ok(error instanceof ParseError);
        }
      }),
    );
  });
});

describe("readGroupPolicy", () => {
  test("reads members of both families", () => {
    const members = ["10.0.0.10", "fd00::10", "10.1.0.0/16", "10.0.0.11/24"];
    assert.deepEqual(readGroupPolicy({ group: "web", members }), {
      group: "web",
      members: ["10.0.0.10", "fd00::10", "10.1.0.0/16", "10.0.0.11"],
    });
    assert.deepEqual(readGroupPolicy({ group: "web" }), { group: "web", members: [] });
  });

  const bad: readonly (readonly [document: object, key: string, value: string])[] = [
    [{ members: [] }, "group", ""],
    [{ group: "" }, "group", ""],
    [{ group: "a b" }, "group", "a b"],
    [{ group: "web", members: ["010.0.0.1"] }, "members[0]", "010.0.0.1"],
    [{ group: "web", members: ["ff02::1"] }, "members[0]", "ff02::1"],
    [{ group: "web", member: [] }, "member", "[]"],
  ];
  for (const [document, key, value] of bad) {
    test(`refuses ${JSON.stringify(document)}, naming ${key}`, () => {
      assertRefused(() => readGroupPolicy(document), key, value);
    });
  }
});

describe("readNetworkPolicy", () => {
  test("reads every key", () => {
    const document = {
      ...{ bridge: "xenbr0", vlan: 10, internal: ["10.0.0.0/24", "fd00::/64", "10.9.0.1"] },
      infra: { ipv4: ["10.0.0.1/24"], ipv6: ["fd00::1"], macs: ["02:00:00:00:00:14"] },
      uplinks: ["eth0"],
    };
    const network = readNetworkPolicy(document);
    assert.deepEqual(network, {
      ...document,
      infra: { ...document.infra, ipv4: ["10.0.0.1"] },
    });
    assert.deepEqual(readNetworkPolicy(JSON.parse(JSON.stringify(network))), network);
  });

  test("fills in nothing internal, no infrastructure, and every port that is no VIF", () => {
    assert.deepEqual(readNetworkPolicy(NETWORK), {
      ...{ ...NETWORK, vlan: 0, internal: [], infra: { ipv4: [], ipv6: [], macs: [] } },
      uplinks: [],
    });
  });

  const bad: readonly (readonly [changes: object, key: string, value: string])[] = [
    [{ bridge: undefined }, "bridge", ""],
    [{ vlan: 4095 }, "vlan", "4095"],
    [{ vlan: "0" }, "vlan", "0"],
    [{ internal: ["10.0.0.5/24"] }, "internal[0]", "10.0.0.5/24"],
    [{ internal: ["010.0.0.0/24"] }, "internal[0]", "010.0.0.0/24"],
    [{ internal: ["FD00::/64"] }, "internal[0]", "FD00::/64"],
    [{ internal: ["0.0.0.0/0"] }, "internal[0]", "0.0.0.0/0"],
    [{ infra: [] }, "infra", "[]"],
    [{ infra: { ipv4: ["10.0.0.300"] } }, "infra.ipv4[0]", "10.0.0.300"],
    [{ infra: { macs: ["02:00:00:00:00:100"] } }, "infra.macs[0]", "02:00:00:00:00:100"],
    [{ infra: { mac: [] } }, "infra.mac", "[]"],
    [{ uplinks: ["eth 0"] }, "uplinks[0]", "eth 0"],
    [{ uplink: "eth0" }, "uplink", "eth0"],
  ];
  for (const [changes, key, value] of bad) {
    test(`refuses ${JSON.stringify(changes)}, naming ${key}`, () => {
      assertRefused(() => readNetworkPolicy({ ...NETWORK, ...changes }), key, value);
    });
  }
});

function assertRefused(read: () => unknown, key: string, value: string): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof ParseError);
    assert.ok(error.message.includes(`"${key}"`), error.message);
    assert.ok(error.message.includes(value), error.message);
    return true;
  });
}

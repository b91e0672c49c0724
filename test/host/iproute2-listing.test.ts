import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  LinkError,
  parseAddresses,
  parseBatchErrors,
  parseBridgeMacs,
  parseLinks,
  parseRoutes,
} from "../../src/host/iproute2-listing.ts";

/** Printed by iproute2 6.1 on Linux 6.18. */
const recorded = (name: string): string =>
  readFileSync(new URL(`../../../test/host/recorded/${name}`, import.meta.url), "utf8");

describe("parseLinks", () => {
  const links = new Map(parseLinks(recorded("links.json")).map((link) => [link.name, link]));

  test("reads every kind of device", () => {
    const kinds = [...links.values()].map(({ name, kind }) => `${name} ${kind}`);
    assert.deepEqual(kinds, [
      ...["lo null", "vnif0097 tun", "tun0 tun", "vnet97 bridge", "u1 veth", "u0 veth"],
    ]);
  });

  test("reads a TAP with its owner, alias and bridge", () => {
    assert.deepEqual(links.get("vnif0097"), {
      ...{ index: 2, name: "vnif0097", kind: "tun", up: true, loopback: false, mtu: 1400 },
      ...{ mac: links.get("vnif0097")?.mac, master: "vnet97", alias: "vnetd:97" },
      addressGeneration: "none",
      tap: { mode: "tap", persistent: true, multiQueue: false, user: "nobody" },
    });
  });

  test("tells a TUN with many queues and no owner from a TAP", () => {
    const expected = { mode: "tun", persistent: true, multiQueue: true, user: null };
    assert.deepEqual(links.get("tun0")?.tap, expected);
  });

  test("knows the loopback device and what is down", () => {
    assert.equal(links.get("lo")?.loopback, true);
    assert.equal(links.get("tun0")?.up, false);
  });

  for (const [text, message] of [
    ["{", /not JSON/],
    ['{"ifindex":1}', /not a list/],
    ['[{"ifname":"a","mtu":1}]', /without "ifindex"/],
    ['[{"ifname":"a","ifindex":1,"mtu":"x"}]', /without "mtu"/],
  ] as const) {
    test(`refuses ${text}`, () => {
      assert.throws(() => parseLinks(text), LinkError);
      assert.throws(() => parseLinks(text), message);
    });
  }

  test("takes an empty listing, and passes over devices that vanished meanwhile", () => {
    assert.deepEqual(parseLinks(""), []);
    assert.deepEqual(parseLinks("[{},{}]\n"), []);
  });
});

describe("parseAddresses", () => {
  test("reads both families, scopes, and what is not usable yet", () => {
    const shown = parseAddresses(recorded("addresses.json")).map(
      ({ linkName, family, address, prefixLength, scope, tentative }) =>
        `${linkName} ${family} ${address}/${prefixLength} ${scope}${tentative ? " tentative" : ""}`,
    );
    assert.deepEqual(shown.slice(0, 2), ["lo 4 127.0.0.1/8 host", "lo 6 ::1/128 host"]);
    assert.ok(shown.includes("u0 4 10.9.0.1/24 global"));
    assert.ok(shown.includes("u0 6 2001:db8::1/64 global tentative"));
    assert.ok(shown.some((line) => /^u0 6 fe80::\S+\/64 link tentative$/.test(line)));
  });
});

describe("parseRoutes", () => {
  test("reads device and metric", () => {
    assert.deepEqual(parseRoutes(recorded("routes.json")), [{ device: "u0", metric: 0 }]);
    const text = '[{"dst":"default","dev":"a","metric":100},{"dst":"default","type":"blackhole"}]';
    assert.deepEqual(parseRoutes(text), [{ device: "a", metric: 100 }]);
  });
});

describe("parseBatchErrors", () => {
  test("maps each reason to its command", () => {
    const text =
      "ioctl(TUNSETIFF): Device or resource busy\nCommand failed -:2\n" +
      "RTNETLINK answers: File exists\nCommand failed -:4\n" +
      "Error: mtu greater than device maximum.\nCommand failed -:8\n";
    assert.deepEqual(
      [...parseBatchErrors(text)],
      [
        [1, "ioctl(TUNSETIFF): Device or resource busy"],
        [3, "File exists"],
        [7, "mtu greater than device maximum."],
      ],
    );
  });

  test("a warning without a failed command is none", () => {
    assert.equal(parseBatchErrors("Warning: something is deprecated\n").size, 0);
  });

  test("a failure without words says so", () => {
    assert.deepEqual([...parseBatchErrors("Command failed -:1\n")], [[0, "it gave no reason"]]);
  });
});

describe("parseBridgeMacs", () => {
  test("lists what was learned, not the ports' own addresses", () => {
    const text = `[{"mac":"02:00:00:00:00:01","ifname":"vif5.0","flags":[],"master":"vnet97","state":""},
      {"mac":"33:33:00:00:00:01","ifname":"vif5.0","flags":["self"],"state":"permanent"},
      {"mac":"02:00:00:00:00:02","ifname":"vnif0097","flags":[],"master":"vnet97","state":"stale"}]`;
    assert.deepEqual(parseBridgeMacs(text), [
      { mac: "02:00:00:00:00:01", port: "vif5.0" },
      { mac: "02:00:00:00:00:02", port: "vnif0097" },
    ]);
  });

  test("refuses what is no listing", () => {
    assert.throws(() => parseBridgeMacs("vif5.0"), LinkError);
  });
});

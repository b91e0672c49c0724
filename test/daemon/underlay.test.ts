import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  chooseUnderlay,
  IPV6_GROUP,
  type UnderlayFacts,
  underlayCommand,
} from "../../src/daemon/underlay.ts";
import { type LinkAddress, parseLinks } from "../../src/host/iproute2-listing.ts";
import { parseInterfaceName } from "../../src/net/interface-name.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";

const LINKS = parseLinks(
  JSON.stringify([
    { ifindex: 1, ifname: "lo", flags: ["LOOPBACK", "UP"], mtu: 65_536 },
    { ifindex: 2, ifname: "vnet97", flags: ["UP"], mtu: 1500 },
    { ifindex: 3, ifname: "down0", flags: [], mtu: 1500 },
    { ifindex: 4, ifname: "six0", flags: ["UP"], mtu: 9000 },
    { ifindex: 5, ifname: "eth0", flags: ["UP"], mtu: 1400 },
  ]),
);

function address(text: string, changes: Partial<LinkAddress> = {}): LinkAddress {
  const [linkName = "", value = ""] = text.split(" ");
  const link = LINKS.find(({ name }) => name === linkName);
  return {
    ...{ linkIndex: link?.index ?? 0, linkName, family: value.includes(":") ? 6 : 4 },
    ...{ address: value, prefixLength: 24, scope: "global", tentative: false },
    ...changes,
  };
}

function facts(addresses: readonly LinkAddress[], defaultDevice: string | null = null) {
  return {
    links: LINKS,
    addresses,
    defaultDevice,
    guestSide: new Set(["vnet97"]),
  } as UnderlayFacts;
}

const AUTOMATIC = { kind: "automatic" } as const;
const ETH0 = { kind: "device", name: parseInterfaceName("eth0") } as const;

describe("chooseUnderlay", () => {
  test("automatically: the device of the default route", () => {
    const addresses = [address("six0 10.1.0.1"), address("eth0 10.0.0.1")];
    const chosen = chooseUnderlay(AUTOMATIC, facts(addresses, "eth0"));
    assert.deepEqual([chosen.device?.name, chosen.sourceAddress4], ["eth0", "10.0.0.1"]);
    assert.equal(chosen.error, null);
  });

  test("else the first device that is up, no loopback, no vnet's, and has an IPv4 address", () => {
    const addresses = [
      ...["lo 127.0.0.1", "vnet97 192.168.7.1", "down0 10.3.0.1", "six0 fd00::1"].map((text) =>
        address(text),
      ),
      address("eth0 10.0.0.1"),
    ];
    assert.equal(chooseUnderlay(AUTOMATIC, facts(addresses)).device?.name, "eth0");
  });

  test("by name, with an address of each family, the first usable one", () => {
    const addresses = [
      address("eth0 10.0.0.1"),
      address("eth0 10.0.0.2"),
      address("eth0 fe80::1", { scope: "link" }),
      address("eth0 fd00::1", { tentative: true }),
      address("eth0 fd00::2"),
    ];
    const chosen = chooseUnderlay(ETH0, facts(addresses));
    assert.deepEqual([chosen.sourceAddress4, chosen.sourceAddress6], ["10.0.0.1", "fd00::2"]);
  });

  test("by address: that one alone", () => {
    const choice = { kind: "address", address: parseIpAddress("10.0.0.2") } as const;
    const chosen = chooseUnderlay(
      choice,
      facts([address("eth0 10.0.0.1"), address("eth0 10.0.0.2")]),
    );
    assert.deepEqual([chosen.device?.name, chosen.sourceAddress4], ["eth0", "10.0.0.2"]);
  });

  test("every address of the host is a local one, whichever device it is on", () => {
    const addresses = [address("lo 127.0.0.1", { prefixLength: 8 }), address("eth0 10.0.0.1")];
    assert.deepEqual(chooseUnderlay(ETH0, facts(addresses)).localAddresses, [
      { address: "10.0.0.1", prefixLength: 24 },
      { address: "127.0.0.1", prefixLength: 8 },
    ]);
  });

  for (const [choice, addresses, error] of [
    [ETH0, [], "underlay device eth0 has no address"],
    [ETH0, [address("eth0 fe80::1", { scope: "link" })], "underlay device eth0 has no address"],
    [
      { kind: "device", name: parseInterfaceName("down0") },
      [address("down0 10.3.0.1")],
      "underlay device down0 is down",
    ],
    [
      { kind: "device", name: parseInterfaceName("eth9") },
      [],
      "underlay device eth9 does not exist",
    ],
    [
      { kind: "address", address: parseIpAddress("10.9.9.9") },
      [address("eth0 10.0.0.1")],
      "underlay address 10.9.9.9 is on no device of this host",
    ],
    [{ kind: "none" }, [], "this host has no underlay (--underlay none)"],
    [
      AUTOMATIC,
      [address("lo 127.0.0.1")],
      "no underlay: there is neither a default route nor a device with an IPv4 address",
    ],
  ] as const) {
    test(`tells: ${error}`, () => {
      const chosen = chooseUnderlay(choice, facts(addresses));
      assert.equal(chosen.error, error);
      assert.equal(chosen.sourceAddress4 ?? chosen.sourceAddress6, null);
    });
  }
});

describe("underlayCommand", () => {
  const group = parseIpAddress("224.10.0.1");
  const multicast = { multicast: true, group, ttl: 1 };
  const both = facts([address("eth0 10.0.0.1"), address("eth0 fd00::1"), address("six0 fd01::1")]);

  test("says device, sources, group and local addresses with their prefixes", () => {
    assert.deepEqual(underlayCommand(chooseUnderlay(ETH0, both), multicast, [2, 5, 7]), {
      ...{ kind: "set-underlay", deviceIndex: 5, mtuBytes: 1400 },
      ...{ sourceAddress4: "10.0.0.1", sourceAddress6: "fd00::1" },
      ...{ group4: "224.10.0.1", group6: null, multicastTtl: 1, multicast: true },
      localAddresses: ["10.0.0.1", "fd00::1", "fd01::1"],
      localPrefixLengths: [24, 24, 24],
      // The underlay's own device is no guest's, even if it is a vnet's bridge.
      guestSideDevices: [2, 7],
    });
  });

  test("a host with IPv6 alone has a group of that family", () => {
    const six = { kind: "device", name: parseInterfaceName("six0") } as const;
    const command = underlayCommand(chooseUnderlay(six, both), multicast, []);
    assert.deepEqual([command.group4, command.group6], [null, IPV6_GROUP]);
    assert.equal(IPV6_GROUP, "ff02::e00a:1");
  });

  test("an IPv6 group that was asked for is the only one", () => {
    const asked = { ...multicast, group: parseIpAddress("ff05::1798") };
    const command = underlayCommand(chooseUnderlay(ETH0, both), asked, []);
    assert.deepEqual([command.group4, command.group6], [null, "ff05::1798"]);
  });

  test("without multicast there is no group", () => {
    const off = { ...multicast, multicast: false };
    const command = underlayCommand(chooseUnderlay(ETH0, both), off, []);
    assert.deepEqual([command.group4, command.group6, command.multicast], [null, null, false]);
  });

  test("without a device nothing is sent from anywhere", () => {
    const command = underlayCommand(chooseUnderlay({ kind: "none" }, both), multicast, [2]);
    assert.deepEqual(
      [command.deviceIndex, command.sourceAddress4, command.group4, command.guestSideDevices],
      [0, null, null, [2]],
    );
  });
});

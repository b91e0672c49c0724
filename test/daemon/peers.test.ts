import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Stand } from "./stand.ts";

describe("Peers", () => {
  let stand: Stand;
  beforeEach(async () => {
    stand = await Stand.start();
    stand.names.set("two", ["2001:db8::2", "10.9.0.2"]);
    stand.names.set("me", ["10.9.0.1"]);
  });
  afterEach(async () => {
    await stand.close();
  });

  test("a peer is given by address, or by a name that has one of the underlay's family", async () => {
    const { service } = stand.parts;
    await service.addPeer("10.9.0.3", 1799);
    const named = await service.addPeer("two", null);
    assert.deepEqual(named, {
      ...{ address: "10.9.0.2", udpPort: 1798, name: "two", forwardedOut: 0, forwardedIn: 0 },
      ...{ configured: true, pathMtu: null, vnets: [] },
    });
    assert.deepEqual([...stand.fake.peers.keys()], ["10.9.0.3:1799", "10.9.0.2:1798"]);
    const [first] = await service.listPeers();
    assert.deepEqual([first?.forwardedOut, first?.forwardedIn], [3, 4]);
  });

  for (const [host, code] of [
    ["10.9.0.1", "VNETD_PEER_IS_SELF"],
    ["127.0.0.1", "VNETD_PEER_IS_SELF"],
    ["me", "VNETD_PEER_IS_SELF"],
    ["nowhere", "VNETD_UNKNOWN_HOST"],
    ["224.10.0.1", "VNETD_PARSE"],
    ["255.255.255.255", "VNETD_PARSE"],
    ["0.0.0.0", "VNETD_PARSE"],
  ] as const) {
    test(`${host} is refused: ${code}`, async () => {
      await assert.rejects(stand.parts.service.addPeer(host, null), { code });
      assert.deepEqual(stand.parts.overlay.desired.peers, []);
      assert.equal(stand.fake.peers.size, 0);
    });
  }

  test("the same host twice is refused, by whatever name", async () => {
    const { service } = stand.parts;
    await service.addPeer("10.9.0.2", null);
    await assert.rejects(service.addPeer("two", 1799), { code: "VNETD_PEER_EXISTS" });
  });

  test("a peer is deleted by name or address; one that is none is told", async () => {
    const { service } = stand.parts;
    await service.addPeer("two", null);
    await service.deletePeer("10.9.0.2");
    await service.addPeer("two", null);
    await service.deletePeer("two");
    await assert.rejects(service.deletePeer("10.9.0.2"), { code: "VNETD_UNKNOWN_PEER" });
    assert.equal(stand.fake.peers.size, 0);
  });

  test("a name that has another address now moves its peer", async () => {
    const { service, peers } = stand.parts;
    await service.addPeer("two", null);
    stand.names.set("two", ["10.9.0.22"]);
    await peers.refreshNames();
    assert.deepEqual([...stand.fake.peers.keys()], ["10.9.0.22:1798"]);
    await stand.restart();
    assert.deepEqual([...stand.fake.peers.keys()], ["10.9.0.22:1798"]);
  });

  test("a name that still has its address among others, or does not resolve, moves nothing", async () => {
    const { service, peers } = stand.parts;
    await service.addPeer("two", null);
    stand.names.set("two", ["10.9.0.9", "10.9.0.2"]);
    await peers.refreshNames();
    stand.names.delete("two");
    await peers.refreshNames();
    await peers.refreshNames();
    assert.deepEqual([...stand.fake.peers.keys()], ["10.9.0.2:1798"]);
    const warnings = stand.messages().filter((text) => text === "a peer's name does not resolve");
    assert.equal(warnings.length, 1);
  });

  test("a name that becomes our own moves nothing", async () => {
    const { service, peers } = stand.parts;
    await service.addPeer("two", null);
    stand.names.set("two", ["10.9.0.1"]);
    await peers.refreshNames();
    assert.deepEqual([...stand.fake.peers.keys()], ["10.9.0.2:1798"]);
    assert.ok(stand.messages().includes("cannot follow a peer's name"));
  });
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId, type VnetId } from "../../src/net/vnet-id.ts";
import { Stand } from "./stand.ts";

const ID = parseVnetId("97");
const MAC = parseMacAddress("00:16:3e:00:00:01");

describe("Overlay", () => {
  let stand: Stand;
  beforeEach(async () => {
    stand = await Stand.start();
    await stand.parts.service.createVnets([{ id: ID, bridge: "vnet97" }]);
    stand.forget();
  });
  afterEach(async () => {
    await stand.close();
  });

  const ip = async (command: string): Promise<void> => {
    const { stderr } = await stand.host.run({ program: "ip", args: command.split(" ") });
    assert.equal(stderr, "");
  };
  const stateOf = async (id: VnetId) => {
    const [view] = await stand.parts.service.listVnets([id]);
    return [view?.state, view?.error];
  };

  test("a restart touches nothing that is right", async () => {
    await stand.parts.service.addVif("97", { mac: MAC });
    await stand.parts.service.addPeer("10.9.0.2", null);
    stand.forget();
    await stand.restart();
    assert.deepEqual(stand.host.commands, []);
    assert.deepEqual(stand.fake.changes, []);
    assert.deepEqual(await stateOf(ID), ["up", null]);
  });

  test("a data plane that lost everything gets it all again", async () => {
    await stand.parts.service.addVif("97", { mac: MAC });
    await stand.parts.service.addPeer("10.9.0.2", null);
    stand.fake.vnets.clear();
    stand.fake.peers.clear();
    stand.fake.vifs.clear();
    stand.fake.underlay = null;
    stand.fake.ages = null;
    stand.forget();
    await stand.restart();
    assert.deepEqual(
      stand.fake.changes.map(({ kind }) => kind).filter((kind) => kind !== "send-flood"),
      ["set-underlay", "set-ages", "set-vnet", "set-peer", "pin-vif"],
    );
    assert.deepEqual(stand.host.commands, []);
  });

  test("what the data plane carries too much is taken from it", async () => {
    const extra = parseVnetId("99");
    const carried = stand.fake.vnets.get(ID);
    assert.ok(carried !== undefined);
    stand.fake.vnets.set(extra, { ...carried, vnet: extra, deviceName: "vnif0099" });
    await stand.restart();
    assert.deepEqual([...stand.fake.vnets.keys()], [ID]);
  });

  test("a TAP that is lost is made anew and attached", async () => {
    const before = stand.host.links.get("vnif0097")?.index;
    await ip("link del dev vnif0097");
    stand.forget();
    stand.fake.raise({ kind: "tap-lost", vnet: ID, deviceName: "vnif0097", error: 77 });
    // The event is read before the answer to what is asked after it was sent.
    await stand.settled();
    await stand.settled();
    const tap = stand.host.links.get("vnif0097");
    assert.notEqual(tap?.index, before);
    assert.equal(tap?.master, "vnet97");
    assert.equal(tap.up, true);
    const [underlay, vnet] = stand.fake.changes;
    assert.equal(underlay?.kind, "set-underlay", "its index is another one");
    assert.equal(vnet?.kind, "set-vnet");
    assert.ok(stand.messages().includes("made devices of vnets right"));
  });

  for (const [name, command] of [
    ["a bridge that was deleted", "link del dev vnet97"],
    ["a TAP that was taken from its bridge", "link set dev vnif0097 nomaster"],
    ["a TAP that was set down", "link set dev vnif0097 down"],
    ["a bridge that was set down", "link set dev vnet97 down"],
    ["an MTU that was changed", "link set dev vnif0097 mtu 1400"],
  ] as const) {
    test(`${name} is put right`, async () => {
      await ip(command);
      await stand.parts.overlay.reconcile();
      const tap = stand.host.links.get("vnif0097");
      assert.deepEqual([tap?.master, tap?.up, tap?.mtu], ["vnet97", true, 1500]);
      assert.equal(stand.host.links.get("vnet97")?.up, true);
      stand.forget();
      await stand.parts.overlay.reconcile();
      assert.deepEqual(stand.host.commands, [], "and then left alone");
    });
  }

  test("a TAP of another owner is replaced, because vnet-dp could not attach to it", async () => {
    const tap = stand.host.links.get("vnif0097");
    assert.ok(tap?.tap != null);
    tap.tap.user = "somebody";
    await stand.parts.overlay.reconcile();
    assert.equal(stand.host.links.get("vnif0097")?.tap?.user, "nobody");
  });

  test("a foreign device in the TAP's place is an error until it goes", async () => {
    await ip("link del dev vnif0097");
    stand.host.addDevice("vnif0097", "veth");
    stand.forget();
    await stand.parts.overlay.reconcile();
    await stand.parts.overlay.reconcile();
    const error = "interface name vnif0097 is taken by a device that is not ours (kind veth)";
    assert.deepEqual(await stateOf(ID), ["error", error]);
    assert.deepEqual(stand.host.commands, []);
    assert.equal(stand.messages().filter((message) => message === error).length, 1, "logged once");
    assert.equal(stand.fake.vnets.size, 0);
    await ip("link del dev vnif0097");
    await stand.parts.overlay.reconcile();
    assert.deepEqual(await stateOf(ID), ["up", null]);
    assert.ok(stand.messages().includes("recovered"));
  });

  test("a host that refuses is asked again later, not at once", async () => {
    await ip("link del dev vnif0097");
    stand.host.refuse = (asked) => (asked.startsWith("tuntap") ? "open: Permission denied" : null);
    stand.forget();
    await stand.parts.overlay.reconcile();
    const count = stand.host.commands.length;
    await stand.parts.overlay.reconcile();
    assert.equal(stand.host.commands.length, count);
    const [state, error] = await stateOf(ID);
    assert.equal(state, "error");
    assert.match(String(error), /cannot open \/dev\/net\/tun: Permission denied/);
  });

  test("one vnet that fails does not keep the others from being made right", async () => {
    await stand.parts.service.createVnets([{ id: parseVnetId("98"), bridge: "vnet98" }]);
    await ip("link del dev vnif0097");
    await ip("link del dev vnif0098");
    stand.host.refuse = (asked) => (asked.includes("add dev vnif0097") ? "no" : null);
    await stand.parts.overlay.reconcile();
    assert.equal((await stateOf(ID))[0], "error");
    assert.deepEqual(await stateOf(parseVnetId("98")), ["up", null]);
  });

  test("an underlay that loses its address makes vnets wait, and comes back by itself", async () => {
    const [address] = stand.host.addresses.splice(0);
    assert.ok(address !== undefined);
    await stand.parts.overlay.reconcile();
    assert.equal((await stateOf(ID))[0], "error");
    assert.equal(stand.fake.underlay?.sourceAddress4, null);
    assert.equal(stand.fake.vnets.size, 1, "the vnet itself stays");
    stand.host.addresses.push({ ...address, address: "10.9.0.7" });
    await stand.parts.overlay.reconcile();
    assert.deepEqual(await stateOf(ID), ["up", null]);
    assert.equal(stand.fake.underlay.sourceAddress4, "10.9.0.7");
  });

  test("an address of the vnet's own bridge is never the underlay", async () => {
    stand.host.addresses.splice(0);
    stand.host.addresses.push({ device: "vnet97", address: "192.168.7.1", prefixLength: 24 });
    await stand.parts.overlay.reconcile();
    assert.match(String(stand.parts.overlay.underlay.error), /no underlay/);
  });

  test("a link event of our own doing starts no pass", async () => {
    const line =
      "7: vnif0097: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc pfifo_fast master vnet97";
    stand.parts.overlay.wakeFor(line);
    await new Promise((resolve) => setTimeout(resolve, 150));
    await stand.settled();
    assert.deepEqual(stand.host.commands, []);
  });

  test("a link event that shows something wrong starts one", async () => {
    await ip("link set dev vnif0097 down");
    stand.forget();
    stand.parts.overlay.wakeFor(
      "7: vnif0097: <BROADCAST,MULTICAST> mtu 1500 qdisc pfifo_fast master vnet97 state DOWN",
    );
    while (stand.host.links.get("vnif0097")?.up !== true) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(stand.host.commands, ["link set dev vnif0097 up"]);
  });

  test("lost events make discovery read the tables", async () => {
    stand.fake.vifs.set("x", { kind: "vif-entry", vnet: ID, mac: MAC, ageMs: 5, pinned: false });
    stand.fake.raise({ kind: "events-lost", count: 3 });
    await stand.settled();
    await stand.settled();
    // A MAC that nobody was told of is announced.
    assert.ok(stand.fake.changes.some(({ kind }) => kind === "send-flood"));
  });

  test("a miss asks for the MAC, and the answer is set", async () => {
    stand.fake.raise({ kind: "fdb-miss", vnet: ID, mac: MAC });
    await stand.settled();
    await stand.settled();
    assert.deepEqual(
      stand.fake.changes.map(({ kind }) => kind),
      ["send-flood"],
    );
    const [entry] = await stand.parts.service.listVarp(["97"]);
    assert.equal(entry?.state, "asking");
    assert.equal(entry.mac, MAC);
  });

  test("what the data plane logs is logged", async () => {
    stand.fake.raise({ kind: "log", level: 2, text: "UDP segmentation failed" });
    await stand.settled();
    assert.ok(stand.messages().includes("UDP segmentation failed"));
  });

  test("an offload that was switched off is shown", async () => {
    assert.equal((await stand.parts.service.status()).dataplane.udpSegmentation, true);
    const off = { tapOffload: true, udpSegmentation: false, udpCoalescing: true };
    stand.fake.raise({ kind: "offload-changed", ...off });
    await stand.settled();
    const { dataplane } = await stand.parts.service.status();
    assert.deepEqual([dataplane.tapOffload, dataplane.udpSegmentation], [true, false]);
  });
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { FakeHost } from "../fakes/fake-host.ts";
import { cardHost, Stand } from "./stand.ts";

const ID = parseVnetId("97");
const OTHER = parseVnetId("98");

describe("creating and deleting vnets", () => {
  let stand: Stand;
  beforeEach(async () => {
    stand = await Stand.start();
  });
  afterEach(async () => {
    await stand.close();
  });

  const create = (...requests: { id: string; bridge?: string; vnetif?: string }[]) =>
    stand.parts.service.createVnets(
      requests.map((request) => ({ ...request, id: parseVnetId(request.id) })),
    );

  /** Links but the card, the stored interfaces, what the data plane carries: all of one world. */
  const world = (): object => ({
    links: [...stand.host.links.keys()].filter((name) => name !== "u0"),
    stored: existsSync(stand.stateFile.path) ? stand.stored().vnets.map((v) => v.vnetif) : [],
    carried: Array.from(stand.fake.vnets.values(), ({ deviceName }) => deviceName),
    listed: stand.parts.overlay.desired.vnets.map(({ vnetif }) => vnetif),
  });
  const NOTHING = { links: [], stored: [], carried: [], listed: [] };

  test("a vnet is a TAP of the data plane's user on a bridge, stored, carried and shown", async () => {
    const [view] = await create({ id: "97", bridge: "vnet97" });
    assert.deepEqual(view, {
      ...{
        id: ID,
        vnetif: "vnif0097",
        bridge: "vnet97",
        ovs: false,
        security: "none",
        suite: null,
      },
      ...{ mtu: 1500, encapsulation: "udp", state: "up", error: null, bridgePorts: [] },
    });
    const tap = stand.host.links.get("vnif0097");
    assert.equal(tap?.master, "vnet97");
    assert.equal(tap.up, true);
    assert.equal(tap.tap?.user, "nobody");
    assert.equal(tap.addressGeneration, "none");
    assert.equal(stand.host.links.get("vnet97")?.up, true);
    assert.deepEqual(world(), {
      links: ["vnif0097", "vnet97"],
      stored: ["vnif0097"],
      carried: ["vnif0097"],
      listed: ["vnif0097"],
    });
  });

  test("the data plane hears nothing from the vnet's own devices", async () => {
    await create({ id: "97", bridge: "vnet97" });
    const indexes = ["vnif0097", "vnet97"].map((name) => stand.host.links.get(name)?.index);
    assert.deepEqual(stand.fake.underlay?.guestSideDevices, indexes);
  });

  test("a bridge that exists is attached to and left as it is", async () => {
    stand.host.addDevice("xenbr0", "bridge");
    await create({ id: "97", bridge: "xenbr0" });
    assert.equal(stand.host.links.get("vnif0097")?.master, "xenbr0");
    assert.equal(stand.host.links.get("xenbr0")?.alias, null);
    assert.ok(!stand.host.commands.some((command) => command.startsWith("link add")));
  });

  test("other ports of the bridge are shown", async () => {
    await create({ id: "97", bridge: "vnet97" });
    stand.host.addDevice("vif1.0", "veth");
    await stand.host.run({ program: "ip", args: words("link set dev vif1.0 master vnet97") });
    const [view] = await stand.parts.service.listVnets(["97"]);
    assert.deepEqual(view?.bridgePorts, ["vif1.0"]);
  });

  const refusals = [
    ["the reserved id", [{ id: "1" }], "VNETD_RESERVED_VNET_ID"],
    ["the same id twice", [{ id: "97" }, { id: "97", vnetif: "x" }], "VNETD_VNET_EXISTS"],
    ["the same interface twice", [{ id: "97" }, { id: "1:97" }], "VNETD_NAME_TAKEN"],
    ["an interface that is a network card", [{ id: "97", vnetif: "u0" }], "VNETD_NAME_TAKEN"],
    ["a bridge that is a network card", [{ id: "97", bridge: "u0" }], "VNETD_NAME_TAKEN"],
    ["one bad of two", [{ id: "98" }, { id: "97", vnetif: "u0" }], "VNETD_NAME_TAKEN"],
  ] as const;
  for (const [name, requests, code] of refusals) {
    test(`${name} is refused and nothing is changed`, async () => {
      await assert.rejects(create(...requests), { code });
      assert.deepEqual(world(), NOTHING);
      assert.deepEqual(stand.host.commands, []);
    });
  }

  test("a TAP of somebody else's is not taken over, even with the same owner", async () => {
    const args = words("tuntap add dev vnif0097 mode tap user 65534");
    await stand.host.run({ program: "ip", args });
    stand.forget();
    await assert.rejects(create({ id: "97" }), {
      code: "VNETD_NAME_TAKEN",
      message:
        /interface name vnif0097 is taken by a device that is not ours \(a tap, persistent\)/,
    });
    assert.deepEqual(stand.host.commands, []);
  });

  const failures = [
    ["/dev/net/tun is missing", "tuntap add", "open: No such file or directory"],
    ["no permission", "tuntap add dev vnif0098", "ioctl(TUNSETIFF): Operation not permitted"],
    ["the bridge cannot be made", "link add name vnet98", "RTNETLINK answers: File exists"],
    ["the last step fails", "link set dev vnif0098 up", "RTNETLINK answers: No buffer space"],
  ] as const;
  for (const [name, command, words_] of failures) {
    test(`when ${name}, everything is taken back`, async () => {
      stand.host.refuse = (asked) => (asked.startsWith(command) ? words_ : null);
      const created = create({ id: "97", bridge: "vnet97" }, { id: "98", bridge: "vnet98" });
      await assert.rejects(created, { code: "VNETD_HOST_FAILED" });
      assert.deepEqual(world(), NOTHING);
    });
  }

  test("what is missing when /dev/net/tun is missing is said", async () => {
    stand.host.refuse = (asked) =>
      asked.startsWith("tuntap") ? "open: No such file or directory" : null;
    await assert.rejects(create({ id: "97" }), /cannot open \/dev\/net\/tun: No such file/);
  });

  test("when the data plane refuses, everything is taken back", async () => {
    stand.fake.refuse = (command) =>
      command.kind === "set-vnet" && command.vnet === OTHER ? { error: 28, message: "full" } : null;
    const created = create({ id: "97", bridge: "vnet97" }, { id: "98" });
    await assert.rejects(created, {
      code: "VNETD_DATAPLANE_FAILED",
      message: "Cannot create 2 vnets: vnet-dp refused set-vnet: full",
    });
    assert.deepEqual(world(), NOTHING);
  });

  test("where Open vSwitch is missing, a vnet that wants it leaves nothing", async () => {
    const created = stand.parts.service.createVnets([{ id: ID, bridge: "br0", ovs: true }]);
    await assert.rejects(created, {
      code: "VNETD_OVS_FAILED",
      message: "Cannot create vnet 97: Open vSwitch is not installed (no ovs-vsctl)",
    });
    assert.deepEqual(world(), NOTHING);
  });

  test("taking back leaves a bridge that was there before", async () => {
    stand.host.addDevice("br0", "bridge");
    stand.fake.refuse = ({ kind }) => (kind === "set-vnet" ? { error: 5, message: "no" } : null);
    await assert.rejects(create({ id: "97", bridge: "br0" }));
    assert.deepEqual([...stand.host.links.keys()], ["u0", "br0"]);
  });

  test("when the state cannot be written nothing is changed", async () => {
    // The name of the temporary file is taken by a folder, so that it cannot be opened.
    mkdirSync(`${stand.stateFile.path}.new`);
    await assert.rejects(create({ id: "97" }), { code: "VNETD_STATE_FAILED" });
    assert.deepEqual(stand.host.commands, []);
    assert.deepEqual(world(), NOTHING);
    rmdirSync(`${stand.stateFile.path}.new`);
    await create({ id: "97" });
  });

  test("without an underlay nothing is created; a start-up file may", async () => {
    stand.host.addresses.length = 0;
    await stand.parts.overlay.reconcile();
    await assert.rejects(create({ id: "97" }), { code: "VNETD_NO_UNDERLAY" });
    assert.deepEqual(world(), NOTHING);
  });

  test("without a data plane nothing is created", async () => {
    stand.parts.overlay.disconnected();
    await assert.rejects(create({ id: "97" }), { code: "VNETD_DATAPLANE_FAILED" });
    assert.deepEqual(stand.host.commands, []);
  });

  test("a deleted vnet leaves its bridge, unless that is to go too", async () => {
    await create({ id: "97", bridge: "vnet97" }, { id: "98", bridge: "vnet98" });
    await stand.parts.service.deleteVnets(["97"], { bridge: false });
    await stand.parts.service.deleteVnets(["vnif0098"], { bridge: true });
    assert.deepEqual(world(), { ...NOTHING, links: ["vnet97"] });
  });

  test("a bridge of ours goes with its ports; somebody else's only when it has none", async () => {
    stand.host.addDevice("br0", "bridge");
    stand.host.addDevice("vif1.0", "veth");
    stand.host.addDevice("vif2.0", "veth");
    await create({ id: "97", bridge: "vnet97" }, { id: "98", bridge: "br0" });
    await stand.host.run({ program: "ip", args: words("link set dev vif1.0 master vnet97") });
    await stand.host.run({ program: "ip", args: words("link set dev vif2.0 master br0") });
    const before = world();
    await assert.rejects(stand.parts.service.deleteVnets(["98", "97"], { bridge: true }), {
      code: "VNETD_NAME_TAKEN",
      message: /bridge br0 was not made by vnetd and has other ports \(vif2\.0\)/,
    });
    assert.deepEqual(world(), before);
    await stand.host.run({ program: "ip", args: words("link set dev vif2.0 nomaster") });
    await stand.parts.service.deleteVnets(["98", "97"], { bridge: true });
    assert.deepEqual(world(), { ...NOTHING, links: ["vif1.0", "vif2.0"] });
  });

  test("an unknown vnet among those to delete keeps all", async () => {
    await create({ id: "97" });
    await assert.rejects(stand.parts.service.deleteVnets(["97", "99"], { bridge: false }), {
      code: "VNETD_UNKNOWN_VNET",
    });
    assert.equal(stand.host.links.has("vnif0097"), true);
  });

  test("a vnet that could not be deleted stays, whole", async () => {
    await create({ id: "97", bridge: "vnet97" });
    stand.host.refuse = (asked) =>
      asked.startsWith("link del") ? "Operation not permitted" : null;
    await assert.rejects(stand.parts.service.deleteVnets(["97"], { bridge: false }), {
      code: "VNETD_HOST_FAILED",
    });
    await stand.parts.overlay.reconcile();
    assert.deepEqual(stand.stored().vnets.length, 1);
    assert.deepEqual([...stand.fake.vnets.keys()], [ID]);
  });

  test("changes wait for each other", async () => {
    const ids = ["2", "3", "4", "5", "6", "7", "8", "9"];
    await Promise.all(ids.map((id) => create({ id, bridge: `br${id}` })));
    await Promise.all(ids.map((id) => stand.parts.service.deleteVnets([id], { bridge: true })));
    assert.deepEqual(world(), NOTHING);
  });
});

describe("a host without overlay", () => {
  test("refuses vnets and says why", async () => {
    const host: FakeHost = cardHost();
    const stand = await Stand.start({ host, settings: { underlay: "none" } });
    const created = stand.parts.service.createVnets([{ id: ID }]);
    await assert.rejects(created, {
      code: "VNETD_NO_UNDERLAY",
      message: "Cannot create vnet 97: this host has no underlay (--underlay none)",
    });
    await stand.close();
  });
});

function words(text: string): string[] {
  return text.split(" ");
}

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { Stand } from "./stand.ts";

const ID = parseVnetId("97");
const MAC = parseMacAddress("00:16:3e:00:00:01");

describe("ControlService", () => {
  let stand: Stand;
  beforeEach(async () => {
    stand = await Stand.start();
    await stand.parts.service.createVnets([{ id: ID }]);
  });
  afterEach(async () => {
    await stand.close();
  });

  test("status() shows the daemon, the data plane and the underlay", async () => {
    await stand.parts.service.addVif("97", { mac: MAC });
    const status = await stand.parts.service.status();
    assert.equal(status.serving, true);
    assert.equal(status.dataplane.state, "up");
    assert.equal(status.dataplane.pid, process.pid);
    assert.deepEqual(status.underlay, {
      ...{ device: "u0", mtu: 1500, addresses: ["10.9.0.1"], udpPort: 1798 },
      ...{ multicastGroup: "224.10.0.1", multicastTtl: 1, error: null },
    });
    assert.deepEqual([status.vnetCount, status.vifCount, status.peerCount], [1, 1, 0]);
  });

  test("a vif is pinned by MAC or by device, once, and survives", async () => {
    const { service } = stand.parts;
    assert.deepEqual(await service.addVif("vnif0097", { mac: MAC }), {
      ...{ vnet: ID, mac: MAC, pinned: true, ageMs: 0 },
    });
    await assert.rejects(service.addVif("97", { mac: MAC }), { code: "VNETD_VIF_EXISTS" });
    const byDevice = await service.addVif("97", { device: "u0" });
    assert.equal(byDevice.mac, "02:00:00:00:00:02");
    await stand.restart();
    const vifs = await stand.parts.service.listVifs([]);
    assert.deepEqual(
      vifs.map(({ mac, pinned }) => [mac, pinned]),
      [
        [MAC, true],
        ["02:00:00:00:00:02", true],
      ],
    );
    await stand.parts.service.deleteVif("97", { mac: MAC });
    await assert.rejects(stand.parts.service.deleteVif("97", { mac: MAC }), {
      code: "VNETD_UNKNOWN_VIF",
    });
    assert.equal((await stand.parts.service.listVifs(["97"])).length, 1);
  });

  test("what does not exist is told", async () => {
    const { service } = stand.parts;
    const group = parseMacAddress("01:00:5e:00:00:01");
    await assert.rejects(service.addVif("97", { device: "no0" }), { code: "VNETD_UNKNOWN_DEVICE" });
    await assert.rejects(service.addVif("99", { mac: MAC }), { code: "VNETD_UNKNOWN_VNET" });
    await assert.rejects(service.addVif("97", { mac: group }), { code: "VNETD_PARSE" });
    await assert.rejects(service.listVifs(["99"]), { code: "VNETD_UNKNOWN_VNET" });
    await assert.rejects(service.stats("none0"), { code: "VNETD_UNKNOWN_VNET" });
  });

  test("stats() of the process and of a vnet, by name", async () => {
    const [ofProcess, ...others] = await stand.parts.service.stats(null);
    assert.equal(ofProcess?.vnet, null);
    assert.deepEqual(others, []);
    const [ofVnet] = await stand.parts.service.stats("97");
    assert.equal(ofVnet?.vnet, ID);
    assert.equal(ofVnet.counters["outbound-bytes"], 1);
  });

  test("listVarp() joins what is known and what is asked for", async () => {
    const host = { address: parseIpAddress("10.9.0.2"), udpPort: 1798 };
    const known = parseMacAddress("00:16:3e:00:00:02");
    const entry = { kind: "fdb-entry", vnet: ID, mac: known, host, ageMs: 9, pinned: false };
    stand.fake.fdb.set("x", entry as never);
    stand.fake.raise({ kind: "fdb-miss", vnet: ID, mac: MAC });
    stand.fake.raise({ kind: "fdb-miss", vnet: ID, mac: known });
    await stand.settled();
    const entries = await stand.parts.service.listVarp([]);
    assert.deepEqual(
      entries.map(({ mac, state }) => [mac, state]),
      [
        [known, "reachable"],
        [MAC, "asking"],
      ],
    );
    await stand.parts.service.flushVarp();
    assert.deepEqual(await stand.parts.service.listVarp([]), []);
  });

  test("metrics() is a line a value, with help and type", async () => {
    const lines = (await stand.parts.service.metrics()).split("\n");
    assert.ok(lines.includes("vnetd_up 1"));
    assert.ok(lines.includes('vnetd_vnets{state="up"} 1'));
    assert.ok(lines.includes("vnetd_outbound_bytes_total 1"));
    assert.ok(lines.includes('vnetd_vnet_outbound_bytes_total{vnet="97"} 1'));
  });

  test("metrics() and status() work without a data plane", async () => {
    stand.parts.overlay.disconnected();
    assert.match(await stand.parts.service.metrics(), /^vnetd_vnets\{state="error"\} 1$/m);
    assert.equal((await stand.parts.service.status()).vifCount, 0);
    const [view] = await stand.parts.service.listVnets([]);
    assert.equal(view?.error, "the data plane is down (vnet-dp does not run)");
  });

  test("once it is stopping nothing is changed", async () => {
    const { service } = stand.parts;
    service.stop();
    await assert.rejects(service.createVnets([{ id: parseVnetId("98") }]), {
      code: "VNETD_STOPPING",
    });
    await assert.rejects(service.evaluate("(vnet.del (id 97))"), { code: "VNETD_STOPPING" });
    assert.equal((await service.status()).serving, false);
  });

  describe("evaluate()", () => {
    const evaluate = (text: string): Promise<string> => stand.parts.service.evaluate(text);

    test("does what the original's commands did", async () => {
      assert.equal(await evaluate("(vnet.add (id 98) (vnetif vnif98))"), "");
      assert.match(await evaluate("(vnet.list)"), /\(vnetif vnif98\)/);
      assert.equal(await evaluate(`(vif.add (vnet 98) (vmac ${MAC}))`), "");
      assert.match(await evaluate("(vif.list)"), new RegExp(MAC));
      assert.equal(await evaluate("(peer.add (addr 10.9.0.2))"), "");
      assert.match(await evaluate("(peer.list)"), /10\.9\.0\.2/);
      assert.match(await evaluate("(varp.print)"), /\(mcast_addr 224\.10\.0\.1\)/);
      assert.equal(await evaluate("(varp.flush)"), "");
      assert.equal(await evaluate("(peer.del (addr 10.9.0.2))"), "");
      assert.equal(await evaluate(`(vif.del (vnet 98) (vmac ${MAC}))`), "");
      assert.equal(await evaluate("(vnet.del (id 98))"), "");
      assert.deepEqual([...stand.fake.vnets.keys()], [ID]);
    });

    test("varp.mcaddr changes the group, and the change survives", async () => {
      await evaluate("(varp.mcaddr (addr 224.10.0.9))");
      assert.equal(stand.fake.underlay?.group4, "224.10.0.9");
      await stand.restart();
      assert.equal((await stand.parts.service.status()).underlay.multicastGroup, "224.10.0.9");
    });

    test("malformed expressions are told with line and column", async () => {
      await assert.rejects(evaluate("(vnet.add\n (id 97x))"), {
        code: "VNETD_PARSE",
        message: /line 2/,
      });
    });
  });
});

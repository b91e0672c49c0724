import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BridgePorts } from "../../src/daemon/bridge-ports.ts";

const JOINED =
  "7: vif5.0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master vnet97 state UP";
const PLAIN =
  "7: vif5.0@if2: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group default";

describe("BridgePorts", () => {
  test("tells of a port that leaves, once", () => {
    const ports = new BridgePorts();
    assert.equal(ports.read(JOINED), null);
    assert.equal(ports.read(JOINED), null);
    assert.equal(ports.read(PLAIN), "vnet97");
    assert.equal(ports.read(PLAIN), null);
  });

  test("takes a deleted port for one that left, whatever master the line names", () => {
    const ports = new BridgePorts();
    ports.read(JOINED);
    assert.equal(ports.read(`Deleted ${JOINED}`), "vnet97");
    assert.equal(ports.read("Deleted 7: vif5.0@NONE: <BROADCAST,MULTICAST> mtu 1500"), null);
  });

  test("tells of a port that goes to another bridge", () => {
    const ports = new BridgePorts();
    ports.read(JOINED);
    assert.equal(ports.read(JOINED.replace("vnet97", "xenbr0")), "vnet97");
  });

  test("is no wiser from other lines", () => {
    const ports = new BridgePorts();
    ports.read(JOINED);
    for (const line of [
      "",
      "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
      "default via x",
    ]) {
      assert.equal(ports.read(line), null);
    }
    assert.equal(ports.read(PLAIN), "vnet97");
  });

  test("lists the ports of each bridge as they are by now", () => {
    const ports = new BridgePorts();
    assert.deepEqual([...ports.list()], []);
    ports.read(JOINED);
    ports.read(JOINED.replace("vif5.0", "vif6.0"));
    ports.read(JOINED.replace("vif5.0", "vif7.0").replace("vnet97", "xenbr0"));
    const expected = new Map([
      ["vnet97", ["vif5.0", "vif6.0"]],
      ["xenbr0", ["vif7.0"]],
    ]);
    assert.deepEqual(ports.list(), expected);
    ports.read(PLAIN);
    assert.deepEqual(ports.list().get("vnet97"), ["vif6.0"]);
  });
});

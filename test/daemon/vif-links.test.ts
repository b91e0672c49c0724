import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VifLinks } from "../../src/daemon/vif-links.ts";

function links(): VifLinks {
  return new VifLinks(async () => assert.fail("no program is to be started"));
}

describe("VifLinks.readLine", () => {
  test("tells of a device that comes, goes, or changes its master, once each", () => {
    const vifs = links();
    const up = "9: vif5.0: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state UP group default";
    assert.equal(vifs.readLine(up), "vif5.0");
    assert.deepEqual(vifs.get("vif5.0"), { index: 9, master: null });
    assert.equal(vifs.readLine(up), null);
    const enslaved =
      "9: vif5.0: <BROADCAST,UP> mtu 1500 qdisc noop master br1 state UP group default";
    assert.equal(vifs.readLine(enslaved), "vif5.0");
    assert.deepEqual(vifs.get("vif5.0"), { index: 9, master: "br1" });
    assert.equal(
      vifs.readLine("Deleted 9: vif5.0@NONE: <BROADCAST> mtu 1500 state DOWN"),
      "vif5.0",
    );
    assert.equal(vifs.get("vif5.0"), null);
  });

  test("a device that was made again under its name is another one", () => {
    const vifs = links();
    vifs.readLine("9: tap5.0: <BROADCAST> mtu 1500 state DOWN");
    assert.equal(vifs.readLine("12: tap5.0: <BROADCAST> mtu 1500 state DOWN"), "tap5.0");
    // The end of the former one is told late.
    assert.equal(vifs.readLine("Deleted 9: tap5.0: <BROADCAST> mtu 1500 state DOWN"), null);
    assert.deepEqual(vifs.get("tap5.0"), { index: 12, master: null });
  });

  test("a port that left its bridge has not gone", () => {
    const vifs = links();
    vifs.readLine("9: vnet3@vnet4: <BROADCAST> mtu 1500 master br1 state DOWN");
    const left = "Deleted 9: vnet3@vnet4: <BROADCAST,UP> mtu 1500 master br1 state UP";
    assert.equal(vifs.readLine(left), null);
    assert.notEqual(vifs.get("vnet3"), null);
  });

  test("addresses and routes are of no interest", () => {
    const vifs = links();
    const lines = [
      "9: vif5.0    inet 10.0.0.1/24 scope global vif5.0",
      "10.0.0.0/24 dev vif5.0 proto kernel scope link src 10.0.0.1",
      "    link/ether 92:2e:dc:15:23:80 brd ff:ff:ff:ff:ff:ff",
      "",
    ];
    for (const line of lines) {
      assert.equal(vifs.readLine(line), null, line);
    }
    assert.deepEqual([...vifs.names()], []);
  });
});

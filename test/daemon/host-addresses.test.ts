import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostAddresses } from "../../src/daemon/host-addresses.ts";

const LISTING = JSON.stringify([
  {
    ifindex: 5,
    ifname: "br0",
    addr_info: [
      { family: "inet", local: "10.0.0.1", prefixlen: 24, scope: "global" },
      { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link" },
    ],
  },
]);

function addresses(): HostAddresses {
  return new HostAddresses(async () => ({ exitStatus: 0, stdout: LISTING, stderr: "" }));
}

describe("HostAddresses", () => {
  test("knows what the listing says", async () => {
    const host = addresses();
    assert.deepEqual(host.of("br0"), []);
    await host.readAll();
    assert.deepEqual(host.of("br0"), ["10.0.0.1", "fe80::1"]);
    assert.deepEqual(host.of("br1"), []);
  });

  test("follows addresses that come and go, and tells of each change once", async () => {
    const host = addresses();
    await host.readAll();
    const line = "5: br0    inet 10.0.0.2/24 brd 10.0.0.255 scope global secondary br0";
    assert.equal(host.readLine(line), true);
    assert.equal(host.readLine(line), false);
    assert.deepEqual(host.of("br0"), ["10.0.0.1", "fe80::1", "10.0.0.2"]);
    assert.equal(host.readLine(`Deleted ${line}`), true);
    assert.equal(host.readLine(`Deleted ${line}`), false);
    assert.deepEqual(host.of("br0"), ["10.0.0.1", "fe80::1"]);
  });

  test("is no wiser from other lines", () => {
    const host = addresses();
    for (const line of [
      "5: br0: <BROADCAST,UP> mtu 1500 state UP",
      "10.0.0.0/24 dev br0 proto kernel scope link src 10.0.0.1",
      "5: br0    inet6 ::ffff:10.0.0.1/96 scope global",
      "",
    ]) {
      assert.equal(host.readLine(line), false, line);
    }
  });
});

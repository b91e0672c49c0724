/** The commands that make a vnet's devices, where the kernel or the device has no IPv6. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planVnetLinks } from "../../src/daemon/link-plan.ts";
import type { Link } from "../../src/host/iproute2-listing.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { completeVnetConfig } from "../../src/vnet/vnet-config.ts";

const OWNER = { name: "nobody", uid: 65_534 };

const LOOPBACK: Link = {
  ...{ index: 1, name: "lo", kind: null, up: true, loopback: true, mtu: 65_536, mac: null },
  ...{ master: null, alias: null, addressGeneration: "eui64", tap: null },
};

const TAP: Link = {
  ...{ index: 7, name: "vnif0097", kind: "tun", up: true, loopback: false, mtu: 1_500 },
  ...{ mac: "02:00:00:00:00:07", master: null, alias: "vnetd:97", addressGeneration: "none" },
  tap: { mode: "tap", persistent: true, multiQueue: false, user: "nobody" },
};

function plan(mtu: number, ...links: readonly Link[]) {
  const vnet = completeVnetConfig({ id: parseVnetId("97"), mtu });
  const byName = new Map(links.map((link) => [link.name, link]));
  const planned = planVnetLinks(vnet, byName, { owner: OWNER, strict: false });
  assert.ok(planned.kind === "plan");
  return { ...planned, make: planned.make.map((command) => command.join(" ")) };
}

describe("planVnetLinks", () => {
  test("has nothing to do where all is right", () => {
    const { make, silence, raise } = plan(1_500, LOOPBACK, TAP);
    assert.deepEqual({ make, silence, raise }, { make: [], silence: [], raise: [] });
  });

  test("leaves alone what a device below IPv6's least MTU does not have", () => {
    const small = { ...TAP, mtu: 1_000, addressGeneration: null };
    const { make, silence } = plan(1_000, LOOPBACK, small);
    assert.deepEqual({ make, silence }, { make: [], silence: [] });
  });

  test("sets the MTU first, and then silences the IPv6 that comes with it", () => {
    const small = { ...TAP, mtu: 1_000, addressGeneration: null };
    const { make, silence } = plan(1_500, LOOPBACK, small);
    assert.deepEqual(make, [
      "link set dev vnif0097 mtu 1500",
      "link set dev vnif0097 alias vnetd:97 addrgenmode none",
    ]);
    assert.deepEqual(silence, ["vnif0097"]);
  });

  test("asks nothing of IPv6 where the kernel has none", () => {
    const loopback = { ...LOOPBACK, addressGeneration: null };
    const { make } = plan(1_500, loopback);
    assert.equal(
      make.some((command) => command.includes("addrgenmode")),
      false,
    );
    assert.deepEqual(plan(1_500, loopback, { ...TAP, addressGeneration: null }).make, []);
  });
});

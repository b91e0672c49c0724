/**
 * An underlay that loses, doubles, reorders and breaks never wedges the overlay.
 *
 *     VM ── a ── segment 1 ── relay ── segment 2 ── b ── VM
 *                         (one broadcast domain)
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { Relay, Tap } from "./link-tools.ts";
import { transfer } from "./transfer.ts";
import { eventually, TEST_SCALE } from "./wait.ts";

const VNET = "b";
const MEGABYTE = 1_000_000;
/** In the network of the first segment. */
const B_ADDRESS = "10.91.0.2";

describe("an impaired underlay", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let relay: Relay;
  let a: Host;
  let b: Host;
  let here: Vm;
  let there: Vm;

  before(async () => {
    lab = await Lab.create();
    const first = await lab.segment({ offload: false });
    const second = await lab.segment({ offload: false });
    relay = await Relay.between(lab, first, second);
    a = await Host.create(lab, "a", [first]);
    b = await Host.create(lab, "b", [second]);
    // One network over both segments: the relay is a wire, not a router.
    await lab.batch(b.namespace, ["addr flush dev u1", `addr add ${B_ADDRESS}/24 dev u1`]);
    for (const host of [a, b]) {
      await host.start("--fdb-ttl", "10");
      await host.vnet(VNET);
    }
    here = await a.vm(VNET, { address: "192.168.11.1/24" });
    there = await b.vm(VNET, { address: "192.168.11.2/24" });
  });
  after(() => lab.close());

  const pingOk = async (): Promise<boolean> => {
    const { stdout } = await lab.background(
      here.namespace,
      "ping",
      "-c",
      "1",
      "-W",
      "1",
      there.address,
    );
    return stdout.includes(" 1 received");
  };

  test("the wire is whole to begin with", async () => {
    await eventually("a ping comes back", pingOk);
    await transfer({ from: here, to: there, address: there.address, bytes: MEGABYTE });
    assert.ok((await relay.stats()).forwarded > 700);
  });

  const troubles = [
    { loss: 3 },
    { duplicate: 30 },
    { reorder: 20 },
    { loss: 2, duplicate: 10, reorder: 10 },
  ] as const;
  for (const trouble of troubles) {
    test(`TCP gets through ${JSON.stringify(trouble)} per cent, unchanged`, async () => {
      relay.impair({ loss: 0, duplicate: 0, reorder: 0, ...trouble });
      const bytes = Math.round(MEGABYTE * TEST_SCALE);
      await transfer({ from: here, to: there, address: there.address, bytes, timeoutMs: 120_000 });
      await transfer({ from: there, to: here, address: here.address, bytes, timeoutMs: 120_000 });
      relay.impair({ loss: 0, duplicate: 0, reorder: 0 });
      await eventually("a ping comes back", pingOk);
    });
  }

  // VMs do send the same broadcast twice, and it comes twice: the underlay's doubles look like that.
  test("a broadcast that the underlay doubles is not multiplied further", async () => {
    relay.impair({ duplicate: 100 });
    const out = await Tap.open(lab, here.namespace, "eth0");
    const into = await Tap.open(lab, there.namespace, "eth0", "--promiscuous");
    const frame = ethernet(
      { to: BROADCAST_MAC, from: here.mac },
      EXPERIMENTAL_TYPE,
      pattern(99, 4),
    );
    const behind = ethernet(
      { to: BROADCAST_MAC, from: here.mac },
      EXPERIMENTAL_TYPE,
      pattern(99, 5),
    );
    out.send(frame, behind);
    await into.expect(behind);
    assert.ok(into.matching((one) => one.equals(frame)).length <= 2);
    relay.impair({ duplicate: 0 });
    await out.close();
    await into.close();
  });

  test("half of everything lost, a ping still gets through", async () => {
    relay.impair({ loss: 50 });
    await eventually("a ping comes back", pingOk, 30_000);
    relay.impair({ loss: 0 });
  });

  test("a partition ends all talk, and healing brings it back", async () => {
    relay.cut();
    await eventually("pings do not come back", async () => !(await pingOk()));
    relay.join();
    await eventually("pings come back", pingOk);
  });

  test("after a partition longer than a learned MAC's life, all is found again", async () => {
    relay.cut();
    await eventually(
      "both hosts have forgotten",
      async () =>
        !(await a.vn("varp")).includes(there.mac) && !(await b.vn("varp")).includes(here.mac),
      30_000,
    );
    relay.join();
    await eventually("pings come back", pingOk);
    await transfer({ from: here, to: there, address: there.address, bytes: MEGABYTE });
  });
});

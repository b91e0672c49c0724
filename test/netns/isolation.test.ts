/**
 * Two vnets with the same MACs and the same addresses on the same hosts never mix.
 *
 *     VM .1 (5) ┐                ┌ VM .2 (5)
 *               ├─ a ─ segment ─ b
 *     VM .1 (6) ┘                └ VM .2 (6)        same MACs in 5 and in 6
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";

const MACS = ["02:00:00:00:55:01", "02:00:00:00:55:02"] as const;
const VNETS = ["5", "6"] as const;

describe("two vnets with the same MACs and addresses", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  const senders: Vm[] = [];
  const receivers: Vm[] = [];

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    const first = await Host.create(lab, "a", [segment]);
    const second = await Host.create(lab, "b", [segment]);
    for (const host of [first, second]) {
      await host.start();
    }
    for (const vnet of VNETS) {
      await first.vnet(vnet);
      await second.vnet(vnet);
      senders.push(await first.vm(vnet, { mac: MACS[0], address: "192.168.55.1/24" }));
      receivers.push(await second.vm(vnet, { mac: MACS[1], address: "192.168.55.2/24" }));
    }
  });
  after(() => lab.close());

  test("each vnet carries its own VMs' pings", async () => {
    for (const sender of senders) {
      await lab.in(sender.namespace, "ping", "-c", "3", "-i", "0.02", "-W", "2", "192.168.55.2");
    }
  });

  for (const [what, mac] of [
    ["broadcast", BROADCAST_MAC],
    ["multicast", "01:00:5e:05:05:05"],
    ["unicast", MACS[1]],
    ["unknown unicast", "02:00:00:00:55:99"],
  ] as const) {
    test(`a ${what} of one vnet is not seen in the other`, async () => {
      const taps: Tap[] = [];
      for (const vm of [...senders, ...receivers]) {
        taps.push(await Tap.open(lab, vm.namespace, "eth0", "--promiscuous"));
      }
      const [from5, from6, to5, to6] = taps;
      const in5 = ethernet({ to: mac, from: MACS[0] }, EXPERIMENTAL_TYPE, pattern(64, 5));
      const in6 = ethernet({ to: mac, from: MACS[0] }, EXPERIMENTAL_TYPE, pattern(64, 6));
      from5?.send(in5);
      await to5?.expect(in5);
      // What follows the stranger's way behind it shows that the stranger did not come.
      from6?.send(in6);
      await to6?.expect(in6);
      assert.deepEqual(
        to6?.matching((frame) => frame.equals(in5)),
        [],
      );
      assert.deepEqual(
        to5?.matching((frame) => frame.equals(in6)),
        [],
      );
      assert.deepEqual(
        from6?.matching((frame) => frame.equals(in5)),
        [],
      );
      for (const tap of taps) {
        await tap.close();
      }
    });
  }
});

/**
 * The emulated original against itself: what the other suites rely on has to hold without vnetd.
 *
 *     VM ── legacy one ──┐             ┌── legacy three ── VM
 *                        ├─ segment 1  ├─ segment 2
 *     VM ── legacy two ──┘             └── legacy four ── VM
 *              two and three are each other's peers, over a router
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LegacyHost, type LegacyVm } from "../fakes/legacy-host.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { addRouter } from "./lab-host.ts";

describe("two emulated originals on one segment", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let one: LegacyHost;
  let two: LegacyHost;
  let here: LegacyVm;
  let there: LegacyVm;

  before(async () => {
    lab = await Lab.create();
    const first = await lab.segment();
    const second = await lab.segment();
    one = await LegacyHost.start(lab, "one", [first]);
    two = await LegacyHost.start(lab, "two", [first]);
    const three = await LegacyHost.start(lab, "three", [second]);
    const four = await LegacyHost.start(lab, "four", [second]);
    await addRouter(lab, [first, second], [two, three]);
    two.addPeer(three.address);
    three.addPeer(two.address);
    here = await one.vm("4", "02:00:00:00:04:01", "192.168.44.1/24");
    there = await two.vm("4", "02:00:00:00:04:02", "192.168.44.2/24");
    await three.vm("4", "02:00:00:00:04:03", "192.168.44.3/24");
    await four.vm("4", "02:00:00:00:04:04", "192.168.44.4/24");
  });
  after(() => lab.close());

  test("their VMs ping each other, and flooding ends with the first answer", async () => {
    await lab.in(here.namespace, "ping", "-c", "3", "-i", "0.01", "-W", "2", there.address);
    assert.equal(one.whereIs("4", there.mac), two.address);
    assert.equal(two.whereIs("4", here.mac), one.address);
    assert.equal(one.floodedUnicast, 0);
  });

  test("a VARP request for a VM is answered by its host", async () => {
    one.ask("4", there.mac);
    await lab.in(here.namespace, "ping", "-c", "1", "-W", "2", there.address);
    assert.equal(two.requestsAnswered, 1);
  });
});

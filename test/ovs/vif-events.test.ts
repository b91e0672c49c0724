/** VIFs and a switch that come and go, as a reader of the daemon's events sees it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { EventView } from "../../src/control/events-api.ts";
import { eventually } from "../netns/wait.ts";
import { policyOf, VifStand } from "./vif-stand.ts";

describe("events of VIF rules", () => {
  let stand: VifStand;
  const seen: string[] = [];
  beforeEach(async () => {
    stand = await VifStand.start();
    seen.length = 0;
    const chunks = stand.events.open({ events: [], vnets: [], peers: [], vifs: [] });
    void (async () => {
      for await (const chunk of chunks) {
        const lines = Buffer.from(chunk).toString().trimEnd().split("\n");
        const events = lines.map((line) => JSON.parse(line) as EventView);
        seen.push(...events.map(({ event, vif }) => (vif === null ? event : `${event} ${vif}`)));
      }
    })();
  });
  afterEach(async () => {
    stand.events.end();
    await stand.close();
  });

  test("a VIF is applied, one without a policy is denied, and they go", async () => {
    stand.addPort("vif5.0", 5);
    await stand.rules.setVifRules(policyOf(5));
    await eventually("it is applied", () => seen.includes("vif-applied vif5.0"));
    stand.addPort("vif6.0", 6);
    await eventually("it is denied", () => seen.includes("vif-denied vif6.0"));
    await stand.rules.clearVifRules("vif5.0");
    await eventually("it goes", () => seen.includes("vif-gone vif5.0"));
    // Between its policy and its port it is denied, when that takes a while.
    const others = seen.filter((event) => event !== "vif-denied vif5.0");
    assert.deepEqual(others, ["vif-applied vif5.0", "vif-denied vif6.0", "vif-gone vif5.0"]);
  });

  test("a switch that goes and comes is told once, and not of every VIF", async () => {
    for (const domain of [5, 6]) {
      stand.addPort(`vif${domain}.0`, domain);
      await stand.rules.setVifRules(policyOf(domain));
    }
    await eventually("both are applied", () => seen.length === 2);
    stand.switch.killDatabase();
    await eventually("it is lost", () => seen.includes("ovs-lost"));
    stand.switch.startDatabase();
    await eventually("it is back", () => seen.includes("ovs-back"));
    assert.deepEqual(seen.slice(2), ["ovs-lost", "ovs-back"]);
  });
});

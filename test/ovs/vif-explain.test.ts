import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { policyOf, VifStand } from "./vif-stand.ts";

let stand: VifStand;

describe("explaining a frame of a daemon's VIF", () => {
  beforeEach(async () => {
    stand = await VifStand.start();
    for (const [domain, groups] of [
      [5, ["web"]],
      [6, ["web"]],
      [7, ["db"]],
    ] as const) {
      stand.addPort(`vif${domain}.0`, domain);
      await stand.rules.setVifRules(policyOf(domain, { mode: "isolated", groups }));
    }
  });
  afterEach(() => stand.close());

  test("says that it passes, and to whom", async () => {
    const frame = { vif: "vif5.0", frame: "tcp,nw_dst=10.0.0.6", direction: "from" } as const;
    const { verdict, outputs } = await stand.rules.explainFrame(frame);
    assert.deepEqual([verdict, outputs], ["passed", ["vif6.0"]]);
  });

  test("says what drops it, and what to set", async () => {
    const frame = { vif: "vif5.0", frame: "tcp,nw_dst=10.0.0.7", direction: "from" } as const;
    const { verdict, lines } = await stand.rules.explainFrame(frame);
    assert.equal(verdict, "dropped");
    assert.match(lines[0] ?? "", /^dropped \(group\): 10\.0\.0\.7 is an inner address/);
    assert.match(lines.join("\n"), /`groups` of vif5\.0 \(they are web\)/);
  });

  test("says why a VIF does not get it", async () => {
    const frame = "in_port=7,dl_src=02:00:00:00:00:07,tcp,nw_src=10.0.0.7";
    const { verdict } = await stand.rules.explainFrame({ vif: "vif5.0", frame, direction: "to" });
    assert.equal(verdict, "dropped");
  });

  test("reads a frame in hex digits", async () => {
    const frame = "020000000006020000000005080645";
    const { verdict } = await stand.rules.explainFrame({ vif: "vif5.0", frame, direction: "from" });
    assert.equal(verdict, "dropped");
  });
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { macOf, policyOf, UPLINK, VifStand } from "./vif-stand.ts";

const NESTED_MAC = "02:00:00:00:00:77";

let stand: VifStand;

describe("what the switch learned behind an unlocked VIF", () => {
  beforeEach(async () => {
    stand = await VifStand.start();
    stand.addPort("vif5.0", 5);
    await stand.rules.setVifRules(policyOf(5, { mode: "unlocked" }));
    stand.send("vif5.0", `dl_src=${NESTED_MAC},dl_dst=02:00:00:00:00:fe,ip,nw_src=10.0.0.77`);
    await stand.until("it is learned", () => passes());
  });
  afterEach(() => stand.close());

  function passes(): boolean {
    const flow = `in_port=${UPLINK},dl_src=02:00:00:00:00:fe,dl_dst=${NESTED_MAC},ip,nw_src=192.0.2.1`;
    return stand.trace(flow).includes(stand.datapathPort("vif5.0"));
  }

  for (const mode of ["locked", "isolated", "disabled"]) {
    test(`is forgotten when the VIF is ${mode}`, async () => {
      await stand.rules.setVifRules(policyOf(5, { mode }));
      assert.equal(passes(), false);
    });
  }

  test("stays while it is unlocked", async () => {
    await stand.rules.setVifRules(policyOf(5, { mode: "unlocked", ipv4: ["10.0.0.9"] }));
    assert.equal(passes(), true);
    assert.notEqual(NESTED_MAC, macOf(5));
  });
});

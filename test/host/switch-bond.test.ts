/** Which interface of a bond is active, as a real switch says. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openSwitchDatabase } from "../../src/host/ovsdb-switch-database.ts";
import type { SwitchDatabase } from "../../src/host/switch-database.ts";
import { ASSERTS_TIMES } from "../netns/wait.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

const WITHIN_MS = 5_000;

describe("a bond", () => {
  let ovs: PrivateSwitch;
  let database: SwitchDatabase;
  let wake: () => void = () => {};

  before(() => {
    ovs = PrivateSwitch.start([]);
    database = openSwitchDatabase({ runDirectory: ovs.runDirectory, onChange: () => wake() });
  });
  after(() => {
    database.close();
    ovs.stop();
  });

  /** The name of the active one, once it is another than before. */
  async function activeOtherThan(former: string | null): Promise<string> {
    const giveUpAt = Date.now() + WITHIN_MS;
    for (;;) {
      const bond = database.view?.ports.get("bond0");
      const active = bond?.interfaces.find(
        ({ mac }) => mac !== null && mac === bond.bondActiveMac,
      )?.name;
      if (active !== undefined && active !== former) {
        return active;
      }
      assert.ok(Date.now() < giveUpAt, `${active} is active, as before`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WITHIN_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  test("tells at once when another interface becomes the active one", async () => {
    ovs.vsctl("add-bond", "br0", "bond0", "e1", "e2", "bond_mode=active-backup");
    const first = await activeOtherThan(null);
    ovs.appctl("netdev-dummy/set-admin-state", first, "down");
    const changedAt = performance.now();
    const second = await activeOtherThan(first);
    const seenMs = performance.now() - changedAt;
    assert.deepEqual([first, second].toSorted(), ["e1", "e2"]);
    assert.equal(database.view?.interfaces.get(first)?.linkUp, false);
    assert.ok(!ASSERTS_TIMES || seenMs < 500, `seen after ${seenMs} ms`);
  });
});

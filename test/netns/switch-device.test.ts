/**
 * Ports of a real Open vSwitch on real devices, in user space:
 *
 *      a          switch                 b
 *     ┌────────┐ ┌─────────────────────┐ ┌────────┐
 *     │ eth0 ──┼─┼ vif1.0 ─ br0 ─ vif2.0 ┼─┼── eth0 │
 *     └────────┘ └─────────────────────┘ └────────┘
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openSwitchDatabase } from "../../src/host/ovsdb-switch-database.ts";
import type { SwitchDatabase } from "../../src/host/switch-database.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

describe("ports of real devices", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let ovs: PrivateSwitch;
  let database: SwitchDatabase;
  let host = "";
  const guests: Record<string, string> = {};

  before(async () => {
    lab = await Lab.create();
    host = await lab.namespace("switch");
    guests["vif1.0"] = await lab.namespace("a");
    guests["vif2.0"] = await lab.namespace("b");
    ovs = PrivateSwitch.startIn(host);
    lab.onClose(async () => ovs.stop());
    ovs.ofctl(["add-flow", "br0", "actions=NORMAL"]);
    database = openSwitchDatabase({ runDirectory: ovs.runDirectory, onChange() {} });
    lab.onClose(async () => database.close());
    await eventually("the database's view", () => database.view);
    await makeDevice("vif1.0", "10.0.0.1");
    await makeDevice("vif2.0", "10.0.0.2");
  });
  after(async () => {
    await lab.close();
  });

  /** As when a VM starts: the switch's end of a pair, and the guest's. */
  async function makeDevice(name: string, address: string): Promise<void> {
    const guest = guests[name] ?? "";
    const peer = `type veth peer name eth0 netns ${guest}`;
    await lab.batch(host, [`link add name ${name} ${peer}`, `link set ${name} up`]);
    await lab.batch(guest, [`addr add ${address}/24 dev eth0`, "link set eth0 up"]);
  }

  async function deviceIndex(name: string): Promise<number> {
    const text = await lab.in(host, "cat", `/sys/class/net/${name}/ifindex`);
    return Number(text);
  }

  const portIndex = (name: string) => database.view?.interfaces.get(name)?.ifindex;

  async function passes(): Promise<boolean> {
    const ping = ["ping", "-c", "1", "-W", "1", "10.0.0.2"];
    const { status } = await tryRun("ip", ["netns", "exec", guests["vif1.0"] ?? "", ...ping]);
    return status === 0;
  }

  test("pass frames, and show the device that they have open", async () => {
    for (const name of ["vif1.0", "vif2.0"]) {
      const added = await database.addPort({ bridge: "br0", name });
      assert.equal(added.error, null);
      assert.equal(added.linkUp, true);
      assert.equal(portIndex(name), await deviceIndex(name));
    }
    await eventually("a ping through the switch", passes);
  });

  test("are dead when the device was made again, and show that it is another", async () => {
    const opened = portIndex("vif1.0");
    await lab.batch(host, ["link del vif1.0"]);
    await makeDevice("vif1.0", "10.0.0.1");
    const index = await deviceIndex("vif1.0");
    assert.notEqual(index, opened);
    // The database's own column says that all is well.
    await eventually("the switch to see the new device", () => {
      const column = ovs.vsctl("get", "interface", "vif1.0", "ifindex").trim();
      return column === String(index);
    });
    assert.equal(portIndex("vif1.0"), opened);
    assert.equal(await passes(), false);
  });

  test("pass frames again when they are deleted and added", async () => {
    assert.equal(await database.deletePort("vif1.0"), true);
    await database.addPort({ bridge: "br0", name: "vif1.0" });
    assert.equal(portIndex("vif1.0"), await deviceIndex("vif1.0"));
    await eventually("a ping through the switch", passes);
  });

  test("are deleted also when the device has gone before", async () => {
    await lab.batch(host, ["link del vif2.0"]);
    assert.equal(await database.deletePort("vif2.0"), true);
    assert.equal(database.view?.interfaces.has("vif2.0"), false);
  });

  test("say that there is no such device", async () => {
    await assert.rejects(database.addPort({ bridge: "br0", name: "vif9.0" }), {
      reason: "not-applied",
      message: /^Cannot add port vif9\.0 to br0: could not open network device vif9\.0/,
    });
    await database.deletePort("vif9.0");
  });
});

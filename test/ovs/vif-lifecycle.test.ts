/** What happens to VIFs and to a switch, and that the rules hold all the same. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ASSERTS_TIMES } from "../netns/wait.ts";
import { macOf, packetOf, policyOf, UPLINK, VifStand } from "./vif-stand.ts";

const RESTORED_MS_MAX = 1_000;

let stand: VifStand;

describe("VIF rules on a switch", () => {
  beforeEach(async () => {
    stand = await VifStand.start();
  });
  afterEach(async () => {
    await stand.close();
  });

  /** A VIF that is there, under its policy. */
  async function locked(domain: number, ofport = domain): Promise<void> {
    stand.addPort(`vif${domain}.0`, ofport);
    const view = await stand.rules.setVifRules(policyOf(domain));
    assert.deepEqual([view.state, view.error, view.ofport], ["applied", null, ofport]);
  }

  function passes(domain: number, ofport = domain): boolean {
    return stand.trace(packetOf(domain, ofport)).includes(stand.datapathPort(`p${UPLINK}`));
  }

  test("a policy is enforced when its call returns, and another address is not passed", async () => {
    await locked(5);
    assert.equal(passes(5), true);
    const forged = packetOf(5, 5).replace("10.0.0.5", "10.0.0.6");
    assert.deepEqual(stand.trace(forged), []);
    await stand.rules.setVifRules(policyOf(5, { ipv4: ["10.0.0.6"] }));
    assert.notDeepEqual(stand.trace(forged), []);
    assert.equal(passes(5), false);
    await stand.rules.setVifRules(policyOf(5, { mode: "disabled" }));
    assert.deepEqual(stand.trace(forged), []);
  });

  test("what a locked VIF sends to all does not reach the host, by NORMAL either", async () => {
    await locked(5);
    const toAll = packetOf(5, 5).replace("02:00:00:00:00:fe", "ff:ff:ff:ff:ff:ff");
    assert.deepEqual(stand.trace(toAll), [stand.datapathPort(`p${UPLINK}`)]);
  });

  test("a bridge that no policy names is left alone", async () => {
    assert.equal(stand.failMode(), "[]");
    assert.equal(stand.switch.vsctl("get", "bridge", "br0", "protocols").trim(), "[]");
    await locked(5);
    assert.equal(stand.failMode(), "secure");
    await stand.rules.clearVifRules("vif5.0");
    assert.equal(stand.failMode(), "secure", "until it is given back");
    await stand.rules.deleteNetwork("br0", null);
    assert.deepEqual([stand.failMode(), stand.flows()], ["[]", []]);
  });

  test("a port without a policy is silent both ways, from when it is added until it has one", async () => {
    await locked(5);
    stand.addPort("vif6.0", 6);
    assert.equal(passes(6), false);
    await stand.until("it is known", async () => (await stand.stateOf("vif6.0")) === "quarantine");
    assert.equal(passes(6), false);
    const to = `in_port=${UPLINK},dl_src=02:00:00:00:00:fe,dl_dst=${macOf(6)},ip,nw_src=192.0.2.1`;
    assert.ok(!stand.trace(to).includes(stand.datapathPort("vif6.0")));
    const flood = to.replace(macOf(6), "ff:ff:ff:ff:ff:ff");
    assert.ok(!stand.trace(flood).includes(stand.datapathPort("vif6.0")));
    assert.equal((await stand.rules.setVifRules(policyOf(6))).state, "applied");
    assert.equal(passes(6), true);
  });

  test("a new VIF: link down, flows, port under the number asked for, no floods, link up", async () => {
    await locked(5);
    stand.addDevice("vif7.0");
    const seen: string[] = [];
    stand.beforeLink = (words) => {
      const [, direction] = /link set dev vif7\.0 (up|down)/.exec(words) ?? [];
      if (direction !== undefined) {
        const ports = stand.switch.vsctl("list-ports", "br0").split("\n");
        const flags = stand.switch.ofctl(["-O", "OpenFlow10", "dump-ports-desc", "br0"]);
        const noFlood = /vif7\.0\)[\s\S]*?config: +([A-Z_ ]*)/
          .exec(flags)?.[1]
          ?.includes("NO_FLOOD");
        seen.push(`${direction}: port ${ports.includes("vif7.0")}, no flood ${noFlood ?? false}`);
      }
    };
    const view = await stand.rules.setVifRules(policyOf(7));
    assert.equal(view.state, "applied");
    assert.deepEqual(seen, ["down: port false, no flood false", "up: port true, no flood true"]);
    const [ofport, request, mac] = ["ofport", "ofport_request", "external_ids:attached-mac"].map(
      (column) => stand.switch.vsctl("get", "interface", "vif7.0", column).trim(),
    );
    assert.deepEqual([ofport, mac], [request, `"${macOf(7)}"`]);
    assert.deepEqual(
      ["vlan_mode", "tag"].map((column) =>
        stand.switch.vsctl("get", "port", "vif7.0", column).trim(),
      ),
      ["access", "0"],
    );
    assert.equal(passes(7, Number(ofport)), true);
  });

  test("a policy for a VIF that is not there yet waits, and is in force with the port", async () => {
    const view = await stand.rules.setVifRules(policyOf(7));
    assert.equal(view.state, "waiting");
    stand.addDevice("vif7.0");
    assert.equal((await stand.rules.awaitVifRules("vif7.0", 5_000)).state, "applied");
    assert.ok(stand.host.links.get("vif7.0")?.up);
  });

  test("vif-clear: flows gone, port gone; and again, and for what never was", async () => {
    await locked(5);
    await locked(6);
    await stand.rules.clearVifRules("vif5.0");
    assert.deepEqual(stand.flows(5), []);
    assert.ok(!stand.switch.vsctl("list-ports", "br0").includes("vif5.0"));
    assert.equal(passes(6), true);
    await stand.rules.clearVifRules("vif5.0");
    await stand.rules.clearVifRules("vif99.0");
    await assert.rejects(stand.rules.listVifRules(["vif5.0"]), { code: "VNETD_UNKNOWN_VIF" });
  });

  test("the number of a VIF that has gone is no lock for the next one", async () => {
    await locked(5, 33);
    await stand.rules.clearVifRules("vif5.0");
    stand.addPort("vif6.0", 33);
    await stand.until("it is known", async () => (await stand.stateOf("vif6.0")) === "quarantine");
    assert.equal(passes(5, 33), false);
    await stand.rules.setVifRules(policyOf(6));
    assert.deepEqual([passes(5, 33), passes(6, 33)], [false, true]);
  });

  test("kill -9 of the switch: nothing passes, then all flows are back in a second", async () => {
    await locked(5);
    await locked(6);
    // A dummy bridge that is started again has another MAC of its own.
    const flows = (): readonly string[] =>
      stand.switch
        .dumpFlows()
        .map((line) => line.replace(/dl_(src|dst)=(aa:55|02:00:00:00:00:ee).*/, ""));
    const before = flows().toSorted().join();
    stand.switch.killSwitch();
    await stand.until("it is noticed", async () => (await stand.stateOf("vif5.0")) !== "applied");
    await assert.rejects(stand.rules.setVifRules(policyOf(5, { mode: "unlocked" })), {
      code: "VNETD_VIF_NOT_APPLIED",
    });
    stand.switch.startSwitch();
    const tookMs = await stand.until("flows are back", () => {
      return flows().toSorted().join() === before;
    });
    assert.ok(!ASSERTS_TIMES || tookMs <= RESTORED_MS_MAX, `${tookMs} ms`);
    assert.equal((await stand.rules.awaitVifRules("vif5.0", 1_000)).policy?.mode, "locked");
    const problems = stand.log.filter(({ level }) => Number(level) >= 40);
    assert.ok(problems.length <= 2, JSON.stringify(problems));
  });

  test("flows that someone deletes, changes or adds under our cookie are put right", async () => {
    await locked(5);
    const before = stand.switch.dumpFlows();
    const deeds = [
      ["del-flows", "br0"],
      ["del-flows", "br0", "in_port=5"],
      ["add-flow", "br0", "cookie=0x7601000100000005,priority=9999,in_port=5,actions=NORMAL"],
      ["mod-flows", "br0", "in_port=5,actions=NORMAL"],
      ["replace-flows", "br0", "-"],
    ];
    for (const deed of deeds) {
      stand.switch.ofctl(deed, "priority=1,actions=NORMAL\n");
      const tookMs = await stand.until(`after ${deed.join(" ")}`, () => {
        const flows = stand.switch.dumpFlows().filter((line) => !line.includes("cookie=0x0"));
        return flows.join() === before.join();
      });
      assert.ok(!ASSERTS_TIMES || tookMs <= RESTORED_MS_MAX, `${deed.join(" ")}: ${tookMs} ms`);
      stand.switch.ofctl(["--strict", "del-flows", "br0", "priority=1"]);
      await stand.until("settled", () => stand.switch.dumpFlows().join() === before.join());
    }
  });

  test("fail_mode that someone flips is set back, and the flows with it", async () => {
    await locked(5);
    const before = stand.switch.dumpFlows();
    stand.switch.vsctl("set-fail-mode", "br0", "standalone");
    const tookMs = await stand.until("it is secure again", () => {
      return stand.failMode() === "secure" && stand.switch.dumpFlows().join() === before.join();
    });
    assert.ok(!ASSERTS_TIMES || tookMs <= RESTORED_MS_MAX, `${tookMs} ms`);
  });

  test("a daemon that starts again changes no flow, and the counters go on", async () => {
    await locked(5);
    await stand.rules.setGroup({ group: "web", members: [] });
    const frame = packetOf(5, 5).replace("in_port=5,", "");
    for (let count = 0; count < 3; count += 1) {
      stand.send("vif5.0", frame);
    }
    const counted = async () => (await stand.rules.listVifRules(["vif5.0"]))[0]?.acceptedFrames;
    await stand.until("they are counted", async () => (await counted()) === 3);
    const before = stand.flows();
    await stand.restart();
    assert.deepEqual(stand.flows(), before);
    assert.equal(await counted(), 3);
    assert.equal(await stand.stateOf("vif5.0"), "applied");
  });

  test("a device that was made again under its name gets a new port", async () => {
    stand.addDevice("vif7.0");
    await stand.rules.setVifRules(policyOf(7));
    const uuid = () => stand.switch.vsctl("--if-exists", "get", "interface", "vif7.0", "_uuid");
    const former = uuid();
    stand.removeDevice("vif7.0");
    stand.addDevice("vif7.0");
    await stand.until("there is a new port", () => !["", former].includes(uuid()));
    assert.equal((await stand.rules.awaitVifRules("vif7.0", 5_000)).state, "applied");
    await stand.until("its link is up", () => stand.host.links.get("vif7.0")?.up === true);
  });

  test("a device that has gone before its VIF is cleared leaves nothing behind", async () => {
    stand.addDevice("vif7.0");
    await stand.rules.setVifRules(policyOf(7));
    stand.removeDevice("vif7.0");
    await stand.rules.clearVifRules("vif7.0");
    assert.ok(!stand.switch.vsctl("list-ports", "br0").includes("vif7.0"));
    assert.deepEqual(
      stand.flows().filter((line) => line.includes(macOf(7))),
      [],
    );
  });

  test("add, remove and add at once, fifty times: the last one is the truth", async () => {
    await locked(5);
    stand.addDevice("vif7.0");
    for (let round = 0; round < 50; round += 1) {
      const last = round % 2 === 0 ? "set" : "clear";
      const calls = [
        stand.rules.setVifRules(policyOf(7, { devid: round })),
        stand.rules.clearVifRules("vif7.0"),
        stand.rules.setVifRules(policyOf(7)),
      ];
      if (last === "clear") {
        calls.push(stand.rules.clearVifRules("vif7.0") as Promise<never>);
      }
      const outcomes = await Promise.allSettled(calls);
      assert.equal(outcomes.at(-1)?.status, "fulfilled", JSON.stringify(outcomes.at(-1)));
      const isThere = stand.switch.vsctl("list-ports", "br0").includes("vif7.0");
      assert.equal(isThere, last === "set", `round ${round}`);
    }
  });

  test("a switch that is not there is one line, and the policies are in error until it is", async () => {
    await locked(5);
    await locked(7);
    stand.switch.killSwitch();
    stand.switch.killDatabase();
    await stand.until("it is noticed", async () => (await stand.stateOf("vif5.0")) !== "applied");
    await assert.rejects(stand.rules.setVifRules(policyOf(6)));
    await stand.rules.clearVifRules("vif7.0");
    assert.equal(stand.parts.status().failed, 1);
    assert.notEqual(stand.parts.status().error, null);
    const lines = stand.log.filter(({ level }) => Number(level) >= 50);
    assert.ok(lines.length <= 3, JSON.stringify(lines));
    stand.switch.startDatabase();
    stand.switch.startSwitch();
    assert.equal((await stand.rules.awaitVifRules("vif5.0", 5_000)).state, "applied");
    // What was cleared meanwhile goes now.
    await stand.until(
      "vif7.0 is gone",
      () => !stand.switch.vsctl("list-ports", "br0").includes("vif7.0"),
    );
  });

  test("a bridge that is not there fails the call, and changes nothing", async () => {
    await locked(5);
    await assert.rejects(stand.rules.setVifRules(policyOf(6, { bridge: "br9" })), /no bridge br9/);
    assert.deepEqual(stand.store.stored.vifs.length, 1);
    assert.equal(passes(5), true);
  });

  test("a member that leaves its group is cut off when the call returns", async (t) => {
    stand.addPort("vif5.0", 5);
    stand.addPort("vif6.0", 6);
    await stand.rules.setVifRules(policyOf(5, { mode: "isolated", groups: ["web"] }));
    await stand.rules.setVifRules(policyOf(6, { mode: "isolated", groups: ["web"] }));
    const mate = `in_port=5,dl_src=${macOf(5)},dl_dst=${macOf(6)},ip,nw_src=10.0.0.5,nw_dst=10.0.0.6`;
    assert.ok(stand.trace(mate).includes(stand.datapathPort("vif6.0")));
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const startedAt = performance.now();
      await stand.rules.setVifRules(policyOf(6, { mode: "isolated" }));
      times.push(performance.now() - startedAt);
      assert.deepEqual(stand.trace(mate), []);
      await stand.rules.setVifRules(policyOf(6, { mode: "isolated", groups: ["web"] }));
    }
    t.diagnostic(`calls of ${times.map(Math.round).join(", ")} ms`);
  });
});

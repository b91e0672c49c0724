/** What calls of the API do, and what they leave when they fail. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ManagedBridge } from "../../src/daemon/vif-bridge.ts";
import { superviseBridge } from "../../src/host/supervised-bridge.ts";
import type { PolicyDocument, PolicySnapshot, PolicySource } from "../../src/metadata/source.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { OUR_COOKIES } from "../../src/vifrules/cookie.ts";
import { readGroupPolicy } from "../../src/vifrules/policy-document.ts";
import { macOf, packetOf, policyOf, UPLINK, VifStand } from "./vif-stand.ts";

/** Documents that a test puts there, as more trusted than the API's. */
class TestSource implements PolicySource {
  readonly name = "files";
  readonly trust = "file";
  #snapshot: PolicySnapshot = { documents: [], problems: [] };
  #listener: () => void = () => {};
  refreshCount = 0;
  /** What the next refresh finds. */
  found: readonly PolicyDocument[] = [];

  set(documents: readonly PolicyDocument[], problems: PolicySnapshot["problems"] = []): void {
    this.#snapshot = {
      documents: documents.map((document) => ({ ...document, origin: "/etc/vnetd/x.json" })),
      problems,
    };
    this.#listener();
  }

  snapshot(): PolicySnapshot {
    return this.#snapshot;
  }

  async refresh(): Promise<void> {
    this.refreshCount += 1;
    this.set(this.found);
  }

  async reload(): Promise<void> {}

  forget(): void {}

  onChange(listener: () => void): () => void {
    this.#listener = listener;
    return () => {};
  }

  close(): void {}
}

let stand: VifStand;
let source: TestSource;

beforeEach(async () => {
  source = new TestSource();
  stand = await VifStand.start([source]);
});
afterEach(async () => {
  await stand.close();
});

const vif = (domain: number, more = {}): PolicyDocument => ({
  kind: "vif",
  policy: policyOf(domain, more),
});

describe("a change that cannot be kept", () => {
  test("on the disk is not in the switch either", async () => {
    stand.addPort("vif5.0", 5);
    await stand.rules.setVifRules(policyOf(5));
    const before = stand.flows();
    rmSync(stand.folder, { recursive: true });
    await assert.rejects(stand.rules.setVifRules(policyOf(5, { mode: "unlocked" })), {
      code: "VNETD_STATE_FAILED",
    });
    await assert.rejects(stand.rules.deleteGroup("web"), { code: "VNETD_UNKNOWN_GROUP" });
    assert.deepEqual(stand.flows(), before);
    assert.equal(stand.store.stored.vifs[0]?.mode, "locked");
    await stand.store.load();
  });

  test("because a file says something else changes nothing, and says which file", async () => {
    stand.addPort("vif5.0", 5);
    source.set([vif(5), { kind: "group", policy: readGroupPolicy({ group: "web" }) }]);
    await stand.until(
      "the file is in force",
      async () => (await stand.stateOf("vif5.0")) === "applied",
    );
    await assert.rejects(stand.rules.setVifRules(policyOf(5, { mode: "unlocked" })), {
      code: "VNETD_OVERRULED",
      message: /\/etc\/vnetd\/x\.json/,
    });
    await assert.rejects(stand.rules.setGroup({ group: "web", members: [] }), {
      code: "VNETD_OVERRULED",
    });
    assert.deepEqual(stand.store.stored.vifs, []);
    const [view] = await stand.rules.listVifRules(["vif5.0"]);
    assert.deepEqual([view?.origin, view?.policy?.mode], ["/etc/vnetd/x.json", "locked"]);
  });
});

describe("plugVif", () => {
  test("reads the sources first, and answers when the policy they have is in force", async () => {
    source.set([vif(5)]);
    await stand.until("managed", () => stand.failMode() === "secure");
    source.found = [vif(5), vif(7)];
    stand.addDevice("vif7.0");
    const view = await stand.rules.plugVif({ vif: "vif7.0", action: "add", bridge: "br0" });
    assert.deepEqual([view?.state, source.refreshCount], ["applied", 1]);
    assert.ok(stand.host.links.get("vif7.0")?.up);
    assert.equal(await stand.rules.plugVif({ vif: "vif7.0", action: "remove" }), null);
    assert.ok(!stand.switch.vsctl("list-ports", "br0").includes("vif7.0"));
    assert.equal(await stand.rules.plugVif({ vif: "vif99.0", action: "remove" }), null);
  });

  test("without a policy is quarantine on a managed bridge, and refused on another", async () => {
    stand.addDevice("vif7.0");
    const plug = { vif: "vif7.0", action: "add", bridge: "br0" } as const;
    await assert.rejects(stand.rules.plugVif(plug), { code: "VNETD_VIF_NOT_APPLIED" });
    assert.ok(!stand.switch.vsctl("list-ports", "br0").includes("vif7.0"));
    source.found = [vif(5)];
    assert.equal((await stand.rules.plugVif(plug))?.state, "quarantine");
    const ofport = Number(stand.switch.vsctl("get", "interface", "vif7.0", "ofport"));
    assert.deepEqual(stand.trace(packetOf(7, ofport)), []);
  });

  test("a policy that is cleared is not put back by itself while its device is the same", async () => {
    source.set([vif(7)]);
    stand.addDevice("vif7.0");
    await stand.rules.awaitVifRules("vif7.0", 5_000);
    await stand.rules.clearVifRules("vif7.0");
    await stand.parts.reload();
    await stand.until("a pass", async () => (await stand.stateOf("vif7.0")) === "waiting");
    assert.ok(!stand.switch.vsctl("list-ports", "br0").includes("vif7.0"));
    stand.removeDevice("vif7.0");
    stand.addDevice("vif7.0");
    assert.equal((await stand.rules.awaitVifRules("vif7.0", 5_000)).state, "applied");
  });
});

describe("awaitVifRules", () => {
  test("gives up at its deadline, and says what the VIF is in", async () => {
    source.set([vif(5)]);
    stand.addPort("vif6.0", 6);
    await stand.until("known", async () => (await stand.stateOf("vif6.0")) === "quarantine");
    const startedAt = performance.now();
    await assert.rejects(stand.rules.awaitVifRules("vif6.0", 100), {
      code: "VNETD_VIF_NOT_APPLIED",
      message: /vif6\.0 .* quarantine/,
    });
    assert.ok(performance.now() - startedAt >= 95);
  });
});

describe("policies of sources", () => {
  test("what is wrong with one is a line in the log, and another when it is over", async () => {
    const problem = {
      origin: "/p/x.json",
      message: '/p/x.json: Key "mac": bad',
      keptLastGood: true,
    };
    source.set([vif(5)], [problem]);
    await stand.until("told", () => stand.log.some(({ msg }) => msg === problem.message));
    source.set([vif(5)], [problem]);
    source.set([vif(5)], []);
    await stand.until("over", () => stand.log.some(({ was }) => was === problem.message));
    assert.equal(stand.log.filter(({ msg }) => msg === problem.message).length, 1);
  });

  test("a bridge is given back when nothing names it and no VIF is on it", async () => {
    stand.addPort("vif5.0", 5);
    await stand.rules.setNetwork({
      ...{ bridge: policyOf(5).bridge, vlan: 0, internal: [], uplinks: [] },
      infra: { ipv4: [], ipv6: [], macs: [] },
    });
    assert.equal(stand.failMode(), "secure");
    await stand.rules.deleteNetwork("br0", null);
    assert.equal(stand.failMode(), "secure", "a VIF's port would be open to everything");
    stand.switch.vsctl("del-port", "vif5.0");
    await stand.until("it has gone", async () => (await stand.stateOf("vif5.0")) === "unknown");
    await stand.rules.deleteNetwork("br0", null);
    assert.equal(stand.failMode(), "[]");
    await assert.rejects(stand.rules.deleteNetwork("br0", null), { code: "VNETD_UNKNOWN_NETWORK" });
  });
});

describe("logVifDrops", () => {
  test("writes some lines of many drops, and none when it is off", async () => {
    stand.addPort("vif5.0", 5);
    await stand.rules.setVifRules(policyOf(5));
    await stand.rules.logVifDrops("vif5.0", true);
    const lines = () => stand.log.filter(({ msg }) => msg === "dropped frames of a VIF");
    const forged = packetOf(5, 5).replace("in_port=5,", "").replace("10.0.0.5", "10.0.0.6");
    await stand.until("a line", async () => {
      stand.send("vif5.0", forged, 30);
      return lines().length >= 2;
    });
    const [line] = lines();
    assert.equal(line?.["vif"], "vif5.0");
    assert.deepEqual(Object.keys(line?.["dropped"] as object), ["ipv4-spoof"]);
    const [view] = await stand.rules.listVifRules(["vif5.0"]);
    assert.equal(view?.log, true);
    const sent = view?.dropped["ipv4-spoof"] ?? 0;
    assert.ok(sent > 20 && lines().length < sent / 5, `${lines().length} lines of ${sent}`);
    await stand.rules.logVifDrops("vif5.0", false);
    await assert.rejects(stand.rules.logVifDrops("vif99.0", true), { code: "VNETD_UNKNOWN_VIF" });
  });
});

describe("ManagedBridge", () => {
  const flow = (inPort: number, actions: Flow["actions"]): Flow => ({
    ...{ cookie: OUR_COOKIES.cookie, table: 0, priority: 100, match: { inPort }, actions },
  });

  test("one flow that the switch refuses keeps its own section out, and no other", async () => {
    let wake: () => void = () => {};
    const bridge = new ManagedBridge({
      ...{ name: "br0", runDirectory: stand.switch.runDirectory, owner: OUR_COOKIES },
      supervise: superviseBridge,
      onWake: () => wake(),
    });
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    const good = [flow(UPLINK, [{ kind: "normal" }])];
    // A port number that no switch has (OpenFlow 1.4 §7.2.3: above OFPP_MAX and not reserved).
    const bad = [flow(8, [{ kind: "output", port: 0xffff_ff42 }]), flow(9, [{ kind: "normal" }])];
    const floods = { out: [], into: [UPLINK] };
    await bridge.enforce({
      sections: new Map([
        ["a", good],
        ["b", bad],
      ]),
      floods,
    });
    assert.deepEqual([...bridge.failures.keys()], ["b"]);
    assert.match(bridge.failures.get("b") ?? "", /in_port=8/);
    const shown = stand.flows().map((line) => /in_port=\d+/.exec(line)?.[0]);
    assert.deepEqual(shown, [`in_port=${UPLINK}`]);
    const mended = [flow(8, []), flow(9, [{ kind: "normal" }])];
    await bridge.enforce({
      sections: new Map([
        ["a", good],
        ["b", mended],
      ]),
      floods,
    });
    assert.deepEqual([bridge.failures.size, bridge.settled, stand.flows().length], [0, true, 3]);
    bridge.close();
  });
});

test("a frame for a VIF is not NORMAL's to flood", async () => {
  stand.addPort("vif5.0", 5);
  await stand.rules.setVifRules(policyOf(5));
  const to = `in_port=${UPLINK},dl_src=02:00:00:00:00:fe,dl_dst=${macOf(99)},ip,nw_src=192.0.2.1`;
  assert.ok(!stand.trace(to).includes(stand.datapathPort("vif5.0")));
});

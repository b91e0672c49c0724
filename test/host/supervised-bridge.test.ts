/** A bridge in sight of us, on a real switch that is killed, started again and tampered with. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { OpenflowError } from "../../src/host/openflow-stream.ts";
import {
  type BridgeEvent,
  type SupervisedBridge,
  superviseBridge,
} from "../../src/host/supervised-bridge.ts";
import type { CookieMask, Flow } from "../../src/openflow/flow.ts";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { ASSERTS_TIMES } from "../netns/wait.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

const OURS: CookieMask = { cookie: 0x7600_0000_0000_0000n, mask: 0xff00_0000_0000_0000n };
const WITHIN_MS = 5_000;
const FLOW: Flow = {
  cookie: 0x7601_0001_0000_000an,
  table: 0,
  priority: 90,
  match: { inPort: 10 },
  actions: [],
};

describe("superviseBridge", () => {
  let ovs: PrivateSwitch;
  let bridge: SupervisedBridge | null = null;
  const events: BridgeEvent[] = [];
  let wake: () => void = () => {};

  before(() => {
    ovs = PrivateSwitch.start([10, 11, 14]);
  });
  after(() => ovs.stop());
  afterEach(() => {
    bridge?.close();
    bridge = null;
    events.length = 0;
    ovs.ofctl(["-O", "OpenFlow14", "del-flows", "br0"]);
  });

  function supervise(name = "br0"): SupervisedBridge {
    bridge = superviseBridge({
      runDirectory: ovs.runDirectory,
      bridge: name,
      onEvent(event) {
        events.push(event);
        wake();
      },
    });
    return bridge;
  }

  async function until(isSo: () => boolean): Promise<void> {
    const giveUpAt = Date.now() + WITHIN_MS;
    const deadline = setTimeout(() => wake(), WITHIN_MS);
    while (!isSo()) {
      assert.ok(Date.now() < giveUpAt, `it did not come to pass: ${JSON.stringify(events)}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearTimeout(deadline);
  }

  const kinds = (): readonly string[] => events.map((event) => event.kind);

  async function ready(): Promise<SupervisedBridge> {
    const supervised = supervise();
    await until(() => supervised.up);
    return supervised;
  }

  function floodedPortCount(): number | undefined {
    ovs.ofctl(["add-flow", "br0", "table=0,priority=1,actions=NORMAL"]);
    const frame = "in_port=14,dl_src=02:00:00:00:00:14,dl_dst=ff:ff:ff:ff:ff:ff";
    const trace = ovs.appctl("ofproto/trace", "br0", frame);
    return /Datapath actions: (.*)/.exec(trace)?.[1]?.split(",").length;
  }

  /** What is set without us being told is there after one more round through the switch. */
  async function untilFloodedAre(count: number): Promise<void> {
    const giveUpAt = Date.now() + WITHIN_MS;
    while (floodedPortCount() !== count) {
      assert.ok(Date.now() < giveUpAt, `${floodedPortCount()} ports are flooded`);
      await bridge?.dumpFlows(OURS);
    }
  }

  test("is up, applies and lists", async () => {
    const supervised = supervise();
    assert.equal(supervised.up, false);
    await assert.rejects(supervised.dumpFlows(OURS), { reason: "ended" });
    await assert.rejects(supervised.applyBundle([{ kind: "add", flow: FLOW }]), {
      message: "There is no connection to br0",
    });
    await until(() => supervised.up);
    assert.deepEqual(kinds(), ["up"]);
    await supervised.applyBundle([{ kind: "add", flow: FLOW }]);
    const [listed] = await supervised.dumpFlows(OURS);
    assert.deepEqual(listed?.installed, { kind: "known", flow: FLOW });
    // What we change ourselves is no news.
    assert.deepEqual(kinds(), ["up"]);
  });

  const tampering: readonly (readonly [name: string, tamper: () => void])[] = [
    ["adds a flow", () => ovs.ofctl(["add-flow", "br0", "priority=9,actions=NORMAL"])],
    ["deletes ours", () => ovs.ofctl(["del-flows", "br0", "in_port=10"])],
    [
      "replaces ours",
      () => ovs.ofctl(["add-flow", "br0", "priority=90,in_port=10,actions=NORMAL"]),
    ],
    ["flips fail_mode", () => ovs.vsctl("set-fail-mode", "br0", "standalone")],
    ["flips it back", () => ovs.vsctl("set-fail-mode", "br0", "secure")],
  ];
  for (const [name, tamper] of tampering) {
    test(`tells within milliseconds when someone ${name}`, async () => {
      const supervised = await ready();
      await supervised.applyBundle([{ kind: "add", flow: FLOW }]);
      tamper();
      const changedAt = performance.now();
      await until(() => kinds().includes("flows-changed"));
      const seenMs = performance.now() - changedAt;
      assert.ok(!ASSERTS_TIMES || seenMs < 50, `seen after ${seenMs} ms`);
    });
  }

  test("is up again soon after the switch was killed and started", async () => {
    const supervised = await ready();
    await supervised.applyBundle([{ kind: "add", flow: FLOW }]);
    assert.deepEqual(await supervised.keepFloodsOut({ out: [10, 11], into: [LOCAL_PORT, 14] }), []);
    assert.equal(floodedPortCount(), 1);
    events.length = 0;
    const killedAt = performance.now();
    ovs.killSwitch();
    await until(() => !supervised.up);
    const seenMs = performance.now() - killedAt;
    assert.ok(!ASSERTS_TIMES || seenMs < 500, `seen after ${seenMs} ms`);
    const absent = (event: BridgeEvent) =>
      event.kind === "down" && event.error.reason === "no-switch";
    await until(() => events.some(absent));
    assert.equal(events.filter(absent).length, 1);
    ovs.startSwitch();
    const startedAt = performance.now();
    await until(() => supervised.up);
    const upMs = performance.now() - startedAt;
    assert.ok(!ASSERTS_TIMES || upMs < 500, `up after ${upMs} ms`);
    // Its flows are gone, and so were our flags: those have been set before we are told.
    assert.deepEqual(await supervised.dumpFlows(OURS), []);
    assert.equal(floodedPortCount(), 1);
    await supervised.applyBundle([{ kind: "add", flow: FLOW }]);
    assert.equal((await supervised.dumpFlows(OURS)).length, 1);
  });

  test("keeps trying while the switch is away, without telling it again", async () => {
    const supervised = await ready();
    ovs.killSwitch();
    await until(() => kinds().filter((kind) => kind === "down").length === 2);
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.deepEqual(kinds(), ["up", "down", "down"]);
    ovs.startSwitch();
    await until(() => supervised.up);
  });

  test("keeps floods out of a port that is added again, and of one that someone changes", async () => {
    const supervised = await ready();
    assert.deepEqual(
      await supervised.keepFloodsOut({ out: [10, 11, 77], into: [LOCAL_PORT, 14] }),
      [77],
    );
    assert.equal(floodedPortCount(), 1);
    ovs.vsctl("del-port", "br0", "p11");
    ovs.addPort(11);
    await untilFloodedAre(1);
    ovs.ofctl(["-O", "OpenFlow10", "mod-port", "br0", "10", "flood"]);
    await untilFloodedAre(1);
  });

  test("lets floods into ports again that it is not told of any more, and no others", async () => {
    const supervised = await ready();
    ovs.ofctl(["-O", "OpenFlow10", "mod-port", "br0", "14", "no-flood"]);
    await supervised.keepFloodsOut({ out: [10, 11], into: [LOCAL_PORT, 14] });
    assert.equal(floodedPortCount(), 1);
    await supervised.keepFloodsOut({ out: [10], into: [LOCAL_PORT, 11, 14] });
    assert.equal(floodedPortCount(), 2);
    await supervised.keepFloodsOut({ out: [], into: [LOCAL_PORT, 10, 11, 14] });
    assert.equal(floodedPortCount(), 3);
    const ports = ovs.ofctl(["-O", "OpenFlow10", "show", "br0"]);
    assert.match(ports, / 14\(p14\)[^(]*config: +NO_FLOOD\n/);
    ovs.ofctl(["-O", "OpenFlow10", "mod-port", "br0", "14", "flood"]);
  });

  test("keeps floods out of a new port until it is told whether they may go there", async () => {
    const supervised = await ready();
    await supervised.keepFloodsOut({ out: [10], into: [LOCAL_PORT, 11, 14] });
    ovs.addPort(12);
    await untilFloodedAre(2);
    await supervised.keepFloodsOut({ out: [10], into: [LOCAL_PORT, 11, 14, 12] });
    assert.equal(floodedPortCount(), 3);
    ovs.vsctl("del-port", "br0", "p12");
    await supervised.keepFloodsOut({ out: [], into: [LOCAL_PORT, 10, 11, 14] });
  });

  test("lets floods into a port that was given up while there was no connection", async () => {
    const supervised = await ready();
    await supervised.keepFloodsOut({ out: [10, 11], into: [LOCAL_PORT, 14] });
    ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow13");
    await until(() => !supervised.up);
    await assert.rejects(supervised.keepFloodsOut({ out: [10], into: [LOCAL_PORT, 11, 14] }), {
      reason: "ended",
    });
    ovs.vsctl("clear", "bridge", "br0", "protocols");
    await until(() => supervised.up);
    assert.equal(floodedPortCount(), 2);
    await supervised.keepFloodsOut({ out: [], into: [LOCAL_PORT, 10, 11, 14] });
  });

  test("tells why there is no connection, and connects when it is put right", async () => {
    const supervised = await ready();
    ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow13");
    const disabled = (event: BridgeEvent) =>
      event.kind === "down" && event.error.reason === "version-disabled";
    await until(() => events.some(disabled));
    ovs.vsctl("clear", "bridge", "br0", "protocols");
    await until(() => supervised.up);
  });

  test("looks for a bridge until there is one", async () => {
    const supervised = supervise("br7");
    await until(() => events.length > 0);
    const [event] = events;
    assert.ok(event?.kind === "down" && event.error instanceof OpenflowError);
    assert.equal(event.error.reason, "no-switch");
    await assert.rejects(supervised.keepFloodsOut({ out: [1], into: [LOCAL_PORT, 10, 11, 14] }), {
      reason: "ended",
    });
    ovs.vsctl("add-br", "br7", "--", "set", "bridge", "br7", "datapath_type=dummy");
    await until(() => supervised.up);
    ovs.vsctl("del-br", "br7");
    await until(() => !supervised.up);
  });

  test("says nothing more once it is closed", async () => {
    const supervised = await ready();
    supervised.close();
    supervised.close();
    ovs.ofctl(["add-flow", "br0", "priority=9,actions=NORMAL"]);
    const second = superviseBridge({
      runDirectory: ovs.runDirectory,
      bridge: "br0",
      onEvent: () => assert.fail("closed before it was connected"),
    });
    second.close();
    await ready();
    assert.deepEqual(kinds(), ["up", "up"]);
  });
});

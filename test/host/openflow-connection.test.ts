/** The connection against a real Open vSwitch; ovs-ofctl is the judge of what was changed. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { FloodGuard } from "../../src/host/flood-guard.ts";
import { OpenflowConnection, type OpenflowEvent } from "../../src/host/openflow-connection.ts";
import { OpenflowError } from "../../src/host/openflow-stream.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { diffFlows, modsOfDiff } from "../../src/openflow/diff-flows.ts";
import type { CookieMask, Flow, FlowMod } from "../../src/openflow/flow.ts";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { ASSERTS_TIMES } from "../netns/wait.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

const OURS: CookieMask = { cookie: 0x7600_0000_0000_0000n, mask: 0xff00_0000_0000_0000n };
const EVENT_WITHIN_MS = 5_000;
const GUARD = {
  ...{ mayFlood: () => true, flagged: new Set<number>() },
  ...{ onPortChange() {}, onEnd() {} },
};

function lockedFlow(ofport: number): Flow {
  const octet = (ofport % 256).toString(16);
  return {
    cookie: 0x7601_0001_0000_0000n + BigInt(ofport),
    table: 10,
    priority: 200,
    match: {
      protocol: "arp",
      inPort: ofport,
      arpOp: 1,
      arpSha: parseMacAddress(`2:0:0:0:0:${octet}`),
      arpSpa: parseIpAddress(`10.0.${ofport >> 8}.${ofport % 256}`),
    },
    actions: [{ kind: "resubmit", table: 20 }],
  };
}

function adds(flows: readonly Flow[]): FlowMod[] {
  return flows.map((flow) => ({ kind: "add", flow }));
}

/** Its output action leads to a port that no switch has. */
function refusedFlow(): Flow {
  return { ...lockedFlow(9), actions: [{ kind: "output", port: 0xffff_ff05 }] };
}

describe("OpenflowConnection", () => {
  let ovs: PrivateSwitch;
  let connection: OpenflowConnection | null = null;
  const events: OpenflowEvent[] = [];
  const ends: string[] = [];
  let wake: () => void = () => {};

  before(() => {
    ovs = PrivateSwitch.start([10, 11, 14]);
  });
  after(() => ovs.stop());
  afterEach(() => {
    connection?.close();
    connection = null;
    events.length = 0;
    ends.length = 0;
    ovs.ofctl(["-O", "OpenFlow14", "del-flows", "br0"]);
  });

  async function connect(settings = {}): Promise<OpenflowConnection> {
    connection = await OpenflowConnection.connect({
      runDirectory: ovs.runDirectory,
      bridge: "br0",
      onEvent(event) {
        events.push(event);
        wake();
      },
      onEnd(why) {
        ends.push(why);
        wake();
      },
      ...settings,
    });
    return connection;
  }

  async function until(isSo: () => boolean): Promise<void> {
    const deadline = setTimeout(() => wake(), EVENT_WITHIN_MS);
    const giveUpAt = Date.now() + EVENT_WITHIN_MS;
    while (!isSo()) {
      assert.ok(Date.now() < giveUpAt, `nothing came: ${JSON.stringify(ends)}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearTimeout(deadline);
  }

  test("applies a bundle, which a dump shows as it was given", async () => {
    const client = await connect();
    const flows = [lockedFlow(10), lockedFlow(11)];
    await client.applyBundle(adds(flows));
    assert.deepEqual(ovs.dumpFlows(), flows.map(formatFlow).toSorted());
    const dumped = (await client.dumpFlows(OURS)).map(({ installed }) => installed);
    assert.deepEqual(diffFlows(dumped, flows), { added: [], changed: [], removed: [] });
  });

  test("lists flows of the owner only, in several messages when they are many", async () => {
    const client = await connect();
    const flows = Array.from({ length: 3_000 }, (_, index) => lockedFlow(index + 1));
    await client.applyBundle(adds(flows));
    ovs.ofctl(["add-flow", "br0", "cookie=0x77,table=3,actions=drop"]);
    const dumped = await client.dumpFlows(OURS);
    assert.equal(dumped.length, 3_000);
    const installed = dumped.map((flow) => flow.installed);
    assert.deepEqual(diffFlows(installed, flows), { added: [], changed: [], removed: [] });
  });

  test("changes nothing when one message of the bundle is refused, and says which", async () => {
    const client = await connect();
    await client.applyBundle(adds([lockedFlow(10)]));
    const bad = adds([lockedFlow(11), refusedFlow(), lockedFlow(14)]);
    await assert.rejects(
      client.applyBundle([{ kind: "delete-owned", owner: OURS }, ...bad]),
      (error) => {
        assert.ok(error instanceof OpenflowError);
        assert.equal(error.reason, "refused");
        assert.match(
          error.message,
          /flows of br0 \(add cookie=0x7601000100000009, .*\): bad action/,
        );
        return true;
      },
    );
    assert.deepEqual(ovs.dumpFlows(), [formatFlow(lockedFlow(10))]);
    await client.applyBundle(adds([lockedFlow(11)]));
    assert.equal(ovs.dumpFlows().length, 2);
  });

  test("repairs what someone has done to the flows, and touches no others", async () => {
    const client = await connect();
    const flows = [10, 11, 14].map(lockedFlow);
    await client.applyBundle(adds(flows));
    const lines = [
      // Another action, another cookie, one too many, one that our types cannot say, not ours.
      "cookie=0x760100010000000a,table=10,priority=200,arp,in_port=10,arp_op=1,arp_sha=02:00:00:00:00:0a,arp_spa=10.0.0.10,actions=drop",
      "cookie=0x5,table=10,priority=200,arp,in_port=11,arp_op=1,arp_sha=02:00:00:00:00:0b,arp_spa=10.0.0.11,actions=resubmit(,20)",
      "cookie=0x7601000100000063,table=10,priority=9,actions=NORMAL",
      "cookie=0x7601000100000063,table=10,priority=8,ct_state=+trk,ip,actions=NORMAL",
      "cookie=0x7701000100000063,table=10,priority=7,actions=drop",
    ];
    ovs.ofctl(["-O", "OpenFlow14", "add-flows", "br0", "-"], lines.join("\n"));
    const installed = (await client.dumpFlows(OURS)).map((flow) => flow.installed);
    const diff = diffFlows(installed, flows);
    assert.deepEqual([diff.added.length, diff.changed.length, diff.removed.length], [1, 1, 2]);
    await client.applyBundle(modsOfDiff(diff));
    const foreign = "cookie=0x7701000100000063, table=10, priority=7 actions=drop";
    assert.deepEqual(ovs.dumpFlows(), [...flows.map(formatFlow), foreign].toSorted());
  });

  test("tells what others change, not what it changes itself", async () => {
    const client = await connect();
    await client.applyBundle(adds([lockedFlow(10), lockedFlow(11)]));
    await client.applyBundle([{ kind: "delete-owned", owner: OURS }]);
    ovs.ofctl(["add-flow", "br0", "cookie=0x5,table=7,priority=3,ip,actions=drop"]);
    ovs.ofctl(["del-flows", "br0", "table=7"]);
    const told = () =>
      events.flatMap((event) => (event.kind === "flows-changed" ? event.updates : []));
    await until(() => told().length === 2);
    const flow = { cookie: 5n, table: 7, priority: 3, match: { protocol: "ip" } };
    assert.deepEqual(told(), [
      { kind: "added", flow },
      { kind: "removed", flow },
    ]);
  });

  test("hands up the frames of controller actions, with registers and user data", async () => {
    const client = await connect();
    const controller = { kind: "controller", maxBytes: 0xffff, userdata: "76010a" } as const;
    const actions = [{ kind: "load", register: 3, value: 5 } as const, controller];
    await client.applyBundle(
      adds([{ ...lockedFlow(10), table: 0, match: { inPort: 11 }, actions }]),
    );
    ovs.appctl("netdev-dummy/receive", "p11", `ffffffffffff0200000000110806${"00".repeat(46)}`);
    await until(() => events.some((event) => event.kind === "packet-in"));
    const event = events.find((one) => one.kind === "packet-in");
    assert.ok(event?.kind === "packet-in");
    const { packetIn } = event;
    assert.equal(packetIn.userdata, "76010a");
    assert.equal(packetIn.inPort, 11);
    assert.equal(packetIn.registers[3], 5);
    assert.equal(packetIn.cookie, lockedFlow(10).cookie);
    assert.equal(packetIn.frameBytes, 60);
    assert.equal(Buffer.from(packetIn.frame.subarray(0, 6)).toString("hex"), "ffffffffffff");
  });

  test("tells of ports that come and go", async () => {
    await connect();
    ovs.addPort(20);
    ovs.vsctl("del-port", "br0", "p20");
    const changes = () =>
      events.flatMap((event) => (event.kind === "port-changed" ? [event.change] : []));
    await until(() => changes().some(({ change }) => change === "deleted"));
    const first = changes()[0];
    assert.deepEqual(first, { change: "added", ofport: 20, name: "p20" });
  });

  test("ends once when the switch is killed, and what is unanswered is rejected", async () => {
    const client = await connect();
    ovs.signalSwitch("SIGSTOP");
    const dump = assert.rejects(client.dumpFlows(OURS), { reason: "ended" });
    const killedAt = performance.now();
    ovs.killSwitch();
    await until(() => ends.length > 0);
    const seenMs = performance.now() - killedAt;
    await dump;
    assert.deepEqual(ends, ["br0 closed the OpenFlow connection"]);
    assert.ok(!ASSERTS_TIMES || seenMs < 1_000, `seen after ${seenMs} ms`);
    await assert.rejects(client.applyBundle(adds([lockedFlow(10)])), { reason: "ended" });
    await assert.rejects(connect(), { reason: "no-switch", code: "VNETD_OVS_FAILED" });
    ovs.startSwitch();
  });

  test("leaves a switch that hangs", async () => {
    await connect({ deadlineMs: 200, probeIntervalMs: 50 });
    ovs.signalSwitch("SIGSTOP");
    try {
      await until(() => ends.length > 0);
      assert.deepEqual(ends, ["br0 did not answer in 200 ms"]);
      await assert.rejects(connect({ deadlineMs: 100 }), { reason: "deadline" });
    } finally {
      ovs.signalSwitch("SIGCONT");
    }
  });

  test("says in one line how to enable OpenFlow 1.4", async () => {
    ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow13");
    await assert.rejects(connect(), {
      reason: "version-disabled",
      message:
        "br0 does not speak OpenFlow14; run: ovs-vsctl set bridge br0 " +
        "protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14",
    });
    ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow14");
    const { runDirectory } = ovs;
    await assert.rejects(FloodGuard.open({ runDirectory, bridge: "br0", ...GUARD }), {
      reason: "version-disabled",
      message:
        /^br0 does not speak OpenFlow10; run: ovs-vsctl set bridge br0 protocols=OpenFlow10,/,
    });
    ovs.vsctl("clear", "bridge", "br0", "protocols");
    await connect();
  });

  test("says that there is no such bridge", async () => {
    await assert.rejects(connect({ bridge: "br7" }), {
      reason: "no-switch",
      message:
        `Nothing listens on ${ovs.runDirectory}/br7.mgmt: ` +
        "there is no bridge br7, or ovs-vswitchd is not running",
    });
  });

  test("says that it may not use the socket", { skip: !canDropPrivileges() }, async () => {
    chmodSync(ovs.runDirectory, 0o700);
    process.seteuid?.(65534);
    try {
      await assert.rejects(connect(), { reason: "no-permission" });
    } finally {
      process.seteuid?.(0);
    }
  });

  test("FloodGuard keeps floods of NORMAL out, and names the ports that are not there", async () => {
    const { runDirectory } = ovs;
    const guard = await FloodGuard.open({ runDirectory, bridge: "br0", ...GUARD });
    ovs.ofctl(["add-flow", "br0", "table=0,priority=1,actions=NORMAL"]);
    const flooded = () =>
      /Datapath actions: (.*)/.exec(
        ovs.appctl(
          "ofproto/trace",
          "br0",
          "in_port=14,dl_src=02:00:00:00:00:14,dl_dst=ff:ff:ff:ff:ff:ff",
        ),
      )?.[1];
    const everywhere = flooded();
    assert.equal(everywhere?.split(",").length, 3, everywhere);
    const ofports = [10, 11, 77];
    assert.deepEqual(await guard.keepOut(ofports), [77]);
    assert.equal(flooded()?.split(",").length, 1);
    // The bridge's own port, which has another number in this version.
    assert.deepEqual(await guard.keepOut([10, 11, LOCAL_PORT]), []);
    assert.equal(flooded(), "drop");
    const ports = ovs.ofctl(["-O", "OpenFlow10", "show", "br0"]);
    assert.match(ports, / 10\(p10\)[^(]*config: +NO_FLOOD\n/);
    // Again: nothing is left to be done.
    assert.deepEqual(await guard.keepOut([10]), []);
    guard.close();
    await assert.rejects(guard.keepOut([10]), { reason: "ended" });
  });
});

function canDropPrivileges(): boolean {
  return process.getuid?.() === 0;
}

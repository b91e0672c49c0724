/** Commands to a real ovs-vswitchd, and to what only looks like one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { callUnixctl } from "../../src/host/unixctl.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

describe("callUnixctl", () => {
  let ovs: PrivateSwitch;
  before(() => {
    ovs = PrivateSwitch.start([10, 11]);
  });
  after(() => ovs.stop());

  test("traces a frame", async () => {
    ovs.ofctl(["add-flow", "br0", "in_port=10,actions=output:11"]);
    const text = await callUnixctl({
      runDirectory: ovs.runDirectory,
      command: "ofproto/trace",
      args: ["br0", "in_port=10,tcp,nw_dst=10.0.0.12"],
    });
    assert.match(text, /^ *0\. in_port=10, priority 32768\n/m);
    assert.match(text, /^Datapath actions: 11$/m);
  });

  test("shows a bond", async () => {
    ovs.vsctl("add-bond", "br0", "bond0", "e1", "e2", "bond_mode=active-backup");
    const text = await callUnixctl({
      runDirectory: ovs.runDirectory,
      command: "bond/show",
      args: ["bond0"],
    });
    assert.match(text, /^bond_mode: active-backup$/m);
  });

  test("says in one line what the switch says of a wrong command", async () => {
    const { runDirectory } = ovs;
    const wrong = callUnixctl({ runDirectory, command: "ofproto/trace", args: ["br9", "ip"] });
    await assert.rejects(wrong, {
      code: "VNETD_OVS_FAILED",
      reason: "refused",
      message: /^Cannot run ofproto\/trace in ovs-vswitchd: (?!.*\n).*(br9|bridge)/,
    });
  });

  test("says that there is no switch, before it was started and after it was killed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vnetd-ctl-"));
    const call = (runDirectory: string) =>
      callUnixctl({ runDirectory, command: "version", args: [] });
    const pidFile = join(folder, "ovs-vswitchd.pid");
    try {
      await assert.rejects(call(folder), {
        reason: "no-socket",
        message: `There is no ${pidFile}: ovs-vswitchd is not running`,
      });
      writeFileSync(pidFile, "../x\n");
      await assert.rejects(call(folder), { message: `There is no process id in ${pidFile}` });
    } finally {
      rmSync(folder, { recursive: true });
    }
    ovs.killSwitch();
    await assert.rejects(call(ovs.runDirectory), { reason: "no-socket" });
    ovs.startSwitch();
    assert.match(await call(ovs.runDirectory), /^ovs-vswitchd \(Open vSwitch\)/);
  });

  const answers: readonly (readonly [name: string, answer: string, message: RegExp])[] = [
    ["silent", "", /^ovs-vswitchd did not answer version in 100 ms$/],
    ["talking nonsense", "nonsense", /^ovs-vswitchd sent what it must not: what is no JSON object/],
    ["sending half of JSON", '{"id":1,"result":}', /^ovs-vswitchd sent what it must not: /],
  ];
  for (const [name, answer, message] of answers) {
    test(`leaves a server that is ${name}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "vnetd-ctl-"));
      writeFileSync(join(folder, "ovs-vswitchd.pid"), "12\n");
      const server = createServer((socket) => {
        socket.on("data", () => socket.write(answer));
        socket.on("error", () => socket.destroy());
      });
      await new Promise<void>((resolve) => {
        server.listen(join(folder, "ovs-vswitchd.12.ctl"), resolve);
      });
      try {
        const call = callUnixctl({
          runDirectory: folder,
          command: "version",
          args: [],
          deadlineMs: 100,
        });
        await assert.rejects(call, { name: "JsonRpcError", message });
      } finally {
        server.close();
        rmSync(folder, { recursive: true });
      }
    });
  }
});

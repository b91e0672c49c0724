import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { eventually } from "../netns/wait.ts";
import { runVn } from "./fake-io.ts";
import { type FakeDaemon, startFakeDaemon, VN } from "./vn-process.ts";

const VNET = parseVnetId("97");
const MAC = parseMacAddress("00:16:3e:00:00:01");

describe("vn watch", () => {
  let daemon: FakeDaemon;
  before(async () => {
    daemon = await startFakeDaemon();
  });
  after(async () => {
    await daemon.close();
  });

  /** `vn watch`, connected. */
  async function watch(...args: readonly string[]): Promise<{
    readonly child: ChildProcess;
    /** What it has printed. */
    text(): string;
    ended(): Promise<number | null>;
  }> {
    const child = spawn(process.execPath, [VN, "watch", ...args], {
      env: { ...process.env, VNETD_RUN_DIR: daemon.runDir },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    const closed = once(child, "close");
    await eventually("it watches", () => daemon.api.events.isWatched);
    return { child, text: () => text, ended: async () => (await closed)[0] as number | null };
  }

  test("prints a line an event, marks what is wrong, ends clean when it is interrupted", async () => {
    const vn = await watch();
    const { events } = daemon.api;
    events.emit({ event: "mac-moved", vnet: VNET, mac: MAC, message: "it moved" });
    events.emit({ event: "ovs-lost", message: "gone" });
    await eventually("both are printed", () => vn.text().split("\n").length === 3);
    const clock = "\\d\\d:\\d\\d:\\d\\d\\.\\d{3}";
    assert.match(
      vn.text(),
      new RegExp(`^${clock}   mac-moved {7}it moved\n${clock} ! ovs-lost {8}gone\n$`),
    );
    vn.child.kill("SIGINT");
    assert.equal(await vn.ended(), 0);
    await eventually("the daemon has noticed", () => !events.isWatched);
  });

  test("--json prints what the daemon sent; filters are the daemon's", async () => {
    const vn = await watch("--json", "mac", "vif=vif5.0", "drop-burst");
    const { events } = daemon.api;
    events.emit({ event: "mac-moved", vnet: VNET, mac: MAC, message: "no VIF" });
    events.emit({ event: "vif-denied", vif: "vif5.0", message: "no such event" });
    events.emit({ event: "drop-burst", vif: "vif5.0", reason: "mac", count: 300, message: "m" });
    await eventually("it is printed", () => vn.text().includes("\n"));
    const { at, ...event } = JSON.parse(vn.text()) as { readonly at: string };
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
    assert.deepEqual(event, {
      ...{ event: "drop-burst", level: "warning", vnet: null, peer: null, mac: null },
      ...{ vif: "vif5.0", reason: "mac", count: 300, message: "m" },
    });
    vn.child.kill("SIGTERM");
    assert.equal(await vn.ended(), 0);
  });

  test("a reader that goes away is no failure", async () => {
    const vn = await watch("--json");
    vn.child.stdout?.destroy();
    const { events } = daemon.api;
    await eventually("it ends", () => {
      events.emit({ event: "clone", message: "x" });
      return vn.child.exitCode !== null;
    });
    assert.equal(await vn.ended(), 0);
  });

  test("a reader that stops costs the daemon no memory, and is told what it missed", async () => {
    const vn = await watch("--json");
    const { events } = daemon.api;
    vn.child.kill("SIGSTOP");
    const message = "x".repeat(1_000);
    for (let count = 0; count < 20_000; count += 1) {
      events.emit({ event: "clone", count, message });
      if (count % 100 === 0) {
        // Whatever the kernel takes for it is taken.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    vn.child.kill("SIGCONT");
    const lost = await eventually("it is told", () =>
      /"event":"events-lost".*"count":(\d+)/.exec(vn.text()),
    );
    assert.ok(Number(lost[1]) > 10_000, lost[0]);
    vn.child.kill("SIGINT");
    assert.equal(await vn.ended(), 0);
  });

  test("says so when the daemon goes, and refuses what is no filter", async () => {
    const vn = await watch();
    let errors = "";
    vn.child.stderr?.setEncoding("utf8").on("data", (part: string) => {
      errors += part;
    });
    daemon.api.events.end();
    assert.equal(await vn.ended(), 1);
    assert.equal(errors, "vn: watch: vnetd has gone\n");
    for (const word of ["no-such-event", "colour=red", "vnet=", "vnet=/"]) {
      const { status, stderr } = await runVn(["watch", word], { api: daemon.api });
      assert.deepEqual([status, stderr.trimEnd().includes("\n")], [2, false], word);
    }
    const unreachable = await runVn(["watch"], { api: null });
    assert.equal(unreachable.status, 3);
  });
});

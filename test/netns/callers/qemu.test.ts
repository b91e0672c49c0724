/**
 * A real QEMU with `-netdev tap,script=…,downscript=…`: a guest without a disk, whose network ROM
 * asks for an address as soon as it runs, and what the wire sees of that.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HotplugHost } from "../hotplug-host.ts";
import { REPOSITORY, SKIP_REASON } from "../lab.ts";
import { eventually } from "../wait.ts";

const PROGRAM = "/usr/bin/qemu-system-x86_64";
const MAC = "52:54:00:00:00:05";
/** The emulated guest needs seconds to its first frame. */
const ROM_WITHIN_MS = 60_000;
const missing = existsSync(PROGRAM) ? false : `there is no ${PROGRAM}`;

describe("qemu-ifup and qemu-ifdown in a real QEMU", { skip: SKIP_REASON || missing }, () => {
  let there: HotplugHost;

  before(async () => {
    there = await HotplugHost.create();
    there.writePolicy("networks/net.json", { bridge: "br0", uplinks: ["uplink"] });
    there.writePolicy("vifs/tap4.json", {
      ...{ vif: "tap4", bridge: "br0", mac: MAC, mode: "locked", ipv4: ["10.0.0.5"] },
    });
    await there.startDaemon();
  });
  after(async () => {
    await there?.close();
  });

  function startQemu(): { readonly child: ChildProcess; readonly output: () => string } {
    const scripts = join(REPOSITORY, "scripts");
    const tap = `tap,id=n,ifname=tap4,script=${scripts}/qemu-ifup,downscript=${scripts}/qemu-ifdown`;
    const child = spawn(
      "ip",
      [
        ...["netns", "exec", there.host.namespace, PROGRAM, "-nodefaults", "-display", "none"],
        ...["-m", "64", "-machine", "pc,accel=tcg", "-boot", "n"],
        ...["-netdev", tap, "-device", `e1000,netdev=n,mac=${MAC}`],
      ],
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, VNETD_RUN_DIR: there.host.runDir },
      },
    );
    let output = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    return { child, output: () => output };
  }

  test("the guest's frames pass under its policy, and its port goes with it", async () => {
    const { child, output } = startQemu();
    const ended = once(child, "exit");
    const isFrom = (frame: Buffer) =>
      frame.subarray(6, 12).toString("hex") === MAC.replaceAll(":", "");
    await eventually(
      "the guest asks for an address",
      () => {
        assert.equal(child.exitCode, null, output());
        return there.wire.matching(isFrom).length > 0;
      },
      ROM_WITHIN_MS,
    );
    assert.ok(there.ports().includes("tap4"));
    child.kill("SIGTERM");
    await ended;
    assert.equal(there.ports().includes("tap4"), false);
  });

  test("with the daemon down QEMU does not start the guest", async () => {
    await there.host.stop();
    const { child, output } = startQemu();
    const [status] = (await once(child, "exit")) as [number | null];
    assert.equal(status, 1);
    assert.match(output(), /cannot reach vnetd/);
    assert.match(output(), /network script .*qemu-ifup failed with status/);
    assert.equal(there.ports().includes("tap4"), false);
  });
});

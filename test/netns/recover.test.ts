/**
 * What kills and hands leave behind or take away blocks no start and is made anew (topology:
 * pair.ts).
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kill } from "node:process";
import { after, before, describe, test } from "node:test";
import { SKIP_REASON } from "./lab.ts";
import type { Host } from "./lab-host.ts";
import { BRIDGE, device, devices, Pair, VNET, VNETIF } from "./pair.ts";
import { LineProgram, run } from "./programs.ts";
import { eventually } from "./wait.ts";

describe("a start or a pass", { skip: SKIP_REASON }, () => {
  let pair: Pair;
  let a: Host;

  before(async () => {
    pair = await Pair.create();
    ({ a } = pair);
  });
  after(() => pair?.lab.close());

  test("of both, killed, finds nothing in its way", async () => {
    const before = await devices(a);
    await killBoth();
    for (const file of ["vnetd.sock", "vnetd.pid", "dp.sock", "dp.pid"]) {
      assert.ok(existsSync(join(a.runDir, file)), `${file} is left by the kill`);
    }
    await a.start();
    await pair.ping();
    assert.deepEqual(await devices(a), before);
  });

  test("finds its pid files given to another program, and lets that be", async () => {
    await killBoth();
    const stranger = await LineProgram.start("sh", ["-c", "echo ready; exec sleep 60"]);
    try {
      for (const file of ["vnetd.pid", "dp.pid"]) {
        writeFileSync(join(a.runDir, file), `${stranger.pid}\n`);
      }
      await a.start();
      await pair.ping();
      assert.ok(existsSync(`/proc/${stranger.pid}/exe`), "the stranger runs");
    } finally {
      await stranger.kill("SIGKILL");
    }
  });

  test("finds pid files with nonsense in them", async () => {
    await killBoth();
    for (const file of ["vnetd.pid", "dp.pid"]) {
      writeFileSync(join(a.runDir, file), "-1\0 nonsense");
    }
    await a.start();
    await pair.ping();
  });

  /** Every process of the host at once, the data plane's opener too: nobody tidies up. */
  async function killBoth(): Promise<void> {
    const pid = await a.dataplanePid();
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    for (const each of [...children.trim().split(" ").filter(Boolean).map(Number), pid]) {
      kill(each, "SIGKILL");
    }
    await a.stop("SIGKILL");
  }

  test("replaces a vnet-dp that hangs", async () => {
    const pid = await a.dataplanePid();
    await a.stop("SIGKILL");
    kill(pid, "SIGSTOP");
    await a.start();
    assert.notEqual(await a.dataplanePid(), pid);
    await pair.ping();
    assert.equal(existsSync(`/proc/${pid}/exe`), false, "the one that hung is gone");
  });

  test("makes a TAP anew that was deleted by hand, in its bridge", async () => {
    await pair.lab.batch(a.namespace, [`link del ${VNETIF}`]);
    await eventually("the TAP is back", async () => (await device(a, VNETIF))?.master === BRIDGE);
    await pair.ping();
    assert.deepEqual(await errors(a), []);
  });

  test("makes a bridge anew that was deleted by hand, with the TAP in it", async () => {
    await pair.lab.batch(a.namespace, [`link del ${BRIDGE}`]);
    await eventually("the TAP is in it", async () => (await device(a, VNETIF))?.master === BRIDGE);
    // The VM's own port is its owner's to put back.
    await a.adopt(pair.vmA, VNET);
    await pair.ping();
  });

  test("puts right what was done to the TAP by hand", async () => {
    // Below 1280 the kernel takes IPv6 off the device, and gives it back with its defaults.
    for (const change of ["down", "nomaster", "mtu 1400", "mtu 900"]) {
      await pair.lab.batch(a.namespace, [`link set ${VNETIF} ${change}`]);
      await eventually(`the TAP is right after ${change}`, async () => {
        const link = await device(a, VNETIF);
        return link?.master === BRIDGE && link.mtu === 1_500 && (await isUp(a, VNETIF));
      });
      await pair.ping();
      assert.deepEqual(await errors(a), []);
    }
    assert.equal(await ipv6AddressCount(a, VNETIF), 0);
  });

  test("keeps vnets whose MTU is too small for IPv6", async () => {
    await a.vn("vnet-create", "-b", "small", "-v", "small0", "--mtu", "1000", "98");
    await pair.lab.batch(a.namespace, ["link set small0 mtu 1100"]);
    await eventually("it is right", async () => (await device(a, "small0"))?.mtu === 1_000);
    assert.deepEqual(await errors(a), []);
    await a.stop();
    await a.start();
    assert.deepEqual(await errors(a), []);
    await a.vn("vnet-delete", "-b", "98");
  });

  test("after a reboot makes every vnet, pin and peer again", async () => {
    await a.vn("vnet-create", "-b", "second", "--mtu", "1400", "-v", "other", "1:2:3");
    await a.vn("vif-add", "1:2:3", "02:00:00:00:66:66");
    await a.vn("peer-add", "10.200.0.9", "--port", "1799");
    const wanted = await listings(a);
    const pid = await a.dataplanePid();
    await a.stop("SIGKILL");
    kill(pid, "SIGKILL");
    await pair.lab.batch(
      a.namespace,
      [VNETIF, "other", BRIDGE, "second"].map((name) => `link del ${name}`),
    );
    rmSync(a.runDir, { recursive: true });
    mkdirSync(a.runDir);
    await a.start();
    assert.deepEqual(await listings(a), wanted);
    assert.equal((await device(a, "other"))?.mtu, 1_400);
    await a.adopt(pair.vmA, VNET);
    await pair.ping();
    await a.vn("peer-delete", "10.200.0.9");
    await a.vn("vnet-delete", "-b", "1:2:3");
  });
});

async function isUp(host: Host, name: string): Promise<boolean> {
  const text = await run("ip", ["-n", host.namespace, "-o", "link", "show", "dev", name]);
  return /<[^>]*\bUP\b/.test(text);
}

/** What keeps vnets from carrying frames. */
async function errors(host: Host): Promise<readonly (string | null)[]> {
  const vnets = await host.vnJson<{ state: string; error: string | null }[]>("vnets");
  return vnets.filter(({ state }) => state !== "up").map(({ error }) => error);
}

async function ipv6AddressCount(host: Host, name: string): Promise<number> {
  const text = await run("ip", ["-n", host.namespace, "-6", "-o", "addr", "show", "dev", name]);
  return text.split("\n").filter(Boolean).length;
}

async function listings(host: Host): Promise<unknown> {
  const vnets = await host.vnJson<{ bridgePorts: unknown }[]>("vnets");
  const vifs = await host.vnJson<{ vnet: string; mac: string; pinned: boolean }[]>("vifs");
  const peers = await host.vnJson<{ address: string; udpPort: number }[]>("peers");
  return {
    vnets: vnets.map(({ bridgePorts, ...vnet }) => vnet),
    vifs: vifs.filter(({ pinned }) => pinned).map(({ vnet, mac }) => ({ vnet, mac })),
    peers: peers.map(({ address, udpPort }) => ({ address, udpPort })),
  };
}

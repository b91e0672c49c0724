/**
 * What people and machines do wrong: each is one line on standard error, the right exit status,
 * and nothing changed. One host alone, with the built programs.
 *
 *     host namespace: u1 ── segment
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { type Finished, LineProgram, tryRun } from "./programs.ts";
import { AS_NOBODY, programForAnyone } from "./unprivileged.ts";
import { ASSERTS_TIMES, eventually, TEST_SCALE } from "./wait.ts";

const VNETD = join(REPOSITORY, "bin/vnetd");
const TORTURED = ["201", "202", "203", "204", "205", "206", "207"];

describe("vnetd", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let hostCount = 0;

  before(async () => {
    lab = await Lab.create();
  });
  after(() => lab?.close());
  afterEach(async () => {
    await host.stop("SIGKILL");
    await killDataplane();
  });

  async function makeHost(options: { readonly addressless?: boolean } = {}): Promise<void> {
    hostCount += 1;
    host = await Host.create(lab, `d${hostCount}`, [await lab.segment()], options);
  }

  async function killDataplane(): Promise<void> {
    const file = join(host.runDir, "dp.pid");
    if (existsSync(file)) {
      await tryRun("kill", ["-9", readFileSync(file, "utf8").trim()]);
    }
  }

  /** Runs vnetd, which has to end by itself. */
  function runVnetd(...args: readonly string[]): Promise<Finished> {
    return tryRun(
      "ip",
      [
        ...["netns", "exec", host.namespace, VNETD, "--run-dir", host.runDir],
        ...["--state-dir", host.stateDir, "--underlay", "u1", ...args],
      ],
      { timeoutMs: 20_000 },
    );
  }

  function assertFailed(finished: Finished, status: number, message: RegExp): void {
    assert.equal(finished.status, status, finished.stderr);
    const lines = finished.stderr.trimEnd().split("\n");
    const last = lines.at(-1) ?? "";
    assert.match(last, message);
    assert.ok(last.startsWith("vnetd: "), last);
    assert.deepEqual(readdirSync(host.runDir), [], "nothing is left in the run directory");
  }

  async function devices(): Promise<string[]> {
    const text = await lab.in(host.namespace, "ip", "-json", "link", "show");
    return (JSON.parse(text) as { ifname: string }[]).map(({ ifname }) => ifname);
  }

  test("prints help and version, and refuses a wrong option", async () => {
    await makeHost();
    const help = await runVnetd("--help");
    assert.equal(help.status, 0);
    assert.match(help.stdout, /--underlay <dev\|addr\|none>/);
    assert.match((await runVnetd("--version")).stdout, /^\d+\.\d+\.\d+\n$/);
    assertFailed(await runVnetd("--prot", "1"), 2, /unknown option '--prot'/);
    assertFailed(await runVnetd("--port", "70000"), 2, /--port: .* \(70000\)/);
    assertFailed(await runVnetd("--user", "no-such-user"), 2, /No such user: no-such-user/);
  });

  test("refuses an unknown key of its file with key and value", async () => {
    await makeHost();
    const file = join(lab.folder, "vnetd.toml");
    writeFileSync(file, 'state-dir = "/x"\nundrelay = "eth0"\n');
    const message = /vnetd\.toml: unknown key "undrelay" \("eth0"\)/;
    assertFailed(await runVnetd("--config", file), 2, message);
  });

  test("refuses a torn state file by its name, and leaves it as it is", async () => {
    await makeHost();
    const file = join(host.stateDir, "state.json");
    const torn = '{"schema":1,"vnets":[{"id":"0000:';
    writeFileSync(file, torn);
    assertFailed(await runVnetd(), 1, new RegExp(`Cannot use state file ${file}: it is not whole`));
    assert.equal(readFileSync(file, "utf8"), torn);
    writeFileSync(file, '{"schema":99}');
    assertFailed(await runVnetd(), 1, /its schema version is 99, this vnetd reads version 1/);
  });

  test("refuses a malformed start-up file with line and column", async () => {
    await makeHost();
    const file = join(lab.folder, "start.sxp");
    writeFileSync(file, "# vnets\n(vnet.add (id 97)\n  (bridge))\n");
    assertFailed(await runVnetd("-f", file), 2, /start-up file .*start\.sxp: .*line 3, column/);
    assertFailed(await runVnetd("-f", "/nonexistent"), 2, /ENOENT.*\/nonexistent/);
  });

  test("tells that its UDP port is in use", async () => {
    await makeHost();
    const script =
      'const s=require("dgram").createSocket("udp4");s.bind(1798,()=>console.log("ready"))';
    const other = await LineProgram.start("ip", [
      ...["netns", "exec", host.namespace, process.execPath, "-e", script],
    ]);
    try {
      assertFailed(await runVnetd(), 1, /1798.*in use/);
      assert.deepEqual(await devices(), ["lo", "u1"]);
    } finally {
      await other.kill("SIGKILL");
    }
  });

  test("tells that /dev/net/tun is missing", async () => {
    await makeHost();
    const hidden = join(lab.folder, "hidden");
    mkdirSync(hidden, { recursive: true });
    const script = `mount --bind '${hidden}' /dev/net && exec "$@"`;
    const finished = await tryRun("ip", [
      ...["netns", "exec", host.namespace, "unshare", "--mount", "sh", "-c", script, "sh", VNETD],
      ...["--run-dir", host.runDir, "--state-dir", host.stateDir, "--underlay", "u1"],
    ]);
    assertFailed(finished, 1, /\/dev\/net\/tun.*No such file/);
  });

  test("tells that it lacks permission", async (t) => {
    await makeHost();
    chmodSync(lab.folder, 0o755);
    const vnetd = programForAnyone(t, "vnetd");
    const run = (...directories: readonly string[]): Promise<Finished> =>
      tryRun("ip", [
        ...["netns", "exec", host.namespace, ...AS_NOBODY, vnetd, "--underlay", "u1"],
        ...directories,
      ]);
    const closed = await run("--run-dir", host.runDir, "--state-dir", host.stateDir);
    assertFailed(closed, 1, /Cannot use run directory .*EACCES/);
    const own = join(lab.folder, "own");
    mkdirSync(own, { recursive: true });
    chmodSync(own, 0o777);
    const noRights = await run("--run-dir", join(own, "run"), "--state-dir", join(own, "state"));
    assert.equal(noRights.status, 1);
    assert.match(noRights.stderr.trimEnd(), /^vnetd: .*(Permission denied|not permitted)/m);
    assert.deepEqual(await devices(), ["lo", "u1"]);
  });

  test("tells that vnet-dp is missing", async () => {
    await makeHost();
    const missing = await runVnetd("--dataplane", "/nonexistent/vnet-dp");
    assertFailed(missing, 1, /Cannot start \/nonexistent\/vnet-dp/);
  });

  test("serves without an underlay address, refuses vnets, and recovers by itself", async () => {
    await makeHost({ addressless: true });
    await host.start();
    const refused = await host.tryVn("vnet-create", "-b", "vnet97", "97");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^vn: .*underlay device u1 has no address\n$/);
    assert.deepEqual(await devices(), ["lo", "u1"]);
    await lab.batch(host.namespace, ["addr add 10.99.0.1/24 dev u1"]);
    await eventually("the address is found", async () => {
      return (await host.tryVn("vnet-create", "-b", "vnet97", "97")).status === 0;
    });
    await lab.batch(host.namespace, ["addr del 10.99.0.1/24 dev u1"]);
    type Vnets = { readonly state: string; readonly error: string | null }[];
    await eventually("the vnet is in error", async () => {
      const [vnet] = await host.vnJson<Vnets>("vnets");
      return vnet?.state === "error" && vnet.error === "underlay device u1 has no address";
    });
    await lab.batch(host.namespace, ["addr add 10.99.0.2/24 dev u1"]);
    await eventually("the vnet is up", async () => {
      const [vnet] = await host.vnJson<Vnets>("vnets");
      return vnet?.state === "up";
    });
  });

  test("with --underlay none serves and carries nothing", async () => {
    await makeHost();
    await host.start("--underlay", "none");
    const refused = await host.tryVn("vnet-create", "97");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /this host has no underlay \(--underlay none\)/);
    assert.equal(existsSync(join(host.runDir, "dp.sock")), false);
  });

  test("refuses a name that is taken, and a bridge of others with ports on it", async () => {
    await makeHost();
    await host.start();
    await lab.batch(host.namespace, [
      "tuntap add dev vnif0097 mode tap",
      "link add name br0 type bridge",
      "link add name p0 type veth peer name p1",
      "link set p0 master br0",
    ]);
    const before = await devices();
    const taken = await host.tryVn("vnet-create", "-b", "vnet97", "97");
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /vnif0097 is taken by a device that is not ours/);
    assert.deepEqual(await devices(), before);
    await host.vn("vnet-create", "-b", "br0", "-v", "mine", "97");
    const kept = await host.tryVn("vnet-delete", "-b", "97");
    assert.equal(kept.status, 1);
    assert.match(kept.stderr, /bridge br0 was not made by vnetd and has other ports \(p0\)/);
    assert.deepEqual(await devices(), [...before, "mine"]);
    await host.vn("vnet-delete", "97");
    assert.deepEqual(await devices(), before);
  });

  test("runs the commands of its start-up file at every start", async () => {
    await makeHost();
    const file = join(lab.folder, "good.sxp");
    writeFileSync(
      file,
      "(vnet.add (id 97) (bridge vnet97) (vnetif vnif97))\n" +
        "(vif.add (vnet 97) (vmac 00:16:3e:00:00:01))\n(peer.add (addr 10.1.2.3))\n" +
        "(varp.mcaddr (addr 224.10.0.7))\n",
    );
    for (let round = 0; round < 2; round += 1) {
      await host.start("-f", file);
      assert.ok((await devices()).includes("vnif97"));
      type Status = { vifCount: number; peerCount: number; underlay: { multicastGroup: string } };
      const status = await host.vnJson<Status>("status");
      assert.deepEqual([status.vifCount, status.peerCount], [1, 1]);
      assert.equal(status.underlay.multicastGroup, "224.10.0.7");
      assert.equal(await host.stop(), 0);
    }
  });

  test("serves metrics on a TCP port when asked", async () => {
    await makeHost();
    await host.start("--metrics", "127.0.0.1:9111");
    const text = await lab.in(host.namespace, "curl", "-sf", "http://127.0.0.1:9111/metrics");
    assert.match(text, /^vnetd_up 1$/m);
    assert.match(text, /^vnetd_inbound_datagrams_total \d+$/m);
  });

  test("the host itself never speaks on a vnet", async () => {
    await makeHost();
    await host.start();
    await host.vnet("97");
    const before = await host.counters("97");
    // Router solicitations, MLD reports and duplicate address detection come in the first seconds.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const after_ = await host.counters("97");
    assert.equal(after_["outbound-frames"], 0);
    assert.deepEqual(after_["outbound-frames"], before["outbound-frames"]);
  });

  test("SIGKILL at random moments loses no change that was acknowledged", async (t) => {
    await makeHost();
    const roundCount = 12 * TEST_SCALE;
    const known = new Map<string, boolean>();
    for (let round = 0; round < roundCount; round += 1) {
      await host.start();
      const killed = new Promise<void>((resolve) => {
        setTimeout(() => void host.stop("SIGKILL").then(() => resolve()), 40 + 23 * (round % 9));
      });
      await changeVnetsUntilKilled(known);
      await killed;
      await host.start();
      await checkVnets(known);
      assert.equal(await host.stop(), 0);
    }
    t.diagnostic(`${roundCount} kills`);
  });

  /** Creates and deletes; `known` loses what is under way and gets what is acknowledged. */
  async function changeVnetsUntilKilled(known: Map<string, boolean>): Promise<void> {
    for (let step = 0; ; step += 1) {
      const id = TORTURED[step % TORTURED.length] ?? "";
      const isCreate = known.get(id) !== true;
      known.delete(id);
      const command = isCreate ? ["vnet-create", "-b", `br${id}`] : ["vnet-delete", "-b"];
      if ((await host.tryVn(...command, id)).status !== 0) {
        return;
      }
      known.set(id, isCreate);
    }
  }

  /** What is known is so; what was cut short is whole, one way or the other, and known from now on. */
  async function checkVnets(known: Map<string, boolean>): Promise<void> {
    const views = await host.vnJson<{ vnetif: string; state: string }[]>("vnets");
    const present = new Set(views.map(({ vnetif }) => vnetif));
    assert.ok(views.every(({ state }) => state === "up"));
    for (const [id, isThere] of known) {
      assert.equal(present.has(`vnif0${id}`), isThere, `vnet ${id}`);
    }
    const taps = (await devices()).filter((name) => name.startsWith("vnif"));
    assert.deepEqual(new Set(taps), present);
    for (const id of TORTURED) {
      known.set(id, present.has(`vnif0${id}`));
    }
  }

  test("a thousand vnets start within five seconds, cold and warm, and idle", async (t) => {
    await makeHost();
    const file = join(lab.folder, "thousand.sxp");
    const vnets = Array.from({ length: 1_000 }, (_, index) => {
      const id = (index + 0x1000).toString(16);
      return `(vnet (id ${id}) (bridge br${id}) (vnetif vi${id}))`;
    });
    writeFileSync(file, `${vnets.join("\n")}\n`);
    await host.start();
    const createMs = await measureMs(() => host.vn("vnet-create", file));
    assert.equal(await host.stop(), 0);
    const warmMs = await measureMs(() => host.start());
    type Vnets = { readonly state: string }[];
    assert.equal((await host.vnJson<Vnets>("vnets")).filter((v) => v.state === "up").length, 1_000);
    await host.vn("vnet-create", "-b", "one", "2");
    const cpuMs = await cpuOver(host.daemonPid, 5_000);
    t.diagnostic(`create ${createMs} ms, warm start ${warmMs} ms, ${cpuMs} ms of CPU in 5 s`);
    assert.ok(!ASSERTS_TIMES || warmMs < 5_000, `warm start took ${warmMs} ms`);
    assert.ok(!ASSERTS_TIMES || cpuMs <= 250, `idle vnetd used ${cpuMs} ms of CPU in 5 s`);
  });
});

async function measureMs(task: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await task();
  return Math.round(performance.now() - startedAt);
}

/** CPU time, in milliseconds, of one process over `forMs`, once it has come to rest. */
async function cpuOver(pid: number, forMs: number): Promise<number> {
  const used = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    // utime and stime, in ticks of 10 ms (proc(5), fields 14 and 15).
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  await eventually("vnetd comes to rest", async () => {
    const before = used();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return used() - before <= 20;
  });
  const before = used();
  await new Promise((resolve) => setTimeout(resolve, forMs));
  return used() - before;
}

/**
 * The hotplug scripts as their callers run them: Xen's and xapi's order of calls, QEMU's, with the
 * real daemon, a real Open vSwitch and a real xenstored; judged by the guest's frames.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { PrivateXenstored, xenstoredIsMissing } from "../host/private-xenstored.ts";
import { HotplugHost, question } from "./hotplug-host.ts";
import { REPOSITORY, SKIP_REASON } from "./lab.ts";
import { type Finished, tryRun } from "./programs.ts";
import { ASSERTS_TIMES, eventually } from "./wait.ts";

const VM = "6c4a7c1e-0000-4000-8000-000000000001";
const MAC = "00:16:3e:00:00:05";
const OWN = question(MAC, "10.0.0.5");
const FORGED = question(MAC, "10.0.0.66");

const POLICY = { vif: "vif5.0", bridge: "br0", mac: MAC, mode: "locked", ipv4: ["10.0.0.5"] };

function succeeds({ status, stderr }: Finished): void {
  assert.equal(status, 0, stderr);
}

describe("hotplug scripts", { skip: SKIP_REASON }, () => {
  let there: HotplugHost;

  before(async () => {
    there = await HotplugHost.create();
    there.writePolicy("networks/net.json", { bridge: "br0", uplinks: ["uplink"] });
    await there.startDaemon();
  });
  after(async () => {
    await there?.close();
  });

  /** @returns whether the VIF is on the bridge, up, and locked to its address */
  async function isLocked(guest: Awaited<ReturnType<HotplugHost["plugDevice"]>>, device: string) {
    return {
      isPort: there.ports().includes(device),
      isUp: await there.isUp(device),
      own: await there.passes(guest, device, OWN),
      forged: await there.passes(guest, device, FORGED),
    };
  }

  const LOCKED = { isPort: true, isUp: true, own: true, forged: false };

  describe("setup-vif-rules, as xapi calls it", () => {
    const backend = `vnt-${process.pid}`;
    const top = "/run/nonpersistent";
    const madeTop = !existsSync(top);
    const record = `${top}/xenopsd/${backend}/VM/${VM}`;
    const filter = (vif: string) => [backend, vif, VM, "0", "filter"];
    const clear = (vif: string) => [backend, vif, VM, "0", "clear"];

    function writeRecord(fields: object): void {
      mkdirSync(record, { recursive: true, mode: 0o755 });
      const vif = { mac: MAC, backend: ["Local", "br0"], other_config: [], ...fields };
      writeFileSync(`${record}/vif.0`, JSON.stringify(vif), { mode: 0o644 });
    }

    before(() => {
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.5"], ipv6: [] }] });
    });
    after(() => {
      rmSync(`${top}/xenopsd/${backend}`, { recursive: true, force: true });
      if (madeTop) {
        rmdirSync(`${top}/xenopsd`);
        rmdirSync(top);
      }
    });
    afterEach(async () => {
      succeeds(await there.script("setup-vif-rules", clear("vif5.0")));
    });

    test("filter plugs and locks the VIF, clear takes it off, twice over", async () => {
      const guest = await there.plugDevice("vif5.0");
      for (const round of [1, 2]) {
        succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
        assert.deepEqual(await isLocked(guest, "vif5.0"), LOCKED, `round ${round}`);
        succeeds(await there.script("setup-vif-rules", clear("vif5.0")));
        assert.equal(there.ports().includes("vif5.0"), false, `round ${round}`);
      }
      await there.unplugDevice("vif5.0");
    });

    test("an HVM guest's two devices are one VIF; the emulated one leaves alone", async () => {
      const guest = await there.plugDevice("vif5.0");
      const emulated = await there.plugDevice("tap5.0");
      succeeds(await there.script("setup-vif-rules", filter("tap5.0")));
      assert.deepEqual(await isLocked(emulated, "tap5.0"), LOCKED);
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      succeeds(await there.script("setup-vif-rules", clear("tap5.0")));
      assert.equal(there.ports().includes("tap5.0"), false);
      assert.deepEqual(await isLocked(guest, "vif5.0"), LOCKED);
      await there.unplugDevice("tap5.0");
      await there.unplugDevice("vif5.0");
    });

    test("a changed record is in force after the next filter, the port is the same", async () => {
      const guest = await there.plugDevice("vif5.0");
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      const port = there.switch.vsctl("get", "interface", "vif5.0", "ofport");
      writeRecord({ locking_mode: "Disabled" });
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      assert.equal(await there.passes(guest, "vif5.0", OWN), false);
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.66"], ipv6: [] }] });
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      assert.equal(await there.passes(guest, "vif5.0", FORGED), true);
      assert.equal(await there.passes(guest, "vif5.0", OWN), false);
      assert.equal(there.switch.vsctl("get", "interface", "vif5.0", "ofport"), port);
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.5"], ipv6: [] }] });
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      await there.unplugDevice("vif5.0");
    });

    test("a record that becomes malformed keeps the lock, and is named", async () => {
      const guest = await there.plugDevice("vif5.0");
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.300"], ipv6: [] }] });
      await there.script("setup-vif-rules", filter("vif5.0"));
      assert.deepEqual(await isLocked(guest, "vif5.0"), LOCKED);
      await eventually("the log names it", () =>
        /locking_mode\.ipv4.*10\.0\.0\.300/.test(there.host.log),
      );
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.5"], ipv6: [] }] });
      await there.unplugDevice("vif5.0");
    });

    test("clear after the record and the device have gone is exit 0, and leaves no flow", async () => {
      await there.plugDevice("vif5.0");
      succeeds(await there.script("setup-vif-rules", filter("vif5.0")));
      rmSync(`${record}/vif.0`);
      await there.unplugDevice("vif5.0");
      succeeds(await there.script("setup-vif-rules", clear("vif5.0")));
      assert.equal(there.ports().includes("vif5.0"), false);
      assert.deepEqual(
        there.switch.dumpFlows().filter((flow) => flow.includes(MAC)),
        [],
      );
      writeRecord({ locking_mode: ["Locked", { ipv4: ["10.0.0.5"], ipv6: [] }] });
    });

    test("XenServer 6.1's four arguments work, wrong usage is told", async () => {
      there.writePolicy("vifs/vif5.json", POLICY);
      const guest = await there.plugDevice("vif5.0");
      succeeds(await there.script("setup-vif-rules", ["vif", "5", "0", "filter"]));
      assert.deepEqual(await isLocked(guest, "vif5.0"), LOCKED);
      succeeds(await there.script("setup-vif-rules", ["vif", "5", "0", "clear"]));
      assert.equal((await there.script("setup-vif-rules", ["vif", "5"])).status, 2);
      assert.equal(
        (await there.script("setup-vif-rules", filter("vif5.0").with(4, "x"))).status,
        2,
      );
      rmSync(`${there.policyDir}/vifs/vif5.json`);
      await there.unplugDevice("vif5.0");
    });
  });

  describe("qemu-ifup and qemu-ifdown", () => {
    test("the TAP is on the bridge of its policy, locked and up, until ifdown", async () => {
      there.writePolicy("vifs/tap9.json", { ...POLICY, vif: "tap9" });
      const guest = await there.plugDevice("tap9");
      succeeds(await there.script("qemu-ifup", ["tap9"]));
      assert.deepEqual(await isLocked(guest, "tap9"), LOCKED);
      succeeds(await there.script("qemu-ifdown", ["tap9"]));
      assert.equal(there.ports().includes("tap9"), false);
      rmSync(`${there.policyDir}/vifs/tap9.json`);
      await there.unplugDevice("tap9");
    });

    test("without a policy and a bridge ifup fails; ifdown never does", async () => {
      await there.plugDevice("tap8");
      const { status, stderr } = await there.script("qemu-ifup", ["tap8"]);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /^vn-notify: .*tap8/);
      assert.equal(there.ports().includes("tap8"), false);
      succeeds(await there.script("qemu-ifdown", ["tap8"]));
      succeeds(await there.script("qemu-ifdown", []));
      await there.unplugDevice("tap8");
    });

    test("with a bridge and no policy the TAP is in quarantine", async () => {
      const guest = await there.plugDevice("tap8");
      succeeds(await there.script("qemu-ifup", ["tap8"], { env: { VNETD_BRIDGE: "br0" } }));
      assert.equal(there.ports().includes("tap8"), true);
      assert.equal(await there.passes(guest, "tap8", OWN), false);
      succeeds(await there.script("qemu-ifdown", ["tap8"]));
      await there.unplugDevice("tap8");
    });
  });

  test("a file says what a VIF may send, from its writing on until the operator's word", async () => {
    const guest = await there.plugDevice("tap6");
    const file = (fields: object): void =>
      there.writePolicy("vifs/tap6.json", { ...POLICY, vif: "tap6", ...fields });
    file({});
    await eventually("it is a port", () => there.ports().includes("tap6"));
    await eventually("its own address passes", () => there.passes(guest, "tap6", OWN));
    assert.equal(await there.passes(guest, "tap6", FORGED), false);
    file({ ipv4: ["10.0.0.66"] });
    await eventually("the new address passes", () => there.passes(guest, "tap6", FORGED));
    assert.equal(await there.passes(guest, "tap6", OWN), false);
    file({ ipv4: ["10.0.0.5", "10.0.0.300"] });
    await eventually("the log names it", () =>
      /tap6\.json.*ipv4\[1\].*10\.0\.0\.300/.test(there.host.log),
    );
    rmSync(join(there.policyDir, "vifs/tap6.json"));
    await eventually("the log says so", () => /tap6\.json has gone/.test(there.host.log));
    assert.equal(await there.passes(guest, "tap6", FORGED), true);
    assert.equal(await there.passes(guest, "tap6", OWN), false);
    process.kill(there.host.daemonPid, "SIGHUP");
    await eventually("nothing passes", async () => !(await there.passes(guest, "tap6", FORGED)));
    succeeds(await there.script("qemu-ifdown", ["tap6"]));
    await there.unplugDevice("tap6");
  });

  test("a script's call takes a few milliseconds", async () => {
    const times: number[] = [];
    for (let call = 0; call < 20; call += 1) {
      const begin = performance.now();
      // The socket is in no namespace: without "ip netns exec", which takes longer than the call.
      const script = join(REPOSITORY, "scripts/qemu-ifdown");
      succeeds(await tryRun("env", [`VNETD_RUN_DIR=${there.host.runDir}`, script, "tap7"]));
      times.push(performance.now() - begin);
    }
    const median = times.toSorted((a, b) => a - b)[10] ?? Number.NaN;
    assert.ok(median < (ASSERTS_TIMES ? 15 : 150), `${median} ms`);
  });

  test("a daemon that hangs is waited for 10 s, and then what adds has failed", async () => {
    await there.plugDevice("tap5");
    const pid = there.host.daemonPid;
    process.kill(pid, "SIGSTOP");
    try {
      const begin = performance.now();
      const [add, remove] = await Promise.all([
        there.script("qemu-ifup", ["tap5"], { env: { VNETD_BRIDGE: "br0" } }),
        there.script("qemu-ifdown", ["tap5"]),
      ]);
      const tookMs = performance.now() - begin;
      assert.deepEqual([add.status, remove.status], [1, 0]);
      assert.match(add.stderr, /no answer from vnetd within the deadline/);
      assert.ok(tookMs > 9_900 && tookMs < 20_000, `${tookMs} ms`);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    succeeds(await there.script("qemu-ifdown", ["tap5"]));
    assert.equal(there.ports().includes("tap5"), false);
    await there.unplugDevice("tap5");
  });

  test("with the daemon down, what adds fails and what removes does not", async () => {
    const guest = await there.plugDevice("vif5.0");
    await there.host.stop();
    const add = await there.script("setup-vif-rules", ["x", "vif5.0", VM, "0", "filter"]);
    assert.equal(add.status, 3);
    assert.match(add.stderr, /cannot reach vnetd/);
    assert.equal((await there.script("qemu-ifup", ["vif5.0"])).status, 3);
    const start = ["web", "start", "begin", "-"];
    assert.equal(
      (await there.script("libvirt-qemu-hook", start, { input: "<domain/>" })).status,
      3,
    );
    assert.equal(there.ports().includes("vif5.0"), false);
    succeeds(await there.script("setup-vif-rules", ["x", "vif5.0", VM, "0", "clear"]));
    succeeds(await there.script("qemu-ifdown", ["vif5.0"]));
    for (const operation of ["reconnect", "stopped", "release", "of-a-later-libvirt"]) {
      succeeds(await there.script("libvirt-qemu-hook", ["web", operation, "begin", "-"]));
    }
    await there.startDaemon();
    await guest.close();
    await there.unplugDevice("vif5.0");
  });
});

describe("vif-vnetd with a real xenstored", { skip: SKIP_REASON || xenstoredIsMissing() }, () => {
  const RECORD = `/xapi/${VM}/private/vif/0`;
  const BACKEND = "backend/vif/5/0";
  const STATUS = `/local/domain/0/${BACKEND}/hotplug-status`;
  let there: HotplugHost;
  let store: PrivateXenstored;
  let environment: Record<string, string>;

  before(async () => {
    store = await PrivateXenstored.start();
    process.env["XENSTORED_PATH"] = store.socketPath;
    environment = {
      XENSTORED_PATH: store.socketPath,
      XENBUS_TYPE: "vif",
      XENBUS_PATH: BACKEND,
      XENBUS_BASE_PATH: "backend",
      vif: "vif5.0",
      INTERFACE: "vif5.0-emu",
    };
    there = await HotplugHost.create();
    there.writePolicy("networks/net.json", { bridge: "br0", uplinks: ["uplink"] });
    await there.startDaemon();
    writeAll({
      [`${RECORD}/mac`]: MAC,
      [`${RECORD}/bridge`]: "br0",
      [`${RECORD}/ipv4-allowed`]: "10.0.0.5",
      [`${RECORD}/locking-mode`]: "locked",
      "/local/domain/5/vm": `/vm/${VM}`,
      [`/local/domain/0/${BACKEND}/bridge`]: "br0",
    });
  });
  after(async () => {
    delete process.env["XENSTORED_PATH"];
    await there?.close();
    await store?.stop();
  });

  function writeAll(values: Readonly<Record<string, string>>): void {
    for (const [path, value] of Object.entries(values)) {
      store.write(path, value);
    }
  }

  async function read(path: string): Promise<string> {
    const { stdout } = await there.xenstoreRead(store.socketPath, path);
    return stdout.trim();
  }

  const call = async (command: string, type: string, env: Record<string, string> = environment) =>
    await there.script("vif-vnetd", [command, `type_if=${type}`], { env });

  test("online locks the VIF and says connected; offline takes it off; twice over", async () => {
    const guest = await there.plugDevice("vif5.0");
    for (const round of [1, 2]) {
      succeeds(await call("online", "vif"));
      assert.equal(await read(STATUS), "connected", `round ${round}`);
      assert.equal(await there.passes(guest, "vif5.0", OWN), true);
      assert.equal(await there.passes(guest, "vif5.0", FORGED), false);
      // udev's words for the other kind of device mean nothing for this one.
      succeeds(await call("add", "vif"));
      succeeds(await call("offline", "vif"));
      assert.equal(there.ports().includes("vif5.0"), false);
      store.remove(STATUS);
    }
    await there.unplugDevice("vif5.0");
  });

  test("xenstore-write changes what the guest may send", async () => {
    const guest = await there.plugDevice("vif5.0");
    succeeds(await call("online", "vif"));
    assert.equal(await there.passes(guest, "vif5.0", FORGED), false);
    store.write(`${RECORD}/ipv4-allowed`, "10.0.0.66");
    await eventually("the new address passes", () => there.passes(guest, "vif5.0", FORGED));
    assert.equal(await there.passes(guest, "vif5.0", OWN), false);
    store.write(`${RECORD}/ipv4-allowed`, "10.0.0.300");
    await eventually("the log names it", () => /ipv4-allowed.*10\.0\.0\.300/.test(there.host.log));
    assert.equal(await there.passes(guest, "vif5.0", FORGED), true);
    // A guest's own word: not read at all unless the operator says so.
    store.write("/local/domain/5/vm-data/networking/00163E000005", `{"mac":"${MAC}","ips":[]}`);
    store.write(`${RECORD}/ipv4-allowed`, "10.0.0.5");
    await eventually("the old address passes", () => there.passes(guest, "vif5.0", OWN));
    assert.equal(await there.passes(guest, "vif5.0", FORGED), false);
    succeeds(await call("offline", "vif"));
    await there.unplugDevice("vif5.0");
  });

  test("an HVM guest's TAP is locked by add, and leaves by remove", async () => {
    const guest = await there.plugDevice("vif5.0-emu");
    succeeds(await call("online", "tap"));
    succeeds(await call("add", "tap"));
    assert.equal(await there.passes(guest, "vif5.0-emu", OWN), true);
    assert.equal(await there.passes(guest, "vif5.0-emu", FORGED), false);
    succeeds(await call("remove", "tap"));
    assert.equal(there.ports().includes("vif5.0-emu"), false);
    await there.unplugDevice("vif5.0-emu");
  });

  test("with trust_vm_data a guest narrows what it may send, and never widens it", async () => {
    await there.host.stop();
    await there.startDaemon("--trust-vm-data");
    const data = "/local/domain/5/vm-data/networking/00163E000005";
    const says = (...ips: readonly string[]): void =>
      store.write(data, JSON.stringify({ mac: MAC, ips: ips.map((ip) => ({ ip })) }));
    store.write(`/local/domain/0/${BACKEND}/mac`, MAC);
    store.write(`${RECORD}/ipv4-allowed`, "10.0.0.5,10.0.0.66");
    says("10.0.0.66", "10.0.0.77");
    const guest = await there.plugDevice("vif5.0");
    succeeds(await call("online", "vif"));
    await eventually(
      "its own word counts",
      async () => !(await there.passes(guest, "vif5.0", OWN)),
    );
    assert.equal(await there.passes(guest, "vif5.0", FORGED), true);
    assert.equal(await there.passes(guest, "vif5.0", question(MAC, "10.0.0.77")), false);
    store.remove("/local/domain/5/vm-data");
    await eventually("it takes it back", () => there.passes(guest, "vif5.0", OWN));
    store.write(`${RECORD}/ipv4-allowed`, "10.0.0.5");
    succeeds(await call("offline", "vif"));
    await there.unplugDevice("vif5.0");
  });

  test("a failure is in hotplug-error, and the VIF is denied", async () => {
    const guest = await there.plugDevice("vif5.0");
    store.write(`/local/domain/0/${BACKEND}/bridge`, "br0.10");
    assert.equal((await call("online", "vif")).status, 1);
    assert.equal(await read(STATUS), "error");
    assert.match(await read(`/local/domain/0/${BACKEND}/hotplug-error`), /VLANs belong/);
    assert.equal(await there.passes(guest, "vif5.0", FORGED), false);
    store.write(`/local/domain/0/${BACKEND}/bridge`, "br0");
    succeeds(await call("offline", "vif"));
    await there.host.stop();
    store.remove(STATUS);
    assert.equal((await call("online", "vif")).status, 1);
    assert.equal(await read(STATUS), "error");
    assert.match(await read(`/local/domain/0/${BACKEND}/hotplug-error`), /cannot reach vnetd/);
    assert.equal(there.ports().includes("vif5.0"), false);
    succeeds(await call("offline", "vif"));
    succeeds(await call("remove", "tap"));
    await there.startDaemon();
    await there.unplugDevice("vif5.0");
  });
});

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DataplaneClient } from "../../src/dataplane/client.ts";
import { DataplaneProcess } from "../../src/dataplane/process.ts";
import {
  type DataplaneSettings,
  findProgram,
  formatSwitches,
  programArguments,
} from "../../src/dataplane/settings.ts";
import { FakeDataplane } from "../fakes/fake-dataplane.ts";

const FAKE = fileURLToPath(new URL("../fakes/fake-dataplane-program.js", import.meta.url));

type Connection = { readonly client: DataplaneClient; readonly adopted: boolean };

describe("DataplaneProcess", () => {
  let folder = "";
  let settings: DataplaneSettings;
  let child: ChildProcess | null = null;
  const logged: string[] = [];
  const lines = (_: object, message: string): void => {
    logged.push(message);
  };
  let connections: Connection[] = [];
  let whenConnected: (count: number) => Promise<Connection[]>;
  let owned: DataplaneProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-process-"));
    const program = join(folder, "vnet-dp");
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${FAKE}' "$@"\n`);
    chmodSync(program, 0o755);
    settings = {
      ...{ program, socketPath: join(folder, "dp.sock"), pidFile: join(folder, "dp.pid") },
      ...{ serviceFile: null, user: null, udpPort: 1798 },
      ...{ tapOffload: true, udpSegmentation: true, udpCoalescing: true },
    };
    logged.length = 0;
    connections = [];
    owned = [];
  });
  afterEach(async () => {
    for (const dataplane of owned) {
      await dataplane.shutdown();
    }
    if (child !== null && child.exitCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    child = null;
    rmSync(folder, { recursive: true });
  });

  function makeProcess(changes: Partial<DataplaneSettings> = {}): DataplaneProcess {
    let wake: () => void = () => {};
    whenConnected = async (count) => {
      while (connections.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return connections;
    };
    const dataplane = new DataplaneProcess({
      settings: { ...settings, ...changes },
      log: { info: lines, warn: lines, error: lines },
      onConnected: (client, adopted) => {
        connections.push({ client, adopted });
        wake();
      },
      onLost: () => {},
      onEvent: () => {},
    });
    owned.push(dataplane);
    return dataplane;
  }

  function pidOf(index: number): number {
    return Number(connections[index]?.client.welcome.pid);
  }

  test("starts one when none runs, and a second owner adopts it", async () => {
    const first = makeProcess();
    await first.start();
    assert.equal(connections[0]?.adopted, false);
    first.close();
    const second = makeProcess();
    await second.start();
    assert.equal(connections[1]?.adopted, true);
    assert.equal(pidOf(1), pidOf(0));
    assert.ok(logged.includes("adopted the running vnet-dp"));
  });

  test("one with other options is replaced", async () => {
    const first = makeProcess();
    await first.start();
    first.close();
    const second = makeProcess({ udpSegmentation: false });
    await second.start();
    assert.equal(connections[1]?.adopted, false);
    assert.notEqual(pidOf(1), pidOf(0));
    assert.equal(connections[1]?.client.welcome.options, "--port 1798 --no-udp-gso");
    assert.ok(logged.includes("the running vnet-dp has other options, it is replaced"));
  });

  test("a socket that nobody listens on does not keep one from starting", async () => {
    const first = makeProcess();
    await first.start();
    process.kill(pidOf(0), "SIGKILL");
    first.close();
    assert.ok(existsSync(settings.socketPath));
    const second = makeProcess();
    await second.start();
    assert.equal(connections[1]?.adopted, false);
  });

  test("when it is killed a new one is there within a second", async () => {
    const dataplane = makeProcess();
    await dataplane.start();
    const killedAt = performance.now();
    process.kill(pidOf(0), "SIGKILL");
    await whenConnected(2);
    // The fake is a Node program: most of this is its start.
    assert.ok(performance.now() - killedAt < 5_000);
    assert.notEqual(pidOf(1), pidOf(0));
    assert.equal(dataplane.error, null);
  });

  test("one that dies as soon as it is up is started ever more slowly", async () => {
    const dataplane = makeProcess();
    await dataplane.start();
    const startedAt = performance.now();
    for (let count = 1; count < 6; count += 1) {
      process.kill(pidOf(count - 1), "SIGKILL");
      await whenConnected(count + 1);
    }
    // 50 + 100 + 200 + 400 + 800 ms of waiting, unless a start took a second.
    const gaveUpMs = performance.now() - startedAt;
    assert.ok(gaveUpMs > 1_000, `five starts in ${gaveUpMs} ms`);
  });

  test("when only the connection ends it is adopted again", async () => {
    const running = await FakeDataplane.listen({ socketPath: settings.socketPath });
    const dataplane = makeProcess();
    await dataplane.start();
    running.hangUp();
    await whenConnected(2);
    assert.equal(connections[1]?.adopted, true);
    dataplane.close();
    await running.close();
  });

  test("one that says what is no message is replaced, not adopted without end", async () => {
    const running = await FakeDataplane.listen({ socketPath: settings.socketPath });
    await makeProcess().start();
    running.raiseGarbage();
    await whenConnected(2);
    assert.equal(connections[1]?.adopted, false);
    assert.ok(logged.includes("the running vnet-dp is not understood, it is replaced"));
    await running.close();
  });

  test("one that hangs up on each greeting is replaced", async () => {
    const running = await FakeDataplane.listen({ socketPath: settings.socketPath });
    await makeProcess().start();
    running.hangUp();
    await whenConnected(2);
    assert.equal(connections[1]?.adopted, true);
    running.hangUp();
    await whenConnected(3);
    assert.equal(connections[2]?.adopted, false);
    await running.close();
  });

  test("what it prints instead of `ready` is the reason", async () => {
    const program = join(folder, "failing");
    writeFileSync(
      program,
      "#!/bin/sh\necho 'vnet-dp: Cannot bind UDP port 1798: in use' >&2; exit 1\n",
    );
    chmodSync(program, 0o755);
    const dataplane = makeProcess({ program });
    await assert.rejects(dataplane.start(), {
      code: "VNETD_DATAPLANE_FAILED",
      message: `Cannot start ${program}: Cannot bind UDP port 1798: in use`,
    });
  });

  test("a program that is missing is told by its path", async () => {
    const dataplane = makeProcess({ program: "/nonexistent/vnet-dp" });
    await assert.rejects(dataplane.start(), /Cannot start \/nonexistent\/vnet-dp: .*ENOENT/);
  });

  test("shutdown() ends it, close() does not", async () => {
    const dataplane = makeProcess();
    await dataplane.start();
    const pid = pidOf(0);
    dataplane.close();
    process.kill(pid, 0);
    const again = makeProcess();
    await again.start();
    await again.shutdown();
    // It has ended; that Node has reaped its child is another matter.
    const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "Z";
    assert.match(state, /\bZ\b/);
  });

  describe("as a service", () => {
    let serviceFile: string;
    let running: FakeDataplane | null = null;
    /** What systemd does: starts one, with the switches in the file, when it is asked for. */
    const startService = async (version?: number): Promise<void> => {
      const [, options = ""] =
        /^VNET_DP_OPTIONS="(.*)"$/m.exec(readFileSync(serviceFile, "utf8")) ?? [];
      running = await FakeDataplane.listen({
        ...{ socketPath: settings.socketPath, options },
        ...(version === undefined ? {} : { version }),
        onShutdown: () => void running?.close().then(() => startService()),
      });
    };

    beforeEach(() => {
      serviceFile = join(folder, "vnet-dp.env");
      writeFileSync(serviceFile, 'VNET_DP_OPTIONS="--port 1798"\n');
    });
    afterEach(async () => {
      await running?.close();
      running = null;
    });

    test("is used as it runs, and neither started nor ended by us", async () => {
      await startService();
      const dataplane = makeProcess({ serviceFile, program: "/nonexistent" });
      await dataplane.start();
      assert.equal(dataplane.startedHere, false);
      assert.equal(running?.changes.length, 0);
      await dataplane.close();
      assert.equal(readFileSync(serviceFile, "utf8"), 'VNET_DP_OPTIONS="--port 1798"\n');
    });

    for (const [what, version] of [
      ["has other switches", undefined],
      ["speaks another version", 99],
    ] as const) {
      test(`is started anew, with ours, when it ${what}`, async () => {
        await startService(version);
        const dataplane = makeProcess({ serviceFile, udpCoalescing: false });
        await dataplane.start();
        assert.equal(connections[0]?.client.welcome.options, "--port 1798 --no-udp-gro");
        assert.deepEqual(
          logged.filter((line) => line.includes("anew")),
          ["the service vnet-dp is started anew"],
        );
        await dataplane.close();
      });
    }
  });

  test("a pid file that names another program ends nobody", async () => {
    child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const pid = Number(child.pid);
    // A data plane of another version, whose pid file is stale.
    writeFileSync(settings.pidFile, `${pid}\n`);
    const other = await FakeDataplane.listen({ socketPath: settings.socketPath, version: 99 });
    const dataplane = makeProcess();
    await dataplane.start();
    process.kill(pid, 0);
    assert.equal(readFileSync(settings.pidFile, "utf8"), `${pidOf(0)}\n`);
    await other.close();
  });
});

describe("settings", () => {
  const settings: DataplaneSettings = {
    ...{
      program: "/p",
      socketPath: "/s",
      pidFile: "/f",
      serviceFile: null,
      user: "u",
      udpPort: 1799,
    },
    ...{ tapOffload: false, udpSegmentation: false, udpCoalescing: false },
  };

  test("become the command line of vnet-dp, and the switches what Welcome reports", () => {
    const switches = "--port 1799 --no-tap-offload --no-udp-gso --no-udp-gro";
    assert.equal(formatSwitches(settings), switches);
    assert.equal(
      programArguments(settings).join(" "),
      `--socket /s --pid-file /f --user u ${switches}`,
    );
  });

  test("the program is looked for beside vnetd, then where packages put it", () => {
    assert.equal(findProgram("/nonexistent/bin/vnetd"), "/usr/libexec/vnetd/vnet-dp");
    const folder = mkdtempSync(join(tmpdir(), "vnetd-bin-"));
    writeFileSync(join(folder, "vnet-dp"), "");
    assert.equal(findProgram(join(folder, "vnetd")), join(folder, "vnet-dp"));
    rmSync(folder, { recursive: true });
  });
});

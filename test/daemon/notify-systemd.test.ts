import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { pino } from "pino";
import { linkToSystemd } from "../../src/daemon/notify-systemd.ts";

const silent = pino({ level: "silent" });
const SOCKET = { NOTIFY_SOCKET: "/run/systemd/notify" };

function link(
  environment: Readonly<Record<string, string>>,
  outcome: () => Promise<number> = async () => 0,
) {
  const told: string[] = [];
  const systemd = linkToSystemd({
    ...{ log: silent, environment },
    async run({ program, args }) {
      told.push([program, ...args].join(" "));
      return { exitStatus: await outcome(), stdout: "", stderr: "no" };
    },
  });
  return { systemd, told };
}

describe("linkToSystemd", () => {
  test("says nothing where nobody asked", async () => {
    const { systemd, told } = link({});
    await systemd.ready();
    assert.deepEqual(told, []);
  });

  test("says that the daemon is ready, once, where there is no watchdog", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { systemd, told } = link(SOCKET);
    await systemd.ready();
    t.mock.timers.tick(3_600_000);
    assert.deepEqual(told, ["systemd-notify READY=1"]);
  });

  test("survives that systemd does not hear, or has no systemd-notify", async () => {
    const outcomes: (() => Promise<number>)[] = [
      async () => 1,
      () => Promise.reject(new Error("it is not installed")),
    ];
    for (const outcome of outcomes) {
      const { systemd, told } = link(SOCKET, outcome);
      await systemd.ready();
      assert.deepEqual(told, ["systemd-notify READY=1"]);
    }
  });

  test("gives three signs of life a period, from ready() to close()", async () => {
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const { systemd, told } = link({ ...SOCKET, WATCHDOG_USEC: "30000000" });
      mock.timers.tick(60_000);
      assert.deepEqual(told, []);
      await systemd.ready();
      mock.timers.tick(30_000);
      const sign = "systemd-notify WATCHDOG=1";
      assert.deepEqual(told, ["systemd-notify READY=1", sign, sign, sign]);
      systemd.close();
      mock.timers.tick(60_000);
      assert.equal(told.length, 4);
    } finally {
      mock.timers.reset();
    }
  });
});

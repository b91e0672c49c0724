import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProgramError, type ProgramResult } from "../../src/host/child.ts";
import { OvsError, OvsVsctl } from "../../src/host/ovs-vsctl.ts";

type Recorded = Partial<ProgramResult> | Error;

/** Answers calls from what Open vSwitch 3.1 printed, by a part of the command line. */
function recordedOvs(answers: Readonly<Record<string, Recorded>>): {
  ovs: OvsVsctl;
  calls: string[];
} {
  const calls: string[] = [];
  const ovs = new OvsVsctl(async ({ program, args }) => {
    const call = `${program} ${args.join(" ")}`;
    calls.push(call);
    const [, answer] = Object.entries(answers).find(([part]) => call.includes(part)) ?? [];
    if (answer instanceof Error) {
      throw answer;
    }
    return { exitStatus: 0, stdout: "", stderr: "", ...answer };
  }, "/run/ovs");
  return { ovs, calls };
}

describe("OvsVsctl", () => {
  const CALL = "ovs-vsctl --db=unix:/run/ovs/db.sock --timeout=10";
  const CREATE = `${CALL} add-br br0 -- set Bridge br0 external_ids:vnetd=made`;
  const NOT_SET_UP =
    'ovs-vsctl: Error detected while setting up "br0".  See ovs-vswitchd log for details.\n';

  test("adds a port, and marks a bridge that it makes", async () => {
    const { ovs, calls } = recordedOvs({});
    await ovs.createBridge("br0");
    await ovs.attach("br0", "vnif0097");
    assert.deepEqual(calls, [CREATE, `${CALL} --may-exist add-port br0 vnif0097`]);
  });

  test("sets what a bridge does without a controller, and takes that back", async () => {
    const { ovs, calls } = recordedOvs({});
    await ovs.setFailMode("br0", "standalone");
    await ovs.setFailMode("br0", null);
    assert.deepEqual(calls, [`${CALL} set-fail-mode br0 standalone`, `${CALL} del-fail-mode br0`]);
  });

  test("without a datapath in the kernel, makes a bridge in user space", async () => {
    const calls: string[] = [];
    const ovs = new OvsVsctl(async ({ program, args }) => {
      const call = `${program} ${args.join(" ")}`;
      calls.push(call);
      return { exitStatus: 0, stdout: "", stderr: call === CREATE ? NOT_SET_UP : "" };
    }, "/run/ovs");
    await ovs.createBridge("br0");
    assert.deepEqual(calls, [
      CREATE,
      `${CALL} --if-exists del-br br0`,
      `${CREATE} datapath_type=netdev`,
    ]);
  });

  test("a bridge that cannot be set up at all leaves no trace in the database", async () => {
    const { ovs, calls } = recordedOvs({ "add-br": { stderr: NOT_SET_UP } });
    await assert.rejects(ovs.createBridge("br0"), /Cannot create bridge br0: Error detected/);
    assert.equal(calls.at(-1), `${CALL} --if-exists del-br br0`);
  });

  test("bridgeExists() reads the exit status", async () => {
    const { ovs } = recordedOvs({ "br-exists absent": { exitStatus: 2 } });
    assert.equal(await ovs.bridgeExists("br0"), true);
    assert.equal(await ovs.bridgeExists("absent"), false);
  });

  test("mapPorts() maps the ports of every bridge", async () => {
    const { ovs } = recordedOvs({
      "list-br": { stdout: "br0\nbr1\nbr2\n" },
      "--oneline": { stdout: "eth1\\nvnif0097\n\nvif1.0\n" },
    });
    assert.deepEqual(
      [...(await ovs.mapPorts())],
      [
        ["eth1", "br0"],
        ["vnif0097", "br0"],
        ["vif1.0", "br2"],
      ],
    );
  });

  test("isOurs() reads the mark", async () => {
    const { ovs } = recordedOvs({ "get Bridge br0": { stdout: "made\n" } });
    assert.equal(await ovs.isOurs("br0"), true);
    assert.equal(await ovs.isOurs("br1"), false);
  });

  const refusals: readonly (readonly [string, Recorded, RegExp])[] = [
    [
      "no database",
      {
        exitStatus: 1,
        stderr:
          "ovs-vsctl: unix:/run/ovs/db.sock: database connection failed (No such file or directory)\n",
      },
      /Cannot attach p to br0: unix:\/run\/ovs\/db.sock: database connection failed/,
    ],
    [
      "not installed",
      new ProgramError("ovs-vsctl", "ENOENT", "it is not installed"),
      /Open vSwitch is not installed/,
    ],
    [
      "a device that vswitchd cannot make, with exit status 0",
      {
        stderr:
          'ovs-vsctl: Error detected while setting up "br0".  See ovs-vswitchd log for details.\n',
      },
      /Error detected while setting up "br0"/,
    ],
  ];
  for (const [name, answer, message] of refusals) {
    test(`${name} is told in a line`, async () => {
      const { ovs } = recordedOvs({ "add-port": answer });
      const attached = ovs.attach("br0", "p");
      await assert.rejects(attached, OvsError);
      await assert.rejects(ovs.attach("br0", "p"), message);
    });
  }
});

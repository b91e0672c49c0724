/**
 * The running daemon behind its socket: the contract that the in-memory API keeps, the examples
 * of docs/CONTROL.md, and `vn` in every format.
 *
 *     host a ── u1 ── segment 0
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { createControlClient } from "../../src/control/client.ts";
import { describeContract } from "../control/contract.ts";
import { DOCUMENTED_SOCKET, findExamples, readControlDocument } from "../control/documentation.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { run } from "./programs.ts";

/** The end of the host's link; any device with a MAC of its own would do. */
const DEVICE = "u1";
const DEVICE_MAC = "02:00:5e:00:53:01";

/** Examples that need a key file or Open vSwitch; the fake API's suite holds them to their answers. */
const NEEDS_MORE =
  /keyFile|vnetd\/(?:keys|sa-exports|vif-rules|groups|networks|libvirt-hook|vif-hotplug|captures)\b/;

/** What is answered where no answer is shown: nothing, text, or JSON. */
function formOf(command: string): RegExp {
  if (command.includes("DELETE")) {
    return /^$/;
  }
  if (command.includes("/names")) {
    return /^97\n(\S+\n)*$/;
  }
  return command.includes("/metrics") ? /^# (HELP|TYPE) vnetd_/ : /^[[{].*[\]}]\n$/s;
}

type Started = { readonly lab: Lab; readonly host: Host; readonly socketPath: string };

async function startHost(): Promise<Started> {
  const lab = await Lab.create();
  const host = await Host.create(lab, "a", [await lab.segment()]);
  await run("ip", ["-n", host.namespace, "link", "set", DEVICE, "address", DEVICE_MAC]);
  await host.start();
  return { lab, host, socketPath: join(host.runDir, "vnetd.sock") };
}

describe("the control API of a running vnetd", { skip: SKIP_REASON }, () => {
  describeContract({
    subject: "vnetd",
    device: { name: DEVICE, mac: DEVICE_MAC },
    peerAddress: "10.90.0.77",
    start: async () => {
      const { lab, socketPath } = await startHost();
      return { api: createControlClient(socketPath), close: () => lab.close() };
    },
  });

  describe("on a host of its own", () => {
    let started: Started;
    before(async () => {
      started = await startHost();
    });
    after(async () => {
      await started?.lab.close();
    });

    test("the examples of docs/CONTROL.md succeed and answer what is shown", async () => {
      const examples = findExamples(await readControlDocument());
      for (const { command, answer } of examples.filter((one) => !NEEDS_MORE.test(one.command))) {
        const script = command
          .replaceAll(DOCUMENTED_SOCKET, started.socketPath)
          .replace("curl ", "curl --silent --show-error --fail-with-body ");
        const { stdout } = await promisify(execFile)("sh", ["-c", script]);
        if (answer !== undefined) {
          assertShows(JSON.parse(stdout), answer, command);
        } else {
          assert.match(stdout, formOf(command), command);
        }
      }
    });

    test("the socket is for its owner and, where it exists, the group vnetd", async () => {
      const { mode, uid } = await stat(started.socketPath);
      assert.ok([0o600, 0o660].includes(mode & 0o777));
      assert.equal(uid, 0);
    });

    test("vn prints every listing in every format", async () => {
      const { host } = started;
      await host.vn("vnet-create", "-v", "vnc-a", "4a:1");
      await host.vn("vif-add", "vnc-a", "00:16:3e:4a:00:01");
      await host.vn("peer-add", "10.90.0.99");
      for (const noun of ["vnets", "vifs", "peers", "varp", "stats"]) {
        assert.match(await host.vn(noun), /^[A-Z]+( +[A-Z]+)+\n/, noun);
        assert.ok(Array.isArray(await host.vnJson(noun)), noun);
        assert.match(await host.vn(noun, "-o", "sxp"), /^\([a-z]/, noun);
      }
      assert.match(await host.vn("status"), /^vnetd +serving, version /);
      assert.match(await host.vn("eval", "(vnet.list)"), /^\(vnet \(id 0000:.*:004a:0001\)/m);
      await host.vn("peer-delete", "10.90.0.99");
      await host.vn("vnet-delete", "vnc-a");
    });

    test("vn ends with 1, 2 or 3, with one line, and nothing is changed", async () => {
      const { host } = started;
      const before = await host.vn("vnets");
      const CASES: readonly (readonly [status: number, args: readonly string[]])[] = [
        [1, ["vnet-delete", "4711"]],
        [1, ["peer-add", "no-such-host.invalid"]],
        [1, ["vif-add", "-i", "4711", "u1"]],
        [1, ["vnet-create", "-v", "u1", "4a:2"]],
        [2, ["vnet-create", "1"]],
        [2, ["vnet-create", "0"]],
        [2, ["peer-add", host.address]],
        [2, ["eval", "(vnet.add (id 97)"]],
        [3, ["status", "--run-dir", "/nonexistent"]],
      ];
      for (const [status, args] of CASES) {
        const outcome = await host.tryVn(...args);
        assert.equal(outcome.status, status, args.join(" "));
        assert.equal(outcome.stdout, "", args.join(" "));
        assert.match(outcome.stderr, /^vn: [^\n]+\n$/, args.join(" "));
      }
      assert.equal(await host.vn("vnets"), before);
    });
  });
});

/**
 * That a real answer has the keys of the documented one, all the way down. A list may be empty
 * here (nothing is learned on a lonely host), and there are more counters than the page shows.
 */
function assertShows(actual: unknown, shown: unknown, where: string): void {
  if (Array.isArray(shown)) {
    assert.ok(Array.isArray(actual), where);
    for (const element of shown.length === 0 ? [] : actual) {
      assertShows(element, shown[0], `${where}[]`);
    }
  } else if (typeof shown === "object" && shown !== null) {
    assert.ok(typeof actual === "object" && actual !== null, where);
    const fields = new Map(Object.entries(actual));
    if (!where.endsWith(".counters")) {
      assert.deepEqual([...fields.keys()].sort(), Object.keys(shown).sort(), where);
    }
    for (const [key, value] of Object.entries(shown)) {
      assertShows(fields.get(key), value, `${where}.${key}`);
    }
  } else if (shown !== null && actual !== null) {
    // Either may be null where a value can be missing: a name, an error.
    assert.equal(typeof actual, typeof shown, where);
  }
}

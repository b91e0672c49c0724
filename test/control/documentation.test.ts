import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { CONTROL_ERROR_STATUS } from "../../src/control/control-error.ts";
import { type ControlServer, serveControl } from "../../src/control/server.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import {
  DOCUMENTED_SOCKET,
  findErrorCodes,
  findExamples,
  readControlDocument,
  shapeOf,
} from "./documentation.ts";
import { FakeControlApi } from "./fake-control-api.ts";

const HAS_CURL = spawnSync("curl", ["--version"]).status === 0;

/** What is answered where no answer is shown: nothing, text, or JSON as shown above it. */
function answerForm(command: string): RegExp {
  if (/DELETE|\/log |\/libvirt-hook /.test(command)) {
    return /^$/;
  }
  if (command.includes("/names")) {
    return /^(\S+\n)*$/;
  }
  return command.includes("/metrics") ? /^# (HELP|TYPE) vnetd_/ : /^[[{].*[\]}]\n$/s;
}

describe("docs/CONTROL.md", () => {
  test("lists every error code with its status, and no other", async () => {
    const documented = findErrorCodes(await readControlDocument());
    assert.deepEqual(
      Object.fromEntries([...documented].sort()),
      Object.fromEntries(Object.entries(CONTROL_ERROR_STATUS).sort()),
    );
  });

  test("has an example of every path, with and without an answer", async () => {
    const examples = findExamples(await readControlDocument());
    const seen = examples.map(({ command }) => {
      const method = /-X (DELETE)/.exec(command)?.[1] ?? (/ -d /.test(command) ? "POST" : "GET");
      return `${method} ${/http:\/\/vnetd(\/[a-z-]+)/.exec(command)?.[1]}`;
    });
    const nouns = ["/vnets", "/vifs", "/peers", "/keys", "/vif-rules", "/groups", "/networks"];
    const expected = [
      "GET /status",
      "GET /varp",
      "DELETE /varp",
      "GET /stats",
      "GET /traffic",
      "POST /eval",
      "POST /sa-exports",
      "POST /vif-hotplug",
      "POST /libvirt-hook",
      "GET /metrics",
      "GET /names",
      ...nouns.flatMap((noun) => [`GET ${noun}`, `POST ${noun}`, `DELETE ${noun}`]),
    ];
    assert.deepEqual([...new Set(seen)].sort(), expected.sort());
  });

  describe("its examples, run in their order", {
    skip: HAS_CURL ? false : "curl is not installed",
  }, () => {
    let directory = "";
    let server: ControlServer;
    const socketPath = () => join(directory, "vnetd.sock");
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), "vnt-control-"));
      const api = new FakeControlApi();
      api.learn({
        vnet: parseVnetId("97"),
        mac: parseMacAddress("00:16:3e:0a:0b:0c"),
        state: "reachable",
        host: { address: parseIpAddress("192.0.2.2"), udpPort: 1798 },
        ageMs: 1_500,
        pinned: false,
      });
      server = await serveControl({
        socketPath: socketPath(),
        api,
        log: { info() {}, error() {} },
      });
    });
    after(async () => {
      await server.close();
      await rm(directory, { recursive: true });
    });

    test("succeed and answer what is shown", async () => {
      for (const { command, answer } of findExamples(await readControlDocument())) {
        assert.ok(command.includes(DOCUMENTED_SOCKET), command);
        const script = command
          .replaceAll(DOCUMENTED_SOCKET, socketPath())
          .replace("curl ", "curl --silent --show-error --fail-with-body ");
        const { stdout } = await promisify(execFile)("sh", ["-c", script]);
        if (answer !== undefined) {
          assert.deepEqual(shapeOf(JSON.parse(stdout)), shapeOf(answer), command);
        } else {
          assert.match(stdout, answerForm(command), command);
        }
      }
    });
  });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { StateFileError } from "../../src/daemon/durable-document.ts";
import { formatState, parseState, StateFile } from "../../src/daemon/state-file.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { type DesiredState, EMPTY_DESIRED_STATE } from "../../src/vnet/desired-state.ts";
import { completeVnetConfig } from "../../src/vnet/vnet-config.ts";

const STATE: DesiredState = {
  vnets: [
    completeVnetConfig({ id: parseVnetId("97"), bridge: "vnet97" }),
    completeVnetConfig({ id: parseVnetId("98"), encapsulation: "etherip", mtu: 1400 }),
  ],
  peers: [{ endpoint: { address: parseIpAddress("10.0.0.2"), udpPort: 1798 }, name: "two" }],
  pinnedVifs: [{ vnet: parseVnetId("97"), mac: parseMacAddress("00:16:3e:00:00:01") }],
  multicastGroup: parseIpAddress("224.10.0.2"),
};

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-state-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("StateFile", () => {
  test("what is saved is loaded; nothing saved is an empty state", async () => {
    const file = new StateFile(join(folder, "new"));
    assert.deepEqual(await file.load(), EMPTY_DESIRED_STATE);
    await file.save(STATE);
    assert.deepEqual(await new StateFile(join(folder, "new")).load(), STATE);
    assert.deepEqual(readdirSync(join(folder, "new")), ["state.json"]);
  });

  test("saves at the same time leave the last one, and every one is acknowledged", async () => {
    const file = new StateFile(folder);
    const states = Array.from({ length: 50 }, (_, index) => ({
      ...STATE,
      multicastGroup: parseIpAddress(`224.10.1.${index}`),
    }));
    await Promise.all(states.map((state) => file.save(state)));
    assert.deepEqual(await file.load(), states.at(-1));
  });

  test("a save that fails is told, and the next one is tried", async () => {
    const file = new StateFile(join(folder, "gone"));
    await assert.rejects(file.save(STATE), StateFileError);
    await file.load();
    await file.save(STATE);
    assert.deepEqual(await file.load(), STATE);
  });

  test("every torn file is refused by its name and left as it is", async () => {
    const text = formatState(STATE);
    const file = new StateFile(folder);
    for (let length = 0; length < text.length - 1; length += 7) {
      writeFileSync(file.path, text.slice(0, length));
      await assert.rejects(
        file.load(),
        (error: unknown) =>
          error instanceof StateFileError &&
          error.message.includes(file.path) &&
          error.message.includes("not whole JSON"),
      );
      assert.equal(readFileSync(file.path, "utf8"), text.slice(0, length));
    }
  });

  test("a file that cannot be read is told", async () => {
    const file = new StateFile(folder);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "a file, not a folder");
    await assert.rejects(file.load(), /Cannot create the folder of state file .*state\.json/);
    rmSync(folder);
    folder = mkdtempSync(join(tmpdir(), "vnetd-state-"));
  });

  test("SIGKILL at any moment leaves what was acknowledged, or what came after it", async () => {
    const writer = fileURLToPath(new URL("state-writer.js", import.meta.url));
    const file = new StateFile(folder);
    for (let round = 0; round < 12; round += 1) {
      const child = spawn(process.execPath, [writer, folder], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      let acknowledged = 0;
      let killAfter = 3 + round;
      createInterface({ input: child.stdout }).on("line", (line) => {
        acknowledged = Number(line);
        killAfter -= 1;
        if (killAfter === 0) {
          // Somewhere in the writing of a later one.
          setTimeout(() => child.kill("SIGKILL"), (round % 4) * 0.7);
        }
      });
      await once(child, "close");
      const { peers } = await file.load();
      const stored = Number(peers[0]?.endpoint.udpPort ?? 0);
      assert.ok(stored >= acknowledged, `stored ${stored}, acknowledged ${acknowledged}`);
      assert.ok(acknowledged > 0);
    }
  });
});

describe("parseState", () => {
  for (const [text, message] of [
    ["", /not whole JSON/],
    ["null", /no schema version/],
    ['{"vnets":[]}', /no schema version/],
    [`{"schema":2}`, /schema version is 2, this vnetd reads version 1/],
    ['{"schema":1}', /at vnets/],
    [formatState(STATE).replace("vnif0097", "x".repeat(16)), /at vnets\.0\.vnetif: .*15 bytes/],
    [formatState(STATE).replace("10.0.0.2", "10.0.0"), /at peers\.0\.endpoint\.address/],
    [formatState(STATE).replace('"mtu"', '"mut"'), /at vnets\.0/],
  ] as const) {
    test(`refuses ${text.slice(0, 30)}… and says where`, () => {
      assert.throws(() => parseState(text, "/var/lib/vnetd/state.json"), StateFileError);
      assert.throws(() => parseState(text, "/var/lib/vnetd/state.json"), message);
    });
  }

  test("never throws anything else, whatever is in the file", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseState(text, "x");
        } catch (error) {
          assert.ok(error instanceof StateFileError);
        }
      }),
    );
  });
});

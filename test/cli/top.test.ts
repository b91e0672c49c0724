import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";
import { runVn } from "./fake-io.ts";

/** The least there is; nothing here waits for a rate to be right. */
const SOON = ["-d", "0.2"];

async function daemon(): Promise<FakeControlApi> {
  const api = new FakeControlApi();
  await api.createVnets([{ id: parseVnetId("97") }]);
  await api.addPeer("198.51.100.7", null);
  return api;
}

describe("vn top", () => {
  test("--once prints rates between two readings, of all or of one view", async () => {
    const api = await daemon();
    const { status, stdout } = await runVn(["top", "--once", ...SOON], { api });
    assert.equal(status, 0);
    assert.match(stdout, /^out 800k bit\/s 1\.00k frames\/s {2}in 800k bit\/s .* dropped 10\/s\n/);
    assert.match(stdout, /^warning: vnet 97: drops a second: drop-short 10$/m);
    assert.match(stdout, /^\* 97 +up +vnif0097 +800k +1\.00k +800k +1\.00k +10 +none/m);
    assert.match(stdout, /^ {2}198\.51\.100\.7:1798 /m);
    const one = await runVn(["top", "--once", "--view", "hosts", ...SOON], { api });
    assert.doesNotMatch(one.stdout, /vnif0097/);
  });

  test("--once --json has counters, rates and problems", async () => {
    const { stdout } = await runVn(["top", "--once", "--json", ...SOON], { api: await daemon() });
    const { traffic, rates, problems } = JSON.parse(stdout);
    assert.equal(traffic.vnets[0].vnetif, "vnif0097");
    assert.equal(rates.total.outBits, 800_000);
    assert.equal(rates.vnets[traffic.vnets[0].vnet].drops, 10);
    assert.equal(problems[0].subject, "vnet 97");
  });

  test("refuses what it cannot do, and touches no terminal", async () => {
    const CASES: readonly (readonly [args: readonly string[], status: number, message: RegExp])[] =
      [
        [[], 2, /no terminal that can be drawn on: say --once/],
        [["--json"], 2, /--json needs --once/],
        [["--view", "x"], 2, /vnets, vifs, hosts, problems/],
        [["-d", "0"], 2, /Not a number of seconds, 0\.2 … 60 \("0"\)/],
        [["-d", "1e1"], 2, /Not a number of seconds/],
      ];
    for (const [args, status, message] of CASES) {
      const outcome = await runVn(["top", ...args], { api: await daemon() });
      assert.equal(outcome.status, status, args.join(" "));
      assert.match(outcome.stderr, message);
    }
    assert.equal((await runVn(["top"], { api: null })).status, 3);
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { DataplaneClient, DataplaneError } from "../../src/dataplane/client.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { DataplaneCommand, DataplaneEvent } from "../../src/vnet/dataplane-messages.ts";
import { FakeDataplane } from "../fakes/fake-dataplane.ts";

const VNET = parseVnetId("97");
const ENXIO = 6;

function setVnet(name: string): DataplaneCommand {
  return {
    kind: "set-vnet",
    vnet: parseVnetId(name),
    deviceName: `vnif${name}`,
    ...{ encapsulation: 0, mtuBytes: 1500, fdbLimit: 100, vifLimit: 100, security: 0 },
  };
}

describe("DataplaneClient", () => {
  let folder = "";
  let fake: FakeDataplane;
  const events: DataplaneEvent[] = [];
  const ends: string[] = [];
  let ended: (why: string) => void = () => {};

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-client-"));
    fake = await FakeDataplane.listen({ socketPath: join(folder, "dp.sock") });
    events.length = 0;
    ends.length = 0;
  });
  afterEach(async () => {
    await fake.close();
    rmSync(folder, { recursive: true });
  });

  function connect(): Promise<DataplaneClient> {
    return DataplaneClient.connect({
      socketPath: join(folder, "dp.sock"),
      onEvent: (event) => events.push(event),
      onEnd: (why) => {
        ends.push(why);
        ended(why);
      },
    });
  }

  function whenEnded(): Promise<string> {
    return new Promise((resolve) => {
      ended = resolve;
    });
  }

  test("greets, and keeps what the data plane says of itself", async () => {
    const client = await connect();
    assert.equal(client.welcome.options, "--port 1798");
    assert.equal(client.welcome.bootId, 1n);
    client.close();
    assert.deepEqual(ends, [], "a hang-up of ours is no end of the data plane");
  });

  test("nobody there is the system's error", async () => {
    await fake.close();
    await assert.rejects(connect(), { code: "ENOENT" });
  });

  test("another version is refused with its errno", async () => {
    await fake.close();
    fake = await FakeDataplane.listen({ socketPath: join(folder, "dp.sock"), version: 99 });
    await assert.rejects(
      connect(),
      (error: unknown) => error instanceof DataplaneError && error.errno === 71,
    );
  });

  test("answers go to the command that asked", async () => {
    const client = await connect();
    const [, state, counters] = await Promise.all([
      client.request(setVnet("97")),
      client.request({ kind: "get-state" }),
      client.request({ kind: "get-counters", vnet: VNET }),
    ]);
    assert.deepEqual(
      state.map(({ kind }) => kind),
      ["vnet-state"],
    );
    assert.deepEqual(
      counters.map(({ kind }) => kind),
      ["counters"],
    );
    client.close();
  });

  test("apply() does what it can and returns what was refused", async () => {
    fake.refuse = (command) =>
      command.kind === "set-vnet" && command.deviceName === "vnif2"
        ? { error: ENXIO, message: "no such device vnif2" }
        : null;
    const client = await connect();
    const failures = await client.apply([setVnet("2"), setVnet("3")]);
    assert.deepEqual(
      failures.map(({ command, error }) => [command.kind, error.errno, error.message]),
      [["set-vnet", ENXIO, "vnet-dp refused set-vnet: no such device vnif2"]],
    );
    assert.deepEqual([...fake.vnets.keys()], [parseVnetId("3")]);
    client.close();
  });

  test("apply() of thousands of commands and a long list arrives whole", async () => {
    const client = await connect();
    const vnets = Array.from({ length: 2_000 }, (_, index) => setVnet((index + 2).toString(16)));
    const underlay: DataplaneCommand = {
      kind: "set-underlay",
      ...{ deviceIndex: 1, mtuBytes: 1500, sourceAddress4: null, sourceAddress6: null },
      ...{ group4: null, group6: null, multicastTtl: 1, multicast: false, localAddresses: [] },
      guestSideDevices: Array.from({ length: 4_000 }, (_, index) => index + 10),
      localPrefixLengths: [],
    };
    assert.deepEqual(await client.apply([...vnets, underlay]), []);
    assert.equal(fake.vnets.size, 2_000);
    assert.deepEqual(fake.underlay, underlay);
    client.close();
  });

  test("events come up as they are raised", async () => {
    const client = await connect();
    fake.raise({ kind: "fdb-miss", vnet: VNET, mac: "02:00:00:00:00:01" as never });
    await client.request({ kind: "get-state" });
    assert.deepEqual(events, [{ kind: "fdb-miss", vnet: VNET, mac: "02:00:00:00:00:01" }]);
    client.close();
  });

  test("the end of the connection fails what is unanswered and is told once", async () => {
    const client = await connect();
    fake.refuse = (command) => {
      if (command.kind === "get-state") {
        fake.hangUp();
      }
      return null;
    };
    const end = whenEnded();
    await assert.rejects(client.request({ kind: "get-state" }), /Cannot ask vnet-dp \(get-state\)/);
    await end;
    await assert.rejects(client.request({ kind: "get-state" }), /it is gone/);
    await assert.rejects(client.apply([setVnet("2")]), DataplaneError);
    assert.equal(ends.length, 1);
  });

  test("octets that are no message end the connection", async () => {
    const client = await connect();
    const end = whenEnded();
    fake.raiseGarbage();
    assert.match(await end, /length/);
    await assert.rejects(client.request({ kind: "get-state" }), DataplaneError);
  });
});

/** What happens to a daemon on a fake host and a fake data plane, as a reader of its events sees it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { EventView } from "../../src/control/events-api.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { eventually } from "../netns/wait.ts";
import { Stand } from "./stand.ts";

const ID = parseVnetId("97");
const MAC = parseMacAddress("00:16:3e:00:00:01");
const HOST = { address: parseIpAddress("10.9.0.2"), udpPort: 1798 };
const EVERYTHING = { events: [], vnets: [], peers: [], vifs: [] };

/** Gathers what a reader is given. */
async function watch(stand: Stand): Promise<EventView[]> {
  const seen: EventView[] = [];
  const chunks = await stand.parts.service.watchEvents(EVERYTHING);
  void (async () => {
    for await (const chunk of chunks) {
      const lines = Buffer.from(chunk).toString().trimEnd().split("\n");
      seen.push(...lines.map((line) => JSON.parse(line) as EventView));
    }
  })();
  return seen;
}

describe("events of the daemon", () => {
  let stand: Stand;
  beforeEach(async () => {
    stand = await Stand.start();
  });
  afterEach(async () => {
    stand.parts.service.stop();
    await stand.close();
  });
  const kindsOf = (seen: readonly EventView[]) => seen.map(({ event }) => event);

  test("vnets come, fail, recover and go; what was there before is no news", async () => {
    await stand.parts.service.createVnets([{ id: ID }]);
    const seen = await watch(stand);
    const other = parseVnetId("98");
    await stand.parts.service.createVnets([{ id: other }]);
    stand.host.refuse = (command) => (command.includes("vnif0098") ? "no vnif0098" : null);
    stand.host.links.delete("vnif0098");
    await stand.parts.overlay.reconcile();
    await eventually("it fails", () => kindsOf(seen).includes("vnet-failed"));
    stand.host.refuse = () => null;
    await eventually("it recovers", async () => {
      await stand.parts.overlay.reconcile();
      return kindsOf(seen).includes("vnet-recovered");
    });
    await stand.parts.service.deleteVnets([other], { bridge: false });
    await eventually("it goes", () => kindsOf(seen).includes("vnet-removed"));
    assert.deepEqual(kindsOf(seen), [
      "vnet-added",
      "vnet-failed",
      "vnet-recovered",
      "vnet-removed",
    ]);
    assert.ok(seen.every(({ vnet }) => vnet === other));
    assert.match(seen[1]?.reason ?? "", /vnif0098/);
  });

  test("a MAC that moves is told, and when it does so all the time, that too", async () => {
    await stand.parts.service.createVnets([{ id: ID }]);
    const seen = await watch(stand);
    for (let index = 0; index < 5; index += 1) {
      const learned = { vnet: ID, mac: MAC, host: HOST, moved: true } as const;
      stand.fake.raise({ kind: "fdb-learned", ...learned });
    }
    await eventually("all are told", () => seen.length === 5);
    const moved = "mac-moved" as const;
    assert.deepEqual(kindsOf(seen), [moved, moved, moved, moved, "mac-duplicate"]);
    assert.deepEqual([seen[0]?.mac, seen[0]?.vnet, seen[0]?.peer], [MAC, ID, "10.9.0.2:1798"]);
  });

  test("a data plane that dies is told once, and not of every vnet", async () => {
    await stand.parts.service.createVnets([{ id: ID }, { id: parseVnetId("98") }]);
    const seen = await watch(stand);
    await stand.loseDataplane();
    await eventually("it is back", () => kindsOf(seen).includes("dataplane-up"));
    await stand.settled();
    assert.deepEqual(kindsOf(seen), ["dataplane-down", "dataplane-up"]);
    assert.deepEqual(
      seen.map(({ level }) => level),
      ["warning", "info"],
    );
  });

  test("an underlay that goes and comes is told once, and not of every vnet", async () => {
    await stand.parts.service.createVnets([{ id: ID }]);
    const seen = await watch(stand);
    const { addresses } = stand.host;
    const kept = [...addresses];
    addresses.length = 0;
    await stand.parts.overlay.reconcile();
    addresses.push(...kept);
    await stand.parts.overlay.reconcile();
    await eventually("it is back", () => kindsOf(seen).includes("underlay-up"));
    assert.deepEqual(kindsOf(seen), ["underlay-down", "underlay-up"]);
  });

  test("many drops of one reason between two readings are a burst", async () => {
    await stand.parts.service.createVnets([{ id: ID }]);
    const seen = await watch(stand);
    stand.fake.counts.set("drop-esp-forged", 7n);
    await eventually("it was read", () => stand.fake.countersRead > 1);
    assert.deepEqual(seen, []);
    stand.fake.counts.set("drop-esp-forged", 1_007n);
    await eventually("a burst", () => seen.length >= 2);
    assert.deepEqual(
      seen.map(({ event, vnet, reason, count }) => [event, vnet, reason, count]),
      [
        ["drop-burst", null, "drop-esp-forged", 1_000],
        ["drop-burst", ID, "drop-esp-forged", 1_000],
      ],
    );
  });
});

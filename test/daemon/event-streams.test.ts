import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EventFilter, EventView } from "../../src/control/events-api.ts";
import { EventStreams } from "../../src/daemon/event-streams.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

const EVERYTHING: EventFilter = { events: [], vnets: [], peers: [], vifs: [] };
const VNET = parseVnetId("97");

function read(chunk: IteratorResult<Uint8Array>): EventView[] {
  assert.equal(chunk.done, false);
  const lines = Buffer.from(chunk.value).toString().trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as EventView);
}

function open(events: EventStreams, filter: Partial<EventFilter> = {}) {
  return events.open({ ...EVERYTHING, ...filter })[Symbol.asyncIterator]();
}

describe("EventStreams", () => {
  test("an event is a line with all fields, the instant and how bad it is", async () => {
    const events = new EventStreams(() => new Date(1_700_000_000_123));
    const reader = open(events);
    const mac = parseMacAddress("00:16:3e:00:00:01");
    const next = reader.next();
    events.emit({ event: "mac-moved", vnet: VNET, mac, message: "moved" });
    assert.deepEqual(read(await next), [
      {
        ...{ at: "2023-11-14T22:13:20.123Z", event: "mac-moved", level: "info", vnet: VNET, mac },
        ...{ peer: null, vif: null, reason: null, count: null, message: "moved" },
      },
    ]);
    events.emit({ event: "clone", message: "!" });
    assert.equal(read(await reader.next())[0]?.level, "warning");
  });

  test("a reader gets what passes its filter", async () => {
    const events = new EventStreams();
    const readers = {
      all: open(events),
      kind: open(events, { events: ["vif-denied"] }),
      firstWord: open(events, { events: ["vif", "peer-up"] }),
      vnet: open(events, { vnets: [VNET] }),
      vif: open(events, { vifs: ["vif5.0"] }),
      peer: open(events, { peers: ["2001:db8::1", "192.0.2.1:1798"] }),
    };
    events.emit({ event: "vif-applied", vif: "vif5.0", message: "1" });
    events.emit({ event: "vif-denied", vif: "vif6.0", message: "2" });
    events.emit({ event: "peer-up", vnet: VNET, peer: "192.0.2.1:1798", message: "3" });
    events.emit({ event: "peer-down", vnet: VNET, peer: "[2001:db8::1]:1798", message: "4" });
    const got: Record<string, string> = {};
    for (const [name, reader] of Object.entries(readers)) {
      got[name] = read(await reader.next())
        .map(({ message }) => message)
        .join("");
    }
    assert.deepEqual(got, {
      ...{ all: "1234", kind: "2", firstWord: "123", vnet: "34", vif: "1", peer: "34" },
    });
  });

  test("who does not read misses events and is told how many, others miss none", async () => {
    const events = new EventStreams();
    const slow = open(events, { events: ["clone"] });
    const quick = open(events);
    let heard = 0;
    for (let round = 0; round < 50; round += 1) {
      for (let index = 0; index < 100; index += 1) {
        events.emit({ event: "clone", message: `${round}` });
      }
      heard += read(await quick.next()).length;
    }
    assert.equal(heard, 5_000);
    const late = read(await slow.next());
    const last = late.at(-1);
    assert.equal(late.length, 1_024 + 1);
    assert.deepEqual([last?.event, last?.count], ["events-lost", 5_000 - 1_024]);
    events.emit({ event: "clone", message: "after" });
    assert.deepEqual(
      read(await slow.next()).map(({ event }) => event),
      ["clone"],
    );
  });

  test("it is known whether anybody watches; readers are limited, and end", async () => {
    const events = new EventStreams();
    const told: boolean[] = [];
    events.onWatched((isWatched) => told.push(isWatched));
    const readers = Array.from({ length: 32 }, () => open(events));
    assert.throws(() => open(events), { code: "VNETD_LIMIT" });
    const waiting = readers[0]?.next();
    for (const reader of readers.slice(1)) {
      await reader.return?.();
    }
    assert.deepEqual([events.isWatched, told], [true, [true]]);
    events.end();
    assert.deepEqual(await waiting, { done: true, value: undefined });
    assert.deepEqual([events.isWatched, told], [false, [true, false]]);
  });
});

import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { pino } from "pino";
import { EventStreams } from "../../src/daemon/event-streams.ts";
import { SecureAlerts } from "../../src/daemon/secure-alerts.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { SecureAlert } from "../../src/vnet/secure-events.ts";

const [VNET, OTHER] = [parseVnetId("97"), parseVnetId("98")];

describe("SecureAlerts", () => {
  const countLines = (code: SecureAlert, vnets = [VNET]): number => {
    let lineCount = 0;
    const stream = new Writable({
      write: (_line, _encoding, done) => {
        lineCount += 1;
        done();
      },
    });
    const alerts = new SecureAlerts({ log: pino(stream), events: new EventStreams() });
    for (let now = 0; now < 20_000; now += 100) {
      for (const vnet of vnets) {
        alerts.tell({ kind: "alert", code, vnet, host: null }, now);
      }
    }
    return lineCount;
  };

  test("strangers cannot fill the log", () => {
    assert.equal(countLines("key-mismatch"), 5);
    assert.equal(countLines("suite-mismatch"), 5);
  });

  test("one vnet's strangers do not hide another's", () => {
    assert.equal(countLines("key-mismatch", [VNET, OTHER]), 10);
  });

  test("what only hosts with the key bring about is told each time", () => {
    assert.equal(countLines("host-up"), 200);
  });
});

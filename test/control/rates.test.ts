import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { restAfter } from "../../src/control/pace.ts";
import { formatRate, printable } from "../../src/control/rate-text.ts";
import { addReading, type Rate } from "../../src/control/rates.ts";
import type { TrafficView } from "../../src/control/traffic-api.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import {
  carried,
  hostTraffic,
  STATUS,
  traffic,
  vifTraffic,
  vnetTraffic,
} from "./traffic-samples.ts";

const VNET = parseVnetId("97");

function ratesAfter(...readings: readonly TrafficView[]) {
  const [first, ...more] = readings;
  assert.ok(first !== undefined);
  const history = more.reduce((before, now) => addReading(before, now), addReading(null, first));
  return history.rates;
}

function reading(atMs: number, frames: number, more: Partial<TrafficView> = {}): TrafficView {
  const dropped = { "drop-short": frames / 10, "drop-not-peer": 3 };
  return traffic({
    ...{ atMs, carried: carried(frames), dropped },
    vnets: [vnetTraffic("97", { carried: carried(frames), dropped })],
    vifs: [vifTraffic("vif1.0", { carried: carried(frames) })],
    hosts: [hostTraffic("192.0.2.2", { forwardedOut: frames, opened: 2 * frames, forged: frames })],
    ...more,
  });
}

describe("addReading()", () => {
  test("divides differences by the time between", () => {
    const rates = ratesAfter(reading(1_000, 100), reading(3_000, 700));
    const expected = {
      ...{ outBits: 240_000, outFrames: 300, inBits: 240_000, inFrames: 300 },
      ...{ drops: 30, dropped: { "drop-short": 30 } },
    };
    assert.deepEqual(rates.total, expected);
    assert.deepEqual(rates.vnets.get(VNET), expected);
    assert.deepEqual(rates.vifs.get("vif1.0"), { ...expected, drops: 0, dropped: {} });
    assert.deepEqual(rates.hosts.get("192.0.2.2:1798"), { out: 300, in: 600, refused: 300 });
  });

  test("knows no rate from one reading, or from two of one moment", () => {
    for (const rates of [
      ratesAfter(reading(1_000, 100)),
      ratesAfter(reading(1_000, 100), reading(1_000, 700)),
    ]) {
      assert.equal(rates.total.outBits, null);
      assert.equal(rates.vnets.get(VNET)?.drops, null);
      assert.equal(rates.hosts.get("192.0.2.2:1798")?.in, null);
    }
  });

  test("knows none of a new data plane, even one that counted more; VIFs go on", () => {
    const status = { ...STATUS, dataplane: { ...STATUS.dataplane, pid: 5_000 } };
    const rates = ratesAfter(reading(1_000, 100), reading(2_000, 900, { status }));
    assert.equal(rates.total.outFrames, null);
    assert.equal(rates.vnets.get(VNET)?.outFrames, null);
    assert.equal(rates.vifs.get("vif1.0")?.outFrames, 800);
  });

  test("knows none of what is gone, new, or counts from zero again", () => {
    const cases: readonly [Partial<TrafficView>, Rate | undefined][] = [
      [{ vnets: [vnetTraffic("97", { carried: carried(50) })] }, null],
      [{ vnets: [vnetTraffic("97", { carried: null })] }, null],
      [{ vnets: [] }, undefined],
    ];
    for (const [now, expected] of cases) {
      const rates = ratesAfter(reading(1_000, 100), reading(2_000, 0, now));
      assert.equal(rates.vnets.get(VNET)?.outFrames, expected);
    }
    const fresh = reading(2_000, 0, { vnets: [vnetTraffic("98")] });
    const rates = ratesAfter(reading(1_000, 100), fresh);
    assert.equal(rates.vnets.get(parseVnetId("98"))?.outFrames, null);
  });

  test("keeps parts that a reading left out, and measures each from its own last one", () => {
    const left = { vnets: null };
    const history = [reading(2_000, 200, left), reading(3_000, 300, left), reading(5_000, 500)];
    const rates = ratesAfter(reading(1_000, 100), ...history);
    assert.equal(rates.vnets.get(VNET)?.outFrames, 100);
    const { latest } = addReading(addReading(null, reading(1_000, 100)), reading(2_000, 1, left));
    assert.equal(latest.vnets?.length, 1);
  });
});

describe("formatRate()", () => {
  const CASES: readonly (readonly [Rate, string])[] = [
    [null, "-"],
    [0, "0"],
    [0.04, "0.0"],
    [0.5, "0.5"],
    [7, "7"],
    [17.4, "17"],
    [999, "999"],
    [999.6, "1.00k"],
    [1_234, "1.23k"],
    [45_600_000, "45.6M"],
    [999_600_000, "1.00G"],
    [7.89e11, "789G"],
  ];
  for (const [rate, text] of CASES) {
    test(`writes ${rate} as ${text}`, () => assert.equal(formatRate(rate), text));
  }
});

describe("printable()", () => {
  test("leaves nothing that a terminal obeys, joins, or shows in two columns", () => {
    assert.equal(printable("vif\x1b[2J\x9b\u202e\u0301\u4e00\u{1f4a9}\n"), "vif?[2J??????");
    assert.equal(printable("vif5.0 ü Ω"), "vif5.0 ü Ω");
  });
});

describe("restAfter()", () => {
  test("waits as long as is wanted, longer after a long reading, and never for ever", () => {
    assert.deepEqual(
      [restAfter(1, 1_000), restAfter(100, 1_000), restAfter(60_000, 1_000), restAfter(0, 9_000)],
      [1_000, 2_000, 5_000, 9_000],
    );
  });
});

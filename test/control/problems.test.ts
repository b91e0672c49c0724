import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EXPECTED_DROPS, findProblems, markRows } from "../../src/control/problems.ts";
import { addReading } from "../../src/control/rates.ts";
import type { TrafficView } from "../../src/control/traffic-api.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { COUNTERS } from "../../src/vnet/counters.ts";
import { hostTraffic, STATUS, traffic, vifTraffic, vnetTraffic } from "./traffic-samples.ts";

const VNET = parseVnetId("97");

function problemsOf(now: TrafficView, before?: TrafficView) {
  const history = before === undefined ? null : addReading(null, before);
  const { latest, rates } = addReading(history, now);
  return findProblems(latest, rates);
}

function sentences(now: TrafficView, before?: TrafficView): readonly string[] {
  return problemsOf(now, before).map(
    ({ severity, subject, text }) => `${severity} ${subject ?? "-"}: ${text}`,
  );
}

describe("findProblems()", () => {
  test("has nothing to say of a host that is well", () => {
    const well = traffic({
      vnets: [vnetTraffic("97")],
      vifs: [vifTraffic("vif1.0"), vifTraffic("vif2.0", { state: "open" })],
      hosts: [hostTraffic("192.0.2.2", { vnets: [{ vnet: VNET, state: "up" }] })],
    });
    assert.deepEqual(sentences(well), []);
  });

  const CASES: readonly (readonly [name: string, Partial<TrafficView>, readonly string[]])[] = [
    [
      "a data plane that is gone",
      {
        status: {
          ...STATUS,
          dataplane: { ...STATUS.dataplane, state: "down", error: "exited 1" },
        },
      },
      ["fault -: the data plane is down: exited 1"],
    ],
    [
      "no underlay",
      { status: { ...STATUS, underlay: { ...STATUS.underlay, error: "no address" } } },
      ["fault -: no underlay: no address"],
    ],
    [
      "a switch that is gone",
      { status: { ...STATUS, vifRules: { ...STATUS.vifRules, bridges: ["xenbr0"] } } },
      ["fault -: Open vSwitch does not run, and VIFs are under rules"],
    ],
    [
      "a vnet in error",
      { vnets: [vnetTraffic("97", { state: "error", error: "no device" })] },
      ["fault vnet 97: no device"],
    ],
    [
      "VIFs, faults first",
      {
        vifs: [
          vifTraffic("vif1.0", { state: "quarantine" }),
          vifTraffic("vif2.0", { state: "error", error: "no port" }),
        ],
      },
      [
        "fault vif2.0: its policy is not in force: no port",
        "warning vif1.0: in quarantine: no policy, nothing passes",
      ],
    ],
    [
      "hosts of secure vnets",
      {
        hosts: [
          hostTraffic("192.0.2.2", { vnets: [{ vnet: VNET, state: "stale key" }] }),
          hostTraffic("192.0.2.3", { vnets: [{ vnet: VNET, state: "clone" }] }),
        ],
      },
      ["fault 192.0.2.3:1798: clone in vnet 97", "warning 192.0.2.2:1798: stale key in vnet 97"],
    ],
    [
      "a MAC that two hosts have",
      { duplicates: [{ vnet: VNET, mac: parseMacAddress("02:00:00:00:00:01") }] },
      ["fault vnet 97: two hosts seem to have the MAC 02:00:00:00:00:01"],
    ],
  ];
  for (const [name, now, expected] of CASES) {
    test(`tells of ${name}`, () => assert.deepEqual(sentences(traffic(now)), expected));
  }

  test("tells of drops that happen now, the most frequent first, and not of expected ones", () => {
    const at = (atMs: number, count: number): TrafficView => {
      const dropped = {
        ...{ "drop-esp-forged": 10 * count, "drop-short": 50 * count, "drop-no-sa": 7 },
        "drop-duplicate": 90 * count,
      };
      return traffic({ atMs, vnets: [vnetTraffic("97", { dropped })] });
    };
    assert.deepEqual(sentences(at(2_000, 2), at(1_000, 1)), [
      "warning vnet 97: drops a second: drop-short 50, drop-esp-forged 10",
    ]);
  });

  test("expects drops that there are", () => {
    const names = new Set<string>(COUNTERS.map(({ name }) => name));
    assert.deepEqual(
      [...EXPECTED_DROPS].filter((reason) => !names.has(reason)),
      [],
    );
  });
});

describe("markRows()", () => {
  test("marks a row with the worst that is said of it", () => {
    const markOf = markRows([
      ...problemsOf(
        traffic({ vnets: [vnetTraffic("97", { state: "error" })], vifs: [vifTraffic("a")] }),
      ),
      {
        ...{ severity: "warning", subject: null, text: "" },
        target: { part: "vnets", key: VNET },
      },
    ]);
    assert.deepEqual([markOf("vnets", VNET), markOf("vifs", "a")], ["fault", null]);
  });
});

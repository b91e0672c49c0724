import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StatusView } from "../../src/control/api.ts";
import { formatMetrics } from "../../src/daemon/metrics.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";

async function metricsOf(change: (status: StatusView) => StatusView): Promise<string> {
  const status = change(await new FakeControlApi().status());
  return formatMetrics({
    status,
    stats: [],
    vnetErrorCount: 0,
    varpRefused: new Map(),
    secureRefused: new Map(),
  });
}

describe("formatMetrics", () => {
  test("counts VIFs under rules by state, on a host that has some", async () => {
    const rules = {
      bridges: ["br0"],
      applied: 3,
      quarantined: 1,
      waiting: 0,
      failed: 2,
      error: null,
    };
    const text = await metricsOf((status) => ({ ...status, vifRules: rules }));
    assert.deepEqual(
      text.split("\n").filter((line) => line.startsWith("vnetd_vif_rules")),
      [
        'vnetd_vif_rules{state="applied"} 3',
        'vnetd_vif_rules{state="quarantine"} 1',
        'vnetd_vif_rules{state="waiting"} 0',
        'vnetd_vif_rules{state="error"} 2',
      ],
    );
    assert.ok(!(await metricsOf((status) => status)).includes("vnetd_vif_rules"));
  });

  test("an underlay that a host does not have is not up", async () => {
    const without = await metricsOf((status) => ({
      ...status,
      underlay: { ...status.underlay, device: null },
    }));
    assert.match(without, /^vnetd_underlay_up 0$/m);
    assert.match(await metricsOf((status) => status), /^vnetd_underlay_up 1$/m);
  });
});

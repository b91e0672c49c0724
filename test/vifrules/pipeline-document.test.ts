import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import { planBridgeFlows } from "../../src/vifrules/bridge-flows.ts";
import { DROP_REASONS } from "../../src/vifrules/drop-reason.ts";
import { view } from "./bench-bridge.ts";

describe("docs/PIPELINE.md", () => {
  const text = readFileSync("docs/PIPELINE.md", "utf8");

  test("shows flows as they are", () => {
    const sections = planBridgeFlows(view({}, { mode: "isolated" })).sections;
    const flows = [...sections.values()].flat();
    const real = new Set(flows.map((flow) => formatFlow({ ...flow, cookie: 0n })));
    const shown = text
      .split("\n")
      .filter((line) => /^(?:table=\d+, )?priority=\d/.test(line) && !line.includes("…"))
      .map((line) => line.replace(/ +\(\d+\)$/, ""));
    assert.ok(shown.length > 80, `${shown.length} flows`);
    for (const line of shown) {
      assert.ok(real.has(line), line);
    }
  });

  test("names every reason", () => {
    for (const reason of DROP_REASONS) {
      assert.ok(text.includes(`\`${reason}\``), reason);
    }
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type ExplainOptions, explainTrace } from "../../src/vifrules/explain.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import { parseTrace } from "../../src/vifrules/trace.ts";
import { vifPolicy } from "./bench-bridge.ts";

/** Printed by ovs-vswitchd 3.1 for frames on the bridge of bench-bridge.ts. */
function recorded(name: string): string {
  return readFileSync(`test/vifrules/recorded/${name}.txt`, "utf8");
}

const PORT_NAMES = new Map([
  ...Array.from({ length: 10 }, (_, index) => [`${10 + index}`, `vif${10 + index}.0`] as const),
  ["14", "eth0"],
  ["100", "br0"],
]);

function explain(
  sample: string,
  vif: { readonly number: number; readonly policy?: VifPolicy },
  direction: ExplainOptions["direction"] = "from",
) {
  const name = `vif${vif.number}.0`;
  return explainTrace({
    trace: recorded(sample),
    vif: { name, port: vif.number, policy: vif.policy ?? null },
    direction,
    portName: (port) => PORT_NAMES.get(port) ?? null,
    vifPorts: [name],
  });
}

const isolated = vifPolicy(12, { mode: "isolated", groups: ["db"] });
const web = vifPolicy(10, { mode: "isolated", groups: ["web"] });

describe("parseTrace", () => {
  test("reads the frame's fields, the rules it met, and the ports that got it", () => {
    const trace = parseTrace(recorded("to-mate"));
    assert.equal(trace.fields.get("nw_dst"), "10.0.0.11");
    assert.deepEqual(
      trace.steps.map(({ table, priority, target }) => [table, priority, target]),
      [
        ...[
          [0, 100, null],
          [10, 100, null],
          [15, 100, null],
          [20, 150, null],
          [30, 100, null],
        ],
        ...[
          [40, 200, 11],
          [50, 5, 11],
        ],
      ],
    );
    assert.deepEqual(trace.outputs, ["11"]);
  });

  test("takes what it does not know for nothing", () => {
    assert.deepEqual(parseTrace("Bad openflow flow syntax\n").steps, []);
  });
});

describe("explainTrace", () => {
  test("names the ports that get a frame, and the rules on its way", () => {
    const { verdict, outputs, lines } = explain("to-mate", { number: 10, policy: web });
    assert.deepEqual([verdict, outputs], ["passed", ["vif11.0"]]);
    assert.equal(lines[0], "passed to vif11.0");
    assert.match(
      lines[2] ?? "",
      /^table 10 \(check the source\), priority 100: ip,reg5=0xa,nw_src=/,
    );
  });

  test("names the group that is missing", () => {
    const { verdict, reason, lines } = explain("to-other-group", { number: 12, policy: isolated });
    assert.deepEqual([verdict, reason], ["dropped", "group"]);
    assert.match(lines[0] ?? "", /^dropped \(group\): 10\.0\.0\.10 is an inner address in none/);
    assert.match(lines[1] ?? "", /^decided by table 20 .*priority 120: .*nw_dst=10\.0\.0\.0\/24/);
    assert.match(lines[2] ?? "", /^policy: `groups` of vif12\.0 \(they are db\)/);
    assert.match(lines[3] ?? "", /^to allow it: make both members of one group/);
  });

  test("names the address that is not listed", () => {
    const { reason, lines } = explain("arp-spoof", { number: 10, policy: web });
    assert.equal(reason, "arp-spoof");
    assert.match(lines.join("\n"), /10\.0\.0\.11, is not the VIF's/);
    assert.match(lines.join("\n"), /`ipv4` of vif10\.0 \(10\.0\.0\.10\)/);
    assert.match(lines.join("\n"), /add 10\.0\.0\.11 to `ipv4`/);
  });

  test("says why a VIF does not get what another one sends", () => {
    const { verdict, reason, lines } = explain(
      "locked-to-isolated",
      { number: 10, policy: web },
      "to",
    );
    assert.deepEqual([verdict, reason], ["dropped", "to-group"]);
    assert.match(lines.join("\n"), /make 10\.0\.0\.13 a member/);
  });

  test("looks at the copy of a flood that is for the VIF", () => {
    const { verdict, outputs, lines } = explain("flood", { number: 10, policy: web }, "to");
    assert.equal(verdict, "dropped");
    assert.deepEqual(outputs, ["br0", "vif13.0", "vif15.0"]);
    assert.match(lines[1] ?? "", /^decided by table 40 .*priority 151/);
    const locked = vifPolicy(13, { mode: "locked" });
    assert.equal(explain("flood", { number: 13, policy: locked }, "to").verdict, "passed");
  });

  test("says that a VIF has no policy", () => {
    const { reason, lines } = explain("quarantine", { number: 19 });
    assert.equal(reason, "quarantine");
    assert.match(lines.join("\n"), /vn vif-set vif19\.0/);
  });
});

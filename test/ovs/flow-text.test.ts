import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { findFlowFault } from "../../src/openflow/check-flow.ts";
import { encodeRequests } from "../../src/openflow/encode-message.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { formatFlow, formatFlowKey } from "../../src/openflow/format-flow.ts";
import { anyFlow, OPEN_PIPELINE } from "../openflow/flow-arbitraries.ts";
import { PrivateSwitch } from "./private-switch.ts";

const SEED = Number(process.env["VNETD_SEED"] ?? 1);
const FLOW_COUNT = 2_000;
const VLAN_PRESENT = 0x1000;

/** One of each table, priority and match: a second one would replace the first. */
function sampleFlows(): readonly Flow[] {
  const flows = fc.sample(anyFlow, { numRuns: FLOW_COUNT, seed: SEED });
  return [...new Map(flows.map((flow) => [formatFlowKey(flow), flow])).values()];
}

describe("formatFlow", () => {
  let ovs: PrivateSwitch;
  const flows = sampleFlows();
  before(() => {
    assertAccepted(flows);
    ovs = PrivateSwitch.start([]);
    const meter = "meter=1,pktps,band=type=drop,rate=5";
    ovs.ofctl(["-O", "OpenFlow14", "add-meter", "br0", meter]);
  });
  after(() => ovs.stop());

  test("prints what ovs-ofctl reads, and dumps back in the same letters", () => {
    const texts = flows.map(formatFlow);
    ovs.ofctl(["-O", "OpenFlow14", "--bundle", "add-flows", "br0", "-"], texts.join("\n"));
    assertSameLines(ovs.dumpFlows(), texts.toSorted());
  });

  test("and the codec say the same: ovs-ofctl decodes what we encode", () => {
    const requests = flows.map((flow, index) => {
      const mod = { kind: "add", flow } as const;
      return { xid: index + 1, request: { kind: "flow-mod", mod } as const };
    });
    const file = join(ovs.runDirectory, "flow-mods");
    writeFileSync(file, encodeRequests(requests));
    const lines = ovs.ofctl(["ofp-parse", file]).trim().split("\n");
    assertSameLines(lines.map(textOfPrintedMod), flows.map(formatFlow));
  });
});

/** The first difference says enough; a diff of thousands of lines would take minutes. */
function assertSameLines(actual: readonly string[], expected: readonly string[]): void {
  for (const [index, line] of expected.entries()) {
    assert.equal(actual[index], line);
  }
  assert.equal(actual.length, expected.length);
}

function assertAccepted(flows: readonly Flow[]): void {
  for (const flow of flows) {
    assert.equal(findFlowFault(flow, OPEN_PIPELINE), null);
  }
}

/** `OFPT_FLOW_MOD (OF1.4) (xid=0x7): ADD table:1 priority=2,ip cookie:0x3 actions=drop`, as a dump. */
function textOfPrintedMod(line: string): string {
  const parts = /: ADD (?:table:(\d+) )?(.*?)(?: ?cookie:(\S+))? ?actions=(.*)$/.exec(line);
  assert.ok(parts, line);
  const [, table, rule, cookie, actions = ""] = parts;
  const start = (cookie ? `cookie=${cookie}, ` : "") + (table ? `table=${table}, ` : "");
  // What dumps of OpenFlow 1.0 call strip_vlan and mod_vlan_vid.
  const list = actions
    .replaceAll("pop_vlan", "strip_vlan")
    .replaceAll(
      /push_vlan:0x8100,set_field:(\d+)->vlan_vid/g,
      (_, value: string) => `mod_vlan_vid:${Number(value) - VLAN_PRESENT}`,
    );
  return `${start}${rule}${rule === "" ? "" : " "}actions=${list}`;
}

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import type { DropReason } from "../../src/vifrules/drop-reason.ts";
import { explainTrace } from "../../src/vifrules/explain.ts";
import { view, vifPolicy } from "../vifrules/bench-bridge.ts";
import { PORT } from "../vifrules/cast.ts";
import { FlowSwitch } from "../vifrules/flow-switch.ts";
import { OUTBOUND_CASES } from "../vifrules/spoof-cases.ts";

/** What one frame of each kind is dropped for, and the key of the policy that is named. */
const REASONS: readonly (readonly [name: string, reason: DropReason, key: string])[] = [
  ["source MAC of the mate", "mac", "`mac`"],
  ["tag 10", "vlan", "`vlan.trunks`"],
  ["MPLS", "protocol", "`mode`"],
  ["RARP announce", "protocol", "rarp-announce to `allow`"],
  ["sender IP of the gateway", "arp-spoof", "`ipv4`"],
  ["A3: probes the mate's address", "arp-spoof", "add 10.0.0.11 to `ipv4`"],
  ["sender MAC of the mate", "arp-spoof", "`mac`"],
  ["InARP request", "arp-spoof", "`mode`"],
  ["source of nobody", "ipv4-spoof", "add 10.0.0.77 to `ipv4`"],
  ["link-local source of the mate", "ipv6-spoof", "`linkLocal`"],
  ["A5: asks with the mate's MAC", "nd-spoof", "`mac`"],
  ["A5: answers with hop limit 64", "nd-spoof", "hop limit"],
  ["detects duplicates of the mate's address", "nd-spoof", "add fd00::11 to `ipv6`"],
  ["A2: offers to all", "dhcp-server", "dhcp-server to `allow`"],
  ["advertises itself as router", "router-advertisement", "router-advertisement to `allow`"],
  ["VRRP", "vrrp", "vrrp to `allow`"],
  ["first fragment without its last header", "fragment", "`mode`"],
  ["to one of another group", "group", "`groups`"],
  ["asks for one of another group", "group", "`groups`"],
  ["to a MAC of nobody, outside IP", "external", "`infra.macs`"],
  ["outside IP, the mate's MAC", "external", "`infra.macs`"],
];

describe("explainTrace, of a real switch's words", () => {
  const policy = vifPolicy(10, { mode: "isolated", groups: ["web"] });
  let ovs: FlowSwitch;
  before(() => {
    ovs = new FlowSwitch([10, 11, 12, 13, 14, 15, 16, 19]);
    ovs.load(view());
  });
  after(() => ovs.stop());

  const explain = (frame: Uint8Array) =>
    explainTrace({
      trace: ovs.trace(PORT.vif, frame),
      vif: { name: "vif10.0", port: PORT.vif, policy },
      direction: "from",
      portName: (port) => `p${port}`,
      vifPorts: ["p10"],
    });

  for (const [name, reason, key] of REASONS) {
    test(`gives the reason and the policy for: ${name}`, () => {
      const found = OUTBOUND_CASES.find((each) => each.name === name);
      assert.ok(found);
      const explained = explain(found.frame);
      assert.equal(explained.reason, reason, explained.lines.join("\n"));
      assert.ok(explained.lines.join("\n").includes(key), explained.lines.join("\n"));
    });
  }

  test("has a reason for every frame that an isolated VIF may not send", () => {
    for (const { name, frame, isolated } of OUTBOUND_CASES) {
      const { verdict, reason } = explain(frame);
      assert.equal(verdict, isolated === "-" ? "dropped" : "passed", name);
      // What no bridge forwards, and what is sent to the sender itself, is no policy's matter.
      const isSilent = /^(?:STP|pause|LLDP|IP to a reserved MAC|to its own MAC and IP)$/.test(name);
      assert.equal(reason === null, verdict === "passed" || isSilent, `${name}: ${reason}`);
    }
  });

  test("says that the host is no infrastructure", () => {
    ovs.load(view({}, { mode: "locked" }));
    const found = OUTBOUND_CASES.find(({ name }) => name === "to the host's MAC and IP");
    assert.equal(explain(found?.frame ?? new Uint8Array(0)).reason, "host");
    assert.equal(ovs.receivers(LOCAL_PORT, found?.frame ?? new Uint8Array(0)).length, 0);
  });
});

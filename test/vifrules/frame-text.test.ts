import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { completeFrameText } from "../../src/vifrules/frame-text.ts";
import { GATEWAY_MAC, macOf, vifPolicy } from "./bench-bridge.ts";

describe("completeFrameText", () => {
  const policy = vifPolicy(10, { mode: "isolated", ipv4: ["10.0.5.0/24", "10.0.0.10"] });
  const nextHop = (address: string) => (address === "10.0.0.12" ? macOf(12) : GATEWAY_MAC);
  const own = "in_port=10,dl_src=02:00:00:00:00:10";

  const cases = [
    [
      "tcp,nw_dst=10.0.0.12",
      `tcp,nw_dst=10.0.0.12,${own},nw_src=10.0.0.10,nw_ttl=64,dl_dst=02:00:00:00:00:12`,
    ],
    [
      "udp6,ipv6_dst=2001:db8::1",
      `udp6,ipv6_dst=2001:db8::1,${own},ipv6_src=fd00::10,nw_ttl=64,dl_dst=${GATEWAY_MAC}`,
    ],
    [
      "arp,arp_tpa=10.0.0.1",
      `arp,arp_tpa=10.0.0.1,${own},arp_op=1,arp_spa=10.0.0.10,` +
        "arp_sha=02:00:00:00:00:10,dl_dst=ff:ff:ff:ff:ff:ff",
    ],
    [
      "in_port=11,dl_src=02:00:00:00:00:99,ip,nw_src=10.0.0.99,nw_ttl=1,dl_dst=02:00:00:00:00:11",
      "in_port=11,dl_src=02:00:00:00:00:99,ip,nw_src=10.0.0.99,nw_ttl=1,dl_dst=02:00:00:00:00:11",
    ],
    ["dl_type=0x8847", `dl_type=0x8847,${own}`],
    ["tcp,nw_dst=10.0.0.300", `tcp,nw_dst=10.0.0.300,${own},nw_src=10.0.0.10,nw_ttl=64`],
  ] as const;
  for (const [text, complete] of cases) {
    test(`completes ${text}`, () => {
      const options = { policy, direction: "from", inPort: 10, nextHop } as const;
      assert.equal(completeFrameText(text, options), complete);
    });
  }

  test("sends a frame for the VIF to the VIF", () => {
    const options = { policy, direction: "to", inPort: 14, nextHop } as const;
    assert.equal(
      completeFrameText("tcp,nw_src=10.0.0.99", options),
      "tcp,nw_src=10.0.0.99,in_port=14,dl_dst=02:00:00:00:00:10,nw_dst=10.0.0.10,nw_ttl=64",
    );
  });
});

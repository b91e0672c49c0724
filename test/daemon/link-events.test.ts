import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type Expectations, judgeLine } from "../../src/daemon/link-events.ts";

/** Printed by iproute2 6.1 while a vnet was made, broken and removed and an underlay changed. */
const RECORDED = readFileSync(
  new URL("../../../test/host/recorded/monitor.txt", import.meta.url),
  "utf8",
).split("\n");

const EXPECTATIONS: Expectations = {
  devices: new Map([
    ["vnif0098", { mtu: 1500, master: "vnet98" }],
    ["vnet98", { mtu: null, master: null }],
  ]),
  underlay: "u0",
};

function judge(lines: readonly string[], expectations = EXPECTATIONS): string[] {
  return lines.flatMap((line) => {
    const verdict = judgeLine(line, expectations);
    if (verdict.kind === "device") {
      return [`${verdict.name} ${verdict.isRight ? "right" : "wrong"}`];
    }
    return verdict.kind === "pass" ? [`pass: ${line.trim()}`] : [];
  });
}

describe("judgeLine", () => {
  const upTo = (part: string): string[] =>
    RECORDED.slice(0, RECORDED.findIndex((line) => line.includes(part)) + 1);
  const created = upTo("8: vnet98: <NO-CARRIER,BROADCAST,MULTICAST,UP>");

  test("the last word on devices that are being made is that they are right", () => {
    const last = new Map(judge(created).map((verdict) => verdict.split(" ") as [string, string]));
    assert.deepEqual(
      [...last],
      [
        ["vnif0098", "right"],
        ["vnet98", "right"],
      ],
    );
  });

  test("a device that is set down, taken away or deleted is wrong", () => {
    const later = RECORDED.slice(
      created.length,
      RECORDED.findIndex((line) => /10\.9/.test(line)),
    );
    assert.deepEqual(new Set(judge(later)), new Set(["vnif0098 wrong", "vnet98 right"]));
  });

  test("addresses, the default route and the underlay's device call for a pass", () => {
    const start = RECORDED.findIndex((line) => /10\.9\.0\.1\/24/.test(line));
    const passes = judge(RECORDED.slice(start)).map((line) =>
      line.split(" ").slice(0, 4).join(" "),
    );
    assert.deepEqual(passes, [
      "pass: Deleted 6: u0",
      "pass: 6: u0 ",
      "pass: default via 10.9.0.254",
      "pass: 6: u0@u1: <BROADCAST,MULTICAST,UP,LOWER_UP>",
      "pass: 6: u0 ",
      "pass: 6: u0 ",
      "pass: 5: u1 ",
    ]);
  });

  test("other devices matter only while no underlay is known", () => {
    const line = "9: vif5.0: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc noop master xenbr0 state UP";
    assert.deepEqual(judge([line]), []);
    assert.deepEqual(judge([line], { ...EXPECTATIONS, underlay: null }), [`pass: ${line}`]);
  });

  test("another MTU or another bridge is wrong", () => {
    const shown = (rest: string): string[] =>
      judge([`7: vnif0098: <BROADCAST,UP> ${rest} state UP group default`]);
    assert.deepEqual(shown("mtu 1500 qdisc noop master vnet98"), ["vnif0098 right"]);
    assert.deepEqual(shown("mtu 1400 qdisc noop master vnet98"), ["vnif0098 wrong"]);
    assert.deepEqual(shown("mtu 1500 qdisc noop master other"), ["vnif0098 wrong"]);
    assert.deepEqual(shown("mtu 1500 qdisc noop"), ["vnif0098 wrong"]);
  });

  test("what is not understood calls for a pass", () => {
    assert.deepEqual(judge(["something new"]), ["pass: something new"]);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeEtherip } from "../../src/encap/etherip.ts";
import { encodeFrame } from "../../src/encap/legacy.ts";
import {
  neededUnderlayMtu,
  tcpMssBytes,
  tunnelOverheadBytes,
  unfragmentedVnetMtu,
  vnetMtuMax,
} from "../../src/encap/mtu.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

describe("tunnelOverheadBytes", () => {
  const cases = [
    ["udp", 4, 50],
    ["udp", 6, 70],
    ["etherip", 4, 38],
    ["etherip", 6, 58],
  ] as const;
  for (const [encapsulation, family, overhead] of cases) {
    test(`${encapsulation} over IPv${family} is ${overhead}`, () => {
      assert.equal(tunnelOverheadBytes({ encapsulation, family }), overhead);
    });
  }

  test("counts what the codecs put before a frame", () => {
    const vnet = parseVnetId("97");
    const frame = new Uint8Array(60);
    const udp = tunnelOverheadBytes({ encapsulation: "udp", family: 4 }) - 20 - 8;
    const etherip = tunnelOverheadBytes({ encapsulation: "etherip", family: 4 }) - 20;
    assert.equal(encodeFrame(vnet, frame).length, frame.length + udp);
    assert.equal(encodeEtherip(vnet, frame).length, frame.length + etherip);
  });
});

describe("MTU sums", () => {
  const cases = [
    { underlay: 1500, family: 4, vnet: 1436, mss: 1396 },
    { underlay: 1400, family: 4, vnet: 1336, mss: 1296 },
    { underlay: 9000, family: 4, vnet: 8936, mss: 8896 },
    { underlay: 1500, family: 6, vnet: 1416, mss: 1376 },
  ] as const;
  for (const { underlay, family, vnet, mss } of cases) {
    test(`an underlay of ${underlay} over IPv${family} carries VMs of ${vnet}, MSS ${mss}`, () => {
      const tunnel = { encapsulation: "udp", family } as const;
      assert.equal(unfragmentedVnetMtu(underlay, tunnel), vnet);
      assert.equal(neededUnderlayMtu(vnet, tunnel), underlay);
      assert.equal(tcpMssBytes(vnet, 4), mss);
    });
  }

  test("IPv6 inside takes 20 octets more of a segment", () => {
    assert.equal(tcpMssBytes(1500, 6), 1440);
  });

  test("the largest vnet MTU fills an IPv4 packet with a tagged frame", () => {
    assert.equal(vnetMtuMax("udp") + 18 + 22 + 8 + 20, 65_535);
    assert.equal(vnetMtuMax("etherip") + 18 + 18 + 20, 65_535);
  });
});

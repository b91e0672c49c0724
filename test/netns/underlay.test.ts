/**
 * The underlay as it may be: with several addresses, with others after a while, over IPv6, and
 * with EtherIP in IP instead of UDP.
 *
 *     VM ── a ── segment ── b ── VM
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { carriedFrame, tunnelDatagram } from "./frames.ts";
import { Lab, type Segment, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";
import { transfer } from "./transfer.ts";
import { eventually } from "./wait.ts";

const VNET = "10";
const MEGABYTE = 1_000_000;

type Pair = {
  readonly lab: Lab;
  readonly segment: Segment;
  readonly a: Host;
  readonly b: Host;
  readonly here: Vm;
  readonly there: Vm;
};

async function makePair(vnetOptions: readonly string[], options: readonly string[]): Promise<Pair> {
  const lab = await Lab.create();
  const segment = await lab.segment({ offload: false });
  const a = await Host.create(lab, "a", [segment]);
  const b = await Host.create(lab, "b", [segment]);
  for (const host of [a, b]) {
    await host.start(...options);
    await host.vnet(VNET, ...vnetOptions);
  }
  const here = await a.vm(VNET, { address: "192.168.16.1/24" });
  const there = await b.vm(VNET, { address: "192.168.16.2/24" });
  return { lab, segment, a, b, here, there };
}

async function pingOk({ lab, here, there }: Pair): Promise<boolean> {
  const args = ["-c", "1", "-W", "1", there.address];
  const { stdout } = await lab.background(here.namespace, "ping", ...args);
  return stdout.includes(" 1 received");
}

describe("an underlay that changes", { skip: SKIP_REASON }, () => {
  let pair: Pair;

  before(async () => {
    pair = await makePair([], ["--fdb-ttl", "10"]);
    // Without it, the kernel removes all addresses of a network together with the first.
    await pair.lab.sysctl(pair.b.namespace, "net.ipv4.conf.u1.promote_secondaries", "1");
  });
  after(() => pair?.lab.close());

  const changes: readonly (readonly [string, readonly string[]])[] = [
    ["gets a second address", ["addr add 10.91.0.200/24 dev u1"]],
    ["loses its first address", ["addr del 10.91.0.2/24 dev u1"]],
    [
      "gets another address while it has none",
      ["addr flush dev u1", "addr add 10.91.0.201/24 dev u1"],
    ],
    ["goes down and up", ["link set u1 down", "link set u1 up"]],
    ["gets its old address back", ["addr flush dev u1", "addr add 10.91.0.2/24 dev u1"]],
    ["gets a smaller MTU", ["link set u1 mtu 1400"]],
  ];
  for (const [what, lines] of changes) {
    test(`carries again when b's device ${what}`, async () => {
      await eventually("a ping comes back before", () => pingOk(pair), 20_000);
      await pair.lab.batch(pair.b.namespace, lines);
      await eventually("a ping comes back after", () => pingOk(pair), 20_000);
      const { here, there } = pair;
      await transfer({ from: here, to: there, address: there.address, bytes: MEGABYTE });
      await transfer({ from: there, to: here, address: here.address, bytes: MEGABYTE });
    });
  }

  test("carries again when b's device is deleted and made anew", async () => {
    const { lab, b, segment } = pair;
    await lab.batch(b.namespace, ["link del u1"]);
    await lab.plug(b.namespace, "u1", "again", segment);
    await lab.batch(b.namespace, ["addr add 10.91.0.2/24 dev u1"]);
    await eventually("a ping comes back", () => pingOk(pair), 30_000);
  });
});

describe("a host with two addresses on its segment", { skip: SKIP_REASON }, () => {
  let pair: Pair;

  before(async () => {
    pair = await makePair([], []);
    await pair.lab.batch(pair.a.namespace, ["addr add 10.91.0.150/24 dev u1"]);
  });
  after(() => pair?.lab.close());

  test("does not take its own datagrams for another host's", async () => {
    const { lab, a, here } = pair;
    await eventually("a ping comes back", () => pingOk(pair));
    await lab.in(here.namespace, "ping", "-c", "20", "-i", "0.02", "-W", "2", "192.168.16.2");
    const varp = await a.vn("varp");
    assert.doesNotMatch(varp, new RegExp(here.mac));
  });
});

describe("an underlay of IPv6 peers alone", { skip: SKIP_REASON }, () => {
  let pair: Pair;
  let wire: Tap;

  before(async () => {
    pair = await makePair([], ["--no-multicast"]);
    const { lab, a, b, segment } = pair;
    await a.vn("peer-add", b.address6);
    await b.vn("peer-add", a.address6);
    wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
  });
  after(() => pair?.lab.close());

  test("carries the vnet, and nothing of it goes over IPv4", async () => {
    const { here, there } = pair;
    await eventually("a ping comes back", () => pingOk(pair));
    await transfer({ from: here, to: there, address: there.address, bytes: 4 * MEGABYTE });
    await transfer({ from: there, to: here, address: here.address, bytes: 4 * MEGABYTE });
    assert.deepEqual(
      wire.matching((frame) => carriedFrame(frame, VNET) !== undefined),
      [],
    );
    assert.ok(wire.matching((frame) => frame.readUInt16BE(12) === 0x86dd).length > 1_000);
  });
});

describe("a vnet with encapsulation etherip", { skip: SKIP_REASON }, () => {
  let pair: Pair;
  let wire: Tap;

  before(async () => {
    pair = await makePair(["--encapsulation", "etherip"], []);
    const { lab, segment } = pair;
    wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
  });
  after(() => pair?.lab.close());

  test("carries frames in IP protocol 97, with the same header of 18 octets, and not in UDP", async () => {
    const { here, there } = pair;
    await eventually("a ping comes back", () => pingOk(pair));
    await transfer({ from: here, to: there, address: there.address, bytes: MEGABYTE });
    assert.deepEqual(
      wire.matching((frame) => (tunnelDatagram(frame)?.payload.readUInt16BE(0) ?? 0) === 2),
      [],
    );
    const packets = () =>
      wire.matching((frame) => frame.readUInt16BE(12) === 0x0800 && frame.readUInt8(23) === 97);
    await eventually("the wire saw them all", () => packets().length > 500);
    const unfragmented = packets().find((frame) => (frame.readUInt16BE(20) & 0x3fff) === 0);
    const header = unfragmented?.subarray(34, 52).toString("hex");
    assert.equal(header, `0040${"0".repeat(28)}0010`);
  });
});

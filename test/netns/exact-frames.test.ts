/**
 * Every Ethernet frame comes out as it went in.
 *
 *     VM ── a ── segment ── b ── VM        frames sent and received by packet sockets on eth0
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  BROADCAST_MAC,
  EXPERIMENTAL_TYPE,
  ethernet,
  internetChecksum,
  pattern,
  tagged,
  tcp4,
  udp4,
} from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";

const VNET = "7";
const JUMBO_MTU = 9_000;

describe("frames over a vnet", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let sender: Vm;
  let receiver: Vm;
  let out: Tap;
  let into: Tap;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    const hosts = [
      await Host.create(lab, "a", [segment]),
      await Host.create(lab, "b", [segment]),
    ] as const;
    for (const host of hosts) {
      await host.start();
      await host.vnet(VNET, "--mtu", `${JUMBO_MTU}`);
    }
    const mtu = JUMBO_MTU;
    sender = await hosts[0].vm(VNET, { address: "192.168.77.1/24", mtu });
    receiver = await hosts[1].vm(VNET, { address: "192.168.77.2/24", mtu });
    out = await Tap.open(lab, sender.namespace, "eth0");
    into = await Tap.open(lab, receiver.namespace, "eth0", "--promiscuous");
  });
  after(() => lab.close());

  const unicast = () => ({ to: receiver.mac, from: sender.mac });
  const payload = (length: number) => pattern(length, length + 3);
  const udpFields = (data: Buffer) => ({
    source: "192.168.77.1",
    destination: "192.168.77.2",
    sourcePort: 1_000,
    destinationPort: 2_000,
    payload: data,
  });

  const cases: readonly (readonly [string, () => Buffer])[] = [
    ["a minimum frame, 60 octets", () => ethernet(unicast(), EXPERIMENTAL_TYPE, payload(46))],
    ["a frame below the minimum", () => ethernet(unicast(), EXPERIMENTAL_TYPE, payload(1))],
    ["a full frame of 1514", () => ethernet(unicast(), EXPERIMENTAL_TYPE, payload(1_500))],
    ["a jumbo frame of 9014", () => ethernet(unicast(), EXPERIMENTAL_TYPE, payload(JUMBO_MTU))],
    ["an 802.3 frame: length, LLC", () => ethernet(unicast(), 100, payload(100))],
    [
      "an 802.3 spanning-tree frame to a PVST group",
      () => ethernet({ to: "01:00:0c:cc:cc:cd", from: sender.mac }, 50, payload(50)),
    ],
    ["802.1Q", () => tagged(ethernet(unicast(), EXPERIMENTAL_TYPE, payload(90)), 0x8100, 0x6005)],
    [
      "802.1Q around IPv4 UDP",
      () => tagged(udp4(unicast(), udpFields(payload(300))), 0x8100, 0x0fff),
    ],
    [
      "802.1Q with VLAN 0, a priority tag",
      () => tagged(udp4(unicast(), udpFields(payload(30))), 0x8100, 0xe000),
    ],
    [
      "802.1Q of full size",
      () => tagged(ethernet(unicast(), EXPERIMENTAL_TYPE, payload(JUMBO_MTU)), 0x8100, 0x0064),
    ],
    [
      "QinQ: 802.1ad around 802.1Q",
      () =>
        tagged(tagged(udp4(unicast(), udpFields(payload(200))), 0x8100, 0x0123), 0x88a8, 0x0456),
    ],
    [
      "QinQ: 802.1Q around 802.1Q",
      () =>
        tagged(tagged(udp4(unicast(), udpFields(payload(200))), 0x8100, 0x0123), 0x8100, 0x0456),
    ],
    [
      "LLDP to a group that bridges forward",
      () => ethernet({ to: "01:80:c2:00:00:10", from: sender.mac }, 0x88cc, payload(120)),
    ],
    ["LLDP to one station", () => ethernet(unicast(), 0x88cc, payload(120))],
    ["PPPoE discovery", () => ethernet({ ...unicast(), to: BROADCAST_MAC }, 0x8863, payload(60))],
    ["MPLS", () => ethernet(unicast(), 0x8847, payload(400))],
    [
      "IPv4 UDP with padding behind it",
      () => Buffer.concat([udp4(unicast(), udpFields(payload(2))), payload(14)]),
    ],
    [
      "IPv4 UDP without a checksum",
      () => withOctets(udp4(unicast(), udpFields(payload(64))), 40, 0, 0),
    ],
    ["IPv4 with options", () => withIpOptions(udp4(unicast(), udpFields(payload(64))))],
    ["an IPv4 fragment", () => asFragment(udp4(unicast(), udpFields(payload(640))))],
    [
      "a lone TCP segment",
      () => tcp4(unicast(), { ...udpFields(payload(0)), sequence: 1, payload: payload(999) }),
    ],
  ];
  for (const [what, make] of cases) {
    test(`${what} arrives bit by bit`, async () => {
      const frame = make();
      out.send(frame);
      await into.expect(frame, what);
      assert.equal(into.matching((one) => one.equals(frame)).length, 1, "it arrives once");
    });
  }

  const wrongChecksums: readonly (readonly [string, () => Buffer])[] = [
    ["UDP", () => spoiled(udp4(unicast(), udpFields(payload(333))), 40)],
    [
      "UDP behind a VLAN tag",
      () => spoiled(tagged(udp4(unicast(), udpFields(payload(334))), 0x8100, 5), 44),
    ],
    [
      "TCP",
      () =>
        spoiled(
          tcp4(unicast(), { ...udpFields(payload(0)), sequence: 7, payload: payload(500) }),
          50,
        ),
    ],
    ["IPv4 header", () => spoiled(udp4(unicast(), udpFields(payload(335))), 24)],
  ];
  for (const [what, make] of wrongChecksums) {
    test(`a wrong ${what} checksum arrives wrong`, async () => {
      const frame = make();
      out.send(frame);
      await into.expect(frame, what);
    });
  }

  test("wrong TCP checksums in a train of segments stay wrong, and the right ones right", async () => {
    into.clear();
    const train = Array.from({ length: 40 }, (_, index) => {
      const segment = tcp4(unicast(), {
        ...udpFields(payload(0)),
        sequence: 100_000 + index * 1_000,
        payload: pattern(1_000, index + 1),
      });
      return index % 4 === 1 ? spoiled(segment, 50) : segment;
    });
    out.send(...train);
    for (const segment of train.filter((_, index) => index % 4 === 1)) {
      await into.expect(segment, "the segment with a wrong checksum");
    }
    // Right ones may have been merged on the way; every octet of theirs has to be there.
    const arrived = Buffer.concat(into.frames.map(({ frame }) => frame.subarray(54)));
    for (const [index] of train.entries()) {
      assert.ok(arrived.includes(pattern(1_000, index + 1)), `segment ${index} has arrived`);
    }
    assert.equal(internetChecksum(Buffer.from([0xff, 0xff])), 0);
  });

  for (const last of [0x00, 0x03, 0x0e, 0x0f]) {
    const mac = `01:80:c2:00:00:${last.toString(16).padStart(2, "0")}`;
    test(`a frame to the reserved ${mac} stays on its host`, async () => {
      const reserved = ethernet({ to: mac, from: sender.mac }, 0x88cc, payload(99 + last));
      const behind = ethernet(unicast(), EXPERIMENTAL_TYPE, payload(200 + last));
      out.send(reserved, behind);
      await into.expect(behind);
      assert.deepEqual(
        into.matching((frame) => frame.equals(reserved)),
        [],
      );
    });
  }

  for (const [what, mac] of [
    ["zero", "00:00:00:00:00:00"],
    ["multicast", "03:00:00:00:00:01"],
  ] as const) {
    test(`a frame with a ${what} source MAC goes no further`, async () => {
      const odd = ethernet({ to: receiver.mac, from: mac }, EXPERIMENTAL_TYPE, payload(77));
      const behind = ethernet(unicast(), EXPERIMENTAL_TYPE, payload(78));
      out.send(odd, behind);
      await into.expect(behind);
      assert.deepEqual(
        into.matching((frame) => frame.equals(odd)),
        [],
      );
      into.clear();
    });
  }
});

/** The frame with one bit of the checksum at `at` turned. */
function spoiled(frame: Buffer, at: number): Buffer {
  return withOctets(frame, at, (frame[at] ?? 0) ^ 0x10, frame[at + 1] ?? 0);
}

function withOctets(frame: Buffer, at: number, ...octets: readonly number[]): Buffer {
  const copy = Buffer.from(frame);
  copy.set(octets, at);
  return copy;
}

/** Four octets of IPv4 options (no operation), header length and checksum to match. */
function withIpOptions(frame: Buffer): Buffer {
  const header = Buffer.concat([frame.subarray(14, 34), Buffer.from([1, 1, 1, 0])]);
  header.writeUInt8(0x46, 0);
  header.writeUInt16BE(header.readUInt16BE(2) + 4, 2);
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([frame.subarray(0, 14), header, frame.subarray(34)]);
}

/** The same packet said to be the first of several fragments. */
function asFragment(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(0x2000, 20);
  copy.writeUInt16BE(0, 24);
  copy.writeUInt16BE(internetChecksum(copy.subarray(14, 34)), 24);
  return copy;
}

/**
 * What strangers, peers and VMs may send, none of it does harm.
 *
 *     VM ── a ──┐
 *               ├─ segment
 *     VM ── b ──┤
 *               └─ stranger (a host without vnetd)
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  encodeLegacyFrame,
  encodeLegacyVarp,
  wrapHeardMulticast,
  wrapOwnMulticast,
} from "../fakes/legacy-messages.ts";
import { EXPERIMENTAL_TYPE, ethernet, pattern, tcp4, udp4 } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { DatagramPort, sendLoad, Tap, UdpSink } from "./link-tools.ts";
import { transfer } from "./transfer.ts";
import { eventually, TEST_SCALE } from "./wait.ts";

const VNET = "d";
const OTHER_VNET = "e";
const PORT = 1798;

describe("hostile input", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let here: Vm;
  let there: Vm;
  let stranger: Host;
  let port: DatagramPort;
  let dataplane: number;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    a = await Host.create(lab, "a", [segment]);
    const b = await Host.create(lab, "b", [segment]);
    stranger = await Host.create(lab, "stranger", [segment]);
    for (const host of [a, b]) {
      await host.start();
      await host.vnet(VNET);
      await host.vnet(OTHER_VNET);
    }
    // Forwards are only read from a peer: the stranger is one, so that they are.
    await a.vn("peer-add", stranger.address);
    here = await a.vm(VNET, { address: "192.168.13.1/24", offload: false });
    there = await b.vm(VNET, { address: "192.168.13.2/24", offload: false });
    port = await DatagramPort.open(lab, stranger.namespace, {
      address: stranger.address,
      udpPort: PORT,
    });
    dataplane = await a.dataplanePid();
  });
  after(() => lab.close());

  /** Everything sent before has been looked at, and the vnet still works. */
  const stillServes = async () => {
    await lab.in(there.namespace, "ping", "-c", "2", "-i", "0.05", "-W", "2", here.address);
    assert.equal(await a.dataplanePid(), dataplane, "vnet-dp is the same process");
    assert.doesNotMatch(a.log, /"level":(50|60)/, "the log holds no error");
  };

  const inbound = async () => (await a.counters())["inbound-datagrams"] ?? 0;
  const inboundTotal = async () =>
    (await inbound()) + ((await a.counters(VNET))["inbound-datagrams"] ?? 0);

  const innerFrame = () =>
    ethernet({ to: here.mac, from: "02:66:00:00:00:01" }, EXPERIMENTAL_TYPE, pattern(46));
  const careOf = () => stranger.address;
  const messages: readonly (readonly [string, () => Buffer])[] = [
    [
      "VARP request",
      () => encodeLegacyVarp({ request: true, vnet: VNET, mac: here.mac, careOf: careOf() }),
    ],
    [
      "VARP announce",
      () =>
        encodeLegacyVarp({
          request: false,
          vnet: VNET,
          mac: "02:66:00:00:00:02",
          careOf: careOf(),
        }),
    ],
    ["frame", () => encodeLegacyFrame(VNET, innerFrame())],
    ["forward of its own", () => wrapOwnMulticast(encodeLegacyFrame(VNET, innerFrame()))],
    [
      "forward of another's",
      () => wrapHeardMulticast(encodeLegacyFrame(VNET, innerFrame()), "10.91.0.77"),
    ],
  ];

  for (const [what, make] of messages) {
    test(`every length of a ${what} from 0 to 100, and every shorter whole, is survived`, async () => {
      const message = make();
      const before = await inboundTotal();
      const long = Buffer.concat([message, pattern(100)]);
      const lengths = Array.from({ length: Math.max(101, message.length) }, (_, length) => length);
      for (const length of lengths) {
        port.send(a.address, PORT, long.subarray(0, length));
      }
      await eventually(
        "all have been read",
        async () => (await inboundTotal()) - before >= lengths.length,
      );
      await stillServes();
    });

    test(`every single-bit flip of a ${what} is survived`, async () => {
      const message = make();
      const before = await inboundTotal();
      for (let bit = 0; bit < message.length * 8; bit += 1) {
        const flipped = Buffer.from(message);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        port.send(a.address, PORT, flipped);
      }
      await eventually(
        "nearly all have been read",
        // A flip can name a vnet or a family whose datagram is counted elsewhere, or not at all.
        async () => (await inboundTotal()) - before >= message.length * 7,
      );
      await stillServes();
    });
  }

  test("a damaged frame goes to the VM or nowhere, never to another vnet", async () => {
    const other = await a.vm(OTHER_VNET, { address: "192.168.13.9/24", offload: false });
    const tap = await Tap.open(lab, other.namespace, "eth0", "--promiscuous");
    const message = encodeLegacyFrame(VNET, innerFrame());
    for (let bit = 6 * 8; bit < 22 * 8; bit += 1) {
      const flipped = Buffer.from(message);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      const names = flipped.subarray(6, 22).toString("hex");
      if (!names.endsWith("000e")) {
        port.send(a.address, PORT, flipped);
      }
    }
    await stillServes();
    assert.deepEqual(
      tap.matching((frame) => frame.readUInt16BE(12) === EXPERIMENTAL_TYPE),
      [],
    );
  });

  test("a frame that asks for more than it holds reaches the VM unmerged and unchanged", async () => {
    const tap = await Tap.open(lab, here.namespace, "eth0", "--promiscuous");
    const to = { to: here.mac, from: "02:66:00:00:00:03" };
    const fields = { source: "192.168.13.2", destination: "192.168.13.1", payload: pattern(400) };
    const whole = tcp4(to, { ...fields, sequence: 1 });
    const lies = [
      // IPv4 total length beyond the frame, below its header; TCP offset beyond the frame, below 5.
      withU16(whole, 16, 9_000),
      withU16(whole, 16, 8),
      withU16(whole, 46, 0xf010),
      withU16(whole, 46, 0x1010),
      // UDP length beyond and below.
      withU16(udp4(to, { ...fields, sourcePort: 5, destinationPort: 6 }), 38, 9_000),
      withU16(udp4(to, { ...fields, sourcePort: 5, destinationPort: 6 }), 38, 3),
      // Cut in the middle of each header.
      ...[15, 20, 33, 34, 40, 50, 53].map((length) => whole.subarray(0, length)),
    ];
    for (const lie of lies) {
      port.send(a.address, PORT, encodeLegacyFrame(VNET, lie));
    }
    for (const lie of lies) {
      await tap.expect(lie, "the lie");
    }
    await stillServes();
    await tap.close();
  });

  test("a VM's wrong offload requests cost it its frames and nobody anything", async () => {
    const out = await Tap.open(lab, there.namespace, "eth0", "--virtio");
    const to = { to: here.mac, from: there.mac };
    const fields = { source: "192.168.13.2", destination: "192.168.13.1" };
    const whole = tcp4(to, { ...fields, sequence: 1, payload: pattern(3_000) });
    const virtio = (
      flags: number,
      type: number,
      header: number,
      size: number,
      start: number,
      offset: number,
    ) => {
      const octets = Buffer.alloc(10);
      octets.set([flags, type], 0);
      for (const [index, value] of [header, size, start, offset].entries()) {
        octets.writeUInt16LE(value, 2 + index * 2);
      }
      return Buffer.concat([octets, whole]);
    };
    out.send(
      virtio(1, 1, 54, 1_000, 34, 16),
      virtio(1, 1, 0, 1_000, 34, 16),
      virtio(1, 1, 54, 1, 34, 16),
      virtio(1, 1, 54, 65_535, 34, 16),
      virtio(1, 4, 54, 1_000, 34, 16),
      virtio(1, 3, 42, 1_000, 34, 6),
      virtio(1, 5, 42, 1_000, 34, 6),
      virtio(1, 1, 54, 1_000, 3_000, 16),
      virtio(1, 0, 0, 0, 3_050, 16),
      virtio(0, 1, 54, 0, 0, 0),
    );
    await stillServes();
    await transfer({ from: there, to: here, address: here.address, bytes: 1e6 });
    await out.close();
  });

  test("garbage from an unknown host leaves the vnet its traffic and vnet-dp its memory", async (context) => {
    const seconds = Math.round(2 * TEST_SCALE);
    const flow = async (): Promise<number> => {
      const sink = await UdpSink.open(here.namespace, 9);
      const args = [
        here.address,
        "9",
        "--size",
        "1000",
        "--rate",
        "2000",
        "--seconds",
        `${seconds}`,
      ];
      const { sent } = await sendLoad(there.namespace, "udp-send", ...args);
      return (await sink.stop()).received / sent;
    };
    const alone = await flow();
    const memoryBefore = a.residentBytes(dataplane);
    const before = await inboundTotal();
    const garbage = sendLoad(
      stranger.namespace,
      "garbage",
      ...[a.address, `${PORT}`, "--rate", "100000", "--seconds", `${seconds + 1}`],
    );
    const under = await flow();
    const { sent } = await garbage;
    const grown = a.residentBytes(dataplane) - memoryBefore;
    const read = (await inboundTotal()) - before;
    context.diagnostic(
      `${sent} datagrams of garbage; the flow arrived to ${(under * 100).toFixed(1)} % under it, ${(alone * 100).toFixed(1)} % alone; memory grew by ${grown} octets`,
    );
    assert.ok(read > 1_000, "the garbage was read");
    assert.ok(grown < 8 * 1024 * 1024, `memory grew by ${grown} octets`);
    await stillServes();
  });

  test("MACs sprayed by one vnet evict its own entries and nobody else's", async () => {
    const elsewhere = await a.vm(OTHER_VNET, { address: "192.168.13.20/24", offload: false });
    const mouth = await Tap.open(lab, elsewhere.namespace, "eth0");
    mouth.send(
      ethernet({ to: "02:66:00:00:00:04", from: elsewhere.mac }, EXPERIMENTAL_TYPE, pattern(46)),
    );
    await eventually("a knows its VM", async () => (await a.vn("vifs")).includes(elsewhere.mac));
    const sprayer = await Tap.open(lab, here.namespace, "eth0");
    const frames = Array.from({ length: 10_000 }, (_, index) => {
      const tail = index
        .toString(16)
        .padStart(6, "0")
        .replace(/(..)(..)(..)/, "$1:$2:$3");
      return ethernet(
        { to: "02:66:00:00:00:05", from: `02:77:00:${tail}` },
        EXPERIMENTAL_TYPE,
        pattern(46),
      );
    });
    sprayer.send(...frames);
    await eventually(
      "the vnet's limit evicts",
      async () => ((await a.counters(VNET))["vif-evicted"] ?? 0) > 0,
      20_000,
    );
    assert.ok((await a.vn("vifs", OTHER_VNET)).includes(elsewhere.mac));
    assert.equal((await a.counters(OTHER_VNET))["vif-evicted"] ?? 0, 0);
    await stillServes();
    await mouth.close();
    await sprayer.close();
  });

  test("a VM cannot speak to the tunnel's port through its own vnet", async () => {
    const before = (await a.counters(VNET))["drop-recursion"] ?? 0;
    const out = await Tap.open(lab, here.namespace, "eth0");
    const inner = encodeLegacyFrame(VNET, innerFrame());
    const addressing = { sourcePort: PORT, destinationPort: PORT, payload: inner };
    out.send(
      udp4(
        { to: there.mac, from: here.mac },
        { source: a.address, destination: stranger.address, ...addressing },
      ),
    );
    await eventually(
      "it is dropped as recursion",
      async () => ((await a.counters(VNET))["drop-recursion"] ?? 0) > before,
    );
    await out.close();
  });
});

function withU16(frame: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(value, at);
  return copy;
}

/**
 * What vnet-dp shows of a vnet's frames to who captures: each as it left and as it came, with whole
 * checksums, without losing anything else for it.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { EngineHost, type Event } from "./engine-host.ts";
import { BROADCAST_MAC, ethernet, internetChecksum, pattern } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { sendLoad, Tap } from "./link-tools.ts";
import { run } from "./programs.ts";
import { eventually, staysTrue } from "./wait.ts";

const MAC_A = "02:00:00:00:0a:01";
const MAC_B = "02:00:00:00:0b:01";
const VNET = parseVnetId("97");
const OUT = 0;
const IN = 1;

type Captured = Event<"captured-frame">;

describe("a capture of a vnet's frames", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: EngineHost;
  let b: EngineHost;
  let vmA: Tap;
  const vms: string[] = [];
  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    a = await EngineHost.create(lab, "a", segment);
    b = await EngineHost.create(lab, "b", segment);
    for (const [host, mac, address] of [
      [a, MAC_A, "10.9.0.1/24"],
      [b, MAC_B, "10.9.0.2/24"],
    ] as const) {
      await host.start();
      await host.vnet("97");
      vms.push(await host.vm("97", mac, address));
    }
    vmA = await Tap.open(lab, vms[0] ?? "", "eth0", "--promiscuous");
  });
  afterEach(async () => {
    for (const host of [a, b]) {
      await host.client.request({ kind: "stop-capture", vnet: VNET });
      host.events.length = 0;
    }
  });
  after(async () => {
    await a?.stop();
    await b?.stop();
    await lab?.close();
  });

  async function start(host: EngineHost, snapBytes = 65_535): Promise<void> {
    await host.client.request({ kind: "start-capture", vnet: VNET, snapBytes });
  }

  function captured(host: EngineHost, direction: number): readonly Captured[] {
    return host.events
      .filter((event) => event.kind === "captured-frame")
      .filter((event) => event.direction === direction);
  }

  test("shows a frame on both sides as it is, and cuts it as asked", async () => {
    await start(a);
    await start(b, 40);
    const frame = ethernet({ to: BROADCAST_MAC, from: MAC_A }, 0x88b5, pattern(300));
    const sentAt = BigInt(Date.now()) * 1_000_000n;
    vmA.send(frame);
    const out = await eventually("it is shown", () =>
      captured(a, OUT).find(({ octets }) => frame.equals(octets)),
    );
    assert.deepEqual([out.vnet, out.frameBytes, out.lost], [VNET, 314, 0]);
    const offBy = out.timeNs - sentAt;
    assert.ok(offBy > -1_000_000_000n && offBy < 10_000_000_000n, `${offBy} ns`);
    const into = await eventually("it is shown at the other end", () =>
      captured(b, IN).find(({ frameBytes }) => frameBytes === 314),
    );
    assert.deepEqual(Buffer.from(into.octets), frame.subarray(0, 40));
    assert.equal(captured(b, OUT).filter(({ frameBytes }) => frameBytes === 314).length, 0);
  });

  test("completes checksums and shows super-frames whole", async () => {
    await start(a);
    await start(b);
    const server = lab.background(vms[1] ?? "", "python3", "-c", SERVER);
    await eventually("it listens", async () =>
      (await lab.in(vms[1] ?? "", "ss", "-Hltn", "sport = :7003")).includes("7003"),
    );
    await run("ip", ["netns", "exec", vms[0] ?? "", "python3", "-c", CLIENT]);
    await server;
    await eventually("the end is shown", () => captured(b, IN).length > 100);
    const tcp = [...captured(a, OUT), ...captured(b, IN), ...captured(a, IN)].filter(
      ({ octets }) => octets[12] === 8 && octets[13] === 0 && octets[23] === 6,
    );
    assert.ok(captured(a, OUT).some(({ frameBytes }) => frameBytes > 5_000));
    assert.ok(tcp.length > 100);
    for (const { octets, frameBytes } of tcp) {
      assert.equal(octets.length, frameBytes);
      assertChecksums(Buffer.from(octets));
    }
  });

  test("does not slow down or lose other events when nobody reads fast enough", async () => {
    await start(b, 64);
    await sendLoad(
      vms[0] ?? "",
      "udp-send",
      ...["10.9.0.2", "7004", "--rate", "60000", "--seconds", "2", "--size", "64"],
    );
    const counters = await b.counters("97");
    const shown = captured(b, IN);
    const lost = shown.reduce((sum, event) => sum + event.lost, 0);
    assert.ok(shown.length > 1_000);
    assert.ok(lost <= (counters["capture-lost"] ?? 0));
    assert.equal(
      b.events.some(({ kind }) => kind === "events-lost"),
      false,
    );
  });

  test("ends when it is stopped, and with the connection that wanted it", async () => {
    await start(a);
    const frame = ethernet({ to: BROADCAST_MAC, from: MAC_A }, 0x88b5, pattern(100));
    vmA.send(frame);
    await eventually("it is shown", () => captured(a, OUT).length > 0);
    await a.client.request({ kind: "stop-capture", vnet: VNET });
    a.events.length = 0;
    vmA.send(frame);
    await staysTrue("nothing is shown", () => captured(a, OUT).length === 0, 200);
    await start(a);
    await a.connect();
    a.events.length = 0;
    vmA.send(frame);
    await staysTrue("nothing is shown", () => captured(a, OUT).length === 0, 200);
    await assert.rejects(a.client.request({ kind: "start-capture", vnet: VNET, snapBytes: 0 }), {
      errno: 22,
    });
    await assert.rejects(
      a.client.request({ kind: "start-capture", vnet: parseVnetId("98"), snapBytes: 1 }),
      { errno: 2 },
    );
  });
});

const SERVER = `import socket
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(('',7003)); s.listen()
c,_=s.accept()
while c.recv(65536): pass`;
const CLIENT = `import socket
s=socket.socket(); s.settimeout(20); s.connect(('10.9.0.2',7003)); s.sendall(bytes(2000000)); s.close()`;

/** IPv4 and TCP. */
function assertChecksums(frame: Buffer): void {
  const packet = frame.subarray(14);
  const headerBytes = (packet.readUInt8(0) & 15) * 4;
  const packetBytes = packet.readUInt16BE(2);
  assert.equal(internetChecksum(packet.subarray(0, headerBytes)), 0, "the IPv4 header");
  const tcp = packet.subarray(headerBytes, packetBytes);
  const pseudo = Buffer.alloc(12);
  packet.copy(pseudo, 0, 12, 20);
  pseudo.writeUInt8(6, 9);
  pseudo.writeUInt16BE(tcp.length, 10);
  assert.equal(internetChecksum(Buffer.concat([pseudo, tcp])), 0, "TCP");
}

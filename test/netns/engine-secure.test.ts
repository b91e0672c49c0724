/**
 * Secure vnets in vnet-dp by itself, the test in vnetd's place: what is sealed comes out at the other
 * end as it was, and nothing else comes out at all.
 *
 *      VM ── bridge ── TAP ── vnet-dp a ──u1──┬── segment
 *      VM ── bridge ── TAP ── vnet-dp b ──u1──┤
 *                         a stranger's port ──┘
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { ALL_VNETS, parseVnetId } from "../../src/net/vnet-id.ts";
import type { DataplaneEvent } from "../../src/vnet/dataplane-messages.ts";
import { encodeLegacyFrame } from "../fakes/legacy-messages.ts";
import { EngineHost, GROUP } from "./engine-host.ts";
import {
  AUTH,
  CONF,
  drawSa,
  endpointOf,
  LAST_COUNTER,
  listSas,
  receiveFrom,
  SECURE_VNET,
  SUITES,
  type SuiteName,
  sendWith,
  type TestSa,
} from "./engine-keys.ts";
import { BROADCAST_MAC, ethernet, pattern, tunnelDatagram, udp4 } from "./frames.ts";
import { Lab, type Segment, SKIP_REASON } from "./lab.ts";
import { DatagramPort, hex, PacketPort, Tap } from "./link-tools.ts";
import { tryRun } from "./programs.ts";
import { eventually, staysTrue } from "./wait.ts";

const MAC_A = "02:00:00:00:0a:01";
const MAC_B = "02:00:00:00:0b:01";
const VNET = parseVnetId(SECURE_VNET);
const EACH_SUITE = Object.keys(SUITES) as readonly SuiteName[];

/** A frame that no stack answers, with a number in it. */
function numbered(to: string, number: number, bytes = 46): Buffer {
  const payload = pattern(bytes, number + 1);
  payload.writeUInt16BE(number, 0);
  return ethernet({ to, from: MAC_A }, 0x88b5, payload);
}

describe("vnet-dp with a secure vnet", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let segment: Segment;
  let a: EngineHost;
  let b: EngineHost;
  let vmA: Tap;
  let vmB: Tap;
  let wire: Tap;
  let stranger: DatagramPort;
  let strangers: EngineHost;
  let saA: TestSa;
  let saB: TestSa;
  const namespaces: [string, string] = ["", ""];

  before(async () => {
    lab = await Lab.create();
    segment = await lab.segment();
    a = await EngineHost.create(lab, "a", segment);
    b = await EngineHost.create(lab, "b", segment);
    const other = await EngineHost.create(lab, "c", segment);
    strangers = other;
    wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    stranger = await DatagramPort.open(lab, other.namespace, {
      ...{ address: other.address, udpPort: 1798, group: GROUP },
    });
    for (const [host, mac] of [
      [a, MAC_A],
      [b, MAC_B],
    ] as const) {
      await host.start();
      await host.vnet(SECURE_VNET, { security: CONF });
      const namespace = await host.vm(
        SECURE_VNET,
        mac,
        mac === MAC_A ? "10.9.0.1/24" : "10.9.0.2/24",
      );
      const tap = await Tap.open(lab, namespace, "eth0", "--promiscuous");
      if (host === a) {
        vmA = tap;
        namespaces[0] = namespace;
      } else {
        vmB = tap;
        namespaces[1] = namespace;
      }
    }
  });
  after(async () => {
    await a?.stop();
    await b?.stop();
    await lab?.close();
  });
  beforeEach(async () => {
    await agree("aes128-gcm");
  });

  /** Both hosts begin anew with keys of this suite. */
  async function agree(name: SuiteName): Promise<void> {
    const { security } = SUITES[name];
    for (const host of [a, b]) {
      await host.setVnet(SECURE_VNET, { security: 0 });
      await host.setVnet(SECURE_VNET, { security });
      host.events.length = 0;
    }
    saA = drawSa(name);
    saB = drawSa(name);
    await receiveFrom(b, a, saA);
    await receiveFrom(a, b, saB);
    await sendWith(a, saA);
    await sendWith(b, saB);
    for (const tap of [vmA, vmB, wire]) {
      tap.clear();
    }
    stranger.datagrams.length = 0;
  }

  /** By how much a counter of a host has grown while `act` ran, once it has grown at all. */
  async function grows(
    host: EngineHost,
    name: string,
    act: () => void | Promise<void>,
    vnet = SECURE_VNET,
  ): Promise<number> {
    const before = (await host.counters(vnet))[name] ?? 0;
    await act();
    return await eventually(`${name} grows`, async () => {
      const now = (await host.counters(vnet))[name] ?? 0;
      return now > before && now - before;
    });
  }

  /** A sealed datagram of `a` for the whole group, as the stranger heard it. */
  async function overheard(number: number): Promise<Buffer> {
    vmA.send(numbered(BROADCAST_MAC, number));
    await vmB.expect(numbered(BROADCAST_MAC, number));
    return await eventually("the stranger hears it", () => {
      const heard = stranger.datagrams.filter(({ payload }) => payload.readUInt32BE(0) === saA.spi);
      return heard.at(-1)?.payload;
    });
  }

  for (const name of EACH_SUITE) {
    test(`${name}: frames of every length come out as they went in, none in clear`, async () => {
      await agree(name);
      const frames = [46, 47, 48, 49, 61, 500, 1_389, 1_500].map((bytes, index) =>
        numbered(index % 2 === 0 ? BROADCAST_MAC : MAC_B, index, bytes),
      );
      vmA.send(...frames);
      for (const frame of frames) {
        await vmB.expect(frame);
      }
      const back = ethernet({ to: MAC_A, from: MAC_B }, 0x88b5, pattern(700, 9));
      vmB.send(back);
      await vmA.expect(back);
      const tunnel = wire.frames.flatMap(({ frame }) => tunnelDatagram(frame) ?? []);
      // Equal ones behind one another are one packet here, which the device would cut.
      assert.ok(tunnel.length >= 4, `${tunnel.length} on the wire`);
      for (const { payload } of tunnel) {
        // Of this test or, late, of the one before.
        assert.equal(payload.readUInt16BE(0), 0x2000, hex(payload.subarray(0, 16)));
      }
      const isConf = SUITES[name].security === CONF;
      const needle = frames[5]?.subarray(40, 72) ?? Buffer.alloc(0);
      assert.equal(
        tunnel.some(({ payload }) => payload.includes(needle)),
        !isConf,
      );
      assert.ok((await b.fdb(SECURE_VNET)).includes(`${MAC_A} ${a.address}`));
    });

    test(`${name}: TCP in super-frames, 8 MB both ways`, async () => {
      await agree(name);
      for (const [from, to, address] of [
        [a, b, "10.9.0.2"],
        [b, a, "10.9.0.1"],
      ] as const) {
        await sendOctets(from, to, address, 8_000_000);
      }
      const [out, into] = [await a.counters(SECURE_VNET), await b.counters(SECURE_VNET)];
      assert.ok((out["segments-out"] ?? 0) > 100, "super-frames were cut");
      assert.ok((into["coalesced-in"] ?? 0) > 100, "frames were merged");
      assert.equal(into["drop-esp-forged"], 0);
    });
  }

  async function sendOctets(
    from: EngineHost,
    to: EngineHost,
    address: string,
    bytes: number,
  ): Promise<void> {
    const digest = "import sys,hashlib\nh=hashlib.sha256()\n";
    const receive = `${digest}import socket
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(('',7002)); s.listen()
print('listening',flush=True)
c,_=s.accept()
while True:
  d=c.recv(65536)
  if not d: break
  h.update(d)
print(h.hexdigest())`;
    const send = `${digest}import socket,os
s=socket.socket(); s.settimeout(20); s.connect(('${address}',7002))
d=os.urandom(1<<20); left=${bytes}
while left>0:
  p=d[:min(left,len(d))]; h.update(p); s.sendall(p); left-=len(p)
s.close(); print(h.hexdigest())`;
    const receiver = lab.background(vmOf(to), "python3", "-c", receive);
    await eventually("it listens", async () =>
      (await lab.in(vmOf(to), "ss", "-Hltn", "sport = :7002")).includes("7002"),
    );
    const sent = await tryRun("ip", ["netns", "exec", vmOf(from), "python3", "-c", send], {
      timeoutMs: 60_000,
    });
    assert.equal(sent.status, 0, sent.stderr);
    assert.equal((await receiver).stdout.trim().split("\n").at(-1), sent.stdout.trim());
  }

  function vmOf(host: EngineHost): string {
    return host === a ? namespaces[0] : namespaces[1];
  }

  test("without a key to send with nothing leaves", async () => {
    await a.client.request({
      ...{ kind: "delete-sa", vnet: VNET, spi: saA.spi, host: null, send: true },
    });
    const before = (await a.counters(SECURE_VNET))["outbound-datagrams"];
    const dropped = await grows(a, "drop-no-sa", () => {
      vmA.send(numbered(BROADCAST_MAC, 1), numbered(MAC_B, 2));
    });
    assert.ok(dropped >= 1);
    await staysTrue("nobody hears it", () => stranger.datagrams.length === 0, 200);
    assert.equal((await a.counters(SECURE_VNET))["outbound-datagrams"], before);
    await assert.rejects(
      a.client.request({
        ...{ kind: "seal-flood", vnet: VNET, nextHeader: 17, payload: Buffer.alloc(8) },
      }),
      { errno: 126 },
    );
  });

  test("a clear message for a secure vnet goes no further", async () => {
    const clear = encodeLegacyFrame(VNET, numbered(BROADCAST_MAC, 77));
    await grows(b, "drop-downgrade", () => stranger.send(b.address, 1798, clear));
    await grows(b, "drop-downgrade", () => stranger.send(GROUP, 1798, clear));
    const varp = Buffer.alloc(43);
    varp.set([0, 1, 0, 2]);
    varp.set(Buffer.from(VNET.replaceAll(":", ""), "hex"), 4);
    varp.set([2, 0, 0, 0, 0x0c, 1, 2, 10, 99, 0, 9], 20);
    await grows(b, "drop-downgrade", () => stranger.send(b.address, 1798, varp));
    assert.equal(
      b.events.some(({ kind }) => kind === "control-received"),
      false,
    );
    assert.equal(vmB.matching((frame) => frame.equals(numbered(BROADCAST_MAC, 77))).length, 0);
  });

  test("a replayed datagram is dropped, from whatever address it comes", async () => {
    const datagram = await overheard(1);
    vmB.clear();
    assert.equal(
      (await grows(b, "drop-esp-replay", () => {
        stranger.send(b.address, 1798, datagram);
        stranger.send(b.address, 1798, datagram);
        stranger.send(GROUP, 1798, datagram);
      })) >= 1,
      true,
    );
    await staysTrue(
      "it is not delivered",
      () => vmB.matching((frame) => frame.equals(numbered(BROADCAST_MAC, 1))).length === 0,
      200,
    );
    const [state] = (await listSas(b)).filter(({ send }) => !send);
    assert.ok((state?.replayed ?? 0n) >= 3n);
  });

  for (const name of EACH_SUITE) {
    test(`${name}: a datagram with a flipped bit or a piece missing is dropped`, async () => {
      await agree(name);
      const datagram = await overheard(2);
      await a.client.request({
        ...{ kind: "delete-sa", vnet: VNET, spi: saA.spi, host: null, send: true },
      });
      // A fresh window: what is dropped now is not dropped as a replay.
      await b.client.request({
        ...{ kind: "delete-sa", vnet: VNET, spi: saA.spi, host: endpointOf(a), send: false },
      });
      await receiveFrom(b, a, saA);
      vmB.clear();
      const before = await b.counters(SECURE_VNET);
      let sent = 0;
      for (let bit = 32; bit < datagram.length * 8; bit += 5) {
        const wrong = Buffer.from(datagram);
        wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        stranger.send(b.address, 1798, wrong);
        sent += 1;
      }
      for (let bytes = 8; bytes < datagram.length; bytes += 1) {
        stranger.send(b.address, 1798, datagram.subarray(0, bytes));
        sent += 1;
      }
      const dropped = ["drop-esp-forged", "drop-esp-malformed", "drop-esp-replay"] as const;
      await eventually("all are dropped", async () => {
        const now = await b.counters(SECURE_VNET);
        const count = dropped.reduce(
          (sum, counter) => sum + (now[counter] ?? 0) - (before[counter] ?? 0),
          0,
        );
        return count === sent;
      });
      // The window has not moved for any of them: the true one still passes, once.
      stranger.send(b.address, 1798, datagram);
      await vmB.expect(numbered(BROADCAST_MAC, 2));
      assert.equal((await b.counters(SECURE_VNET))["opened-in"], (before["opened-in"] ?? 0) + 1);
    });
  }

  test("an unknown SPI is told of, held for its key, and delivered in order", async () => {
    const next = drawSa("aes128-gcm");
    await sendWith(a, next);
    vmA.send(...[1, 2, 3].map((number) => numbered(BROADCAST_MAC, number)));
    const told = await b.event("unknown-spi");
    assert.deepEqual([told.spi, told.source?.address], [next.spi, a.address]);
    await receiveFrom(b, a, next);
    await vmB.expect(numbered(BROADCAST_MAC, 3));
    const heard = vmB.matching((frame) => frame.readUInt16BE(12) === 0x88b5);
    assert.deepEqual(
      heard.map((frame) => frame.readUInt16BE(14)),
      [1, 2, 3],
    );
    assert.equal(b.events.filter(({ kind }) => kind === "unknown-spi").length, 1);
  });

  test("what its key came too late for is forgotten", async () => {
    const next = drawSa("aes128-gcm");
    await sendWith(a, next);
    vmA.send(numbered(BROADCAST_MAC, 5));
    await b.event("unknown-spi");
    await grows(b, "drop-esp-no-key", () => {}, "0");
    await receiveFrom(b, a, next);
    vmA.send(numbered(BROADCAST_MAC, 6));
    await vmB.expect(numbered(BROADCAST_MAC, 6));
    assert.equal(vmB.matching((frame) => frame.equals(numbered(BROADCAST_MAC, 5))).length, 0);
  });

  test("a flood of unknown SPIs is bounded in events and memory, and data goes on", async () => {
    const before = await b.counters();
    for (let index = 0; index < 3_000; index += 1) {
      const junk = Buffer.alloc(600, index & 0xff);
      junk.writeUInt32BE(0x3000_0000 + index, 0);
      stranger.send(b.address, 1798, junk);
    }
    await eventually("the queue was full", async () => {
      const now = await b.counters();
      const held = (now["held-in"] ?? 0) - (before["held-in"] ?? 0);
      const full = (now["drop-hold-full"] ?? 0) - (before["drop-hold-full"] ?? 0);
      return held + full >= 2_900 && full > 0;
    });
    assert.ok(b.events.filter(({ kind }) => kind === "unknown-spi").length <= 70);
    await overheard(8);
  });

  test("SAs are listed with their context and counters for the next vnetd, without keys", async () => {
    for (const number of [1, 2, 3]) {
      await overheard(number);
    }
    await b.connect();
    const states = await listSas(b);
    assert.deepEqual(
      states.map(({ send, spi, suite, host, context }) => [
        ...[send, spi, suite, host?.address ?? null, Buffer.from(context).toString()],
      ]),
      [
        [true, saB.spi, 1, null, "sender"],
        [false, saA.spi, 1, a.address, "receiver"],
      ],
    );
    assert.ok((states[1]?.counter ?? 0n) >= 3n && (states[1]?.silentMs ?? 0) < 60_000);
    assert.ok(states[1]?.counter === (await listSas(a))[0]?.counter);
    const text = JSON.stringify(states, (_, value) =>
      typeof value === "bigint" ? `${value}` : value instanceof Uint8Array ? hex(value) : value,
    );
    assert.equal(text.includes(hex(saA.keys)) || text.includes(hex(saB.keys)), false);
    await overheard(4);
  });

  test("what was sealed before the SA was set is not opened afterwards", async () => {
    const datagram = await overheard(1);
    await b.client.request({
      ...{ kind: "delete-sa", vnet: VNET, spi: saA.spi, host: endpointOf(a), send: false },
    });
    const [sending] = (await listSas(a)).filter(({ send }) => send);
    await receiveFrom(b, a, saA, { seenUpTo: sending?.counter ?? 0n });
    vmB.clear();
    await grows(b, "drop-esp-replay", () => stranger.send(b.address, 1798, datagram));
    await overheard(2);
  });

  test("commands with wrong fields are refused and change nothing", async () => {
    const gcm = drawSa("aes128-gcm");
    const cases: readonly (readonly [() => Promise<void>, number])[] = [
      [() => sendWith(a, saA), 17],
      [() => receiveFrom(b, a, saA), 17],
      [() => sendWith(a, drawSa("hmac96")), 22],
      [() => receiveFrom(b, a, drawSa("hmac-sha256-128")), 22],
      [() => sendWith(a, { ...gcm, spi: 0x0fff_ffff }), 22],
      [() => sendWith(a, { ...gcm, spi: 0xffff_ffff }), 22],
      [() => sendWith(a, { ...gcm, keys: gcm.keys.subarray(1) }), 22],
      [() => sendWith(a, { ...gcm, suite: 6 }), 22],
      [() => sendWith(a, gcm, { stopAt: LAST_COUNTER + 1n }), 22],
      [() => sendWith(a, gcm, { context: Buffer.alloc(129) }), 22],
      [() => sendWith(a, gcm, { vnet: parseVnetId("99") }), 2],
      [() => receiveFrom(b, { address: "224.0.0.1" }, gcm), 22],
      [() => a.setVnet(SECURE_VNET, { security: 3 }), 22],
      [() => a.setVnet(SECURE_VNET, { security: CONF, encapsulation: 1 }), 22],
    ];
    for (const [command, errno] of cases) {
      await assert.rejects(command(), { name: "DataplaneError", errno }, command.toString());
    }
    await a.vnet("98");
    await assert.rejects(sendWith(a, gcm, { vnet: parseVnetId("98") }), { errno: 22 });
    await a.client.request({ kind: "delete-vnet", vnet: parseVnetId("98") });
    await overheard(1);
  });

  test("SAs of one SPI, of a vnet and of all are limited, and go with the vnet", async () => {
    const same = drawSa("aes128-gcm");
    const many = Array.from({ length: 9 }, (_, index) => ({ address: `10.99.0.${index + 1}` }));
    for (const host of many.slice(0, 8)) {
      await receiveFrom(b, host, { ...same, keys: drawSa("aes128-gcm").keys });
    }
    await assert.rejects(receiveFrom(b, many[8] ?? a, same), { errno: 28 });
    const sas = Array.from({ length: 4_200 }, () => drawSa("aes128-gcm"));
    const failures = await b.client.apply(
      sas.map((sa) => ({
        ...{ kind: "set-receive-sa", vnet: VNET, ...sa, host: endpointOf(a) },
        ...{ context: Buffer.alloc(0), seenUpTo: 0n, checksumPartial: false },
      })),
    );
    assert.equal((await listSas(b)).length, 4_096);
    assert.ok(failures.every(({ error }) => error.errno === 28));
    await overheard(1);
    await b.setVnet(SECURE_VNET, { security: AUTH });
    assert.deepEqual(await listSas(b), []);
    assert.deepEqual(await b.fdb(SECURE_VNET), []);
  });

  test("of several senders with one SPI each is opened with its own key", async () => {
    const foreign = { ...saA, keys: drawSa("aes128-gcm").keys };
    await b.client.request({
      ...{ kind: "delete-sa", vnet: VNET, spi: saA.spi, host: endpointOf(a), send: false },
    });
    await receiveFrom(b, { address: "10.99.0.1" }, foreign);
    await receiveFrom(b, a, saA);
    await receiveFrom(b, { address: "10.99.0.2" }, { ...saA, keys: drawSa("aes128-gcm").keys });
    await overheard(1);
    assert.deepEqual(
      (await b.fdb(SECURE_VNET)).filter((line) => line.startsWith(MAC_A)),
      [`${MAC_A} ${a.address}`],
    );
  });

  test("where a MAC is, the authenticated sender says, and a pinned one stays", async () => {
    await b.client.request({
      kind: "change-receive-sa",
      ...{
        vnet: VNET,
        spi: saA.spi,
        host: endpointOf(a),
        newHost: endpointOf({ address: "10.99.0.5" }),
      },
      ...{ context: Buffer.from("moved"), checksumPartial: false },
    });
    await overheard(1);
    assert.ok((await b.fdb(SECURE_VNET)).includes(`${MAC_A} 10.99.0.5`));
    const mac = parseMacAddress("02:00:00:00:0e:01");
    const elsewhere = endpointOf({ address: "10.99.0.9" });
    await b.client.request({ kind: "set-fdb", vnet: VNET, mac, host: elsewhere, pinned: true });
    vmA.send(ethernet({ to: BROADCAST_MAC, from: mac }, 0x88b5, pattern(60)));
    await overheard(2);
    assert.ok((await b.fdb(SECURE_VNET)).includes(`${mac} 10.99.0.9`));
  });

  test("our own datagram from another host is told of, a forged one is not", async () => {
    const datagram = await overheard(1);
    const forged = Buffer.from(datagram);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    await grows(a, "drop-esp-forged", () => stranger.send(a.address, 1798, forged));
    assert.equal(
      a.events.some(({ kind }) => kind === "own-spi-heard"),
      false,
    );
    await grows(a, "drop-esp-own", () => stranger.send(a.address, 1798, datagram));
    assert.equal((await a.event("own-spi-heard")).spi, saA.spi);
    // What it sealed with before is its own still.
    await sendWith(a, drawSa("aes128-gcm"));
    await grows(a, "drop-esp-own", () => stranger.send(a.address, 1798, datagram));
    assert.equal(a.events.filter(({ kind }) => kind === "own-spi-heard").length, 1);
  });

  test("sealed control messages go up with their host, flooded and to one host", async () => {
    const payload = Buffer.from("0706070600330000".padEnd(102, "a5"), "hex");
    await a.client.request({ kind: "seal-flood", vnet: VNET, nextHeader: 17, payload });
    const flooded = await b.event("sealed-control");
    assert.deepEqual(
      [flooded.vnet, flooded.spi, flooded.host?.address, flooded.via, flooded.nextHeader],
      [VNET, saA.spi, a.address, 1, 17],
    );
    assert.deepEqual(Buffer.from(flooded.payload), payload);
    b.events.length = 0;
    const host = endpointOf(b);
    await a.client.request({ kind: "seal-to", vnet: VNET, host, nextHeader: 17, payload });
    assert.equal((await b.event("sealed-control")).via, 0);
    await grows(b, "drop-esp-dummy", async () => {
      const dummy = Buffer.alloc(100);
      await a.client.request({ kind: "seal-to", vnet: VNET, host, nextHeader: 59, payload: dummy });
    });
  });

  test("an SA that is spent says so once, and seals nothing beyond its end", async () => {
    const short = drawSa("aes128-gcm");
    await receiveFrom(b, a, short);
    await sendWith(a, short, { rekeyAt: 3n, stopAt: 5n });
    vmA.send(...[1, 2, 3, 4, 5, 6, 7].map((number) => numbered(BROADCAST_MAC, number)));
    await vmB.expect(numbered(BROADCAST_MAC, 5));
    await eventually("two are dropped", async () => {
      return ((await a.counters(SECURE_VNET))["drop-sa-spent"] ?? 0) >= 2;
    });
    assert.equal((await a.event("sa-spent")).spi, short.spi);
    assert.equal(a.events.filter(({ kind }) => kind === "sa-spent").length, 1);
    assert.equal((await listSas(a)).find(({ send }) => send)?.counter, 5n);
    assert.equal(vmB.matching((frame) => frame.equals(numbered(BROADCAST_MAC, 6))).length, 0);
  });

  test("checksums are left to a host that takes them so, in unicast only", async () => {
    for (const [host, sa, peer] of [
      [a, saB, b],
      [b, saA, a],
    ] as const) {
      await host.client.request({
        ...{ kind: "change-receive-sa", vnet: VNET, spi: sa.spi, checksumPartial: true },
        ...{ host: endpointOf(peer), newHost: endpointOf(peer), context: Buffer.alloc(0) },
      });
    }
    await sendOctets(a, b, "10.9.0.2", 4_000_000);
    const [out, into] = [await a.counters(SECURE_VNET), await b.counters(SECURE_VNET)];
    assert.ok((out["checksum-partial-out"] ?? 0) > 1_000);
    assert.ok((into["checksum-partial-in"] ?? 0) > 1_000);
    assert.equal(into["drop-checksum-flag"], 0);
    // A checksum that the guest has computed, right or wrong, is carried as it is.
    const datagram = { source: "10.9.0.1", destination: "10.9.0.2", payload: pattern(200) };
    const right = udp4(
      { to: MAC_B, from: MAC_A },
      { ...datagram, sourcePort: 5, destinationPort: 6 },
    );
    const wrong = Buffer.from(right);
    wrong.writeUInt16BE(0x1234, 40);
    vmA.send(right, wrong);
    await vmB.expect(right);
    await vmB.expect(wrong);
  });

  test("keys change under load and no frame is lost", async () => {
    const before = await lossOf();
    let running = true;
    const load = sendOctets(a, b, "10.9.0.2", 100_000_000).finally(() => {
      running = false;
    });
    let changes = 0;
    while (running) {
      const next = drawSa("aes128-gcm");
      await receiveFrom(b, a, next);
      await sendWith(a, next);
      changes += 1;
      await sleep(10);
    }
    await load;
    assert.ok(changes > 10, `${changes} changes`);
    assert.equal((await lossOf()) - before, 0);
  });

  /** What `a` did not send and `b` did not open, of whatever was sealed or to be sealed. */
  async function lossOf(): Promise<number> {
    const [out, into] = [await a.counters(SECURE_VNET), await b.counters(SECURE_VNET)];
    const all = await b.counters();
    return [
      ...[out["drop-no-sa"], out["drop-sa-spent"], out["drop-send-failed"]],
      ...[into["drop-esp-forged"], into["drop-esp-replay"], into["drop-esp-malformed"]],
      ...[all["held-in"], all["drop-hold-full"], all["drop-socket-overflow"]],
    ].reduce<number>((sum, count) => sum + (count ?? 0), 0);
  }

  test("VNC1 messages of the right form go up, others are counted", async () => {
    const good = vnc1Hello();
    await grows(b, "vnc-in", () => stranger.send(b.address, 1798, good), "0");
    const event = await b.event("vnc-received");
    assert.deepEqual(Buffer.from(event.datagram), good);
    assert.equal(event.via, 0);
    const long = Buffer.concat([good, Buffer.alloc(1)]);
    await grows(b, "drop-vnc-malformed", () => stranger.send(b.address, 1798, long), "0");
    b.events.length = 0;
    await grows(
      b,
      "drop-control-rate",
      () => {
        for (let index = 0; index < 800; index += 1) {
          stranger.send(b.address, 1798, good);
        }
      },
      "0",
    );
  });

  function vnc1Hello(): Buffer {
    const hello = Buffer.alloc(96, 0x5a);
    hello.writeUInt32BE(0, 0);
    hello.write("VNC1", 4);
    hello.writeUInt8(1, 8);
    hello.writeUInt8(0, 9);
    hello.writeUInt16BE(96, 10);
    hello.writeUInt16BE(1, 20);
    hello.writeUInt32BE(saA.spi, 60);
    return hello;
  }

  test("strangers with many addresses do not crowd out who has an SA", async () => {
    const port = await PacketPort.open(lab, strangers.namespace, strangers.address);
    const hello = vnc1Hello();
    const before = await b.counters();
    for (let index = 0; index < 6_000; index += 1) {
      const fields = { sourcePort: 1798, destinationPort: 1798, payload: hello };
      const source = a.address.replace(/\d+$/, `${10 + (index % 240)}`);
      port.send(
        udp4({ to: MAC_B, from: MAC_A }, { ...fields, source, destination: b.address }).subarray(
          14,
        ),
      );
    }
    await eventually("they are too many", async () => {
      return (
        ((await b.counters())["drop-control-rate"] ?? 0) > (before["drop-control-rate"] ?? 0) + 500
      );
    });
    const isOfA = (event: DataplaneEvent): boolean =>
      event.kind === "vnc-received" && event.source?.address === a.address;
    for (let count = 0; count < 5; count += 1) {
      b.events.length = 0;
      await a.client.request({ kind: "send-to", host: endpointOf(b), datagram: hello });
      await eventually("it goes up", () => b.events.some(isOfA));
    }
    await port.close();
  });

  test("a probe goes in one piece or not at all", async () => {
    const probe = Buffer.concat([vnc1Hello().subarray(0, 80), Buffer.alloc(1_376 + 16)]);
    probe.writeUInt8(7, 8);
    probe.writeUInt16BE(1_472, 10);
    // The probe, and padding up to the MAC.
    probe.set([9, 0, 6, 0, 0, 0, 1, 5, 0xc0, 8, (1_376 - 12) >> 8, (1_376 - 12) & 0xff], 80);
    wire.clear();
    const host = endpointOf(b);
    await a.client.request({ kind: "send-probe", host, datagram: probe });
    const event = await b.event("vnc-received");
    assert.deepEqual([Buffer.from(event.datagram), event.source?.address], [probe, a.address]);
    const packet = await eventually("it is on the wire", () =>
      wire.frames.find(({ frame }) => tunnelDatagram(frame)?.payload.equals(probe)),
    );
    assert.equal(packet.frame.readUInt16BE(20), 0x4000, "not to be fragmented, and not a fragment");
    const long = Buffer.concat([probe, Buffer.alloc(1)]);
    await assert.rejects(a.client.request({ kind: "send-probe", host, datagram: long }), {
      errno: 90,
    });
  });

  test("the offloads' switches change nothing in what is carried", async () => {
    await b.stop();
    await b.start("--no-tap-offload", "--no-udp-gso", "--no-udp-gro");
    await b.setVnet(SECURE_VNET, { security: CONF });
    await receiveFrom(b, a, saA, { checksumPartial: true });
    await sendWith(b, drawSa("aes128-gcm"));
    const back = drawSa("aes128-gcm");
    await receiveFrom(a, b, back, { checksumPartial: true });
    await a.client.request({
      ...{ kind: "delete-sa", vnet: VNET, spi: saB.spi, host: endpointOf(b), send: false },
    });
    await sendWith(b, back);
    await sendOctets(a, b, "10.9.0.2", 2_000_000);
    await sendOctets(b, a, "10.9.0.1", 2_000_000);
    assert.ok(((await b.counters(SECURE_VNET))["checksum-partial-in"] ?? 0) > 100);
    await b.stop();
    await b.start();
    await b.setVnet(SECURE_VNET, { security: CONF });
    const counters = await b.client.request({ kind: "list-sas", vnet: ALL_VNETS, spi: 0 });
    assert.deepEqual(counters, []);
  });
});

/**
 *      VM ─ a ──┬── segment 1        gateway g: no key, no vnet
 *               g ══ peers ══ b ─ VM        (b hears no multicast)
 */
describe("a secure vnet across a gateway without its key", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: EngineHost;
  let gateway: EngineHost;
  let b: EngineHost;
  let vmA: Tap;
  let vmB: Tap;
  let heard: Tap;
  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    heard = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    a = await EngineHost.create(lab, "a", segment);
    gateway = await EngineHost.create(lab, "g", segment);
    b = await EngineHost.create(lab, "b", segment);
    for (const host of [a, gateway, b]) {
      await host.start();
    }
    await b.setUnderlay({ multicast: false });
    await b.peer(gateway.address);
    await gateway.peer(b.address);
    for (const host of [a, b]) {
      await host.vnet(SECURE_VNET, { security: CONF });
      const namespace = await host.vm(SECURE_VNET, host === a ? MAC_A : MAC_B);
      const tap = await Tap.open(lab, namespace, "eth0", "--promiscuous");
      if (host === a) {
        vmA = tap;
      } else {
        vmB = tap;
      }
    }
    const [saA, saB] = [drawSa("aes128-gcm"), drawSa("aes128-gcm")];
    await receiveFrom(b, a, saA);
    await receiveFrom(a, b, saB);
    await sendWith(a, saA);
    await sendWith(b, saB);
  });
  after(async () => {
    for (const host of [a, gateway, b]) {
      await host?.stop();
    }
    await lab?.close();
  });

  test("group frames are wrapped, passed on unread, and opened, with their sender's address", async () => {
    vmA.send(numbered(BROADCAST_MAC, 1));
    await vmB.expect(numbered(BROADCAST_MAC, 1));
    assert.ok((await b.fdb(SECURE_VNET)).includes(`${MAC_A} ${a.address}`));
    assert.ok(((await gateway.counters())["forwarded-out"] ?? 0) >= 1);
    assert.ok(((await b.counters())["forwarded-in"] ?? 0) >= 1);
  });

  test("back they are re-emitted with their first source, unchanged, and opened once", async () => {
    const frame = ethernet({ to: BROADCAST_MAC, from: MAC_B }, 0x88b5, pattern(300, 7));
    heard.clear();
    vmB.send(frame);
    await vmA.expect(frame);
    assert.ok((await a.fdb(SECURE_VNET)).includes(`${MAC_B} ${b.address}`));
    assert.ok(((await gateway.counters())["reemitted-out"] ?? 0) >= 1);
    const emitted = heard.frames.flatMap(({ frame: octets }) => tunnelDatagram(octets) ?? []);
    assert.ok(
      emitted.some(
        ({ source, destination, payload }) =>
          source === b.address && destination === GROUP && payload.readUInt32BE(0) >= 0x1000_0000,
      ),
    );
    await staysTrue(
      "it comes once",
      () => vmA.matching((one) => one.equals(frame)).length === 1,
      200,
    );
    assert.equal(vmB.matching((one) => one.equals(frame)).length, 0);
  });
});

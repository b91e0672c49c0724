/**
 * vnet-dp by itself, commanded by the test in vnetd's place: its life and privileges, what it
 * does with frames and MACs, peers, kill switches, hostile input.
 *
 *      VM ── bridge ── TAP ── vnet-dp a ──u1──┬── segment 1
 *      VM ── bridge ── TAP ── vnet-dp b ──u1──┘
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { encodeLegacyFrame } from "../fakes/legacy-messages.ts";
import { EngineHost, tapOf } from "./engine-host.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { DatagramPort, sendLoad, Tap } from "./link-tools.ts";
import { tryRun } from "./programs.ts";
import { eventually, staysTrue } from "./wait.ts";

const MAC_A = "02:00:00:00:0a:01";
const MAC_B = "02:00:00:00:0b:01";
const BROADCAST = "ff:ff:ff:ff:ff:ff";
/** For local experiments (RFC 5342 §B): no stack answers it. */
const ETHER_TYPE = 0x88b5;

/** A frame of 60 octets with a number in it. */
function frame(destination: string, source: string, number = 0, bytes = 60): Buffer {
  const octets = Buffer.alloc(bytes);
  octets.set(Buffer.from(destination.replaceAll(":", ""), "hex"), 0);
  octets.set(Buffer.from(source.replaceAll(":", ""), "hex"), 6);
  octets.writeUInt16BE(ETHER_TYPE, 12);
  octets.writeUInt16BE(number, 14);
  return octets;
}

describe("a vnet-dp process", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: EngineHost;
  beforeEach(async () => {
    lab = await Lab.create();
    host = await EngineHost.create(lab, "a", await lab.segment());
  });
  afterEach(async () => {
    await host.stop();
    await lab.close();
  });

  test("holds no capability, is not root, and filters system calls in every thread", async () => {
    await host.start();
    const threads = (await tryRun("ls", [`/proc/${host.pid}/task`])).stdout.trim().split("\n");
    assert.equal(threads.length, 3, "control, outbound, inbound");
    for (const thread of threads) {
      const status = readFileSync(`/proc/${host.pid}/task/${thread}/status`, "utf8");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        assert.match(status, new RegExp(`^${set}:\\t0{16}$`, "m"));
      }
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Seccomp:\t2$/m);
      assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
      assert.match(status, /^Groups:\t\s*$/m);
    }
  });

  test("has a control socket that only root may open", async () => {
    await host.start();
    assert.equal(statSync(host.socketPath).mode & 0o777, 0o600);
    assert.equal(statSync(host.socketPath).uid, 0);
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`ends with 0 on ${signal} and removes its files`, async () => {
      await host.start();
      assert.equal(readFileSync(host.pidFile, "utf8"), `${host.pid}\n`);
      assert.equal(await host.stop(signal), 0);
      assert.equal(existsSync(host.socketPath) || existsSync(host.pidFile), false);
    });
  }

  test("ends with 0 on the command shutdown", async () => {
    await host.start();
    const pid = host.pid;
    await host.client.request({ kind: "shutdown" });
    await eventually("it is gone", () => !existsSync(`/proc/${pid}/exe`));
    assert.equal(existsSync(host.socketPath), false);
  });

  test("leaves nothing behind that blocks the next start when it is killed", async () => {
    for (let round = 0; round < 3; round += 1) {
      await host.start();
      assert.equal(await host.stop("SIGKILL"), "SIGKILL");
    }
    await host.start();
  });

  test("replaces a socket file that nobody answers on", async () => {
    await tryRun("python3", [
      ...["-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"],
      host.socketPath,
    ]);
    assert.equal(existsSync(host.socketPath), true);
    await host.start();
  });

  test("says in one line why it cannot start, and what to do", async () => {
    await host.start();
    const other = ["--socket", `${host.folder}/other.sock`, "--pid-file", `${host.folder}/o.pid`];
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [[], 1, /another vnet-dp runs/],
      [["--pid-file", `${host.folder}/o.pid`], 1, /another vnet-dp answers|port 1798|UDP .*:1798/],
      [other, 1, /Cannot bind UDP 0\.0\.0\.0:1798: Address already in use; .*--port/],
      [[...other, "--port", "1799", "--user", "nobody-here"], 1, /no user "nobody-here"/],
      [[...other, "--port", "1799", "--bind", "10.99.0.1"], 1, /no interface has this address/],
      [[...other, "--port", "0"], 2, /--port must be 1 to 65535, not "0"/],
      [["--colour"], 2, /--colour/],
    ];
    for (const [options, status, message] of cases) {
      const finished = await host.tryStart(...options);
      assert.equal(finished.status, status, `${options.join(" ")}: ${finished.stderr}`);
      assert.match(finished.stderr, message);
      assert.equal(finished.stderr.trim().split("\n").length, 1);
      assert.equal(finished.stdout, "");
    }
    assert.equal(existsSync(`${host.folder}/o.pid`), false, "a failed start leaves no pid file");
    assert.equal(existsSync(`${host.folder}/other.sock`), false);
  });

  test("gives a new connection the place of the old one", async () => {
    await host.start();
    const first = host.client;
    await host.connect();
    await assert.rejects(first.request({ kind: "get-state" }));
    assert.equal(host.client.welcome.pid, host.pid);
  });

  test("keeps its state for the next connection", async () => {
    await host.start();
    await host.vnet("97", { mtuBytes: 1400, fdbLimit: 5, vifLimit: 6, encapsulation: 1 });
    await host.peer("10.99.0.7");
    await host.client.request({
      ...{ kind: "set-ages", fdbTtlMs: 9_000, vifTtlMs: 8_000, refreshAfterMs: 3_000 },
    });
    await host.connect();
    const state = await host.client.request({ kind: "get-state" });
    const vnet = state.find((answer) => answer.kind === "vnet-state");
    assert.deepEqual(vnet, {
      ...{ kind: "vnet-state", vnet: parseVnetId("97"), deviceName: tapOf("97") },
      ...{ encapsulation: 1, mtuBytes: 1400, fdbLimit: 5, vifLimit: 6, attached: true },
      ...{ fdbCount: 0, vifCount: 0, security: 0 },
    });
    const peer = state.find((answer) => answer.kind === "peer-state");
    assert.equal(peer?.kind === "peer-state" ? peer.host?.address : "", "10.99.0.7");
    const ages = state.find((answer) => answer.kind === "ages-state");
    assert.deepEqual(ages, {
      ...{ kind: "ages-state", fdbTtlMs: 9_000, vifTtlMs: 8_000, refreshAfterMs: 3_000 },
    });
  });

  test("refuses what it cannot do and changes nothing", async () => {
    await host.start();
    await assert.rejects(host.setVnet("97"), /Cannot attach to vnif97/);
    await assert.rejects(host.peer(host.address), /is this host itself/);
    await assert.rejects(
      host.client.request({ kind: "delete-vnet", vnet: parseVnetId("97") }),
      /There is no vnet/,
    );
    const state = await host.client.request({ kind: "get-state" });
    assert.deepEqual(
      state.map((answer) => answer.kind),
      ["underlay-state", "ages-state"],
    );
  });
});

describe("vnet-dp between two hosts", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: EngineHost;
  let b: EngineHost;
  let vmA: Tap;
  let vmB: Tap;
  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    a = await EngineHost.create(lab, "a", segment);
    b = await EngineHost.create(lab, "b", segment);
    for (const [host, mac] of [
      [a, MAC_A],
      [b, MAC_B],
    ] as const) {
      await host.start();
      await host.vnet("97");
      const namespace = await host.vm("97", mac);
      const tap = await Tap.open(lab, namespace, "eth0", "--promiscuous");
      if (host === a) {
        vmA = tap;
      } else {
        vmB = tap;
      }
    }
  });
  after(async () => {
    await lab?.close();
  });
  beforeEach(async () => {
    for (const host of [a, b]) {
      await host.client.request({ kind: "flush-fdb", vnet: parseVnetId("97") });
      host.events.length = 0;
    }
    vmA.clear();
    vmB.clear();
  });

  test("floods for an unknown MAC, tells of the miss, and learns the source", async () => {
    const before = await a.counters("97");
    vmA.send(frame(MAC_B, MAC_A, 1));
    await vmB.expect(frame(MAC_B, MAC_A, 1));
    await a.event("fdb-miss", MAC_B);
    assert.equal((await b.event("fdb-learned", MAC_A)).host?.address, a.address);
    assert.ok((await b.fdb("97")).includes(`${MAC_A} ${a.address}`));
    vmB.send(frame(MAC_A, MAC_B, 2));
    await vmA.expect(frame(MAC_A, MAC_B, 2));
    vmA.send(frame(MAC_B, MAC_A, 3));
    await vmB.expect(frame(MAC_B, MAC_A, 3));
    const now = await a.counters("97");
    assert.equal((now["unicast-out"] ?? 0) - (before["unicast-out"] ?? 0), 1);
    assert.equal((now["flood-unknown-out"] ?? 0) - (before["flood-unknown-out"] ?? 0), 1);
    assert.ok((await a.vifs("97")).includes(MAC_A));
    assert.equal((await a.vifs("97")).includes(MAC_B), false);
  });

  test("tells of a missing MAC once a second, however many frames there are", async () => {
    for (let number = 0; number < 50; number += 1) {
      vmA.send(frame("02:00:00:00:0c:99", MAC_A, number));
    }
    await vmB.expect(frame("02:00:00:00:0c:99", MAC_A, 49));
    const misses = a.events.filter((event) => event.kind === "fdb-miss");
    assert.ok(misses.length >= 1 && misses.length <= 2, `${misses.length} events`);
  });

  test("delivers every one of identical broadcasts, once", async () => {
    const same = frame(BROADCAST, MAC_A, 7);
    vmA.send(same, same, same, same, same);
    const count = (): number => vmB.matching((octets) => octets.equals(same)).length;
    await eventually("five arrive", () => count() === 5);
    await staysTrue("no sixth arrives", () => count() === 5, 200);
  });

  test("keeps link-local destinations, bad sources and giants at home", async () => {
    const before = await a.counters("97");
    vmA.send(
      frame("01:80:c2:00:00:00", MAC_A),
      frame(MAC_B, "00:00:00:00:00:00"),
      frame(MAC_B, "03:00:00:00:00:01"),
    );
    vmA.send(frame(MAC_B, MAC_A, 9));
    await vmB.expect(frame(MAC_B, MAC_A, 9));
    const now = await a.counters("97");
    // The bridge keeps some of them to itself; what it passes on ends at the data plane.
    assert.equal(
      vmB.matching((octets) => isOurs(octets) && octets.readUInt16BE(14) !== 9).length,
      0,
    );
    const dropped = ["drop-reserved-mac", "drop-source-mac"].map(
      (name) => (now[name] ?? 0) - (before[name] ?? 0),
    );
    assert.ok(dropped.every((count) => count <= 2));
  });

  test("drops what is for a pinned MAC of its own host", async () => {
    const pinned = parseMacAddress("02:00:00:00:0a:77");
    await a.client.request({ kind: "pin-vif", vnet: parseVnetId("97"), mac: pinned });
    const before = await a.counters("97");
    vmA.send(frame(pinned, MAC_A, 1), frame(MAC_B, MAC_A, 2));
    await vmB.expect(frame(MAC_B, MAC_A, 2));
    const now = await a.counters("97");
    assert.equal((now["drop-local-destination"] ?? 0) - (before["drop-local-destination"] ?? 0), 1);
    await a.client.request({ kind: "delete-vif", vnet: parseVnetId("97"), mac: pinned });
  });

  test("follows a MAC that moves, and tells both sides at once", async () => {
    const roaming = "02:00:00:00:0d:01";
    vmA.send(frame(BROADCAST, roaming, 1));
    await b.event("fdb-learned", roaming);
    vmB.send(frame(BROADCAST, roaming, 2));
    assert.equal((await b.event("vif-learned", roaming)).moved, true);
    await a.event("fdb-learned", roaming);
    assert.equal((await a.event("vif-gone", roaming)).moved, true);
    assert.equal((await a.vifs("97")).includes(roaming), false);
    assert.equal(
      (await b.fdb("97")).some((line) => line.startsWith(roaming)),
      false,
    );
    assert.deepEqual(
      (await a.fdb("97")).filter((line) => line.startsWith(roaming)),
      [`${roaming} ${b.address}`],
    );
  });

  test("does not let learning override what vnetd has pinned", async () => {
    const mac = parseMacAddress("02:00:00:00:0e:01");
    const elsewhere = { address: parseIpAddress("10.99.0.9"), udpPort: 1798 };
    const vnet = parseVnetId("97");
    await b.client.request({ kind: "set-fdb", vnet, mac, host: elsewhere, pinned: true });
    vmA.send(frame(BROADCAST, mac, 1));
    await vmB.expect(frame(BROADCAST, mac, 1));
    assert.deepEqual(
      (await b.fdb("97")).filter((line) => line.startsWith(mac)),
      [`${mac} 10.99.0.9`],
    );
    await b.client.request({ kind: "delete-fdb", vnet, mac });
  });

  test("tells that a MAC that is pinned to another host was heard here, and leaves it there", async () => {
    const mac = parseMacAddress("02:00:00:00:0e:02");
    const elsewhere = { address: parseIpAddress("10.99.0.9"), udpPort: 1798 };
    const vnet = parseVnetId("97");
    await b.client.request({ kind: "set-fdb", vnet, mac, host: elsewhere, pinned: true });
    vmB.send(frame(BROADCAST, mac, 1));
    const heard = await b.event("vif-learned", mac);
    assert.ok(heard.kind === "vif-learned" && heard.moved);
    assert.equal((await b.vifs("97")).includes(mac), false);
    assert.deepEqual(
      (await b.fdb("97")).filter((line) => line.startsWith(mac)),
      [`${mac} 10.99.0.9`],
    );
    await b.client.request({ kind: "delete-fdb", vnet, mac });
    b.events.splice(0);
    vmB.send(frame(BROADCAST, mac, 1));
    const learned = await b.event("vif-learned", mac);
    assert.ok(learned.kind === "vif-learned" && !learned.moved);
    await b.client.request({ kind: "delete-vif", vnet, mac });
  });

  test("lets learned MACs die in time, and says which are used but silent", async () => {
    const ages = { kind: "set-ages", vifTtlMs: 1_500, refreshAfterMs: 1_000 } as const;
    await b.client.request({ ...ages, fdbTtlMs: 3_000 });
    vmA.send(frame(BROADCAST, MAC_A, 1));
    await b.event("fdb-learned", MAC_A);
    const learnedAt = performance.now();
    const timer = setInterval(() => vmB.send(frame(MAC_A, MAC_B, 2)), 50);
    await b.event("fdb-stale", MAC_A);
    await b.event("fdb-gone", MAC_A);
    clearInterval(timer);
    const livedMs = performance.now() - learnedAt;
    assert.ok(livedMs >= 2_900 && livedMs <= 8_500, `lived ${livedMs} ms`);
    await b.event("vif-gone", MAC_B);
    await b.client.request({ ...ages, fdbTtlMs: 60_000, vifTtlMs: 60_000, refreshAfterMs: 25_000 });
  });

  test("keeps vnets apart whatever the MACs are", async () => {
    for (const host of [a, b]) {
      await host.vnet("98");
    }
    const other = await Tap.open(lab, await b.vm("98", MAC_B), "eth0", "--promiscuous");
    vmA.send(frame(BROADCAST, MAC_A, 5));
    await vmB.expect(frame(BROADCAST, MAC_A, 5));
    await staysTrue("vnet 98 hears nothing", () => other.matching(isOurs).length === 0, 200);
    for (const host of [a, b]) {
      await host.client.request({ kind: "delete-vnet", vnet: parseVnetId("98") });
    }
  });

  test("tells of a TAP that vanishes, carries the others on, and takes a new one", async () => {
    await a.vnet("99");
    await a.lab(`link del ${tapOf("99")}`);
    const lost = await a.event("tap-lost");
    assert.equal(lost.deviceName, tapOf("99"));
    vmA.send(frame(MAC_B, MAC_A, 11));
    await vmB.expect(frame(MAC_B, MAC_A, 11));
    await a.tap("99");
    await a.setVnet("99");
    const state = await a.client.request({ kind: "get-state" });
    const again = state.find(
      (answer) => answer.kind === "vnet-state" && answer.vnet === parseVnetId("99"),
    );
    assert.equal(again?.kind === "vnet-state" && again.attached, true);
    await a.client.request({ kind: "delete-vnet", vnet: parseVnetId("99") });
  });

  test("drops datagrams from its own addresses and from guest-side devices", async () => {
    const before = await b.counters();
    await b.setUnderlay({
      localAddresses: [parseIpAddress(b.address), parseIpAddress(a.address)],
      localPrefixLengths: [],
    });
    vmA.send(frame(BROADCAST, MAC_A, 12));
    await eventually("the datagram is counted", async () => {
      const now = await b.counters();
      return (now["drop-from-self"] ?? 0) > (before["drop-from-self"] ?? 0);
    });
    await b.setUnderlay();
    const [device] = (await lab.in(b.namespace, "cat", "/sys/class/net/u1/ifindex")).split("\n");
    await b.setUnderlay({ guestSideDevices: [Number(device)] });
    vmA.send(frame(BROADCAST, MAC_A, 13));
    await eventually("the datagram is counted", async () => {
      const now = await b.counters();
      return (now["drop-guest-side"] ?? 0) > (before["drop-guest-side"] ?? 0);
    });
    await b.setUnderlay();
    assert.equal(
      vmB.matching((octets) => octets.readUInt16BE(14) >= 12 && isOurs(octets)).length,
      0,
    );
  });

  test("carries a vnet in IP protocol 97 too", async () => {
    for (const host of [a, b]) {
      await host.setVnet("97", { encapsulation: 1 });
    }
    const before = await b.counters("97");
    vmA.send(frame(MAC_B, MAC_A, 21));
    await vmB.expect(frame(MAC_B, MAC_A, 21));
    vmB.send(frame(MAC_A, MAC_B, 22));
    await vmA.expect(frame(MAC_A, MAC_B, 22));
    const now = await b.counters("97");
    assert.ok((now["inbound-frames"] ?? 0) > (before["inbound-frames"] ?? 0));
    for (const host of [a, b]) {
      await host.setVnet("97");
    }
  });

  test("passes control messages both ways, flooded and to one host", async () => {
    const varp = Buffer.alloc(43);
    varp.writeUInt16BE(1, 0);
    varp.writeUInt16BE(1, 2);
    varp.writeUInt16BE(0x97, 18);
    varp.set(Buffer.from(MAC_A.replaceAll(":", ""), "hex"), 20);
    varp[26] = 2;
    varp.set(a.address.split(".").map(Number), 27);
    await a.client.request({ kind: "send-flood", datagram: varp });
    const flooded = await b.event("control-received");
    assert.deepEqual([flooded.source?.address, flooded.via], [a.address, 1]);
    assert.deepEqual(Buffer.from(flooded.datagram), varp);
    b.events.length = 0;
    const host = { address: parseIpAddress(b.address), udpPort: 1798 };
    await a.client.request({ kind: "send-to", host, datagram: varp });
    assert.equal((await b.event("control-received")).via, 0);
  });

  test("drops garbage cheaply and goes on", async () => {
    const namespace = await lab.namespace("stranger");
    await lab.plug(namespace, "u1", "seg1stranger", {
      ...{ device: "seg1", index: 1, mtu: 1500, offload: true },
    });
    await lab.batch(namespace, ["addr add 10.91.0.200/24 dev u1"]);
    const residentBefore = residentPages(b.pid);
    const before = await b.counters();
    const load = sendLoad(
      namespace,
      "garbage",
      b.address,
      "1798",
      "--rate",
      "50000",
      "--seconds",
      "2",
    );
    vmA.send(frame(MAC_B, MAC_A, 31));
    await vmB.expect(frame(MAC_B, MAC_A, 31));
    const { sent } = await load;
    assert.ok(sent > 10_000);
    await eventually("the garbage is counted", async () => {
      const now = await b.counters();
      return (now["inbound-datagrams"] ?? 0) - (before["inbound-datagrams"] ?? 0) > sent / 2;
    });
    assert.ok(residentPages(b.pid) - residentBefore < 512, "resident memory grows by < 2 MiB");
    vmA.send(frame(MAC_B, MAC_A, 32));
    await vmB.expect(frame(MAC_B, MAC_A, 32));
  });
});

describe("vnet-dp and configured peers", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: EngineHost;
  let b: EngineHost;
  before(async () => {
    lab = await Lab.create();
    const first = await lab.segment();
    a = await EngineHost.create(lab, "a", first);
    b = await EngineHost.create(lab, "b", first);
    for (const host of [a, b]) {
      await host.start();
      await host.vnet("97");
    }
  });
  after(async () => {
    await lab?.close();
  });

  test("carry the vnet alone where there is no multicast", async () => {
    for (const [host, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      await host.setUnderlay({ multicast: false });
      await host.peer(peer.address);
    }
    const vmA = await Tap.open(lab, await a.vm("97", MAC_A), "eth0", "--promiscuous");
    const vmB = await Tap.open(lab, await b.vm("97", MAC_B), "eth0", "--promiscuous");
    vmA.send(frame(BROADCAST, MAC_A, 1));
    await vmB.expect(frame(BROADCAST, MAC_A, 1));
    assert.ok((await b.fdb("97")).includes(`${MAC_A} ${a.address}`));
    assert.ok(((await b.counters())["forwarded-in"] ?? 0) >= 1);
    const state = await a.client.request({ kind: "get-state" });
    const peer = state.find((answer) => answer.kind === "peer-state");
    assert.ok(peer?.kind === "peer-state" && peer.forwardedOut >= 1n);
  });

  test("re-emit on the segment with the original source, and never back to the peer", async () => {
    await b.setUnderlay({ multicast: true });
    const listener = await lab.namespace("listener");
    await lab.plug(listener, "u1", "seg1listen", {
      ...{ device: "seg1", index: 1, mtu: 1500, offload: true },
    });
    await lab.batch(listener, ["addr add 10.91.0.201/24 dev u1"]);
    const port = await DatagramPort.open(lab, listener, {
      ...{ address: "10.91.0.201", udpPort: 1798, group: "224.10.0.1" },
    });
    const stranger = await lab.namespace("stranger");
    await lab.plug(stranger, "u1", "seg1strange", {
      ...{ device: "seg1", index: 1, mtu: 1500, offload: true },
    });
    await lab.batch(stranger, ["addr add 10.91.0.202/24 dev u1"]);
    const raw = await DatagramPort.open(lab, stranger, { address: "10.91.0.202", udpPort: 1798 });
    const message = encodeLegacyFrame("97", frame(BROADCAST, "02:00:00:00:0f:01", 77));
    const forward = forwardOf(message, "192.0.2.77");
    const before = await b.counters();
    raw.send(b.address, 1798, forward);
    await eventually("a forward from a stranger is dropped", async () => {
      const now = await b.counters();
      return (now["drop-not-peer"] ?? 0) > (before["drop-not-peer"] ?? 0);
    });
    await b.peer("10.91.0.202");
    raw.send(b.address, 1798, forward);
    await eventually("the message is on the segment", () =>
      port.datagrams.some(
        ({ address, payload }) => address === "192.0.2.77" && payload.equals(message),
      ),
    );
    assert.ok((await b.fdb("97")).includes("02:00:00:00:0f:01 192.0.2.77"));
    // A large one has to be cut: the kernel does not fragment what comes with a header.
    const large = encodeLegacyFrame("97", frame(BROADCAST, "02:00:00:00:0f:01", 78, 1514));
    raw.send(b.address, 1798, forwardOf(large, "192.0.2.77"));
    await eventually("the large message is on the segment", () =>
      port.datagrams.some(({ payload }) => payload.equals(large)),
    );
    const seen = raw.datagrams.length;
    await sleep(100);
    assert.equal(raw.datagrams.length, seen);
    assert.equal(
      raw.datagrams.some(({ payload }) => payload.subarray(32).equals(message)),
      false,
      "not back to the peer",
    );
  });
});

describe("vnet-dp with kill switches", { skip: SKIP_REASON }, () => {
  const switches = ["--no-tap-offload", "--no-udp-gso", "--no-udp-gro"];
  for (let mask = 0; mask < 2 ** switches.length; mask += 1) {
    const options = switches.filter((_, index) => (mask & (2 ** index)) !== 0);
    test(`passes the same octets (${options.join(" ") || "none"})`, async () => {
      const lab = await Lab.create();
      try {
        const segment = await lab.segment();
        const [a, b] = [
          await EngineHost.create(lab, "a", segment),
          await EngineHost.create(lab, "b", segment),
        ];
        for (const host of [a, b]) {
          await host.start(...options);
          await host.vnet("97");
        }
        assert.equal(a.client.welcome.tapOffload, !options.includes("--no-tap-offload"));
        assert.equal(a.client.welcome.udpSegmentation, !options.includes("--no-udp-gso"));
        assert.equal(a.client.welcome.udpCoalescing, !options.includes("--no-udp-gro"));
        const vmA = await a.vm("97", MAC_A, "192.168.97.1/24");
        const vmB = await b.vm("97", MAC_B, "192.168.97.2/24");
        for (const [from, to, address] of [
          [vmA, vmB, "192.168.97.2"],
          [vmB, vmA, "192.168.97.1"],
        ] as const) {
          const [sent, received] = await transfer(lab, from, to, address);
          assert.equal(received, sent);
        }
        const counters = await b.counters("97");
        assert.equal(counters["checksum-bad-in"], 0);
        assert.equal(counters["drop-tap-failed"], 0);
      } finally {
        await lab.close();
      }
    });
  }
});

function isOurs(octets: Buffer): boolean {
  return octets.readUInt16BE(12) === ETHER_TYPE;
}

function residentPages(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
}

/** Message 3: a whole IPv4 packet as the original fills it, source given. */
function forwardOf(message: Buffer, source: string): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt16BE(3, 0);
  header[4] = 0x45;
  header.writeUInt16BE(28 + message.length, 6);
  header[12] = 1;
  header[13] = 17;
  header.set(source.split(".").map(Number), 16);
  header.set([224, 10, 0, 1], 20);
  header.writeUInt16BE(1798, 24);
  header.writeUInt16BE(1798, 26);
  header.writeUInt16BE(8 + message.length, 28);
  return Buffer.concat([header, message]);
}

/** Sends 64 MiB by TCP; the SHA-256 at both ends. */
async function transfer(
  lab: Lab,
  from: string,
  to: string,
  address: string,
): Promise<readonly [string, string]> {
  const file = join(lab.folder, "octets");
  await lab.in(from, "sh", "-c", `head -c 67108864 /dev/urandom > ${file}`);
  const receiving = lab.in(to, "sh", "-c", "socat -u TCP-LISTEN:7000,reuseaddr - | sha256sum");
  await eventually("the receiver listens", async () =>
    (await lab.in(to, "ss", "-Hltn", "sport = :7000")).includes("7000"),
  );
  await lab.in(from, "socat", "-u", `FILE:${file}`, `TCP:${address}:7000`);
  const sent = await lab.in(from, "sh", "-c", `sha256sum < ${file}`);
  return [sent.trim(), (await receiving).trim()];
}

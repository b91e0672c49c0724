/**
 * Where a MAC is: found in one round trip, kept while it is used, moved at once, and forgotten.
 *
 *     VM ── a ──┐
 *     VM ── b ──┼─ segment (captured)        learned MACs live 10 s here instead of 60
 *     VM ── c ──┘
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  arp,
  BROADCAST_MAC,
  carriedFrame,
  EXPERIMENTAL_TYPE,
  ethernet,
  pattern,
  tunnelDatagram,
} from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { hex, sendLoad, Tap, UdpSink } from "./link-tools.ts";
import { eventually, staysTrue, TEST_SCALE } from "./wait.ts";

const VNET = "8";
/** Entries are looked at every 4 s: shorter lives would end before their refresh was due. */
const TTL_SECONDS = 10;
const GROUP = "224.10.0.1";

type VarpEntry = { readonly mac: string; readonly host: unknown };

describe("discovery", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let capture: Tap;
  const hosts: Host[] = [];
  const vms: Vm[] = [];
  let a: Host;
  let b: Host;
  let c: Host;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    for (const name of ["a", "b", "c"]) {
      const host = await Host.create(lab, name, [segment]);
      await host.start("--fdb-ttl", `${TTL_SECONDS}`);
      await host.vnet(VNET);
      hosts.push(host);
      vms.push(await host.vm(VNET, { address: `192.168.88.${host.number}/24`, offload: false }));
    }
    [a, b, c] = hosts as [Host, Host, Host];
    capture = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
  });
  after(() => lab.close());
  beforeEach(() => capture.clear());

  const vm = (index: number): Vm => {
    const found = vms[index];
    assert.ok(found);
    return found;
  };

  /** Frames of the vnet on the underlay that pass, with where they were sent. */
  const carried = (pass: (frame: Buffer) => boolean) =>
    capture.frames.flatMap((one) => {
      const datagram = carriedFrame(one.frame, VNET);
      return datagram !== undefined && pass(datagram.frame)
        ? [{ ...datagram, timeNs: one.timeNs }]
        : [];
    });

  const knows = async (host: Host, mac: string, where: Host) => {
    const entries = await host.vnJson<VarpEntry[]>("varp");
    return entries.some(
      (entry) => entry.mac === mac && JSON.stringify(entry.host).includes(where.address),
    );
  };

  test("a silent MAC is flooded once and reached by unicast after one round trip", async () => {
    for (const host of hosts) {
      await host.vn("varp-flush");
    }
    const silent = await b.vm(VNET, { mac: "02:00:00:00:88:99", offload: false });
    // The bridge of b and vnet-dp hear it once, long before anybody asks for it.
    const speaker = await Tap.open(lab, silent.namespace, "eth0");
    speaker.send(ethernet({ to: vm(1).mac, from: silent.mac }, EXPERIMENTAL_TYPE, pattern(60)));
    await eventually("b knows its own VM", async () => (await b.vn("vifs")).includes(silent.mac));
    await a.vn("varp-flush");
    capture.clear();
    const out = await Tap.open(lab, vm(0).namespace, "eth0");
    const to = { to: silent.mac, from: vm(0).mac };
    out.send(ethernet(to, EXPERIMENTAL_TYPE, pattern(60, 1)));
    await eventually("a knows where the silent VM is", () => knows(a, silent.mac, b));
    out.send(ethernet(to, EXPERIMENTAL_TYPE, pattern(60, 2)));
    const frames = await eventually("both frames crossed", () => {
      const seen = carried((frame) => frame.subarray(0, 6).toString("hex") === "020000008899");
      return seen.length >= 2 ? seen : undefined;
    });
    assert.deepEqual(
      frames.map((one) => one.destination),
      [GROUP, b.address],
    );
    await out.close();
    await speaker.close();
  });

  test("a MAC whose VM has left the bridge is not answered for, others stay", async () => {
    const leaver = await b.vm(VNET, { mac: "02:00:00:00:88:77", offload: false });
    const speaker = await Tap.open(lab, leaver.namespace, "eth0");
    speaker.send(ethernet({ to: BROADCAST_MAC, from: leaver.mac }, EXPERIMENTAL_TYPE, pattern(60)));
    await eventually("b knows its own VM", async () => (await b.vn("vifs")).includes(leaver.mac));
    await eventually("a knows where it is", () => knows(a, leaver.mac, b));
    await speaker.close();
    await lab.in(vm(1).namespace, "ping", "-c", "1", "-W", "2", vm(0).address);
    await lab.in(leaver.namespace, "ip", "link", "delete", "dev", "eth0");
    // Well before it would have aged out.
    const forgets = async () => !(await b.vn("vifs")).includes(leaver.mac);
    await eventually("b forgets it", forgets, (TTL_SECONDS * 1000) / 2);
    assert.ok((await b.vn("vifs")).includes(vm(1).mac), "the VM that stays is known");
  });

  test("a one-way flow over several lifetimes is never flooded again", async () => {
    const seconds = Math.round(TTL_SECONDS * 2.5 * TEST_SCALE);
    const sink = await UdpSink.open(vm(1).namespace, 9);
    await lab.in(vm(0).namespace, "ping", "-c", "1", "-W", "2", vm(1).address);
    // The receiver never answers: no ARP is due either.
    const neighbour = ["neigh", "replace", vm(1).address, "lladdr", vm(1).mac, "dev", "eth0"];
    await lab.in(vm(0).namespace, "ip", ...neighbour, "nud", "permanent");
    const floodCount = (await a.counters(VNET))["flood-unknown-out"] ?? 0;
    capture.clear();
    const load = await sendLoad(
      vm(0).namespace,
      "udp-send",
      ...[vm(1).address, "9", "--rate", "50", "--seconds", `${seconds}`],
    );
    const tally = await sink.stop();
    assert.equal(tally.received, load.sent);
    const data = carried((frame) => frame.readUInt16BE(12) === 0x0800);
    assert.ok(data.length >= load.sent);
    const flooded = data.filter((one) => one.destination !== b.address);
    const start = data[0]?.timeNs ?? 0n;
    assert.deepEqual(
      flooded.map(
        (one) => `${one.source} ${(one.timeNs - start) / 1_000_000n} ms ${hex(one.frame)}`,
      ),
      [],
    );
    assert.equal((await a.counters(VNET))["flood-unknown-out"] ?? 0, floodCount);
  });

  test("a MAC that is no longer heard is forgotten after its time to live", async () => {
    const ghost = "02:00:00:00:88:01";
    const out = await Tap.open(lab, vm(2).namespace, "eth0");
    out.send(ethernet({ to: BROADCAST_MAC, from: ghost }, EXPERIMENTAL_TYPE, pattern(60)));
    await eventually("a learns it", () => knows(a, ghost, c));
    await staysTrue("a still knows it", () => knows(a, ghost, c), (TTL_SECONDS - 1.5) * 1_000);
    await eventually(
      "a forgets it within TTL + 5 s",
      async () => !(await a.vn("varp")).includes(ghost),
      9_000,
    );
    await out.close();
  });

  test("varp-flush forgets everything learned, and traffic finds its way again", async () => {
    await lab.in(vm(0).namespace, "ping", "-c", "1", "-W", "2", vm(1).address);
    await a.vn("varp-flush");
    const entries = await a.vnJson<VarpEntry[]>("varp");
    assert.deepEqual(entries, []);
    await lab.in(vm(0).namespace, "ping", "-c", "1", "-W", "2", vm(1).address);
  });

  for (const gratuitous of [true, false]) {
    const how = gratuitous ? "says so by a gratuitous ARP" : "sends one unicast frame";
    test(`a VM that moves and ${how} is found by every host`, async (context) => {
      const [from, to] = gratuitous ? [b, c] : [c, b];
      const moving = vm(1);
      for (const host of [0, 2]) {
        if (vms[host] !== moving) {
          await lab.in(vm(host).namespace, "ping", "-c", "1", "-W", "2", moving.address);
        }
      }
      await eventually("a knows the old place", () => knows(a, moving.mac, from));
      await to.adopt(moving, VNET);
      capture.clear();
      const mouth = await Tap.open(lab, moving.namespace, "eth0");
      const address = moving.address;
      mouth.send(
        gratuitous
          ? arp(
              { to: BROADCAST_MAC, from: moving.mac },
              { request: true, sender: address, target: address },
            )
          : ethernet({ to: vm(0).mac, from: moving.mac }, EXPERIMENTAL_TYPE, pattern(60)),
      );
      await eventually("a knows the new place", () => knows(a, moving.mac, to));
      await eventually("the old host knows the new place", () => knows(from, moving.mac, to));
      // The measured time is for the reader; a busy machine makes no test fail.
      const heard = carried((frame) =>
        frame.subarray(6, 12).equals(Buffer.from(moving.mac.replaceAll(":", ""), "hex")),
      );
      const announce = capture.frames.find(({ frame }) =>
        isAnnounceOf(frame, moving.mac, to.address),
      );
      assert.ok(announce, "the new host announced the MAC");
      const first = heard[0];
      assert.ok(first);
      const micros = Number(announce.timeNs - first.timeNs) / 1_000;
      context.diagnostic(`announced ${micros.toFixed(0)} µs after its first frame from there`);
      await lab.in(vm(0).namespace, "ping", "-c", "2", "-i", "0.02", "-W", "2", moving.address);
      await mouth.close();
    });
  }

  test("a VM that is pinged all the time moves, speaks up, and the pings go on", async (context) => {
    const moving = vm(1);
    await b.adopt(moving, VNET);
    await lab.in(moving.namespace, "ping", "-c", "1", "-W", "2", vm(0).address);
    capture.clear();
    const pinging = lab.background(
      vm(0).namespace,
      "ping",
      ...["-i", "0.01", "-c", "300", "-W", "1", moving.address],
    );
    await eventually("pings cross", () => carried(() => true).length > 40);
    await c.adopt(moving, VNET);
    const mouth = await Tap.open(lab, moving.namespace, "eth0");
    const self = { request: true, sender: moving.address, target: moving.address };
    mouth.send(arp({ to: BROADCAST_MAC, from: moving.mac }, self));
    const { stdout } = await pinging;
    const received = Number(/(\d+) received/.exec(stdout)?.[1]);
    context.diagnostic(`${300 - received} of 300 pings, 10 ms apart, were lost in the move`);
    // Without the move being noticed, none of the pings after it would be answered.
    assert.ok(received > 100, stdout);
    await mouth.close();
  });

  test("a new VM is announced when it first speaks", async () => {
    const fresh = await a.vm(VNET, { mac: "02:00:00:00:88:aa", offload: false });
    const mouth = await Tap.open(lab, fresh.namespace, "eth0");
    mouth.send(ethernet({ to: vm(2).mac, from: fresh.mac }, EXPERIMENTAL_TYPE, pattern(60)));
    await eventually("the announce is multicast", () =>
      capture.frames.some(({ frame }) => isAnnounceOf(frame, fresh.mac, a.address)),
    );
    await mouth.close();
  });
});

/** A VARP announce to the group that says the MAC is at that host. */
function isAnnounceOf(underlayFrame: Buffer, mac: string, careOf: string): boolean {
  const datagram = tunnelDatagram(underlayFrame);
  return (
    datagram !== undefined &&
    datagram.destination === GROUP &&
    datagram.payload.length === 43 &&
    datagram.payload.readUInt32BE(0) === 0x00010002 &&
    datagram.payload.subarray(20, 26).toString("hex") === mac.replaceAll(":", "") &&
    datagram.payload.subarray(27, 31).join(".") === careOf
  );
}

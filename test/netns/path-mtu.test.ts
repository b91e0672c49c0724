/**
 * A host behind a narrower path: what goes to it is cut to that, what goes to others is not, and
 * nothing disappears, although no router on the way says that something is too long.
 *
 *     VM (1500) ── a ── u1, 1500 ──┐
 *     VM (1500) ── b ── u1, 1500 ──┼─ segment of 1500, every datagram sent by itself
 *     VM (1500) ── c ── u1, 1400 ──┘
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newKey, untilMet } from "./keys.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { sendLoad, Tap, UdpSink } from "./link-tools.ts";
import { transfer } from "./transfer.ts";
import { eventually } from "./wait.ts";

const SECURE = "50";
const CLEAR = "51";
const NARROW_MTU = 1400;
const WIDE_MTU = 1500;
const UDP_OVERHEAD_BYTES = 28;

type PeerRow = { readonly address: string; readonly pathMtu: number | null };

describe("hosts behind paths of different MTUs", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let hosts: [Host, Host, Host];
  let capture: Tap;
  const vms = new Map<string, [Vm, Vm, Vm]>();

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    const key = await newKey(lab, "path");
    const make = async (name: string): Promise<Host> => await Host.create(lab, name, [segment]);
    hosts = [await make("a"), await make("b"), await make("c")];
    await lab.batch(hosts[2].namespace, [`link set u1 mtu ${NARROW_MTU}`]);
    for (const host of hosts) {
      await host.start();
      await host.vnet(SECURE, "-s", "conf", "--key-file", key);
      await host.vnet(CLEAR);
    }
    await untilMet(hosts);
    capture = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    for (const [index, vnet] of [SECURE, CLEAR].entries()) {
      const vm = async (host: Host): Promise<Vm> =>
        await host.vm(vnet, { address: `192.168.${20 + index}.${host.number}/24` });
      vms.set(vnet, [await vm(hosts[0]), await vm(hosts[1]), await vm(hosts[2])]);
    }
  });
  after(() => lab?.close());

  const pathsOf = async (host: Host): Promise<Record<string, number | null>> =>
    Object.fromEntries(
      (await host.vnJson<PeerRow[]>("peers")).map(({ address, pathMtu }) => [address, pathMtu]),
    );

  /** What went over the segment to a host. */
  const packetsTo = ({ address }: Host): readonly { bytes: number; isFragment: boolean }[] => {
    const octets = Buffer.from(address.split(".").map(Number));
    return capture
      .matching(
        (frame) => frame.readUInt16BE(12) === 0x0800 && frame.subarray(30, 34).equals(octets),
      )
      .map((frame) => ({
        bytes: frame.readUInt16BE(16),
        isFragment: (frame.readUInt16BE(20) & 0x3fff) !== 0,
      }));
  };

  test("the underlay swallows what is too long for a host, without a word", async () => {
    const args = ["-c", "1", "-W", "1", "-M", "do", "-s", `${WIDE_MTU - UDP_OVERHEAD_BYTES}`];
    const [a, b, c] = hosts;
    await lab.in(a.namespace, "ping", ...args, b.address);
    await assert.rejects(lab.in(a.namespace, "ping", ...args, c.address));
  });

  test("each host finds each path", async () => {
    const [a, b, c] = hosts;
    for (const [host, wanted] of [
      [a, { [b.address]: WIDE_MTU, [c.address]: NARROW_MTU }],
      [b, { [a.address]: WIDE_MTU, [c.address]: NARROW_MTU }],
      [c, { [a.address]: NARROW_MTU, [b.address]: NARROW_MTU }],
    ] as const) {
      await eventually(`${host.name} has found both`, async () => {
        const paths = await pathsOf(host);
        return Object.entries(wanted).every(([address, mtu]) => paths[address] === mtu);
      });
    }
  });

  for (const [vnet, level] of [
    [SECURE, "conf"],
    [CLEAR, "none"],
  ] as const) {
    const all = (): [Vm, Vm, Vm] => vms.get(vnet) ?? assert.fail();

    test(`${level}: full-size pings that may not be fragmented come back`, async () => {
      const [here, wide, narrow] = all();
      for (const { address } of [wide, narrow]) {
        const args = ["-c", "2", "-i", "0.02", "-W", "2", "-M", "do", "-s", "1472"];
        await lab.in(here.namespace, "ping", ...args, address);
      }
    });

    test(`${level}: full-size UDP datagrams arrive, each once`, async () => {
      const [here, , narrow] = all();
      const sink = await UdpSink.open(narrow.namespace, 9, "--idle-ms", "500");
      const args = [narrow.address, "9", "--size", "1472", "--count", "300", "--rate", "2000"];
      const { sent } = await sendLoad(here.namespace, "udp-send", ...args);
      const tally = await sink.finish();
      assert.deepEqual([tally.received, tally.duplicated], [sent, 0]);
    });

    test(`${level}: TCP fills each path, and no more`, async () => {
      const [here, wide, narrow] = all();
      for (const [to, host, mtu] of [
        [wide, hosts[1], WIDE_MTU],
        [narrow, hosts[2], NARROW_MTU],
      ] as const) {
        capture.clear();
        await transfer({ from: here, to, address: to.address, bytes: 1_000_000 });
        const packets = packetsTo(host);
        const bytesMax = Math.max(...packets.map(({ bytes }) => bytes));
        assert.ok(bytesMax > mtu - 16 && bytesMax <= mtu, `${bytesMax} octets to ${host.name}`);
        assert.ok(!packets.some(({ isFragment }) => isFragment), `fragments to ${host.name}`);
      }
      await transfer({ from: narrow, to: here, address: here.address, bytes: 1_000_000 });
    });
  }

  test("the next vnetd knows it from the data plane, which the next vnet-dp is told", async () => {
    const [a, , c] = hosts;
    await a.stop("SIGKILL");
    await a.start();
    assert.equal((await pathsOf(a))[c.address], NARROW_MTU);
    process.kill(await a.dataplanePid(), "SIGKILL");
    const [here, , narrow] = vms.get(SECURE) ?? assert.fail();
    await eventually("a full-size ping comes back", async () => {
      const args = ["-c", "1", "-W", "1", "-M", "do", "-s", "1472"];
      return (await lab.background(here.namespace, "ping", ...args, narrow.address)).status === 0;
    });
  });
});

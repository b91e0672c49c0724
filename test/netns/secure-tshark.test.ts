/**
 * Proof by somebody else: tshark, given what `vn sa-export` prints, decrypts every datagram of a
 * secure vnet to the frame that entered the vnet interface, and finds every check value right.
 *
 *     VM ── a ── segment (captured) ── b ── VM
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { tunnelDatagram } from "./frames.ts";
import { newKey, untilMet } from "./keys.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { hex, Tap } from "./link-tools.ts";
import { mixedFrames, withTcpChecksum } from "./mixed-frames.ts";
import { openWithTshark } from "./tshark.ts";
import { eventually } from "./wait.ts";

const FRAME_COUNT = 1_000;
/** Shorter than the queue of a vnet interface. */
const BURST = 100;
const SENDER_MAC = "02:5e:00:00:00:01";
const SENDER_OCTETS = Buffer.from(SENDER_MAC.replaceAll(":", ""), "hex");
const ETHERIP = 97;
const ETHERIP_BYTES = 2;
const FLAG_CHECKSUM_PARTIAL = 0x001;
const SUITES = [
  ["conf", "aes128-gcm"],
  ["conf", "aes256-gcm"],
  ["conf", "aes128-hmac96"],
  ["auth", "hmac-sha256-128"],
  ["auth", "hmac96"],
] as const;

describe("tshark with the exported keys", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let b: Host;
  let wire: Tap;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    a = await Host.create(lab, "a", [segment]);
    b = await Host.create(lab, "b", [segment]);
    for (const host of [a, b]) {
      await host.start();
    }
    wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
  });
  after(() => lab?.close());

  for (const [index, [security, suite]] of SUITES.entries()) {
    test(`${suite}: ${FRAME_COUNT} frames are what went in, and no check value is wrong`, async (t) => {
      const vnet = `c${index}`;
      const key = await newKey(lab, suite);
      for (const host of [a, b]) {
        await host.vnet(vnet, "-s", security, "--suite", suite, "--key-file", key);
      }
      const [vmA, vmB] = [await a.vm(vnet), await b.vm(vnet)];
      await untilMet([a, b]);
      const out = await Tap.open(lab, vmA.namespace, "eth0", "--virtio");
      wire.clear();
      const frames = mixedFrames(FRAME_COUNT, { to: vmB.mac, from: SENDER_MAC });
      for (let at = 0; at < frames.length; at += BURST) {
        const burst = frames.slice(at, at + BURST);
        const before = sealedCount();
        out.send(...burst.map(({ written }) => written));
        const wanted = burst.reduce((sum, { carried }) => sum + carried.length, 0);
        await eventually("the burst is on the segment", () => sealedCount() - before >= wanted);
      }
      const exported = await a.vn("sa-export", vnet, "--yes");
      const opened = await openWithTshark(lab, wire.frames, exported);
      const wrong = opened.filter(({ icvGood, icvBad }) => !icvGood || icvBad);
      assert.deepEqual([wrong.length, wrong[0]], [0, undefined]);
      const got = opened.flatMap(({ source, nextHeader, content }) =>
        source === a.address && nextHeader === ETHERIP ? carriedFrame(content) : [],
      );
      const wanted = frames.flatMap(({ carried }) => carried);
      t.diagnostic(`${opened.length} datagrams decrypted, ${got.length} of ours`);
      assert.deepEqual(got.map(hex).sort(), wanted.map(hex).sort());
      await out.close();
      for (const host of [a, b]) {
        await host.vn("vnet-delete", "-b", vnet);
      }
    });
  }

  /** Datagrams of the sending host that were captured; of a fragmented one the first counts. */
  function sealedCount(): number {
    return wire.matching((frame) => tunnelDatagram(frame)?.source === a.address).length;
  }

  /** The frame behind the EtherIP header, if it is one of this test's. */
  function carriedFrame(content: Buffer): Buffer[] {
    assert.equal(content.readUInt8(0) >> 4, 3, "EtherIP, RFC 3378");
    const flags = content.readUInt16BE(0) & 0xfff;
    const frame = content.subarray(ETHERIP_BYTES);
    if (!frame.subarray(6, 12).equals(SENDER_OCTETS)) {
      return [];
    }
    return [(flags & FLAG_CHECKSUM_PARTIAL) === 0 ? frame : withTcpChecksum(frame)];
  }
});

/**
 * A host with the original and hosts of ours on one segment. The original is emulated by
 * test/fakes/legacy-host.ts, which is held to a capture of the real one.
 *
 *     VM .1 ── legacy ──┐
 *     VM .2 ── ours  a ─┼─ segment
 *     VM .3 ── ours  b ─┘
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LegacyHost, type LegacyVm } from "../fakes/legacy-host.ts";
import {
  ETHERIP_BIG_ENDIAN,
  ETHERIP_CLEAN,
  ETHERIP_GARBAGE,
  type EtheripOctets,
  encodeLegacyVarp,
} from "../fakes/legacy-messages.ts";
import { BROADCAST_MAC, carriedFrame, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Lab, type Segment, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { DatagramPort, hex, Tap } from "./link-tools.ts";
import { eventually } from "./wait.ts";

const VNET = "4";

describe("an original host and ours on one segment", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let segment: Segment;
  let legacy: LegacyHost;
  let ours: Host;
  let theirVm: LegacyVm;
  let ourVm: Vm;
  let otherVm: Vm;

  before(async () => {
    lab = await Lab.create();
    segment = await lab.segment({ offload: false });
    legacy = await LegacyHost.start(lab, "legacy", [segment]);
    ours = await Host.create(lab, "a", [segment]);
    const other = await Host.create(lab, "b", [segment]);
    for (const host of [ours, other]) {
      await host.start();
      await host.vnet(VNET);
    }
    theirVm = await legacy.vm(VNET, "02:00:00:00:44:01", "192.168.44.1/24");
    ourVm = await ours.vm(VNET, { address: "192.168.44.2/24" });
    otherVm = await other.vm(VNET, { address: "192.168.44.3/24" });
  });
  after(() => lab.close());

  const forms: readonly (readonly [string, EtheripOctets])[] = [
    ["00 40", ETHERIP_CLEAN],
    ["garbage in the reserved bits", ETHERIP_GARBAGE],
    ["the nibbles of a big-endian build", ETHERIP_BIG_ENDIAN],
  ];
  for (const [what, etherip] of forms) {
    test(`their VM and ours ping each other when it sends ${what}`, async () => {
      legacy.etherip = etherip;
      await ping(lab, theirVm.namespace, ourVm.address);
      await ping(lab, ourVm.namespace, theirVm.address);
      await ping(lab, otherVm.namespace, theirVm.address);
      legacy.etherip = ETHERIP_CLEAN;
    });
  }

  test("each learned from the other where its VM is", async () => {
    assert.equal(legacy.whereIs(VNET, ourVm.mac), ours.address);
    const varp = await ours.vnJson<{ mac: string; host: { address: string } | null }[]>("varp");
    const entry = varp.find((one) => one.mac === theirVm.mac);
    assert.match(JSON.stringify(entry?.host), new RegExp(legacy.address.replaceAll(".", "\\.")));
  });

  test("what ours sends is byte for byte what the original sends", async () => {
    const capture = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    await lab.in(ourVm.namespace, "ping", "-c", "1", "-W", "2", theirVm.address);
    const carried = await eventually("the echo request crosses the underlay", () =>
      capture.frames
        .map(({ frame }) => carriedFrame(frame, VNET))
        .find((one) => one?.source === ours.address && one.destination === legacy.address),
    );
    const header = hex(carried.payload.subarray(0, 22));
    assert.equal(header, `0002000000400000000000000000000000000000${"0004"}`);
    await capture.close();
  });

  for (const [what, mac] of [
    ["broadcast", BROADCAST_MAC],
    ["multicast", "01:00:5e:01:02:03"],
  ] as const) {
    test(`a ${what} reaches the other side, both ways, once`, async () => {
      const theirs = await Tap.open(lab, theirVm.namespace, "eth0", "--promiscuous");
      const mine = await Tap.open(lab, ourVm.namespace, "eth0", "--promiscuous");
      const third = await Tap.open(lab, otherVm.namespace, "eth0", "--promiscuous");
      const outgoing = ethernet({ to: mac, from: ourVm.mac }, EXPERIMENTAL_TYPE, pattern(80, 7));
      mine.send(outgoing);
      await theirs.expect(outgoing);
      await third.expect(outgoing);
      const incoming = ethernet({ to: mac, from: theirVm.mac }, EXPERIMENTAL_TYPE, pattern(80, 8));
      theirs.send(incoming);
      await mine.expect(incoming);
      await third.expect(incoming);
      assert.equal(third.matching((frame) => frame.equals(incoming)).length, 1);
      assert.equal(theirs.matching((frame) => frame.equals(outgoing)).length, 1);
      for (const tap of [theirs, mine, third]) {
        await tap.close();
      }
    });
  }

  test("ours answers a VARP request of the original, unicast and multicast", async () => {
    for (const host of [ours.address, undefined]) {
      const before = legacy.announces.length;
      legacy.ask(VNET, ourVm.mac, host);
      const announce = await eventually("the announce arrives", () =>
        legacy.announces.slice(before).find((one) => one.mac === ourVm.mac),
      );
      assert.deepEqual(announce, { mac: ourVm.mac, careOf: ours.address, from: ours.address });
    }
  });

  test("ours answers to port 1798 whatever port the request came from", async () => {
    const asker = await DatagramPort.open(lab, legacy.namespace, {
      address: legacy.address,
      udpPort: 40_001,
    });
    const before = legacy.announces.length;
    const varp = { request: true, vnet: VNET, mac: ourVm.mac, careOf: legacy.address };
    asker.send(ours.address, 1798, encodeLegacyVarp(varp));
    await eventually("the announce arrives on port 1798", () =>
      legacy.announces.slice(before).some((one) => one.mac === ourVm.mac),
    );
    assert.deepEqual(asker.datagrams, []);
    await asker.close();
  });

  test("ours asks, the original answers, and a silent VM is found that way", async () => {
    await ours.vn("varp-flush");
    const answered = legacy.requestsAnswered;
    await lab.in(ourVm.namespace, "ping", "-c", "2", "-i", "0.05", "-W", "2", theirVm.address);
    await eventually("the original was asked", () => legacy.requestsAnswered > answered);
  });
});

async function ping(lab: Lab, namespace: string, address: string): Promise<void> {
  await lab.in(namespace, "ping", "-c", "3", "-i", "0.02", "-W", "2", address);
}

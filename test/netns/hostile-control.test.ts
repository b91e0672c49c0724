/**
 * Claims about MACs that are not the sender's to make, forwards from hosts that are no peers, and
 * questions without end.
 *
 *     VM ── a ──┐
 *               ├─ segment
 *     VM ── b ──┤
 *               ├─ stranger (a host without vnetd)
 *               └─ victim   (a host that never asked for anything)
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  encodeLegacyFrame,
  encodeLegacyVarp,
  LEGACY_GROUP,
  wrapHeardMulticast,
  wrapOwnMulticast,
} from "../fakes/legacy-messages.ts";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { DatagramPort, Tap } from "./link-tools.ts";
import { eventually, TEST_SCALE } from "./wait.ts";

const VNET = "c1";
const PORT = 1798;
const PINNED_MAC = "02:00:00:00:c1:77";
const QUESTION_COUNT = Math.ceil(5_000 * TEST_SCALE);
const VARP_BYTES = 43;

type VarpRecord = { readonly mac: string; readonly host: { readonly address: string } | null };

describe("a host that lies", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let a: Host;
  let b: Host;
  let stranger: Host;
  let victim: Host;
  let vmA: Vm;
  let vmB: Vm;
  let port: DatagramPort;
  let victimPort: DatagramPort;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    a = await Host.create(lab, "a", [segment]);
    b = await Host.create(lab, "b", [segment]);
    stranger = await Host.create(lab, "stranger", [segment]);
    victim = await Host.create(lab, "victim", [segment]);
    for (const host of [a, b]) {
      await host.start();
      await host.vnet(VNET);
    }
    await a.vn("vif-add", VNET, PINNED_MAC);
    vmA = await a.vm(VNET, { address: "192.168.193.1/24" });
    vmB = await b.vm(VNET, { address: "192.168.193.2/24" });
    await ping();
    port = await DatagramPort.open(lab, stranger.namespace, {
      ...{ address: stranger.address, udpPort: PORT, group: LEGACY_GROUP },
    });
    victimPort = await DatagramPort.open(lab, victim.namespace, {
      ...{ address: victim.address, udpPort: PORT, group: LEGACY_GROUP },
    });
  });
  after(() => lab?.close());

  async function ping(): Promise<void> {
    await lab.in(vmB.namespace, "ping", "-c", "2", "-i", "0.05", "-W", "2", vmA.address);
  }

  async function counter(host: Host, name: string): Promise<number> {
    const views = await host.vnJson<{ counters: Record<string, number> }[]>("stats");
    return views.reduce((total, { counters }) => total + (counters[name] ?? 0), 0);
  }

  /** Waits until everything sent to `host` before has been read: what is sent now comes after it. */
  async function allRead(host: Host): Promise<void> {
    const name = "drop-unknown-message";
    const before = await counter(host, name);
    port.send(host.address, PORT, Buffer.from("0009000000000000", "hex"));
    await eventually("the last datagram is read", async () => (await counter(host, name)) > before);
    // The control plane answers after everything it was told of before.
    await host.vn("varp", VNET);
  }

  async function whereIs(host: Host, mac: string): Promise<string | null> {
    const entries = await host.vnJson<VarpRecord[]>("varp", VNET);
    return entries.find((entry) => entry.mac === mac)?.host?.address ?? null;
  }

  const announce = (mac: string, careOf: string): Buffer =>
    encodeLegacyVarp({ request: false, vnet: VNET, mac, careOf });
  const request = (mac: string, careOf: string): Buffer =>
    encodeLegacyVarp({ request: true, vnet: VNET, mac, careOf });

  test("is not believed that a MAC is on a third host", async () => {
    for (const mac of ["02:00:00:00:c1:90", vmA.mac, vmB.mac, PINNED_MAC]) {
      const wasAt = [await whereIs(a, mac), await whereIs(b, mac)];
      for (const host of [a, b]) {
        port.send(host.address, PORT, announce(mac, victim.address));
        port.send(LEGACY_GROUP, PORT, announce(mac, victim.address));
        await allRead(host);
      }
      assert.deepEqual([await whereIs(a, mac), await whereIs(b, mac)], wasAt, mac);
    }
    await ping();
  });

  test("does not get what is sent to a pinned MAC", async () => {
    const claim = ethernet({ to: vmA.mac, from: PINNED_MAC }, EXPERIMENTAL_TYPE, pattern(46));
    for (const lie of [announce(PINNED_MAC, stranger.address), encodeLegacyFrame(VNET, claim)]) {
      port.send(a.address, PORT, lie);
      port.send(LEGACY_GROUP, PORT, lie);
    }
    await allRead(a);
    assert.equal(await whereIs(a, PINNED_MAC), null);
    const vifs = await a.vnJson<{ mac: string; pinned: boolean }[]>("vifs", VNET);
    assert.ok(vifs.some(({ mac, pinned }) => mac === PINNED_MAC && pinned));
  });

  // A frame from there would be believed too: without keys this is all the protection there is.
  test("has a VM's traffic no longer than until the VM speaks", async () => {
    for (const lie of [announce(vmA.mac, stranger.address), announce(vmB.mac, stranger.address)]) {
      port.send(a.address, PORT, lie);
      port.send(b.address, PORT, lie);
      port.send(LEGACY_GROUP, PORT, lie);
    }
    await allRead(a);
    await allRead(b);
    for (const [vm, other] of [
      [vmA, vmB],
      [vmB, vmA],
    ] as const) {
      await lab.background(vm.namespace, "ping", "-c", "1", "-W", "1", other.address);
    }
    await eventually("the VMs reach each other again", async () => {
      await ping();
      return true;
    });
    assert.equal(await whereIs(b, vmA.mac), a.address);
    assert.equal(await whereIs(a, vmB.mac), b.address);
    assert.ok((await a.vn("vifs", VNET)).includes(vmA.mac));
  });

  test("cannot have a forward accepted, nor multicast again, if it is no peer", async () => {
    const ear = await Tap.open(lab, vmA.namespace, "eth0", "--promiscuous");
    const marked = ethernet(
      { to: BROADCAST_MAC, from: "02:00:00:00:c1:91" },
      EXPERIMENTAL_TYPE,
      pattern(46, 3),
    );
    const message = encodeLegacyFrame(VNET, marked);
    const forwards = [
      wrapOwnMulticast(message),
      wrapHeardMulticast(message, b.address),
      wrapHeardMulticast(message, a.address),
      wrapOwnMulticast(wrapOwnMulticast(message)),
    ];
    const before = await counter(a, "drop-not-peer");
    const reemitted = await counter(a, "reemitted-out");
    victimPort.datagrams.length = 0;
    for (const forward of forwards) {
      port.send(a.address, PORT, forward);
    }
    await allRead(a);
    const [malformed, refused] = [
      await counter(a, "drop-forward-malformed"),
      (await counter(a, "drop-not-peer")) - before,
    ];
    assert.ok(refused + malformed >= forwards.length && refused > 0, `${refused} refused`);
    assert.equal(await counter(a, "reemitted-out"), reemitted);
    assert.deepEqual(
      ear.matching((frame) => frame.equals(marked)),
      [],
    );
    const copies = victimPort.datagrams.filter(({ payload }) => payload.includes(marked));
    assert.deepEqual(copies, []);
    await ear.close();
  });

  test("gets at most one answer a question, as long as the question, and nobody else gets one", async (t) => {
    port.datagrams.length = 0;
    victimPort.datagrams.length = 0;
    const before = await counter(a, "drop-control-rate");
    for (let number = 0; number < QUESTION_COUNT; number += 1) {
      // Every second one asks in another's name.
      port.send(a.address, PORT, request(vmA.mac, number % 2 ? victim.address : stranger.address));
    }
    await allRead(a);
    const answers = await eventually("an answer", () => {
      const found = port.datagrams.filter(({ payload }) => payload[1] === 1 && payload[3] === 2);
      return found.length > 0 ? found : null;
    });
    const refused = (await counter(a, "drop-control-rate")) - before;
    t.diagnostic(
      `${QUESTION_COUNT} questions, ${answers.length} answers, ${refused} over the rate`,
    );
    assert.ok(answers.length <= QUESTION_COUNT);
    assert.ok(answers.every(({ payload }) => payload.length === VARP_BYTES));
    const toVictim = victimPort.datagrams.filter(({ viaGroup }) => !viaGroup);
    assert.deepEqual(toVictim, []);
    await ping();
  });

  test("gets no answer for a MAC that is not here", async () => {
    port.datagrams.length = 0;
    for (const mac of ["02:00:00:00:c1:92", vmB.mac]) {
      port.send(a.address, PORT, request(mac, stranger.address));
    }
    // The answer to this one shows that those before it got none.
    const known = request(PINNED_MAC, stranger.address);
    await eventually("the answer for the pinned MAC", () => {
      port.send(a.address, PORT, known);
      return port.datagrams.some(({ payload }) => payload.includes(macOf(PINNED_MAC)));
    });
    for (const mac of ["02:00:00:00:c1:92", vmB.mac]) {
      assert.equal(
        port.datagrams.some(
          ({ payload, address }) => address === a.address && payload.includes(macOf(mac)),
        ),
        false,
        mac,
      );
    }
  });

  test("moves nobody by answers to questions that were not asked", async () => {
    const mac = "02:00:00:00:c1:93";
    for (let number = 0; number < 500; number += 1) {
      port.send(b.address, PORT, announce(mac, victim.address));
    }
    await allRead(b);
    assert.equal(await whereIs(b, mac), null);
  });
});

function macOf(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/**
 * With every combination of the kill switches, what TCP carries is what was sent.
 *
 *     VM ── a ── segment ── b ── VM         a and b with the same switches
 *
 * 16 MB each way here; 1 GB with VNETD_TEST_SCALE=64.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { transfer } from "./transfer.ts";
import { TEST_SCALE } from "./wait.ts";

const VNET = "c";
const TRANSFER_BYTES = Math.round(16e6 * TEST_SCALE);
const TIMEOUT_MS = 60_000 * Math.max(1, TEST_SCALE / 8);
const SWITCHES = ["--no-tap-offload", "--no-udp-gso", "--no-udp-gro"] as const;

type DataplaneStatus = {
  readonly dataplane: {
    readonly tapOffload: boolean;
    readonly udpSegmentation: boolean;
    readonly udpCoalescing: boolean;
  };
};

for (let bits = 0; bits < 1 << SWITCHES.length; bits += 1) {
  const switches = SWITCHES.filter((_, index) => (bits & (1 << index)) !== 0);
  describe(`vnetd ${switches.join(" ") || "with every offload"}`, { skip: SKIP_REASON }, () => {
    let lab: Lab;
    let a: Host;
    let here: Vm;
    let there: Vm;

    before(async () => {
      lab = await Lab.create();
      const segment = await lab.segment();
      a = await Host.create(lab, "a", [segment]);
      const b = await Host.create(lab, "b", [segment]);
      for (const host of [a, b]) {
        await host.start(...switches);
        await host.vnet(VNET);
      }
      here = await a.vm(VNET, { address: "192.168.12.1/24", ipv6: true });
      there = await b.vm(VNET, { address: "192.168.12.2/24", ipv6: true });
      await lab.batch(there.namespace, ["addr add fd12::2/64 dev eth0 nodad"]);
      await lab.batch(here.namespace, ["addr add fd12::1/64 dev eth0 nodad"]);
    });
    after(() => lab.close());

    test("the switches are what the data plane says it does", async () => {
      const { dataplane } = await a.vnJson<DataplaneStatus>("status");
      assert.deepEqual(
        [dataplane.tapOffload, dataplane.udpSegmentation, dataplane.udpCoalescing],
        SWITCHES.map((name) => !switches.includes(name)),
      );
    });

    test(`${TRANSFER_BYTES} octets have the same SHA-256 at both ends, both ways`, async () => {
      const common = { bytes: TRANSFER_BYTES, timeoutMs: TIMEOUT_MS };
      await transfer({ from: here, to: there, address: there.address, ...common });
      await transfer({ from: there, to: here, address: here.address, ...common });
    });

    test("over IPv6 too", async () => {
      const common = { bytes: Math.min(TRANSFER_BYTES, 16e6), timeoutMs: TIMEOUT_MS };
      await transfer({ from: here, to: there, address: "fd12::2", ...common });
    });

    test("no counter of wrong checksums, virtio headers or refused frames has moved", async () => {
      const counters = await a.counters(VNET);
      for (const name of [
        "checksum-bad-in",
        "drop-virtio-header",
        "drop-tap-failed",
        "drop-send-failed",
      ]) {
        assert.equal(counters[name] ?? 0, 0, name);
      }
    });
  });
}

describe("hosts with different switches", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let here: Vm;
  let there: Vm;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    const a = await Host.create(lab, "a", [segment]);
    const b = await Host.create(lab, "b", [segment]);
    await a.start();
    await b.start(...SWITCHES);
    for (const host of [a, b]) {
      await host.vnet(VNET);
    }
    here = await a.vm(VNET, { address: "192.168.12.1/24" });
    there = await b.vm(VNET, { address: "192.168.12.2/24" });
  });
  after(() => lab.close());

  test("understand each other", async () => {
    const common = { bytes: TRANSFER_BYTES, timeoutMs: TIMEOUT_MS };
    await transfer({ from: here, to: there, address: there.address, ...common });
    await transfer({ from: there, to: here, address: here.address, ...common });
  });
});

/**
 * VMs keep their MTU of 1500 whatever the underlay's is: nothing disappears, large or small.
 *
 *     VM (1500) ── a ── segment of 1500, 1400 or 9000 ── b ── VM (1500)
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { sendLoad, UdpSink } from "./link-tools.ts";
import { transfer } from "./transfer.ts";

const VNET = "a";
const MEGABYTE = 1_000_000;

for (const underlayMtu of [1_500, 1_400, 9_000]) {
  for (const offload of [true, false]) {
    const how = offload ? "" : ", datagrams sent one by one";
    describe(`an underlay of MTU ${underlayMtu}${how}`, { skip: SKIP_REASON }, () => {
      let lab: Lab;
      let a: Host;
      let here: Vm;
      let there: Vm;

      before(async () => {
        lab = await Lab.create();
        const segment = await lab.segment({ mtu: underlayMtu, offload });
        a = await Host.create(lab, "a", [segment]);
        const b = await Host.create(lab, "b", [segment]);
        for (const host of [a, b]) {
          await host.start();
          await host.vnet(VNET);
        }
        here = await a.vm(VNET, { address: "192.168.10.1/24", ipv6: true });
        there = await b.vm(VNET, { address: "192.168.10.2/24", ipv6: true });
        await lab.batch(here.namespace, ["addr add fd10::1/64 dev eth0 nodad"]);
        await lab.batch(there.namespace, ["addr add fd10::2/64 dev eth0 nodad"]);
      });
      after(() => lab.close());

      for (const size of [0, 100, 1_272, 1_352, 1_400, 1_450, 1_472]) {
        test(`a ping of ${size} octets that may not be fragmented comes back`, async () => {
          const args = ["-c", "2", "-i", "0.02", "-W", "2", "-M", "do", "-s", `${size}`];
          await lab.in(here.namespace, "ping", ...args, there.address);
        });
      }

      test("a ping of 8,000 octets, fragmented by the VM, comes back", async () => {
        await lab.in(
          here.namespace,
          "ping",
          "-c",
          "2",
          "-i",
          "0.02",
          "-W",
          "2",
          "-s",
          "8000",
          there.address,
        );
      });

      test("IPv6: neighbour discovery finds the VM, and a full-size ping comes back", async () => {
        await lab.in(here.namespace, "ping", "-6", "-c", "2", "-i", "0.02", "-W", "2", "fd10::2");
        const args = ["-6", "-c", "2", "-i", "0.02", "-W", "2", "-M", "do", "-s", "1452"];
        await lab.in(here.namespace, "ping", ...args, "fd10::2");
      });

      for (const address of ["192.168.10.2", "fd10::2"]) {
        test(`TCP to ${address} carries 8 MB both ways unchanged`, async () => {
          await transfer({ from: here, to: there, address, bytes: 8 * MEGABYTE });
          const back = address.includes(":") ? "fd10::1" : "192.168.10.1";
          await transfer({ from: there, to: here, address: back, bytes: 8 * MEGABYTE });
        });
      }

      test("full-size UDP datagrams arrive, each once", async () => {
        const sink = await UdpSink.open(there.namespace, 9, "--idle-ms", "500");
        const args = [there.address, "9", "--size", "1472", "--count", "500", "--rate", "2000"];
        const { sent } = await sendLoad(here.namespace, "udp-send", ...args);
        const tally = await sink.finish();
        assert.deepEqual([tally.received, tally.duplicated], [sent, 0]);
      });

      if (underlayMtu < 1_500 + 50) {
        test("TCP bulk is not fragmented on the underlay", async () => {
          const before = (await a.counters(VNET))["fragmented-out"] ?? 0;
          await transfer({ from: here, to: there, address: there.address, bytes: 4 * MEGABYTE });
          const after = (await a.counters(VNET))["fragmented-out"] ?? 0;
          assert.equal(after, before);
        });
      }
    });
  }
}

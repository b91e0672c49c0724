/** Each fault planted in what a check reads, and nothing said where there is none. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { StatusView } from "../../src/control/api.ts";
import { checkDaemon, type DaemonViews } from "../../src/doctor/daemon-checks.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import {
  checkKeyFiles,
  checkPathMtu,
  checkPort,
  checkSnooping,
  judgeBridges,
  listOvsBridges,
} from "../../src/doctor/host-checks.ts";
import type { RunProgram } from "../../src/host/child.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";

const VNET = parseVnetId("97");

const printing =
  (stdout: string): RunProgram =>
  async () => ({ exitStatus: 0, stdout, stderr: "" });

const badOf = (findings: readonly Finding[]) =>
  findings.filter(({ mend }) => mend !== null).map(({ check, verdict }) => `${check} ${verdict}`);

async function healthyViews(): Promise<DaemonViews> {
  const status = await new FakeControlApi().status();
  const dataplane = { ...status.dataplane, udpCoalescing: true };
  return { status: { ...status, dataplane }, peers: [], varp: [] };
}

function peerIn(state: "up" | "clone" | "key mismatch" | "stale key"): DaemonViews["peers"] {
  const inVnet = { vnet: VNET, state, sinceMs: 0, heardMs: 0, keyId: null, senderId: "" };
  const peer = {
    udpPort: 1798,
    name: null,
    configured: false,
    forwardedOut: 0,
    forwardedIn: 0,
    pathMtu: null,
  };
  return [{ ...peer, address: "192.0.2.2", vnets: [inVnet] }];
}

describe("checkDaemon", () => {
  test("has nothing to say of a healthy host", async () => {
    assert.deepEqual(badOf(checkDaemon(await healthyViews())), []);
    const views = { ...(await healthyViews()), peers: peerIn("up") };
    assert.deepEqual(badOf(checkDaemon(views)), []);
  });

  const CASES: readonly (readonly [
    name: string,
    finding: string,
    change: (status: StatusView) => Partial<DaemonViews>,
  ])[] = [
    [
      "a data plane that does not start",
      "data-plane fault",
      (status) => ({
        status: { ...status, dataplane: { ...status.dataplane, state: "down", error: "bind" } },
      }),
    ],
    [
      "no underlay",
      "underlay fault",
      (status) => ({ status: { ...status, underlay: { ...status.underlay, error: "no device" } } }),
    ],
    [
      "an offload that has failed its self-test",
      "offloads warning",
      (status) => ({
        status: { ...status, dataplane: { ...status.dataplane, udpSegmentation: false } },
      }),
    ],
    ["a clone", "hosts fault", () => ({ peers: peerIn("clone") })],
    ["another key", "hosts fault", () => ({ peers: peerIn("key mismatch") })],
    ["an old key", "hosts warning", () => ({ peers: peerIn("stale key") })],
    [
      "two hosts with one MAC",
      "duplicate-macs fault",
      () => ({
        varp: [
          {
            ...{ vnet: VNET, mac: parseMacAddress("00:16:3e:00:00:01"), state: "duplicate" },
            host: { address: parseIpAddress("192.0.2.2"), udpPort: 1798 },
            ...{ ageMs: 0, pinned: false },
          },
        ],
      }),
    ],
    [
      "VIFs whose policies are not in force",
      "vif-rules fault",
      (status) => ({ status: { ...status, vifRules: { ...status.vifRules, failed: 2 } } }),
    ],
    [
      "no Open vSwitch for VIF rules",
      "vif-rules fault",
      (status) => ({ status: { ...status, vifRules: { ...status.vifRules, error: "gone" } } }),
    ],
  ];
  for (const [name, finding, change] of CASES) {
    test(`names ${name}`, async () => {
      const views = await healthyViews();
      assert.deepEqual(badOf(checkDaemon({ ...views, ...change(views.status) })), [finding]);
    });
  }
});

describe("checks of the host", () => {
  test("key files that others can read, and a folder that others can write", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "vnt-doctor-"));
    context.after(() => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o700);
    writeFileSync(join(folder, "97.key"), "", { mode: 0o600 });
    assert.deepEqual(badOf(await checkKeyFiles(folder)), []);
    assert.deepEqual(badOf(await checkKeyFiles(join(folder, "none"))), []);
    chmodSync(join(folder, "97.key"), 0o640);
    chmodSync(folder, 0o777);
    const findings = await checkKeyFiles(folder);
    assert.deepEqual(badOf(findings), ["key-files fault", "key-files fault"]);
    assert.match(findings[1]?.what ?? "", /97\.key has the mode 640/);
  });

  test("a port that another program has", async () => {
    const line = (name: string) =>
      `UNCONN 0 0 0.0.0.0:1798 0.0.0.0:* users:(("${name}",pid=42,fd=5))\n`;
    assert.equal((await checkPort(printing(""), 1798)).verdict, "ok");
    assert.equal((await checkPort(printing(line("vnet-dp")), 1798)).verdict, "ok");
    const taken = await checkPort(printing(line("socat")), 1798);
    assert.deepEqual([taken.verdict, taken.what], ["fault", "socat (pid 42) has UDP port 1798"]);
  });

  test("a bridge below the underlay that snoops without a querier", async () => {
    const links = (data: object) =>
      printing(
        JSON.stringify([
          { ifname: "eth0", master: "br0" },
          { ifname: "br0", linkinfo: { info_kind: "bridge", info_data: data } },
        ]),
      );
    const verdictOf = async (data: object, device = "eth0") =>
      (await checkSnooping(links(data), device)).verdict;
    assert.equal(await verdictOf({ mcast_snooping: 1, mcast_querier: 0 }), "warning");
    assert.equal(await verdictOf({ mcast_snooping: 1, mcast_querier: 0 }, "br0"), "warning");
    assert.equal(await verdictOf({ mcast_snooping: 1, mcast_querier: 1 }), "ok");
    assert.equal(await verdictOf({ mcast_snooping: 0, mcast_querier: 0 }), "ok");
    assert.equal(await verdictOf({ mcast_snooping: 1 }, "eth1"), "not-applicable");
  });

  test("a path whose MTU is below the underlay's", async () => {
    const options = { addresses: ["192.0.2.2"], mtu: 1500 };
    const route = (metrics: readonly object[]) => printing(JSON.stringify([{ metrics }]));
    assert.deepEqual(badOf(await checkPathMtu(route([]), options)), []);
    assert.deepEqual(badOf(await checkPathMtu(route([{ mtu: 1500 }]), options)), []);
    const unreachable: RunProgram = async () => ({ exitStatus: 2, stdout: "", stderr: "no" });
    assert.deepEqual(badOf(await checkPathMtu(unreachable, options)), ["path-mtu fault"]);
    const low = await checkPathMtu(route([{ mtu: 1280 }]), options);
    assert.deepEqual(badOf(low), ["path-mtu warning"]);
    assert.match(low[0]?.what ?? "", /192\.0\.2\.2 may have 1280 octets/);
  });

  test("a bridge that is standalone, without OpenFlow14, under a controller, or gone", async () => {
    const good = { name: "br0", failMode: "secure", protocols: [], hasController: false };
    assert.deepEqual(badOf(judgeBridges(["br0"], [good])), []);
    const CASES: readonly (readonly [change: object, finding: string])[] = [
      [{ failMode: null }, "open-vswitch fault"],
      [{ failMode: "standalone" }, "open-vswitch fault"],
      [{ protocols: ["OpenFlow10"] }, "open-vswitch fault"],
      [{ hasController: true }, "open-vswitch warning"],
      [{ name: "br1" }, "open-vswitch fault"],
    ];
    for (const [change, finding] of CASES) {
      assert.deepEqual(badOf(judgeBridges(["br0"], [{ ...good, ...change }])), [finding]);
    }
    assert.deepEqual(badOf(judgeBridges(["br0"], [{ ...good, protocols: ["OpenFlow14"] }])), []);
  });

  test("bridges are read from what ovs-vsctl prints", async () => {
    const data = [
      ["br0", "secure", ["set", ["OpenFlow10", "OpenFlow14"]], ["set", []]],
      ["br1", ["set", []], "OpenFlow10", ["uuid", "00000000-0000-0000-0000-000000000001"]],
    ];
    assert.deepEqual(await listOvsBridges(printing(JSON.stringify({ data })), "/run/ovs"), [
      {
        ...{ name: "br0", failMode: "secure", protocols: ["OpenFlow10", "OpenFlow14"] },
        hasController: false,
      },
      { name: "br1", failMode: null, protocols: ["OpenFlow10"], hasController: true },
    ]);
  });
});

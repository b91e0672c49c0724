import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import type { StatsView } from "../../src/control/api.ts";
import { Histogram } from "../../src/daemon/histogram.ts";
import { formatMetrics, type MetricsSource } from "../../src/daemon/metrics.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { COUNTERS } from "../../src/vnet/counters.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";
import { type ReadFamily, readMetrics } from "./metric-lines.ts";

const VNET = parseVnetId("97");
const HOST_LABELS = ["instance", "job"];

function countersOf(value: number): StatsView["counters"] {
  return Object.fromEntries(COUNTERS.map(({ name }) => [name, value]));
}

/** A host that has one of everything. */
async function fullSource(): Promise<MetricsSource> {
  const passes = new Histogram();
  for (const ms of [1, 30, 30, 99_000]) {
    passes.observe(ms);
  }
  const status = await new FakeControlApi().status();
  const inVnet = { vnet: VNET, sinceMs: 0, heardMs: 0, keyId: null, senderId: "" };
  return {
    status: {
      ...status,
      vifRules: { ...status.vifRules, applied: 3, failed: 1, bridges: ["br0"] },
    },
    stats: [
      { vnet: null, counters: countersOf(9) },
      { vnet: VNET, counters: countersOf(7) },
      { vnet: parseVnetId("98"), counters: countersOf(0) },
    ],
    vnets: [
      { id: VNET, isUp: true },
      { id: parseVnetId("98"), isUp: false },
    ],
    sas: [{ vnet: VNET, direction: "send", count: 1 }],
    peers: [
      {
        ...{ address: parseIpAddress("2001:db8::1"), udpPort: 1798, name: null, configured: true },
        ...{ forwardedOut: 3, forwardedIn: 4, pathMtu: null },
        vnets: [
          { ...inVnet, state: "up" },
          { ...inVnet, state: "key mismatch" },
          { ...inVnet, state: "up" },
        ],
      },
    ],
    vifs: [
      {
        ...{ name: 'vif"\\\n', isApplied: true },
        counts: {
          ...{ acceptedFrames: 5, acceptedOctets: 500, deliveredFrames: 6 },
          dropped: { mac: 2, "ipv4-spoof": 0 },
        },
      },
    ],
    varpRefused: new Map([["rate", 2]]),
    secureRefused: new Map([["bad-mac", 3]]),
    passes: { vnets: passes.view(), "vif-rules": passes.view() },
    dataplaneConnectCount: 2,
    process: { cpuSeconds: 1.5, residentBytes: 1e8, startSeconds: 1.7e9 },
  };
}

const valuesOf = (families: ReadonlyMap<string, ReadFamily>, name: string) =>
  families.get(name)?.samples.map(({ labels, value }) => [labels, value]);

describe("formatMetrics", () => {
  test("is what a scraper reads, with a help text and a type a name", async () => {
    const families = readMetrics(await formatMetrics(await fullSource()));
    assert.deepEqual(valuesOf(families, "vnetd_vnets"), [
      [{ state: "up" }, 1],
      [{ state: "error" }, 1],
    ]);
    assert.deepEqual(valuesOf(families, "vnetd_peer_vnets"), [
      [{ peer: "[2001:db8::1]:1798", state: "up" }, 2],
      [{ peer: "[2001:db8::1]:1798", state: "key-mismatch" }, 1],
    ]);
    assert.deepEqual(valuesOf(families, "vnetd_vif_drops_total"), [
      [{ vif: 'vif"\\\n', reason: "mac" }, 2],
    ]);
    assert.deepEqual(valuesOf(families, "vnetd_vnet_outbound_bytes_total"), [
      [{ vnet: "97" }, 7],
      [{ vnet: "98" }, 0],
    ]);
    assert.deepEqual(valuesOf(families, "vnetd_vif_rules"), [
      [{ state: "applied" }, 3],
      [{ state: "quarantine" }, 0],
      [{ state: "waiting" }, 0],
      [{ state: "error" }, 1],
    ]);
  });

  test("every reason to drop is there for the host, of a vnet those that happened", async () => {
    const families = readMetrics(await formatMetrics(await fullSource()));
    const reasons = COUNTERS.filter(({ name }) => name.startsWith("drop-")).length;
    assert.equal(families.get("vnetd_drops_total")?.samples.length, reasons);
    const ofVnets = families.get("vnetd_vnet_drops_total")?.samples ?? [];
    assert.equal(ofVnets.length, reasons);
    assert.ok(ofVnets.every(({ labels }) => labels["vnet"] === "97"));
  });

  test("times are a histogram whose buckets include those below", async () => {
    const families = readMetrics(await formatMetrics(await fullSource()));
    const ofVnets = (families.get("vnetd_reconcile_duration_seconds")?.samples ?? []).filter(
      ({ labels }) => labels["loop"] === "vnets",
    );
    const value = (name: string, le?: string) =>
      ofVnets.find((one) => one.name.endsWith(name) && one.labels["le"] === le)?.value;
    assert.deepEqual(
      ["0.005", "0.025", "0.05", "10", "+Inf"].map((le) => value("_bucket", le)),
      [1, 1, 3, 3, 4],
    );
    assert.deepEqual([value("_sum"), value("_count")], [99.061, 4]);
  });

  test("a host without an underlay, a data plane, VIFs or peers has the rest", async () => {
    const source = await fullSource();
    const { underlay } = source.status;
    const text = await formatMetrics({
      ...source,
      status: { ...source.status, underlay: { ...underlay, device: null } },
      ...{ stats: [], sas: [], peers: [], vifs: [], vnets: [] },
    });
    const families = readMetrics(text);
    assert.deepEqual(valuesOf(families, "vnetd_underlay_up"), [[{}, 0]]);
    assert.ok(!families.has("vnetd_vnet_up") && !families.has("vnetd_drops_total"));
  });

  test("other peers than the first thousand are counted only", async () => {
    const source = await fullSource();
    const [peer] = source.peers;
    assert.ok(peer !== undefined);
    const peers = Array.from({ length: 1_500 }, (_, index) => ({ ...peer, udpPort: index + 1 }));
    const families = readMetrics(await formatMetrics({ ...source, peers }));
    assert.deepEqual(valuesOf(families, "vnetd_peers")?.[0], [{ kind: "configured" }, 1_500]);
    assert.equal(families.get("vnetd_peer_vnets")?.samples.length, 2_000);
  });
});

type Dashboard = {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
};

/** The names and labels that a query names, and that must be there. */
function namesIn(query: string): { readonly metrics: string[]; readonly labels: string[] } {
  const unquoted = query.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const metrics = unquoted.match(/\b(?:vnetd|process)_[a-z0-9_]+/g) ?? [];
  const matchers = Array.from(
    unquoted.matchAll(/\b([a-z_]+)(?:=~|!~|!=|=)""/g),
    ([, name]) => name,
  );
  const lists = Array.from(unquoted.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g), ([, list]) => list);
  const asked = Array.from(unquoted.matchAll(/label_values\([^)]*, (\w+)\)/g), ([, name]) => name);
  const labels = [...matchers, ...lists.flatMap((list) => (list ?? "").split(",")), ...asked];
  return { metrics, labels: labels.map((label) => (label ?? "").trim()) };
}

async function readShared(path: string): Promise<string> {
  return await readFile(new URL(`../../../share/${path}`, import.meta.url), "utf8");
}

describe("what is made of the metrics", () => {
  async function assertAnswered(queries: readonly string[]): Promise<void> {
    const families = readMetrics(await formatMetrics(await fullSource()));
    assert.ok(queries.length > 10);
    for (const query of queries) {
      const { metrics, labels } = namesIn(query);
      assert.ok(metrics.length > 0, query);
      const known = new Set(HOST_LABELS);
      for (const metric of metrics) {
        const family = families.get(metric) ?? families.get(metric.replace(/_bucket$/, ""));
        assert.ok(family !== undefined, `${metric} in ${query}`);
        for (const { labels: shown } of family.samples) {
          Object.keys(shown).forEach((label) => {
            known.add(label);
          });
        }
      }
      assert.deepEqual(
        labels.filter((label) => !known.has(label)),
        [],
        query,
      );
    }
  }

  test("every query of the dashboard names metrics and labels that there are", async () => {
    const { panels, templating } = JSON.parse(await readShared("grafana/vnetd.json")) as Dashboard;
    const variables = templating.list
      .map(({ query }) => query)
      .filter((query) => query !== "prometheus");
    const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    await assertAnswered([...exprs, ...variables]);
  });

  test("every alert rule does", async () => {
    const rules = await readShared("prometheus/vnetd.rules.yml");
    const exprs = rules.matchAll(/^ +expr: (?:>-\n((?: {10}.*\n)+)|(.*))/gm);
    await assertAnswered(Array.from(exprs, ([, folded, line]) => folded ?? line ?? ""));
  });
});

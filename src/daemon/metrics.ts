/** The Prometheus text format (version 0.0.4) of what `vn status` and `vn stats` show. */
import type { StatsView, StatusView } from "../control/api.ts";
import { ALL_VNETS, shortVnetId } from "../net/vnet-id.ts";
import { COUNTERS } from "../vnet/counters.ts";
import type { SecureRefusal } from "../vnet/secure-events.ts";
import type { VarpRefusal } from "../vnet/varp-events.ts";

export type MetricsSource = {
  readonly status: StatusView;
  /** Of the process and of every vnet; empty while there is no data plane. */
  readonly stats: readonly StatsView[];
  readonly vnetErrorCount: number;
  readonly varpRefused: ReadonlyMap<VarpRefusal, number>;
  readonly secureRefused: ReadonlyMap<SecureRefusal, number>;
};

type Sample = readonly [labels: string, value: number];

export function formatMetrics(source: MetricsSource): string {
  const { status, stats } = source;
  const dataplaneUp = status.dataplane.state === "up" ? 1 : 0;
  const byReason = (counts: ReadonlyMap<string, number>): Sample[] =>
    Array.from(counts, ([reason, count]): Sample => [`{reason="${reason}"}`, count]);
  const refused = byReason(source.varpRefused);
  const secureRefused = byReason(source.secureRefused);
  const processStats = stats.find(({ vnet }) => vnet === null);
  const vnetStats = stats.filter(({ vnet }) => vnet !== null && vnet !== ALL_VNETS);
  return [
    family("vnetd_up", "gauge", "1 when the daemon serves", [["", status.serving ? 1 : 0]]),
    family("vnetd_uptime_seconds", "gauge", "since vnetd started", [["", status.uptimeMs / 1_000]]),
    family("vnetd_dataplane_up", "gauge", "1 while vnet-dp runs", [["", dataplaneUp]]),
    family("vnetd_underlay_up", "gauge", "1 while the underlay has an address", [
      ["", status.underlay.device !== null && status.underlay.error === null ? 1 : 0],
    ]),
    family("vnetd_vnets", "gauge", "vnets of this host", [["", status.vnetCount]]),
    family("vnetd_vnets_in_error", "gauge", "vnets that carry no frames", [
      ["", source.vnetErrorCount],
    ]),
    family("vnetd_vifs", "gauge", "local MACs", [["", status.vifCount]]),
    family("vnetd_vif_rules", "gauge", "VIFs under rules, by state", vifStates(status.vifRules)),
    family("vnetd_peers", "gauge", "configured peers", [["", status.peerCount]]),
    family("vnetd_varp_entries", "gauge", "remote MACs", [["", status.varpCount]]),
    family("vnetd_varp_refused_total", "counter", "VARP messages refused, by reason", refused),
    family(
      "vnetd_secure_refused_total",
      "counter",
      "control messages of secure vnets refused, by reason",
      secureRefused,
    ),
    ...COUNTERS.flatMap(({ name, help }) => {
      const metric = name.replaceAll("-", "_");
      const ofVnets = vnetStats.flatMap(({ vnet, counters }): Sample[] =>
        vnet === null ? [] : [[`{vnet="${shortVnetId(vnet)}"}`, counters[name] ?? 0]],
      );
      const ofProcess: Sample[] =
        processStats === undefined ? [] : [["", processStats.counters[name] ?? 0]];
      return [
        family(`vnetd_process_${metric}_total`, "counter", `${help}; whole process`, ofProcess),
        family(`vnetd_vnet_${metric}_total`, "counter", help, ofVnets),
      ];
    }),
  ].join("");
}

/** None on a host that has no rules. */
function vifStates(rules: StatusView["vifRules"]): readonly Sample[] {
  const { applied, quarantined, waiting, failed } = rules;
  const states = { applied, quarantine: quarantined, waiting, error: failed };
  const samples = Object.entries(states).map(
    ([state, count]): Sample => [`{state="${state}"}`, count],
  );
  return samples.every(([, count]) => count === 0) ? [] : samples;
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) {
    return "";
  }
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

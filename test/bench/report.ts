/** The bench's results as text for people and as JSON for programs. */
import { cpus } from "node:os";
import type { Figure } from "./daemon-figures.ts";
import { median, type Sample } from "./measure.ts";
import { METRICS, type Metric } from "./metrics.ts";
import type { SuiteCost } from "./suite-figures.ts";
import type { TunnelName } from "./tunnels.ts";

/** What one metric gave for one tunnel, run by run. */
export type Series = {
  readonly metric: string;
  readonly tunnel: TunnelName;
  readonly samples: readonly Sample[];
};

/** How vnetd's one TCP stream holds with many vnets or learned MACs. */
export type Scaling = {
  readonly what: "vnets" | "fdb entries";
  readonly count: number;
  readonly samples: readonly Sample[];
};

export type Results = {
  readonly date: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cpuCount: number;
  readonly runs: number;
  readonly seconds: number;
  readonly about: Readonly<Record<string, string>>;
  readonly series: readonly Series[];
  readonly scaling: readonly Scaling[];
  readonly figures: readonly Figure[];
  readonly suites: readonly SuiteCost[];
};

export function machine(): Pick<Results, "cpu" | "cpuCount"> {
  const all = cpus();
  return { cpu: all[0]?.model ?? "unknown", cpuCount: all.length };
}

export function medianOf(samples: readonly Sample[]): number {
  return median(samples.map((sample) => sample.value));
}

export function cpuMedianOf(samples: readonly Sample[]): number | undefined {
  const values = samples.flatMap((sample) => sample.cpuSecondsPerGigabyte ?? []);
  return values.length === 0 ? undefined : median(values);
}

export function findSeries(results: Results, metric: string, tunnel: string): Series | undefined {
  return results.series.find((one) => one.metric === metric && one.tunnel === tunnel);
}

export function formatTable(results: Results): string {
  const tunnels = [...new Set(results.series.map((one) => one.tunnel))];
  const metrics = METRICS.filter((metric) =>
    results.series.some((one) => one.metric === metric.name),
  );
  const rows: string[][] = [["", ...tunnels]];
  for (const metric of metrics) {
    rows.push([
      `${metric.title} (${metric.unit})`,
      ...tunnels.map((tunnel) => cell(results, metric, tunnel)),
    ]);
    if (metric.name.startsWith("tcp")) {
      rows.push([
        "  CPU s per GB, both processes",
        ...tunnels.map((t) => cpuCell(results, metric, t)),
      ]);
    }
  }
  for (const one of results.scaling) {
    rows.push([
      `vnetd TCP with ${one.count.toLocaleString("en")} ${one.what} (Gbit/s)`,
      ...tunnels.map((tunnel) => (tunnel === "vnetd" ? medianOf(one.samples).toFixed(2) : "")),
    ]);
  }
  return [
    `${results.cpuCount} × ${results.cpu}, kernel ${results.kernel}, medians of ${results.runs} runs of ${results.seconds} s`,
    "",
    align(rows),
    "",
    ...ratios(results),
    ...results.figures.map(
      (one) => `${one.title}: ${one.value.toFixed(2)} ${one.unit} (goal ${one.goal})`,
    ),
    "",
    ...suiteTable(results),
    ...tunnels.map((tunnel) => `${tunnel}: ${results.about[tunnel] ?? ""}`),
    "",
  ].join("\n");
}

/** Nanoseconds; the best of many rounds, so what the machine does besides is left out. */
function suiteTable({ suites }: Results): string[] {
  const rows = suites.map(({ suite, seal64Ns, seal1400Ns, open64Ns, open1400Ns }) => [
    suite,
    ...[seal64Ns, seal1400Ns, open64Ns, open1400Ns].map(String),
  ]);
  const head = ["ns a frame", "seal 64", "seal 1400", "open 64", "open 1400"];
  return rows.length === 0 ? [] : [align([head, ...rows]), ""];
}

/** vnetd against the others, as the project's goals put it. */
function ratios(results: Results): string[] {
  const value = (metric: string, tunnel: TunnelName) => {
    const series = findSeries(results, metric, tunnel);
    return series === undefined ? Number.NaN : medianOf(series.samples);
  };
  const best = (...tunnels: readonly TunnelName[]) =>
    Math.max(...tunnels.map((tunnel) => value("tcp1", tunnel)).filter(Number.isFinite));
  const lines: [string, number][] = [
    [
      "one TCP stream, of kernel VXLAN (goal ≥ 0.6)",
      value("tcp1", "vnetd") / value("tcp1", "vxlan"),
    ],
    [
      "one TCP stream, of the better of tinc and fastd (goal ≥ 5)",
      value("tcp1", "vnetd") / best("tinc", "fastd"),
    ],
    [
      "64-byte packets, of kernel VXLAN (goal ≥ 0.7)",
      value("pps64", "vnetd") / value("pps64", "vxlan"),
    ],
    ["added ping round trip in µs (goal ≤ 60)", value("ping", "vnetd") - value("ping", "veth")],
    [
      "conf: one TCP stream, of kernel VXLAN (goal ≥ 0.35)",
      value("tcp1", "conf") / value("tcp1", "vxlan"),
    ],
    [
      "conf: one TCP stream, of the better of tinc without cipher and fastd aes128-gcm (goal ≥ 5)",
      value("tcp1", "conf") / best("tinc", "fastd-gcm"),
    ],
    [
      "auth: one TCP stream, of kernel VXLAN (goal ≥ 0.25)",
      value("tcp1", "auth") / value("tcp1", "vxlan"),
    ],
  ];
  const known = lines.filter(([, ratio]) => Number.isFinite(ratio) && ratio !== 0);
  return known.length === 0
    ? []
    : ["vnetd:", ...known.map(([what, ratio]) => `  ${ratio.toFixed(2)}  ${what}`), ""];
}

function cell(results: Results, metric: Metric, tunnel: string): string {
  const series = findSeries(results, metric.name, tunnel);
  return series === undefined ? "" : medianOf(series.samples).toFixed(metric.digits);
}

function cpuCell(results: Results, metric: Metric, tunnel: string): string {
  const series = findSeries(results, metric.name, tunnel);
  return (series === undefined ? undefined : cpuMedianOf(series.samples))?.toFixed(2) ?? "";
}

/** The first column to the left, the numbers to the right. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => [...(row[column] ?? "")].length)),
  );
  return rows
    .map((row) =>
      row
        .map((text, column) => {
          const width = (widths[column] ?? 0) + text.length - [...text].length;
          return column === 0 ? text.padEnd(width) : text.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

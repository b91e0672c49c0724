/** `scripts/bench`: vnetd beside the other tunnels, as a table, JSON and an SVG. */
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { parseArgs } from "node:util";
import { Lab } from "../netns/lab.ts";
import { type Figure, measureDaemon } from "./daemon-figures.ts";
import { makeStranger, measureGarbage, measureQuestions } from "./flood-figures.ts";
import { measureHotplug } from "./hotplug-figures.ts";
import type { Sample } from "./measure.ts";
import { METRICS } from "./metrics.ts";
import { plotResults } from "./plot.ts";
import { formatTable, machine, type Results, type Scaling, type Series } from "./report.ts";
import { measureRules } from "./rules-figures.ts";
import { measureFdb, measureVnets } from "./scaling.ts";
import { measureSuites } from "./suite-figures.ts";
import {
  type Ends,
  makeEnds,
  makeTunnel,
  TUNNEL_NAMES,
  type Tunnel,
  type TunnelName,
} from "./tunnels.ts";

const USAGE = `usage: scripts/bench [options]

Runs vnetd, kernel VXLAN, tinc, fastd and a bare veth pair between the same two network
namespaces, in turns, and prints the medians. Needs root.

  --quick            one run of one second each
  --runs N           runs of each measurement (default 5)
  --seconds N        length of one run (default 5)
  --only NAME,…      just these: tcp1 tcp4 pps64 pps1400 ping vnets fdb floods daemon rules
                     suites
  --tunnels NAME,…   just these: veth vxlan vnetd auth conf tinc fastd fastd-gcm (auth and
                     conf are vnetd's secure vnets, fastd-gcm is fastd with AES-128-GCM)
  --json FILE        also write every sample as JSON
  --svg FILE         also write the plot
`;

type Settings = {
  readonly runs: number;
  readonly seconds: number;
  readonly only: readonly string[];
  readonly tunnels: readonly TunnelName[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
};

const ALL_MEASUREMENTS = [
  ...METRICS.map((metric) => metric.name),
  "vnets",
  "fdb",
  "floods",
  "daemon",
  "suites",
  "rules",
];

function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      runs: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string" },
      tunnels: { type: "string" },
      json: { type: "string" },
      svg: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const only = chosen("--only", values.only, ALL_MEASUREMENTS);
  return {
    runs: positive("--runs", values.runs ?? (values.quick ? "1" : "5")),
    seconds: positive("--seconds", values.seconds ?? (values.quick ? "1" : "5")),
    only,
    tunnels: TUNNEL_NAMES.filter((name) =>
      chosen("--tunnels", values.tunnels, TUNNEL_NAMES).includes(name),
    ),
    json: values.json,
    svg: values.svg,
  };
}

function chosen(
  option: string,
  text: string | undefined,
  all: readonly string[],
): readonly string[] {
  const names = text?.split(",") ?? all;
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new Error(`${option}: no such name (${unknown}); there are ${all.join(" ")}`);
  }
  return names;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`${option} needs a whole number above 0 (${text})`);
  }
  return value;
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

/** Every metric, run by run, the tunnels taking turns within a run. */
async function measureAll(
  ends: Ends,
  tunnels: readonly Tunnel[],
  settings: Settings,
): Promise<Series[]> {
  const series: Series[] = [];
  for (const metric of METRICS.filter((one) => settings.only.includes(one.name))) {
    const samples = new Map<TunnelName, Sample[]>(tunnels.map((tunnel) => [tunnel.name, []]));
    for (let index = 0; index < settings.runs; index += 1) {
      for (const tunnel of tunnels) {
        const sample = await metric.measure(ends.lab, tunnel, settings.seconds);
        samples.get(tunnel.name)?.push(sample);
        say(
          `${metric.name} ${tunnel.name} ${index + 1}/${settings.runs}: ${sample.value.toFixed(metric.digits)} ${metric.unit}`,
        );
      }
    }
    for (const [tunnel, taken] of samples) {
      series.push({ metric: metric.name, tunnel, samples: taken });
    }
  }
  return series;
}

async function bench(lab: Lab, settings: Settings): Promise<Results> {
  const ends = await makeEnds(lab);
  const tunnels: Tunnel[] = [];
  for (const name of settings.tunnels) {
    tunnels.push(await makeTunnel(name, ends));
    say(`${name} is up`);
  }
  const series = await measureAll(ends, tunnels, settings);
  const vnetd = tunnels.find((tunnel) => tunnel.name === "vnetd");
  const scalingOptions = { ...settings, say };
  const scaling: Scaling[] = [];
  if (vnetd !== undefined && settings.only.includes("vnets")) {
    scaling.push(...(await measureVnets(ends, vnetd, scalingOptions)));
  }
  if (vnetd !== undefined && settings.only.includes("fdb")) {
    scaling.push(...(await measureFdb(ends, vnetd, scalingOptions)));
  }
  const figures: Figure[] = [];
  if (settings.only.includes("floods")) {
    figures.push(...(await measureFloods(ends, tunnels, settings)));
  }
  if (settings.only.includes("daemon")) {
    figures.push(...(await measureDaemon(lab, say)));
  }
  if (settings.only.includes("rules")) {
    figures.push(...(await measureRules(say)), ...(await measureHotplug(say)));
  }
  return {
    date: new Date().toISOString(),
    kernel: release(),
    ...machine(),
    runs: settings.runs,
    seconds: settings.seconds,
    about: Object.fromEntries(tunnels.map((tunnel) => [tunnel.name, tunnel.about])),
    series,
    scaling,
    figures,
    suites: settings.only.includes("suites") ? await measureSuites() : [],
  };
}

/** Garbage beside a `none` vnet, questions beside a secure one. */
async function measureFloods(
  ends: Ends,
  tunnels: readonly Tunnel[],
  { seconds }: Settings,
): Promise<Figure[]> {
  const vnetd = tunnels.find(({ name }) => name === "vnetd");
  const conf = tunnels.find(({ name }) => name === "conf");
  if (vnetd === undefined && conf === undefined) {
    return [];
  }
  const stranger = await makeStranger(ends);
  return [
    ...(vnetd === undefined
      ? []
      : await measureGarbage(ends, { tunnel: vnetd, stranger, seconds })),
    ...(conf === undefined
      ? []
      : await measureQuestions(ends, { tunnel: conf, stranger, seconds })),
  ];
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  const lab = await Lab.create();
  try {
    const results = await bench(lab, settings);
    process.stdout.write(formatTable(results));
    if (settings.json !== undefined) {
      writeFileSync(settings.json, `${JSON.stringify(results, null, 2)}\n`);
    }
    if (settings.svg !== undefined) {
      writeFileSync(settings.svg, plotResults(results));
    }
  } finally {
    await lab.close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});

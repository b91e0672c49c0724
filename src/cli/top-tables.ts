/** The lists of `vn top`: their columns, which come first when it is narrow, how they are sorted. */
import { type MarkOf, markRows, type Problem } from "../control/problems.ts";
import { formatRate, printable } from "../control/rate-text.ts";
import {
  type CarriedRates,
  type HostRates,
  type Rate,
  type TrafficHistory,
  UNKNOWN_HOST_RATES,
  UNKNOWN_RATES,
} from "../control/rates.ts";
import type { HostTraffic, VifTraffic, VnetTraffic } from "../control/traffic-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { problemKey, type TopSort, type TopView } from "./top-state.ts";

export type TopSeverity = "fault" | "warning" | null;

export type TopColumn<Row> = {
  readonly title: string;
  readonly align: "left" | "right";
  /** The narrower the screen, the fewer: those with the lowest rank stay. */
  readonly rank: number;
  /** Cut to it, with `…`; left out: as wide as what is in it. */
  readonly widthMax?: number;
  text(row: Row): string;
  /** What it is sorted by: numbers fall, words rise; left out: by the text. */
  order?(row: Row): number;
  word?(row: Row): string;
};

export type TopTable<Row> = {
  readonly columns: readonly TopColumn<Row>[];
  readonly rows: readonly Row[];
  keyOf(row: Row): string;
  severityOf(row: Row): TopSeverity;
};

/** A table whatever its rows are; texts are made of those rows only that are looked at. */
export type TopList = {
  readonly columns: readonly Omit<TopColumn<unknown>, "text" | "order" | "word">[];
  /** In their order. */
  readonly keys: readonly string[];
  /** Of all rows, without the filter. */
  readonly rowCount: number;
  cells(index: number): readonly string[];
  severity(index: number): TopSeverity;
};

type Rated<Row> = Row & { readonly rates: CarriedRates };
type RatedHost = HostTraffic & { readonly rates: HostRates };

const NAME_COLUMNS_MAX = 20;
const ID_COLUMNS_MAX = 39;
const TEXT_COLUMNS_MAX = 200;

/** Of `-` before every known rate. */
const orderOf = (rate: Rate): number => rate ?? -1;

const RATE_COLUMNS: readonly TopColumn<{ readonly rates: CarriedRates }>[] = [
  rateColumn("OUT-BIT/S", 1, ({ rates }) => rates.outBits),
  rateColumn("OUT-PKT/S", 4, ({ rates }) => rates.outFrames),
  rateColumn("IN-BIT/S", 2, ({ rates }) => rates.inBits),
  rateColumn("IN-PKT/S", 5, ({ rates }) => rates.inFrames),
  rateColumn("DROP/S", 3, ({ rates }) => rates.drops),
];

const VNET_COLUMNS: readonly TopColumn<Rated<VnetTraffic>>[] = [
  { ...left("VNET", 0, ({ vnet }) => shortVnetId(vnet), ID_COLUMNS_MAX), word: ({ vnet }) => vnet },
  left("STATE", 1, ({ state }) => state),
  left("INTERFACE", 6, ({ vnetif }) => vnetif, NAME_COLUMNS_MAX),
  ...RATE_COLUMNS,
  left("SECURITY", 7, ({ security }) => security),
  count("LOCAL", 8, ({ localMacs }) => localMacs),
  count("REMOTE", 9, ({ remoteMacs }) => remoteMacs),
  left("BRIDGE", 10, ({ bridge }) => bridge ?? "-", NAME_COLUMNS_MAX),
  left("ERROR", 11, ({ error }) => error ?? "", TEXT_COLUMNS_MAX),
];

const VIF_COLUMNS: readonly TopColumn<Rated<VifTraffic>>[] = [
  left("VIF", 0, ({ vif }) => vif, NAME_COLUMNS_MAX),
  left("STATE", 1, ({ state }) => state),
  left("BRIDGE", 6, ({ bridge }) => bridge ?? "-", NAME_COLUMNS_MAX),
  ...RATE_COLUMNS,
  left("VNET", 7, ({ vnet }) => (vnet === null ? "-" : shortVnetId(vnet)), ID_COLUMNS_MAX),
  left("MAC", 8, ({ mac }) => mac ?? "-"),
  left("DROPPED", 9, ({ rates }) => nameDrops(rates) || "-", TEXT_COLUMNS_MAX),
  left("ERROR", 10, ({ error }) => error ?? "", TEXT_COLUMNS_MAX),
];

const HOST_COLUMNS: readonly TopColumn<RatedHost>[] = [
  left("HOST", 0, (host) => formatEndpoint(host), ID_COLUMNS_MAX),
  left("STATE", 1, (host) => stateOfHost(host)),
  count("VNETS", 6, ({ vnets }) => vnets.length),
  count("MACS", 5, ({ macs }) => macs),
  rateColumn("OUT/S", 4, ({ rates }) => rates.out),
  rateColumn("IN/S", 2, ({ rates }) => rates.in),
  rateColumn("REFUSED/S", 3, ({ rates }) => rates.refused),
  left("PEER", 7, ({ configured }) => (configured ? "yes" : "no")),
  left("NAME", 8, ({ name }) => name ?? "-", ID_COLUMNS_MAX),
];

const PROBLEM_COLUMNS: readonly TopColumn<Problem>[] = [
  left("KIND", 0, ({ severity }) => severity),
  left("WHERE", 1, ({ subject }) => subject ?? "this host", ID_COLUMNS_MAX),
  left("WHAT", 2, ({ text }) => text, TEXT_COLUMNS_MAX),
];

export function listView(
  view: TopView,
  { latest, rates }: TrafficHistory,
  {
    problems,
    ...options
  }: {
    readonly problems: readonly Problem[];
    readonly sort: TopSort;
    readonly filter: string;
  },
): TopList {
  const markOf = markRows(problems);
  switch (view) {
    case "vnets":
      return list(tableOfVnets(latest.vnets ?? [], rates.vnets, markOf), options);
    case "vifs":
      return list(tableOfVifs(latest.vifs ?? [], rates.vifs, markOf), options);
    case "hosts":
      return list(tableOfHosts(latest.hosts ?? [], rates.hosts, markOf), options);
    case "problems":
      return list(
        {
          columns: PROBLEM_COLUMNS,
          rows: problems,
          keyOf: problemKey,
          severityOf: ({ severity }) => severity,
        },
        options,
      );
  }
}

export function tableOfVnets(
  vnets: readonly VnetTraffic[],
  rates: TrafficHistory["rates"]["vnets"],
  markOf: MarkOf,
): TopTable<Rated<VnetTraffic>> {
  return {
    columns: VNET_COLUMNS,
    rows: vnets.map((vnet) => ({ ...vnet, rates: rates.get(vnet.vnet) ?? UNKNOWN_RATES })),
    keyOf: ({ vnet }) => vnet,
    severityOf: ({ vnet }) => markOf("vnets", vnet),
  };
}

export function tableOfVifs(
  vifs: readonly VifTraffic[],
  rates: TrafficHistory["rates"]["vifs"],
  markOf: MarkOf,
): TopTable<Rated<VifTraffic>> {
  return {
    columns: VIF_COLUMNS,
    rows: vifs.map((vif) => ({ ...vif, rates: rates.get(vif.vif) ?? UNKNOWN_RATES })),
    keyOf: ({ vif }) => vif,
    severityOf: ({ vif }) => markOf("vifs", vif),
  };
}

export function tableOfHosts(
  hosts: readonly HostTraffic[],
  rates: TrafficHistory["rates"]["hosts"],
  markOf: MarkOf,
): TopTable<RatedHost> {
  return {
    columns: HOST_COLUMNS,
    rows: hosts.map((host) => ({
      ...host,
      rates: rates.get(formatEndpoint(host)) ?? UNKNOWN_HOST_RATES,
    })),
    keyOf: (host) => formatEndpoint(host),
    severityOf: (host) => markOf("hosts", formatEndpoint(host)),
  };
}

/** Sorts and filters; the order of equal rows is that of their keys. */
export function list<Row>(
  table: TopTable<Row>,
  { sort, filter }: { readonly sort: TopSort; readonly filter: string },
): TopList {
  const { columns, keyOf, severityOf } = table;
  const cellsOf = (row: Row): readonly string[] => columns.map(({ text }) => printable(text(row)));
  const wanted = filter.toLowerCase();
  const rows =
    wanted === ""
      ? [...table.rows]
      : table.rows.filter((row) => cellsOf(row).join(" ").toLowerCase().includes(wanted));
  sortRows(
    rows,
    columns.find(({ title }) => title === sort.column),
    { reversed: sort.reversed },
  );
  return {
    columns,
    keys: rows.map(keyOf),
    rowCount: table.rows.length,
    cells: (index) => {
      const row = rows[index];
      return row === undefined ? [] : cellsOf(row);
    },
    severity: (index) => {
      const row = rows[index];
      return row === undefined ? null : severityOf(row);
    },
  };
}

function sortRows<Row>(
  rows: Row[],
  column: TopColumn<Row> | undefined,
  { reversed }: { readonly reversed: boolean },
): void {
  if (column !== undefined) {
    const { order, word = column.text } = column;
    const compare =
      order === undefined
        ? (one: Row, other: Row) => compareTexts(word(one), word(other))
        : (one: Row, other: Row) => order(other) - order(one);
    // Stable: what is equal keeps the order of the answer, which is that of ids and names.
    rows.sort(reversed ? (one, other) => compare(other, one) : compare);
  }
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The worst of its vnets; `-`: it does not say. */
export function stateOfHost({ vnets }: HostTraffic): string {
  const states = vnets.flatMap(({ state }) => (state === null ? [] : [state]));
  return states.find((state) => state !== "up") ?? states[0] ?? "-";
}

/** The reasons, the most frequent first. */
export function nameDrops({ dropped }: CarriedRates): string {
  return Object.entries(dropped)
    .sort(([, one], [, other]) => other - one)
    .map(([reason, rate]) => `${reason} ${formatRate(rate)}`)
    .join(", ");
}

function left<Row>(
  title: string,
  rank: number,
  text: (row: Row) => string,
  widthMax = Number.POSITIVE_INFINITY,
): TopColumn<Row> {
  return { title, align: "left", rank, widthMax, text };
}

function count<Row>(
  title: string,
  rank: number,
  number: (row: Row) => number | null,
): TopColumn<Row> {
  return {
    ...{ title, align: "right", rank },
    text: (row) => String(number(row) ?? "-"),
    order: (row) => number(row) ?? -1,
  };
}

function rateColumn<Row>(title: string, rank: number, rate: (row: Row) => Rate): TopColumn<Row> {
  return {
    ...{ title, align: "right", rank },
    text: (row) => formatRate(rate(row)),
    order: (row) => orderOf(rate(row)),
  };
}

/** What `vn top` says of one vnet, VIF or host when it is looked at closely: lines to scroll in. */
import { type MarkOf, nameVnet } from "../control/problems.ts";
import { formatRate, printable } from "../control/rate-text.ts";
import { type CarriedRates, type TrafficHistory, UNKNOWN_RATES } from "../control/rates.ts";
import type {
  Carried,
  Dropped,
  HostTraffic,
  VifTraffic,
  VnetTraffic,
} from "../control/traffic-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { layOut } from "./top-grid.ts";
import type { TopDetail } from "./top-state.ts";
import { list, type TopList, type TopSeverity, tableOfHosts, tableOfVifs } from "./top-tables.ts";

export type DetailLine = { readonly text: string; readonly severity: TopSeverity | "title" };

type Known = {
  readonly history: TrafficHistory;
  readonly markOf: MarkOf;
  /** Of the screen. */
  readonly columns: number;
};

type Pair = readonly [label: string, value: string | null];

const ALL_ROWS = { sort: { column: "", reversed: false }, filter: "" } as const;

export function describeDetail({ part, key }: TopDetail, known: Known): readonly DetailLine[] {
  const { history } = known;
  const { vnets, vifs, hosts } = history.latest;
  switch (part) {
    case "vnets": {
      const vnet = vnets?.find((one) => one.vnet === key);
      return vnet === undefined ? GONE : describeVnet(vnet, known);
    }
    case "vifs": {
      const vif = vifs?.find((one) => one.vif === key);
      return vif === undefined ? GONE : describeVif(vif, history);
    }
    case "hosts": {
      const host = hosts?.find((one) => formatEndpoint(one) === key);
      return host === undefined ? GONE : describeHost(host, history);
    }
  }
}

const GONE: readonly DetailLine[] = [{ text: "It is not there any more.", severity: "warning" }];

function describeVnet(
  vnet: VnetTraffic,
  { history, markOf, columns }: Known,
): readonly DetailLine[] {
  const { latest, rates } = history;
  const one = rates.vnets.get(vnet.vnet) ?? UNKNOWN_RATES;
  const vifs = (latest.vifs ?? []).filter((vif) => vif.vnet === vnet.vnet);
  const hosts = (latest.hosts ?? []).filter(({ vnets }) =>
    vnets.some((other) => other.vnet === vnet.vnet),
  );
  return [
    title(nameVnet(vnet.vnet)),
    ...pairs([
      ["id", vnet.vnet],
      ["state", vnet.error === null ? vnet.state : `${vnet.state}: ${vnet.error}`],
      ["interface", vnet.vnetif],
      ["bridge", vnet.bridge],
      ["security", vnet.security],
      ["MACs", `${vnet.localMacs} of this host, ${vnet.remoteMacs} of others`],
      ...carriedPairs(one, vnet.carried),
    ]),
    ...drops(one, vnet.dropped),
    ...table(
      `VIFs: ${vifs.length}`,
      list(tableOfVifs(vifs, rates.vifs, markOf), ALL_ROWS),
      columns,
    ),
    ...table(
      `hosts: ${hosts.length}`,
      list(tableOfHosts(hosts, rates.hosts, markOf), ALL_ROWS),
      columns,
    ),
  ];
}

function describeVif(vif: VifTraffic, { rates }: TrafficHistory): readonly DetailLine[] {
  const one = rates.vifs.get(vif.vif) ?? UNKNOWN_RATES;
  return [
    title(vif.vif),
    ...pairs([
      ["state", vif.error === null ? vif.state : `${vif.state}: ${vif.error}`],
      ["bridge", vif.bridge],
      ["vnet", vif.vnet === null ? null : nameVnet(vif.vnet)],
      ["MAC", vif.mac],
      ...carriedPairs(one, vif.carried),
    ]),
    ...drops(one, vif.dropped),
  ];
}

function describeHost(host: HostTraffic, { rates }: TrafficHistory): readonly DetailLine[] {
  const one = rates.hosts.get(formatEndpoint(host));
  return [
    title(formatEndpoint(host)),
    ...pairs([
      ["name", host.name],
      ["peer", host.configured ? "configured" : "heard"],
      ["MACs", host.macs === null ? "too many to list" : String(host.macs)],
      ["out", `${formatRate(one?.out ?? null)} messages/s forwarded to it`],
      ["in", `${formatRate(one?.in ?? null)} messages/s forwarded by it or opened`],
      ["refused", `${formatRate(one?.refused ?? null)} datagrams/s`],
      ["replayed", String(host.replayed)],
      ["forged", String(host.forged)],
    ]),
    title(`vnets: ${host.vnets.length}`),
    ...host.vnets.map(
      ({ vnet, state }): DetailLine => ({
        text: `  ${nameVnet(vnet)}  ${state ?? "no security"}`,
        severity: state === null || state === "up" ? null : "fault",
      }),
    ),
  ];
}

function carriedPairs(rates: CarriedRates, carried: Carried | null): readonly Pair[] {
  const text = (bits: string, frames: string, total: number | undefined): string =>
    `${bits} bit/s, ${frames} frames/s, ${total ?? "-"} frames in all`;
  return [
    ["out", text(formatRate(rates.outBits), formatRate(rates.outFrames), carried?.outboundFrames)],
    ["in", text(formatRate(rates.inBits), formatRate(rates.inFrames), carried?.inboundFrames)],
  ];
}

function drops(rates: CarriedRates, dropped: Dropped): readonly DetailLine[] {
  const reasons = Object.entries(dropped).sort(
    ([one, oneCount], [other, otherCount]) =>
      (rates.dropped[other] ?? 0) - (rates.dropped[one] ?? 0) || otherCount - oneCount,
  );
  const width = Math.max(0, ...reasons.map(([reason]) => reason.length));
  return [
    title(reasons.length === 0 ? "dropped: nothing" : `dropped: ${formatRate(rates.drops)}/s`),
    ...reasons.map(([reason, count]): DetailLine => {
      const rate = rates.dropped[reason] ?? 0;
      return {
        text: `  ${reason.padEnd(width)}  ${formatRate(rate).padStart(5)}/s  ${count} in all`,
        severity: rate > 0 ? "warning" : null,
      };
    }),
  ];
}

function table(heading: string, rows: TopList, columns: number): readonly DetailLine[] {
  if (rows.keys.length === 0) {
    return [title(heading)];
  }
  const range = { first: 0, end: rows.keys.length };
  const grid = layOut(rows, { ...range, columns, sorted: ALL_ROWS.sort });
  return [title(heading), { text: grid.header, severity: null }, ...grid.lines];
}

function pairs(all: readonly Pair[]): readonly DetailLine[] {
  const width = Math.max(...all.map(([label]) => label.length));
  return all.map(([label, value]) => ({
    text: `  ${label.padEnd(width)}  ${printable(value ?? "-")}`,
    severity: null,
  }));
}

function title(text: string): DetailLine {
  return { text: printable(text), severity: "title" };
}

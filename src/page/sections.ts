/**
 * The status page's parts, each by the id of the element that it is in: they are sent again and
 * again, and the page's script puts them in place.
 */
import { findProblems, type MarkOf, markRows, type Problem } from "../control/problems.ts";
import { formatRate } from "../control/rate-text.ts";
import {
  type CarriedRates,
  type Rate,
  type TrafficHistory,
  UNKNOWN_HOST_RATES,
  UNKNOWN_RATES,
} from "../control/rates.ts";
import type { HostTraffic, TrafficPart } from "../control/traffic-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import {
  bitsOf,
  chooseRows,
  messagesOf,
  type ShownVif,
  type ShownVnet,
  stateOfHost,
} from "./chosen.ts";
import { html, type Markup, NOTHING } from "./markup.ts";
import { drawPicture, NARROW, WIDE } from "./picture.ts";
import { rowId } from "./row-id.ts";

export const SECTION_IDS = ["host", "problems", "picture", "vnets", "vifs", "hosts"] as const;

export type Sections = Readonly<Record<(typeof SECTION_IDS)[number], Markup>>;

type Table<Row> = {
  /** What the rows are: `vnets`. */
  readonly noun: string;
  readonly heading: string;
  readonly columns: readonly Column<Row>[];
  readonly part: TrafficPart;
  keyOf(row: Row): string;
  readonly markOf: MarkOf;
};

type Column<Row> = {
  readonly title: string;
  /** `number`: to the right. `more`: left out where there is little room. */
  readonly kind: "name" | "text" | "number" | "number more" | "more";
  text(row: Row): string;
};

const ROWS_MAX = 100;
const PROBLEMS_MAX = 50;
const MS_PER_MINUTE = 60_000;
const MINUTES_PER_HOUR = 60;
const MINUTES_PER_DAY = 1_440;

export function drawSections(history: TrafficHistory, hostName: string): Sections {
  const { latest, rates } = history;
  const vnetRates = ({ vnet }: ShownVnet): CarriedRates => rates.vnets.get(vnet) ?? UNKNOWN_RATES;
  const vifRates = ({ vif }: ShownVif): CarriedRates => rates.vifs.get(vif) ?? UNKNOWN_RATES;
  const problems = findProblems(latest, rates);
  const markOf = markRows(problems);
  return {
    host: drawHost(history, hostName),
    problems: drawProblems(problems),
    picture: html`${drawPicture(history, markOf, WIDE)}${drawPicture(history, markOf, NARROW)}`,
    vnets: drawTable(latest.vnets ?? [], (row) => bitsOf(vnetRates(row)), {
      ...{ part: "vnets", noun: "vnets", heading: "Vnets", markOf },
      keyOf: ({ vnet }) => vnet,
      columns: [
        { title: "Vnet", kind: "name", text: ({ vnet }) => shortVnetId(vnet) },
        { title: "State", kind: "text", text: ({ state, error }) => error ?? state },
        ...rateColumns(vnetRates),
        { title: "Security", kind: "more", text: ({ security }) => security },
        { title: "Interface", kind: "more", text: ({ vnetif }) => vnetif },
        { title: "Bridge", kind: "more", text: ({ bridge }) => bridge ?? "–" },
        {
          title: "MACs",
          kind: "more",
          text: ({ localMacs, remoteMacs }) => `${localMacs} here, ${remoteMacs} away`,
        },
      ],
    }),
    vifs: drawTable(latest.vifs ?? [], (row) => bitsOf(vifRates(row)), {
      ...{ part: "vifs", noun: "VIFs", heading: "VIFs", markOf },
      keyOf: ({ vif }) => vif,
      columns: [
        { title: "VIF", kind: "name", text: ({ vif }) => vif },
        { title: "State", kind: "text", text: ({ state, error }) => error ?? state },
        ...rateColumns(vifRates),
        {
          title: "Vnet",
          kind: "more",
          text: ({ vnet }) => (vnet === null ? "–" : shortVnetId(vnet)),
        },
        { title: "Bridge", kind: "more", text: ({ bridge }) => bridge ?? "–" },
        { title: "MAC", kind: "more", text: ({ mac }) => mac ?? "–" },
      ],
    }),
    hosts: drawHosts(history, markOf),
  };
}

function drawHost({ latest, rates }: TrafficHistory, hostName: string): Markup {
  const { status } = latest;
  const { total } = rates;
  const { dataplane, underlay } = status;
  const facts: readonly (readonly [string, string])[] = [
    ["vnetd", `${status.version}, up ${formatDuration(status.uptimeMs)}`],
    ["data plane", dataplane.state],
    ["underlay", [underlay.device ?? "none", ...underlay.addresses].join(" ")],
    ["out", `${formatRate(total.outBits)} bit/s, ${formatRate(total.outFrames)} frames/s`],
    ["in", `${formatRate(total.inBits)} bit/s, ${formatRate(total.inFrames)} frames/s`],
    ["dropped", `${formatRate(total.drops)} a second`],
  ];
  return html`<h1>${hostName}</h1><dl>${facts.map(
    ([label, text]) => html`<div><dt>${label}</dt><dd>${text}</dd></div>`,
  )}</dl>`;
}

function drawProblems(problems: readonly Problem[]): Markup {
  if (problems.length === 0) {
    return html`<h2>Nothing is wrong</h2>`;
  }
  const more = problems.length - PROBLEMS_MAX;
  const [count, noun] = [problems.length, problems.length === 1 ? "problem" : "problems"];
  return html`<h2>${count} ${noun}</h2><ul>${problems.slice(0, PROBLEMS_MAX).map(drawProblem)}${
    more > 0 ? html`<li>and ${more} more: <code>vn top --view problems</code></li>` : NOTHING
  }</ul>`;
}

function drawProblem({ severity, subject, text, target }: Problem): Markup {
  const name = subject ?? "this host";
  const where =
    target === null
      ? html`${name}`
      : html`<a href="#${rowId(target.part, target.key)}">${name}</a>`;
  return html`<li class="${severity}"><b>${severity}</b> ${where}: ${text}</li>`;
}

function drawHosts({ latest, rates }: TrafficHistory, markOf: MarkOf): Markup {
  const ratesOf = (host: HostTraffic) =>
    rates.hosts.get(formatEndpoint(host)) ?? UNKNOWN_HOST_RATES;
  const rate = (
    title: string,
    of: (host: HostTraffic) => Rate,
    kind: "number" | "number more" = "number",
  ): Column<HostTraffic> => ({
    ...{ title, kind },
    text: (host) => formatRate(of(host)),
  });
  return drawTable(latest.hosts ?? [], (host) => messagesOf(host, rates), {
    ...{ part: "hosts", noun: "other hosts", heading: "Other hosts", markOf },
    keyOf: (host) => formatEndpoint(host),
    columns: [
      { title: "Host", kind: "name", text: ({ name, ...host }) => name ?? formatEndpoint(host) },
      { title: "State", kind: "text", text: (host) => stateOfHost(host) ?? "–" },
      rate("Out msg/s", (host) => ratesOf(host).out),
      rate("In msg/s", (host) => ratesOf(host).in),
      rate("Refused/s", (host) => ratesOf(host).refused, "number more"),
      { title: "MACs", kind: "number more", text: ({ macs }) => String(macs ?? "many") },
      {
        title: "Vnets",
        kind: "more",
        text: ({ vnets }) => vnets.map(({ vnet }) => shortVnetId(vnet)).join(", ") || "–",
      },
      { title: "Address", kind: "more", text: (host) => formatEndpoint(host) },
    ],
  });
}

function rateColumns<Row>(ratesOf: (row: Row) => CarriedRates): readonly Column<Row>[] {
  const columns: readonly (readonly [title: string, rate: (rates: CarriedRates) => Rate])[] = [
    ["Out bit/s", ({ outBits }) => outBits],
    ["In bit/s", ({ inBits }) => inBits],
    ["Out pkt/s", ({ outFrames }) => outFrames],
    ["In pkt/s", ({ inFrames }) => inFrames],
    ["Drop/s", ({ drops }) => drops],
  ];
  return columns.map(([title, rate]) => ({
    ...{ title, kind: title.includes("pkt") ? "number more" : "number" },
    text: (row: Row) => formatRate(rate(ratesOf(row))),
  }));
}

function drawTable<Row>(
  rows: readonly Row[],
  busy: (row: Row) => number,
  table: Table<Row>,
): Markup {
  const { part, noun, heading, columns, keyOf, markOf } = table;
  const isWrong = (row: Row): boolean => markOf(part, keyOf(row)) !== null;
  const chosen = chooseRows(rows, { limit: ROWS_MAX, isWrong, busy });
  const left = rows.length - chosen.length;
  const note =
    left > 0 ? html`<p>${left} ${noun} more, with less traffic: <code>vn top</code></p>` : NOTHING;
  if (rows.length === 0) {
    return html`<h2>${heading}</h2><p>No ${noun}.</p>`;
  }
  return html`<h2>${heading} <small>${rows.length}</small></h2><div class="scroll" tabindex="0" role="region" aria-label="${heading}"><table><thead><tr>${columns.map(
    ({ title, kind }) => html`<th scope="col" class="${kind}">${title}</th>`,
  )}</tr></thead><tbody>${chosen.map((row) => drawRow(row, table))}</tbody></table></div>${note}`;
}

function drawRow<Row>(row: Row, { part, columns, keyOf, markOf }: Table<Row>): Markup {
  const wrong = markOf(part, keyOf(row));
  const mark = wrong === "fault" ? "! " : wrong === "warning" ? "* " : "";
  return html`<tr id="${rowId(part, keyOf(row))}" class="${wrong ?? "well"}" tabindex="-1">${columns.map(
    ({ kind, text }) =>
      kind === "name"
        ? html`<th scope="row">${mark}${text(row)}</th>`
        : html`<td class="${kind}">${text(row)}</td>`,
  )}</tr>`;
}

function formatDuration(ms: number): string {
  const minutes = Math.floor(ms / MS_PER_MINUTE);
  if (minutes < MINUTES_PER_HOUR) {
    return `${minutes} min`;
  }
  return minutes < MINUTES_PER_DAY
    ? `${Math.floor(minutes / MINUTES_PER_HOUR)} h`
    : `${Math.floor(minutes / MINUTES_PER_DAY)} d`;
}

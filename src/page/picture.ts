/**
 * The picture of the status page: three columns of boxes, joined where frames pass.
 *
 *     VIFs of this host ── vnets, and bridges under rules ── other hosts
 */
import { type MarkOf, nameVnet, type Problem } from "../control/problems.ts";
import { formatRate } from "../control/rate-text.ts";
import {
  type CarriedRates,
  type HostRates,
  type TrafficHistory,
  UNKNOWN_HOST_RATES,
  UNKNOWN_RATES,
} from "../control/rates.ts";
import type { HostTraffic } from "../control/traffic-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { bitsOf, chooseRows, messagesOf, type ShownVif } from "./chosen.ts";
import { html, type Markup, NOTHING } from "./markup.ts";
import { rowId } from "./row-id.ts";

/** In units of the drawing, which are CSS pixels where it is shown as large as it is. */
export type PictureSize = {
  readonly name: "wide" | "narrow";
  readonly width: number;
  readonly boxWidth: number;
  readonly characters: number;
};

export const WIDE: PictureSize = { name: "wide", width: 1080, boxWidth: 240, characters: 30 };
export const NARROW: PictureSize = { name: "narrow", width: 360, boxWidth: 108, characters: 14 };

type Box = {
  readonly key: string;
  readonly label: string;
  readonly lines: readonly [string, string];
  /** The row with more about it; null: there is none. */
  readonly rowId: string | null;
  readonly severity: Problem["severity"] | null;
};

type Placed = Box & { readonly x: number; readonly y: number };

type Link = { readonly from: string; readonly to: string; readonly bits: number };

const NETWORKS_MAX = 12;
const SIDES_MAX = 20;
const BOX_HEIGHT = 40;
const GAP = 12;
const TOP = 26;
const LINE_1_AT = 16;
const LINE_2_AT = 32;
const TEXT_AT = 8;
const STROKE_MAX = 7;
const COLUMNS = 3;

export function drawPicture(history: TrafficHistory, markOf: MarkOf, size: PictureSize): Markup {
  const { networks, vifs, hosts } = chooseBoxes(history, markOf);
  const rows = Math.max(1, networks.length, vifs.length, hosts.length);
  const height = TOP + rows * (BOX_HEIGHT + GAP);
  const columns = [vifs, networks, hosts].map((boxes, index) =>
    placeColumn(boxes, { size, index, height }),
  );
  const places = new Map(columns.flat().map((box) => [box.key, box]));
  const links = linksOf(history, places);
  const headings = ["VIFs here", "vnets", "other hosts"];
  return html`<svg class="${size.name}" viewBox="0 0 ${size.width} ${height}" role="group" aria-label="VIFs, vnets and other hosts">${headings.map(
    (text, index) =>
      html`<text class="heading" x="${columnAt(size, index) + size.boxWidth / 2}" y="14">${text}</text>`,
  )}${links.map((link) => drawLink(link, places, size))}${columns
    .flat()
    .map((box) => drawBox(box, size))}</svg>`;
}

function chooseBoxes(
  { latest, rates }: TrafficHistory,
  markOf: MarkOf,
): {
  readonly networks: readonly Box[];
  readonly vifs: readonly Box[];
  readonly hosts: readonly Box[];
} {
  const vnets = chooseRows(latest.vnets ?? [], {
    limit: NETWORKS_MAX,
    isWrong: ({ vnet }) => markOf("vnets", vnet) !== null,
    busy: ({ vnet }) => bitsOf(rates.vnets.get(vnet)),
  });
  const ofRules = (latest.vifs ?? []).filter(({ vnet }) => vnet === null);
  const bridges = [...new Set(ofRules.map(networkOf))].slice(0, NETWORKS_MAX);
  const networks = [
    ...vnets.map(
      (vnet): Box => ({
        ...{ key: vnet.vnet, label: nameVnet(vnet.vnet), severity: markOf("vnets", vnet.vnet) },
        ...{ rowId: rowId("vnets", vnet.vnet) },
        lines: [nameVnet(vnet.vnet), carriedText(rates.vnets.get(vnet.vnet))],
      }),
    ),
    ...bridges.map(
      (bridge): Box => ({
        ...{ key: bridge, label: bridge, severity: null, rowId: null },
        lines: [bridge, "under rules"],
      }),
    ),
  ];
  const order = new Map(networks.map(({ key }, index) => [key, index]));
  const vifs = (latest.vifs ?? []).filter((vif) => order.has(networkOf(vif)));
  const hosts = (latest.hosts ?? []).filter(
    ({ configured, vnets: theirs }) => configured || theirs.some(({ vnet }) => order.has(vnet)),
  );
  return {
    networks,
    vifs: chooseRows(vifs, {
      limit: SIDES_MAX,
      isWrong: ({ vif }) => markOf("vifs", vif) !== null,
      busy: ({ vif }) => bitsOf(rates.vifs.get(vif)),
    })
      // Lines cross less.
      .toSorted(
        (one, other) => (order.get(networkOf(one)) ?? 0) - (order.get(networkOf(other)) ?? 0),
      )
      .map((vif) => boxOfVif(vif, rates.vifs.get(vif.vif), markOf)),
    hosts: chooseRows(hosts, {
      limit: SIDES_MAX,
      isWrong: (host) => markOf("hosts", formatEndpoint(host)) !== null,
      busy: (host) => messagesOf(host, rates),
    }).map((host) =>
      boxOfHost(host, rates.hosts.get(formatEndpoint(host)) ?? UNKNOWN_HOST_RATES, markOf),
    ),
  };
}

/** What a VIF is on: its vnet, or the bridge whose rules it is under. */
function networkOf({ vnet, bridge }: ShownVif): string {
  return vnet ?? `bridge ${bridge ?? "–"}`;
}

function boxOfVif(vif: ShownVif, rates: CarriedRates | undefined, markOf: MarkOf): Box {
  const isShut = vif.state !== "applied" && vif.state !== "open";
  return {
    ...{ key: `vif ${vif.vif}`, label: `${vif.vif}, ${vif.state}` },
    ...{ rowId: rowId("vifs", vif.vif), severity: markOf("vifs", vif.vif) },
    lines: [vif.vif, isShut ? vif.state : carriedText(rates)],
  };
}

function boxOfHost(host: HostTraffic, rates: HostRates, markOf: MarkOf): Box {
  const endpoint = formatEndpoint(host);
  const wrong = host.vnets.find(({ state }) => state !== null && state !== "up")?.state ?? null;
  const messages = `out ${formatRate(rates.out)} in ${formatRate(rates.in)}`;
  return {
    ...{ key: `host ${endpoint}`, label: `${endpoint}${wrong === null ? "" : `, ${wrong}`}` },
    ...{ severity: markOf("hosts", endpoint), rowId: rowId("hosts", endpoint) },
    lines: [host.name ?? host.address, wrong ?? messages],
  };
}

function carriedText({ outBits, inBits }: CarriedRates = UNKNOWN_RATES): string {
  return `↑${formatRate(outBits)} ↓${formatRate(inBits)}`;
}

function linksOf(
  { latest, rates }: TrafficHistory,
  places: ReadonlyMap<string, Placed>,
): readonly Link[] {
  const ofVifs = (latest.vifs ?? []).map((vif) => ({
    ...{ from: `vif ${vif.vif}`, to: networkOf(vif), bits: bitsOf(rates.vifs.get(vif.vif)) },
  }));
  const ofHosts = (latest.hosts ?? []).flatMap((host) =>
    // How much goes to which host is not counted: a thin line says that it takes part.
    host.vnets.map(({ vnet }) => ({ from: vnet, to: `host ${formatEndpoint(host)}`, bits: 0 })),
  );
  return [...ofVifs, ...ofHosts].filter(({ from, to }) => places.has(from) && places.has(to));
}

/** In the middle of the height, whatever the other columns have. */
function placeColumn(
  boxes: readonly Box[],
  {
    size,
    index,
    height,
  }: { readonly size: PictureSize; readonly index: number; readonly height: number },
): readonly Placed[] {
  const x = columnAt(size, index);
  const step = (height - TOP) / Math.max(1, boxes.length);
  return boxes.map((box, row) => ({
    ...box,
    x,
    y: Math.round(TOP + row * step + (step - BOX_HEIGHT) / 2),
  }));
}

function columnAt({ width, boxWidth }: PictureSize, index: number): number {
  return Math.round((index * (width - boxWidth)) / (COLUMNS - 1));
}

function drawLink(
  { from, to, bits }: Link,
  places: ReadonlyMap<string, Placed>,
  { boxWidth }: PictureSize,
): Markup {
  const [start, end] = [places.get(from), places.get(to)];
  if (start === undefined || end === undefined) {
    return NOTHING;
  }
  const [x1, x2] = [start.x + boxWidth, end.x];
  const [y1, y2] = [start.y + BOX_HEIGHT / 2, end.y + BOX_HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  // A line a decade: 1 kbit/s is just seen, 1 Gbit/s is as wide as it gets.
  const stroke = bits < 1 ? 1 : Math.min(STROKE_MAX, Math.max(1, Math.log10(bits) - 2));
  const className = bits < 1 ? "link idle" : "link";
  return html`<path class="${className}" stroke-width="${stroke.toFixed(1)}" d="M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}"/>`;
}

function drawBox(
  { x, y, label, lines, severity, rowId: row }: Placed,
  { boxWidth, characters }: PictureSize,
): Markup {
  const mark = severity === "fault" ? "! " : severity === "warning" ? "* " : "";
  const [first, second] = [cut(`${mark}${lines[0]}`, characters), cut(lines[1], characters)];
  const box = html`<title>${label}</title><rect x="${x}" y="${y}" width="${boxWidth}" height="${BOX_HEIGHT}" rx="5"/><text x="${x + TEXT_AT}" y="${y + LINE_1_AT}">${first}</text><text class="rate" x="${x + TEXT_AT}" y="${y + LINE_2_AT}">${second}</text>`;
  const className = `box ${severity ?? "well"}`;
  return row === null
    ? html`<g class="${className}">${box}</g>`
    : html`<a class="${className}" href="#${row}">${box}</a>`;
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

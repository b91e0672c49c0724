/**
 * The bench's results as an SVG: one panel a metric, one bar a tunnel. The colours are chosen
 * for white and for dark pages; text follows the reader's colour scheme.
 */
import { METRICS, type Metric } from "./metrics.ts";
import { findSeries, medianOf, type Results } from "./report.ts";
import { TUNNEL_NAMES, type TunnelName } from "./tunnels.ts";

const WIDTH = 760;
const LABEL_WIDTH = 70;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 16;
const BAR_STEP = 21;
const PANEL_HEAD = 30;
const PANEL_GAP = 14;
const COLUMNS = 2;
const COLUMN_WIDTH = WIDTH / COLUMNS;

const COLOURS: Readonly<Record<TunnelName, string>> = {
  veth: "#8c959f",
  vxlan: "#5c8fd6",
  vnetd: "#2da44e",
  auth: "#57ab5a",
  conf: "#1a7f37",
  tinc: "#c69026",
  fastd: "#c9655a",
  "fastd-gcm": "#a8433a",
};

const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #24292f; }
    .title { font-weight: 600; font-size: 13px; }
    .note { fill: #57606a; font-size: 11px; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note { fill: #9198a1; }
    }`;

type Bar = { readonly label: string; readonly value: number; readonly colour: string };
type Panel = { readonly title: string; readonly digits: number; readonly bars: readonly Bar[] };

export function plotResults(results: Results): string {
  const panels = [
    ...METRICS.flatMap((metric) => metricPanel(results, metric)),
    ...scalingPanels(results),
  ];
  const rowHeights: number[] = [];
  for (let index = 0; index < panels.length; index += COLUMNS) {
    rowHeights.push(Math.max(...panels.slice(index, index + COLUMNS).map(panelHeight)));
  }
  const body = panels.map((panel, index) => {
    const row = Math.floor(index / COLUMNS);
    const y = rowHeights.slice(0, row).reduce((sum, height) => sum + height, 10);
    return drawPanel(panel, (index % COLUMNS) * COLUMN_WIDTH + 10, y);
  });
  const height = rowHeights.reduce((sum, rowHeight) => sum + rowHeight, 10) + 22;
  const note = `${results.cpuCount} × ${results.cpu}, kernel ${results.kernel}, medians of ${results.runs} runs`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="vnetd beside other tunnels">
  <style>${STYLE}
  </style>
${body.join("\n")}
  <text class="note" x="10" y="${height - 8}">${escapeText(note)}</text>
</svg>
`;
}

function metricPanel(results: Results, metric: Metric): Panel[] {
  const bars = TUNNEL_NAMES.flatMap((tunnel): Bar[] => {
    const series = findSeries(results, metric.name, tunnel);
    return series === undefined
      ? []
      : [{ label: tunnel, value: medianOf(series.samples), colour: COLOURS[tunnel] }];
  });
  const hint = metric.better === "less" ? "less is better" : "more is better";
  const title = `${metric.title}, ${metric.unit} (${hint})`;
  return bars.length === 0 ? [] : [{ title, digits: metric.digits, bars }];
}

function scalingPanels(results: Results): Panel[] {
  return (["vnets", "fdb entries"] as const).flatMap((what): Panel[] => {
    const bars = results.scaling
      .filter((one) => one.what === what)
      .map((one) => ({
        label: one.count.toLocaleString("en"),
        value: medianOf(one.samples),
        colour: COLOURS.vnetd,
      }));
    const title = `vnetd: one TCP stream by ${what}, Gbit/s`;
    return bars.length === 0 ? [] : [{ title, digits: 2, bars }];
  });
}

function panelHeight(panel: Panel): number {
  return PANEL_HEAD + panel.bars.length * BAR_STEP + PANEL_GAP;
}

function drawPanel(panel: Panel, x: number, y: number): string {
  const room = COLUMN_WIDTH - 20 - LABEL_WIDTH - VALUE_WIDTH;
  const longest = Math.max(...panel.bars.map((bar) => bar.value), Number.MIN_VALUE);
  const bars = panel.bars.map((bar, index) => {
    const top = y + PANEL_HEAD + index * BAR_STEP;
    const width = Math.max(1, (bar.value / longest) * room);
    const text = bar.value.toLocaleString("en", {
      minimumFractionDigits: panel.digits,
      maximumFractionDigits: panel.digits,
    });
    return [
      `  <text x="${x + LABEL_WIDTH - 8}" y="${top + 12}" text-anchor="end">${escapeText(bar.label)}</text>`,
      `  <rect x="${x + LABEL_WIDTH}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${bar.colour}"/>`,
      `  <text x="${(x + LABEL_WIDTH + width + 6).toFixed(1)}" y="${top + 12}">${text}</text>`,
    ].join("\n");
  });
  return [
    `  <text class="title" x="${x}" y="${y + 16}">${escapeText(panel.title)}</text>`,
    ...bars,
  ].join("\n");
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

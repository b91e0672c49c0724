/** The screen of `vn top`: everything on it is made from what is known and what is looked at. */
import { markRows, type Problem } from "../control/problems.ts";
import { formatRate, printable } from "../control/rate-text.ts";
import type { TrafficHistory } from "../control/rates.ts";
import type { LineStyle, ScreenLine } from "./paint.ts";
import { formatAge } from "./print.ts";
import type { ScreenSize } from "./terminal.ts";
import { type DetailLine, describeDetail } from "./top-details.ts";
import { cutTo, layOut } from "./top-grid.ts";
import { TOP_VIEWS, type TopContext, type TopState, type TopView } from "./top-state.ts";
import { listView, type TopList } from "./top-tables.ts";

export type TopModel = {
  readonly state: TopState;
  readonly history: TrafficHistory;
  readonly problems: readonly Problem[];
  /** Why there is no newer reading; null: this is the newest. */
  readonly trouble: string | null;
  readonly hostName: string;
  readonly size: ScreenSize;
};

/** What is between the head and the foot. */
type TopBody =
  | { readonly kind: "list"; readonly list: TopList }
  | { readonly kind: "detail"; readonly lines: readonly DetailLine[]; readonly scroll: number };

export type TopScreen = { readonly lines: readonly ScreenLine[]; readonly context: TopContext };

const HEAD_LINES = 4;
const FOOT_LINES = 1;

const HELP: readonly string[] = [
  "1 2 3 4           vnets, VIFs, hosts, problems; Tab and Shift-Tab, left and right too",
  "up down, j k      choose a row; Page Up, Page Down, Home, End too",
  "Enter             look at it closely; Esc or Backspace goes back",
  "> <, s            sort by the next column, by the one before; r reverses",
  "/                 show rows with these letters only; Esc shows all",
  "q, Ctrl-C         quit",
  "",
  "A rate of - is not known yet. ! is a fault, * a warning: view 4 says what it is.",
  "Out is what VMs of this host send, in is what they get.",
];

export function drawTop(model: TopModel): TopScreen {
  const { state, size } = model;
  const bodyLines = Math.max(1, size.rows - HEAD_LINES - FOOT_LINES);
  const body = bodyOf(model);
  const shown = state.isHelping ? HELP.map(plain) : drawBody(model, body, bodyLines);
  const lines = [...drawHead(model, body), ...shown.slice(0, bodyLines)];
  const emptyCount = Math.max(0, size.rows - FOOT_LINES - lines.length);
  const empty = Array.from({ length: emptyCount }, () => plain(""));
  const all = [...lines, ...empty, drawFoot(model)].slice(0, size.rows);
  return {
    lines: all.map(({ text, style }) => ({ text: cutTo(text, size.columns), style })),
    context: {
      keys: body.kind === "list" ? body.list.keys : body.lines.map(({ text }) => text),
      columns: body.kind === "list" ? body.list.columns.map(({ title }) => title) : [],
      problems: model.problems,
      pageLines: pageOf(body, bodyLines),
    },
  };
}

function bodyOf({ state, history, problems, size }: TopModel): TopBody {
  const { view, sort, filter, detail } = state;
  return detail === null
    ? { kind: "list", list: listView(view, history, { problems, sort: sort[view], filter }) }
    : {
        kind: "detail",
        lines: describeDetail(detail, {
          history,
          markOf: markRows(problems),
          columns: size.columns,
        }),
        scroll: detail.scroll,
      };
}

/** A list has its header on the page. */
function pageOf({ kind }: TopBody, bodyLines: number): number {
  return Math.max(1, kind === "list" ? bodyLines - 1 : bodyLines);
}

function drawBody(model: TopModel, body: TopBody, bodyLines: number): readonly ScreenLine[] {
  return body.kind === "list"
    ? drawList(model, body.list, pageOf(body, bodyLines))
    : drawDetail(body.lines, body.scroll, bodyLines);
}

function drawHead(model: TopModel, body: TopBody): readonly ScreenLine[] {
  const { history, hostName, trouble, problems } = model;
  const { status } = history.latest;
  const { total } = history.rates;
  const daemon = `vnetd ${status.version} up ${formatAge(status.uptimeMs)}`;
  const underlay = `underlay ${status.underlay.device ?? "none"} ${status.underlay.addresses.join(" ")}`;
  const [first] = problems;
  const worst = problems.some(({ severity }) => severity === "fault") ? "fault" : "warning";
  const rates = [
    `out ${formatRate(total.outBits)} bit/s ${formatRate(total.outFrames)} frames/s`,
    `in ${formatRate(total.inBits)} bit/s ${formatRate(total.inFrames)} frames/s`,
    `dropped ${formatRate(total.drops)}/s`,
  ];
  return [
    {
      text: printable(
        [hostName, daemon, `data plane ${status.dataplane.state}`, underlay].join("  "),
      ),
      style: "bold",
    },
    plain(rates.join("   ")),
    trouble !== null
      ? { text: printable(`! no answer, trying again: ${trouble}`), style: "fault" }
      : first === undefined
        ? plain("no problems")
        : {
            text: printable(
              `${worst === "fault" ? "!" : "*"} ${problems.length} problem${problems.length === 1 ? "" : "s"}: ${sayProblem(first)}`,
            ),
            style: worst,
          },
    plain(drawTabs(model, body)),
  ];
}

function drawTabs({ state, history, problems }: TopModel, body: TopBody): string {
  const { vnets, vifs, hosts } = history.latest;
  const counts: Record<TopView, number | undefined> = {
    ...{ vnets: vnets?.length, vifs: vifs?.length, hosts: hosts?.length },
    problems: problems.length,
  };
  const names: Record<TopView, string> = {
    ...{ vnets: "vnets", vifs: "VIFs", hosts: "hosts", problems: "problems" },
  };
  const tabs = TOP_VIEWS.map((view, index) => {
    const text = `${index + 1} ${names[view]} ${counts[view] ?? "-"}`;
    return view === state.view ? `[${text}]` : ` ${text} `;
  });
  const isFiltered = state.filter !== "" || state.isTyping;
  const matches = body.kind === "list" ? `, ${body.list.keys.length} rows` : "";
  const filter = `  filter: ${printable(state.filter)}${state.isTyping ? "_" : ""}${matches}`;
  return `${tabs.join(" ")}${isFiltered ? filter : ""}`;
}

function drawList(
  { state, size, trouble }: TopModel,
  rows: TopList,
  page: number,
): readonly ScreenLine[] {
  const { keys } = rows;
  const selected = Math.max(0, keys.indexOf(state.selected ?? ""));
  // The chosen row is on the page; rows move below it, not it over the screen.
  const first = Math.max(0, Math.min(selected - Math.floor(page / 2), keys.length - page));
  const end = Math.min(keys.length, first + page);
  const sorted = state.sort[state.view];
  const grid = layOut(rows, { ...{ first, end, sorted }, columns: size.columns });
  if (keys.length === 0) {
    return [plain(rows.rowCount === 0 ? `  no ${NOTHING[state.view]}` : "  no row has that")];
  }
  return [
    { text: grid.header.padEnd(size.columns), style: "header" },
    ...grid.lines.map(({ text, severity }, index): ScreenLine => {
      const isSelected = first + index === selected;
      const style = isSelected ? "selected" : (severity ?? (trouble === null ? "plain" : "dim"));
      return { text: isSelected ? text.padEnd(size.columns) : text, style };
    }),
  ];
}

const NOTHING: Record<TopView, string> = {
  vnets: "vnets: vn vnet-create makes one",
  vifs: "VIFs",
  hosts: "other hosts have been heard of",
  problems: "problems",
};

function drawDetail(
  lines: readonly DetailLine[],
  scroll: number,
  bodyLines: number,
): readonly ScreenLine[] {
  const styles: Record<string, LineStyle> = { title: "bold", fault: "fault", warning: "warning" };
  return lines
    .slice(Math.min(scroll, Math.max(0, lines.length - bodyLines)))
    .map(({ text, severity }) => ({ text, style: styles[severity ?? ""] ?? "plain" }));
}

function drawFoot({ state }: TopModel): ScreenLine {
  const keys = state.isTyping
    ? "type what rows have to contain   Enter done   Esc all rows"
    : state.detail === null
      ? "q quit  Enter details  Tab next view  < > sort  r reverse  / filter  ? help"
      : "q quit   Esc back   up/down scroll   Tab next view   ? help";
  return { text: keys, style: "dim" };
}

export function sayProblem({ subject, text }: Problem): string {
  return subject === null ? text : `${subject}: ${text}`;
}

function plain(text: string): ScreenLine {
  return { text, style: "plain" };
}

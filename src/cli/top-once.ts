/** `vn top --once`: what `vn top` would show now, whole, as plain text or JSON for scripts. */
import { findProblems, type Problem } from "../control/problems.ts";
import { formatRate, printable } from "../control/rate-text.ts";
import type { TrafficHistory } from "../control/rates.ts";
import { printJson } from "./print.ts";
import { layOut } from "./top-grid.ts";
import { sayProblem } from "./top-screen.ts";
import { createTopState, TOP_VIEWS, type TopView } from "./top-state.ts";
import { listView } from "./top-tables.ts";

/** @param view null: all of them */
export function printTop(history: TrafficHistory, view: TopView | null): string {
  const { total } = history.rates;
  const problems = findProblems(history.latest, history.rates);
  const head = [
    `out ${formatRate(total.outBits)} bit/s ${formatRate(total.outFrames)} frames/s  ` +
      `in ${formatRate(total.inBits)} bit/s ${formatRate(total.inFrames)} frames/s  ` +
      `dropped ${formatRate(total.drops)}/s`,
    ...problems.map((problem) => `${problem.severity}: ${printable(sayProblem(problem))}`),
  ];
  const views = view === null ? TOP_VIEWS.filter((one) => one !== "problems") : [view];
  const tables = views.map((one) => printView(history, one, problems));
  return [`${head.join("\n")}\n`, ...tables].join("\n");
}

function printView(history: TrafficHistory, view: TopView, problems: readonly Problem[]): string {
  const sort = createTopState(view).sort[view];
  const rows = listView(view, history, { problems, sort, filter: "" });
  const { header, lines } = layOut(rows, {
    ...{ first: 0, end: rows.keys.length, columns: Number.POSITIVE_INFINITY },
    sorted: { column: "", reversed: false },
  });
  return [header, ...lines.map(({ text }) => text)].map((line) => `${line}\n`).join("");
}

export function printTopJson({ latest, rates }: TrafficHistory): string {
  const { total, vnets, vifs, hosts } = rates;
  return printJson({
    traffic: latest,
    rates: {
      total,
      vnets: Object.fromEntries(vnets),
      vifs: Object.fromEntries(vifs),
      hosts: Object.fromEntries(hosts),
    },
    problems: findProblems(latest, rates).map(({ severity, subject, text }) => ({
      ...{ severity, subject, text },
    })),
  });
}

/** What the user of `vn top` looks at, and what each key makes of it. */
import type { Problem } from "../control/problems.ts";
import { TRAFFIC_PARTS, type TrafficPart } from "../control/traffic-api.ts";

export const TOP_VIEWS = [...TRAFFIC_PARTS, "problems"] as const;

export type TopView = (typeof TOP_VIEWS)[number];

export type TopState = {
  readonly view: TopView;
  /** The column by its title; null: as the view has it. */
  readonly sort: Readonly<Record<TopView, TopSort>>;
  /** The row by its key, so that it stays chosen when rows change places; null: the first. */
  readonly selected: string | null;
  /** What is looked at closely; the way back is the list it was chosen from. */
  readonly detail: TopDetail | null;
  /** Rows that contain it are shown. */
  readonly filter: string;
  /** Keys are letters of the filter. */
  readonly isTyping: boolean;
  readonly isHelping: boolean;
  readonly hasQuit: boolean;
};

export type TopSort = { readonly column: string; readonly reversed: boolean };

export type TopDetail = {
  readonly part: TrafficPart;
  readonly key: string;
  /** Lines above the screen. */
  readonly scroll: number;
};

/** What a key needs to know of what is on the screen. */
export type TopContext = {
  /** Of the rows in their order. */
  readonly keys: readonly string[];
  /** Titles of the columns of the view. */
  readonly columns: readonly string[];
  readonly problems: readonly Problem[];
  /** Lines that a page has. */
  readonly pageLines: number;
};

export function createTopState(view: TopView): TopState {
  return {
    ...{ view, selected: null, detail: null, filter: "" },
    ...{ isTyping: false, isHelping: false, hasQuit: false },
    sort: {
      vnets: { column: "OUT-BIT/S", reversed: false },
      vifs: { column: "OUT-BIT/S", reversed: false },
      hosts: { column: "IN/S", reversed: false },
      problems: { column: "", reversed: false },
    },
  };
}

/** The parts that are on the screen. */
export function partsShown({ view, detail }: TopState): readonly TrafficPart[] {
  if (detail !== null || view === "problems") {
    return TRAFFIC_PARTS;
  }
  return [view];
}

/**
 * What a terminal sends at once may be several keys (pasted, or typed ahead); a lone escape
 * sequence that is no key of ours is nothing.
 */
export function splitKeys(text: string): readonly string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what keys are.
  return text.match(/\x1b(?:\[[0-9;]*[ -/]*[@-~]|O[@-~])|./gsu) ?? [];
}

const ESCAPE = "\x1b";
const CTRL_C = "\x03";
const BACKSPACE: ReadonlySet<string> = new Set(["\x7f", "\b"]);
const ENTER: ReadonlySet<string> = new Set(["\r", "\n"]);
const FILTER_CHARACTERS_MAX = 40;

const MOVES: ReadonlyMap<string, (index: number, context: TopContext) => number> = new Map([
  ...namesOf(["\x1b[A", "\x1bOA", "k"], (index: number) => index - 1),
  ...namesOf(["\x1b[B", "\x1bOB", "j"], (index: number) => index + 1),
  ...namesOf(["\x1b[5~"], (index: number, { pageLines }: TopContext) => index - pageLines),
  ...namesOf(["\x1b[6~", " "], (index: number, { pageLines }: TopContext) => index + pageLines),
  ...namesOf(["\x1b[H", "\x1bOH", "\x1b[1~", "g"], () => 0),
  ...namesOf(["\x1b[F", "\x1bOF", "\x1b[4~", "G"], () => Number.MAX_SAFE_INTEGER),
]);

const VIEW_KEYS: ReadonlyMap<string, (view: TopView) => TopView> = new Map([
  ...TOP_VIEWS.map((view, index): [string, () => TopView] => [String(index + 1), () => view]),
  ...namesOf(["\t", "\x1b[C", "\x1bOC", "l"], (view: TopView) => neighbour(view, 1)),
  ...namesOf(["\x1b[Z", "\x1b[D", "\x1bOD", "h"], (view: TopView) => neighbour(view, -1)),
]);

export function pressKey(state: TopState, key: string, context: TopContext): TopState {
  if (key === CTRL_C) {
    return { ...state, hasQuit: true };
  }
  if (state.isTyping) {
    return typeFilter(state, key);
  }
  if (state.isHelping) {
    return key === "q" ? { ...state, hasQuit: true } : { ...state, isHelping: false };
  }
  const view = VIEW_KEYS.get(key);
  if (view !== undefined) {
    return { ...state, view: view(state.view), detail: null, selected: null };
  }
  const move = MOVES.get(key);
  if (move !== undefined) {
    return state.detail === null
      ? moveSelection(state, move, context)
      : scroll(state, move, context);
  }
  return pressCommand(state, key, context);
}

function pressCommand(state: TopState, key: string, context: TopContext): TopState {
  if (ENTER.has(key)) {
    return digIn(state, context);
  }
  if (key === ESCAPE || BACKSPACE.has(key)) {
    return state.detail === null ? { ...state, filter: "" } : { ...state, detail: null };
  }
  switch (key) {
    case "q":
      return { ...state, hasQuit: true };
    case "?":
      return { ...state, isHelping: true };
    case "/":
      return { ...state, isTyping: true, detail: null };
    case "<":
    case ",":
      return sortBy(state, context, -1);
    case ">":
    case ".":
    case "s":
      return sortBy(state, context, 1);
    case "r":
      return reverse(state);
    default:
      return state;
  }
}

function typeFilter(state: TopState, key: string): TopState {
  if (ENTER.has(key)) {
    return { ...state, isTyping: false };
  }
  if (key === ESCAPE) {
    return { ...state, isTyping: false, filter: "" };
  }
  if (BACKSPACE.has(key)) {
    return { ...state, filter: state.filter.slice(0, -1) };
  }
  const isLetter = key.length === 1 && key >= " " && state.filter.length < FILTER_CHARACTERS_MAX;
  return isLetter ? { ...state, filter: state.filter + key, selected: null } : state;
}

function digIn(state: TopState, { keys, problems }: TopContext): TopState {
  const key = state.selected !== null && keys.includes(state.selected) ? state.selected : keys[0];
  if (state.detail !== null || key === undefined) {
    return state;
  }
  if (state.view !== "problems") {
    return { ...state, selected: key, detail: { part: state.view, key, scroll: 0 } };
  }
  const target = problems.find((problem) => problemKey(problem) === key)?.target ?? null;
  return { ...state, selected: key, detail: target === null ? null : { ...target, scroll: 0 } };
}

/** The same problem has the same key while its figures change. */
export function problemKey({ severity, subject, text }: Problem): string {
  return `${severity} ${subject ?? ""} ${text.split(":")[0]}`;
}

function moveSelection(
  state: TopState,
  move: (index: number, context: TopContext) => number,
  context: TopContext,
): TopState {
  const { keys } = context;
  const index = Math.max(0, keys.indexOf(state.selected ?? ""));
  const next = Math.min(Math.max(0, move(index, context)), keys.length - 1);
  return { ...state, selected: keys[next] ?? null };
}

/** What is below the last line is not scrolled to: the screen knows how many there are. */
function scroll(
  state: TopState,
  move: (index: number, context: TopContext) => number,
  context: TopContext,
): TopState {
  const { detail } = state;
  if (detail === null) {
    return state;
  }
  const lines = Math.max(0, context.keys.length - context.pageLines);
  const next = Math.min(Math.max(0, move(detail.scroll, context)), lines);
  return { ...state, detail: { ...detail, scroll: next } };
}

function sortBy(state: TopState, { columns }: TopContext, step: 1 | -1): TopState {
  const { view } = state;
  if (columns.length === 0) {
    return state;
  }
  const index = columns.indexOf(state.sort[view].column);
  const column = columns[(index + step + columns.length) % columns.length] ?? "";
  return { ...state, sort: { ...state.sort, [view]: { column, reversed: false } } };
}

function reverse(state: TopState): TopState {
  const { view } = state;
  const { column, reversed } = state.sort[view];
  return { ...state, sort: { ...state.sort, [view]: { column, reversed: !reversed } } };
}

function neighbour(view: TopView, step: 1 | -1): TopView {
  const index = TOP_VIEWS.indexOf(view) + step + TOP_VIEWS.length;
  return TOP_VIEWS[index % TOP_VIEWS.length] ?? view;
}

function namesOf<Meaning>(
  names: readonly string[],
  meaning: Meaning,
): readonly [string, Meaning][] {
  return names.map((name) => [name, meaning]);
}

/** Rows of a list as lines of text: which columns have room, how wide each is. */
import type { TopList, TopSeverity } from "./top-tables.ts";

export type GridLine = { readonly text: string; readonly severity: TopSeverity };

export type Grid = { readonly header: string; readonly lines: readonly GridLine[] };

const GAP = 2;
/** In front of each line, so that what is wrong is seen without colours: `!`, `*` or nothing. */
const MARKS = { fault: "! ", warning: "* ", none: "  " } as const;
const MARK_COLUMNS = 2;
/** A last column of words may be cut to this before it is left out. */
const CUT_COLUMNS_MIN = 8;

/**
 * Of the rows from `first` to before `end`.
 * `sorted`: the title of a column, and which way.
 */
export function layOut(
  list: TopList,
  {
    first,
    end,
    columns,
    sorted,
  }: {
    readonly first: number;
    readonly end: number;
    /** Of the screen. */
    readonly columns: number;
    readonly sorted: { readonly column: string; readonly reversed: boolean };
  },
): Grid {
  const indexes = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  const rows = indexes.map((index) => list.cells(index));
  const titles = list.columns.map(({ title }) =>
    title === sorted.column ? `${title}${sorted.reversed ? "^" : "v"}` : title,
  );
  const wanted = list.columns.map(({ widthMax }, index) =>
    Math.min(
      Math.max(length(titles[index]), ...rows.map((cells) => length(cells[index]))),
      Math.max(widthMax ?? Number.POSITIVE_INFINITY, length(titles[index])),
    ),
  );
  const widths = fit(list, wanted, columns - MARK_COLUMNS);
  const line = (cells: readonly string[]): string =>
    widths
      .flatMap((width, index) =>
        width === 0 ? [] : [pad(cells[index] ?? "", width, list.columns[index]?.align ?? "left")],
      )
      .join(" ".repeat(GAP))
      .trimEnd();
  return {
    header: `${MARKS.none}${line(titles)}`,
    lines: rows.map((cells, index) => {
      const severity = list.severity(first + index);
      return { text: `${MARKS[severity ?? "none"]}${line(cells)}`, severity };
    }),
  };
}

/** Columns by their rank as long as there is room; 0: left out. */
function fit(list: TopList, wanted: readonly number[], room: number): readonly number[] {
  const widths = wanted.map(() => 0);
  const ranked = list.columns
    .map(({ rank, align }, index) => ({ rank, index, canBeCut: align === "left" }))
    .sort((one, other) => one.rank - other.rank);
  let left = room + GAP;
  for (const { index, canBeCut } of ranked) {
    const needed = (wanted[index] ?? 0) + GAP;
    const given = needed <= left ? needed : canBeCut && left >= CUT_COLUMNS_MIN + GAP ? left : 0;
    if (given === 0) {
      // What is less important does not take the place of what had none.
      break;
    }
    widths[index] = given - GAP;
    left -= given;
  }
  return widths;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const cut = cutTo(text, width);
  return align === "left" ? cut.padEnd(width) : cut.padStart(width);
}

export function cutTo(text: string, width: number): string {
  if (text.length <= width) {
    return text;
  }
  return width < 2 ? text.slice(0, Math.max(0, width)) : `${text.slice(0, width - 1)}~`;
}

function length(text: string | undefined): number {
  return text?.length ?? 0;
}

/** How answers look: aligned tables for people, JSON and S-expressions for programs. */
import { printSexpr, type SexprText } from "../vnet/sexpr.ts";
import type { OutputFormat } from "./command.ts";

export type Column<Row> = { readonly title: string; cell(row: Row): string | number | null };

/** How a kind of row is printed in each format. */
export type Listing<Row> = {
  readonly columns: readonly Column<Row>[];
  /** In the form of the original tool, with the last newline. */
  sxp(rows: readonly Row[]): string;
};

/** The whole output of a listing, with its last newline; of none, nothing but a table's header. */
export function printListing<Row>(
  listing: Listing<Row>,
  rows: readonly Row[],
  format: OutputFormat,
): string {
  switch (format) {
    case "json":
      return printJson(rows);
    case "sxp":
      return listing.sxp(rows);
    case "table":
      return printTable(listing.columns, rows);
  }
}

export function printJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * A header and a line a row, columns two blanks apart. A cell is never empty (`-` stands for
 * nothing), and only a last column may have blanks in it, so that `awk` finds the columns.
 */
export function printTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => formatCell(column.cell(row)))),
  ];
  const widths = columns.map((_, index) =>
    // Not Math.max(...lines): a hundred thousand remote MACs are more than a call can take.
    lines.reduce((width, cells) => Math.max(width, [...(cells[index] ?? "")].length), 0),
  );
  return lines.map((cells) => `${alignCells(cells, widths)}\n`).join("");
}

/** One thing, a line a property. */
export function printPairs(
  pairs: readonly (readonly [label: string, value: string | number | null])[],
): string {
  const width = Math.max(...pairs.map(([label]) => label.length));
  return pairs.map(([label, value]) => `${label.padEnd(width)}  ${formatCell(value)}\n`).join("");
}

/** A line an expression; of none, nothing. */
export function sxpLines(expressions: readonly SexprText[]): string {
  return expressions.map((expression) => `${printSexpr(expression)}\n`).join("");
}

/** `4s`, `12m`, `3h`, `9d`: enough to tell new from old. */
export function formatAge(ageMs: number): string {
  const seconds = Math.floor(ageMs / 1000);
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ] as const;
  for (const [unitSeconds, letter] of units) {
    if (seconds >= unitSeconds) {
      return `${Math.floor(seconds / unitSeconds)}${letter}`;
    }
  }
  return `${seconds}s`;
}

function formatCell(value: string | number | null): string {
  return value === null || value === "" ? "-" : String(value);
}

function alignCells(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, index) => {
    const missing = (widths[index] ?? 0) - [...cell].length;
    return cell + " ".repeat(missing);
  });
  return padded.join("  ").trimEnd();
}

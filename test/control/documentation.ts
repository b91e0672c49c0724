/** What docs/CONTROL.md claims, as data: its error codes, its examples and the answers it shows. */
import { readFile } from "node:fs/promises";

export type DocumentedExample = {
  /** A shell command. */
  readonly command: string;
  /** The JSON that follows it; undefined where none is shown. */
  readonly answer: unknown;
};

/** The socket that the examples name. */
export const DOCUMENTED_SOCKET = "/run/vnetd/vnetd.sock";

export async function readControlDocument(): Promise<string> {
  // dist/test/control/ is three folders below the checkout.
  return await readFile(new URL("../../../docs/CONTROL.md", import.meta.url), "utf8");
}

/** In the order of the page, which is an order in which they can be run. */
export function findExamples(page: string): readonly DocumentedExample[] {
  const blocks = page.matchAll(/^```sh\n(.*?)^```\n(?:^```json\n(.*?)^```\n)?/gms);
  return Array.from(blocks, ([, command = "", json]) => ({
    command,
    answer: json === undefined ? undefined : (JSON.parse(json) as unknown),
  }));
}

export function findErrorCodes(page: string): ReadonlyMap<string, number> {
  const rows = page.matchAll(/^\| `(VNETD_[A-Z_]+)` \| (\d{3}) \| \S/gm);
  return new Map(Array.from(rows, ([, code = "", status]) => [code, Number(status)]));
}

/**
 * The shape of a value: keys and types, not values; the first element of an array stands for all.
 * `null` shows as itself, because a documented null must be possible.
 */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.slice(0, 1).map(shapeOf);
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, field]) => [key, shapeOf(field)]);
    return Object.fromEntries(entries);
  }
  return value === null ? null : typeof value;
}

/**
 * A rate limit for each of many names, in bounded room. Token buckets written as the instant at
 * which they would be full again (GCRA, ITU-T I.371). When the table is full, the name that was
 * limited longest ago is forgotten: its bucket is full again, or as good as.
 */
export type RateTable = {
  readonly perSecond: number;
  readonly burst: number;
  readonly entriesMax: number;
  /** In the order of the last use. */
  readonly fullAt: Map<string, number>;
};

export function createRateTable(
  limits: Pick<RateTable, "perSecond" | "burst" | "entriesMax">,
): RateTable {
  return { ...limits, fullAt: new Map() };
}

/** Whether `name` may do it once more at `now` (milliseconds); if so, that is counted. */
export function mayOnceMore(table: RateTable, name: string, now: number): boolean {
  const intervalMs = 1000 / table.perSecond;
  const fullAt = Math.max(now, table.fullAt.get(name) ?? now);
  if (fullAt - now > (table.burst - 1) * intervalMs) {
    return false;
  }
  table.fullAt.delete(name);
  table.fullAt.set(name, fullAt + intervalMs);
  const [oldest] = table.fullAt.keys();
  if (table.fullAt.size > table.entriesMax && oldest !== undefined) {
    table.fullAt.delete(oldest);
  }
  return true;
}

/** Lines for the operator: one an event, on standard error, JSON unless somebody watches. */
import { type Logger, pino } from "pino";
import type { Config } from "./config.ts";

export type Log = Logger;

export function createLog({ logLevel, logFormat }: Pick<Config, "logLevel" | "logFormat">): Log {
  const format = logFormat ?? (process.stderr.isTTY ? "text" : "json");
  // Synchronous: what was logged before a crash is there after it.
  const destination = pino.destination({ dest: 2, sync: true });
  const base = { base: null, level: logLevel, timestamp: pino.stdTimeFunctions.isoTime };
  if (format === "json") {
    return pino(base, destination);
  }
  return pino(base, { write: (line: string) => destination.write(formatLine(line)) });
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/** `20:01:57.114 warn a vnet interface was lost vnet=97 vnetif=vnif0097` */
export function formatLine(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice("2026-01-01T".length, "2026-01-01T00:00:00.000".length);
  const shown = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${name}=${/\s/.test(text) ? JSON.stringify(text) : text}`;
  });
  const failure = typeof err === "object" && err !== null && "message" in err ? err.message : null;
  const cause = failure === null ? [] : [`(${String(failure).replace(/\s+/g, " ")})`];
  const name = LEVEL_NAMES[Number(level)] ?? String(level);
  return `${[clock, name, msg, ...cause, ...shown].join(" ")}\n`;
}

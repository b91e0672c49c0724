/** How rates and names look to people, in five columns and without what a terminal would obey. */
import type { Rate } from "./rates.ts";

const UNITS = ["", "k", "M", "G", "T", "P"] as const;
const STEP = 1_000;
const DIGITS = 3;

/** Any character that a terminal does not print as exactly one column. */
const UNPRINTABLE = /[^\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u058f]/gu;

/** `0`, `0.5`, `17`, `1.23k`, `45.6M`, `789G`: three digits, at most five characters; `-` for unknown. */
export function formatRate(rate: Rate): string {
  if (rate === null) {
    return "-";
  }
  let value = rate;
  let unit = 0;
  // Rounded first: 999.6 is 1.00k, and not 1000.
  while (Number(value.toPrecision(DIGITS)) >= STEP && unit < UNITS.length - 1) {
    value /= STEP;
    unit += 1;
  }
  if (unit === 0) {
    return value > 0 && value < 10 && !Number.isInteger(value)
      ? value.toFixed(1)
      : value.toFixed(0);
  }
  return `${value.toPrecision(DIGITS)}${UNITS[unit]}`;
}

/** One column a character, whatever a device, a host or a program has put into its name. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, "?");
}

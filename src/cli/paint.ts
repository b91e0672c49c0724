/** A screen as lines, and what has to be written to a terminal to turn one screen into another. */

/** Colour never says anything alone: without it, the same lines have the same words. */
export type LineStyle = "plain" | "bold" | "header" | "selected" | "fault" | "warning" | "dim";

/** `text` has no control characters and at most as many characters as the screen has columns. */
export type ScreenLine = { readonly text: string; readonly style: LineStyle };

const RESET = "\x1b[0m";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const CLEAR_ALL = "\x1b[2J";

const ATTRIBUTES: Readonly<Record<LineStyle, { readonly mono: string; readonly color: string }>> = {
  plain: { mono: "", color: "" },
  bold: { mono: "\x1b[1m", color: "\x1b[1m" },
  header: { mono: "\x1b[4m", color: "\x1b[4m" },
  selected: { mono: "\x1b[7m", color: "\x1b[7m" },
  fault: { mono: "\x1b[1m", color: "\x1b[1;31m" },
  warning: { mono: "", color: "\x1b[33m" },
  dim: { mono: "", color: "\x1b[2m" },
};

/**
 * Only lines that differ are written.
 *
 * @param before null: nothing is known of what the terminal shows
 */
export function paint(
  before: readonly ScreenLine[] | null,
  after: readonly ScreenLine[],
  { color }: { readonly color: boolean },
): string {
  const changes = after.flatMap((line, index) =>
    sameLine(before?.[index], line)
      ? []
      : [`${goTo(index)}${attributesOf(line, color)}${line.text}${RESET}${CLEAR_LINE}`],
  );
  const isShorter = before !== null && before.length > after.length;
  return [
    before === null ? CLEAR_ALL : "",
    ...changes,
    isShorter ? `${goTo(after.length)}${CLEAR_BELOW}` : "",
  ].join("");
}

function attributesOf({ style }: ScreenLine, color: boolean): string {
  const { mono, color: colored } = ATTRIBUTES[style];
  return color ? colored : mono;
}

function goTo(lineIndex: number): string {
  return `\x1b[${lineIndex + 1};1H`;
}

function sameLine(one: ScreenLine | undefined, other: ScreenLine): boolean {
  return one?.text === other.text && one.style === other.style;
}

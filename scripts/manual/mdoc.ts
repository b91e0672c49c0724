/** Manual pages as mdoc(7): the macros that the pages need, and what keeps text from being one. */

/** Of the pages, in their footers: the day they changed last in substance. */
const DATE = "November 21, 2026";

const COLUMNS = 72;

export type Item = { readonly head: string; readonly body: readonly string[] };

export type Page = {
  readonly name: string;
  readonly section: number;
  /** What it is or does, without a full stop. */
  readonly about: string;
  readonly body: readonly string[];
};

export function renderPage({ name, section, about, body }: Page): string {
  const lines = [
    '.\\" Made by scripts/build from what --help says: do not edit.',
    `.Dd ${DATE}`,
    `.Dt ${name.toUpperCase()} ${section}`,
    ".Os",
    ".Sh NAME",
    `.Nm ${name}`,
    `.Nd ${escapeText(about)}`,
    ...body,
  ];
  return `${lines.join("\n")}\n`;
}

/** Words that stand after a macro: no macro of their own, spaces kept. */
export function word(text: string): string {
  const escaped = escapeText(text).replaceAll('"', "\\(dq");
  const guarded = escaped.replace(/^(?=[A-Z][a-z][a-z]?$|[.,:;()[\]?!|]$)/, "\\&");
  return /\s/.test(guarded) || guarded === "" ? `"${guarded}"` : guarded;
}

/** A fragment of `--help` as a sentence, a line a sentence. */
export function sentence(text: string): readonly string[] {
  const full = /[.!?:]$/.test(text) ? text : `${text}.`;
  // What begins with a value of the option itself stays as it is written.
  const begin = /^[a-z-]+( \(|,|:)|^\S*[A-Z]/.test(full)
    ? full
    : `${full[0]?.toUpperCase()}${full.slice(1)}`;
  return prose(begin);
}

/** Running text: a line a sentence or less, `code` in quotes. */
export function prose(text: string): readonly string[] {
  return text
    .replaceAll(/\s+/g, " ")
    .trim()
    .split(/(?<=[.!?]\)?) (?=[A-Z`])/)
    .flatMap(wrap)
    .map((line) => escapeLine(escapeText(line).replaceAll("`", "\\(aq")));
}

/** No source line is longer than a terminal's. */
function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  for (const part of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + part.length < COLUMNS) {
      lines[lines.length - 1] = `${line} ${part}`;
    } else {
      lines.push(part);
    }
  }
  return lines;
}

export function paragraphs(...texts: readonly string[]): readonly string[] {
  return texts.flatMap((text, index) => [...(index === 0 ? [] : [".Pp"]), ...prose(text)]);
}

/** Lines as they stand. */
export function literal(lines: readonly string[]): readonly string[] {
  return [
    ".Bd -literal -offset indent",
    ...lines.map((line) => escapeLine(escapeText(line).replaceAll("-", "\\-"))),
    ".Ed",
  ];
}

export function list(items: readonly Item[]): readonly string[] {
  if (items.length === 0) {
    return [];
  }
  const entries = items.flatMap(({ head, body }) => [`.It ${head}`, ...body]);
  return [".Bl -tag -width Ds", ...entries, ".El"];
}

/** Commands with what they do, the second column aligned. */
export function examples(lines: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...lines.map(([command]) => command.length));
  return literal(
    lines.map(([command, meaning]) =>
      meaning === "" ? command : `${command.padEnd(width)}  # ${meaning}`,
    ),
  );
}

/** `vnetd(8)`, …: by section, then by name. */
export function seeAlso(...pages: readonly string[]): readonly string[] {
  const sorted = pages
    .map((page) => /^(.*)\((\d)\)$/.exec(page) ?? [])
    .toSorted(([, a = "", x = ""], [, b = "", y = ""]) => `${x}${a}`.localeCompare(`${y}${b}`));
  const references = sorted.map(([, name, section], index) => {
    return `.Xr ${name} ${section}${index < sorted.length - 1 ? " ," : ""}`;
  });
  return [".Sh SEE ALSO", ...references];
}

function escapeText(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll(
      /[^\x20-\x7e]/g,
      (char) => `\\[u${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}

/** A line that begins like a request is text all the same. */
function escapeLine(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

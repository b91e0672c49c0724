/**
 * What the documents tell a reader to type, as data.
 *
 * A fenced block `sh` has commands, one a line, typed on host1; the comment at a line's end may say
 * otherwise: `# on each host`, `# on host2`. A block `console` has commands behind a prompt
 * (`host2# vn peers`) and what they print. What is printed is a form, not a text: a number stands
 * for any, `…` for anything within a line or, alone on a line, for any lines; `<name>` for a word.
 * What cannot be run here says so in a comment before its fence: `<!-- not run: why -->`.
 */
export type Command = {
  readonly line: number;
  /** The prompts it is typed at; `each host` has several. */
  readonly places: readonly string[];
  readonly text: string;
  /** Null: nothing is claimed. */
  readonly output: readonly string[] | null;
};

export type Block = {
  readonly line: number;
  /** Why its commands are not run; null when they are. */
  readonly notRun: string | null;
  readonly commands: readonly Command[];
};

export const HOSTS: readonly string[] = ["host1", "host2"];

const FENCE =
  /^(?:<!-- not run: (?<reason>[^\n]*?) -->\n\n?)?```(?<kind>sh|console)\n(?<body>.*?)^```$/gms;
const PROMPT = /^((?:host|vm)\d)# (.*)$/;
const PLACE = /\s# (?:(?:\d+\. )?on (?<each>each host)|on (?<host>host\d))\b.*$/;

/** The blocks of commands of a document, in their order. */
export function findBlocks(document: string): readonly Block[] {
  return Array.from(document.matchAll(FENCE), (match) => {
    const { reason, kind, body = "" } = match.groups ?? {};
    const begin = match.index + match[0].indexOf("```");
    const line = document.slice(0, begin).split("\n").length;
    const lines = joinContinued(body.replace(/\n$/, "").split("\n"), line + 1);
    return {
      line,
      notRun: reason ?? null,
      commands: kind === "sh" ? commandsOf(lines) : dialogueOf(lines),
    };
  });
}

/** Whether a line of output has the form of a documented one. */
export function hasForm(line: string, documented: string): boolean {
  const pattern = documented
    .trim()
    .split(/(\s+|…|<[a-z][a-z -]*>|\d+)/)
    .map((part) => {
      if (part === "…") {
        return ".*";
      }
      if (/^<.*>$/.test(part)) {
        return "\\S+";
      }
      if (/^\d+$/.test(part)) {
        return "\\d+";
      }
      return /^\s+$/.test(part) ? "\\s+" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    });
  return new RegExp(`^${pattern.join("")}$`).test(line.trim());
}

/** Whether an output has the form of a documented one; `…` alone stands for any lines, or none. */
export function outputHasForm(lines: readonly string[], documented: readonly string[]): boolean {
  const [first, ...rest] = documented;
  if (first === undefined) {
    return lines.length === 0;
  }
  if (first.trim() === "…") {
    return Array.from({ length: lines.length + 1 }).some((_, skipped) =>
      outputHasForm(lines.slice(skipped), rest),
    );
  }
  const [line, ...others] = lines;
  return line !== undefined && hasForm(line, first) && outputHasForm(others, rest);
}

type Line = { readonly line: number; readonly text: string };

/** A backslash at its end joins a line with the next one. */
function joinContinued(lines: readonly string[], first: number): readonly Line[] {
  const joined: { line: number; text: string }[] = [];
  let continues = false;
  for (const [index, text] of lines.entries()) {
    const last = joined.at(-1);
    const piece = text.replace(/\\$/, "");
    if (continues && last !== undefined) {
      last.text += piece;
    } else {
      joined.push({ line: first + index, text: piece });
    }
    continues = text.endsWith("\\");
  }
  return joined;
}

function commandsOf(lines: readonly Line[]): readonly Command[] {
  return lines
    .filter(({ text }) => text.trim() !== "" && !text.startsWith("#"))
    .map(({ line, text }) => {
      const { each, host } = PLACE.exec(text)?.groups ?? {};
      const places = each !== undefined ? HOSTS : [host ?? "host1"];
      return { line, places, text: text.replace(/\s+# .*$/, ""), output: null };
    });
}

function dialogueOf(lines: readonly Line[]): readonly Command[] {
  const commands: { line: number; places: string[]; text: string; output: string[] }[] = [];
  for (const { line, text } of lines) {
    const [, place, command] = PROMPT.exec(text) ?? [];
    if (place !== undefined && command !== undefined) {
      commands.push({ line, places: [place], text: command, output: [] });
    } else {
      commands.at(-1)?.output.push(text);
    }
  }
  return commands;
}

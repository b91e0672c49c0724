/** Commander's commands and options as parts of a manual page. */
import type { Argument, Command, Option } from "commander";
import { type Item, list, literal, prose, sentence, word } from "./mdoc.ts";

export function visibleOptions(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

/** `-o, --output <format>` as `.Fl o , Fl -output Ar format`. */
export function optionItem(option: Option): Item {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  const value = valueName(option);
  const head = flags.map((flag) => `Fl ${flagWord(flag)}`).join(" , ");
  return {
    head: value === null ? head : `${head} Ar ${word(value)}`,
    body: [...sentence(option.description), ...choicesOf(option)],
  };
}

/** What stands on the command line for it: `.Op Fl o Ar format`. */
export function optionUse(option: Option): string {
  const flag = `Fl ${flagWord(option.short ?? option.long ?? "")}`;
  const value = valueName(option);
  const use = value === null ? flag : `${flag} Ar ${word(value)}`;
  return option.mandatory ? use : `Op ${use}`;
}

export function argumentUse(argument: Argument): string {
  const use = `Ar ${word(argument.name())}${argument.variadic ? " ..." : ""}`;
  return argument.required ? use : `Op ${use}`;
}

export function argumentItem(argument: Argument): Item {
  const use = `Ar ${word(argument.name())}${argument.variadic ? " ..." : ""}`;
  return { head: use, body: [...sentence(argument.description), ...choicesOf(argument)] };
}

/** Text of the help: what is indented there is a table or a form, the rest is prose. */
export function noteLines(note: string): readonly string[] {
  const blocks: { readonly indented: boolean; readonly lines: string[] }[] = [];
  for (const line of note.split("\n").filter((text) => text.trim() !== "")) {
    const indented = line.startsWith("  ");
    const last = blocks.at(-1);
    if (last?.indented === indented) {
      last.lines.push(line);
    } else {
      blocks.push({ indented, lines: [line] });
    }
  }
  return blocks.flatMap(({ indented, lines }) =>
    indented ? literal(lines.map((line) => line.slice(2))) : [".Pp", ...prose(lines.join(" "))],
  );
}

/** `0 done; 1 failed …` as a list; null when the note is not of that kind. */
export function exitStatuses(note: string): readonly string[] | null {
  const text = /^\s*Exit status: (.*)\.\s*$/s.exec(note)?.[1]?.replaceAll(/\s+/g, " ");
  if (text === undefined) {
    return null;
  }
  const items = Array.from(text.matchAll(/(\d+) (.*?)(?:; (?=\d)|$)/g), ([, status, meaning]) => ({
    head: String(status),
    body: sentence(meaning ?? ""),
  }));
  return list(items);
}

function flagWord(flag: string): string {
  return flag.replace(/^-/, "").replaceAll("-", "\\-").replace(/^\\-/, "-");
}

function valueName(option: Option): string | null {
  return /[<[](.*)[>\]]/.exec(option.flags)?.[1] ?? null;
}

function choicesOf({ argChoices }: Argument | Option): readonly string[] {
  return argChoices === undefined ? [] : prose(`One of: ${argChoices.join(", ")}.`);
}

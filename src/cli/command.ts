/**
 * A commander Command whose complaints are UsageErrors, so that one place says
 * them and chooses the exit status; and what the commands of `vn` have in common.
 */
import { type AddHelpTextContext, Command, type HelpContext, Option } from "commander";
import { UsageError } from "./context.ts";

/** A command line, and what it does. */
export type Example = readonly [command: string, meaning: string];

export class VnCommand extends Command {
  /** What an action that has done its work leaves behind, when it is not 0. */
  exitStatus = 0;
  /** What the help says after its lists, and its examples; the manual says the same. */
  readonly notes: string[] = [];
  readonly exampleLines: Example[] = [];

  override createCommand(name?: string): VnCommand {
    return new VnCommand(name);
  }

  /** @throws UsageError in place of printing and exiting */
  override error(message: string): never {
    const line = message
      .replace(/^error: /, "")
      .replaceAll(/\s+/g, " ")
      .trim();
    throw new UsageError(`${line} (see ${fullName(this)} --help)`);
  }

  /** A missing command is a UsageError too, and not the whole help on standard error. */
  override help(context?: HelpContext | ((text: string) => string)): never {
    if (typeof context === "object" && context.error === true) {
      this.error("no command is given");
    }
    super.help(typeof context === "object" ? context : undefined);
  }

  override addHelpText(
    position: "before" | "beforeAll" | "after" | "afterAll",
    text: string | ((context: AddHelpTextContext) => string),
  ): this {
    if (typeof text === "string") {
      this.notes.push(text);
      return super.addHelpText(position, text);
    }
    return super.addHelpText(position, text);
  }

  /** Appends examples to the help, one command and what it does a line. */
  examples(...lines: readonly Example[]): this {
    this.exampleLines.push(...lines);
    const width = Math.max(...lines.map(([command]) => command.length));
    const text = lines.map(([command, meaning]) =>
      `  ${command.padEnd(width)}  ${meaning}`.trimEnd(),
    );
    return super.addHelpText("after", `\nExamples:\n${text.join("\n")}`);
  }
}

/** `vn vnet-create`, as the user has to type it. */
export function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

/** Argument parser for `<vnet...>`: each is read by `parse`, all are kept in order. */
export function collect<T>(parse: (text: string) => T) {
  return (text: string, before: readonly T[] | undefined): readonly T[] => [
    ...(before ?? []),
    parse(text),
  ];
}

export type OutputFormat = "table" | "json" | "sxp";

export type OutputOptions = { readonly output: OutputFormat };

/** `--json` and `-o`: every listing and show has them. */
export function addOutputOptions(command: VnCommand): VnCommand {
  return command
    .addOption(
      new Option("-o, --output <format>", "print a table, JSON or S-expressions")
        .choices(["table", "json", "sxp"])
        .default("table"),
    )
    .addOption(new Option("--json", "the same as --output json").conflicts("output"))
    .hook("preAction", (_program, action) => {
      // Not `implies`: what is implied would count as given, and conflict with --json itself.
      if (action.getOptionValue("json") === true) {
        action.setOptionValue("output", "json");
      }
    });
}

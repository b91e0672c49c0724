/** The commands of `vn` as plain data, read off commander: what completion needs to know of them. */
import type { Argument, Command, Option } from "commander";

/** What can stand in a place of a command line. */
export type WordKind =
  | { readonly kind: "choices"; readonly words: readonly string[] }
  | { readonly kind: LiveKind };

/** Asked of the daemon, or of the host, at the time of completion. */
type LiveKind = "vnet" | "vif" | "peer" | "file" | "directory" | "device" | "any";

export type OptionNode = {
  /** `-o`, `--output`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What follows it; null for a switch. */
  readonly value: WordKind | null;
};

export type ArgumentNode = {
  readonly name: string;
  readonly repeated: boolean;
  readonly value: WordKind;
};

export type CommandNode = {
  /** The name, then its aliases. */
  readonly names: readonly string[];
  readonly description: string;
  readonly options: readonly OptionNode[];
  readonly arguments: readonly ArgumentNode[];
};

export type CommandTree = {
  /** What stands before or after any command. */
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
};

/** By the name of an argument or an option's value, which says what it is. */
const KINDS: Readonly<Record<string, LiveKind>> = {
  vnet: "vnet",
  file: "file",
  "file|vnetid": "file",
  dir: "directory",
  bridge: "device",
  vif: "device",
};

export function describeCommands(program: Command): CommandTree {
  const commands = program.commands.map(describeCommand);
  const help: CommandNode = {
    names: ["help"],
    description: "print the help of a command",
    options: [],
    arguments: [
      {
        name: "command",
        repeated: false,
        value: { kind: "choices", words: commands.flatMap(({ names }) => names) },
      },
    ],
  };
  return {
    options: visibleOptions(program).map(describeOption),
    commands: [...commands, help],
  };
}

function describeCommand(command: Command): CommandNode {
  return {
    names: [command.name(), ...command.aliases()],
    description: command.description(),
    options: visibleOptions(command).map(describeOption),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      repeated: argument.variadic,
      value: kindOf(command, argument),
    })),
  };
}

function visibleOptions(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function describeOption(option: Option): OptionNode {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  const takesValue = option.required || option.optional;
  return {
    flags,
    description: option.description,
    value: takesValue ? wordKind(valueName(option), option.argChoices) : null,
  };
}

function valueName(option: Option): string {
  return /<(.*)>/.exec(option.flags)?.[1] ?? "";
}

function kindOf(command: Command, argument: Argument): WordKind {
  // The same place has other words in other commands: what is there already can be deleted.
  if (command.name() === "peer-delete") {
    return { kind: "peer" };
  }
  if (command.name() === "vif-delete" && argument.name() === "vmac") {
    return { kind: "vif" };
  }
  return wordKind(argument.name(), argument.argChoices);
}

function wordKind(name: string, choices: readonly string[] | undefined): WordKind {
  if (choices !== undefined) {
    return { kind: "choices", words: choices };
  }
  return { kind: KINDS[name] ?? "any" };
}

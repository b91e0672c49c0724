/** The commands of `vn` as plain data, read off commander: what completion needs to know of them. */
import type { Argument, Command, Option } from "commander";

/** What can stand in a place of a command line. */
export type WordKind =
  | { readonly kind: "choices"; readonly words: readonly string[] }
  | { readonly kind: LiveKind };

/** Names that the daemon knows at the time of completion, as `GET /names` calls them. */
export const NAME_KINDS = ["vnet", "mac", "peer", "key", "vif", "group", "net"] as const;

/** Asked of the daemon, or of the host, at the time of completion. */
type LiveKind = (typeof NAME_KINDS)[number] | "file" | "directory" | "device" | "any";

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
  vif: "vif",
  group: "group",
  keyid: "key",
  name: "group",
};

/** The same place has other words in some commands, where what is named is there or is not. */
const KINDS_OF_PLACES: Readonly<Record<string, LiveKind>> = {
  "peer-delete addr": "peer",
  "vif-delete vmac": "mac",
  "vif-set vif": "device",
  "vif-rules vif": "device",
  "net-delete bridge": "net",
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
  const kind = KINDS_OF_PLACES[`${command.name()} ${argument.name()}`];
  if (kind !== undefined) {
    return { kind };
  }
  return wordKind(argument.name(), argument.argChoices);
}

function wordKind(name: string, choices: readonly string[] | undefined): WordKind {
  if (choices !== undefined) {
    return { kind: "choices", words: choices };
  }
  return { kind: KINDS[name] ?? "any" };
}

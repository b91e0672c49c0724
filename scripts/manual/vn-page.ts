/** vn(1), from the commands of `vn`. */
import type { Command } from "commander";
import { VnCommand } from "../../src/cli/command.ts";
import type { CliIo } from "../../src/cli/context.ts";
import { createProgram } from "../../src/cli/program.ts";
import {
  argumentItem,
  argumentUse,
  exitStatuses,
  noteLines,
  optionItem,
  optionUse,
  visibleOptions,
} from "./command-lines.ts";
import {
  examples,
  type Item,
  list,
  paragraphs,
  renderPage,
  seeAlso,
  sentence,
  word,
} from "./mdoc.ts";

/** An option that so many commands have is described once. */
const COMMON_COUNT = 4;

/** The commands of `vn`, for a page: none of them is run, so there is nothing that they may touch. */
export function describeVn(): VnCommand {
  const io = new Proxy({} as CliIo, {
    get: (_target, name) => {
      throw new Error(`A manual page is made without running a command (${String(name)})`);
    },
  });
  return createProgram(io);
}

export function vnPage(program: VnCommand): string {
  const commands = program.commands.filter((command) => command instanceof VnCommand);
  const common = commonOptions(commands);
  const statuses = program.notes.map(exitStatuses).find((lines) => lines !== null) ?? [];
  return renderPage({
    ...{ name: "vn", section: 1 },
    about: "manage the virtual networks and the VIF rules of this host",
    body: [
      ...[".Sh SYNOPSIS", ".Nm", ".Op Fl -run-dir Ar dir", ".Ar command", ".Op Ar ..."],
      ".Sh DESCRIPTION",
      ...paragraphs(
        "This is the command line of `vnetd`: every command asks the daemon of this host, or has it change something, over its socket. A change has been made, and is on disk, when the command returns; a command that is refused has changed nothing.",
        "VNET, where a command takes one, is a vnet's id or the name of its interface. An id is 128 bits: up to eight fields of one to four hex digits, with colons between them; fields that are left out are zeros on the left. VIF is a port of an Open vSwitch bridge, such as vif5.0, tap5.0 or vnet3.",
      ),
      ".Pp",
      "Options of all commands:",
      ...list(visibleOptions(program).map(optionItem)),
      ...(common.length === 0
        ? []
        : [".Pp", "Options that many commands have:", ...list(common.map(optionItem))]),
      ...groups(commands).flatMap(([heading, members]) => [
        `.Ss ${heading}`,
        ...list(members.map((command) => commandItem(command, common))),
      ]),
      ".Sh ENVIRONMENT",
      ...list([
        {
          head: "Ev VNETD_RUN_DIR",
          body: ["Where the socket of the daemon is, when no", ".Fl -run-dir", "says so."],
        },
      ]),
      ".Sh FILES",
      ...list([
        {
          head: "Pa /run/vnetd/vnetd.sock",
          body: sentence("the socket of the daemon, for root and the group vnetd"),
        },
      ]),
      ...[".Sh EXIT STATUS", ...statuses],
      ".Pp",
      "What went wrong is one line on standard error.",
      ...[".Sh EXAMPLES", ...examples(program.exampleLines)],
      ...seeAlso("curl(1)", "ovs-vsctl(8)", "vnet.sxp(5)", "vnetd.toml(5)", "vnetd(8)"),
    ],
  });
}

function groups(commands: readonly VnCommand[]): readonly (readonly [string, VnCommand[]])[] {
  const found = new Map<string, VnCommand[]>();
  for (const command of commands) {
    const heading = command.helpGroup().replace(/:$/, "") || "Commands";
    found.set(heading, [...(found.get(heading) ?? []), command]);
  }
  return [...found];
}

function commonOptions(commands: readonly Command[]): readonly Command["options"][number][] {
  const all = commands.flatMap(ownOptions);
  const keyOf = ({ flags, description }: (typeof all)[number]) => `${flags} ${description}`;
  const byKey = new Map(all.map((option) => [keyOf(option), option]));
  return [...byKey.values()].filter(
    (option) => all.filter((other) => keyOf(other) === keyOf(option)).length >= COMMON_COUNT,
  );
}

function commandItem(command: VnCommand, common: readonly { readonly flags: string }[]): Item {
  const names = [command.name(), ...command.aliases()];
  const options = ownOptions(command);
  const own = options.filter(({ flags }) => !common.some((option) => option.flags === flags));
  const places = command.registeredArguments;
  const uses = [...options.map(optionUse), ...places.map(argumentUse)];
  return {
    head: ["Xo", `Ic ${names.map(word).join(" | ")}`, ...uses, "Xc"]
      .join("\n.")
      .replace(/\.Xo/, "Xo"),
    body: [
      ...sentence(command.description()),
      ...list([...places.map(argumentItem), ...own.map(optionItem)]),
      ...command.notes.flatMap(noteLines),
      ...(command.exampleLines.length === 0 ? [] : examples(command.exampleLines)),
    ],
  };
}

function ownOptions(command: Command): readonly Command["options"][number][] {
  return visibleOptions(command).filter(({ long }) => long !== "--help");
}

/**
 * `vn`: commander declares the commands, each file of this folder adds its own.
 * This is the one place where a failure becomes a line and an exit status.
 */
import { join } from "node:path";
import { CommanderError } from "commander";
import type { ControlApi } from "../control/api.ts";
import { VERSION } from "../control/version.ts";
import { VnCommand } from "./command.ts";
import { addCompletionCommand } from "./completion.ts";
import type { CliContext, CliIo } from "./context.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addEvalCommand } from "./eval.ts";
import { describeFailure } from "./failure.ts";
import { addGroupCommands } from "./group.ts";
import { addKeyCommands } from "./keys.ts";
import { addNetCommands } from "./net.ts";
import { addPcapCommand } from "./pcap.ts";
import { addPeerCommands } from "./peer.ts";
import { addSaExportCommand } from "./sa-export.ts";
import { addStatsCommand } from "./stats.ts";
import { addStatusCommand } from "./status.ts";
import { addTopCommand } from "./top.ts";
import { addVarpCommands } from "./varp.ts";
import { addVifCommands } from "./vif.ts";
import { addVifRulesCommands } from "./vif-rules.ts";
import { addVnetCommands } from "./vnet.ts";
import { addWatchCommand } from "./watch.ts";

const DEFAULT_RUN_DIR = "/run/vnetd";
const SOCKET_NAME = "vnetd.sock";

const EXIT_HELP = `
Exit status: 0 done; 1 the operation failed; 2 wrong usage or bad input, nothing was changed;
3 no daemon reachable.`;

/**
 * Runs one command line, `argv` without node and script.
 * @returns the exit status; never throws for what a caller or a daemon can cause
 */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const program = createProgram(io);
  try {
    await program.parseAsync(argv, { from: "user" });
    return Math.max(program.exitStatus, ...program.commands.map(exitStatusOf));
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      return 0;
    }
    const { line, exitStatus } = describeFailure(error, commandNamed(program, argv));
    io.stderr(`${line}\n`);
    return exitStatus;
  }
}

/** The commands and options of `vn`, none of them run. */
export function createProgram(io: CliIo): VnCommand {
  const program = new VnCommand("vn");
  program
    .description("Manages the virtual networks of this host: asks vnetd, changes what it carries.")
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .option("--run-dir <dir>", `where vnetd.sock is (VNETD_RUN_DIR, else ${DEFAULT_RUN_DIR})`)
    .addHelpText("after", EXIT_HELP)
    .examples(
      ["vn vnet-create -b vnet97 97", "a vnet, its interface on a bridge for the VMs"],
      ["vn vnets -l", "what this host has"],
      ["vn vif-set vif5.0 --bridge xenbr0 --mac 00:16:3e:01:02:03 --ip4 10.0.0.5", "lock a VIF"],
      ["vn vnet-create --help", "more on one command"],
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout(text), writeErr: () => {} });
  const context: CliContext = { io, control: () => connect(program, io) };
  program.commandsGroup("Virtual networks:");
  addVnetCommands(program, context);
  addKeyCommands(program, context);
  addSaExportCommand(program, context);
  addPcapCommand(program, context);
  addVifCommands(program, context);
  addPeerCommands(program, context);
  addVarpCommands(program, context);
  program.commandsGroup("VIF rules:");
  addVifRulesCommands(program, context);
  addGroupCommands(program, context);
  addNetCommands(program, context);
  program.commandsGroup("This host:");
  addStatusCommand(program, context);
  addStatsCommand(program, context);
  addTopCommand(program, context);
  addWatchCommand(program, context);
  addDoctorCommand(program, context);
  addEvalCommand(program, context);
  addCompletionCommand(program, context);
  return program;
}

function connect(program: VnCommand, io: CliIo): ControlApi {
  const { runDir } = program.opts<{ readonly runDir?: string }>();
  // An empty variable is an unset one.
  const directory = runDir ?? (io.runDir || DEFAULT_RUN_DIR);
  return io.connect(join(directory, SOCKET_NAME));
}

function exitStatusOf(command: unknown): number {
  return command instanceof VnCommand ? command.exitStatus : 0;
}

/** The command that the caller named, for the error line; null when none was or it is unknown. */
function commandNamed(program: VnCommand, argv: readonly string[]): string | null {
  const names = program.commands.flatMap((command) => [command.name(), ...command.aliases()]);
  return argv.find((word) => names.includes(word)) ?? null;
}

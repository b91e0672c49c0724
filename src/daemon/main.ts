/**
 * `vnetd`. Exit status: 0 stopped as asked, 1 failed, 2 wrong usage or configuration (nothing was
 * started). What keeps it from starting is one line on standard error.
 */
import { realpathSync, writeFileSync } from "node:fs";
import { VERSION } from "../control/version.ts";
import { ParseError } from "../net/parse-error.ts";
import { readConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { createLog, type Log } from "./log.ts";
import { parseCommandLine } from "./options.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

async function main(): Promise<void> {
  const commandLine = parseCommandLine(process.argv.slice(2), VERSION);
  if (commandLine.kind === "print") {
    process.stdout.write(commandLine.text);
    return;
  }
  keepMemoryOutOfCoreDumps();
  const config = readConfig(commandLine);
  const log = createLog(config);
  const programFile = realpathSync(process.argv[1] ?? process.execPath);
  let daemon: Daemon | null = null;
  // From the start on: without a listener of ours this signal has Node open a debugger's port.
  process.on("SIGUSR1", () => daemon?.renew());
  // The same for this one, which ends a process that does not listen.
  process.on("SIGHUP", () => {
    daemon?.reload().catch((error: unknown) => {
      log.error({ err: error }, "cannot read the policies again");
    });
  });
  daemon = await startDaemon({ config, log, programFile });
  stopOnSignals(daemon, log);
}

/** Keys are in it. A core dump then has registers and no memory (core(5)); vnet-dp allows none. */
function keepMemoryOutOfCoreDumps(): void {
  writeFileSync("/proc/self/coredump_filter", "0");
}

function stopOnSignals(daemon: Daemon, log: Log): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      return;
    }
    stopping = true;
    log.info({ signal }, "stopping");
    daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function fail(error: unknown): never {
  const isUsage = error instanceof ConfigError || error instanceof ParseError;
  const isOurs = error instanceof Error && "code" in error;
  const message = error instanceof Error ? error.message : String(error);
  console.error(`vnetd: ${message.replace(/\s*\n\s*/g, " ")}`);
  if (!isOurs && error instanceof Error) {
    // A defect: where it happened helps whoever reads it.
    console.error(error.stack);
  }
  process.exit(isUsage ? EXIT_USAGE : EXIT_FAILED);
}

main().catch(fail);

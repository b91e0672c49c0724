/** The program `vn`. */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  readSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createControlClient } from "../control/client.ts";
import { SEXPR_CHARACTERS_MAX } from "../vnet/sexpr.ts";
import type { CliOutput } from "./context.ts";
import { run } from "./program.ts";
import { openTerminal } from "./terminal.ts";

const STDIN_FD = 0;
/** A file above it is refused by the parser; four octets a character at most are read. */
const FILE_BYTES_MAX = 4 * SEXPR_CHARACTERS_MAX + 1;
const READ_BYTES = 65_536;
const OWNER_ONLY = 0o600;
const ANSWER_BYTES_MAX = 80;

const EXIT_FAILED = 1;

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that has gone (`vn vnets | head -1`) is no failure: there is nobody to print to.
  if (error.code === "EPIPE") {
    process.exit();
  }
  process.stderr.write(`vn: cannot write the output: ${error.message}\n`);
  process.exit(EXIT_FAILED);
});

const { VNETD_RUN_DIR: runDir } = process.env;
void run(process.argv.slice(2), {
  runDir,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  print,
  endOnInterrupt,
  readFile,
  openOutput,
  removeFile: unlinkSync,
  ask,
  createSecretFile,
  openTerminal: () => openTerminal(process.env),
  connect: createControlClient,
}).then((exitStatus) => {
  process.exitCode = exitStatus;
});

function openOutput(path: string | null): CliOutput | null {
  if (path === null) {
    return process.stdout.isTTY
      ? null
      : {
          write: (octets) =>
            new Promise((resolve) => {
              // A reader that has gone ends the program (above).
              process.stdout.write(octets, () => resolve());
            }),
          close() {},
        };
  }
  // What VMs say is not for everybody.
  const fd = openSync(path, "w", OWNER_ONLY);
  return {
    write: async (octets) => {
      writeFileSync(fd, octets);
    },
    close: () => closeSync(fd),
  };
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(text, () => resolve());
  });
}

/** What was printed is written first; a second signal ends a write that does not. */
function endOnInterrupt(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => process.stdout.write("", () => process.exit(0)));
  }
}

function ask(question: string): string | null {
  if (!process.stdin.isTTY) {
    return null;
  }
  process.stderr.write(question);
  const line = new Uint8Array(ANSWER_BYTES_MAX);
  return new TextDecoder().decode(line.subarray(0, readSync(STDIN_FD, line)));
}

function createSecretFile(path: string, content: Uint8Array): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(path, flags, OWNER_ONLY);
  try {
    // The umask may have taken the owner's right to read it.
    fchmodSync(fd, OWNER_ONLY);
    writeFileSync(fd, content);
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Bounded, so that `vn vnet-create /dev/zero` ends; `-` is standard input. */
function readFile(path: string): Uint8Array {
  const fd = path === "-" ? STDIN_FD : openSync(path, "r");
  try {
    const chunks: Uint8Array[] = [];
    let totalBytes = 0;
    while (totalBytes < FILE_BYTES_MAX) {
      const chunk = new Uint8Array(READ_BYTES);
      const bytes = readSync(fd, chunk);
      if (bytes === 0) {
        break;
      }
      chunks.push(chunk.subarray(0, bytes));
      totalBytes += bytes;
    }
    return Buffer.concat(chunks);
  } finally {
    if (fd !== STDIN_FD) {
      closeSync(fd);
    }
  }
}

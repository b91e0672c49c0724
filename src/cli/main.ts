/** The program `vn`. */
import { closeSync, openSync, readSync } from "node:fs";
import { createControlClient } from "../control/client.ts";
import { SEXPR_CHARACTERS_MAX } from "../vnet/sexpr.ts";
import { run } from "./program.ts";

const STDIN_FD = 0;
/** A file above it is refused by the parser; four octets a character at most are read. */
const FILE_BYTES_MAX = 4 * SEXPR_CHARACTERS_MAX + 1;
const READ_BYTES = 65_536;

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
  readFile,
  connect: createControlClient,
}).then((exitStatus) => {
  process.exitCode = exitStatus;
});

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

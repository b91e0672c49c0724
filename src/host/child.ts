/**
 * Programs of the host, run to their end: no shell, a deadline, a bound on what they may print.
 * Everything else in this folder that starts a program takes a {@link RunProgram}, so tests put
 * recorded output in its place.
 */
import { execFile } from "node:child_process";

export type ProgramRequest = {
  readonly program: string;
  readonly args: readonly string[];
  /** Standard input; empty when left out. */
  readonly input?: string;
  /** After this long the program is killed. */
  readonly deadlineMs?: number;
};

export type ProgramResult = {
  /** Zero, or what the program exited with when the caller asked to see it. */
  readonly exitStatus: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** @throws ProgramError when the program cannot be run to its end */
export type RunProgram = (request: ProgramRequest) => Promise<ProgramResult>;

/** The program is missing, was killed, ran too long or printed too much. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
  readonly code = "VNETD_HOST_FAILED";
  /** ENOENT when the program is not on this host. */
  readonly reason: string;

  constructor(program: string, reason: string, why: string, options?: ErrorOptions) {
    super(`Cannot run ${program}: ${why}`, options);
    this.reason = reason;
  }
}

// The kernel takes one lock for all links: who deletes thousands of them holds everybody up.
const DEADLINE_MS = 30_000;
// A listing of 10,000 links with details is about 14 MB.
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Runs a program; a non-zero exit is an answer (`exitStatus`), not an error. */
export const runProgram: RunProgram = ({ program, args, input, deadlineMs = DEADLINE_MS }) =>
  new Promise((resolve, reject) => {
    const options = {
      timeout: deadlineMs,
      maxBuffer: OUTPUT_BYTES_MAX,
      killSignal: "SIGKILL",
      // The messages that callers read are matched in English.
      env: { ...process.env, LC_ALL: "C" },
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve({ exitStatus: 0, stdout, stderr });
      } else if (typeof error.code === "number") {
        resolve({ exitStatus: error.code, stdout, stderr });
      } else {
        reject(programError(program, error, deadlineMs));
      }
    });
    // A program that exits without reading its input breaks the pipe; its exit status tells.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
  });

function programError(
  program: string,
  error: Error & { code?: unknown; killed?: boolean; signal?: unknown },
  deadlineMs: number,
): ProgramError {
  if (error.code === "ENOENT") {
    return new ProgramError(program, "ENOENT", "it is not installed", { cause: error });
  }
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") {
    return new ProgramError(program, "EMSGSIZE", `it printed more than ${OUTPUT_BYTES_MAX} bytes`);
  }
  if (error.killed === true) {
    return new ProgramError(program, "ETIMEDOUT", `it did not end within ${deadlineMs} ms`);
  }
  const why = error.signal ? `it was ended by ${String(error.signal)}` : error.message;
  return new ProgramError(program, String(error.code ?? error.signal), why, { cause: error });
}

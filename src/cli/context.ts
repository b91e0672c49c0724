/** What a command of `vn` may touch: the daemon, three streams and the files it is told to read. */
import type { ControlApi } from "../control/api.ts";
import type { Terminal } from "./terminal.ts";

export type CliIo = {
  /** VNETD_RUN_DIR of the environment. */
  readonly runDir: string | undefined;
  stdout(text: string): void;
  stderr(text: string): void;
  /** As `stdout`; resolves when more may be written. */
  print(text: string): Promise<void>;
  /** An interruption is the end that was asked for: from now on it is exit status 0. */
  endOnInterrupt(): void;
  /** @throws the system's error */
  readFile(path: string): Uint8Array;
  /**
   * Where octets go: a new or emptied file, or (null) standard output; null when that is a terminal.
   * @throws the system's error
   */
  openOutput(path: string | null): CliOutput | null;
  /** @throws the system's error */
  removeFile(path: string): void;
  /** A line that the user types after `question`; null when there is no terminal to ask at. */
  ask(question: string): string | null;
  /**
   * A new file with this content, whole and on the disk, that only its owner can read.
   * @throws the system's error, EEXIST when there is one of that name
   */
  createSecretFile(path: string, content: Uint8Array): void;
  /** The whole screen; null when it is no terminal, or one that cannot be drawn on. */
  openTerminal(): Terminal | null;
  connect(socketPath: string): ControlApi;
};

export type CliOutput = {
  /** Resolves when more may be written. */
  write(octets: Uint8Array): Promise<void>;
  close(): void;
};

export type CliContext = {
  readonly io: CliIo;
  /** The daemon of `--run-dir`; nothing is sent before a method is called. */
  control(): ControlApi;
};

/** The caller's mistake that no parser of net/ has found; exit status 2, nothing was changed. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "VNETD_USAGE";
}

/** What a command of `vn` may touch: the daemon, three streams and the files it is told to read. */
import type { ControlApi } from "../control/api.ts";

export type CliIo = {
  /** VNETD_RUN_DIR of the environment. */
  readonly runDir: string | undefined;
  stdout(text: string): void;
  stderr(text: string): void;
  /** @throws the system's error */
  readFile(path: string): Uint8Array;
  connect(socketPath: string): ControlApi;
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

/**
 * The control API's server: HTTP on a Unix socket, JSON in and out. It parses
 * and refuses; what passes is plain data for the ControlApi (see docs/CONTROL.md).
 */
import type { ControlApi } from "./api.ts";

/** What the server needs of a logger; pino's is one. */
export type ControlLog = {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type ServeControlOptions = {
  readonly socketPath: string;
  readonly api: ControlApi;
  readonly log: ControlLog;
  /** The group that may connect, besides root; without that group on the host, root alone. */
  readonly group?: string;
};

export type ControlServer = {
  /** The request handler, for a second listener (`--metrics`). */
  /** Stops listening, lets running requests end (2 s at most), removes the socket. */
  close(): Promise<void>;
};

/**
 * Starts serving. A socket that nobody listens on any more is replaced.
 * @throws Error EADDRINUSE when another daemon serves on `socketPath`.
 */
export declare function serveControl(options: ServeControlOptions): Promise<ControlServer>;

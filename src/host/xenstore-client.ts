/** A lasting connection to xenstored, made again when it ends, with its watches. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type KeptConnection, keepConnected } from "./keep-connected.ts";
import {
  type Xenstore,
  XenstoreError,
  type XenstoreOptions,
  type XenstorePermissions,
  type XenstoreReader,
  type XenstoreWriter,
} from "./xenstore.ts";
import { XenstoreConnection } from "./xenstore-connection.ts";
import {
  transactXenstore,
  type XenstoreOperations,
  xenstoreOperations,
} from "./xenstore-operations.ts";
import { terminated, XENSTORE_TYPES } from "./xenstore-wire.ts";

const DEADLINE_MS = 5_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;
const RUN_DIRECTORIES = ["/run/xenstored", "/var/run/xenstored"];

/** Connects in the background; `onChange(null)` tells when it has. */
export function openXenstore(options: XenstoreOptions): Xenstore {
  return new XenstoreClient(options);
}

/** Where xenstored listens, as its own library finds it: by the environment, or the usual places. */
export function xenstoreSocketPath(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const { XENSTORED_PATH: path, XENSTORED_RUNDIR: directory } = environment as {
    readonly XENSTORED_PATH?: string;
    readonly XENSTORED_RUNDIR?: string;
  };
  if (path !== undefined && path !== "") {
    return path;
  }
  const directories = directory === undefined || directory === "" ? RUN_DIRECTORIES : [directory];
  const paths = directories.map((one) => join(one, "socket"));
  return paths.find((one) => existsSync(one)) ?? paths[0] ?? "";
}

class XenstoreClient implements Xenstore {
  readonly #options: XenstoreOptions;
  readonly #kept: KeptConnection;
  readonly #watches: Set<string>;
  #connection: XenstoreConnection | null = null;

  constructor(options: XenstoreOptions) {
    this.#options = options;
    this.#watches = new Set(options.watches);
    this.#kept = keepConnected({
      delayMsMin: RECONNECT_MS_MIN,
      delayMsMax: RECONNECT_MS_MAX,
      connect: (onEnd) => this.#connect(onEnd),
      onUp: (connection) => {
        this.#connection = connection;
        options.onChange(null);
      },
      onDown: (error) => {
        this.#connection = null;
        options.onFailure(asXenstoreError(error));
      },
    });
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  async read(path: string): Promise<string | null> {
    return await this.#operations().read(path);
  }

  async list(path: string): Promise<readonly string[] | null> {
    return await this.#operations().list(path);
  }

  async permissions(path: string): Promise<XenstorePermissions | null> {
    return await this.#operations().permissions(path);
  }

  async write(path: string, value: string): Promise<void> {
    await this.#operations().write(path, value);
  }

  async remove(path: string): Promise<void> {
    await this.#operations().remove(path);
  }

  async watch(path: string): Promise<void> {
    if (this.#watches.has(path)) {
      return;
    }
    this.#watches.add(path);
    if (this.#connection !== null) {
      try {
        await askForWatch(this.#connection, "watch", path);
      } catch (error) {
        if (error instanceof XenstoreError && error.reason === "refused") {
          this.#watches.delete(path);
        }
        throw error;
      }
    }
  }

  async unwatch(path: string): Promise<void> {
    if (this.#watches.delete(path) && this.#connection !== null) {
      await askForWatch(this.#connection, "unwatch", path);
    }
  }

  async transact<T>(
    work: (transaction: XenstoreReader & XenstoreWriter) => Promise<T>,
  ): Promise<T> {
    return await transactXenstore(this.#connected(), work);
  }

  close(): void {
    this.#kept.close();
    this.#connection = null;
  }

  #connected(): XenstoreConnection {
    if (this.#connection === null) {
      throw new XenstoreError("ended", "There is no connection to xenstored");
    }
    return this.#connection;
  }

  #operations(): XenstoreOperations {
    return xenstoreOperations(this.#connected());
  }

  async #connect(onEnd: (error: Error) => void): Promise<XenstoreConnection> {
    const { socketPath, deadlineMs = DEADLINE_MS, onChange } = this.#options;
    const connection = await XenstoreConnection.open({
      socketPath: socketPath ?? xenstoreSocketPath(process.env),
      deadlineMs,
      onWatchEvent: (path) => {
        // What is told of while the watches are set is in what is read after `onChange(null)`.
        if (this.#connection !== null) {
          onChange(path);
        }
      },
      onEnd,
    });
    try {
      await this.#setWatches(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /** All of them, and those that are asked for meanwhile. */
  async #setWatches(connection: XenstoreConnection): Promise<void> {
    const set = new Set<string>();
    for (;;) {
      const missing = [...this.#watches].filter((path) => !set.has(path));
      if (missing.length === 0) {
        return;
      }
      await Promise.all(
        missing.map((path) => {
          set.add(path);
          return askForWatch(connection, "watch", path);
        }),
      );
    }
  }
}

/** Its path serves as the token too: there is one watch for each. */
async function askForWatch(
  connection: XenstoreConnection,
  what: "watch" | "unwatch",
  path: string,
): Promise<void> {
  const doing = `${what} ${path}`;
  if (path.includes("\0")) {
    throw new XenstoreError("refused", `xenstored cannot ${doing}: EINVAL`, { errno: "EINVAL" });
  }
  const body = terminated(path, path);
  await connection.request({ type: XENSTORE_TYPES[what], transactionId: 0, body, doing });
}

function asXenstoreError(error: Error): XenstoreError {
  return error instanceof XenstoreError
    ? error
    : new XenstoreError("ended", error.message, { cause: error });
}

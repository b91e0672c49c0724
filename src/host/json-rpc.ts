/**
 * JSON-RPC 1.0 over a Unix socket, as Open vSwitch's programs speak it: requests either way,
 * notifications, and `echo` to see whether the other end lives (RFC 7047 §4.1.11).
 */
import { connect, type Socket } from "node:net";
import { JsonStreamSplitter } from "./json-stream.ts";

/**
 * - `no-socket`: there is none, or nobody listens.
 * - `no-permission`: it is there, but not for us.
 * - `refused`: the answer is an error.
 * - `ended`: the connection ended before the answer.
 * - `deadline`: no answer in time; the connection is ended too.
 */
export type JsonRpcFailure = "no-socket" | "no-permission" | "refused" | "ended" | "deadline";

export class JsonRpcError extends Error {
  override readonly name = "JsonRpcError";
  readonly code = "VNETD_OVS_FAILED";
  readonly reason: JsonRpcFailure;

  constructor(reason: JsonRpcFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** What came cannot be understood, which ends the connection. */
export class JsonFormatError extends Error {
  override readonly name = "JsonFormatError";
  readonly code = "VNETD_OVS_FAILED";
}

export type JsonRpcOptions = {
  readonly socketPath: string;
  /** Who answers there, for messages: `ovsdb-server`. */
  readonly server: string;
  readonly deadlineMs: number;
  /** How often a silent server is asked whether it lives; never when left out. */
  readonly probeIntervalMs?: number;
  /** Throws a {@link JsonFormatError} when it cannot be understood. */
  readonly onNotification: (method: string, params: readonly unknown[]) => void;
  /** The connection ended; nothing comes after it. Not called after `close()`. */
  readonly onEnd: (error: JsonRpcError) => void;
};

type Pending = {
  readonly method: string;
  readonly deadline: NodeJS.Timeout;
  resolve(result: unknown): void;
  reject(error: JsonRpcError): void;
};

// The first answer to a monitor of 10,000 ports is about 8 MB.
const MESSAGE_BYTES_MAX = 64 << 20;
const ERROR_TEXT_MAX = 500;

export class JsonRpcConnection {
  readonly #options: JsonRpcOptions;
  readonly #socket: Socket;
  readonly #splitter = new JsonStreamSplitter(MESSAGE_BYTES_MAX);
  readonly #pending = new Map<number, Pending>();
  #probe: NodeJS.Timeout | null = null;
  #nextId = 1;
  #ended: JsonRpcError | null = null;

  private constructor(options: JsonRpcOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
  }

  /** @throws JsonRpcError */
  static async connect(options: JsonRpcOptions): Promise<JsonRpcConnection> {
    const { socketPath, server } = options;
    const socket = connect(socketPath);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error) => reject(socketFailure(error, socketPath, server)));
    });
    socket.removeAllListeners("error");
    const connection = new JsonRpcConnection(options, socket);
    connection.#listen();
    return connection;
  }

  /**
   * @returns its result
   * @throws JsonRpcError
   */
  request(method: string, params: readonly unknown[]): Promise<unknown> {
    const { server, deadlineMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      // A server that does not answer may hang for ever: all that waits for it is let go.
      const deadline = setTimeout(() => {
        const why = `${server} did not answer ${method} in ${deadlineMs} ms`;
        this.#end(new JsonRpcError("deadline", why));
      }, deadlineMs);
      this.#pending.set(id, { method, deadline, resolve, reject });
      this.#send({ id, method, params });
    });
  }

  /** Ends the connection; what is unanswered is rejected. */
  close(): void {
    this.#finish(new JsonRpcError("ended", `The connection to ${this.#options.server} was closed`));
  }

  #listen(): void {
    const { server, socketPath, probeIntervalMs } = this.#options;
    this.#socket.on("data", (bytes) => this.#receive(bytes));
    this.#socket.on("error", (error) => this.#end(socketFailure(error, socketPath, server)));
    this.#socket.on("close", () => this.#end(closedBy(server)));
    if (probeIntervalMs !== undefined) {
      this.#probe = setInterval(() => {
        // The deadline ends the connection, which is told there.
        this.request("echo", []).catch(() => {});
      }, probeIntervalMs);
    }
  }

  #send(message: object): void {
    this.#socket.write(JSON.stringify(message));
  }

  #receive(bytes: Buffer): void {
    const texts = this.#splitter.split(bytes);
    if (texts === null) {
      this.#endFor("what is no JSON object of a bearable length");
    }
    try {
      for (const text of texts ?? []) {
        this.#take(text);
      }
    } catch (error) {
      if (!(error instanceof JsonFormatError)) {
        throw error;
      }
      this.#endFor(error.message);
    }
  }

  #take(text: string): void {
    if (this.#ended !== null) {
      return;
    }
    const { id, method, params, result, error } = parseObject(text);
    if (typeof method === "string") {
      const given = Array.isArray(params) ? params : [];
      if (id === null || id === undefined) {
        this.#options.onNotification(method, given);
      } else {
        this.#serve(id, method, given);
      }
    } else if (typeof id === "number") {
      this.#settle(id, result, error);
    }
  }

  /** The only request that a server makes is whether we live. */
  #serve(id: unknown, method: string, params: readonly unknown[]): void {
    const known = method === "echo";
    this.#send({ id, result: known ? params : null, error: known ? null : "unknown method" });
  }

  #settle(id: number, result: unknown, error: unknown): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      return;
    }
    this.#pending.delete(id);
    clearTimeout(pending.deadline);
    if (error === null || error === undefined) {
      pending.resolve(result);
    } else {
      pending.reject(new JsonRpcError("refused", describeError(error)));
    }
  }

  #endFor(what: string): void {
    this.#end(new JsonRpcError("ended", `${this.#options.server} sent what it must not: ${what}`));
  }

  #end(error: JsonRpcError): void {
    if (this.#ended === null) {
      this.#finish(error);
      this.#options.onEnd(error);
    }
  }

  #finish(error: JsonRpcError): void {
    this.#ended ??= error;
    this.#socket.destroy();
    if (this.#probe !== null) {
      clearInterval(this.#probe);
    }
    for (const { deadline, reject } of this.#pending.values()) {
      clearTimeout(deadline);
      reject(error);
    }
    this.#pending.clear();
  }
}

type Message = { readonly [name in "id" | "method" | "params" | "result" | "error"]?: unknown };

/** The text begins with a brace. */
function parseObject(text: string): Message {
  try {
    return JSON.parse(text) as Message;
  } catch (cause) {
    throw new JsonFormatError("what is no JSON", { cause });
  }
}

/** One line: ovs-vswitchd's errors end in a new line, ovsdb-server's are objects. */
function describeError(error: unknown): string {
  if (typeof error === "string") {
    return error
      .trim()
      .replaceAll(/\s*\n\s*/g, "; ")
      .slice(0, ERROR_TEXT_MAX);
  }
  if (typeof error === "object" && error !== null) {
    const { error: name, details } = error as { readonly error?: unknown; details?: unknown };
    if (typeof name === "string") {
      const text = typeof details === "string" ? `${name}: ${details}` : name;
      return text.replaceAll(/\s+/g, " ").slice(0, ERROR_TEXT_MAX);
    }
  }
  return JSON.stringify(error).slice(0, ERROR_TEXT_MAX);
}

function closedBy(server: string): JsonRpcError {
  return new JsonRpcError("ended", `${server} closed the connection`);
}

function socketFailure(cause: NodeJS.ErrnoException, path: string, server: string): JsonRpcError {
  switch (cause.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new JsonRpcError("no-socket", `Nothing listens on ${path}: ${server} is not running`, {
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new JsonRpcError("no-permission", `Not permitted to use ${path}`, { cause });
    case "ECONNRESET":
    case "EPIPE":
      return closedBy(server);
    default:
      return new JsonRpcError("ended", `Connection to ${path} failed: ${cause.message}`, { cause });
  }
}

/** One connection to xenstored: requests with their answers, and the events of watches. */
import { connect, type Socket } from "node:net";
import { XenstoreError } from "./xenstore.ts";
import {
  encodeXenstoreMessage,
  splitTerminated,
  XENSTORE_BODY_OCTETS_MAX,
  XENSTORE_TYPES,
  type XenstoreMessage,
  XenstoreSplitter,
} from "./xenstore-wire.ts";

export type XenstoreConnectionOptions = {
  readonly socketPath: string;
  readonly deadlineMs: number;
  readonly onWatchEvent: (path: string) => void;
  /** The connection ended; nothing comes after it. Not called after `close()`. */
  readonly onEnd: (error: XenstoreError) => void;
};

export type XenstoreRequest = {
  readonly type: number;
  readonly transactionId: number;
  readonly body: Buffer;
  /** For messages: `read /vm/x`. */
  readonly doing: string;
};

type Pending = XenstoreRequest & {
  readonly deadline: NodeJS.Timeout;
  resolve(body: Buffer): void;
  reject(error: XenstoreError): void;
};

const REQUEST_ID_MAX = 0xffff_ffff;

export class XenstoreConnection {
  readonly #options: XenstoreConnectionOptions;
  readonly #socket: Socket;
  readonly #splitter = new XenstoreSplitter();
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #ended: XenstoreError | null = null;

  private constructor(options: XenstoreConnectionOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
  }

  /** @throws XenstoreError */
  static async open(options: XenstoreConnectionOptions): Promise<XenstoreConnection> {
    const { socketPath } = options;
    const socket = connect(socketPath);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error) => reject(socketFailure(error, socketPath)));
    });
    socket.removeAllListeners("error");
    const connection = new XenstoreConnection(options, socket);
    socket.on("data", (bytes) => connection.#receive(bytes));
    socket.on("error", (error) => connection.#end(socketFailure(error, socketPath)));
    socket.on("close", () => connection.#end(closedByStore()));
    return connection;
  }

  /**
   * The body of the answer.
   *
   * @throws XenstoreError
   */
  request(request: XenstoreRequest): Promise<Buffer> {
    const { deadlineMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      if (request.body.length > XENSTORE_BODY_OCTETS_MAX) {
        reject(refusal(request.doing, "E2BIG"));
        return;
      }
      const requestId = this.#nextId;
      this.#nextId = requestId === REQUEST_ID_MAX ? 1 : requestId + 1;
      const deadline = setTimeout(() => {
        this.#end(
          new XenstoreError("deadline", `xenstored did not ${request.doing} in ${deadlineMs} ms`),
        );
      }, deadlineMs);
      this.#pending.set(requestId, { ...request, deadline, resolve, reject });
      this.#socket.write(encodeXenstoreMessage({ ...request, requestId }));
    });
  }

  /** Ends the connection, and with it its watches and transactions. */
  close(): void {
    this.#finish(new XenstoreError("ended", "The connection to xenstored was closed"));
  }

  #receive(bytes: Buffer): void {
    const messages = this.#splitter.split(bytes);
    if (messages === null) {
      const why = "xenstored sent what it must not: a message that is too long";
      this.#end(new XenstoreError("ended", why));
    }
    for (const message of messages ?? []) {
      if (this.#ended === null) {
        this.#take(message);
      }
    }
  }

  #take({ type, requestId, body }: XenstoreMessage): void {
    if (type === XENSTORE_TYPES.watchEvent) {
      const [path] = splitTerminated(body);
      if (path !== undefined) {
        this.#options.onWatchEvent(path);
      }
      return;
    }
    const pending = this.#pending.get(requestId);
    if (pending === undefined) {
      return;
    }
    this.#pending.delete(requestId);
    clearTimeout(pending.deadline);
    if (type === pending.type) {
      pending.resolve(body);
    } else if (type === XENSTORE_TYPES.error) {
      pending.reject(refusal(pending.doing, splitTerminated(body)[0] ?? ""));
    } else {
      const why = `xenstored sent what it must not: an answer of type ${type}`;
      pending.reject(new XenstoreError("ended", why));
      this.#end(new XenstoreError("ended", why));
    }
  }

  #end(error: XenstoreError): void {
    if (this.#ended === null) {
      this.#finish(error);
      this.#options.onEnd(error);
    }
  }

  #finish(error: XenstoreError): void {
    this.#ended ??= error;
    this.#socket.destroy();
    for (const { deadline, reject } of this.#pending.values()) {
      clearTimeout(deadline);
      reject(error);
    }
    this.#pending.clear();
  }
}

function refusal(doing: string, errno: string): XenstoreError {
  return new XenstoreError("refused", `xenstored cannot ${doing}: ${errno}`, { errno });
}

function closedByStore(): XenstoreError {
  return new XenstoreError("ended", "xenstored closed the connection");
}

function socketFailure(cause: NodeJS.ErrnoException, path: string): XenstoreError {
  switch (cause.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new XenstoreError("no-store", `Nothing listens on ${path}: xenstored is not running`, {
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new XenstoreError("no-permission", `Not permitted to use ${path}`, { cause });
    case "ECONNRESET":
    case "EPIPE":
      return closedByStore();
    default:
      return new XenstoreError("ended", `Connection to ${path} failed: ${cause.message}`, {
        cause,
      });
  }
}

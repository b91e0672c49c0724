/**
 * The control API's server: HTTP on a Unix socket, JSON in and out. It parses
 * and refuses; what passes is plain data for the ControlApi (see docs/CONTROL.md).
 *
 * Only root and one group may connect: the socket's mode is the only gate, so
 * it has that mode before it has its name.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { quoteValue } from "../net/parse-error.ts";
import type { ControlApi } from "./api.ts";
import {
  CONTROL_ERROR_STATUS,
  ControlError,
  type ControlErrorCode,
  isControlErrorCode,
} from "./control-error.ts";
import type { AnswerHeaders, ControlAnswer } from "./route.ts";
import { answer } from "./routes.ts";
import { listenOnSocket, removeSocket } from "./socket.ts";

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
  /** Stops listening, lets running requests end (2 s at most), removes the socket. */
  close(): Promise<void>;
};

/** Ten thousand vnets with every field given are below a third of it. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;
const DRAINED_BYTES_MAX = 8 * BODY_BYTES_MAX;

const DRAIN_MS = 2_000;

/**
 * On the socket, for root and its group: every vnet that a host may have, named in one query.
 */
const SOCKET_HEADER_BYTES_MAX = 1_048_576;

const HTTP_LIMITS: ServerOptions = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};
const CONNECTION_COUNT_MAX = 256;

type Handler = (request: IncomingMessage) => Promise<ControlAnswer>;

/**
 * Starts serving. A socket that nobody listens on any more is replaced.
 * @throws Error EADDRINUSE when another daemon serves on `socketPath`; the system's error otherwise
 */
export async function serveControl(options: ServeControlOptions): Promise<ControlServer> {
  const { socketPath, api, log, group } = options;
  const server = httpServer(log, SOCKET_HEADER_BYTES_MAX, async (request) => {
    const target = request.url ?? "";
    const body = parseBody(await readBody(request));
    return await answer(api, { method: request.method ?? "", target, body });
  });
  const identity = await listenOnSocket(server, { socketPath, group: group ?? null, log });
  logFailures(server, log);
  return {
    async close() {
      await removeSocket(socketPath, identity);
      await closeServer(server);
    },
  };
}

export function httpServer(log: ControlLog, maxHeaderSize: number, handler: Handler): Server {
  const server = createServer({ ...HTTP_LIMITS, maxHeaderSize }, (request, response) => {
    respond({ request, response, handler, log }).catch((error: unknown) => {
      // respond() answers every failure of the handler: this is a response that cannot be written.
      log.error({ err: error }, "Cannot answer a control request");
      response.destroy();
    });
  });
  server.maxConnections = CONNECTION_COUNT_MAX;
  server.on("clientError", refuseBytes);
  server.on("checkExpectation", (_request: IncomingMessage, response: ServerResponse) => {
    const error = new ControlError("VNETD_BAD_REQUEST", "Expect takes only 100-continue");
    send(response, errorAnswer(error, log), { close: true });
  });
  return server;
}

/** Once it listens, a failure to accept (EMFILE) is told and survived. */
export function logFailures(server: Server, log: ControlLog): void {
  server.on("error", (error) => log.error({ err: error }, "The control socket failed"));
}

async function respond(exchange: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly handler: Handler;
  readonly log: ControlLog;
}): Promise<void> {
  const { request, response, handler, log } = exchange;
  try {
    const result = await handler(request);
    if (result.kind === "stream") {
      await sendStream(response, result);
      return;
    }
    send(response, { ...result, ...encode(result) }, { close: false });
  } catch (error) {
    if (request.errored !== null || request.socket.destroyed) {
      // The caller hung up: nobody is there to be told, and nothing of ours went wrong.
      return;
    }
    // What is left of a body that was refused must not be read as the next request.
    send(response, errorAnswer(error, log), { close: !request.complete });
  }
}

type Payload = {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  readonly headers?: AnswerHeaders;
};

/** Ends when the octets end or the caller has gone; what it reads slowly waits where they are made. */
async function sendStream(
  response: ServerResponse,
  { status, type, headers, chunks }: Extract<ControlAnswer, { readonly kind: "stream" }>,
): Promise<void> {
  const octets = chunks[Symbol.asyncIterator]();
  response.once("close", () => void octets.return?.());
  response.setHeader("Content-Type", type);
  setHeaders(response, headers);
  // The end of the connection is the end of the stream: no chunks to take apart.
  response.setHeader("Connection", "close");
  response.removeHeader("Transfer-Encoding");
  response.writeHead(status);
  // Now: the first octets may be a long time coming.
  response.flushHeaders();
  for (let next = await octets.next(); next.done !== true; next = await octets.next()) {
    if (!response.write(next.value) && !response.destroyed) {
      await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  }
  response.end();
}

function encode(result: Exclude<ControlAnswer, { readonly kind: "stream" }>): Payload {
  switch (result.kind) {
    case "json":
      return {
        status: result.status,
        type: "application/json",
        text: `${JSON.stringify(result.value)}\n`,
      };
    case "text":
      return { status: result.status, type: result.type, text: result.text };
    case "empty":
      return { status: result.status, type: null, text: "" };
  }
}

function send(response: ServerResponse, payload: Payload, options: { close: boolean }): void {
  if (payload.type !== null) {
    response.setHeader("Content-Type", payload.type);
    response.setHeader("Content-Length", Buffer.byteLength(payload.text));
  }
  setHeaders(response, payload.headers);
  if (options.close) {
    response.setHeader("Connection", "close");
  }
  response.writeHead(payload.status);
  response.end(payload.text);
}

function setHeaders(response: ServerResponse, headers: AnswerHeaders = {}): void {
  for (const [name, value] of Object.entries(headers)) {
    response.setHeader(name, value);
  }
}

function errorAnswer(error: unknown, log: ControlLog): Payload {
  const { code, message } = describeFailure(error, log);
  return errorPayload(code, message);
}

function errorPayload(code: ControlErrorCode, message: string): Payload {
  // One line, whatever a program of the host has written: `vn` prints it as it stands.
  const line = message.replace(/\s*[\r\n]+\s*/g, " ").trim();
  return {
    status: CONTROL_ERROR_STATUS[code],
    type: "application/json",
    text: `${JSON.stringify({ error: { code, message: line } })}\n`,
  };
}

function describeFailure(
  error: unknown,
  log: ControlLog,
): { readonly code: ControlErrorCode; readonly message: string } {
  // By code and not by class: the errors of net/, host/ and dataplane/ carry codes of the table.
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (error instanceof Error && isControlErrorCode(code)) {
    return { code, message: error.message };
  }
  log.error({ err: error, code: "VNETD_INTERNAL" }, "A control request failed by a defect of ours");
  return { code: "VNETD_INTERNAL", message: "Internal error: the log of vnetd has the details" };
}

/**
 * Reads the body. One above BODY_BYTES_MAX is read on and not kept, so that its sender gets to
 * see the answer; above DRAINED_BYTES_MAX the throw cuts the connection.
 * @throws ControlError
 */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) {
      chunks.push(chunk);
    } else if (bytes > DRAINED_BYTES_MAX) {
      break;
    }
  }
  if (bytes > BODY_BYTES_MAX) {
    throw new ControlError("VNETD_TOO_LARGE", `Body above ${BODY_BYTES_MAX} bytes`);
  }
  return Buffer.concat(chunks);
}

/** @throws ControlError */
function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) {
    return undefined;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ControlError("VNETD_BAD_REQUEST", "Body is not UTF-8", { cause: error });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ControlError("VNETD_BAD_REQUEST", `Body is not JSON: ${quoteValue(text)}`, {
      cause: error,
    });
  }
}

/** Bytes that are not HTTP, too many headers or too slow: one answer, then the line is cut. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const slow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const problem = tooLarge ? "headers too long" : slow ? "request took too long" : "not HTTP/1.1";
  const { text } = errorPayload(
    tooLarge ? "VNETD_TOO_LARGE" : "VNETD_BAD_REQUEST",
    `Bad request: ${problem}`,
  );
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}

export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const giveUp = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await closed;
  clearTimeout(giveUp);
}

/**
 * One HTTP/1.1 request on a Unix socket and its whole answer (RFC 9112), as far as our own server
 * speaks it: `Content-Length` or no body, never chunks. By hand because `node:http` takes a quarter
 * of the time in which `vn` has to answer (10 of 40 ms, measured).
 */
import { connect } from "node:net";

export type HttpRequest = {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** JSON; null for none. */
  readonly body: string | null;
};

export type HttpReply = { readonly status: number; readonly text: string };

export type ExchangeOptions = {
  readonly socketPath: string;
  /** No octet for so long is a failure. */
  readonly silenceMsMax: number;
};

const HEAD_END = "\r\n\r\n";
const STATUS_LINE = /^HTTP\/1\.1 (\d{3})(?: |\r|$)/;
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+) *(?:\r|$)/i;

/** @throws the system's error (ENOENT, ECONNREFUSED, …), or an Error that says what is wrong with the answer */
export async function exchangeHttp(
  { socketPath, silenceMsMax }: ExchangeOptions,
  request: HttpRequest,
): Promise<HttpReply> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const socket = connect(socketPath);
    const chunks: Buffer[] = [];
    socket.setTimeout(silenceMsMax, () => {
      socket.destroy(new Error(`no answer for ${silenceMsMax / 1000} s`));
    });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("error", reject);
    // The server ends its side after the answer, because it is asked to close.
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.write(formatRequest(request));
  });
  return parseReply(bytes);
}

export function formatRequest({ method, target, body }: HttpRequest): string {
  const head = `${method} ${target} HTTP/1.1\r\nHost: vnetd\r\nConnection: close\r\n`;
  return body === null
    ? `${head}\r\n`
    : `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** @throws Error that says what is wrong with the answer */
export function parseReply(bytes: Buffer): HttpReply {
  const headBytes = bytes.indexOf(HEAD_END);
  const head = bytes.toString("latin1", 0, Math.max(0, headBytes));
  const status = STATUS_LINE.exec(head)?.[1];
  if (status === undefined) {
    throw new Error(bytes.length === 0 ? "it hung up" : "what it sent is not HTTP");
  }
  const body = bytes.subarray(headBytes + HEAD_END.length);
  const bodyBytes = Number(CONTENT_LENGTH.exec(head)?.[1] ?? 0);
  if (body.length !== bodyBytes) {
    throw new Error(`its answer has ${body.length} of ${bodyBytes} bytes`);
  }
  return { status: Number(status), text: body.toString("utf8") };
}

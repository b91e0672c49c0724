/** One HTTP/1.1 request whose answer is a stream that ends with the connection. */
import { connect, type Socket } from "node:net";
import { formatRequest, type HttpReply, type HttpRequest, parseReply } from "./http-exchange.ts";

export type HttpStream =
  | { readonly kind: "stream"; readonly chunks: AsyncIterable<Uint8Array> }
  /** An answer that is whole: a refusal. */
  | { readonly kind: "reply"; readonly reply: HttpReply };

const HEAD_END = "\r\n\r\n";
const OK = /^HTTP\/1\.1 200 /;

/** @throws the system's error (ENOENT, ECONNREFUSED, …), or an Error that says what is wrong */
export async function streamHttp(socketPath: string, request: HttpRequest): Promise<HttpStream> {
  const socket = connect(socketPath);
  socket.write(formatRequest(request));
  const octets = socket[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.indexOf(HEAD_END) === -1) {
    const { value, done } = await octets.next();
    if (done === true) {
      throw new Error("it closed the connection before it answered");
    }
    head = Buffer.concat([head, value as Buffer]);
  }
  if (OK.test(head.toString("latin1", 0, head.indexOf(HEAD_END)))) {
    return { kind: "stream", chunks: readOn(socket, octets, head) };
  }
  const rest: Buffer[] = [head];
  for (let next = await octets.next(); next.done !== true; next = await octets.next()) {
    rest.push(next.value as Buffer);
  }
  return { kind: "reply", reply: parseReply(Buffer.concat(rest)) };
}

async function* readOn(
  socket: Socket,
  octets: AsyncIterator<Buffer>,
  head: Buffer,
): AsyncGenerator<Uint8Array> {
  try {
    yield head.subarray(head.indexOf(HEAD_END) + HEAD_END.length);
    for (let next = await octets.next(); next.done !== true; next = await octets.next()) {
      yield next.value;
    }
  } finally {
    socket.destroy();
  }
}

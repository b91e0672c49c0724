/** Bytes to the control socket and back, for what an HTTP library would not send. */
import { connect } from "node:net";

export type RawAnswer = {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
};

/** Sends `bytes`, ends its side unless told not to, and reads until the server hangs up. */
export async function sendRaw(
  socketPath: string,
  bytes: string | Buffer,
  options: { readonly end: boolean } = { end: true },
): Promise<RawAnswer> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
    socket.write(bytes);
    if (options.end) {
      socket.end();
    }
  });
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [statusLine = "", ...headers] = head.split("\r\n");
  return {
    status: Number(statusLine.split(" ")[1]),
    headers: headers.join("\n"),
    body: rest.join("\r\n\r\n"),
  };
}

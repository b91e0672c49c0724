/**
 * `send ADDRESS PORT BYTES` and `receive PORT`, run inside the VMs: pseudo-random octets over one
 * TCP connection; each end prints `BYTES SHA256` of what it sent or got.
 */
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

const CHUNK_BYTES = 256 * 1024;

async function send(address: string, tcpPort: number, bytes: number): Promise<void> {
  // AES-CTR over zeros: incompressible, unlike anything a mistake would produce, and fast.
  const source = createCipheriv("aes-128-ctr", randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const hash = createHash("sha256");
  const socket = connect(tcpPort, address);
  await once(socket, "connect");
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = source.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros);
    hash.update(chunk);
    if (!socket.write(chunk)) {
      await once(socket, "drain");
    }
  }
  socket.end();
  // The receiver closes when it has everything: only then is it all delivered.
  socket.resume();
  await once(socket, "close");
  process.stdout.write(`${bytes} ${hash.digest("hex")}\n`);
}

async function receive(tcpPort: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true }).listen(tcpPort, "::");
  await once(server, "listening");
  process.stdout.write("ready\n");
  const [socket] = (await once(server, "connection")) as [Socket];
  server.close();
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  process.stdout.write(`${bytes} ${hash.digest("hex")}\n`);
  socket.end();
}

const [command, ...words] = process.argv.slice(2);
if (command === "send") {
  await send(words[0] ?? "", Number(words[1]), Number(words[2]));
} else {
  await receive(Number(words[0]));
}

/**
 * Stands on the control socket of a running vnet-dp and writes down what vnetd says there.
 *
 *     vnetd ── dp.sock ── recorder ── dp.sock.behind ── vnet-dp
 */
import { renameSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { MessageReader } from "../../src/dataplane/codec.ts";
import type { DataplaneMessage } from "../../src/vnet/dataplane-messages.ts";

export class CommandRecorder {
  readonly commands: DataplaneMessage[] = [];
  readonly #path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  /** While no vnetd is connected: a connection that stands is not moved. */
  static async open(path: string): Promise<CommandRecorder> {
    renameSync(path, behind(path));
    const server = createServer();
    const recorder = new CommandRecorder(path, server);
    server.on("connection", (above) => recorder.#join(above));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    return recorder;
  }

  get kinds(): readonly string[] {
    return this.commands.map(({ kind }) => kind);
  }

  #join(above: Socket): void {
    const below = connect(behind(this.#path));
    const reader = new MessageReader();
    above.on("data", (bytes) => {
      this.commands.push(...reader.read(bytes).map(({ message }) => message));
    });
    for (const [from, to] of [
      [above, below],
      [below, above],
    ] as const) {
      this.#sockets.add(from);
      from.pipe(to);
      // Either end may be killed; the other one is hung up on.
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  /** Gives vnet-dp its socket back; vnetd is to be stopped before. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#path, { force: true });
    renameSync(behind(this.#path), this.#path);
  }
}

function behind(path: string): string {
  return `${path}.behind`;
}

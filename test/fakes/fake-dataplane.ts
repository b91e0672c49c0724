/**
 * A vnet-dp that carries no frames: it speaks the real codec on a Unix socket and keeps the tables
 * that commands fill. Tests can look into it, refuse commands and raise events.
 */
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { CONTROL_VERSION, encodeMessage, MessageReader } from "../../src/dataplane/codec.ts";
import { type Endpoint, formatEndpoint } from "../../src/net/endpoint.ts";
import { ALL_VNETS, type VnetId } from "../../src/net/vnet-id.ts";
import { COUNTERS } from "../../src/vnet/counters.ts";
import type {
  DataplaneAnswer,
  DataplaneCommand,
  DataplaneEvent,
} from "../../src/vnet/dataplane-messages.ts";

type Command<Kind extends DataplaneCommand["kind"]> = Extract<
  DataplaneCommand,
  { readonly kind: Kind }
>;

export type FakeDataplaneOptions = {
  readonly socketPath: string;
  /** What Welcome reports; compared with what vnetd would start it with. */
  readonly options?: string;
  readonly version?: number;
  readonly pid?: number;
  readonly onShutdown?: () => void;
};

const EPROTO = 71;
const ENOKEY = 126;

export class FakeDataplane {
  /** Every command that changes something, in order. */
  readonly changes: DataplaneCommand[] = [];
  /** By name; those that are not in it count their place in the table. */
  readonly counts = new Map<string, bigint>();
  countersRead = 0;
  readonly vnets = new Map<VnetId, Command<"set-vnet">>();
  readonly peers = new Map<string, Command<"set-peer">>();
  readonly vifs = new Map<string, Extract<DataplaneAnswer, { kind: "vif-entry" }>>();
  readonly fdb = new Map<string, Extract<DataplaneAnswer, { kind: "fdb-entry" }>>();
  /** By vnet, direction, SPI and host; traffic keys are in `changes` only, as they came. */
  readonly sas = new Map<string, Extract<DataplaneAnswer, { kind: "sa-state" }>>();
  /** Sees every command before it is done. */
  onCommand: (command: DataplaneCommand) => void = () => {};
  /** Takes what is sealed, to one host or to all. */
  onSealed: (payload: Uint8Array) => void = () => {};
  underlay: Command<"set-underlay"> | null = null;
  ages: Command<"set-ages"> | null = null;
  /** An errno and the words for commands that are to fail. */
  refuse: (command: DataplaneCommand) => { error: number; message: string } | null = () => null;
  readonly #options: FakeDataplaneOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: FakeDataplaneOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async listen(options: FakeDataplaneOptions): Promise<FakeDataplane> {
    rmSync(options.socketPath, { force: true });
    const fake = new FakeDataplane(options);
    await new Promise<void>((resolve, reject) => {
      fake.#server.once("error", reject);
      fake.#server.listen(options.socketPath, resolve);
    });
    return fake;
  }

  /** Sends an event on every connection. */
  raise(event: DataplaneEvent): void {
    for (const socket of this.#sockets) {
      socket.write(encodeMessage(event, 0));
    }
  }

  /** Writes octets that are no message. */
  raiseGarbage(): void {
    for (const socket of this.#sockets) {
      socket.write(Uint8Array.of(0, 0, 0, 1, 9));
    }
  }

  hangUp(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async close(): Promise<void> {
    this.hangUp();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new MessageReader();
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => this.#sockets.delete(socket));
    socket.on("data", (bytes) => {
      for (const { message, sequence } of reader.read(bytes)) {
        for (const answer of this.#answer(message as DataplaneCommand)) {
          socket.write(encodeMessage(answer, sequence));
        }
        if (message.kind === "shutdown") {
          this.#options.onShutdown?.();
        }
      }
    });
  }

  #answer(command: DataplaneCommand): DataplaneAnswer[] {
    const { version = CONTROL_VERSION, pid = process.pid, options = "--port 1798" } = this.#options;
    if (command.kind === "hello" && command.version !== version) {
      return [{ kind: "result", error: EPROTO, message: `version ${version} is spoken here` }];
    }
    this.onCommand(command);
    const refusal = this.refuse(command) ?? this.#refuseSeal(command);
    if (refusal !== null) {
      return [{ kind: "result", ...refusal }];
    }
    const welcome: DataplaneAnswer[] =
      command.kind === "hello"
        ? [
            {
              kind: "welcome",
              ...{ version, pid, options, bootId: 1n, udpPort: 1798, ipv6: true, rawSocket: true },
              ...{ tapOffload: true, udpSegmentation: true, udpCoalescing: true },
            },
          ]
        : [];
    this.#change(command);
    return [...welcome, ...this.#list(command), { kind: "result", error: 0, message: "" }];
  }

  #refuseSeal(command: DataplaneCommand): { error: number; message: string } | null {
    const isSeal = command.kind === "seal-to" || command.kind === "seal-flood";
    const hasSa = (vnet: VnetId): boolean =>
      [...this.sas.values()].some((sa) => sa.vnet === vnet && sa.send);
    return isSeal && !hasSa(command.vnet) ? { error: ENOKEY, message: "no send SA" } : null;
  }

  #list(command: DataplaneCommand): DataplaneAnswer[] {
    const isWanted = (vnet: VnetId): boolean =>
      "vnet" in command && (command.vnet === ALL_VNETS || command.vnet === vnet);
    switch (command.kind) {
      case "get-state":
        return this.#listState();
      case "list-vifs":
        return [...this.vifs.values()].filter(({ vnet }) => isWanted(vnet));
      case "list-fdb":
        return [...this.fdb.values()].filter(({ vnet }) => isWanted(vnet));
      case "list-sas":
        return [...this.sas.values()].filter(
          ({ vnet, spi }) => isWanted(vnet) && (command.spi === 0 || command.spi === spi),
        );
      case "get-counters": {
        const values = COUNTERS.map(({ name }, index) => this.counts.get(name) ?? BigInt(index));
        this.countersRead += 1;
        const ids = [ALL_VNETS, ...this.vnets.keys()].filter(isWanted);
        return ids.map((vnet) => ({ kind: "counters", vnet, values }));
      }
      default:
        return [];
    }
  }

  #listState(): DataplaneAnswer[] {
    return [
      ...(this.underlay === null ? [] : [{ ...this.underlay, kind: "underlay-state" } as const]),
      ...(this.ages === null ? [] : [{ ...this.ages, kind: "ages-state" } as const]),
      ...Array.from(
        this.vnets.values(),
        (vnet) =>
          ({
            ...vnet,
            kind: "vnet-state",
            attached: true,
            fdbCount: countOf(this.fdb, vnet.vnet),
            vifCount: countOf(this.vifs, vnet.vnet),
          }) as const,
      ),
      ...Array.from(
        this.peers.values(),
        ({ host }) => ({ kind: "peer-state", host, forwardedOut: 3n, forwardedIn: 4n }) as const,
      ),
    ];
  }

  #change(command: DataplaneCommand): void {
    switch (command.kind) {
      case "set-underlay":
        this.underlay = command;
        break;
      case "set-ages":
        this.ages = command;
        break;
      case "set-vnet":
        this.vnets.set(command.vnet, command);
        break;
      case "delete-vnet":
        this.vnets.delete(command.vnet);
        this.#dropSas(({ vnet }) => vnet === command.vnet);
        break;
      default:
        if (!this.#changeTables(command) && !this.#changeSas(command)) {
          return;
        }
    }
    this.changes.push(command);
  }

  /** False when nothing is changed. */
  #changeSas(command: DataplaneCommand): boolean {
    switch (command.kind) {
      case "set-send-sa": {
        // The one before it is not sealed with any more.
        this.#dropSas(({ vnet, send }) => send && vnet === command.vnet);
        const { keys, ...rest } = command;
        this.#setSa({ ...rest, send: true, host: null, counter: 0n, checksumPartial: false });
        return true;
      }
      case "set-receive-sa": {
        const { keys, seenUpTo, ...rest } = command;
        this.#setSa({ ...rest, send: false, counter: seenUpTo, rekeyAt: 0n, stopAt: 0n });
        return true;
      }
      case "delete-sa":
        this.sas.delete(saKey(command));
        return true;
      case "seal-to":
      case "seal-flood":
        this.onSealed(command.payload);
        return true;
      default:
        return false;
    }
  }

  #setSa(
    sa: Omit<
      Extract<DataplaneAnswer, { kind: "sa-state" }>,
      "kind" | "packets" | "replayed" | "forged" | "silentMs"
    >,
  ): void {
    const counts = { packets: 0n, replayed: 0n, forged: 0n, silentMs: 0 };
    this.sas.set(saKey(sa), { ...sa, ...counts, kind: "sa-state" });
  }

  #dropSas(isDropped: (sa: Extract<DataplaneAnswer, { kind: "sa-state" }>) => boolean): void {
    for (const [key, sa] of this.sas) {
      if (isDropped(sa)) {
        this.sas.delete(key);
      }
    }
  }

  /** False when nothing is changed. */
  #changeTables(command: DataplaneCommand): boolean {
    switch (command.kind) {
      case "set-peer":
        this.peers.set(command.host === null ? "" : formatEndpoint(command.host), command);
        return true;
      case "delete-peer":
        this.peers.delete(command.host === null ? "" : formatEndpoint(command.host));
        return true;
      case "pin-vif": {
        const entry = { kind: "vif-entry", ageMs: 0, pinned: true } as const;
        this.vifs.set(keyOf(command), { ...entry, vnet: command.vnet, mac: command.mac });
        return true;
      }
      case "delete-vif":
        return this.vifs.delete(keyOf(command));
      case "set-fdb":
        this.fdb.set(keyOf(command), { ...command, kind: "fdb-entry", ageMs: 0 });
        return true;
      case "delete-fdb":
        return this.fdb.delete(keyOf(command));
      case "flush-fdb":
        this.fdb.clear();
        return true;
      case "send-to":
      case "send-flood":
        return true;
      default:
        return false;
    }
  }
}

function countOf(entries: ReadonlyMap<string, { readonly vnet: VnetId }>, wanted: VnetId): number {
  return [...entries.values()].filter(({ vnet }) => vnet === wanted).length;
}

function saKey(sa: {
  readonly vnet: VnetId;
  readonly send: boolean;
  readonly spi: number;
  readonly host: Endpoint | null;
}): string {
  return `${sa.vnet} ${sa.send} ${sa.spi} ${sa.host === null ? "" : formatEndpoint(sa.host)}`;
}

function keyOf({ vnet, mac }: { readonly vnet: string; readonly mac: string }): string {
  return `${vnet} ${mac}`;
}

/**
 * A xenstored in memory whose clients are all dom0. It is held to the same contract as the real one
 * (test/host/xenstore-contract.ts).
 */
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import {
  encodeXenstoreMessage,
  splitTerminated,
  terminated,
  XENSTORE_BODY_OCTETS_MAX,
  XENSTORE_TYPES,
  type XenstoreMessage,
  XenstoreSplitter,
} from "../../src/host/xenstore-wire.ts";

type StoreNode = { readonly value: Buffer; readonly permissions: readonly string[] };

/** By path. The root is always there. */
type Tree = ReadonlyMap<string, StoreNode>;

type Transaction = {
  readonly former: Tree;
  tree: Tree;
  readonly changed: string[];
};

type Client = {
  readonly socket: Socket;
  /** Paths that are watched, by token and path. */
  readonly watches: Map<string, { readonly path: string; readonly token: string }>;
  readonly transactions: Map<number, Transaction>;
};

/** What it answers with, as xenstored spells it. */
class Errno extends Error {}

const DOM0_ONLY = ["n0"];
const EMPTY_TREE: Tree = new Map([["/", { value: Buffer.alloc(0), permissions: DOM0_ONLY }]]);
const OK = terminated("OK");

export class FakeXenstored {
  readonly socketPath: string;
  #tree: Tree = EMPTY_TREE;
  #server: Server | null = null;
  #nextTransactionId = 1;
  readonly #clients = new Set<Client>();

  private constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  static async start(socketPath: string): Promise<FakeXenstored> {
    const started = new FakeXenstored(socketPath);
    await started.startStore();
    return started;
  }

  /** With an empty tree. */
  async startStore(): Promise<void> {
    this.#tree = EMPTY_TREE;
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve) => {
      server.listen(this.socketPath, resolve);
    });
    this.#server = server;
  }

  /** As its death. */
  async killStore(): Promise<void> {
    for (const { socket } of this.#clients) {
      socket.destroy();
    }
    this.#clients.clear();
    const server = this.#server;
    this.#server = null;
    await new Promise<void>((resolve) => {
      server === null ? resolve() : server.close(() => resolve());
    });
    rmSync(this.socketPath, { force: true });
  }

  async stop(): Promise<void> {
    await this.killStore();
  }

  /** As someone else of dom0. */
  write(path: string, value: string): void {
    this.#change(written(this.#tree, path, Buffer.from(value)), path);
  }

  remove(path: string): void {
    this.#change(removed(this.#tree, path), path);
  }

  setPermissions(path: string, ...permissions: readonly string[]): void {
    const node = nodeAt(this.#tree, path);
    this.#change(new Map([...this.#tree, [path, { ...node, permissions }]]), path);
  }

  #accept(socket: Socket): void {
    const client: Client = { socket, watches: new Map(), transactions: new Map() };
    const splitter = new XenstoreSplitter();
    this.#clients.add(client);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#clients.delete(client));
    socket.on("data", (bytes) => {
      for (const request of splitter.split(bytes) ?? []) {
        this.#serve(client, request);
      }
    });
  }

  #serve(client: Client, request: XenstoreMessage): void {
    let { type } = request;
    let body: Buffer;
    try {
      body = this.#answer(client, request);
      if (body.length > XENSTORE_BODY_OCTETS_MAX) {
        throw new Errno("E2BIG");
      }
    } catch (error) {
      if (!(error instanceof Errno)) {
        throw error;
      }
      type = XENSTORE_TYPES.error;
      body = terminated(error.message);
    }
    client.socket.write(encodeXenstoreMessage({ ...request, type, body }));
    if (type === XENSTORE_TYPES.watch) {
      // Everyone who begins to watch is told once.
      this.#tell(client, splitTerminated(request.body)[0] ?? "", true);
    }
  }

  #answer(client: Client, request: XenstoreMessage): Buffer {
    const [path = "", second = ""] = splitTerminated(request.body);
    switch (request.type) {
      case XENSTORE_TYPES.transactionStart:
        return this.#startTransaction(client);
      case XENSTORE_TYPES.transactionEnd:
        return this.#endTransaction(client, request.transactionId, path === "T");
      case XENSTORE_TYPES.watch:
      case XENSTORE_TYPES.unwatch:
        return watch(client, request.type, checkedPath(path), second);
      default:
        return this.#access(client, request, checkedPath(path));
    }
  }

  #access(client: Client, { type, transactionId, body }: XenstoreMessage, path: string): Buffer {
    const transaction = transactionId === 0 ? null : client.transactions.get(transactionId);
    if (transaction === undefined) {
      throw new Errno("ENOENT");
    }
    const tree = transaction?.tree ?? this.#tree;
    switch (type) {
      case XENSTORE_TYPES.read:
        return nodeAt(tree, path).value;
      case XENSTORE_TYPES.getPermissions:
        return terminated(...nodeAt(tree, path).permissions);
      case XENSTORE_TYPES.directory:
        return terminated(...childrenOf(tree, path));
      case XENSTORE_TYPES.directoryPart:
        return partOf(childrenOf(tree, path), Number(splitTerminated(body)[1]));
      case XENSTORE_TYPES.write: {
        const value = Buffer.from(body.subarray(Buffer.byteLength(path) + 1));
        this.#changeIn(transaction, written(tree, path, value), path);
        return OK;
      }
      case XENSTORE_TYPES.remove:
        nodeAt(tree, path);
        this.#changeIn(transaction, removed(tree, path), path);
        return OK;
      default:
        throw new Errno("ENOSYS");
    }
  }

  #startTransaction(client: Client): Buffer {
    const id = this.#nextTransactionId;
    this.#nextTransactionId += 1;
    client.transactions.set(id, { former: this.#tree, tree: this.#tree, changed: [] });
    return terminated(String(id));
  }

  /** Any change by others is a conflict here; the real one looks at what was read or written. */
  #endTransaction(client: Client, id: number, commits: boolean): Buffer {
    const transaction = client.transactions.get(id);
    client.transactions.delete(id);
    if (transaction === undefined) {
      throw new Errno("ENOENT");
    }
    if (commits && transaction.former !== this.#tree) {
      throw new Errno("EAGAIN");
    }
    if (commits) {
      this.#tree = transaction.tree;
      for (const path of transaction.changed) {
        this.#tellAll(path);
      }
    }
    return OK;
  }

  #changeIn(transaction: Transaction | null, tree: Tree, path: string): void {
    if (transaction === null) {
      this.#change(tree, path);
    } else {
      transaction.tree = tree;
      transaction.changed.push(path);
    }
  }

  #change(tree: Tree, path: string): void {
    this.#tree = tree;
    this.#tellAll(path);
  }

  #tellAll(path: string): void {
    for (const client of this.#clients) {
      this.#tell(client, path, false);
    }
  }

  /** A node that goes takes those below it along, whose watchers hear of their own path. */
  #tell(client: Client, changed: string, onlyIt: boolean): void {
    for (const { path, token } of client.watches.values()) {
      const isBelow = isAtOrBelow(changed, path);
      const isAbove = isAtOrBelow(path, changed) && !this.#tree.has(changed);
      if (onlyIt ? path === changed : isBelow || isAbove) {
        const body = terminated(isBelow ? changed : path, token);
        const type = XENSTORE_TYPES.watchEvent;
        const event = { type, requestId: 0, transactionId: 0, body };
        client.socket.write(encodeXenstoreMessage(event));
      }
    }
  }
}

function watch(client: Client, type: number, path: string, token: string): Buffer {
  const key = terminated(path, token).toString();
  const isThere = client.watches.has(key);
  if (type === XENSTORE_TYPES.unwatch) {
    client.watches.delete(key);
  } else {
    client.watches.set(key, { path, token });
  }
  if (isThere !== (type === XENSTORE_TYPES.unwatch)) {
    throw new Errno(isThere ? "EEXIST" : "ENOENT");
  }
  return OK;
}

function checkedPath(path: string): string {
  if (!/^\/([\w@:-]+(\/[\w@:-]+)*)?$/.test(path)) {
    throw new Errno("EINVAL");
  }
  return path;
}

function nodeAt(tree: Tree, path: string): StoreNode {
  const node = tree.get(path);
  if (node === undefined) {
    throw new Errno("ENOENT");
  }
  return node;
}

function isAtOrBelow(path: string, above: string): boolean {
  return path === above || path.startsWith(above === "/" ? "/" : `${above}/`);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 1));
}

/** With the nodes above it; permissions come from the one above. */
function written(tree: Tree, path: string, value: Buffer): Tree {
  const former = tree.get(path);
  if (former !== undefined) {
    return new Map([...tree, [path, { ...former, value }]]);
  }
  const parent = parentOf(path);
  const above = tree.has(parent) ? tree : written(tree, parent, Buffer.alloc(0));
  const { permissions } = nodeAt(above, parent);
  return new Map([...above, [path, { value, permissions }]]);
}

function removed(tree: Tree, path: string): Tree {
  return new Map([...tree].filter(([one]) => !isAtOrBelow(one, path)));
}

function childrenOf(tree: Tree, path: string): readonly string[] {
  nodeAt(tree, path);
  const prefix = path === "/" ? "/" : `${path}/`;
  return [...tree.keys()]
    .filter((one) => one.startsWith(prefix) && one !== path)
    .map((one) => one.slice(prefix.length))
    .filter((name) => !name.includes("/"));
}

/** From that octet of all names on, as many as fit; an empty name when these are the last. */
function partOf(names: readonly string[], offset: number): Buffer {
  const rest = splitTerminated(terminated(...names).subarray(offset));
  const part: string[] = [String(names.length)];
  for (const name of rest) {
    if (terminated(...part, name, "").length > XENSTORE_BODY_OCTETS_MAX) {
      return terminated(...part);
    }
    part.push(name);
  }
  return terminated(...part, "");
}

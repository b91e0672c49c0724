/**
 * The desired state of this host, one JSON document that survives SIGKILL and power loss at any
 * moment: it is written to a temporary file, flushed, renamed over the old one, and the folder is
 * flushed. A file that cannot be read is never written over: it may hold somebody's only copy.
 */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { parseInterfaceName } from "../net/interface-name.ts";
import { parseIpAddress } from "../net/ip-address.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import { parseVnetId } from "../net/vnet-id.ts";
import { type DesiredState, EMPTY_DESIRED_STATE } from "../vnet/desired-state.ts";
import { reading } from "./zod-reading.ts";

/** Raised with every change that an older version could not read. */
export const STATE_SCHEMA_VERSION = 1;

const vnetId = z.string().transform(reading(parseVnetId));
const interfaceName = z.string().transform(reading(parseInterfaceName));
const macAddress = z.string().transform(reading(parseMacAddress));
const ipAddress = z.string().transform(reading(parseIpAddress));

const vnetSchema = z.strictObject({
  id: vnetId,
  vnetif: interfaceName,
  bridge: interfaceName.nullable(),
  ovs: z.boolean(),
  security: z.literal("none"),
  mtu: z.int(),
  encapsulation: z.enum(["udp", "etherip"]),
});

const peerSchema = z.strictObject({
  endpoint: z.strictObject({
    /** Of a peer with a name: the address that the name had last. */
    address: ipAddress,
    udpPort: z.int().min(1).max(65_535),
  }),
  name: z.string().min(1).nullable(),
});

const stateSchema = z.strictObject({
  schema: z.literal(STATE_SCHEMA_VERSION),
  vnets: z.array(vnetSchema),
  peers: z.array(peerSchema),
  pinnedVifs: z.array(z.strictObject({ vnet: vnetId, mac: macAddress })),
  multicastGroup: ipAddress.nullable(),
});

/** The state file cannot be read or written; the message names it. */
export class StateFileError extends Error {
  override readonly name = "StateFileError";
  readonly code = "VNETD_STATE_FAILED";
}

type Waiter = { resolve(): void; reject(error: unknown): void };

/** The file of one daemon. Saves that come while one is being written share the next write. */
export class StateFile {
  readonly path: string;
  #next: { state: DesiredState; waiters: Waiter[] } | null = null;
  #writing = false;

  constructor(stateDirectory: string) {
    this.path = join(stateDirectory, "state.json");
  }

  /**
   * What was saved last; an empty state when nothing was. Makes the folder.
   *
   * @throws StateFileError when the file is there and cannot be read whole
   */
  async load(): Promise<DesiredState> {
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw failed("create the folder of", this.path, cause);
    }
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") {
        return EMPTY_DESIRED_STATE;
      }
      throw failed("read", this.path, cause);
    }
    return parseState(text, this.path);
  }

  /**
   * Resolves when `state`, or a later one, is on the disk.
   *
   * @throws StateFileError when it is not; the file still holds what it held before
   */
  save(state: DesiredState): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#next?.waiters ?? [];
      this.#next = { state, waiters: [...waiters, { resolve, reject }] };
      if (!this.#writing) {
        void this.#writeAll();
      }
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let job = this.#next; job !== null; job = this.#next) {
      this.#next = null;
      try {
        await writeDurably(this.path, formatState(job.state));
        job.waiters.forEach(({ resolve }) => {
          resolve();
        });
      } catch (cause) {
        const error = failed("write", this.path, cause);
        job.waiters.forEach(({ reject }) => {
          reject(error);
        });
      }
    }
    this.#writing = false;
  }
}

/** @throws StateFileError naming `path` */
export function parseState(text: string, path: string): DesiredState {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw refused(path, "it is not whole JSON", cause);
  }
  const version =
    typeof document === "object" && document !== null && "schema" in document
      ? document.schema
      : undefined;
  if (version !== STATE_SCHEMA_VERSION) {
    const found = version === undefined ? "it has no schema version" : `its schema version is`;
    const shown = version === undefined ? "" : ` ${JSON.stringify(version)}`;
    throw refused(path, `${found}${shown}, this vnetd reads version ${STATE_SCHEMA_VERSION}`);
  }
  const parsed = stateSchema.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refused(path, `at ${issue?.path.join(".") || "its top"}: ${issue?.message}`);
  }
  const { schema, ...state } = parsed.data;
  return state;
}

export function formatState(state: DesiredState): string {
  return `${JSON.stringify({ schema: STATE_SCHEMA_VERSION, ...state }, null, 1)}\n`;
}

async function writeDurably(path: string, text: string): Promise<void> {
  // One daemon a state directory (see run-directory.ts): nobody else writes this name.
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function failed(what: string, path: string, cause: unknown): StateFileError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StateFileError(`Cannot ${what} state file ${path}: ${why}`, { cause });
}

function refused(path: string, why: string, cause?: unknown): StateFileError {
  const advice = "repair it, or move it away to start without vnets";
  return new StateFileError(`Cannot use state file ${path}: ${why}; ${advice}`, { cause });
}

/**
 * The key rings of this host's secure vnets, in memory and on the disk. A change is on the disk
 * before it is in memory; a ring that cannot be read is a problem of its vnet, which stays down,
 * and of no other.
 */
import { mkdir, stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { ControlError } from "../control/control-error.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import {
  activateKey,
  addKey,
  createKeyRing,
  deleteKey,
  formatKeyId,
  type KeyRing,
  type KeyRingChange,
  type RingKey,
} from "../vnet/key-ring.ts";
import { formatKeyRing, keyRingPath, parseKeyRing } from "./key-ring-file.ts";
import { keyIdOf, parseKeyText } from "./key-text.ts";
import { isOwnersAlone, readSecretFile, wipeFile, writeSecretFile } from "./secret-file.ts";

const KEY_DIRECTORY_MODE = 0o700;

/** A file that was named as a key is none, or is not safe to use; nothing has been changed. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
  readonly code = "VNETD_KEY_FILE";
}

/** The ring of a vnet cannot be read or written; the message has the file and what to do. */
export class KeyRingError extends Error {
  override readonly name = "KeyRingError";
  readonly code = "VNETD_KEY_RING";
}

export class KeyRings {
  readonly #directory: string;
  readonly #rings = new Map<VnetId, KeyRing>();
  readonly #problems = new Map<VnetId, string>();

  /** @param directory KEY_DIR */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads the rings of `vnets` that are not known yet, and drops those of other vnets from memory.
   * What fails is told by `problemOf` and tried again the next time.
   */
  async load(vnets: readonly VnetId[]): Promise<void> {
    const wanted = new Set(vnets);
    for (const vnet of [...this.#rings.keys(), ...this.#problems.keys()]) {
      if (!wanted.has(vnet)) {
        this.#forget(vnet);
      }
    }
    for (const vnet of vnets) {
      if (!this.#rings.has(vnet)) {
        await this.#load(vnet);
      }
    }
  }

  /** Null: its ring is there, or the vnet needs none. */
  problemOf(vnet: VnetId): string | null {
    return this.#problems.get(vnet) ?? null;
  }

  /** Null for a vnet without a ring, or with one that cannot be read. */
  find(vnet: VnetId): KeyRing | null {
    return this.#rings.get(vnet) ?? null;
  }

  /**
   * A new vnet's ring, with this key alone.
   *
   * @throws KeyRingError
   */
  async create(vnet: VnetId, key: RingKey): Promise<void> {
    await this.#store(vnet, createKeyRing(key));
  }

  /**
   * Takes the key over.
   *
   * @returns its id
   * @throws ControlError, KeyRingError
   */
  async add(vnet: VnetId, key: RingKey): Promise<number> {
    const what = `add a key to vnet ${shortVnetId(vnet)}`;
    try {
      await this.#change(vnet, what, (ring) => addKey(ring, key));
    } catch (error) {
      key.secret.fill(0);
      throw error;
    }
    return key.id;
  }

  /** @throws ControlError, KeyRingError */
  async activate(vnet: VnetId, keyId: number): Promise<void> {
    const what = `activate key ${formatKeyId(keyId)} of vnet ${shortVnetId(vnet)}`;
    await this.#change(vnet, what, (ring) => activateKey(ring, keyId));
  }

  /** @throws ControlError, KeyRingError */
  async delete(vnet: VnetId, keyId: number): Promise<void> {
    const what = `delete key ${formatKeyId(keyId)} of vnet ${shortVnetId(vnet)}`;
    const former = this.#rings.get(vnet);
    await this.#change(vnet, what, (ring) => deleteKey(ring, keyId));
    former?.keys.find(({ id }) => id === keyId)?.secret.fill(0);
  }

  /**
   * Overwrites and removes a ring, on the disk and in memory.
   *
   * @throws KeyRingError when it is still on the disk
   */
  async wipe(vnet: VnetId): Promise<void> {
    const path = keyRingPath(this.#directory, vnet);
    this.#forget(vnet);
    try {
      await wipeFile(path);
    } catch (cause) {
      throw new KeyRingError(`Cannot wipe key ring ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  #forget(vnet: VnetId): void {
    for (const { secret } of this.#rings.get(vnet)?.keys ?? []) {
      secret.fill(0);
    }
    this.#rings.delete(vnet);
    this.#problems.delete(vnet);
  }

  async #load(vnet: VnetId): Promise<void> {
    const path = keyRingPath(this.#directory, vnet);
    const advice = `restore it, or delete vnet ${shortVnetId(vnet)} and create it again with its key`;
    const fail = (why: string): void => {
      this.#problems.set(vnet, `cannot use key ring ${path}: ${why}; ${advice}`);
    };
    let text: Buffer;
    try {
      await this.#checkDirectory();
      text = await readSecretFile(path);
    } catch (error) {
      fail(reasonOf(error));
      return;
    }
    const ring = parseKeyRing(text);
    text.fill(0);
    if (typeof ring === "string") {
      fail(ring);
      return;
    }
    this.#rings.set(vnet, ring);
    this.#problems.delete(vnet);
  }

  async #change(
    vnet: VnetId,
    what: string,
    change: (ring: KeyRing) => KeyRingChange,
  ): Promise<void> {
    const ring = this.#rings.get(vnet);
    if (ring === undefined) {
      const why = this.#problems.get(vnet) ?? "it has no key ring";
      throw new KeyRingError(`Cannot ${what}: ${why}`);
    }
    const changed = change(ring);
    if (changed.kind === "refused") {
      throw new ControlError(changed.code, `Cannot ${what}: ${changed.message}`);
    }
    await this.#store(vnet, changed.ring);
  }

  async #store(vnet: VnetId, ring: KeyRing): Promise<void> {
    const path = keyRingPath(this.#directory, vnet);
    const text = formatKeyRing(ring);
    try {
      await this.#takeDirectory();
      await writeSecretFile(path, text);
    } catch (cause) {
      throw new KeyRingError(`Cannot write key ring ${path}: ${reasonOf(cause)}`, { cause });
    } finally {
      text.fill(0);
    }
    this.#rings.set(vnet, ring);
    this.#problems.delete(vnet);
  }

  async #takeDirectory(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: KEY_DIRECTORY_MODE });
    await this.#checkDirectory();
  }

  /** Who may rename files there gives one vnet another one's key, or an old one back. */
  async #checkDirectory(): Promise<void> {
    if (!isOwnersAlone(await stat(this.#directory))) {
      throw new Error("the folder belongs to others, or others may change it");
    }
  }
}

/**
 * Reads the key in a file that an operator names.
 *
 * @throws ParseError for a path that is not absolute, KeyFileError; neither has a part of the key
 */
export async function readKeyFile(path: string): Promise<RingKey> {
  if (!isAbsolute(path)) {
    throw new ParseError(`The path of a key file must be absolute: ${quoteValue(path)}`);
  }
  const refuse = (why: string, cause?: unknown): KeyFileError =>
    new KeyFileError(`Cannot use key file ${quoteValue(path)}: ${why}`, { cause });
  let text: Buffer;
  try {
    text = await readSecretFile(path);
  } catch (cause) {
    throw refuse(reasonOf(cause), cause);
  }
  const secret = parseKeyText(text);
  text.fill(0);
  if (typeof secret === "string") {
    throw refuse(secret);
  }
  return { id: keyIdOf(secret), secret };
}

/** `no such file or directory` of `ENOENT: no such file or directory, stat '…'`. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*')?$/s, "");
}

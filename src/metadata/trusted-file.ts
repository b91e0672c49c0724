/**
 * Reads a file that only root can have written. What is checked is what was opened, so nobody can
 * put another file in its place between the check and the reading.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
} from "node:fs";
import { basename, dirname } from "node:path";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const WRITABLE_BY_OTHERS = 0o022n;

/** One thing that is wrong with a file or folder; the message is a sentence with its path. */
export class TrustedFileError extends Error {
  override readonly name = "TrustedFileError";
  readonly code = "VNETD_METADATA_FAILED";
  /** There is no such file or folder. */
  readonly absent: boolean;

  constructor(message: string, options?: ErrorOptions & { readonly absent?: boolean }) {
    super(message, options);
    this.absent = options?.absent ?? false;
  }
}

/** When two are equal, nothing was written in between; null is equal to nothing. */
export type FileStamp = string | null;

export type TrustedFile = { readonly text: string; readonly stamp: FileStamp };

export class TrustedFolder {
  readonly path: string;
  /** Tells it from another folder that is put in its place. */
  readonly identity: string;
  readonly #descriptor: number;
  readonly #ownerUid: bigint;

  /**
   * Opens a folder that belongs to `ownerUid` and that nobody else may write to; neither it nor
   * what is read from it may be a symbolic link, whose target others might own.
   *
   * @throws TrustedFileError
   */
  constructor(path: string, { ownerUid = 0 }: { readonly ownerUid?: number } = {}) {
    this.path = path;
    this.#ownerUid = BigInt(ownerUid);
    this.#descriptor = open(path, path, O_DIRECTORY);
    try {
      const stat = fstatSync(this.#descriptor, { bigint: true });
      requireTrusted(path, stat, this.#ownerUid);
      this.identity = `${stat.dev} ${stat.ino}`;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The names in it, in order. @throws TrustedFileError */
  list(): readonly string[] {
    return attempt(this.path, () => readdirSync(this.#inside("."))).sort();
  }

  /**
   * Says whether a file was written since `read()` gave its stamp, without opening it: what it is
   * now is not checked.
   *
   * @throws TrustedFileError
   */
  stamp(name: string): FileStamp {
    const path = `${this.path}/${name}`;
    return stampOf(attempt(path, () => lstatSync(this.#inside(name), { bigint: true })));
  }

  /** @throws TrustedFileError also for a file above `bytesMax`, and for one that is not UTF-8 */
  read(name: string, { bytesMax }: { readonly bytesMax: number }): TrustedFile {
    const path = `${this.path}/${name}`;
    return this.#withFile(name, (descriptor, stat) => {
      if (stat.size > BigInt(bytesMax)) {
        throw new TrustedFileError(`${path} is above ${bytesMax} bytes: ${stat.size}`);
      }
      const bytes = attempt(path, () => readWhole(descriptor, bytesMax));
      const text = attempt(path, () => new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      return { text, stamp: stampOf(stat) };
    });
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #withFile<T>(name: string, work: (descriptor: number, stat: BigIntStats) => T): T {
    const path = `${this.path}/${name}`;
    // Opening a FIFO would wait for its writer.
    const descriptor = open(this.#inside(name), path, O_NONBLOCK);
    try {
      const stat = fstatSync(descriptor, { bigint: true });
      if (!stat.isFile()) {
        throw new TrustedFileError(`${path} is not a regular file`);
      }
      requireTrusted(path, stat, this.#ownerUid);
      return work(descriptor, stat);
    } finally {
      closeSync(descriptor);
    }
  }

  /** By the open folder, whatever is at its path by now; Node has no openat(). */
  #inside(name: string): string {
    return `/proc/self/fd/${this.#descriptor}/${name}`;
  }
}

/** One file of a folder that is not looked at otherwise. @throws TrustedFileError */
export function readTrustedFile(
  path: string,
  options: { readonly bytesMax: number; readonly ownerUid?: number },
): string {
  const folder = new TrustedFolder(dirname(path), options);
  try {
    return folder.read(basename(path), options).text;
  } finally {
    folder.close();
  }
}

function open(path: string, shownPath: string, flags: number): number {
  return attempt(shownPath, () => openSync(path, O_RDONLY | O_NOFOLLOW | flags));
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof TrustedFileError) {
      throw cause;
    }
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    throw new TrustedFileError(`${path} cannot be read: ${reasonOf(code, cause)}`, {
      cause,
      absent: code === "ENOENT",
    });
  }
}

function reasonOf(code: string, cause: unknown): string {
  switch (code) {
    case "ENOENT":
      return "it is not there";
    case "ELOOP":
      return "it is a symbolic link";
    case "ENOTDIR":
      return "it is no folder";
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return "it is not UTF-8";
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}

function requireTrusted(path: string, { uid, mode }: BigIntStats, ownerUid: bigint): void {
  if (uid !== ownerUid) {
    const owner = ownerUid === 0n ? "root" : `user ${ownerUid}`;
    throw new TrustedFileError(`${path} is not trusted: its owner is ${uid}, not ${owner}`);
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0n) {
    const shown = (mode & 0o7777n).toString(8).padStart(4, "0");
    throw new TrustedFileError(`${path} is not trusted: others may write to it (mode ${shown})`);
  }
}

/** It may grow meanwhile: no more than `bytesMax` are read, and then the file has changed again. */
function readWhole(descriptor: number, bytesMax: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const count = readSync(descriptor, chunk);
    bytes += count;
    if (count === 0) {
      return Buffer.concat(chunks);
    }
    if (bytes > bytesMax) {
      throw new TrustedFileError(`It is above ${bytesMax} bytes`);
    }
    chunks.push(chunk.subarray(0, count));
  }
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs, uid, mode }: BigIntStats): FileStamp {
  // Below the granularity of the file system's clock a second write leaves the time as it is.
  const writtenNowMs = Date.now() - Number(ctimeNs / 1_000_000n);
  const unsure = writtenNowMs < UNSURE_MS;
  return unsure ? null : [dev, ino, size, mtimeNs, ctimeNs, uid, mode].join(" ");
}

/** A jiffy of the slowest kernels is 10 ms. */
export const UNSURE_MS = 50;

/**
 * Files with secrets in them. Opened once and judged by the descriptor, so what was judged is what
 * is read; written so that neither a crash nor a reader ever sees half of one; overwritten before
 * they are let go.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/** Above it a file is not one of keys, and is not read into memory. */
export const SECRET_FILE_BYTES_MAX = 16_384;

const MODE_OTHERS = 0o077;
const MODE_OTHERS_WRITE = 0o022;
const MODE_OWNER_ONLY = 0o600;
const PERMISSION_BITS = 0o777;

/** Not a file that a secret may be read from: the message has the reason, without the path. */
export class UnsafeFileError extends Error {
  override readonly name = "UnsafeFileError";
}

/**
 * The octets of a file that only root or the daemon's own user can read. The caller overwrites
 * them when it is done.
 *
 * @throws UnsafeFileError; the system's error
 */
export async function readSecretFile(path: string): Promise<Buffer> {
  // Before it is opened: opening a device or a pipe can do things, or wait for ever.
  refuseUnsafe(await stat(path));
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    refuseUnsafe(await file.stat());
    return await readBounded(file);
  } finally {
    await file.close();
  }
}

/**
 * Puts `content` in the place of what is at `path`, durably, then overwrites what was there.
 * The caller overwrites `content`.
 *
 * @throws the system's error; the file is then what it was
 */
export async function writeSecretFile(path: string, content: Uint8Array): Promise<void> {
  const former = await openFormer(path);
  try {
    const temporary = `${path}.new`;
    // Left behind by a daemon that was killed: it may hold keys, and may have any mode.
    await wipeFile(temporary);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(temporary, flags, MODE_OWNER_ONLY);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(path);
    await overwrite(former);
  } finally {
    await former?.close();
  }
}

/**
 * Overwrites a file with zeros, on the disk, and removes it; one that is not there is no failure.
 *
 * @throws the system's error
 */
export async function wipeFile(path: string): Promise<void> {
  const file = await openFormer(path);
  if (file === null) {
    return;
  }
  try {
    await overwrite(file);
  } finally {
    await file.close();
  }
  await unlink(path);
  await syncFolder(path);
}

/** Only root and the daemon's own user may change it or what is in it. */
export function isOwnersAlone(stats: Stats): boolean {
  return isTrustedOwner(stats) && (stats.mode & MODE_OTHERS_WRITE) === 0;
}

function refuseUnsafe(stats: Stats): void {
  if (!stats.isFile()) {
    throw new UnsafeFileError("it is not a regular file");
  }
  if (!isTrustedOwner(stats)) {
    throw new UnsafeFileError(`it belongs to user ${stats.uid}, it must belong to root`);
  }
  if ((stats.mode & MODE_OTHERS) !== 0) {
    const mode = (stats.mode & PERMISSION_BITS).toString(8).padStart(4, "0");
    throw new UnsafeFileError(`others can use it, its mode is ${mode} and must be 0600`);
  }
  if (stats.size > SECRET_FILE_BYTES_MAX) {
    throw new UnsafeFileError(`it has ${stats.size} octets, too many for a file of keys`);
  }
}

function isTrustedOwner({ uid }: Stats): boolean {
  return uid === 0 || uid === process.getuid?.();
}

async function readBounded(file: FileHandle): Promise<Buffer> {
  // Not readFile(): it leaves copies in buffers that nobody overwrites.
  const buffer = Buffer.alloc(SECRET_FILE_BYTES_MAX + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) {
      return buffer.subarray(0, length);
    }
    length += bytesRead;
    if (length > SECRET_FILE_BYTES_MAX) {
      buffer.fill(0);
      throw new UnsafeFileError("it grows while it is read");
    }
  }
}

/** Null when there is none; a link or a device in the place of a file is not written through. */
async function openFormer(path: string): Promise<FileHandle | null> {
  try {
    if (!(await lstat(path)).isFile()) {
      await unlink(path);
      return null;
    }
    return await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

async function overwrite(file: FileHandle | null): Promise<void> {
  if (file === null) {
    return;
  }
  const { size, nlink } = await file.stat();
  if (nlink > 1) {
    // Another name of it is somebody's copy, made on purpose: it is not ours to destroy.
    return;
  }
  await file.write(Buffer.alloc(size), 0, size, 0);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

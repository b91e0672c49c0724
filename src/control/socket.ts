/**
 * The Unix socket of the control API: made without a moment in which it has its
 * name and not yet its mode, and put in the place of one that is dead.
 */
import { chmod, chown, readFile, rename, rm, stat } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { basename, dirname, join } from "node:path";

/** sockaddr_un's path of 108 bytes less the terminating zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
const GROUP_FILE = "/etc/group";
const MODE_ROOT_ONLY_MASK = 0o177;
const MODE_WITH_GROUP = 0o660;

/** Which file it is, whatever its name: another daemon's socket is not ours to remove. */
export type SocketIdentity = { readonly device: number; readonly inode: number };

export type ListenOptions = {
  readonly socketPath: string;
  readonly group: string | null;
  readonly log: { info(fields: object, message: string): void };
};

/**
 * Listens under a name of its own first, sets owner and mode, then takes the final name.
 * @throws Error EADDRINUSE when somebody serves on `socketPath`; ENAMETOOLONG; the system's error
 */
export async function listenOnSocket(
  server: Server,
  { socketPath, group, log }: ListenOptions,
): Promise<SocketIdentity> {
  const newPath = join(dirname(socketPath), `.${basename(socketPath)}.${process.pid}`);
  if (Buffer.byteLength(newPath) > SOCKET_PATH_BYTES_MAX) {
    throw systemError("ENAMETOOLONG", `Cannot listen: the path is too long: ${socketPath}`);
  }
  if (await isServed(socketPath)) {
    throw systemError("EADDRINUSE", `Cannot listen: another vnetd serves on ${socketPath}`);
  }
  await rm(newPath, { force: true });
  try {
    await listenRootOnly(server, newPath);
    await admitGroup(newPath, group, log);
    const { dev, ino } = await stat(newPath);
    await rename(newPath, socketPath);
    return { device: dev, inode: ino };
  } catch (error) {
    server.close();
    await rm(newPath, { force: true });
    throw error;
  }
}

/** Removes the socket unless another daemon's has taken its name. */
export async function removeSocket(socketPath: string, identity: SocketIdentity): Promise<void> {
  try {
    const { dev, ino } = await stat(socketPath);
    if (dev === identity.device && ino === identity.inode) {
      await rm(socketPath, { force: true });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw error;
    }
  }
}

async function isServed(socketPath: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const probe = connect(socketPath);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      // EAGAIN: somebody listens and has a full backlog.
      if (error.code === "EAGAIN") {
        resolve(true);
      } else if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
        resolve(false);
      } else {
        reject(error);
      }
    });
  });
}

async function listenRootOnly(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // listen() binds before it returns, so the mask holds for the socket and for nothing else.
    const mask = process.umask(MODE_ROOT_ONLY_MASK);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

async function admitGroup(
  path: string,
  group: string | null,
  log: ListenOptions["log"],
): Promise<void> {
  const gid = group === null ? null : await findGroup(group);
  if (gid === null) {
    return;
  }
  try {
    await chown(path, process.getuid?.() ?? 0, gid);
    await chmod(path, MODE_WITH_GROUP);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") {
      throw error;
    }
    log.info({ group }, "The control socket stays with its owner: no permission to give it away");
  }
}

async function findGroup(name: string): Promise<number | null> {
  const lines = (await readFile(GROUP_FILE, "utf8")).split("\n");
  const fields = lines.map((line) => line.split(":")).find(([group]) => group === name);
  const gid = Number(fields?.[2]);
  return fields !== undefined && Number.isInteger(gid) ? gid : null;
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/**
 * The run directory belongs to one daemon at a time. The lock is an abstract socket, which ends
 * with the process however it ends; the API socket is asked too, because an abstract name is seen
 * in its own network namespace only.
 */
import { mkdir, realpath, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";

export type RunDirectory = {
  readonly apiSocket: string;
  readonly dataplaneSocket: string;
  readonly dataplanePidFile: string;
  /** What the service vnet-dp has its switches from, where it is one. */
  readonly dataplaneServiceFile: string;
  /** Lets go of the lock and removes the pid file. */
  release(): Promise<void>;
};

/** Another daemon has it, or it cannot be made. */
export class RunDirectoryError extends Error {
  override readonly name = "RunDirectoryError";
  readonly code = "VNETD_RUN_DIRECTORY";
}

// sockaddr_un takes 108 octets, the first one zero for an abstract name (unix(7)).
const ABSTRACT_NAME_BYTES_MAX = 107;

/** @throws RunDirectoryError */
export async function takeRunDirectory(directory: string): Promise<RunDirectory> {
  let path: string;
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    path = await realpath(directory);
  } catch (cause) {
    throw failed(directory, cause);
  }
  const apiSocket = join(path, "vnetd.sock");
  const lock = await takeLock(path);
  if (await isServed(apiSocket)) {
    lock.close();
    throw new RunDirectoryError(`Another vnetd serves on ${apiSocket}`);
  }
  const pidFile = join(path, "vnetd.pid");
  try {
    await writeFile(pidFile, `${process.pid}\n`);
  } catch (cause) {
    lock.close();
    throw failed(directory, cause);
  }
  return {
    apiSocket,
    dataplaneSocket: join(path, "dp.sock"),
    dataplanePidFile: join(path, "dp.pid"),
    dataplaneServiceFile: join(path, "vnet-dp.env"),
    async release() {
      await rm(pidFile, { force: true });
      lock.close();
    },
  };
}

function takeLock(path: string): Promise<Server> {
  // The end of a long path: it is the end that tells run directories apart.
  const name = `\0vnetd:${path}`.slice(0, 1) + `vnetd:${path}`.slice(1 - ABSTRACT_NAME_BYTES_MAX);
  const lock = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    lock.once("error", (cause) => {
      const isTaken = "code" in cause && cause.code === "EADDRINUSE";
      reject(isTaken ? new RunDirectoryError(`Another vnetd uses ${path}`) : failed(path, cause));
    });
    lock.listen({ path: name }, () => {
      lock.unref();
      resolve(lock);
    });
  });
}

function isServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // ENOENT, ECONNREFUSED: nobody; anything else shows when the socket is made.
    probe.once("error", () => resolve(false));
  });
}

function failed(directory: string, cause: unknown): RunDirectoryError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RunDirectoryError(`Cannot use run directory ${directory}: ${why}`, { cause });
}

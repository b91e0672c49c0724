/**
 * A real xenstored of its own for a test, without Xen: its socket in a temporary folder, and
 * xenstored-stub.c in place of the hypervisor. Its tree is in memory, and ends with it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROGRAM = "/usr/lib/xen-4.17/bin/xenstored";
const STUB = fileURLToPath(new URL("../../../test/host/xenstored-stub.c", import.meta.url));
const START_WITHIN_MS = 5_000;

/** Why there cannot be one here, or false. */
export function xenstoredIsMissing(): string | false {
  return existsSync(PROGRAM) ? false : `there is no ${PROGRAM} (Debian package xen-utils-4.17)`;
}

export class PrivateXenstored {
  readonly #folder: string;
  #child: ChildProcess | null = null;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<PrivateXenstored> {
    const started = new PrivateXenstored(mkdtempSync(join(tmpdir(), "vnetd-xs-")));
    try {
      const options = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"];
      execFileSync("cc", [...options, "-o", started.#stub, STUB]);
      await started.startStore();
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  }

  get socketPath(): string {
    return join(this.#folder, "socket");
  }

  write(path: string, value: string): void {
    this.#tool("xenstore-write", path, value);
  }

  remove(path: string): void {
    this.#tool("xenstore-rm", path);
  }

  /** @param permissions `n0`, then `r5` and so on */
  setPermissions(path: string, ...permissions: readonly string[]): void {
    this.#tool("xenstore-chmod", path, ...permissions);
  }

  /** With an empty tree. */
  async startStore(): Promise<void> {
    const child = spawn(PROGRAM, ["-N"], {
      stdio: "ignore",
      env: { ...process.env, XENSTORED_RUNDIR: this.#folder, LD_PRELOAD: this.#stub },
    });
    this.#child = child;
    const giveUpAt = Date.now() + START_WITHIN_MS;
    while (!(await this.#isListening())) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > giveUpAt) {
        throw new Error(`xenstored did not start (${child.exitCode ?? child.signalCode})`);
      }
      await delay(5);
    }
  }

  /** As `kill -9`; when it returns, it is gone. */
  async killStore(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    }
  }

  async stop(): Promise<void> {
    await this.killStore();
    rmSync(this.#folder, { recursive: true });
  }

  get #stub(): string {
    return join(this.#folder, "stub.so");
  }

  #isListening(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socketPath);
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
  }

  #tool(program: string, ...args: readonly string[]): void {
    execFileSync(program, args, {
      env: { ...process.env, XENSTORED_PATH: this.socketPath },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
}

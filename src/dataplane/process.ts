/**
 * The running vnet-dp, whoever started it. One that runs is adopted, so a new vnetd loses no
 * frame; none, or one that was started with other options, is replaced by a new one. When the
 * connection ends a new process is up within milliseconds, and the owner replays its state.
 *
 *     close() ── leaves it running          shutdown() ── ends it
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import { DataplaneClient, DataplaneError } from "./client.ts";
import { type DataplaneSettings, formatSwitches, programArguments } from "./settings.ts";

export type DataplaneLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type DataplaneProcessOptions = {
  readonly settings: DataplaneSettings;
  readonly log: DataplaneLog;
  /** A data plane is there; `adopted`: it was running already and carries frames. */
  readonly onConnected: (client: DataplaneClient, adopted: boolean) => void;
  readonly onLost: () => void;
  readonly onEvent: (event: DataplaneEvent) => void;
};

const READY_DEADLINE_MS = 5_000;
const END_DEADLINE_MS = 3_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 5_000;
/** A data plane that was up for longer was no failed start. */
const STABLE_MS = 1_000;
const POLL_MS = 10;
const OUTPUT_CHARACTERS_MAX = 4_096;

export class DataplaneProcess {
  readonly #options: DataplaneProcessOptions;
  #client: DataplaneClient | null = null;
  #retry: NodeJS.Timeout | null = null;
  #retryMs = RETRY_MS_MIN;
  #connectedAt = 0;
  #closed = false;
  #error: string | null = null;
  #startedHere = false;
  /** The process whose last connection ended as soon as it began: once may be chance. */
  #shortLivedPid: number | null = null;
  /** The process that is not to be adopted again: we do not understand each other. */
  #unusablePid: number | null = null;

  constructor(options: DataplaneProcessOptions) {
    this.#options = options;
  }

  get client(): DataplaneClient | null {
    return this.#client;
  }

  /** Why there is no data plane; null while there is one or while it starts for the first time. */
  get error(): string | null {
    return this.#error;
  }

  /** Whether the one that runs was started by this process, and not adopted. */
  get startedHere(): boolean {
    return this.#startedHere;
  }

  /**
   * Adopts or starts one; afterwards keeps one running.
   *
   * @throws DataplaneError when there is none to adopt and it cannot be started
   */
  async start(): Promise<void> {
    await this.#connect();
  }

  /** Hangs up; vnet-dp goes on carrying frames. */
  close(): void {
    this.#closed = true;
    if (this.#retry !== null) {
      clearTimeout(this.#retry);
    }
    this.#client?.close();
    this.#client = null;
  }

  /** Ends vnet-dp; TAPs and bridges stay. */
  async shutdown(): Promise<void> {
    const client = this.#client;
    const pid = client?.welcome.pid;
    this.#closed = true;
    try {
      await client?.request({ kind: "shutdown" });
    } catch (error) {
      // It may be gone before its answer is; whether it has ended is what is looked at next.
      this.#options.log.warn({ err: error }, "vnet-dp did not confirm its end");
    }
    this.close();
    if (pid !== undefined) {
      await endProcess(pid);
    }
  }

  async #connect(): Promise<void> {
    const adopted = (await this.#adopt()) ?? null;
    const client = adopted ?? (await this.#spawn());
    this.#startedHere = adopted === null;
    if (this.#closed) {
      client.close();
      return;
    }
    this.#client = client;
    this.#error = null;
    this.#connectedAt = performance.now();
    const { pid, udpPort, options } = client.welcome;
    this.#options.log.info(
      { dataplanePid: pid, udpPort, options },
      adopted === null ? "started vnet-dp" : "adopted the running vnet-dp",
    );
    this.#options.onConnected(client, adopted !== null);
  }

  /** The running one, or null when there is none (any more) that could be used. */
  async #adopt(): Promise<DataplaneClient | null> {
    const { settings, log } = this.#options;
    let client: DataplaneClient;
    try {
      client = await this.#open();
    } catch (error) {
      if (isNobodyThere(error)) {
        return null;
      }
      log.warn({ err: error }, "the running vnet-dp cannot be adopted, it is replaced");
      const pid = await readPid(settings.pidFile);
      if (pid !== null) {
        await endProcess(pid);
      }
      return null;
    }
    const wanted = formatSwitches(settings);
    const { pid, options } = client.welcome;
    if (options === wanted && pid !== this.#unusablePid) {
      return client;
    }
    if (pid === this.#unusablePid) {
      log.warn({ dataplanePid: pid }, "the running vnet-dp is not understood, it is replaced");
    } else {
      log.warn({ options, wanted }, "the running vnet-dp has other options, it is replaced");
    }
    client.close();
    await endProcess(pid);
    return null;
  }

  #open(): Promise<DataplaneClient> {
    let opened: DataplaneClient | null = null;
    const connecting = DataplaneClient.connect({
      socketPath: this.#options.settings.socketPath,
      onEvent: (event) => this.#options.onEvent(event),
      onEnd: (why, defect) => {
        if (opened !== null && opened === this.#client) {
          this.#lose(why, defect);
        }
      },
    });
    return connecting.then((client) => {
      opened = client;
      return client;
    });
  }

  async #spawn(): Promise<DataplaneClient> {
    const { program } = this.#options.settings;
    const child = spawn(program, programArguments(this.#options.settings), {
      // In a session of its own: what ends vnetd's terminal or group does not end it.
      detached: true,
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
    await untilReady(child, program);
    child.unref();
    return await this.#open();
  }

  #lose(why: string, defect: boolean): void {
    const pid = this.#client?.welcome.pid ?? null;
    this.#client = null;
    this.#error = `vnet-dp is gone: ${why}`;
    this.#options.log.error({ code: "VNETD_DATAPLANE_FAILED" }, this.#error);
    this.#options.onLost();
    const livedMs = performance.now() - this.#connectedAt;
    // One that lives on but hangs up on each greeting would be adopted without end.
    this.#unusablePid =
      defect || (livedMs <= STABLE_MS && pid === this.#shortLivedPid) ? pid : this.#unusablePid;
    this.#shortLivedPid = livedMs <= STABLE_MS ? pid : null;
    if (livedMs > STABLE_MS) {
      this.#retryMs = RETRY_MS_MIN;
      this.#tryAgain(0);
    } else {
      // One that dies as soon as it is up must not be started as fast as it can die.
      this.#backOff();
    }
  }

  #backOff(): void {
    this.#tryAgain(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #tryAgain(afterMs: number): void {
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#connect().catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        if (this.#closed) {
          return;
        }
        if (message !== this.#error) {
          this.#options.log.error({ code: "VNETD_DATAPLANE_FAILED" }, message);
        }
        this.#error = message;
        this.#backOff();
      });
    }, afterMs);
  }
}

/**
 * Waits for the line `ready`.
 *
 * @throws DataplaneError with the line that it printed instead
 */
function untilReady(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    let errors = "";
    const fail = (why: string): void => {
      clearTimeout(deadline);
      reject(new DataplaneError(`Cannot start ${program}: ${why}`, 0));
    };
    const deadline = setTimeout(() => {
      child.kill("SIGKILL");
      fail(`it was not ready within ${READY_DEADLINE_MS} ms`);
    }, READY_DEADLINE_MS);
    child.stdout?.on("data", (bytes: Buffer) => {
      output = (output + bytes.toString()).slice(0, OUTPUT_CHARACTERS_MAX);
      if (/^ready$/m.test(output)) {
        clearTimeout(deadline);
        // The pipes have done their work; vnet-dp logs by events.
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve();
      }
    });
    child.stderr?.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(0, OUTPUT_CHARACTERS_MAX);
    });
    child.on("error", (error) => fail(error.message));
    child.on("close", (status, signal) => {
      const line = errors
        .trim()
        .split("\n")
        .at(-1)
        ?.replace(/^vnet-dp: /, "");
      fail(line || `it ended with ${status ?? signal}`);
    });
  });
}

/** SIGTERM, then SIGKILL; resolves once the process is gone. */
async function endProcess(pid: number): Promise<void> {
  if (!(await isDataplane(pid))) {
    return;
  }
  kill(pid, "SIGTERM");
  const killAt = performance.now() + END_DEADLINE_MS;
  let killed = false;
  while (await isDataplane(pid)) {
    if (!killed && performance.now() > killAt) {
      kill(pid, "SIGKILL");
      killed = true;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A pid may have been given to another program since it was written down. */
async function isDataplane(pid: number): Promise<boolean> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    // A zombie has ended, whoever is to reap it.
    return /^Name:\s*vnet-dp$/m.test(status) && !/^State:\s*Z/m.test(status);
  } catch {
    // No such process.
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) {
      throw error;
    }
  }
}

async function readPid(file: string): Promise<number | null> {
  try {
    const text = (await readFile(file, "utf8")).trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

function isNobodyThere(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ECONNREFUSED";
}

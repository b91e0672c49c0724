/**
 * The running vnet-dp, whoever started it. One that runs is adopted, so a new vnetd loses no
 * frame; none, or one that was started with other options, is replaced by a new one, which systemd
 * starts where it is a service. When the connection ends a new process is up within milliseconds,
 * and the owner replays its state.
 *
 *     close() ── leaves it running          shutdown() ── ends it
 */
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import { DataplaneClient } from "./client.ts";
import { endProcess, readPid } from "./end-process.ts";
import { callService } from "./service.ts";
import { type DataplaneSettings, formatSwitches } from "./settings.ts";
import { startProcess } from "./start-process.ts";

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

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 5_000;
/** A data plane that was up for longer was no failed start. */
const STABLE_MS = 1_000;

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
    if (pid !== undefined && this.#options.settings.serviceFile === null) {
      await endProcess(pid);
    }
  }

  async #connect(): Promise<void> {
    const adopted = await this.#find();
    const client = adopted ?? (await this.#start());
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

  /** One that runs, or that systemd starts for us. */
  #find(): Promise<DataplaneClient | null> {
    const { settings, log } = this.#options;
    return settings.serviceFile === null
      ? this.#adopt()
      : callService(settings.serviceFile, {
          ...{ settings, log },
          open: () => this.#open(),
          refuse: (client) => this.#whyUnusable(client),
        });
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
    const why = this.#whyUnusable(client);
    if (why === null) {
      return client;
    }
    const { pid, options } = client.welcome;
    const wanted = formatSwitches(settings);
    log.warn({ dataplanePid: pid, options, wanted }, `the running vnet-dp ${why}, it is replaced`);
    client.close();
    await endProcess(pid);
    return null;
  }

  #whyUnusable({ welcome: { pid, options } }: DataplaneClient): string | null {
    if (pid === this.#unusablePid) {
      return "is not understood";
    }
    return options === formatSwitches(this.#options.settings) ? null : "has other options";
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

  async #start(): Promise<DataplaneClient> {
    await startProcess(this.#options.settings);
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

function isNobodyThere(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ECONNREFUSED";
}

/**
 * Says that links, addresses or routes have changed. One long-running `ip monitor`; when it ends it
 * is started again, and when it may have missed something it says so.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export type LinkMonitor = { close(): void };

export type LinkMonitorOptions = {
  /** A line that `ip monitor` printed. */
  readonly onLine: (line: string) => void;
  /** Lines were lost: look at everything. */
  readonly onGap: () => void;
  /** `ip monitor` could not be run or ended; it is tried again. */
  readonly onFailure: (why: string) => void;
};

const RESTART_AFTER_MS = 2_000;

/** Starts watching; what changes before the child is ready is not seen, so look after a gap too. */
export function watchLinks({ onLine, onGap, onFailure }: LinkMonitorOptions): LinkMonitor {
  let closed = false;
  let restart: NodeJS.Timeout | null = null;
  let child = start();

  function start(): ChildProcess {
    const started = spawn("ip", ["monitor", "link", "address", "route"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    createInterface({ input: started.stdout }).on("line", onLine);
    // A full receive buffer is reported there (ENOBUFS).
    started.stderr.on("data", onGap);
    let ended = false;
    const end = (why: string): void => {
      if (!ended && !closed) {
        onFailure(why);
        restart = setTimeout(restartNow, RESTART_AFTER_MS);
      }
      ended = true;
    };
    started.on("error", (error) => end(error.message));
    started.on("exit", (status, signal) => end(`ip monitor ended (${status ?? signal})`));
    return started;
  }

  function restartNow(): void {
    child = start();
    onGap();
  }

  return {
    close() {
      closed = true;
      if (restart !== null) {
        clearTimeout(restart);
      }
      child.kill("SIGKILL");
    },
  };
}

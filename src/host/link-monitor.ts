/**
 * Says that links, addresses or routes changed, and nothing more: the listener reads the whole
 * truth. One long-running `ip monitor`; when it ends it is started again, with a wake-up because
 * something may have been missed.
 */
import { spawn } from "node:child_process";

export type LinkMonitor = { close(): void };

export type LinkMonitorOptions = {
  readonly onChange: () => void;
  /** `ip monitor` could not be run or ended; it is tried again. */
  readonly onFailure: (why: string) => void;
};

const RESTART_AFTER_MS = 2_000;

/** Starts watching; `onChange` comes once for every burst that is read at once. */
export function watchLinks({ onChange, onFailure }: LinkMonitorOptions): LinkMonitor {
  let closed = false;
  let restart: NodeJS.Timeout | null = null;
  let child = start();

  function start(): ReturnType<typeof spawn> {
    const started = spawn("ip", ["monitor", "link", "address", "route"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.stdout?.on("data", onChange);
    // A full receive buffer is reported there (ENOBUFS): changes were lost, so look.
    started.stderr?.on("data", onChange);
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
    onChange();
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

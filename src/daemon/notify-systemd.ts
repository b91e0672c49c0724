/**
 * What systemd is told, when it has asked to be (sd_notify(3)): that the daemon is ready, and, as
 * long as its event loop turns, that it is alive.
 */
import type { RunProgram } from "../host/child.ts";
import type { Log } from "./log.ts";

export type SystemdLink = {
  /** The daemon serves; from here on it gives signs of life. */
  ready(): Promise<void>;
  /** The daemon is about to end. */
  close(): void;
};

export type SystemdOptions = {
  readonly run: RunProgram;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** One that is late or lost must not end the daemon. */
const SIGNS_A_PERIOD = 3;
const MICROSECONDS = 1_000;

export function linkToSystemd({ run, log, environment }: SystemdOptions): SystemdLink {
  const { NOTIFY_SOCKET: socket = "" } = environment;
  const periodMs = watchdogMs(environment);
  let timer: NodeJS.Timeout | null = null;
  /** Node has no datagram sockets of the Unix domain; systemd brings a program for that. */
  const tell = async (state: string): Promise<void> => {
    if (socket === "") {
      return;
    }
    try {
      const { exitStatus, stderr } = await run({ program: "systemd-notify", args: [state] });
      if (exitStatus !== 0) {
        log.warn({ exitStatus, state, stderr: stderr.trim() }, "systemd-notify failed");
      }
    } catch (error) {
      log.warn({ err: error, state }, "cannot tell systemd");
    }
  };
  return {
    async ready() {
      await tell("READY=1");
      if (periodMs !== null) {
        timer = setInterval(() => void tell("WATCHDOG=1"), periodMs / SIGNS_A_PERIOD);
      }
    },
    close() {
      if (timer !== null) {
        clearInterval(timer);
      }
    },
  };
}

/** How long systemd waits for a sign; null: it does not. */
function watchdogMs(environment: SystemdOptions["environment"]): number | null {
  const { WATCHDOG_USEC: microseconds = "" } = environment;
  return /^[1-9]\d{0,14}$/.test(microseconds) ? Number(microseconds) / MICROSECONDS : null;
}

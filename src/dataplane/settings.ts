/** What vnet-dp is started with; it reports the switches back, so one that runs can be compared. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

export type DataplaneSettings = {
  /** The program file. */
  readonly program: string;
  readonly socketPath: string;
  readonly pidFile: string;
  /**
   * Null: we start and end it. Else it is a service that systemd starts for whoever connects, and
   * this is the file that it has its switches from.
   */
  readonly serviceFile: string | null;
  /** Null: `vnetd-dp` where that user exists, else `nobody`. */
  readonly user: string | null;
  readonly udpPort: number;
  readonly tapOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly udpCoalescing: boolean;
};

const PROGRAM = "vnet-dp";
const PACKAGED_PROGRAM = "/usr/libexec/vnetd/vnet-dp";

/** Beside the file that vnetd itself is (a checkout's bin/), else where packages put it. */
export function findProgram(vnetdFile: string): string {
  const beside = join(dirname(vnetdFile), PROGRAM);
  return existsSync(beside) ? beside : PACKAGED_PROGRAM;
}

export function programArguments(settings: DataplaneSettings): string[] {
  return [
    ...["--socket", settings.socketPath, "--pid-file", settings.pidFile],
    ...(settings.user === null ? [] : ["--user", settings.user]),
    ...switches(settings),
  ];
}

/** As `Welcome` reports them: the ones that change what a running process does. */
export function formatSwitches(settings: DataplaneSettings): string {
  return switches(settings).join(" ");
}

function switches(settings: DataplaneSettings): string[] {
  return [
    ...["--port", String(settings.udpPort)],
    ...(settings.tapOffload ? [] : ["--no-tap-offload"]),
    ...(settings.udpSegmentation ? [] : ["--no-udp-gso"]),
    ...(settings.udpCoalescing ? [] : ["--no-udp-gro"]),
  ];
}

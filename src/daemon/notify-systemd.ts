/** Tells systemd that the daemon is ready (sd_notify(3)), when systemd has asked to be told. */
import type { RunProgram } from "../host/child.ts";
import type { Log } from "./log.ts";

/** Node has no datagram sockets of the Unix domain; systemd brings a program for that. */
export async function notifyReady(run: RunProgram, log: Log): Promise<void> {
  const { NOTIFY_SOCKET: socket } = process.env;
  if (socket === undefined || socket === "") {
    return;
  }
  try {
    const args = ["--ready", `--pid=${process.pid}`];
    const { exitStatus, stderr } = await run({ program: "systemd-notify", args });
    if (exitStatus !== 0) {
      log.warn({ exitStatus, stderr: stderr.trim() }, "systemd-notify failed");
    }
  } catch (error) {
    log.warn({ err: error }, "cannot tell systemd that vnetd is ready");
  }
}

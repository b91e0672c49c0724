/** Whether Open vSwitch's database answers: what `vn status` says of it, without starting a program. */
import { connect } from "node:net";
import { join } from "node:path";

const PROBE_MS = 500;

/** @param runDirectory where `db.sock` is, such as /var/run/openvswitch */
export async function isOvsRunning(runDirectory: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(join(runDirectory, "db.sock"));
    const finish = (running: boolean) => {
      socket.destroy();
      resolve(running);
    };
    socket.setTimeout(PROBE_MS, () => finish(false));
    socket.once("connect", () => finish(true));
    // Whatever the reason, there is nothing to be reached: ENOENT, ECONNREFUSED, EACCES.
    socket.once("error", () => finish(false));
  });
}

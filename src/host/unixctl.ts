/**
 * Commands for a running ovs-vswitchd, as `ovs-appctl` gives them: over the control socket that its
 * pid file leads to (ovs-appctl(8)).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { JsonRpcConnection, JsonRpcError } from "./json-rpc.ts";

export type UnixctlOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  /** `bond/show` */
  readonly command: string;
  readonly args: readonly string[];
  /** @default 5000 */
  readonly deadlineMs?: number;
};

const PROGRAM = "ovs-vswitchd";
const DEADLINE_MS = 5_000;

/**
 * What the command prints.
 *
 * @throws JsonRpcError `refused` with what it says when it fails; `no-socket` without a switch
 */
export async function callUnixctl(options: UnixctlOptions): Promise<string> {
  const { runDirectory, command, args, deadlineMs = DEADLINE_MS } = options;
  const pid = await readPid(join(runDirectory, `${PROGRAM}.pid`));
  const connection = await JsonRpcConnection.connect({
    socketPath: join(runDirectory, `${PROGRAM}.${pid}.ctl`),
    server: PROGRAM,
    deadlineMs,
    onNotification() {},
    // The request is rejected with the same.
    onEnd() {},
  });
  try {
    const result = await connection.request(command, args);
    return typeof result === "string" ? result : "";
  } catch (error) {
    if (error instanceof JsonRpcError && error.reason === "refused") {
      const message = `Cannot run ${command} in ${PROGRAM}: ${error.message}`;
      throw new JsonRpcError("refused", message, { cause: error });
    }
    throw error;
  } finally {
    connection.close();
  }
}

async function readPid(path: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      const why = `There is no ${path}: ${PROGRAM} is not running`;
      throw new JsonRpcError("no-socket", why, { cause });
    }
    const permitted = code !== "EACCES" && code !== "EPERM";
    const why = permitted ? `Cannot read ${path}: ${message}` : `Not permitted to read ${path}`;
    throw new JsonRpcError(permitted ? "ended" : "no-permission", why, { cause });
  }
  if (!/^\d{1,10}\s*$/.test(text)) {
    throw new JsonRpcError("no-socket", `There is no process id in ${path}`);
  }
  return Number(text);
}

/**
 * Open vSwitch bridges and their ports through `ovs-vsctl`, for vnets with `--ovs`. Every call is
 * one transaction: what it asks for happens whole or not at all.
 */
import { ProgramError, type RunProgram } from "./child.ts";

/** Open vSwitch is missing, not running, or refused. */
export class OvsError extends Error {
  override readonly name = "OvsError";
  readonly code = "VNETD_OVS_FAILED";
}

const OVS_DEADLINE_MS = 15_000;
// vswitchd must answer within this time; without it a stopped one would hang the caller.
const OVS_TIMEOUT_SECONDS = 10;
const NO_SUCH_BRIDGE_STATUS = 2;
const NOT_SET_UP = "Error detected while setting up";

/** Who made a bridge is written beside it, so that no other's bridge is ever deleted. */
const OWNER = "external_ids:vnetd";

export class OvsVsctl {
  readonly #run: RunProgram;
  readonly #databaseSocket: string;

  /** @param runDirectory where `db.sock` is, such as /var/run/openvswitch */
  constructor(run: RunProgram, runDirectory: string) {
    this.#run = run;
    this.#databaseSocket = `unix:${runDirectory}/db.sock`;
  }

  /** @throws OvsError */
  async bridgeExists(bridge: string): Promise<boolean> {
    const { exitStatus, stderr } = await this.#vsctl(["br-exists", bridge]);
    if (exitStatus !== 0 && exitStatus !== NO_SUCH_BRIDGE_STATUS) {
      throw failure(`look for bridge ${bridge}`, stderr);
    }
    return exitStatus === 0;
  }

  /**
   * Adds the port unless it is there.
   *
   * @throws OvsError also when the port is on another bridge
   */
  async attach(bridge: string, port: string): Promise<void> {
    await this.#change(`attach ${port} to ${bridge}`, ["--may-exist", "add-port", bridge, port]);
  }

  /**
   * Creates a bridge, marked as ours. Where the kernel has no datapath of Open vSwitch it is one
   * in user space.
   *
   * @throws OvsError; there is no such bridge then
   */
  async createBridge(bridge: string): Promise<void> {
    const what = `create bridge ${bridge}`;
    const create = ["add-br", bridge, "--", "set", "Bridge", bridge, `${OWNER}=made`];
    try {
      await this.#change(what, create);
    } catch (error) {
      if (!(error instanceof OvsError && error.message.includes(NOT_SET_UP))) {
        throw error;
      }
      // The database has the bridge all the same: vswitchd only could not make its device.
      await this.deleteBridge(bridge);
      try {
        await this.#change(what, [...create, "datapath_type=netdev"]);
      } catch (second) {
        await this.deleteBridge(bridge);
        throw second;
      }
    }
  }

  /** @throws OvsError */
  async detach(bridge: string, port: string): Promise<void> {
    await this.#change(`detach ${port} from ${bridge}`, ["--if-exists", "del-port", bridge, port]);
  }

  /** @throws OvsError */
  async deleteBridge(bridge: string): Promise<void> {
    await this.#change(`delete bridge ${bridge}`, ["--if-exists", "del-br", bridge]);
  }

  /**
   * What the bridge does without flows of a controller; null: as if nothing was ever said. A change
   * deletes all flows.
   *
   * @throws OvsError also when there is no such bridge
   */
  async setFailMode(bridge: string, mode: "standalone" | "secure" | null): Promise<void> {
    const args = mode === null ? ["del-fail-mode", bridge] : ["set-fail-mode", bridge, mode];
    await this.#change(`set the fail mode of bridge ${bridge}`, args);
  }

  /** @throws OvsError also when there is no such bridge */
  async listPorts(bridge: string): Promise<string[]> {
    return splitLines(await this.#change(`list the ports of ${bridge}`, ["list-ports", bridge]));
  }

  /** @throws OvsError also when there is no such bridge */
  async isOurs(bridge: string): Promise<boolean> {
    const args = ["--if-exists", "get", "Bridge", bridge, OWNER];
    return (await this.#change(`look at bridge ${bridge}`, args)).trim() === "made";
  }

  /**
   * Which bridge each port of this host is on.
   *
   * @throws OvsError
   */
  async mapPorts(): Promise<ReadonlyMap<string, string>> {
    const bridges = splitLines(await this.#change("list the bridges", ["list-br"]));
    if (bridges.length === 0) {
      return new Map();
    }
    // One line a command, the ports separated by a backslash and an n.
    const queries = bridges.flatMap((bridge) => ["--", "list-ports", bridge]);
    const answers = (await this.#change("list the ports", ["--oneline", ...queries])).split("\n");
    return new Map(
      bridges.flatMap((bridge, index) =>
        (answers[index] ?? "")
          .split("\\n")
          .filter((port) => port !== "")
          .map((port) => [port, bridge] as const),
      ),
    );
  }

  async #change(what: string, args: readonly string[]): Promise<string> {
    const { exitStatus, stdout, stderr } = await this.#vsctl(args);
    if (exitStatus !== 0) {
      throw failure(what, stderr);
    }
    // ovs-vsctl exits 0 when vswitchd could not make the device: the words are on stderr.
    if (stderr.includes(NOT_SET_UP)) {
      throw failure(what, stderr);
    }
    return stdout;
  }

  async #vsctl(
    args: readonly string[],
  ): Promise<{ exitStatus: number; stdout: string; stderr: string }> {
    try {
      return await this.#run({
        program: "ovs-vsctl",
        args: [`--db=${this.#databaseSocket}`, `--timeout=${OVS_TIMEOUT_SECONDS}`, ...args],
        deadlineMs: OVS_DEADLINE_MS,
      });
    } catch (cause) {
      if (cause instanceof ProgramError && cause.reason === "ENOENT") {
        throw new OvsError("Open vSwitch is not installed (no ovs-vsctl)", { cause });
      }
      throw new OvsError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }
}

function splitLines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function failure(what: string, stderr: string): OvsError {
  const reason = stderr
    .split("\n")
    .map((line) => line.replace(/^ovs-vsctl: |^.*\|(?:WARN|ERR)\|/, "").trim())
    .filter((line) => line !== "");
  return new OvsError(`Cannot ${what}: ${reason.join("; ") || "ovs-vsctl gave no reason"}`);
}

/**
 * A real Open vSwitch of its own for a test: database, switch, sockets and logs in one temporary
 * folder. It has dummy ports instead of network devices, so that it needs neither root nor the
 * kernel, or the devices of one network namespace, in user space too.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const END_WITHIN_MS = 5_000;

export class PrivateSwitch {
  readonly runDirectory: string;
  readonly bridge = "br0";

  /** Null: dummy ports. */
  readonly #namespace: string | null;

  private constructor(runDirectory: string, namespace: string | null) {
    this.runDirectory = runDirectory;
    this.#namespace = namespace;
  }

  /** A bridge `br0` with `fail_mode=secure` and dummy ports, each named `p` and its number. */
  static start(ofports: readonly number[]): PrivateSwitch {
    const started = PrivateSwitch.#start(null);
    try {
      for (const ofport of ofports) {
        started.addPort(ofport);
      }
      return started;
    } catch (error) {
      started.stop();
      throw error;
    }
  }

  /** A bridge `br0` with `fail_mode=secure`, for the devices of that namespace. */
  static startIn(namespace: string): PrivateSwitch {
    return PrivateSwitch.#start(namespace);
  }

  static #start(namespace: string | null): PrivateSwitch {
    const folder = mkdtempSync(join(tmpdir(), "vnetd-ovs-"));
    const started = new PrivateSwitch(folder, namespace);
    try {
      started.#makeDatabase();
      started.startSwitch();
      const type = `datapath_type=${namespace === null ? "dummy" : "netdev"}`;
      started.vsctl("add-br", "br0", "--", "set", "bridge", "br0", type, "fail_mode=secure");
      return started;
    } catch (error) {
      started.stop();
      throw error;
    }
  }

  addPort(ofport: number): void {
    const name = `p${ofport}`;
    const set = ["set", "interface", name, "type=dummy", `ofport_request=${ofport}`];
    this.vsctl("add-port", "br0", name, "--", ...set);
  }

  vsctl(...args: readonly string[]): string {
    return this.#run("ovs-vsctl", [`--db=unix:${this.runDirectory}/db.sock`, ...args]);
  }

  /** @param input what it reads from `-` */
  ofctl(args: readonly string[], input = ""): string {
    return this.#run("ovs-ofctl", args, input);
  }

  appctl(...args: readonly string[]): string {
    return this.#run("ovs-appctl", ["-t", "ovs-vswitchd", ...args]);
  }

  /** The flows as `ovs-ofctl dump-flows --no-stats --no-names` prints them, sorted. */
  dumpFlows(): readonly string[] {
    const args = ["-O", "OpenFlow10", "dump-flows", "--no-stats", "--no-names", this.bridge];
    const lines = this.ofctl(args).trim().split("\n");
    return lines
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .toSorted();
  }

  /** Starts ovs-vswitchd, and waits until it serves what the database says. */
  startSwitch(): void {
    const inNamespace = this.#namespace === null ? [] : ["ip", "netns", "exec", this.#namespace];
    const [program = "", ...args] = [...inNamespace, "ovs-vswitchd"];
    this.#run(program, [
      ...args,
      `unix:${this.runDirectory}/db.sock`,
      ...(this.#namespace === null ? ["--enable-dummy=override"] : []),
      ...["--disable-system", "--detach", "--no-chdir"],
      // Under its usual names in the folder.
      "--pidfile",
      `--log-file=${this.runDirectory}/vswitchd.log`,
    ]);
  }

  signalSwitch(signal: "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.#pid("ovs-vswitchd") ?? Number.NaN, signal);
  }

  signalDatabase(signal: "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.#pid("ovsdb") ?? Number.NaN, signal);
  }

  /** As `kill -9` of ovs-vswitchd; when it returns, all its sockets are closed. */
  killSwitch(): void {
    endProcess(this.#pid("ovs-vswitchd") ?? Number.NaN);
  }

  /** As `kill -9` of ovsdb-server. */
  killDatabase(): void {
    endProcess(this.#pid("ovsdb") ?? Number.NaN);
  }

  /** Starts ovsdb-server with the database as it is. */
  startDatabase(): void {
    const folder = this.runDirectory;
    this.#run("ovsdb-server", [
      join(folder, "conf.db"),
      ...[`--remote=punix:${folder}/db.sock`, "--detach", "--no-chdir"],
      ...[`--pidfile=${folder}/ovsdb.pid`, `--unixctl=${folder}/ovsdb.ctl`],
      `--log-file=${folder}/ovsdb.log`,
    ]);
  }

  /** Ends both programs, and removes the folder. */
  stop(): void {
    for (const program of ["ovs-vswitchd", "ovsdb"]) {
      const pid = this.#pid(program);
      if (pid !== null) {
        endProcess(pid);
      }
    }
    rmSync(this.runDirectory, { recursive: true });
  }

  #makeDatabase(): void {
    this.#run("ovsdb-tool", ["create", join(this.runDirectory, "conf.db"), SCHEMA]);
    this.startDatabase();
    this.vsctl("--no-wait", "init");
  }

  #pid(program: string): number | null {
    const file = join(this.runDirectory, `${program}.pid`);
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
  }

  #run(program: string, args: readonly string[], input = ""): string {
    const { runDirectory } = this;
    const folders = { OVS_RUNDIR: runDirectory, OVS_LOGDIR: runDirectory, OVS_DBDIR: runDirectory };
    return execFileSync(program, args, {
      env: { ...process.env, ...folders },
      encoding: "utf8",
      input,
      maxBuffer: 64 << 20,
      stdio: ["pipe", "pipe", "pipe"],
    });
  }
}

/** A daemon is nobody's child here: that it is gone, or waits for init to notice, is in /proc. */
function endProcess(pid: number): void {
  const giveUpAt = Date.now() + END_WITHIN_MS;
  try {
    process.kill(pid, "SIGKILL");
    while (!/^\d+ \([^)]*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) {
      if (Date.now() > giveUpAt) {
        throw new Error(`Process ${pid} did not end`);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "ENOENT") {
      throw error;
    }
  }
}

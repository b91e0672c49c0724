/**
 * Hosts, VMs and the network between them, as namespaces on this one machine.
 *
 *      VM namespace         host namespace                hub namespace
 *     ┌──────────┐   ┌──────────────────────────────┐   ┌─────────────┐
 *     │     eth0 ├───┤ vif0 ─ bridge ─ TAP ─ vnet-dp │   │             │
 *     └──────────┘   │                       │  u1 ─┼───┤ seg1 bridge │
 *                    └──────────────────────────────┘   └─────────────┘
 *
 * A segment is one broadcast domain of the underlay: multicast reaches every host on it and,
 * with a time to live of 1, none elsewhere. Everything is named `vnt-<pid>-…`, lives in
 * namespaces of the lab, and goes with {@link Lab.close}.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, run, tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

/** The checkout: the compiled tests are three folders below it. */
export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Why the namespace suites cannot run here, or false when they can. */
export const SKIP_REASON: string | false =
  process.getuid?.() === 0 ? false : "needs root: makes network namespaces";

export type SegmentOptions = {
  readonly mtu?: number;
  /** False: hosts send every datagram by itself with its checksums complete, as over a real wire. */
  readonly offload?: boolean;
};

export type Segment = {
  /** The bridge in the hub namespace; capture here. */
  readonly device: string;
  readonly index: number;
  readonly mtu: number;
  readonly offload: boolean;
};

let labCount = 0;
const openLabs = new Set<Lab>();

/** The last line of defence: a test process that ends early still leaves nothing behind. */
process.on("exit", () => {
  for (const lab of openLabs) {
    lab.destroy();
  }
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}

export class Lab {
  readonly name: string;
  readonly hub: string;
  /** Run directories, state directories and files of the lab. */
  readonly folder: string;
  readonly #namespaces: string[] = [];
  readonly #closers: (() => Promise<void>)[] = [];
  #segmentCount = 0;
  /** Hosts made so far: their numbers are parts of addresses. */
  hostCount = 0;

  private constructor() {
    labCount += 1;
    this.name = `vnt-${process.pid}-${labCount}`;
    this.hub = `${this.name}-hub`;
    this.folder = mkdtempSync(join(tmpdir(), `${this.name}-`));
    openLabs.add(this);
  }

  static async create(): Promise<Lab> {
    const lab = new Lab();
    await lab.namespace("hub");
    return lab;
  }

  /** A namespace of the lab; returns its full name. */
  async namespace(name: string): Promise<string> {
    const full = `${this.name}-${name}`;
    await run("ip", ["netns", "add", full]);
    this.#namespaces.push(full);
    await run("ip", ["-n", full, "link", "set", "lo", "up"]);
    return full;
  }

  async segment(options: SegmentOptions = {}): Promise<Segment> {
    this.#segmentCount += 1;
    const segment: Segment = {
      device: `seg${this.#segmentCount}`,
      index: this.#segmentCount,
      mtu: options.mtu ?? 1500,
      offload: options.offload ?? true,
    };
    await this.batch(this.hub, [
      `link add name ${segment.device} mtu ${segment.mtu} type bridge mcast_snooping 0`,
      `link set ${segment.device} up`,
    ]);
    return segment;
  }

  /** Plugs a device of a namespace into a segment. */
  async plug(namespace: string, device: string, port: string, segment: Segment): Promise<void> {
    await run("ip", [
      ...["link", "add", "name", device, "mtu", `${segment.mtu}`, "netns", namespace],
      ...["type", "veth", "peer", "name", port, "mtu", `${segment.mtu}`, "netns", this.hub],
    ]);
    if (!segment.offload) {
      await run("ip", ["netns", "exec", namespace, "ethtool", "-K", device, ...OFFLOADS_OFF]);
    }
    await this.batch(this.hub, [`link set ${port} master ${segment.device} up`]);
    await this.batch(namespace, [`link set ${device} up`]);
  }

  /** Lines for `ip -batch`, in one namespace. */
  async batch(namespace: string, lines: readonly string[]): Promise<void> {
    await run("ip", ["-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  async sysctl(namespace: string, key: string, value: string): Promise<void> {
    await run("ip", ["netns", "exec", namespace, "sysctl", "-qw", `${key}=${value}`]);
  }

  /** Runs a program in a namespace of the lab; it has to succeed. */
  async in(namespace: string, program: string, ...args: readonly string[]): Promise<string> {
    return await run("ip", ["netns", "exec", namespace, program, ...args]);
  }

  /** Starts a program in a namespace of the lab and does not wait for it; the lab ends it. */
  background(namespace: string, program: string, ...args: readonly string[]): Promise<Finished> {
    return tryRun("ip", ["netns", "exec", namespace, program, ...args]);
  }

  /** Run at {@link Lab.close}, last one first. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer);
  }

  /** Ends every process in the lab's namespaces, removes them all, and checks that nothing is left. */
  async close(): Promise<void> {
    try {
      for (const closer of this.#closers.reverse()) {
        await closer();
      }
    } finally {
      this.destroy();
    }
    await eventually("no namespace of the lab is left", async () => {
      const { stdout } = await tryRun("ip", ["netns", "list"]);
      return !stdout.includes(`${this.name}-`);
    });
  }

  /** The part of {@link Lab.close} that works without waiting, for a process that is ending. */
  destroy(): void {
    openLabs.delete(this);
    for (const namespace of this.#namespaces) {
      const pids = spawnSync("ip", ["netns", "pids", namespace], { encoding: "utf8" }).stdout ?? "";
      for (const pid of pids.split("\n").filter((line) => line !== "")) {
        killIfThere(Number(pid));
      }
      spawnSync("ip", ["netns", "del", namespace]);
    }
    this.#namespaces.length = 0;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What has to be off for every frame to be whole, at most the MTU, and with its checksums. */
export const OFFLOADS_OFF: readonly string[] = [
  "tx",
  "off",
  "tso",
  "off",
  "gso",
  "off",
  "gro",
  "off",
];

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") {
      throw error;
    }
  }
}

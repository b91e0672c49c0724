/** A host of the lab: its `vnetd`, its `vn`, and the VMs plugged into its bridges. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Lab, OFFLOADS_OFF, REPOSITORY, type Segment } from "./lab.ts";
import { type Finished, run, tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

export type HostOptions = {
  /** Leaves the host without an IPv4 address on its segments. */
  readonly addressless?: boolean;
};

type HostPlace = {
  readonly name: string;
  readonly namespace: string;
  readonly number: number;
  readonly address: string;
  readonly address6: string;
  readonly folder: string;
};

export type VmOptions = {
  /** With the prefix length: 192.168.44.1/24. */
  readonly address?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** True: IPv6 with a link-local address of its own; otherwise the VM never speaks unasked. */
  readonly ipv6?: boolean;
  /** False: frames leave the VM whole and with their checksums. */
  readonly offload?: boolean;
};

export type Vm = {
  readonly name: string;
  readonly namespace: string;
  readonly mac: string;
  /** Without the prefix length. */
  readonly address: string;
  readonly options: VmOptions;
};

let vmCount = 0;

export class Host {
  readonly name: string;
  readonly namespace: string;
  readonly number: number;
  readonly address: string;
  readonly address6: string;
  readonly runDir: string;
  readonly stateDir: string;
  readonly keyDir: string;
  readonly lab: Lab;
  /** Everything the daemon wrote to standard error. */
  log = "";
  #daemon: ChildProcess | undefined;
  #portCount = 0;

  private constructor(lab: Lab, place: HostPlace) {
    this.lab = lab;
    this.name = place.name;
    this.namespace = place.namespace;
    this.number = place.number;
    this.address = place.address;
    this.address6 = place.address6;
    this.runDir = join(place.folder, "run");
    this.stateDir = join(place.folder, "state");
    this.keyDir = join(place.folder, "keys");
    mkdirSync(this.runDir, { recursive: true });
    mkdirSync(this.stateDir, { recursive: true });
  }

  /** A host on the given segments, by devices u1, u2, …, addresses 10.(90 + segment).0.(host). */
  static async create(
    lab: Lab,
    name: string,
    segments: readonly Segment[],
    options: HostOptions = {},
  ): Promise<Host> {
    lab.hostCount += 1;
    const number = lab.hostCount;
    const namespace = await lab.namespace(name);
    // Where the kernel has br_netfilter, its defaults trim and drop frames on their way over every
    // bridge of the host; that is the host's own choice and not what is tested here.
    if (existsSync("/proc/sys/net/bridge")) {
      for (const family of ["iptables", "ip6tables", "arptables"]) {
        await lab.sysctl(namespace, `net.bridge.bridge-nf-call-${family}`, "0");
      }
    }
    for (const [index, segment] of segments.entries()) {
      const device = `u${index + 1}`;
      await lab.plug(namespace, device, `${segment.device}h${number}`, segment);
      if (options.addressless !== true) {
        await lab.batch(namespace, [
          `addr add 10.${90 + segment.index}.0.${number}/24 dev ${device}`,
          `addr add fd00:${segment.index}::${number}/64 dev ${device} nodad`,
        ]);
      }
    }
    const first = segments[0];
    return new Host(lab, {
      name,
      namespace,
      number,
      address: `10.${90 + (first?.index ?? 0)}.0.${number}`,
      address6: `fd00:${first?.index ?? 0}::${number}`,
      folder: join(lab.folder, name),
    });
  }

  /** Starts `vnetd` and waits until it serves. */
  async start(...options: readonly string[]): Promise<void> {
    await this.spawn(...options);
    await eventually(
      `vnetd serves on ${this.name}`,
      async () => {
        if (this.#daemon?.exitCode !== null) {
          return true;
        }
        return (await this.tryVn("status")).status === 0;
      },
      30_000,
    ).catch((error: unknown) => {
      throw new Error(`vnetd does not serve on ${this.name}:\n${this.log}`, { cause: error });
    });
    if (this.#daemon?.exitCode !== null) {
      throw new Error(`vnetd ended on ${this.name}:\n${this.log}`);
    }
  }

  /** Starts `vnetd` without waiting for anything. */
  async spawn(...options: readonly string[]): Promise<ChildProcess> {
    const daemon = spawn(
      "ip",
      [
        ...["netns", "exec", this.namespace, join(REPOSITORY, "bin/vnetd")],
        ...["--run-dir", this.runDir, "--state-dir", this.stateDir, "--key-dir", this.keyDir],
        ...(options.includes("--underlay") ? [] : ["--underlay", "u1"]),
        ...options,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
    this.#daemon = daemon;
    return daemon;
  }

  /** Ends `vnetd` (not `vnet-dp`) and waits for its end; its exit status. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const daemon = this.#daemon;
    if (daemon === undefined) {
      return null;
    }
    this.#daemon = undefined;
    if (daemon.exitCode !== null || daemon.signalCode !== null) {
      return daemon.exitCode;
    }
    const ended = once(daemon, "exit");
    daemon.kill(signal);
    const [status] = (await Promise.race([
      ended,
      sleep(15_000, undefined, { ref: false }).then(() => {
        throw new Error(`vnetd on ${this.name} does not end on ${signal}:\n${this.log}`);
      }),
    ])) as [number | null];
    return status;
  }

  get daemonPid(): number {
    const pid = this.#daemon?.pid;
    if (pid === undefined) {
      throw new Error(`vnetd does not run on ${this.name}`);
    }
    return pid;
  }

  /** The process id of the running `vnet-dp`, as `vn status` tells it. */
  async dataplanePid(): Promise<number> {
    const status = await this.vnJson<{ dataplane: { pid: number | null } }>("status");
    return status.dataplane.pid ?? Promise.reject(new Error(`no vnet-dp on ${this.name}`));
  }

  async tryVn(...args: readonly string[]): Promise<Finished> {
    return await tryRun(join(REPOSITORY, "bin/vn"), ["--run-dir", this.runDir, ...args]);
  }

  async vn(...args: readonly string[]): Promise<string> {
    return await run(join(REPOSITORY, "bin/vn"), ["--run-dir", this.runDir, ...args]);
  }

  async vnJson<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.vn(...args, "--json")) as T;
  }

  /** A vnet with its bridge, by `vn vnet-create`. */
  async vnet(id: string, ...options: readonly string[]): Promise<void> {
    await this.vn("vnet-create", "-b", bridgeOf(id), ...options, id);
  }

  /** Counters of one vnet, or of the whole data plane. */
  async counters(vnet?: string): Promise<Record<string, number>> {
    const views = await this.vnJson<{ vnet: string | null; counters: Record<string, number> }[]>(
      "stats",
      ...(vnet === undefined ? [] : [vnet]),
    );
    const wanted = views.find((view) => (vnet === undefined ? view.vnet === null : true));
    if (wanted === undefined) {
      throw new Error(`no counters of ${vnet ?? "the data plane"} on ${this.name}`);
    }
    return wanted.counters;
  }

  /** A VM with one interface, eth0, plugged into the vnet's bridge. */
  async vm(vnet: string, options: VmOptions = {}): Promise<Vm> {
    return await this.vmOn(bridgeOf(vnet), options);
  }

  /** A VM with one interface, eth0, plugged into a bridge of this host. */
  async vmOn(bridge: string, options: VmOptions = {}): Promise<Vm> {
    vmCount += 1;
    const name = `vm${vmCount}`;
    const namespace = await this.lab.namespace(name);
    const mac = options.mac ?? `02:00:00:00:${hexOctet(vmCount >> 8)}:${hexOctet(vmCount)}`;
    const vm: Vm = {
      name,
      namespace,
      mac,
      address: (options.address ?? "").split("/")[0] ?? "",
      options,
    };
    await this.lab.sysctl(namespace, "net.ipv6.conf.all.disable_ipv6", options.ipv6 ? "0" : "1");
    await this.lab.sysctl(
      namespace,
      "net.ipv6.conf.default.disable_ipv6",
      options.ipv6 ? "0" : "1",
    );
    await this.lab.sysctl(namespace, "net.ipv6.conf.default.accept_dad", "0");
    await this.#plug(vm, bridge);
    return vm;
  }

  async #plug(vm: Vm, bridge: string): Promise<void> {
    this.#portCount += 1;
    const port = `vif${this.#portCount}`;
    const mtu = `${vm.options.mtu ?? 1500}`;
    await run("ip", [
      ...["link", "add", "name", "eth0", "address", vm.mac, "mtu", mtu, "netns", vm.namespace],
      ...["type", "veth", "peer", "name", port, "mtu", mtu, "netns", this.namespace],
    ]);
    if (vm.options.offload === false) {
      await this.lab.in(vm.namespace, "ethtool", "-K", "eth0", ...OFFLOADS_OFF);
    }
    await this.lab.batch(this.namespace, [`link set ${port} master ${bridge} up`]);
    await this.lab.batch(vm.namespace, [
      ...(vm.options.address === undefined ? [] : [`addr add ${vm.options.address} dev eth0`]),
      "link set eth0 up",
    ]);
  }

  /** Moves a VM here, with its MAC and address, as a live migration does; it says nothing. */
  async adopt(vm: Vm, vnet: string): Promise<void> {
    await run("ip", ["-n", vm.namespace, "link", "del", "eth0"]);
    await this.#plug(vm, bridgeOf(vnet));
  }

  /** Resident memory of a process of this host, in octets. */
  residentBytes(pid: number): number {
    const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
    return Number(pages) * 4096;
  }
}

/** Routes unicast between segments, as a real underlay does; multicast stays on its segment. */
export async function addRouter(
  lab: Lab,
  segments: readonly Segment[],
  hosts: readonly { readonly namespace: string; readonly address: string }[],
): Promise<void> {
  const namespace = await lab.namespace("router");
  await lab.sysctl(namespace, "net.ipv4.ip_forward", "1");
  await lab.sysctl(namespace, "net.ipv6.conf.all.forwarding", "1");
  for (const [index, segment] of segments.entries()) {
    await lab.plug(namespace, `r${index + 1}`, `${segment.device}r`, segment);
    await lab.batch(namespace, [
      `addr add 10.${90 + segment.index}.0.254/24 dev r${index + 1}`,
      `addr add fd00:${segment.index}::254/64 dev r${index + 1} nodad`,
    ]);
  }
  for (const host of hosts) {
    const network = host.address.split(".").slice(0, 3).join(".");
    await lab.batch(host.namespace, [`route add default via ${network}.254`]);
  }
}

/** The bridge that {@link Host.vnet} makes for a vnet. */
export function bridgeOf(vnet: string): string {
  const last = vnet.split(":").at(-1) ?? vnet;
  return `vnet${last.padStart(4, "0")}`;
}

function hexOctet(value: number): string {
  return (value & 255).toString(16).padStart(2, "0");
}

/**
 * A host of the lab that runs `vnet-dp` alone, commanded over its control socket by the test in
 * `vnetd`'s place.
 *
 *     VM namespace ── eth0 ── vif ── bridge ── TAP ── vnet-dp ── u1 ── segment
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DataplaneClient } from "../../src/dataplane/client.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { ALL_VNETS, parseVnetId, type VnetId } from "../../src/net/vnet-id.ts";
import { COUNTERS } from "../../src/vnet/counters.ts";
import type { DataplaneCommand, DataplaneEvent } from "../../src/vnet/dataplane-messages.ts";
import { type Lab, REPOSITORY, type Segment } from "./lab.ts";
import { type Finished, run, tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

export const DATAPLANE = join(REPOSITORY, "native/build/release/vnet-dp");
export const GROUP = "224.10.0.1";

type SetUnderlay = Extract<DataplaneCommand, { kind: "set-underlay" }>;
type SetVnet = Extract<DataplaneCommand, { kind: "set-vnet" }>;
export type Event<Kind extends string> = Extract<DataplaneEvent, { kind: Kind }>;

export class EngineHost {
  readonly namespace: string;
  readonly address: string;
  readonly folder: string;
  readonly events: DataplaneEvent[] = [];
  readonly #lab: Lab;
  readonly #segment: Segment;
  #process: ChildProcess | undefined;
  #client: DataplaneClient | undefined;
  #vmCount = 0;

  private constructor(lab: Lab, segment: Segment, namespace: string, address: string) {
    this.#lab = lab;
    this.#segment = segment;
    this.namespace = namespace;
    this.address = address;
    this.folder = join(lab.folder, namespace);
    mkdirSync(this.folder);
  }

  static async create(lab: Lab, name: string, segment: Segment): Promise<EngineHost> {
    lab.hostCount += 1;
    const address = `10.${90 + segment.index}.0.${lab.hostCount}`;
    const namespace = await lab.namespace(name);
    // Bridges and TAPs say nothing of their own, so that tests know every MAC.
    await lab.sysctl(namespace, "net.ipv6.conf.default.disable_ipv6", "1");
    await lab.plug(namespace, "u1", `${segment.device}h${lab.hostCount}`, segment);
    await lab.batch(namespace, [`addr add ${address}/24 dev u1`]);
    return new EngineHost(lab, segment, namespace, address);
  }

  get socketPath(): string {
    return join(this.folder, "dp.sock");
  }

  get pidFile(): string {
    return join(this.folder, "dp.pid");
  }

  get client(): DataplaneClient {
    if (this.#client === undefined) {
      throw new Error(`nobody commands the vnet-dp of ${this.namespace}`);
    }
    return this.#client;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Runs it to its end: for starts that have to fail. */
  async tryStart(...options: readonly string[]): Promise<Finished> {
    return await tryRun("ip", this.#command(options), { timeoutMs: 10_000 });
  }

  #command(options: readonly string[]): string[] {
    const files = ["--socket", this.socketPath, "--pid-file", this.pidFile];
    return ["netns", "exec", this.namespace, DATAPLANE, ...files, ...options];
  }

  /** Starts it, waits until it is ready, commands it, and gives it its underlay. */
  async start(...options: readonly string[]): Promise<void> {
    const child = spawn("ip", this.#command(options), { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    await eventually("vnet-dp is ready", () => output !== "" || child.exitCode !== null);
    if (output !== "ready\n") {
      throw new Error(`vnet-dp said: ${output}`);
    }
    await this.connect();
    await this.setUnderlay();
  }

  async connect(): Promise<void> {
    this.#client?.close();
    this.#client = await DataplaneClient.connect({
      socketPath: this.socketPath,
      onEvent: (event) => this.events.push(event),
      onEnd: () => undefined,
    });
  }

  async setUnderlay(changes: Partial<SetUnderlay> = {}): Promise<void> {
    const link = await run("ip", ["-n", this.namespace, "-o", "link", "show", "dev", "u1"]);
    await this.client.request({
      kind: "set-underlay",
      deviceIndex: Number(link.split(":")[0]),
      mtuBytes: this.#segment.mtu,
      sourceAddress4: parseIpAddress(this.address),
      sourceAddress6: null,
      group4: parseIpAddress(GROUP),
      group6: null,
      multicastTtl: 1,
      multicast: true,
      localAddresses: [parseIpAddress(this.address)],
      guestSideDevices: [],
      localPrefixLengths: [24],
      ...changes,
    });
  }

  /** A vnet with a TAP on a bridge of its own. */
  async vnet(id: string, changes: Partial<SetVnet> = {}): Promise<void> {
    await this.tap(id);
    await this.lab(`link add name ${bridgeOf(id)} mtu 1500 type bridge mcast_snooping 0`);
    await this.lab(`link set ${bridgeOf(id)} up`, `link set ${tapOf(id)} master ${bridgeOf(id)}`);
    await this.setVnet(id, changes);
  }

  /** A persistent TAP that belongs to the user of vnet-dp, as vnetd makes it. */
  async tap(id: string): Promise<void> {
    const user = ["user", "nobody", "vnet_hdr"];
    await run("ip", [
      ...["-n", this.namespace, "tuntap", "add", "dev", tapOf(id), "mode", "tap", ...user],
    ]);
    await this.lab(`link set ${tapOf(id)} up`);
  }

  async setVnet(id: string, changes: Partial<SetVnet> = {}): Promise<void> {
    await this.client.request({
      kind: "set-vnet",
      vnet: parseVnetId(id),
      deviceName: tapOf(id),
      encapsulation: 0,
      mtuBytes: 1500,
      fdbLimit: 1_000,
      vifLimit: 1_000,
      security: 0,
      ...changes,
    });
  }

  async peer(address: string): Promise<void> {
    await this.client.request({ kind: "set-peer", host: parseEndpoint(`${address}:1798`) });
  }

  /** Lines of `ip -batch` in the host's namespace. */
  async lab(...lines: readonly string[]): Promise<void> {
    await this.#lab.batch(this.namespace, lines);
  }

  /** A namespace with eth0 on the vnet's bridge; returns its name. */
  async vm(id: string, mac: string, address?: string): Promise<string> {
    this.#vmCount += 1;
    const suffix = this.namespace.split("-").at(-1);
    const namespace = await this.#lab.namespace(`${suffix}vm${this.#vmCount}`);
    const port = `vif${this.#vmCount}`;
    await this.#lab.sysctl(namespace, "net.ipv6.conf.default.disable_ipv6", "1");
    await this.lab(
      `link add name ${port} type veth peer name eth0 address ${mac} netns ${namespace}`,
      `link set ${port} master ${bridgeOf(id)} up`,
    );
    await this.#lab.batch(namespace, [
      ...(address === undefined ? [] : [`addr add ${address} dev eth0`]),
      "link set eth0 up",
    ]);
    return namespace;
  }

  async counters(id = "0"): Promise<Record<string, number>> {
    const answers = await this.client.request({ kind: "get-counters", vnet: wireVnet(id) });
    const first = answers.find((answer) => answer.kind === "counters");
    const values = first?.kind === "counters" ? first.values : [];
    return Object.fromEntries(COUNTERS.map(({ name }, index) => [name, Number(values[index])]));
  }

  /** MAC and host of every remote MAC of the vnet, as `MAC ADDRESS`. */
  async fdb(id: string): Promise<string[]> {
    const answers = await this.client.request({ kind: "list-fdb", vnet: wireVnet(id) });
    return answers.flatMap((answer) =>
      answer.kind === "fdb-entry" ? [`${answer.mac} ${answer.host?.address}`] : [],
    );
  }

  async vifs(id: string): Promise<string[]> {
    const answers = await this.client.request({ kind: "list-vifs", vnet: wireVnet(id) });
    return answers.flatMap((answer) => (answer.kind === "vif-entry" ? [answer.mac] : []));
  }

  /** Waits for an event of this kind about this MAC, and gives it. */
  async event<Kind extends DataplaneEvent["kind"]>(kind: Kind, mac?: string): Promise<Event<Kind>> {
    const wanted = mac === undefined ? undefined : parseMacAddress(mac);
    return (await eventually(`${kind} ${mac ?? ""}`, () =>
      this.events.find(
        (event) =>
          event.kind === kind && (wanted === undefined || ("mac" in event && event.mac === wanted)),
      ),
    )) as Event<Kind>;
  }

  /** Ends vnet-dp and gives its exit status, or the signal. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | string | null> {
    const child = this.#process;
    this.#client?.close();
    this.#client = undefined;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return child?.exitCode ?? null;
    }
    const ended = once(child, "exit");
    child.kill(signal);
    const [status, killer] = (await ended) as [number | null, string | null];
    return killer ?? status;
  }
}

export function tapOf(id: string): string {
  return `vnif${id.replaceAll(":", "")}`;
}

export function bridgeOf(id: string): string {
  return `vnet${id.replaceAll(":", "")}`;
}

function wireVnet(id: string): VnetId {
  return id === "0" ? ALL_VNETS : parseVnetId(id);
}

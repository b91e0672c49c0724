/**
 * The daemon's VIF rules on a real Open vSwitch of their own, with dummy ports: all parts as the
 * daemon joins them, but the kernel's links, which are in memory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { EventStreams } from "../../src/daemon/event-streams.ts";
import { assembleVifRules, type VifParts } from "../../src/daemon/vif-assembly.ts";
import { VifPolicyStore } from "../../src/daemon/vif-policy-store.ts";
import type { RunProgram } from "../../src/host/child.ts";
import type { PolicySource } from "../../src/metadata/source.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import { readVifPolicy } from "../../src/vifrules/policy-document.ts";
import { FakeHost } from "../fakes/fake-host.ts";
import { PrivateSwitch } from "./private-switch.ts";

export const UPLINK = 1;
/** Of `vif5.0` and so on: the last octet is the domain. */
export const macOf = (domain: number): string =>
  `02:00:00:00:00:${domain.toString(16).padStart(2, "0")}`;

export type LogLine = Readonly<Record<string, unknown>>;

const WITHIN_MS = 20_000;

export class VifStand {
  readonly folder = mkdtempSync(join(tmpdir(), "vnetd-vifs-"));
  readonly host = new FakeHost();
  readonly log: LogLine[] = [];
  readonly events = new EventStreams();
  readonly switch: PrivateSwitch;
  store = new VifPolicyStore(this.folder);
  parts: VifParts;
  /** Called before each change of a link. */
  beforeLink: (words: string) => void = () => {};
  readonly #sources: readonly PolicySource[];

  private constructor(there: PrivateSwitch, sources: readonly PolicySource[]) {
    this.switch = there;
    this.#sources = sources;
    this.parts = this.#assemble();
  }

  /** A bridge `br0` with an uplink, port 1; nothing else, and standalone as bridges are. */
  static async start(sources: readonly PolicySource[] = []): Promise<VifStand> {
    const there = PrivateSwitch.start([UPLINK]);
    there.vsctl("del-fail-mode", "br0");
    // A dummy switch that is started again has made up another one.
    there.vsctl("set", "bridge", "br0", `other-config:hwaddr=${macOf(0xee)}`);
    const stand = new VifStand(there, sources);
    await stand.parts.start();
    return stand;
  }

  get rules() {
    return this.parts.rules;
  }

  /** A port that someone else adds, whose device the kernel does not have. */
  addPort(name: string, ofport: number, ids: Readonly<Record<string, string>> = {}): void {
    const pairs = Object.entries(ids).map(([key, value]) => `external_ids:${key}=${value}`);
    const set = ["set", "interface", name, "type=dummy", `ofport_request=${ofport}`, ...pairs];
    this.switch.vsctl("add-port", "br0", name, "--", ...set);
  }

  /** Many ports, as `addPort` adds one. */
  addPorts(ports: readonly (readonly [name: string, ofport: number])[]): void {
    const words = ports.flatMap(([name, ofport]) => [
      ...["--", "add-port", "br0", name, "vlan_mode=access", "tag=0", "--", "set", "interface"],
      ...[name, "type=dummy", `ofport_request=${ofport}`],
      `external_ids:attached-mac=${macOf(0)}`,
    ]);
    this.switch.vsctl(...words.slice(1));
  }

  /** A device of the kernel, as a toolstack makes one; `ip monitor` tells of it. */
  addDevice(name: string): void {
    this.host.links.delete(name);
    this.host.addDevice(name, "veth");
    const index = this.host.links.get(name)?.index;
    this.parts.readLine(`${index}: ${name}: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN`);
  }

  removeDevice(name: string): void {
    const index = this.host.links.get(name)?.index;
    this.host.links.delete(name);
    this.parts.readLine(`Deleted ${index}: ${name}: <BROADCAST> mtu 1500 qdisc noop state DOWN`);
  }

  /** A new daemon on the same host, switch and state. */
  async restart(): Promise<void> {
    await this.parts.stop();
    this.store = new VifPolicyStore(this.folder);
    await this.store.load();
    this.parts = this.#assemble();
    await this.parts.start();
  }

  /** What becomes of a frame: the ports that get it, none when it is dropped. */
  trace(flow: string): readonly string[] {
    const text = this.switch.appctl("ofproto/trace", "br0", flow);
    const [, actions = ""] = /^Datapath actions: (.*)$/m.exec(text) ?? [];
    return actions === "drop" ? [] : actions.split(",").filter((word) => /^\d+$/.test(word));
  }

  /** The datapath's number of a port, as `trace` shows it. */
  datapathPort(name: string): string {
    const line = new RegExp(`${name.replace(".", "\\.")} \\d+/(\\d+):`);
    return line.exec(this.switch.appctl("dpif/show"))?.[1] ?? "none";
  }

  /** Our flows, all of them or those of one port, with their packet counts. */
  flows(ofport: number | null = null): readonly string[] {
    const args = ["-O", "OpenFlow10", "dump-flows", "--no-names", "br0"];
    const cookie = ofport === null ? "0x76" : `0x7601[0-9a-f]{4}${hex8(ofport)}`;
    const lines = this.switch.ofctl(args).split("\n");
    return lines
      .filter((line) => new RegExp(`cookie=${cookie}`).test(line))
      .map((line) => line.replace(/ duration=[^,]*,| idle_age=[^,]*,| n_bytes=[^,]*,/g, "").trim())
      .toSorted();
  }

  failMode(): string {
    return this.switch.vsctl("get", "bridge", "br0", "fail_mode").trim();
  }

  /** Milliseconds until it was so. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<number> {
    const startedAt = performance.now();
    while (!(await isSo())) {
      if (performance.now() - startedAt > WITHIN_MS) {
        throw new Error(`Not within ${WITHIN_MS} ms: ${what}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return performance.now() - startedAt;
  }

  /** `unknown` when neither a policy nor a port is known. */
  async stateOf(vif: string): Promise<string> {
    const views = await this.rules.listVifRules([]);
    const view = views.find((each) => each.vif === vif);
    return view?.error ?? view?.state ?? "unknown";
  }

  /** A frame that the VIF sends, by flow text without `in_port`; so many of it at once. */
  send(vif: string, flow: string, count = 1): void {
    // `00000000  02 00 00 00 00 fe 02 00-00 00 00 05 08 00 45 00 |…|`
    const lines = this.switch.ofctl(["compose-packet", flow]).split("\n");
    const hex = lines.map((line) => line.slice(10, 57).replaceAll(/[^0-9a-f]/g, "")).join("");
    this.switch.appctl("netdev-dummy/receive", vif, ...Array.from({ length: count }, () => hex));
  }

  async close(): Promise<void> {
    await this.parts.stop();
    this.switch.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #assemble(): VifParts {
    const write = (line: string) => this.log.push(JSON.parse(line) as LogLine);
    const run: RunProgram = async (request) => {
      if (request.program === "ovs-vsctl") {
        return { exitStatus: 0, stdout: this.switch.vsctl(...request.args), stderr: "" };
      }
      this.beforeLink(`${request.args.join(" ")} ${request.input ?? ""}`.trim());
      return await this.host.run(request);
    };
    return assembleVifRules({
      config: {
        ovsRunDirectory: this.switch.runDirectory,
        vifPattern: /^(vif|tap|vnet)[0-9]/,
      },
      log: pino({ level: "info" }, { write }),
      events: this.events,
      store: this.store,
      sources: this.#sources,
      run,
      clock: { now: () => performance.now() },
      dropLogIntervalMs: 250,
    });
  }
}

/** A policy for `vif<domain>.0` with the address 10.0.0.<domain>. */
export function policyOf(domain: number, more: Readonly<Record<string, unknown>> = {}): VifPolicy {
  return readVifPolicy({
    ...{ vif: `vif${domain}.0`, bridge: "br0", mac: macOf(domain), ipv4: [`10.0.0.${domain}`] },
    ...more,
  });
}

/** An IPv4 packet of `vif<domain>.0` for the outside, as flow text. */
export function packetOf(domain: number, ofport: number): string {
  const [from, to] = [`nw_src=10.0.0.${domain},nw_ttl=64`, "nw_dst=192.0.2.1"];
  return `in_port=${ofport},dl_src=${macOf(domain)},dl_dst=02:00:00:00:00:fe,udp,${from},${to}`;
}

function hex8(ofport: number): string {
  // ovs-ofctl prints no leading zeros of the whole; the cookie's first digits are 76.
  return ofport.toString(16).padStart(8, "0");
}

/**
 * Two hosts with one VM each, as the suites about restarts and repairs have them, and what they
 * look at.
 *
 *     VM .1 ── a ── segment ── b ── VM .2        numbered datagrams from .1 to .2
 */
import { Lab, type Segment } from "./lab.ts";
import { bridgeOf, Host, type Vm } from "./lab-host.ts";
import { FRAME_TOOL, UdpSink, type UdpTally } from "./link-tools.ts";
import { LineProgram, run } from "./programs.ts";
import { eventually } from "./wait.ts";

export const VNET = "97";
export const VNETIF = "vnif0097";
export const BRIDGE = bridgeOf(VNET);
/** Datagrams a second. */
export const LOAD_RATE = 1_000;
const LOAD_PORT = 7_100;

export type Flow = {
  /** Waits until this many more have arrived. */
  pass(count: number): Promise<void>;
  stop(): Promise<UdpTally & { readonly sent: number }>;
};

export type PairOptions = {
  /** Of `vnetd` at its first start. */
  readonly daemonOptions?: readonly string[];
  /** False: each datagram is on the segment by itself. */
  readonly offload?: boolean;
};

export type LinkRecord = {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly master?: string;
};

export class Pair {
  readonly lab: Lab;
  readonly segment: Segment;
  readonly a: Host;
  readonly b: Host;
  readonly vmA: Vm;
  readonly vmB: Vm;

  private constructor(
    lab: Lab,
    segment: Segment,
    hosts: readonly [Host, Host],
    vms: readonly [Vm, Vm],
  ) {
    this.lab = lab;
    this.segment = segment;
    [this.a, this.b] = hosts;
    [this.vmA, this.vmB] = vms;
  }

  /** @param vnetOptions of `vn vnet-create` on both hosts */
  static async create(
    vnetOptions: (lab: Lab) => Promise<readonly string[]> = noOptions,
    { daemonOptions = [], offload = true }: PairOptions = {},
  ): Promise<Pair> {
    const lab = await Lab.create();
    const segment = await lab.segment({ offload });
    const options = await vnetOptions(lab);
    const a = await Host.create(lab, "a", [segment]);
    const b = await Host.create(lab, "b", [segment]);
    for (const host of [a, b]) {
      await host.start(...daemonOptions);
      await host.vnet(VNET, ...options);
    }
    const vmA = await a.vm(VNET, { address: "192.168.97.1/24" });
    const vmB = await b.vm(VNET, { address: "192.168.97.2/24" });
    const pair = new Pair(lab, segment, [a, b], [vmA, vmB]);
    await pair.ping();
    return pair;
  }

  /** Waits until a ping from VM to VM is answered. */
  async ping(): Promise<void> {
    const { lab, vmA, vmB } = this;
    await eventually("a ping passes", async () => {
      const command = ["ping", "-c", "1", "-W", "1", vmB.address] as const;
      return (await lab.background(vmA.namespace, ...command)).status === 0;
    });
  }

  /** Numbered datagrams from VM to VM until it is stopped. */
  async startFlow(): Promise<Flow> {
    const { vmA, vmB } = this;
    const sink = await UdpSink.open(vmB.namespace, LOAD_PORT);
    const before = await this.#received();
    const sender = await LineProgram.start("ip", [
      ...["netns", "exec", vmA.namespace, FRAME_TOOL],
      ...["udp-send", vmB.address, `${LOAD_PORT}`, "--rate", `${LOAD_RATE}`, "--size", "200"],
    ]);
    return {
      pass: async (count) => {
        const now = await this.#received();
        await eventually(
          `${count} datagrams arrive`,
          async () => (await this.#received()) - now >= count,
        );
      },
      stop: async () => {
        await sender.kill("SIGTERM");
        const { sent } = JSON.parse(sender.lines.at(-1) ?? "null") as { sent: number };
        // What is lost never comes: the tally says so, not this.
        await eventually(
          "the last datagram is read",
          async () => (await this.#received()) - before >= sent,
          2_000,
        ).catch(() => undefined);
        return { ...(await sink.stop()), sent };
      },
    };
  }

  /** Datagrams that programs in the receiving VM have read. */
  async #received(): Promise<number> {
    const text = await this.lab.in(this.vmB.namespace, "cat", "/proc/net/snmp");
    const [names, values] = text.split("\n").filter((line) => line.startsWith("Udp:"));
    const index = names?.split(" ").indexOf("InDatagrams") ?? -1;
    return Number(values?.split(" ")[index]);
  }
}

async function noOptions(): Promise<readonly string[]> {
  return [];
}

/** Index, address and MTU of every device of a host, and which bridge it is in. */
export async function devices(host: Host): Promise<readonly LinkRecord[]> {
  const text = await run("ip", ["-n", host.namespace, "-j", "link"]);
  return (JSON.parse(text) as LinkRecord[]).map(({ ifindex, ifname, address, mtu, master }) => ({
    ...{ ifindex, ifname, address, mtu },
    ...(master === undefined ? {} : { master }),
  }));
}

export async function device(host: Host, name: string): Promise<LinkRecord | undefined> {
  return (await devices(host)).find(({ ifname }) => ifname === name);
}

/** The process id of vnet-dp; waits out the moment in which there is none. */
export async function currentDataplane(host: Host): Promise<number> {
  return await eventually("vnet-dp runs", () => host.dataplanePid());
}

/**
 * A host with an Open vSwitch of its own whose `vnetd` locks VIFs, as hotplug scripts meet it:
 *
 *      guest namespace        host namespace
 *     ┌───────────┐   ┌─────────────────────────────┐
 *     │      eth0 ├───┤ vif5.0 ─ br0 (Open vSwitch)  │    vnetd --underlay none
 *     └───────────┘   │            └─ wire           │    scripts/…
 *                     └─────────────────────────────┘
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { arp, BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { Lab, REPOSITORY } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";
import { type Finished, tryRun } from "./programs.ts";
import { eventually } from "./wait.ts";

export type ScriptOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
};

export class HotplugHost {
  readonly lab: Lab;
  readonly host: Host;
  readonly switch: PrivateSwitch;
  readonly policyDir: string;
  /** The far end of the bridge's uplink. */
  readonly wire: Tap;
  readonly #options: readonly string[];
  #guestCount = 0;
  #markCount = 0;

  private constructor(parts: Pick<HotplugHost, "lab" | "host" | "switch" | "policyDir" | "wire">) {
    this.lab = parts.lab;
    this.host = parts.host;
    this.switch = parts.switch;
    this.policyDir = parts.policyDir;
    this.wire = parts.wire;
    this.#options = [
      ...["--underlay", "none", "--policy-dir", this.policyDir],
      ...["--ovs-run-dir", this.switch.runDirectory],
    ];
  }

  /** Its daemon does not run yet. */
  static async create(): Promise<HotplugHost> {
    const lab = await Lab.create();
    try {
      const host = await Host.create(lab, "hv", []);
      const ovs = PrivateSwitch.startIn(host.namespace);
      lab.onClose(async () => ovs.stop());
      const policyDir = join(lab.folder, "policies");
      for (const folder of ["vifs", "groups", "networks"]) {
        mkdirSync(join(policyDir, folder), { recursive: true, mode: 0o755 });
      }
      const link = ["name", "uplink", "type", "veth", "peer", "name", "wire"];
      await lab.in(host.namespace, "ip", "link", "add", ...link, "netns", lab.hub);
      await lab.batch(host.namespace, ["link set uplink up"]);
      await lab.batch(lab.hub, ["link set wire up"]);
      ovs.vsctl("add-port", ovs.bridge, "uplink");
      const wire = await Tap.open(lab, lab.hub, "wire", "--promiscuous");
      return new HotplugHost({ lab, host, switch: ovs, policyDir, wire });
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async startDaemon(...more: readonly string[]): Promise<void> {
    await this.host.start(...this.#options, ...more);
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  /** A device of the host, as a toolstack makes it, and what crosses its guest's end. */
  async plugDevice(device: string): Promise<Tap> {
    this.#guestCount += 1;
    const guest = await this.lab.namespace(`g${this.#guestCount}`);
    const link = ["name", device, "type", "veth", "peer", "name", "eth0"];
    await this.lab.in(this.host.namespace, "ip", "link", "add", ...link, "netns", guest);
    await this.lab.in(guest, "ethtool", "-K", "eth0", "tx", "off");
    await this.lab.batch(guest, ["link set eth0 up"]);
    return await Tap.open(this.lab, guest, "eth0");
  }

  async unplugDevice(device: string): Promise<void> {
    await this.lab.in(this.host.namespace, "ip", "link", "del", device);
  }

  /** Whether the administrator, that is whoever plugged it, has set it up. */
  isUp(device: string): Promise<boolean> {
    return this.lab
      .in(this.host.namespace, "cat", `/sys/class/net/${device}/flags`)
      .then((flags) => (Number.parseInt(flags, 16) & 1) === 1);
  }

  ports(): readonly string[] {
    return this.switch.vsctl("list-ports", this.switch.bridge).trim().split("\n");
  }

  /** A script of `scripts/`, as its caller runs it: in the host's namespace. */
  async script(
    name: string,
    args: readonly string[],
    { env = {}, input = "" }: ScriptOptions = {},
  ): Promise<Finished> {
    const environment = { VNETD_RUN_DIR: this.host.runDir, ...env };
    return await tryRun(
      "ip",
      [
        ...["netns", "exec", this.host.namespace, "env"],
        ...Object.entries(environment).map(([key, value]) => `${key}=${value}`),
        ...[join(REPOSITORY, "scripts", name), ...args],
      ],
      { input, timeoutMs: 30_000 },
    );
  }

  /** Relative paths are of domain 0, as hotplug scripts mean them. */
  async xenstoreRead(socketPath: string, path: string): Promise<Finished> {
    return await tryRun("env", [`XENSTORED_PATH=${socketPath}`, "xenstore-read", path]);
  }

  writePolicy(path: string, document: object): void {
    writeFileSync(join(this.policyDir, path), JSON.stringify(document), { mode: 0o644 });
  }

  /**
   * Whether the wire gets a frame that the guest of `device` sends. Waits for no time: when the
   * switch has done two later things, it has done with the frame, whatever it did.
   */
  async passes(guest: Tap, device: string, frame: Uint8Array): Promise<boolean> {
    const before = await this.#receivedCount(device);
    this.wire.clear();
    guest.send(frame);
    await eventually("the frame is at the switch", async () => {
      return (await this.#receivedCount(device)) > before;
    });
    await this.#sendMark();
    await this.#sendMark();
    return this.wire.frames.some((received) => received.frame.equals(frame));
  }

  async #receivedCount(device: string): Promise<number> {
    const file = `/sys/class/net/${device}/statistics/rx_packets`;
    return Number(await this.lab.in(this.host.namespace, "cat", file));
  }

  /** A frame of the switch's own onto the wire; resolves when it is there. */
  async #sendMark(): Promise<void> {
    this.#markCount += 1;
    const mark = ethernet(
      { to: BROADCAST_MAC, from: "02:00:00:00:00:fe" },
      EXPERIMENTAL_TYPE,
      pattern(46, this.#markCount),
    );
    const uplink = this.switch.vsctl("get", "interface", "uplink", "ofport").trim();
    const order = `in_port=LOCAL packet=${mark.toString("hex")} actions=output:${uplink}`;
    this.switch.ofctl(["-O", "OpenFlow14", "packet-out", this.switch.bridge, order]);
    await this.wire.expect(mark, "a mark");
  }
}

/** A question for 10.0.0.1 by ARP: what a lock lets pass from a VIF's own address alone. */
export function question(mac: string, address: string): Buffer {
  return arp(
    { to: BROADCAST_MAC, from: mac },
    { request: true, sender: address, target: "10.0.0.1" },
  );
}

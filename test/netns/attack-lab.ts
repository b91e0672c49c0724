/**
 * Two hosts of one secure vnet, and an attacker on their segment who has no key, but hears everything
 * and sends in any host's name.
 *
 *     VM ── a ──┐
 *     VM ── b ──┼─ segment (captured)
 *      attacker ─┘
 */
import { kill } from "node:process";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern, tunnelDatagram } from "./frames.ts";
import { newKey, untilMet } from "./keys.ts";
import { Lab, type Segment } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { PacketPort, Tap } from "./link-tools.ts";
import { currentDataplane } from "./pair.ts";
import { spoofedDatagram } from "./spoofed.ts";
import { eventually, staysTrue } from "./wait.ts";

export const ATTACKED_VNET = "a77";
export const TUNNEL_GROUP = "224.10.0.1";
export const NO_HARM_MS = 300;
const FIRST_GROUP_SPI = 0x1000_0000;

/** A frame from VM to VM, and its datagram as the attacker records it. */
export type Overheard = { readonly frame: Buffer; readonly datagram: Buffer };

export class AttackLab {
  readonly lab: Lab;
  readonly a: Host;
  readonly b: Host;
  readonly attacker: Host;
  /** Everything on the segment. */
  readonly wire: Tap;
  readonly #segment: Segment;
  readonly #port: PacketPort;
  readonly #key: string;
  /** The devices of a's and b's VM. */
  #out: Tap | undefined;
  #into: Tap | undefined;
  #frameCount = 0;

  private constructor(about: {
    readonly lab: Lab;
    readonly segment: Segment;
    readonly hosts: readonly [Host, Host, Host];
    readonly wire: Tap;
    readonly port: PacketPort;
    readonly key: string;
  }) {
    this.lab = about.lab;
    this.#segment = about.segment;
    [this.a, this.b, this.attacker] = about.hosts;
    this.wire = about.wire;
    this.#port = about.port;
    this.#key = about.key;
  }

  static async create(): Promise<AttackLab> {
    const lab = await Lab.create();
    const segment = await lab.segment({ offload: false });
    const a = await Host.create(lab, "a", [segment]);
    const b = await Host.create(lab, "b", [segment]);
    const attacker = await Host.create(lab, "attacker", [segment]);
    const key = await newKey(lab, "key");
    const wire = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
    const port = await PacketPort.open(lab, attacker.namespace, attacker.address);
    for (const host of [a, b]) {
      await host.start();
    }
    return new AttackLab({ lab, segment, hosts: [a, b, attacker], wire, port, key });
  }

  get out(): Tap {
    return this.#out ?? fail("there is no vnet: begin() makes it");
  }

  get into(): Tap {
    return this.#into ?? fail("there is no vnet: begin() makes it");
  }

  /** The vnet anew, with a suite, and a VM on each host. */
  async begin(security: string, suite: string): Promise<void> {
    const { lab, a, b } = this;
    await this.#end();
    this.wire.clear();
    for (const host of [a, b]) {
      await host.vnet(ATTACKED_VNET, "-s", security, "--suite", suite, "--key-file", this.#key);
    }
    const [vmA, vmB] = [await a.vm(ATTACKED_VNET), await b.vm(ATTACKED_VNET)];
    await untilMet([a, b]);
    this.#out = await Tap.open(lab, vmA.namespace, "eth0");
    this.#into = await Tap.open(lab, vmB.namespace, "eth0", "--promiscuous");
    await this.overhear();
  }

  async #end(): Promise<void> {
    if (this.#into === undefined) {
      return;
    }
    await this.out.close();
    await this.into.close();
    this.#into = undefined;
    for (const host of [this.a, this.b]) {
      await host.vn("vnet-delete", "-b", ATTACKED_VNET);
    }
  }

  nextFrame(): Buffer {
    this.#frameCount += 1;
    const payload = pattern(46, this.#frameCount);
    payload.writeUInt32BE(this.#frameCount, 0);
    return ethernet({ to: BROADCAST_MAC, from: "02:a7:00:00:00:01" }, EXPERIMENTAL_TYPE, payload);
  }

  sealedBy(host: Host): readonly Buffer[] {
    return this.payloadsOf(host).filter((payload) => isSealed(payload));
  }

  payloadsOf(host: Host): readonly Buffer[] {
    return this.wire.frames.flatMap(({ frame }) => {
      const datagram = tunnelDatagram(frame);
      return datagram?.source === host.address ? [Buffer.from(datagram.payload)] : [];
    });
  }

  /** @param keep whether what was recorded before stays */
  async overhear({ keep = false } = {}): Promise<Overheard> {
    const frame = this.nextFrame();
    if (!keep) {
      this.wire.clear();
    }
    await eventually("a frame passes", () => {
      this.out.send(frame);
      return this.into.frames.some((each) => each.frame.equals(frame));
    });
    const datagram = await eventually("it was recorded", () => this.sealedBy(this.a).at(-1));
    this.into.clear();
    return { frame, datagram };
  }

  /** Kills vnet-dp and waits until the hosts have met again. */
  async restartDataplane(host: Host): Promise<void> {
    const pid = await currentDataplane(host);
    kill(pid, "SIGKILL");
    await eventually("it runs again", async () => (await currentDataplane(host)) !== pid);
    await untilMet([this.a, this.b]);
  }

  sendAs(source: string, destination: string, payload: Uint8Array): void {
    this.#port.send(spoofedDatagram(source, destination, payload));
  }

  async total(host: Host, names: readonly string[]): Promise<number> {
    const views = await host.vnJson<{ counters: Record<string, number> }[]>("stats");
    return views.reduce(
      (sum, { counters }) => sum + names.reduce((each, name) => each + (counters[name] ?? 0), 0),
      0,
    );
  }

  /** `act`, after which counters of these names have risen by at least `least`, and no VM has heard. */
  async rises(host: Host, names: readonly string[], act: () => void, least = 1): Promise<void> {
    const before = await this.total(host, names);
    this.into.clear();
    act();
    await eventually(
      `${names.join(" or ")} rises by ${least}`,
      async () => (await this.total(host, names)) - before >= least,
    );
    await staysTrue("no VM hears of it", () => ownFrames(this.into).length === 0, NO_HARM_MS);
  }

  /** Takes the receiver's port off the segment, or puts it back; its link stays up. */
  async setReceiverPlugged(plugged: boolean): Promise<void> {
    const { device } = this.#segment;
    const membership = plugged ? `master ${device}` : "nomaster";
    await this.lab.batch(this.lab.hub, [`link set ${device}h${this.b.number} ${membership}`]);
  }
}

export function ownFrames(tap: Tap): readonly Buffer[] {
  return tap.matching((frame) => frame.readUInt16BE(12) === EXPERIMENTAL_TYPE);
}

export function textOf(payload: Buffer): string {
  return payload.toString("latin1");
}

function isSealed(payload: Buffer): boolean {
  return payload.length >= 4 && payload.readUInt32BE(0) >= FIRST_GROUP_SPI;
}

function fail(why: string): never {
  throw new Error(why);
}

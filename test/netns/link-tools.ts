/** `vnet-frames` in a namespace: exact frames, datagrams and packets in and out. */
import { join } from "node:path";
import { type Lab, REPOSITORY, type Segment } from "./lab.ts";
import { LineProgram, run } from "./programs.ts";
import { eventually } from "./wait.ts";

export const FRAME_TOOL = join(REPOSITORY, "native/build/release/vnet-frames");

export type TimedFrame = { readonly timeNs: bigint; readonly frame: Buffer };

/** What crosses one device, and frames onto it as they stand. */
export class Tap {
  readonly frames: TimedFrame[] = [];
  /** Errno of the frames that the kernel refused to send. */
  readonly refused: number[] = [];
  onFrame: ((frame: Buffer) => void) | undefined;
  #program: LineProgram | undefined;

  static async open(
    lab: Lab,
    namespace: string,
    device: string,
    ...options: readonly string[]
  ): Promise<Tap> {
    const tap = new Tap();
    tap.#program = await LineProgram.start(
      "ip",
      ["netns", "exec", namespace, FRAME_TOOL, "frames", device, ...options],
      (line) => tap.#take(line),
    );
    lab.onClose(() => tap.close());
    return tap;
  }

  #take(line: string): void {
    const [first = "", second = ""] = line.split(" ");
    if (first === "refused") {
      this.refused.push(Number(second));
      return;
    }
    const frame = Buffer.from(second, "hex");
    if (this.onFrame !== undefined) {
      this.onFrame(frame);
      return;
    }
    this.frames.push({ timeNs: BigInt(first), frame });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.#program?.write(frames.map((frame) => `${hex(frame)}\n`).join(""));
  }

  /** The received frames that pass, oldest first. */
  matching(pass: (frame: Buffer) => boolean): readonly Buffer[] {
    return this.frames.map(({ frame }) => frame).filter(pass);
  }

  /** Waits until a frame like this one has arrived. */
  async expect(wanted: Uint8Array, what = "the same frame", deadlineMs?: number): Promise<void> {
    await eventually(
      `${what} arrives (${hex(wanted).slice(0, 120)})`,
      () => this.frames.some(({ frame }) => frame.equals(wanted)),
      deadlineMs,
    );
  }

  clear(): void {
    this.frames.length = 0;
  }

  async close(): Promise<void> {
    await this.#program?.finish();
    this.#program = undefined;
  }
}

export type TimedDatagram = {
  readonly timeNs: bigint;
  /** Sent to the multicast group, and not to this host. */
  readonly viaGroup: boolean;
  readonly address: string;
  readonly udpPort: number;
  readonly payload: Buffer;
};

/** A UDP endpoint in a namespace, with a multicast group's socket beside it when asked for. */
export class DatagramPort {
  readonly datagrams: TimedDatagram[] = [];
  onDatagram: ((datagram: TimedDatagram) => void) | undefined;
  #program: LineProgram | undefined;

  static async open(
    lab: Lab,
    namespace: string,
    local: { readonly address: string; readonly udpPort: number; readonly group?: string },
  ): Promise<DatagramPort> {
    const port = new DatagramPort();
    const group = local.group === undefined ? [] : ["--group", local.group];
    port.#program = await LineProgram.start(
      "ip",
      [
        ...["netns", "exec", namespace, FRAME_TOOL],
        ...["datagrams", local.address, `${local.udpPort}`, ...group],
      ],
      (line) => port.#take(line),
    );
    lab.onClose(() => port.close());
    return port;
  }

  #take(line: string): void {
    const [time = "", via = "", address = "", udpPort = "", payload = ""] = line.split(" ");
    if (time === "refused") {
      return;
    }
    const datagram: TimedDatagram = {
      timeNs: BigInt(time),
      viaGroup: via === "group",
      address,
      udpPort: Number(udpPort),
      payload: Buffer.from(payload, "hex"),
    };
    if (this.onDatagram === undefined) {
      this.datagrams.push(datagram);
    } else {
      this.onDatagram(datagram);
    }
  }

  send(address: string, udpPort: number, payload: Uint8Array): void {
    this.#program?.write(`${address} ${udpPort} ${hex(payload)}\n`);
  }

  async close(): Promise<void> {
    await this.#program?.finish();
    this.#program = undefined;
  }
}

/** Sends IPv4 packets whose header is given: any source, any nonsense. */
export class PacketPort {
  #program: LineProgram | undefined;

  static async open(lab: Lab, namespace: string, multicastFrom: string): Promise<PacketPort> {
    const port = new PacketPort();
    port.#program = await LineProgram.start("ip", [
      ...["netns", "exec", namespace, FRAME_TOOL],
      ...["packets", "--multicast-from", multicastFrom],
    ]);
    lab.onClose(() => port.close());
    return port;
  }

  send(packet: Uint8Array): void {
    this.#program?.write(`${hex(packet)}\n`);
  }

  async close(): Promise<void> {
    await this.#program?.finish();
    this.#program = undefined;
  }
}

export type RelayStats = {
  readonly forwarded: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
};

/** Joins two segments by a lossy wire. Their hosts need `offload: false`. */
export class Relay {
  #program: LineProgram | undefined;

  static async between(lab: Lab, first: Segment, second: Segment): Promise<Relay> {
    const relay = new Relay();
    relay.#program = await LineProgram.start("ip", [
      ...["netns", "exec", lab.hub, FRAME_TOOL],
      ...["relay", first.device, second.device, "--seed", "20051"],
    ]);
    lab.onClose(() => relay.close());
    return relay;
  }

  /** Per cent, both ways. */
  impair(chances: { loss?: number; duplicate?: number; reorder?: number }): void {
    for (const [what, chance] of Object.entries(chances)) {
      this.#program?.write(`${what} ${chance}\n`);
    }
  }

  cut(): void {
    this.#program?.write("cut\n");
  }

  join(): void {
    this.#program?.write("join\n");
  }

  async stats(): Promise<RelayStats> {
    const program = this.#program;
    const before = program?.lines.length ?? 0;
    program?.write("stats\n");
    const line = await eventually("the relay answers", () => program?.lines[before]);
    const [, forwarded, lost, duplicated, reordered] = line.split(" ").map(Number);
    return {
      forwarded: forwarded ?? 0,
      lost: lost ?? 0,
      duplicated: duplicated ?? 0,
      reordered: reordered ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.#program?.finish();
    this.#program = undefined;
  }
}

export type UdpTally = {
  readonly received: number;
  readonly bytes: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  readonly highest: number;
  readonly seconds: number;
};

/** Counts numbered datagrams in a namespace; see `vnet-frames udp-sink`. */
export class UdpSink {
  readonly #program: LineProgram;

  private constructor(program: LineProgram) {
    this.#program = program;
  }

  static async open(namespace: string, udpPort: number, ...options: string[]): Promise<UdpSink> {
    return new UdpSink(
      await LineProgram.start("ip", [
        ...["netns", "exec", namespace, FRAME_TOOL, "udp-sink", `${udpPort}`, ...options],
      ]),
    );
  }

  async stop(): Promise<UdpTally> {
    await this.#program.kill("SIGTERM");
    return JSON.parse(this.#program.lines.at(-1) ?? "null") as UdpTally;
  }

  /** Waits for its own end (`--idle-ms`, `--seconds`). */
  async finish(): Promise<UdpTally> {
    await this.#program.end();
    return JSON.parse(this.#program.lines.at(-1) ?? "null") as UdpTally;
  }
}

export type LoadReport = { readonly sent: number; readonly seconds: number };

/** Runs one `vnet-frames` load to its end. */
export async function sendLoad(
  namespace: string,
  command: "udp-send" | "garbage",
  ...args: readonly string[]
): Promise<LoadReport> {
  return await runLoad(namespace, [command, ...args]);
}

/** Sends IPv4 packets in turns, again and again, their headers as they stand. */
export async function sendPackets(
  namespace: string,
  packets: readonly Uint8Array[],
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): Promise<LoadReport> {
  const args = ["packet-load", "--rate", `${rate}`, "--seconds", `${seconds}`];
  return await runLoad(namespace, args, packets.map((packet) => `${hex(packet)}\n`).join(""));
}

async function runLoad(
  namespace: string,
  args: readonly string[],
  input?: string,
): Promise<LoadReport> {
  const text = await run("ip", ["netns", "exec", namespace, FRAME_TOOL, ...args], {
    // How long it lasts is in its arguments.
    timeoutMs: 3_600_000,
    ...(input === undefined ? {} : { input }),
  });
  return JSON.parse(text.split("\n").find((line) => line.startsWith("{")) ?? "null");
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("hex");
}

/** Numbered frames at a steady rate from one device, and which of them arrive at another. */
import { type Addressing, udp4 } from "./frames.ts";
import type { Tap } from "./link-tools.ts";
import { eventually } from "./wait.ts";

export type StreamOptions = {
  readonly sender: Tap;
  readonly receiver: Tap;
  readonly framesPerSecond: number;
  readonly addressing: Addressing;
  readonly source: string;
  readonly destination: string;
};

const TICK_MS = 2;
const DATA_AT = 42;
const DATA_BYTES = 18;
/** Several in a row, so that it is not one from before. */
const FLOWING_COUNT = 50;

let streamCount = 0;

export class FrameStream {
  /** Numbers of those that arrived. */
  readonly received = new Set<number>();
  sentCount = 0;
  /** When the last one arrived, as `performance.now()`. */
  lastAtMs = 0;
  readonly #options: StreamOptions;
  readonly #id: number;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #stoppedAt = 0;
  #seenCount = 0;

  /** Starts at once. */
  constructor(options: StreamOptions) {
    streamCount += 1;
    this.#id = streamCount;
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get achievedRate(): number {
    return (this.sentCount * 1_000) / (this.#stoppedAt - this.#startedAt);
  }

  /** Resolves when frames that are sent from now on arrive. */
  async flows(): Promise<void> {
    const from = this.sentCount;
    await eventually("the frames arrive", () => {
      this.#look();
      return this.#countFrom(from) >= FLOWING_COUNT;
    });
  }

  async sends(count: number): Promise<void> {
    await eventually(`${count} frames are sent`, () => this.sentCount >= count);
  }

  /** Resolves when all have arrived, or no more do. */
  async arrived(): Promise<void> {
    await eventually("all frames arrive", () => {
      this.#look();
      return this.received.size === this.sentCount;
    }).catch(() => undefined);
  }

  /**
   * Does what ends the stream's way, and sees that nothing that is sent after that arrives.
   *
   * @returns milliseconds from the call to the last arrival, 0 when none was after the call
   */
  async cut(deed: () => Promise<unknown>): Promise<number> {
    const calledAtMs = performance.timeOrigin + performance.now();
    await deed();
    const sentThen = this.sentCount;
    await this.sends(sentThen + 2 * FLOWING_COUNT);
    this.#look();
    const late = this.#countFrom(sentThen);
    if (late > 0) {
      throw new Error(`${late} frames arrived that were sent after the change`);
    }
    return Math.max(0, this.lastAtMs - calledAtMs);
  }

  /** What it has sent stays sent: it may still arrive. */
  stop(): void {
    clearInterval(this.#timer);
    this.#stoppedAt = performance.now();
    this.#look();
  }

  #tick(): void {
    const { sender, framesPerSecond, addressing, source, destination } = this.#options;
    const due = Math.floor(((performance.now() - this.#startedAt) * framesPerSecond) / 1_000);
    const frames: Buffer[] = [];
    for (; this.sentCount < due; this.sentCount += 1) {
      const payload = Buffer.alloc(DATA_BYTES);
      payload.writeUInt32BE(this.#id);
      payload.writeUInt32BE(this.sentCount, 4);
      const ports = { sourcePort: 1_000, destinationPort: 2_000 };
      frames.push(udp4(addressing, { source, destination, ...ports, payload }));
    }
    sender.send(...frames);
  }

  #look(): void {
    const { frames } = this.#options.receiver;
    for (const { frame, timeNs } of frames.slice(this.#seenCount)) {
      const isOurs =
        frame.length === DATA_AT + DATA_BYTES && frame.readUInt32BE(DATA_AT) === this.#id;
      if (isOurs) {
        this.received.add(frame.readUInt32BE(DATA_AT + 4));
        this.lastAtMs = Number(timeNs) / 1e6;
      }
    }
    this.#seenCount = frames.length;
  }

  #countFrom(number: number): number {
    return [...this.received].filter((each) => each >= number).length;
  }
}

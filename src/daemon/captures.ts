/**
 * Live captures of vnets' frames, for `vn pcap`: what vnet-dp shows goes to everybody who looks at
 * that vnet. Who reads too slowly misses frames; nobody else does, and no frame of a VM waits.
 */
import { ControlError } from "../control/control-error.ts";
import type { DataplaneClient } from "../dataplane/client.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand, DataplaneEvent } from "../vnet/dataplane-messages.ts";
import type { Log } from "./log.ts";
import { pcapHeader, pcapRecord } from "./pcap-stream.ts";

export type CapturesOptions = {
  readonly client: () => DataplaneClient | null;
  readonly log: Log;
};

type Reader = {
  readonly vnet: VnetId;
  readonly snapBytes: number;
  readonly chunks: Uint8Array[];
  queuedBytes: number;
  lostCount: number;
  hasEnded: boolean;
  /** Tells the waiting reader that there is something. */
  wake: () => void;
};

const READERS_MAX = 16;
/** What may wait for a reader: a second of 100 Mbit/s. */
const QUEUED_BYTES_MAX = 16 * 1024 * 1024;

export class Captures {
  readonly #options: CapturesOptions;
  readonly #readers = new Set<Reader>();

  constructor(options: CapturesOptions) {
    this.#options = options;
  }

  /**
   * The octets of a pcap file, until whoever reads them stops, or the vnet is deleted.
   *
   * @throws ControlError, DataplaneError
   */
  async open(vnet: VnetId, snapBytes: number): Promise<AsyncIterable<Uint8Array>> {
    if (this.#readers.size >= READERS_MAX) {
      const message = `Cannot capture vnet ${shortVnetId(vnet)}: ${READERS_MAX} captures run`;
      throw new ControlError("VNETD_LIMIT", message);
    }
    const reader: Reader = {
      ...{ vnet, snapBytes, chunks: [pcapHeader(snapBytes)], queuedBytes: 0, lostCount: 0 },
      ...{ hasEnded: false, wake: () => undefined },
    };
    this.#readers.add(reader);
    try {
      await this.#tell(vnet);
    } catch (error) {
      this.#readers.delete(reader);
      throw error;
    }
    this.#options.log.info({ vnet: shortVnetId(vnet) }, "a capture of a vnet begins");
    return {
      [Symbol.asyncIterator]: () => {
        const octets = this.#read(reader);
        return {
          next: () => octets.next(),
          return: async () => {
            // Otherwise it would wait for a frame before it ends.
            reader.hasEnded = true;
            reader.wake();
            return await octets.return(undefined);
          },
        };
      },
    };
  }

  take(event: Extract<DataplaneEvent, { readonly kind: "captured-frame" }>): void {
    for (const reader of this.#readers) {
      if (reader.vnet !== event.vnet) {
        continue;
      }
      if (reader.queuedBytes >= QUEUED_BYTES_MAX) {
        reader.lostCount += 1;
        continue;
      }
      const record = pcapRecord(event, reader.snapBytes);
      reader.chunks.push(record);
      reader.queuedBytes += record.length;
      reader.lostCount += event.lost;
      reader.wake();
    }
  }

  /** A data plane that is new has no captures. */
  async connected(): Promise<void> {
    const { log } = this.#options;
    for (const vnet of new Set([...this.#readers].map((reader) => reader.vnet))) {
      await this.#tell(vnet).catch((error: unknown) => {
        log.warn({ err: error, vnet: shortVnetId(vnet) }, "cannot go on with a capture");
      });
    }
  }

  /** @param vnet null: of all vnets */
  end(vnet: VnetId | null): void {
    for (const reader of this.#readers) {
      if (vnet === null || reader.vnet === vnet) {
        reader.hasEnded = true;
        reader.wake();
      }
    }
  }

  async *#read(reader: Reader): AsyncGenerator<Uint8Array> {
    try {
      while (!reader.hasEnded) {
        const chunks = reader.chunks.splice(0);
        reader.queuedBytes = 0;
        if (chunks.length > 0) {
          yield Buffer.concat(chunks);
        } else {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        }
      }
    } finally {
      this.#readers.delete(reader);
      const { lostCount } = reader;
      const fields = { vnet: shortVnetId(reader.vnet), lostCount };
      this.#options.log.info(fields, "a capture of a vnet has ended");
      await this.#tell(reader.vnet).catch((error: unknown) => {
        // With the data plane or the vnet its capture has ended, too.
        this.#options.log.debug({ err: error }, "cannot stop a capture");
      });
    }
  }

  /** Has vnet-dp show what the readers of the vnet want, or nothing. */
  async #tell(vnet: VnetId): Promise<void> {
    const snaps = [...this.#readers]
      .filter((reader) => reader.vnet === vnet)
      .map(({ snapBytes }) => snapBytes);
    const command: DataplaneCommand =
      snaps.length === 0
        ? { kind: "stop-capture", vnet }
        : { kind: "start-capture", vnet, snapBytes: Math.max(...snaps) };
    await this.#options.client()?.request(command);
  }
}

/**
 * The status page, live: one reading a second for everybody who looks, none while nobody does.
 * Who reads too slowly gets the newest parts when it is ready, and not those it has missed.
 */
import { createHash } from "node:crypto";
import { ControlError } from "../control/control-error.ts";
import type { ServedPage } from "../control/metrics-server.ts";
import { restAfter } from "../control/pace.ts";
import { addReading, type TrafficHistory } from "../control/rates.ts";
import type { AnswerHeaders, ControlAnswer } from "../control/route.ts";
import { TRAFFIC_PARTS, type TrafficApi } from "../control/traffic-api.ts";
import { type PageDocument, writeDocument } from "../page/document.ts";
import { drawSections } from "../page/sections.ts";

export type StatusPageOptions = {
  readonly traffic: TrafficApi;
  readonly hostName: string;
  readonly now: () => number;
  /** @default 1000 */
  readonly intervalMs?: number;
};

type Reader = {
  /** What it has not got yet; null: it has the newest. */
  next: Uint8Array | null;
  hasEnded: boolean;
  /** Tells the waiting reader that there is something. */
  wake: () => void;
};

const READERS_MAX = 16;
const INTERVAL_MS = 1_000;
/** A reading that is no older is good enough for another one who opens the page. */
const FRESH_MS = 500;
const STALE_MS = 20_000;
/** After which the browser asks again when the connection has broken. */
const RETRY_MS = 2_000;

const HEADERS: AnswerHeaders = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
};

export class StatusPage implements ServedPage {
  readonly #options: StatusPageOptions;
  readonly #readers = new Set<Reader>();
  #history: TrafficHistory | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  /** The reading that is being made: whoever comes meanwhile shares it. */
  #reading: Promise<TrafficHistory> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: StatusPageOptions) {
    this.#options = options;
  }

  async open(): Promise<ControlAnswer> {
    const { hostName, now } = this.#options;
    const isFresh = now() - this.#readAt <= FRESH_MS;
    const history = isFresh && this.#history !== null ? this.#history : await this.#read();
    const page = writeDocument(drawSections(history, hostName), `vnetd on ${hostName}`);
    const headers = { ...HEADERS, "Content-Security-Policy": policyOf(page) };
    return {
      kind: "text",
      status: 200,
      type: "text/html; charset=utf-8",
      headers,
      text: page.text,
    };
  }

  follow(): ControlAnswer {
    if (this.#isClosed) {
      throw new ControlError("VNETD_STOPPING", "vnetd is stopping");
    }
    if (this.#readers.size >= READERS_MAX) {
      throw new ControlError("VNETD_LIMIT", `${READERS_MAX} readers follow the status page`);
    }
    const reader: Reader = {
      ...{ next: encodeText(`retry: ${RETRY_MS}\n\n`), hasEnded: false, wake: () => undefined },
    };
    this.#readers.add(reader);
    if (this.#readers.size === 1) {
      this.#schedule(0);
    }
    const chunks = this.#readChunks(reader);
    return {
      ...{ kind: "stream", status: 200, type: "text/event-stream", headers: HEADERS },
      chunks: {
        [Symbol.asyncIterator]: () => ({
          next: () => chunks.next(),
          return: async () => {
            // Otherwise it would wait for parts before it ends.
            this.#end(reader);
            return await chunks.return(undefined);
          },
        }),
      },
    };
  }

  /** Ends for all who follow; they will ask again, and find nobody. */
  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers) {
      this.#end(reader);
    }
  }

  async *#readChunks(reader: Reader): AsyncGenerator<Uint8Array> {
    while (!reader.hasEnded) {
      const { next } = reader;
      reader.next = null;
      if (next === null) {
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      } else {
        yield next;
      }
    }
  }

  #end(reader: Reader): void {
    this.#readers.delete(reader);
    reader.hasEnded = true;
    reader.wake();
    if (this.#readers.size === 0) {
      clearTimeout(this.#timer ?? undefined);
      this.#timer = null;
    }
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = setTimeout(() => void this.#tell(), delayMs);
  }

  async #tell(): Promise<void> {
    const { hostName, now, intervalMs = INTERVAL_MS } = this.#options;
    const startedAt = now();
    let event: string;
    try {
      const history = await this.#read();
      const sections = Object.entries(drawSections(history, hostName));
      const markup = sections.map(([id, section]) => [id, section.markup]);
      event = `event: sections\ndata: ${JSON.stringify(Object.fromEntries(markup))}\n\n`;
    } catch (error) {
      // Such as a data plane that has just gone: it is told, and read again.
      const why = error instanceof Error ? error.message : String(error);
      event = `event: trouble\ndata: ${JSON.stringify(why)}\n\n`;
    }
    const octets = encodeText(event);
    for (const reader of this.#readers) {
      reader.next = octets;
      reader.wake();
    }
    if (this.#readers.size > 0) {
      this.#schedule(restAfter(now() - startedAt, intervalMs));
    }
  }

  #read(): Promise<TrafficHistory> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<TrafficHistory> {
    const { traffic, now } = this.#options;
    // What passed on average since somebody looked last is not what passes now.
    const former = now() - this.#readAt > STALE_MS ? null : this.#history;
    this.#history = addReading(former, await traffic.read(TRAFFIC_PARTS));
    this.#readAt = now();
    return this.#history;
  }
}

/** Nothing may run, be loaded, sent or framed but what the document itself is made of. */
function policyOf({ style, script }: PageDocument): string {
  const hash = (text: string): string =>
    `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * Events for whoever watches, a line of JSON each. What they cost while nobody watches is one look
 * whether somebody does. Who reads too slowly misses events and is told how many; the daemon and
 * the other readers wait for nobody.
 */
import { ControlError } from "../control/control-error.ts";
import { passesFilter } from "../control/event-filter.ts";
import type { EventFilter, EventKind, EventView } from "../control/events-api.ts";

/** What is left out is null; `level` is `warning` unless it is said. */
export type NewEvent = Pick<EventView, "event" | "message"> &
  Partial<Omit<EventView, "at" | "event" | "message">>;

type Reader = {
  readonly filter: EventFilter;
  lines: string[];
  lostCount: number;
  hasEnded: boolean;
  /** Tells the waiting reader that there is something. */
  wake: () => void;
};

const READERS_MAX = 32;
/** For one reader: a burst of a busy host, some 300 octets each. */
const LINES_MAX = 1_024;
/** What is fine; everything else is for somebody to look at. */
const GOOD_NEWS: ReadonlySet<EventKind> = new Set<EventKind>([
  ...(["peer-up", "mac-moved", "vnet-added", "vnet-removed", "vnet-recovered"] as const),
  ...(["vif-applied", "vif-gone", "dataplane-up", "underlay-up", "ovs-back"] as const),
]);

export class EventStreams {
  readonly #readers = new Set<Reader>();
  readonly #listeners = new Set<(isWatched: boolean) => void>();
  readonly #wallClock: () => Date;

  constructor(wallClock: () => Date = () => new Date()) {
    this.#wallClock = wallClock;
  }

  get isWatched(): boolean {
    return this.#readers.size > 0;
  }

  /** `listener` is called when the first reader comes and when the last one goes. */
  onWatched(listener: (isWatched: boolean) => void): void {
    this.#listeners.add(listener);
  }

  emit(event: NewEvent): void {
    if (!this.isWatched) {
      return;
    }
    const view = this.#view(event);
    const line = `${JSON.stringify(view)}\n`;
    for (const reader of this.#readers) {
      if (passesFilter(reader.filter, view)) {
        this.#queue(reader, line);
      }
    }
  }

  /**
   * Lines from now on, until whoever reads them stops.
   *
   * @param filter its vnets are ids
   * @throws ControlError when there are too many readers
   */
  open(filter: EventFilter): AsyncIterable<Uint8Array> {
    if (this.#readers.size >= READERS_MAX) {
      throw new ControlError("VNETD_LIMIT", `Cannot watch: ${READERS_MAX} others do`);
    }
    const reader: Reader = {
      ...{ filter, lines: [], lostCount: 0, hasEnded: false, wake: () => undefined },
    };
    this.#readers.add(reader);
    if (this.#readers.size === 1) {
      this.#tell();
    }
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => this.#next(reader),
        return: async () => {
          this.#end(reader);
          return { done: true, value: undefined };
        },
      }),
    };
  }

  /** The streams end: the daemon goes. */
  end(): void {
    for (const reader of [...this.#readers]) {
      this.#end(reader);
    }
  }

  async #next(reader: Reader): Promise<IteratorResult<Uint8Array>> {
    while (!reader.hasEnded && reader.lines.length === 0) {
      await new Promise<void>((resolve) => {
        reader.wake = resolve;
      });
    }
    if (reader.hasEnded) {
      return { done: true, value: undefined };
    }
    const lines = reader.lines.splice(0);
    if (reader.lostCount > 0) {
      lines.push(`${JSON.stringify(this.#viewLost(reader.lostCount))}\n`);
      reader.lostCount = 0;
    }
    return { done: false, value: Buffer.from(lines.join("")) };
  }

  #queue(reader: Reader, line: string): void {
    if (reader.lines.length >= LINES_MAX) {
      reader.lostCount += 1;
      return;
    }
    reader.lines.push(line);
    reader.wake();
  }

  #end(reader: Reader): void {
    reader.hasEnded = true;
    reader.wake();
    if (this.#readers.delete(reader) && this.#readers.size === 0) {
      this.#tell();
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      listener(this.isWatched);
    }
  }

  #viewLost(count: number): EventView {
    const message = `${count} events were lost here: this reader was too slow`;
    return this.#view({ event: "events-lost", count, message });
  }

  #view({ event, message, level, ...about }: NewEvent): EventView {
    return {
      at: this.#wallClock().toISOString(),
      event,
      level: level ?? (GOOD_NEWS.has(event) ? "info" : "warning"),
      ...{ vnet: null, peer: null, mac: null, vif: null, reason: null, count: null },
      ...about,
      message,
    };
  }
}

/**
 * Reads a store after somebody has written to it, once the writing pauses: a record that is
 * rewritten key by key is read when it is whole, and a burst of changes is one reading.
 */

/** Between two keys of a record a toolstack takes well below a millisecond. */
const PAUSE_MS = 10;
/** Somebody who never pauses does not keep the others' changes from being read. */
const PAUSE_MS_MAX = 100;

export class PausedReading<Part> {
  readonly #read: (parts: ReadonlySet<Part> | null) => Promise<void>;
  /** What to read; null: everything. */
  #pending: Set<Part> | null = new Set();
  #pause: NodeJS.Timeout | null = null;
  #limit: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param read not called while it has not returned; must not throw */
  constructor(read: (parts: ReadonlySet<Part> | null) => Promise<void>) {
    this.#read = read;
  }

  /** @param part null: everything */
  soon(part: Part | null): void {
    if (this.#closed) {
      return;
    }
    this.#add(part);
    clearTimeout(this.#pause ?? undefined);
    this.#pause = setTimeout(() => void this.#start(), PAUSE_MS);
    this.#limit ??= setTimeout(() => void this.#start(), PAUSE_MS_MAX);
  }

  /** Resolves when `part`, and all that was pending, has been read by a reading that begins now. */
  async now(part: Part | null): Promise<void> {
    if (!this.#closed) {
      this.#add(part);
      await this.#start();
    }
  }

  /** Resolves when all that was pending has been read. */
  async flush(): Promise<void> {
    if (!this.#closed) {
      await this.#start();
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopTimers();
  }

  #add(part: Part | null): void {
    if (part === null) {
      this.#pending = null;
    } else {
      this.#pending?.add(part);
    }
  }

  #start(): Promise<void> {
    this.#stopTimers();
    // What is pending is taken when its turn comes: several that wait share one reading.
    this.#running = this.#running.then(async () => {
      const parts = this.#pending;
      this.#pending = new Set();
      if (!this.#closed && (parts === null || parts.size > 0)) {
        await this.#read(parts);
      }
    });
    return this.#running;
  }

  #stopTimers(): void {
    clearTimeout(this.#pause ?? undefined);
    clearTimeout(this.#limit ?? undefined);
    this.#pause = null;
    this.#limit = null;
  }
}

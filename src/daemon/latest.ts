/**
 * Runs one task again and again, never twice at a time: who asks while it runs gets the next run,
 * and all who ask before that has begun share it. So the last word wins, and a burst is two runs.
 */
export class Latest {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** @param task looks at what is wanted when it begins */
  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  /** Resolves or rejects as the first run that begins after the call. */
  run(): Promise<void> {
    if (this.#next !== null) {
      return this.#next;
    }
    if (this.#running === null) {
      return this.#start();
    }
    this.#next = this.#running
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.#start();
      });
    return this.#next;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== null || this.#next !== null) {
      await (this.#next ?? this.#running)?.catch(() => {});
    }
  }

  #start(): Promise<void> {
    const running = this.#task().finally(() => {
      if (this.#running === running) {
        this.#running = null;
      }
    });
    this.#running = running;
    return running;
  }
}

/** When the next pass of the reconciler runs: soon after a wake-up, at a retry, at the latest now and then. */

// Everything changes by events; this is for what no event tells.
const PASS_INTERVAL_MS = 60_000;
// A burst of link events is one pass.
const WAKE_DELAY_MS = 50;
// Where a pass takes long, because there are thousands of links, passes take a fifth of the time.
const PASS_SHARE = 5;

export class PassTimer {
  readonly #now: () => number;
  readonly #run: () => Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #earliestAt = Number.NEGATIVE_INFINITY;
  #check: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param run ends with a call of `ended`; it does not reject */
  constructor(now: () => number, run: () => Promise<void>) {
    this.#now = now;
    this.#run = run;
  }

  wake(): void {
    this.#schedule(Math.max(this.#now() + WAKE_DELAY_MS, this.#earliestAt));
  }

  /** As `wake`, unless it turns out not to be needed before the pass is due. */
  wakeIf(isNeeded: () => boolean): void {
    this.#check ??= setTimeout(() => {
      this.#check = null;
      if (isNeeded()) {
        this.#schedule(Math.max(this.#now(), this.#earliestAt));
      }
    }, WAKE_DELAY_MS);
  }

  ended(startedAt: number, retryAt: number): void {
    const now = this.#now();
    this.#earliestAt = now + (now - startedAt) * PASS_SHARE;
    this.#schedule(Math.max(Math.min(now + PASS_INTERVAL_MS, retryAt), this.#earliestAt));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer ?? undefined);
    clearTimeout(this.#check ?? undefined);
  }

  #schedule(at: number): void {
    if (this.#closed || at >= this.#timerAt) {
      return;
    }
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#timerAt = Number.POSITIVE_INFINITY;
        void this.#run();
      },
      Math.max(0, at - this.#now()),
    );
  }
}

/**
 * When the next pass of the reconciler runs: soon after a wake-up, at a retry, and at the latest
 * now and then. One at a time; what wakes it while a pass waits or runs makes one more.
 */

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
  #check: NodeJS.Timeout | null = null;
  #earliestAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;
  #isWanted = false;
  #closed = false;

  /** @param run one pass; it calls `ended`, and it does not reject */
  constructor(now: () => number, run: () => Promise<void>) {
    this.#now = now;
    this.#run = run;
  }

  wake(): void {
    if (this.#isRunning) {
      this.#isWanted = true;
    } else {
      this.#schedule(Math.max(this.#now() + WAKE_DELAY_MS, this.#earliestAt));
    }
  }

  /** As `wake`, unless it turns out not to be needed before the pass is due. */
  wakeIf(isNeeded: () => boolean): void {
    this.#check ??= setTimeout(() => {
      this.#check = null;
      if (isNeeded()) {
        this.wake();
      }
    }, WAKE_DELAY_MS);
  }

  /** A pass has ended, whoever asked for it. */
  ended(startedAt: number, retryAt: number): void {
    const now = this.#now();
    this.#earliestAt = now + (now - startedAt) * PASS_SHARE;
    const dueAt = this.#isWanted ? now + WAKE_DELAY_MS : now + PASS_INTERVAL_MS;
    this.#isWanted = false;
    this.#isRunning = false;
    this.#schedule(Math.max(Math.min(dueAt, retryAt), this.#earliestAt));
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
    clearTimeout(this.#timer ?? undefined);
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#isRunning = true;
        void this.#run();
      },
      Math.max(0, at - this.#now()),
    );
  }
}

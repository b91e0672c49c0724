/** When to try again what failed: after 1 s, then twice as long each time, up to a minute. */

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;

export class RetryTimes {
  readonly #now: () => number;
  readonly #failed = new Map<string, { readonly at: number; readonly delayMs: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  fail(what: string): void {
    const former = this.#failed.get(what);
    const delayMs =
      former === undefined ? RETRY_MS_MIN : Math.min(former.delayMs * 2, RETRY_MS_MAX);
    this.#failed.set(what, { at: this.#now() + delayMs, delayMs });
  }

  succeed(what: string): void {
    this.#failed.delete(what);
  }

  isDue(what: string): boolean {
    return (this.#failed.get(what)?.at ?? Number.NEGATIVE_INFINITY) <= this.#now();
  }

  /** Infinity when nothing has failed. */
  nextAt(): number {
    return Math.min(...Array.from(this.#failed.values(), ({ at }) => at));
  }
}

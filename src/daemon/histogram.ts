/** How often something took how long: a Prometheus histogram of seconds. */

export type HistogramView = {
  /** Upper bounds in seconds and how many were at most that, each including the ones before. */
  readonly buckets: readonly (readonly [upperSeconds: number, count: number])[];
  readonly sumSeconds: number;
  readonly count: number;
};

/** A pass takes milliseconds on a quiet host, and seconds on one with thousands of links. */
const UPPER_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class Histogram {
  readonly #counts = UPPER_SECONDS.map(() => 0);
  #sumSeconds = 0;
  #count = 0;

  observe(ms: number): void {
    const seconds = ms / 1_000;
    this.#sumSeconds += seconds;
    this.#count += 1;
    const index = UPPER_SECONDS.findIndex((upper) => seconds <= upper);
    if (index !== -1) {
      this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    }
  }

  view(): HistogramView {
    let below = 0;
    const buckets = UPPER_SECONDS.map((upper, index) => {
      below += this.#counts[index] ?? 0;
      return [upper, below] as const;
    });
    return { buckets, sumSeconds: this.#sumSeconds, count: this.#count };
  }
}

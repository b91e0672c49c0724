/**
 * The Prometheus text format (version 0.0.4), a family at a time. With thousands of vnets and VIFs it
 * is megabytes: whoever writes it lets others have their turn now and then.
 */
import { setImmediate } from "node:timers/promises";
import type { HistogramView } from "./histogram.ts";

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

type MetricType = "counter" | "gauge" | "histogram";

/** A turn takes a millisecond or two. */
const SAMPLES_A_TURN = 2_000;

export class MetricText {
  readonly #parts: string[] = [];
  #sampleCount = 0;

  toString(): string {
    return this.#parts.join("");
  }

  /** One without samples is left out. */
  async family(
    name: string,
    { type, help }: { readonly type: MetricType; readonly help: string },
    samples: Iterable<Sample>,
  ): Promise<void> {
    let isFirst = true;
    for (const [labels, value] of samples) {
      if (isFirst) {
        isFirst = false;
        this.#parts.push(head(name, type, help));
      }
      this.#sample(name, labels, value);
      if (this.#sampleCount % SAMPLES_A_TURN === 0) {
        await setImmediate();
      }
    }
  }

  histograms(
    name: string,
    help: string,
    views: readonly (readonly [labels: Labels, view: HistogramView])[],
  ): void {
    this.#parts.push(head(name, "histogram", help));
    for (const [labels, { buckets, sumSeconds, count }] of views) {
      for (const [upper, below] of buckets) {
        this.#sample(`${name}_bucket`, { ...labels, le: `${upper}` }, below);
      }
      this.#sample(`${name}_bucket`, { ...labels, le: "+Inf" }, count);
      this.#sample(`${name}_sum`, labels, sumSeconds);
      this.#sample(`${name}_count`, labels, count);
    }
  }

  #sample(name: string, labels: Labels, value: number): void {
    this.#parts.push(`${name}${formatLabels(labels)} ${value}\n`);
    this.#sampleCount += 1;
  }
}

function head(name: string, type: MetricType, help: string): string {
  return `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
}

function formatLabels(labels: Labels): string {
  const pairs: string[] = [];
  for (const key in labels) {
    pairs.push(`${key}="${escapeValue(labels[key] ?? "")}"`);
  }
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** What has none of the three characters, as good as all, is given back as it is. */
function escapeValue(text: string): string {
  return /["\\\n]/.test(text)
    ? text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : text;
}

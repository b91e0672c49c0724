/**
 * Bursts of drops, of vnets and of VIFs: counters are read now and then while somebody watches, and
 * what grew by much is told by its reason. No frame is looked at for it.
 */
import { performance } from "node:perf_hooks";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Log } from "./log.ts";
import type { Observations } from "./observations.ts";
import type { VifParts } from "./vif-assembly.ts";

export type DropWatchOptions = {
  readonly events: EventStreams;
  readonly observations: Pick<Observations, "allStats">;
  readonly vifs: Pick<VifParts, "countFrames">;
  readonly log: Log;
};

type Source = {
  readonly key: string;
  readonly vnet: VnetId | null;
  readonly vif: string | null;
  readonly counts: Readonly<Record<string, number>>;
};

type Drops = { readonly reason: string; readonly count: number };

type Burst = Drops & { readonly source: Source };

const INTERVAL_MS = 1_000;
// Where a reading takes long, because there are thousands of vnets, it takes a twentieth of the time.
const READING_SHARE = 20;
/** Of one reason, between two readings: fewer are what every network has. */
const BURST_COUNT_MIN = 100;
/** In one reading, the largest first: what a flood of everything leaves worth reading. */
const TOLD_MAX = 20;
/** Not drops for a reason that anybody has to look at: every host of a busy group has them. */
const EVERYDAY: ReadonlySet<string> = new Set(["drop-from-self", "drop-duplicate"]);

export class DropWatch {
  readonly #options: DropWatchOptions;
  #timer: NodeJS.Timeout | null = null;
  #isWatched = false;
  /** By source and reason; null: not read yet. */
  #former: ReadonlyMap<string, number> | null = null;

  constructor(options: DropWatchOptions) {
    this.#options = options;
    options.events.onWatched((isWatched) => {
      this.#isWatched = isWatched;
      clearTimeout(this.#timer ?? undefined);
      this.#former = null;
      if (isWatched) {
        this.#schedule(0);
      }
    });
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      const startedAt = performance.now();
      this.#read()
        .catch((error: unknown) => {
          // The data plane or the switch went meanwhile: that is an event of its own.
          this.#options.log.debug({ err: error }, "cannot look for bursts of drops");
          this.#former = null;
        })
        .finally(() => {
          if (this.#isWatched) {
            const tookMs = performance.now() - startedAt;
            this.#schedule(Math.max(INTERVAL_MS, tookMs * READING_SHARE));
          }
        });
    }, delayMs);
  }

  async #read(): Promise<void> {
    const { observations } = this.#options;
    const stats = await observations.allStats();
    const vifs = await this.#options.vifs.countFrames();
    const sources: readonly Source[] = [
      ...stats.map(({ vnet, counters }) => ({
        ...{ key: vnet ?? "", vnet, vif: null, counts: counters },
      })),
      ...vifs.map(({ name, counts }) => ({
        ...{ key: `vif ${name}`, vnet: null, vif: name, counts: counts.dropped },
      })),
    ];
    const former = this.#former;
    const counts = new Map<string, number>();
    const bursts: Burst[] = [];
    for (const source of sources) {
      for (const { reason, count } of dropsOf(source)) {
        const key = `${source.key} ${reason}`;
        counts.set(key, count);
        const grown = former === null ? 0 : count - (former.get(key) ?? 0);
        if (grown >= BURST_COUNT_MIN) {
          bursts.push({ source, reason, count: grown });
        }
      }
    }
    this.#former = counts;
    this.#tell(bursts);
  }

  #tell(bursts: readonly Burst[]): void {
    const largest = [...bursts].sort((one, other) => other.count - one.count).slice(0, TOLD_MAX);
    for (const { source, reason, count } of largest) {
      const { vnet, vif } = source;
      const whose = vif ?? (vnet === null ? "this host" : `vnet ${shortVnetId(vnet)}`);
      const message = `${whose} dropped ${count} within moments: ${reason}`;
      this.#options.events.emit({ event: "drop-burst", vnet, vif, reason, count, message });
    }
  }
}

function dropsOf({ vif, counts }: Source): readonly Drops[] {
  return Object.entries(counts).flatMap(([reason, count]) =>
    count > 0 && (vif !== null || isDrop(reason)) ? [{ reason, count }] : [],
  );
}

function isDrop(counter: string): boolean {
  return counter.startsWith("drop-") && !EVERYDAY.has(counter);
}

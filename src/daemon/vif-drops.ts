/**
 * What became of VIFs' frames, by the counters of their flows: totals for the API, and for VIFs
 * whose drops are logged a line now and then. No frame is looked at for it, so a VIF that sends
 * nothing but forged frames costs a line every few seconds.
 */
import type { ListedFlow } from "../openflow/flow-codec.ts";
import { OUR_COOKIES } from "../vifrules/cookie.ts";
import { type CounterMeaning, counterOf } from "../vifrules/counter-meaning.ts";
import type { Log } from "./log.ts";
import { cookiesOf } from "./vif-flows.ts";
import { nameOf, type PlannedVif } from "./vif-plan.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";
import type { VifReconciler } from "./vif-reconciler.ts";
import { NO_COUNTS, type VifCounts } from "./vif-views.ts";

export type VifDropsOptions = {
  readonly reconciler: VifReconciler;
  readonly store: VifPolicyStore;
  readonly log: Log;
  /** @default 5000 */
  readonly logIntervalMs?: number;
};

const LOG_INTERVAL_MS = 5_000;
/** In an interval; whose turn it was not is counted on. */
const LOG_LINES_MAX = 20;
/** Drops before a frame is counted as sent, and drops of frames that go to the VIF. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  ...(["mac", "vlan", "disabled", "quarantine"] as const),
  ...(["to-group", "to-unlocked"] as const),
]);
/** For more VIFs of a bridge, one listing of all flows is cheaper. */
const LISTINGS_MAX = 4;

export class VifDrops {
  readonly #options: VifDropsOptions;
  readonly #told = new Map<string, VifCounts["dropped"]>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: VifDropsOptions) {
    this.#options = options;
  }

  /** From now on, drops are logged. */
  start(): void {
    const { log, logIntervalMs } = this.#options;
    this.#timer = setInterval(() => {
      this.#logDrops().catch((error: unknown) => {
        log.debug({ err: error }, "cannot count drops");
      });
    }, logIntervalMs ?? LOG_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#timer ?? undefined);
  }

  /** By key; of a VIF whose bridge cannot be asked, nothing. */
  async count(vifs: readonly PlannedVif[]): Promise<ReadonlyMap<string, VifCounts>> {
    const counts = new Map<string, VifCounts>();
    for (const bridge of new Set(vifs.map((vif) => vif.bridge))) {
      const chosen = vifs.filter((vif) => vif.bridge === bridge);
      const flows = bridge === null ? [] : await this.#listOrNothing(bridge, chosen);
      for (const [key, count] of this.#sum(chosen, flows)) {
        counts.set(key, count);
      }
    }
    return counts;
  }

  async #listOrNothing(name: string, vifs: readonly PlannedVif[]): Promise<readonly ListedFlow[]> {
    try {
      return await this.#list(name, vifs);
    } catch (error) {
      // That the bridge is not to be reached is told by the state of its VIFs.
      this.#options.log.debug({ err: error, bridge: name }, "cannot count frames");
      return [];
    }
  }

  async #list(name: string, vifs: readonly PlannedVif[]): Promise<readonly ListedFlow[]> {
    const bridge = this.#options.reconciler.bridge(name);
    if (bridge === null || !bridge.up) {
      return [];
    }
    const ofports = vifs.flatMap(ofportsOf);
    if (ofports.length > LISTINGS_MAX) {
      return await bridge.listFlows(OUR_COOKIES);
    }
    const lists = await Promise.all(ofports.map((ofport) => bridge.listFlows(cookiesOf(ofport))));
    return lists.flat();
  }

  #sum(vifs: readonly PlannedVif[], flows: readonly ListedFlow[]): ReadonlyMap<string, VifCounts> {
    const keys = new Map(vifs.flatMap((vif) => ofportsOf(vif).map((port) => [port, vif.key])));
    const counts = new Map<string, VifCounts>();
    for (const { installed, counters } of flows) {
      const counter = installed.kind === "known" ? counterOf(installed.flow) : null;
      const key = counter === null ? undefined : keys.get(counter.ofport);
      if (counter !== null && key !== undefined) {
        counts.set(key, add(counts.get(key) ?? NO_COUNTS, counter.meaning, counters));
      }
    }
    return counts;
  }

  async #logDrops(): Promise<void> {
    const { store, reconciler, log } = this.#options;
    const logged = new Set<string>(store.stored.logged);
    const vifs = reconciler.vifs.filter(({ ports }) => ports.some(({ name }) => logged.has(name)));
    if (vifs.length === 0) {
      this.#told.clear();
      return;
    }
    const counts = await this.count(vifs);
    let lineCount = 0;
    for (const vif of vifs) {
      const { dropped } = counts.get(vif.key) ?? NO_COUNTS;
      const former = this.#told.get(vif.key);
      const since = former === undefined ? {} : differenceOf(dropped, former);
      const isNews = Object.keys(since).length > 0;
      if (isNews && lineCount < LOG_LINES_MAX) {
        lineCount += 1;
        log.info({ vif: nameOf(vif), dropped: since }, "dropped frames of a VIF");
      }
      if (!isNews || lineCount < LOG_LINES_MAX) {
        this.#told.set(vif.key, dropped);
      }
    }
  }
}

function ofportsOf({ ports }: PlannedVif): readonly number[] {
  return ports.flatMap(({ ofport, port }) => (ofport === null || port === null ? [] : [ofport]));
}

function add(
  to: VifCounts,
  meaning: CounterMeaning,
  { packetCount, octetCount }: ListedFlow["counters"],
): VifCounts {
  const [frames, octets] = [Number(packetCount), Number(octetCount)];
  switch (meaning.kind) {
    case "sent":
      return accept(to, frames, octets);
    case "delivered":
      return { ...to, deliveredFrames: to.deliveredFrames + frames };
    case "dropped": {
      const { reason } = meaning;
      const dropped = { ...to.dropped, [reason]: (to.dropped[reason] ?? 0) + frames };
      // What is counted as sent and was dropped after that was not accepted.
      return NEVER_SENT.has(reason)
        ? { ...to, dropped }
        : { ...accept(to, -frames, -octets), dropped };
    }
  }
}

function accept(to: VifCounts, frames: number, octets: number): VifCounts {
  return {
    ...to,
    acceptedFrames: to.acceptedFrames + frames,
    acceptedOctets: to.acceptedOctets + octets,
  };
}

/** What has been added; after counters began anew, all there is. */
function differenceOf(
  now: VifCounts["dropped"],
  former: VifCounts["dropped"],
): VifCounts["dropped"] {
  const since = Object.entries(now).map(([reason, count]) => {
    const before = former[reason] ?? 0;
    return [reason, count >= before ? count - before : count] as const;
  });
  return Object.fromEntries(since.filter(([, count]) => count > 0));
}

/** Events of VIFs under rules, and of the switch: by the difference after every pass. */
import type { EventStreams } from "./event-streams.ts";
import { nameOf } from "./vif-plan.ts";
import type { VifReconciler } from "./vif-reconciler.ts";
import { judgeVif, type VifVerdict } from "./vif-views.ts";

export type VifWatchOptions = {
  readonly reconciler: VifReconciler;
  readonly events: EventStreams;
};

type SeenVif = VifVerdict & { readonly name: string };

type Seen = {
  /** By key. */
  readonly vifs: ReadonlyMap<string, SeenVif>;
  readonly ovsProblem: string | null;
};

/** One that is plugged is seen with and without its port within milliseconds: that is no news. */
const SETTLE_MS = 100;

export class VifWatch {
  readonly #options: VifWatchOptions;
  /** Null: nobody watches. */
  #seen: Seen | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: VifWatchOptions) {
    this.#options = options;
    const { reconciler, events } = options;
    events.onWatched((isWatched) => {
      this.#seen = isWatched ? this.#look(null) : null;
      clearTimeout(this.#timer ?? undefined);
      this.#timer = null;
    });
    reconciler.onPass(() => this.#compareSoon());
  }

  #compareSoon(): void {
    if (this.#seen !== null) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#compare();
      }, SETTLE_MS);
    }
  }

  #compare(): void {
    const former = this.#seen;
    // A pass that is to be made again says nothing yet.
    if (former === null || !this.#options.reconciler.decided) {
      return;
    }
    const seen = this.#look(former);
    this.#seen = seen;
    this.#tellSwitch(former.ovsProblem, seen.ovsProblem);
    for (const [key, vif] of seen.vifs) {
      this.#tellVif(vif, former.vifs.get(key) ?? null);
    }
    for (const [key, { name, state }] of former.vifs) {
      if (!seen.vifs.has(key) && state !== "waiting") {
        this.#options.events.emit({ event: "vif-gone", vif: name, message: `${name} has gone` });
      }
    }
  }

  #tellSwitch(former: string | null, reason: string | null): void {
    const { events } = this.#options;
    if (reason !== null && former === null) {
      events.emit({ event: "ovs-lost", reason, message: `Open vSwitch was lost: ${reason}` });
    } else if (reason === null && former !== null) {
      events.emit({ event: "ovs-back", message: "Open vSwitch is back" });
    }
  }

  #tellVif({ name: vif, state, error }: SeenVif, former: SeenVif | null): void {
    const { events } = this.#options;
    if (state === former?.state && error === former.error) {
      return;
    }
    switch (state) {
      case "applied":
        events.emit({ event: "vif-applied", vif, message: `${vif} is under its policy` });
        break;
      case "waiting":
        if (former !== null) {
          events.emit({ event: "vif-gone", vif, message: `${vif} has gone, its policy waits` });
        }
        break;
      case "quarantine": {
        const reason = "no policy";
        const message = `${vif} is in quarantine, nothing passes: it has no policy`;
        events.emit({ event: "vif-denied", vif, reason, message });
        break;
      }
      case "error": {
        const message = `${vif} is not under its policy: ${error}`;
        events.emit({ event: "vif-denied", vif, reason: error, message });
        break;
      }
    }
  }

  /** What is wrong with the whole switch is told once, and not of every VIF. */
  #look(former: Seen | null): Seen {
    const { reconciler } = this.#options;
    const ovsProblem = reconciler.problem;
    return ovsProblem !== null && former !== null
      ? { vifs: former.vifs, ovsProblem }
      : { vifs: this.#lookAtVifs(former), ovsProblem };
  }

  #lookAtVifs(former: Seen | null): ReadonlyMap<string, SeenVif> {
    const { reconciler } = this.#options;
    const vifs = new Map<string, SeenVif>();
    for (const vif of reconciler.vifs) {
      const isComing = vif.ports.some(({ name }) => reconciler.ports.isComing(name));
      const seen = isComing
        ? former?.vifs.get(vif.key)
        : { name: nameOf(vif), ...judgeVif(vif, reconciler) };
      if (seen !== undefined) {
        vifs.set(vif.key, seen);
      }
    }
    return vifs;
  }
}

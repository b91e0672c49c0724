/**
 * The VARP machine at work: the data plane's events and the clock go in, what comes out goes down
 * at once. It holds the only timer of discovery.
 */
import type { Clock } from "../host/clock.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { countRefused, createVarp, listAsking, nextWakeAt, stepVarp } from "../vnet/varp.ts";
import { listDuplicates } from "../vnet/varp-claims.ts";
import type {
  VarpAsking,
  VarpDuplicate,
  VarpEffect,
  VarpEvent,
  VarpRefusal,
} from "../vnet/varp-events.ts";

export type DiscoveryOptions = {
  readonly udpPort: number;
  readonly clock: Clock;
  /** Takes the effects in order; it must not throw. */
  readonly send: (effects: readonly VarpEffect[]) => void;
};

// Node's timers wake up to a millisecond early.
const TIMER_SLACK_MS = 1;
const TIMER_MS_MAX = 60_000;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #varp;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#varp = createVarp({ udpPort: options.udpPort });
  }

  handle(event: VarpEvent): void {
    const effects = stepVarp(this.#varp, event, this.#options.clock.now());
    if (effects.length > 0) {
      this.#options.send(effects);
    }
    this.#arm();
  }

  /** @param vnet null: of all vnets */
  listAsking(vnet: VnetId | null): readonly VarpAsking[] {
    return listAsking(this.#varp, vnet, this.#options.clock.now());
  }

  /** @param vnet null: of all vnets */
  listDuplicates(vnet: VnetId | null): readonly VarpDuplicate[] {
    return listDuplicates(this.#varp, vnet, this.#options.clock.now());
  }

  countRefused(): ReadonlyMap<VarpRefusal, number> {
    return countRefused(this.#varp);
  }

  close(): void {
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    this.#timer = null;
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  #arm(): void {
    const at = nextWakeAt(this.#varp);
    // A timer that is due earlier finds nothing to do and sets the next one.
    if (at >= this.#timerAt) {
      return;
    }
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    const delayMs = Math.max(0, at - this.#options.clock.now()) + TIMER_SLACK_MS;
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.handle({ kind: "tick" });
      },
      Math.min(delayMs, TIMER_MS_MAX),
    );
  }
}

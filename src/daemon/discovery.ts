/**
 * The VARP machine at work: the data plane's events and the clock go in, what comes out goes down
 * at once. It holds the only timer of discovery.
 */
import type { Clock } from "../host/clock.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import {
  countRefused,
  createVarp,
  listAsking,
  nextWakeAt,
  stepVarp,
  takeMoves,
} from "../vnet/varp.ts";
import { listDuplicates } from "../vnet/varp-claims.ts";
import type {
  VarpAsking,
  VarpDuplicate,
  VarpEffect,
  VarpEvent,
  VarpMove,
  VarpRefusal,
} from "../vnet/varp-events.ts";
import type { EventStreams } from "./event-streams.ts";

export type DiscoveryOptions = {
  readonly udpPort: number;
  readonly clock: Clock;
  /** Takes the effects in order; it must not throw. */
  readonly send: (effects: readonly VarpEffect[]) => void;
  readonly events: EventStreams;
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
    for (const move of takeMoves(this.#varp)) {
      tellMove(this.#options.events, move);
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

function tellMove(events: EventStreams, { vnet, mac, host, isDuplicate }: VarpMove): void {
  const peer = host === null ? null : formatEndpoint(host);
  const what = `${mac} of vnet ${shortVnetId(vnet)}`;
  const moved = `moved to ${peer ?? "this host"}`;
  events.emit(
    isDuplicate
      ? {
          event: "mac-duplicate",
          vnet,
          mac,
          peer,
          message: `two hosts seem to have ${what}: it ${moved} again`,
        }
      : { event: "mac-moved", vnet, mac, peer, message: `${what} ${moved}` },
  );
}

/**
 * Events of vnets, of the data plane and of the underlay: by the difference between what was seen
 * last and what is, after every change.
 */
import type { DataplaneProcess } from "../dataplane/process.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Overlay } from "./overlay.ts";

export type OverlayWatchOptions = {
  readonly overlay: Overlay;
  readonly dataplane: Pick<DataplaneProcess, "error">;
  readonly events: EventStreams;
};

type Seen = {
  /** By vnet; null: nothing is wrong with it. */
  readonly problems: ReadonlyMap<VnetId, string | null>;
  readonly underlay: string | null;
  /** Null: there is none. */
  readonly dataplanePid: number | null;
};

export class OverlayWatch {
  readonly #options: OverlayWatchOptions;
  /** Null: nobody watches. */
  #seen: Seen | null = null;

  constructor(options: OverlayWatchOptions) {
    this.#options = options;
    const { overlay, events } = options;
    events.onWatched((isWatched) => {
      this.#seen = isWatched ? this.#look(null) : null;
    });
    overlay.onChange(() => this.#compare());
  }

  #compare(): void {
    const former = this.#seen;
    if (former === null) {
      return;
    }
    const seen = this.#look(former);
    this.#seen = seen;
    this.#tellDataplane(former.dataplanePid, seen.dataplanePid);
    this.#tellUnderlay(former.underlay, seen.underlay);
    for (const vnet of former.problems.keys()) {
      if (!seen.problems.has(vnet)) {
        const message = `vnet ${shortVnetId(vnet)} was removed`;
        this.#options.events.emit({ event: "vnet-removed", vnet, message });
      }
    }
    for (const [vnet, problem] of seen.problems) {
      this.#tellVnet(vnet, problem, former.problems.get(vnet));
    }
  }

  #tellDataplane(former: number | null, pid: number | null): void {
    const { events, dataplane } = this.#options;
    if (former !== null && pid !== former) {
      const reason = dataplane.error;
      const message = reason ?? `vnet-dp is gone (pid ${former})`;
      events.emit({ event: "dataplane-down", reason, message });
    }
    if (pid !== null && pid !== former) {
      events.emit({ event: "dataplane-up", message: `vnet-dp carries frames (pid ${pid})` });
    }
  }

  #tellUnderlay(former: string | null, reason: string | null): void {
    const { events, overlay } = this.#options;
    if (reason !== null && reason !== former) {
      events.emit({ event: "underlay-down", reason, message: `no underlay: ${reason}` });
    } else if (reason === null && former !== null) {
      const device = overlay.underlay.device?.name ?? "none";
      events.emit({ event: "underlay-up", message: `the underlay is back: ${device}` });
    }
  }

  /** @param former undefined: it was not there */
  #tellVnet(vnet: VnetId, reason: string | null, former: string | null | undefined): void {
    const { events } = this.#options;
    const name = `vnet ${shortVnetId(vnet)}`;
    if (former === undefined) {
      events.emit({ event: "vnet-added", vnet, message: `${name} was added` });
    }
    if (reason !== null && reason !== former) {
      const message = `${name} carries no frames: ${reason}`;
      events.emit({ event: "vnet-failed", vnet, reason, message });
    } else if (reason === null && former != null) {
      events.emit({ event: "vnet-recovered", vnet, message: `${name} carries frames again` });
    }
  }

  /** What is wrong with all of them at once (data plane, underlay) is told as that. */
  #look(former: Seen | null): Seen {
    const { overlay } = this.#options;
    const problemOf = (vnet: VnetId): string | null => {
      if (overlay.dataplane.client === null) {
        return former?.problems.get(vnet) ?? null;
      }
      const problem = overlay.problemOf(vnet);
      return problem === null || problem.code === "VNETD_NO_UNDERLAY" ? null : problem.message;
    };
    return {
      problems: new Map(overlay.desired.vnets.map(({ id }) => [id, problemOf(id)])),
      underlay: overlay.underlay.error,
      dataplanePid: overlay.dataplane.client?.welcome.pid ?? null,
    };
  }
}

/** Which number a new port is to ask for. */
import type { SwitchView } from "../host/switch-view.ts";

const OFPORT_MIN = 1;
/** Above are the reserved ones (OFPP_MAX of OpenFlow 1.0, which Open vSwitch keeps to). */
const OFPORT_MAX = 0xfeff;

export class Ofports {
  #last = 0;

  /** Upwards, so that a number is used again as late as possible: frames of the last one may come. */
  choose(view: SwitchView | null, reserved: Iterable<number>): number {
    const taken = new Set<number | null>(reserved);
    for (const { ofport, ofportRequest } of view?.interfaces.values() ?? []) {
      taken.add(ofport);
      taken.add(ofportRequest);
    }
    if (this.#last === 0) {
      for (const ofport of taken) {
        // The bridge's own port has a reserved one.
        this.#last = Math.max(this.#last, ofport !== null && ofport <= OFPORT_MAX ? ofport : 0);
      }
    }
    do {
      this.#last = this.#last >= OFPORT_MAX ? OFPORT_MIN : this.#last + 1;
    } while (taken.has(this.#last));
    return this.#last;
  }
}

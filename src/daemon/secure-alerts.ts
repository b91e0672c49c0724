/** What the log and events say of secure vnets: when something changes, never once a message. */

import type { EventKind } from "../control/events-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { createRateTable, mayOnceMore } from "../vnet/rate-table.ts";
import type { SecureAlert, SecureEffect } from "../vnet/secure-events.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Log } from "./log.ts";

const TEXTS: Readonly<Record<SecureAlert, string>> = {
  clone: "another machine has this host's identity: was a disk image copied? identity is renewed",
  "own-packets-heard":
    "packets of this host's own came from elsewhere: a copy of it, or somebody sends them back",
  "clone-elsewhere": "a host says that another machine has its identity",
  "key-mismatch": "a host of this vnet, it seems, has none of its keys (vn vnet-keys)",
  "suite-mismatch": "a host of this vnet has another suite (vnet-create --suite)",
  "host-up": "a host of a secure vnet is there",
  "host-unreachable": "a host of a secure vnet is not heard any more",
  "hosts-full": "a secure vnet has more hosts than are kept, the others are not heard",
};

const EVENTS: Readonly<Record<SecureAlert, EventKind>> = {
  clone: "clone",
  "own-packets-heard": "clone",
  "clone-elsewhere": "clone",
  "key-mismatch": "key-mismatch",
  "suite-mismatch": "suite-mismatch",
  "host-up": "peer-up",
  "host-unreachable": "peer-down",
  "hosts-full": "peers-full",
};

const GOOD_NEWS: ReadonlySet<SecureAlert> = new Set(["host-up"]);

/** What a stranger can bring about as often as it likes: told each ten seconds, after four. */
const STRANGERS_ALERTS: ReadonlySet<SecureAlert> = new Set(["key-mismatch", "suite-mismatch"]);
const STRANGERS_LIMITS = { perSecond: 0.1, burst: 4, entriesMax: 1024 };

export type SecureAlertsOptions = { readonly log: Log; readonly events: EventStreams };

export class SecureAlerts {
  readonly #options: SecureAlertsOptions;
  readonly #rates = createRateTable(STRANGERS_LIMITS);

  constructor(options: SecureAlertsOptions) {
    this.#options = options;
  }

  /** @param now in milliseconds, of a clock that does not go back */
  tell({ code, vnet, host }: Extract<SecureEffect, { readonly kind: "alert" }>, now: number): void {
    if (STRANGERS_ALERTS.has(code) && !mayOnceMore(this.#rates, `${code} ${vnet}`, now)) {
      return;
    }
    const { log, events } = this.#options;
    const peer = host === null ? null : formatEndpoint(host);
    const level = GOOD_NEWS.has(code) ? "info" : "warn";
    log[level]({ vnet: shortVnetId(vnet), peer, alert: code }, TEXTS[code]);
    events.emit({ event: EVENTS[code], vnet, peer, reason: code, message: TEXTS[code] });
  }
}

/** What becomes of each event of the data plane. */
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import type { Captures } from "./captures.ts";
import type { Discovery } from "./discovery.ts";
import type { Log } from "./log.ts";
import type { Observations } from "./observations.ts";
import type { Overlay } from "./overlay.ts";
import { isClearVarpHeard, openVarp } from "./sealed-discovery.ts";
import type { SecureVnets } from "./secure-vnets.ts";

export type EventSinks = {
  readonly overlay: Overlay;
  readonly discovery: Discovery;
  readonly secure: SecureVnets;
  readonly captures: Captures;
  readonly observations: Observations;
  readonly isSecure: (vnet: VnetId) => boolean;
  readonly log: Log;
};

const LOG_METHODS = ["debug", "info", "warn", "error"] as const;

export function handleDataplaneEvent(event: DataplaneEvent, sinks: EventSinks): void {
  const { overlay, discovery, secure, captures, observations, isSecure, log } = sinks;
  switch (event.kind) {
    case "tap-lost":
      log.warn(
        { vnetif: event.deviceName, errno: event.error },
        "a vnet interface was lost, it is made anew",
      );
      overlay.tapLost(event.vnet);
      break;
    case "events-lost":
      log.warn({ count: event.count }, "events of the data plane were lost, its tables are read");
      overlay.eventsLost().catch((error: unknown) => {
        log.warn({ err: error }, "cannot read the data plane's tables");
      });
      break;
    case "log":
      log[LOG_METHODS[event.level] ?? "error"]({ from: "vnet-dp" }, event.text);
      break;
    case "offload-changed":
      log.warn({ ...event }, "an offload failed and was switched off");
      observations.setOffloads(event);
      break;
    case "vnc-received":
    case "unknown-spi":
    case "sa-spent":
    case "own-spi-heard":
      secure.handle(event);
      break;
    case "sealed-control": {
      const opened = openVarp(event);
      if (opened !== null) {
        discovery.handle(opened);
      }
      break;
    }
    case "captured-frame":
      captures.take(event);
      break;
    case "control-received":
      if (isClearVarpHeard(event, isSecure)) {
        discovery.handle(event);
      }
      break;
    default:
      discovery.handle(event);
  }
}

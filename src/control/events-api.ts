/**
 * Events, as plain data: what `vn watch` prints, a JSON object a line on the socket. Field names
 * are stable, and all fields are always there; more kinds may come.
 */
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";

/** In the order of docs/CONTROL.md, which says what each means. */
export const EVENT_KINDS = [
  "peer-up",
  "peer-down",
  "peers-full",
  "key-mismatch",
  "suite-mismatch",
  "clone",
  "mac-moved",
  "mac-duplicate",
  "vnet-added",
  "vnet-removed",
  "vnet-failed",
  "vnet-recovered",
  "vif-applied",
  "vif-denied",
  "vif-gone",
  "drop-burst",
  "dataplane-up",
  "dataplane-down",
  "underlay-up",
  "underlay-down",
  "ovs-back",
  "ovs-lost",
  "events-lost",
] as const;

export type EventKind = (typeof EVENT_KINDS)[number];

export type EventView = {
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly event: EventKind;
  readonly level: "info" | "warning";
  readonly vnet: VnetId | null;
  /** Another host: `192.0.2.2:1798`. */
  readonly peer: string | null;
  readonly mac: MacAddress | null;
  /** The name of the VIF's port; its iface-id when it has none. */
  readonly vif: string | null;
  /** Of `drop-burst`: the counter. Of what was denied or has failed: why. */
  readonly reason: string | null;
  /** Of `drop-burst`: frames or datagrams. Of `events-lost`: events. */
  readonly count: number | null;
  /** For people: one line. */
  readonly message: string;
};

/** Of each list, one must fit; an empty list lets everything through. */
export type EventFilter = {
  /** Kinds, or what stands before the first hyphen of one: `peer`, `vif`. */
  readonly events: readonly string[];
  /** As VnetRef of api.ts. */
  readonly vnets: readonly string[];
  readonly peers: readonly string[];
  readonly vifs: readonly string[];
};

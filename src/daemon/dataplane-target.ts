/** From the desired state, the host's devices and the underlay to what the data plane should do. */
import type { VnetId } from "../net/vnet-id.ts";
import type { DesiredState } from "../vnet/desired-state.ts";
import type { DataplaneTarget } from "../vnet/plan.ts";
import { securityNumber } from "../vnet/vnet-security.ts";
import type { Config } from "./config.ts";
import { deviceNames } from "./host-view.ts";
import type { Links } from "./link-plan.ts";
import { type Underlay, underlayCommand } from "./underlay.ts";

export type TargetSources = {
  readonly config: Config;
  readonly desired: DesiredState;
  readonly links: Links;
  readonly underlay: Underlay;
  /** Vnets whose devices or keys are not right: they are not carried. */
  readonly isBroken: (vnet: VnetId) => boolean;
};

/** The `encapsulation` of `set-vnet` (native/control/messages.def). */
const ENCAPSULATION_NUMBERS = { udp: 0, etherip: 1 } as const;

export function dataplaneTarget(sources: TargetSources): DataplaneTarget {
  const { config, desired, links, underlay, isBroken } = sources;
  const { vnets, peers, pinnedVifs, multicastGroup } = desired;
  const { fdbTtlMs, fdbLimit, vifLimit, multicast, multicastTtl: ttl } = config;
  const group = multicastGroup ?? config.multicastGroup;
  const guestSide = vnets.flatMap(deviceNames).flatMap((name) => links.get(name) ?? []);
  const indexes = guestSide.map(({ index }) => index).toSorted((one, other) => one - other);
  return {
    underlay: underlayCommand(underlay, { multicast, group, ttl }, indexes),
    ages: {
      kind: "set-ages",
      fdbTtlMs,
      vifTtlMs: fdbTtlMs,
      // Early enough for several requests a second apart before the entry dies.
      refreshAfterMs: Math.floor(fdbTtlMs / 2),
    },
    vnets: vnets
      .filter(({ id }) => !isBroken(id))
      .map(({ id, vnetif, encapsulation, mtu, security }) => ({
        kind: "set-vnet",
        vnet: id,
        deviceName: vnetif,
        encapsulation: ENCAPSULATION_NUMBERS[encapsulation],
        mtuBytes: mtu,
        fdbLimit,
        vifLimit,
        security: securityNumber(security),
      })),
    peers: peers.map(({ endpoint }) => endpoint),
    pinnedVifs,
  };
}

/** The VIFs of a bridge that have a port, from one plan to the next. */
import { rangesOverlap } from "./address-set.ts";
import type { BridgeEndpoint } from "./bridge-rules.ts";
import { endpointAddresses, type NetworkView } from "./network-view.ts";
import { isPrefix } from "./policy-value.ts";
import { type PresentVif, type Targets, targetKeys } from "./vif-rules.ts";

export type VifChanges = {
  /** In the order of their first ports. */
  readonly vifs: readonly PresentVif[];
  /** Those that are new or other than before, and those that share a MAC or an address with such. */
  readonly touched: ReadonlySet<PresentVif>;
  /** Who takes what is sent to it, or asked of it: at a small price for those that are touched. */
  readonly targetsOf: (vif: PresentVif) => Targets;
};

export class PresentVifs {
  readonly #known = new WeakMap<BridgeEndpoint, PresentVif>();
  #vifs: ReadonlySet<PresentVif> = new Set();

  follow(
    endpoints: readonly BridgeEndpoint[],
    networks: ReadonlyMap<number, NetworkView>,
  ): VifChanges {
    const vifs = endpoints
      .flatMap((endpoint) => this.#present(endpoint, networks) ?? [])
      .sort((one, other) => one.port - other.port);
    const former = this.#vifs;
    this.#vifs = new Set(vifs);
    const changed = [
      ...vifs.filter((vif) => !former.has(vif)),
      ...[...former].filter((vif) => !this.#vifs.has(vif)),
    ];
    const changedKeys = new Set(changed.flatMap(({ keys }) => keys));
    const touched = new Set(
      changed.length === 0
        ? []
        : vifs.filter(({ keys }) => keys.some((key) => changedKeys.has(key))),
    );
    const some = collectTargets(vifs, new Set([...touched].flatMap(({ keys }) => keys)));
    let all: Targets | null = null;
    const targetsOf = (vif: PresentVif): Targets => {
      if (!touched.has(vif)) {
        all ??= collectTargets(vifs, null);
      }
      const targets = touched.has(vif) ? some : all;
      return new Map(vif.keys.map((key) => [key, targets?.get(key) ?? []]));
    };
    return { vifs, touched, targetsOf };
  }

  /** The same value as before for an endpoint that is, in networks that are. */
  #present(
    endpoint: BridgeEndpoint,
    networks: ReadonlyMap<number, NetworkView>,
  ): PresentVif | null {
    const known = this.#known.get(endpoint);
    if (known !== undefined && isCurrent(known, networks)) {
      return known;
    }
    const vif = presentVif(endpoint, networks);
    if (vif !== null) {
      this.#known.set(endpoint, vif);
    }
    return vif;
  }
}

function isCurrent(
  { network, trunks }: PresentVif,
  networks: ReadonlyMap<number, NetworkView>,
): boolean {
  return (
    networks.get(network.vlan) === network &&
    trunks.every((trunk) => networks.get(trunk.vlan) === trunk)
  );
}

function presentVif(
  endpoint: BridgeEndpoint,
  networks: ReadonlyMap<number, NetworkView>,
): PresentVif | null {
  const [port] = endpoint.ofports;
  const network = networks.get(endpoint.vlan);
  if (port === undefined || network === undefined) {
    return null;
  }
  const trunks = endpoint.policy.vlan.trunks
    .filter((vlan) => vlan !== endpoint.vlan)
    .flatMap((vlan) => networks.get(vlan) ?? []);
  const all = [network, ...trunks];
  const infraNets = all.filter((each) => isInfra(endpoint, each)).map(({ net }) => net);
  return { endpoint, port, network, trunks, infraNets, keys: targetKeys(endpoint, all) };
}

function isInfra(endpoint: BridgeEndpoint, { infra, infraMacs }: NetworkView): boolean {
  return (
    infraMacs.includes(endpoint.policy.mac) ||
    endpointAddresses(endpoint).some((address) =>
      infra.some((range) => !isPrefix(address) && rangesOverlap(address, range)),
    )
  );
}

/**
 * Which VIFs take what is sent to a MAC, or asked for an address; the first of them owns the flow.
 *
 * @param wanted keys; null: all
 */
function collectTargets(vifs: readonly PresentVif[], wanted: ReadonlySet<string> | null): Targets {
  const targets = new Map<string, number[]>();
  for (const vif of wanted?.size === 0 ? [] : vifs) {
    for (const key of vif.keys) {
      if (wanted === null || wanted.has(key)) {
        const list = targets.get(key) ?? [];
        targets.set(key, list);
        list.push(vif.port);
      }
    }
  }
  return targets;
}

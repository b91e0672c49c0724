/** What is learned and counted: MACs, peers, counters, ports. Read when asked for, never stored. */
import type {
  PeerView,
  PeerVnetView,
  StatsView,
  StatusView,
  VarpView,
  VifView,
} from "../control/api.ts";
import type { RunProgram } from "../host/child.ts";
import { listBridgePorts } from "../host/iproute2.ts";
import type { OvsVsctl } from "../host/ovs-vsctl.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import { COUNTERS } from "../vnet/counters.ts";
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import { formatKeyId } from "../vnet/key-ring.ts";
import type { SecureHostView, SecureRefusal } from "../vnet/secure-events.ts";
import type { VarpRefusal } from "../vnet/varp-events.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";
import { ofKind } from "./dataplane-state.ts";
import type { Discovery } from "./discovery.ts";
import type { SaCount } from "./metrics.ts";
import type { Overlay } from "./overlay.ts";
import type { SecureVnets } from "./secure-vnets.ts";

export type ObservationsOptions = {
  readonly overlay: Overlay;
  readonly discovery: Discovery;
  readonly secure: Pick<SecureVnets, "listHosts" | "countRefused">;
  readonly run: RunProgram;
  readonly ovs: OvsVsctl;
};

type Offloads = Pick<StatusView["dataplane"], "tapOffload" | "udpSegmentation" | "udpCoalescing">;

const NO_OFFLOADS: Offloads = { tapOffload: false, udpSegmentation: false, udpCoalescing: false };

// So many bridges are asked for their ports, for whoever has just attached one. For more, what the
// kernel told is a matter of milliseconds old, and listing thousands of links takes fifty.
const BRIDGE_LOOKUPS_MAX = 4;

export class Observations {
  readonly #options: ObservationsOptions;
  #offloads: Offloads | null = null;
  #connectCount = 0;

  constructor(options: ObservationsOptions) {
    this.#options = options;
  }

  /** What works now, which may be less than what was asked for. */
  offloads(): Offloads {
    const { client } = this.#options.overlay.dataplane;
    if (client === null) {
      return NO_OFFLOADS;
    }
    const { tapOffload, udpSegmentation, udpCoalescing } = this.#offloads ?? client.welcome;
    return { tapOffload, udpSegmentation, udpCoalescing };
  }

  setOffloads(event: Extract<DataplaneEvent, { kind: "offload-changed" }>): void {
    this.#offloads = event;
  }

  /** There is a new data plane, or the running one was adopted: its greeting says what works. */
  connected(): void {
    this.#offloads = null;
    this.#connectCount += 1;
  }

  get connectCount(): number {
    return this.#connectCount;
  }

  async countMacs(): Promise<{ readonly vifCount: number; readonly varpCount: number }> {
    const { client } = this.#options.overlay.dataplane;
    if (client === null) {
      return { vifCount: 0, varpCount: 0 };
    }
    const vnets = ofKind(await client.request({ kind: "get-state" }), "vnet-state");
    const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
    return {
      vifCount: sum(vnets.map(({ vifCount }) => vifCount)),
      varpCount: sum(vnets.map(({ fdbCount }) => fdbCount)),
    };
  }

  /**
   * @param vnets null: all
   * @throws DataplaneError
   */
  async listVifs(vnets: ReadonlySet<VnetId> | null): Promise<readonly VifView[]> {
    const answers = await this.#list("list-vifs", vnets);
    return ofKind(answers, "vif-entry").map(({ vnet, mac, pinned, ageMs }) => ({
      ...{ vnet, mac, pinned, ageMs },
    }));
  }

  /**
   * @param vnets null: all
   * @throws DataplaneError
   */
  async listVarp(vnets: ReadonlySet<VnetId> | null): Promise<readonly VarpView[]> {
    const answers = await this.#list("list-fdb", vnets);
    const { discovery } = this.#options;
    const isWanted = (vnet: VnetId): boolean => vnets === null || vnets.has(vnet);
    const duplicates = discovery.listDuplicates(null).filter(({ vnet }) => isWanted(vnet));
    const isDuplicate = new Set(duplicates.map(({ vnet, mac }) => `${vnet} ${mac}`));
    const reachable = ofKind(answers, "fdb-entry").map(
      ({ vnet, mac, host, ageMs, pinned }): VarpView => ({
        ...{ vnet, mac, host, ageMs, pinned },
        state: isDuplicate.has(`${vnet} ${mac}`) ? "duplicate" : "reachable",
      }),
    );
    const known = new Set(reachable.map(({ vnet, mac }) => `${vnet} ${mac}`));
    const asking = discovery
      .listAsking(null)
      .filter(
        ({ vnet, mac, host }) => isWanted(vnet) && host === null && !known.has(`${vnet} ${mac}`),
      )
      .map(
        ({ vnet, mac, askingMs }): VarpView => ({
          ...{ vnet, mac, state: "asking", host: null, pinned: false },
          ageMs: Math.round(askingMs),
        }),
      );
    // Those that stay on this host: no remote entry shows them.
    const here = duplicates
      .filter(({ vnet, mac }) => !known.has(`${vnet} ${mac}`))
      .map(
        ({ vnet, mac, host }): VarpView => ({
          ...{ vnet, mac, host, state: "duplicate", ageMs: 0, pinned: false },
        }),
      );
    return [...reachable, ...asking, ...here];
  }

  async flushVarp(): Promise<void> {
    const { discovery, overlay } = this.#options;
    discovery.handle({ kind: "flush" });
    // Answers come in the order of the commands: when this one's is there, the flush is done.
    await overlay.dataplane.need().request({ kind: "flush-fdb", vnet: ALL_VNETS });
  }

  /** @throws DataplaneError */
  async listPeers(): Promise<readonly PeerView[]> {
    const { overlay } = this.#options;
    const { client } = overlay.dataplane;
    const answers = client === null ? [] : await client.request({ kind: "get-state" });
    const states = new Map(
      ofKind(answers, "peer-state").flatMap((state) =>
        state.host === null ? [] : [[formatEndpoint(state.host), state] as const],
      ),
    );
    const hosts = new Map<string, SecureHostView[]>();
    for (const view of this.#options.secure.listHosts()) {
      const key = formatEndpoint(view.host);
      hosts.set(key, [...(hosts.get(key) ?? []), view]);
    }
    const configured = overlay.desired.peers.map(({ endpoint, name }): PeerView => {
      const key = formatEndpoint(endpoint);
      const state = states.get(key);
      return {
        ...{ ...endpoint, name, configured: true },
        forwardedOut: Number(state?.forwardedOut ?? 0n),
        forwardedIn: Number(state?.forwardedIn ?? 0n),
        ...viewHost(hosts.get(key) ?? []),
      };
    });
    const known = new Set(overlay.desired.peers.map(({ endpoint }) => formatEndpoint(endpoint)));
    const heard = [...hosts].flatMap(([key, [first, ...more]]): PeerView[] =>
      first === undefined || known.has(key)
        ? []
        : [
            {
              ...{ ...first.host, name: null, configured: false, forwardedOut: 0, forwardedIn: 0 },
              ...viewHost([first, ...more]),
            },
          ],
    );
    return [...configured, ...heard];
  }

  /**
   * @param vnet null: the process
   * @throws DataplaneError
   */
  async stats(vnet: VnetId | null): Promise<readonly StatsView[]> {
    const all = await this.#counters(vnet ?? ALL_VNETS);
    return all.filter((view) => view.vnet === vnet);
  }

  /**
   * Of the process and of every vnet; of none while there is no data plane.
   *
   * @throws DataplaneError
   */
  async allStats(): Promise<readonly StatsView[]> {
    return this.#options.overlay.dataplane.client === null ? [] : await this.#counters(ALL_VNETS);
  }

  /** @throws DataplaneError */
  async countSas(): Promise<readonly SaCount[]> {
    const { client } = this.#options.overlay.dataplane;
    const command = { kind: "list-sas", vnet: ALL_VNETS, spi: 0 } as const;
    const answers = client === null ? [] : await client.request(command);
    const counts = new Map<string, SaCount>();
    for (const { vnet, send } of ofKind(answers, "sa-state")) {
      const direction = send ? "send" : "receive";
      const count = (counts.get(`${vnet} ${direction}`)?.count ?? 0) + 1;
      counts.set(`${vnet} ${direction}`, { vnet, direction, count });
    }
    return [...counts.values()];
  }

  secureRefused(): ReadonlyMap<SecureRefusal, number> {
    return this.#options.secure.countRefused();
  }

  varpRefused(): ReadonlyMap<VarpRefusal, number> {
    return this.#options.discovery.countRefused();
  }

  /**
   * The ports of each vnet's bridge, its own interface left out.
   *
   * @throws LinkError, OvsError
   */
  async portsOf(vnets: readonly VnetConfig[]): Promise<ReadonlyMap<VnetId, readonly string[]>> {
    const bridged = vnets.filter(({ bridge, ovs }) => bridge !== null && !ovs);
    const onOvs = vnets.filter(({ bridge, ovs }) => bridge !== null && ovs);
    const ports = new Map([...(await this.#linuxPorts(bridged)), ...(await this.#ovsPorts(onOvs))]);
    return new Map(
      vnets.map(({ id, bridge, vnetif }) => [
        id,
        (bridge === null ? [] : (ports.get(bridge) ?? [])).filter((port) => port !== vnetif),
      ]),
    );
  }

  async #linuxPorts(vnets: readonly VnetConfig[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const { run, overlay } = this.#options;
    const names = vnets.flatMap(({ id, bridge }) =>
      bridge === null || overlay.problemOf(id)?.code === "VNETD_HOST_FAILED" ? [] : [bridge],
    );
    if (names.length > BRIDGE_LOOKUPS_MAX) {
      return overlay.bridgePorts();
    }
    const links = (await Promise.all(names.map((bridge) => listBridgePorts(run, bridge)))).flat();
    const ports = new Map<string, string[]>();
    for (const { name, master } of links) {
      if (master !== null) {
        ports.set(master, [...(ports.get(master) ?? []), name]);
      }
    }
    return ports;
  }

  async #ovsPorts(vnets: readonly VnetConfig[]): Promise<ReadonlyMap<string, string[]>> {
    const ports = new Map<string, string[]>();
    if (vnets.length === 0) {
      return ports;
    }
    for (const [port, bridge] of await this.#options.ovs.mapPorts()) {
      ports.set(bridge, [...(ports.get(bridge) ?? []), port]);
    }
    return ports;
  }

  async #list(kind: "list-vifs" | "list-fdb", vnets: ReadonlySet<VnetId> | null) {
    const client = this.#options.overlay.dataplane.need();
    const asked = vnets === null ? [ALL_VNETS] : [...vnets];
    const answers = await Promise.all(asked.map((vnet) => client.request({ kind, vnet })));
    return answers.flat();
  }

  async #counters(vnet: VnetId): Promise<StatsView[]> {
    const client = this.#options.overlay.dataplane.need();
    const answers = await client.request({ kind: "get-counters", vnet });
    return ofKind(answers, "counters").map(({ vnet: id, values }) => ({
      vnet: id === ALL_VNETS ? null : id,
      counters: Object.fromEntries(
        COUNTERS.map(({ name }, index) => [name, Number(values[index] ?? 0n)]),
      ),
    }));
  }
}

/** What one host says in each of its vnets. */
function viewHost(views: readonly SecureHostView[]): Pick<PeerView, "pathMtu" | "vnets"> {
  const pathMtu = views.find(({ pathMtuBytes }) => pathMtuBytes !== null)?.pathMtuBytes ?? null;
  return { pathMtu, vnets: views.map(viewInVnet) };
}

function viewInVnet({
  vnet,
  state,
  sinceMs,
  heardMs,
  keyId,
  senderId,
}: SecureHostView): PeerVnetView {
  return {
    ...{ vnet, state, senderId, keyId: keyId === null ? null : formatKeyId(keyId) },
    ...{ sinceMs: Math.round(sinceMs), heardMs: Math.round(heardMs) },
  };
}

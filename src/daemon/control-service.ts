/** What the control API offers, done: the daemon's side of src/control/api.ts. */
import type {
  ControlApi,
  PeerView,
  StatsView,
  StatusView,
  VarpView,
  VifView,
  VnetRef,
  VnetRequest,
  VnetView,
} from "../control/api.ts";
import { ControlError } from "../control/control-error.ts";
import type { EventFilter } from "../control/events-api.ts";
import type { LibvirtApi } from "../control/libvirt-api.ts";
import { isVnetIdText } from "../control/references.ts";
import { VERSION } from "../control/version.ts";
import type { VifRulesApi } from "../control/vif-rules-api.ts";
import type { DataplaneProcess } from "../dataplane/process.ts";
import type { RunProgram } from "../host/child.ts";
import { readDeviceCounters } from "../host/device-counters.ts";
import { findLinks } from "../host/iproute2.ts";
import { isOvsRunning } from "../host/ovs-probe.ts";
import { isUnicastMac, type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import { quoteValue } from "../net/parse-error.ts";
import { parseVnetId, shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { findVnet, pinVif, unpinVif } from "../vnet/desired-state.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";
import type { Captures } from "./captures.ts";
import type { Config } from "./config.ts";
import { expectChange } from "./desired-changes.ts";
import { evaluate } from "./evaluate.ts";
import type { EventStreams } from "./event-streams.ts";
import type { KeyRings } from "./key-rings.ts";
import { KeyService, type KeyServiceOptions } from "./key-service.ts";
import type { Log } from "./log.ts";
import { formatMetrics } from "./metrics.ts";
import type { Observations } from "./observations.ts";
import type { Overlay } from "./overlay.ts";
import { changeDesired, type Peers } from "./peers.ts";
import type { SaExports } from "./sa-export.ts";
import type { StateFile } from "./state-file.ts";
import { Traffic, type TrafficOptions } from "./traffic.ts";
import type { VifParts } from "./vif-assembly.ts";
import type { VnetChanges } from "./vnet-changes.ts";

export type ControlServiceOptions = {
  readonly config: Config;
  readonly overlay: Overlay;
  readonly vnetChanges: VnetChanges;
  readonly peers: Peers;
  readonly stateFile: StateFile;
  readonly keyRings: KeyRings;
  readonly listHolders: KeyServiceOptions["listHolders"];
  readonly listDuplicates: TrafficOptions["listDuplicates"];
  readonly saExports: SaExports;
  readonly captures: Captures;
  readonly events: EventStreams;
  readonly log: Log;
  readonly observations: Observations;
  readonly process: DataplaneProcess;
  readonly run: RunProgram;
  readonly vifs: Pick<VifParts, "rules" | "libvirt" | "status" | "countFrames" | "passTimes">;
  readonly startedAt: number;
  readonly now: () => number;
};

type VifRef = { readonly mac: MacAddress } | { readonly device: string };

export class ControlService implements ControlApi {
  readonly #options: ControlServiceOptions;
  readonly keys: KeyService;
  readonly vifRules: VifRulesApi;
  readonly libvirt: LibvirtApi;
  readonly traffic: Traffic;
  #stopping = false;
  /** That is being written. */
  #metrics: Promise<string> | null = null;

  constructor(options: ControlServiceOptions) {
    this.#options = options;
    this.vifRules = options.vifs.rules;
    this.libvirt = options.vifs.libvirt;
    this.keys = new KeyService({
      ...{ ...options, udpPort: options.config.udpPort },
      refuseWhenStopping: () => this.#refuseWhenStopping(),
    });
    this.traffic = new Traffic({
      ...options,
      ...{ rules: this.vifRules, readDeviceCounters, status: () => this.status() },
    });
  }

  /** From now on nothing is changed any more. */
  stop(): void {
    this.#stopping = true;
    this.#options.captures.end(null);
    this.#options.events.end();
  }

  async status(): Promise<StatusView> {
    const { config, overlay, observations, process: dataplane } = this.#options;
    const { vifCount, varpCount } = await observations.countMacs();
    const { underlay } = overlay;
    const offloads = observations.offloads();
    const { client } = overlay.dataplane;
    const isUp = client !== null;
    const none = config.underlay.kind === "none";
    const group = overlay.desired.multicastGroup ?? config.multicastGroup;
    return {
      version: VERSION,
      pid: process.pid,
      uptimeMs: Math.round(this.#options.now() - this.#options.startedAt),
      serving: !this.#stopping && (isUp || none),
      dataplane: {
        state: none ? "off" : isUp ? "up" : dataplane.error === null ? "starting" : "down",
        pid: client?.welcome.pid ?? null,
        ...offloads,
        error: dataplane.error,
      },
      underlay: {
        device: underlay.device?.name ?? null,
        mtu: underlay.device?.mtu ?? 0,
        addresses: [underlay.sourceAddress4, underlay.sourceAddress6].filter(
          (address) => address !== null,
        ),
        udpPort: config.udpPort,
        multicastGroup: config.multicast ? group : null,
        multicastTtl: config.multicastTtl,
        error: none ? null : underlay.error,
      },
      openVswitch: { running: await isOvsRunning(config.ovsRunDirectory) },
      vifRules: this.#options.vifs.status(),
      vnetCount: overlay.desired.vnets.length,
      vifCount,
      peerCount: overlay.desired.peers.length,
      varpCount,
    };
  }

  async listVnets(refs: readonly VnetRef[]): Promise<readonly VnetView[]> {
    return await this.#viewVnets(this.#findVnets(refs));
  }

  async createVnets(requests: readonly VnetRequest[]): Promise<readonly VnetView[]> {
    this.#refuseWhenStopping();
    const vnets = await this.#options.vnetChanges.create(requests, { needUnderlay: true });
    return await this.#viewVnets(vnets);
  }

  async deleteVnets(
    refs: readonly VnetRef[],
    options: { readonly bridge: boolean },
  ): Promise<void> {
    this.#refuseWhenStopping();
    const ids = new Set(refs.map((ref) => this.#need(ref).id));
    await this.#options.vnetChanges.delete([...ids], options);
    for (const id of ids) {
      this.#options.captures.end(id);
    }
  }

  async listVifs(refs: readonly VnetRef[]): Promise<readonly VifView[]> {
    return await this.#options.observations.listVifs(this.#selectIds(refs));
  }

  async addVif(ref: VnetRef, vif: VifRef): Promise<VifView> {
    this.#refuseWhenStopping();
    const { id } = this.#need(ref);
    const mac = await this.#macOf(vif);
    const what = `add vif ${mac} to vnet ${shortVnetId(id)}`;
    await changeDesired(this.#options, (state) =>
      expectChange(what, pinVif(state, { vnet: id, mac })),
    );
    return { vnet: id, mac, pinned: true, ageMs: 0 };
  }

  async deleteVif(ref: VnetRef, vif: VifRef): Promise<void> {
    this.#refuseWhenStopping();
    const { id } = this.#need(ref);
    const mac = await this.#macOf(vif);
    const what = `delete vif ${mac} from vnet ${shortVnetId(id)}`;
    await changeDesired(this.#options, (state) =>
      expectChange(what, unpinVif(state, { vnet: id, mac })),
    );
  }

  async listPeers(): Promise<readonly PeerView[]> {
    return await this.#options.observations.listPeers();
  }

  async addPeer(host: string, udpPort: number | null): Promise<PeerView> {
    this.#refuseWhenStopping();
    const { endpoint, name } = await this.#options.peers.add(host, udpPort);
    const forwarded = { forwardedOut: 0, forwardedIn: 0 };
    return { ...endpoint, name, configured: true, ...forwarded, pathMtu: null, vnets: [] };
  }

  async deletePeer(host: string): Promise<void> {
    this.#refuseWhenStopping();
    await this.#options.peers.delete(host);
  }

  async listVarp(refs: readonly VnetRef[]): Promise<readonly VarpView[]> {
    return await this.#options.observations.listVarp(this.#selectIds(refs));
  }

  async flushVarp(): Promise<void> {
    this.#refuseWhenStopping();
    this.#options.overlay.dataplane.need();
    await this.#options.observations.flushVarp();
  }

  async capture(
    ref: VnetRef,
    { snapBytes }: { readonly snapBytes: number },
  ): Promise<AsyncIterable<Uint8Array>> {
    this.#refuseWhenStopping();
    this.#options.overlay.dataplane.need();
    return await this.#options.captures.open(this.#need(ref).id, snapBytes);
  }

  async watchEvents(filter: EventFilter): Promise<AsyncIterable<Uint8Array>> {
    this.#refuseWhenStopping();
    const vnets = filter.vnets.map((ref) => this.#idOf(ref));
    return this.#options.events.open({ ...filter, vnets });
  }

  async stats(ref: VnetRef | null): Promise<readonly StatsView[]> {
    return await this.#options.observations.stats(ref === null ? null : this.#need(ref).id);
  }

  async evaluate(expression: string): Promise<string> {
    return await evaluate(expression, { ...this.#options, api: this });
  }

  /** Who asks while it is being written gets the same. */
  async metrics(): Promise<string> {
    this.#metrics ??= this.#writeMetrics().finally(() => {
      this.#metrics = null;
    });
    return await this.#metrics;
  }

  async #writeMetrics(): Promise<string> {
    const { overlay, observations, vifs } = this.#options;
    const status = await this.status();
    const usage = process.resourceUsage();
    return await formatMetrics({
      status,
      stats: await observations.allStats(),
      vnets: overlay.desired.vnets.map(({ id }) => ({ id, isUp: overlay.problemOf(id) === null })),
      sas: await observations.countSas(),
      peers: await this.listPeers(),
      vifs: await vifs.countFrames(),
      varpRefused: observations.varpRefused(),
      secureRefused: observations.secureRefused(),
      passes: { vnets: overlay.passTimes.view(), "vif-rules": vifs.passTimes.view() },
      dataplaneConnectCount: observations.connectCount,
      process: {
        cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
        residentBytes: process.memoryUsage.rss(),
        startSeconds: (Date.now() - process.uptime() * 1_000) / 1_000,
      },
    });
  }

  #refuseWhenStopping(): void {
    if (this.#stopping) {
      throw new ControlError("VNETD_STOPPING", "vnetd is stopping");
    }
  }

  /** Every vnet when none is named. */
  #findVnets(refs: readonly VnetRef[]): readonly VnetConfig[] {
    return refs.length === 0
      ? this.#options.overlay.desired.vnets
      : refs.map((ref) => this.#need(ref));
  }

  /** Null: all. */
  #selectIds(refs: readonly VnetRef[]): ReadonlySet<VnetId> | null {
    return refs.length === 0 ? null : new Set(this.#findVnets(refs).map(({ id }) => id));
  }

  /** One that is not there yet is found by its id only. */
  #idOf(ref: VnetRef): VnetId {
    const known = findVnet(this.#options.overlay.desired, ref);
    return known === null && isVnetIdText(ref) ? parseVnetId(ref) : this.#need(ref).id;
  }

  #need(ref: VnetRef): VnetConfig {
    const vnet = findVnet(this.#options.overlay.desired, ref);
    if (vnet === null) {
      throw new ControlError("VNETD_UNKNOWN_VNET", `No vnet ${quoteValue(ref)} on this host`);
    }
    return vnet;
  }

  async #macOf(vif: VifRef): Promise<MacAddress> {
    if ("mac" in vif) {
      return vif.mac;
    }
    const [link] = await findLinks(this.#options.run, [vif.device]);
    if (link === undefined) {
      const message = `No device ${quoteValue(vif.device)} on this host`;
      throw new ControlError("VNETD_UNKNOWN_DEVICE", message);
    }
    const mac = link.mac === null ? null : parseMacAddress(link.mac);
    if (mac === null || !isUnicastMac(mac)) {
      const message = `Device ${quoteValue(vif.device)} has no MAC address of its own`;
      throw new ControlError("VNETD_UNKNOWN_DEVICE", message);
    }
    return mac;
  }

  async #viewVnets(vnets: readonly VnetConfig[]): Promise<VnetView[]> {
    const { overlay, observations } = this.#options;
    const ports = await observations.portsOf(vnets);
    return vnets.map((vnet) => {
      const problem = overlay.problemOf(vnet.id);
      return {
        ...vnet,
        state: problem === null ? "up" : "error",
        error: problem?.message ?? null,
        bridgePorts: ports.get(vnet.id) ?? [],
      };
    });
  }
}

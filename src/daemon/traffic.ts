/** What is carried now, for `vn top` and the status page: read when asked for, never stored. */
import {
  type Carried,
  type Dropped,
  type HostStatus,
  type HostTraffic,
  type HostVnetTraffic,
  TRAFFIC_PARTS,
  type TrafficApi,
  type TrafficPart,
  type TrafficView,
  type VifTraffic,
  type VnetTraffic,
} from "../control/traffic-api.ts";
import type { VifRulesApi, VifRulesView } from "../control/vif-rules-api.ts";
import type { DeviceCounters } from "../host/device-counters.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { parseIpAddress } from "../net/ip-address.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import { COUNTERS } from "../vnet/counters.ts";
import type { DataplaneAnswer } from "../vnet/dataplane-messages.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";
import { ofKind } from "./dataplane-state.ts";
import type { Observations } from "./observations.ts";
import type { Overlay } from "./overlay.ts";

export type TrafficOptions = {
  readonly overlay: Overlay;
  readonly observations: Observations;
  readonly rules: Pick<VifRulesApi, "listVifRules">;
  /** MACs that two hosts seem to have. */
  readonly listDuplicates: () => TrafficView["duplicates"];
  readonly readDeviceCounters: () => Promise<ReadonlyMap<string, DeviceCounters>>;
  readonly status: () => Promise<HostStatus>;
  readonly now: () => number;
};

type Counters = { readonly carried: Carried; readonly dropped: Dropped };
type SaState = Extract<DataplaneAnswer, { readonly kind: "sa-state" }>;
type MacsOfHost = { readonly host: Endpoint; readonly vnets: Set<VnetId>; macCount: number };
type MacCounts = { readonly local: number; readonly remote: number };

/** Above it, where each of them is would take longer to list than it is worth. */
const LISTED_MACS_MAX = 16_384;

const NO_COUNTERS = { carried: null, dropped: {} } as const;
const NO_MACS: MacCounts = { local: 0, remote: 0 };

const INDEX = new Map(COUNTERS.map(({ name }, index) => [name as string, index]));
const DROPS = COUNTERS.flatMap(({ name }, index) =>
  name.startsWith("drop-") ? [[name, index] as const] : [],
);

export class Traffic implements TrafficApi {
  readonly #options: TrafficOptions;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  async read(parts: readonly TrafficPart[]): Promise<TrafficView> {
    const wanted = new Set(parts.length === 0 ? TRAFFIC_PARTS : parts);
    const { now, status, listDuplicates } = this.#options;
    const [counters, devices] = await Promise.all([
      this.#readCounters(),
      wanted.has("vifs") ? this.#options.readDeviceCounters() : null,
    ]);
    // Now, and not when all is told: what is counted after this belongs to the next reading.
    const atMs = now();
    const vnets = wanted.has("vnets") ? await this.#readVnets(counters) : null;
    const vifs = devices === null ? null : await this.#readVifs(devices);
    const view = await status();
    const hosts = wanted.has("hosts") ? await this.#readHosts(view) : null;
    const total = counters.get(ALL_VNETS) ?? NO_COUNTERS;
    return { atMs, status: view, ...total, duplicates: listDuplicates(), vnets, vifs, hosts };
  }

  /** Of the vnets, and under ALL_VNETS of the process; none without a data plane. */
  async #readCounters(): Promise<ReadonlyMap<VnetId, Counters>> {
    const { client } = this.#options.overlay.dataplane;
    const answers =
      client === null ? [] : await client.request({ kind: "get-counters", vnet: ALL_VNETS });
    return new Map(
      ofKind(answers, "counters").map(({ vnet, values }) => [vnet, readValues(values)]),
    );
  }

  async #readVnets(counters: ReadonlyMap<VnetId, Counters>): Promise<readonly VnetTraffic[]> {
    const { overlay } = this.#options;
    const { client } = overlay.dataplane;
    const answers = client === null ? [] : await client.request({ kind: "get-state" });
    const macs = new Map(
      ofKind(answers, "vnet-state").map(({ vnet, vifCount, fdbCount }): [VnetId, MacCounts] => [
        vnet,
        { local: vifCount, remote: fdbCount },
      ]),
    );
    return overlay.desired.vnets.map((config) => {
      const { id, vnetif, bridge, security } = config;
      const problem = overlay.problemOf(id);
      const { local, remote } = macs.get(id) ?? NO_MACS;
      return {
        ...{ vnet: id, vnetif, bridge, security },
        state: problem === null ? "up" : "error",
        error: problem?.message ?? null,
        ...{ localMacs: local, remoteMacs: remote },
        ...(counters.get(id) ?? NO_COUNTERS),
      };
    });
  }

  async #readVifs(devices: ReadonlyMap<string, DeviceCounters>): Promise<readonly VifTraffic[]> {
    const { overlay, observations, rules } = this.#options;
    const { vnets } = overlay.desired;
    const [ruled, ports] = await Promise.all([rules.listVifRules([]), observations.portsOf(vnets)]);
    const vnetOfBridge = new Map<string | null, VnetId>(
      vnets.map((vnet) => [vnet.bridge, vnet.id]),
    );
    const seen = new Set<string>();
    const underRules = ruled.map((view): VifTraffic => {
      const vif = view.vif ?? view.ifaceId ?? "";
      seen.add(vif);
      const vnet = view.bridge === null ? null : (vnetOfBridge.get(view.bridge) ?? null);
      return viewRuled(view, { vif, vnet, device: devices.get(vif) });
    });
    const open = vnets.flatMap((vnet) =>
      (ports.get(vnet.id) ?? [])
        .filter((port) => !seen.has(port))
        .map((port) => viewOpen(port, vnet, devices.get(port))),
    );
    return [...underRules, ...open];
  }

  async #readHosts(status: HostStatus): Promise<readonly HostTraffic[]> {
    const { overlay, observations } = this.#options;
    const { client } = overlay.dataplane;
    const [peers, sas, macs] = await Promise.all([
      observations.listPeers(),
      client === null ? [] : client.request({ kind: "list-sas", vnet: ALL_VNETS, spi: 0 }),
      client === null || status.varpCount > LISTED_MACS_MAX
        ? null
        : client.request({ kind: "list-fdb", vnet: ALL_VNETS }),
    ]);
    const hosts = new Map<string, HostTraffic>();
    for (const { address, udpPort, vnets, ...peer } of peers) {
      const endpoint = { address: parseIpAddress(address), udpPort };
      hosts.set(formatEndpoint(endpoint), {
        ...{ ...NO_HOST, ...peer, ...endpoint, macs: macs === null ? null : 0 },
        vnets: vnets.map(({ vnet, state }) => ({ vnet, state })),
      });
    }
    for (const [key, { host, vnets, macCount }] of sumMacs(ofKind(macs ?? [], "fdb-entry"))) {
      const former = hosts.get(key) ?? { ...NO_HOST, ...host };
      hosts.set(key, { ...former, macs: macCount, vnets: addVnets(former.vnets, vnets) });
    }
    for (const sa of ofKind(sas, "sa-state")) {
      const key = sa.host === null ? "" : formatEndpoint(sa.host);
      const host = hosts.get(key);
      if (host !== undefined) {
        hosts.set(key, addSa(host, sa));
      }
    }
    return [...hosts.values()];
  }
}

const NO_HOST: Omit<HostTraffic, keyof Endpoint> = {
  ...{ name: null, configured: false, forwardedOut: 0, forwardedIn: 0 },
  ...{ opened: 0, replayed: 0, forged: 0, macs: 0, vnets: [] },
};

function readValues(values: readonly bigint[]): Counters {
  const value = (name: string): number => Number(values[INDEX.get(name) ?? -1] ?? 0n);
  const dropped: Record<string, number> = {};
  for (const [name, index] of DROPS) {
    const count = values[index] ?? 0n;
    if (count !== 0n) {
      dropped[name] = Number(count);
    }
  }
  return {
    carried: {
      outboundFrames: value("outbound-frames"),
      outboundOctets: value("outbound-bytes"),
      inboundFrames: value("inbound-frames"),
      inboundOctets: value("inbound-bytes"),
    },
    dropped,
  };
}

function viewRuled(
  { bridge, state, error, policy, dropped }: VifRulesView,
  {
    vif,
    vnet,
    device,
  }: {
    readonly vif: string;
    readonly vnet: VnetId | null;
    readonly device: DeviceCounters | undefined;
  },
): VifTraffic {
  return {
    ...{ vif, bridge, vnet, state, error, mac: policy?.mac ?? null },
    carried: carriedBy(device),
    dropped: { ...withoutZeros(dropped), ...linkDrops(device) },
  };
}

function viewOpen(
  vif: string,
  { id, bridge }: VnetConfig,
  device: DeviceCounters | undefined,
): VifTraffic {
  return {
    ...{ vif, bridge, vnet: id, state: "open", error: null, mac: null },
    carried: carriedBy(device),
    dropped: linkDrops(device),
  };
}

/** What the host's end of a VIF receives, the VM has sent. */
function carriedBy(device: DeviceCounters | undefined): Carried | null {
  return device === undefined
    ? null
    : {
        outboundFrames: device.receivedPackets,
        outboundOctets: device.receivedOctets,
        inboundFrames: device.sentPackets,
        inboundOctets: device.sentOctets,
      };
}

function linkDrops(device: DeviceCounters | undefined): Dropped {
  return device === undefined || device.droppedPackets === 0 ? {} : { link: device.droppedPackets };
}

function withoutZeros(dropped: Dropped): Dropped {
  return Object.fromEntries(Object.entries(dropped).filter(([, count]) => count > 0));
}

/** By formatEndpoint(). */
function sumMacs(
  entries: readonly Extract<DataplaneAnswer, { readonly kind: "fdb-entry" }>[],
): ReadonlyMap<string, MacsOfHost> {
  const hosts = new Map<string, MacsOfHost>();
  for (const { vnet, host } of entries) {
    if (host !== null) {
      const key = formatEndpoint(host);
      const former = hosts.get(key) ?? { host, vnets: new Set(), macCount: 0 };
      former.vnets.add(vnet);
      former.macCount += 1;
      hosts.set(key, former);
    }
  }
  return hosts;
}

function addVnets(
  former: readonly HostVnetTraffic[],
  vnets: ReadonlySet<VnetId>,
): readonly HostVnetTraffic[] {
  const known = new Set(former.map(({ vnet }) => vnet));
  const more = [...vnets].filter((vnet) => !known.has(vnet));
  return [...former, ...more.map((vnet) => ({ vnet, state: null }))];
}

function addSa(host: HostTraffic, { send, packets, replayed, forged }: SaState): HostTraffic {
  return send
    ? host
    : {
        ...host,
        opened: host.opened + Number(packets),
        replayed: host.replayed + Number(replayed),
        forged: host.forged + Number(forged),
      };
}

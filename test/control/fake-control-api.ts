/**
 * A ControlApi in memory: what a daemon answers, without a host below it. The
 * contract suite holds it and the real daemon to the same claims.
 */
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
} from "../../src/control/api.ts";
import { ControlError } from "../../src/control/control-error.ts";
import type { EventFilter } from "../../src/control/events-api.ts";
import type { LibvirtHookCall } from "../../src/control/libvirt-api.ts";
import { EventStreams } from "../../src/daemon/event-streams.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { quoteValue } from "../../src/net/parse-error.ts";
import {
  isReservedVnetId,
  lastVnetIdField,
  parseVnetId,
  shortVnetId,
  type VnetId,
} from "../../src/net/vnet-id.ts";

import { completeVnetConfig } from "../../src/vnet/vnet-config.ts";
import { FakeKeysApi } from "./fake-keys-api.ts";
import { FakeTrafficApi } from "./fake-traffic-api.ts";
import { FakeVifRulesApi } from "./fake-vif-rules-api.ts";

const DEFAULT_MTU = 1500;
const DEFAULT_UDP_PORT = 1798;

/** Devices that this host has, for `vif-add -i`. */
const DEVICE_MACS = new Map([["tap0", parseMacAddress("00:16:3e:00:00:aa")]]);

export class FakeControlApi implements ControlApi {
  readonly keys = new FakeKeysApi((ref) => this.#find(ref));
  readonly vifRules = new FakeVifRulesApi();
  readonly events = new EventStreams();
  /** What libvirt's hook told. */
  readonly libvirtCalls: LibvirtHookCall[] = [];
  readonly libvirt = {
    hook: async (call: LibvirtHookCall): Promise<void> => {
      this.libvirtCalls.push(call);
    },
  };
  readonly traffic = new FakeTrafficApi(this);
  readonly #vnets = new Map<VnetId, VnetView>();
  readonly #vifs = new Map<string, VifView>();
  readonly #peers = new Map<string, PeerView>();
  #varp: VarpView[] = [];

  /** A discovered entry, for what a fake cannot learn by itself. */
  learn(entry: VarpView): void {
    this.#varp.push(entry);
  }

  async status(): Promise<StatusView> {
    return {
      version: "0.1.0",
      pid: 4242,
      uptimeMs: 93_784_000,
      serving: true,
      dataplane: {
        state: "up",
        pid: 4243,
        tapOffload: true,
        udpSegmentation: true,
        udpCoalescing: false,
        error: null,
      },
      underlay: {
        device: "eth0",
        mtu: 1500,
        addresses: ["192.0.2.1", "2001:db8::1"],
        udpPort: DEFAULT_UDP_PORT,
        multicastGroup: "224.10.0.1",
        multicastTtl: 1,
        error: null,
      },
      openVswitch: { running: false },
      vifRules: {
        bridges: [],
        applied: (await this.vifRules.listVifRules([])).length,
        quarantined: 0,
        waiting: 0,
        failed: 0,
        error: null,
      },
      vnetCount: this.#vnets.size,
      vifCount: this.#vifs.size,
      peerCount: this.#peers.size,
      varpCount: this.#varp.length,
    };
  }

  async listVnets(vnets: readonly VnetRef[]): Promise<readonly VnetView[]> {
    const all = [...this.#vnets.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
    const named = new Set(vnets.map((ref) => this.#find(ref).id));
    return vnets.length === 0 ? all : all.filter((vnet) => named.has(vnet.id));
  }

  async createVnets(vnets: readonly VnetRequest[]): Promise<readonly VnetView[]> {
    const made: VnetView[] = [];
    for (const request of vnets) {
      const vnet = viewOf(request);
      this.#refuseClash(vnet, made);
      made.push(vnet);
    }
    for (const { id, keyFile } of vnets) {
      if (keyFile !== undefined) {
        this.keys.create(id, keyFile);
      }
    }
    for (const vnet of made) {
      this.#vnets.set(vnet.id, vnet);
    }
    return made;
  }

  async deleteVnets(vnets: readonly VnetRef[], _options: { bridge: boolean }): Promise<void> {
    const ids = vnets.map((ref) => this.#find(ref).id);
    for (const id of ids) {
      this.#vnets.delete(id);
      this.keys.forget(id);
    }
    for (const [key, vif] of this.#vifs) {
      if (ids.includes(vif.vnet)) {
        this.#vifs.delete(key);
      }
    }
  }

  async listVifs(vnets: readonly VnetRef[]): Promise<readonly VifView[]> {
    const named = vnets.map((ref) => this.#find(ref).id);
    return [...this.#vifs.values()].filter((vif) => named.length === 0 || named.includes(vif.vnet));
  }

  async addVif(vnet: VnetRef, vif: Parameters<ControlApi["addVif"]>[1]): Promise<VifView> {
    const { id } = this.#find(vnet);
    const view: VifView = { vnet: id, mac: macOf(vif), pinned: true, ageMs: 0 };
    this.#vifs.set(`${id} ${view.mac}`, view);
    return view;
  }

  async deleteVif(vnet: VnetRef, vif: Parameters<ControlApi["deleteVif"]>[1]): Promise<void> {
    const { id } = this.#find(vnet);
    const mac = macOf(vif);
    if (!this.#vifs.delete(`${id} ${mac}`)) {
      throw new ControlError("VNETD_UNKNOWN_VIF", `Cannot delete the vif: no such vif: ${mac}`);
    }
  }

  async listPeers(): Promise<readonly PeerView[]> {
    return [...this.#peers.values()];
  }

  async addPeer(host: string, udpPort: number | null): Promise<PeerView> {
    if (host.endsWith(".invalid")) {
      throw new ControlError("VNETD_UNKNOWN_HOST", `Cannot add the peer: cannot resolve: ${host}`);
    }
    const named = /[a-z]/i.test(host) && !host.includes(":");
    const address = named ? "198.51.100.7" : host;
    if (this.#peers.has(address)) {
      throw new ControlError("VNETD_PEER_EXISTS", `Cannot add the peer: it is one: ${address}`);
    }
    const peer: PeerView = {
      address,
      udpPort: udpPort ?? DEFAULT_UDP_PORT,
      name: named ? host : null,
      configured: true,
      forwardedOut: 12,
      forwardedIn: 34,
      pathMtu: null,
      vnets: [],
    };
    this.#peers.set(address, peer);
    return peer;
  }

  async deletePeer(host: string): Promise<void> {
    const peer = [...this.#peers.values()].find(
      ({ address, name }) => address === host || name === host,
    );
    if (peer === undefined) {
      throw new ControlError("VNETD_UNKNOWN_PEER", `Cannot delete the peer: no such peer: ${host}`);
    }
    this.#peers.delete(peer.address);
  }

  async listVarp(vnets: readonly VnetRef[]): Promise<readonly VarpView[]> {
    const named = vnets.map((ref) => this.#find(ref).id);
    return this.#varp.filter((entry) => named.length === 0 || named.includes(entry.vnet));
  }

  async flushVarp(): Promise<void> {
    this.#varp = this.#varp.filter((entry) => entry.pinned);
  }

  async capture(vnet: VnetRef): Promise<AsyncIterable<Uint8Array>> {
    this.#find(vnet);
    return (async function* () {
      yield Uint8Array.of(0x4d, 0x3c, 0xb2, 0xa1);
      yield Uint8Array.of(2, 0, 4, 0);
    })();
  }

  async watchEvents(filter: EventFilter): Promise<AsyncIterable<Uint8Array>> {
    return this.events.open({ ...filter, vnets: filter.vnets.map((ref) => this.#find(ref).id) });
  }

  async stats(vnet: VnetRef | null): Promise<readonly StatsView[]> {
    const counters = { "outbound-frames": 7, "drop-short": 0 };
    if (vnet !== null) {
      return [{ vnet: this.#find(vnet).id, counters }];
    }
    const ids = [...this.#vnets.keys()];
    return [{ vnet: null, counters }, ...ids.map((id) => ({ vnet: id, counters }))];
  }

  async evaluate(expression: string): Promise<string> {
    if (expression !== "(vnet.list)" && expression !== "(varp.flush)") {
      throw new ControlError("VNETD_PARSE", `No such command: ${quoteValue(expression)}`);
    }
    return expression === "(varp.flush)" ? "" : `(vnets ${this.#vnets.size})\n`;
  }

  async metrics(): Promise<string> {
    return `# TYPE vnetd_vnets gauge\nvnetd_vnets ${this.#vnets.size}\n`;
  }

  #find(ref: VnetRef): VnetView {
    const vnet =
      this.#vnets.get(idOf(ref)) ?? [...this.#vnets.values()].find((view) => view.vnetif === ref);
    if (vnet === undefined) {
      throw new ControlError("VNETD_UNKNOWN_VNET", `No such vnet: ${quoteValue(ref)}`);
    }
    return vnet;
  }

  #refuseClash(vnet: VnetView, made: readonly VnetView[]): void {
    const others = [...this.#vnets.values(), ...made];
    if (others.some((other) => other.id === vnet.id)) {
      throw new ControlError(
        "VNETD_VNET_EXISTS",
        `Cannot create the vnet: it exists: ${shortVnetId(vnet.id)}`,
      );
    }
    if (others.some((other) => other.vnetif === vnet.vnetif)) {
      throw new ControlError(
        "VNETD_NAME_TAKEN",
        `Cannot create the vnet: the name is taken: ${vnet.vnetif}`,
      );
    }
  }
}

function viewOf(request: VnetRequest): VnetView {
  if (isReservedVnetId(request.id)) {
    throw new ControlError(
      "VNETD_RESERVED_VNET_ID",
      "Cannot create the vnet: id 1 is the physical network",
    );
  }
  const { security, suite } = completeVnetConfig(request);
  return {
    id: request.id,
    vnetif: request.vnetif ?? `vnif${lastVnetIdField(request.id).toString(16).padStart(4, "0")}`,
    bridge: request.bridge ?? null,
    ovs: request.ovs ?? false,
    security,
    suite,
    mtu: request.mtu ?? DEFAULT_MTU,
    encapsulation: request.encapsulation ?? "udp",
    state: "up",
    error: null,
    bridgePorts: [],
  };
}

/** The id that `ref` reads as; an empty id, which no vnet has, when it is only a name. */
function idOf(ref: VnetRef): VnetId {
  try {
    return parseVnetId(ref);
  } catch {
    return "" as VnetId;
  }
}

function macOf(vif: Parameters<ControlApi["addVif"]>[1]): VifView["mac"] {
  if ("mac" in vif) {
    return vif.mac;
  }
  const mac = DEVICE_MACS.get(vif.device);
  if (mac === undefined) {
    throw new ControlError(
      "VNETD_UNKNOWN_DEVICE",
      `Cannot read the MAC: no such device: ${vif.device}`,
    );
  }
  return mac;
}

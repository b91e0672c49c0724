/** A VifRulesApi in memory: policies are in force as soon as they are set, and every VIF has a port. */
import { ControlError } from "../../src/control/control-error.ts";
import type {
  ExplainRequest,
  ExplainView,
  GroupView,
  NetworkView,
  VifHotplug,
  VifRulesApi,
  VifRulesView,
} from "../../src/control/vif-rules-api.ts";
import { quoteValue } from "../../src/net/parse-error.ts";
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../../src/vifrules/policy.ts";

const FIRST_OFPORT = 10;

export class FakeVifRulesApi implements VifRulesApi {
  /** What the methods that change something were called with, in order. */
  readonly calls: unknown[] = [];
  readonly #vifs = new Map<string, VifRulesView>();
  readonly #groups = new Map<string, GroupPolicy>();
  readonly #networks = new Map<string, NetworkPolicy>();

  async listVifRules(vifs: readonly string[]): Promise<readonly VifRulesView[]> {
    return vifs.length === 0 ? [...this.#vifs.values()] : vifs.map((vif) => this.#need(vif));
  }

  async setVifRules(policy: VifPolicy): Promise<VifRulesView> {
    this.calls.push(["setVifRules", policy]);
    const vif = policy.vif ?? null;
    const view: VifRulesView = {
      vif,
      ifaceId: policy.ifaceId ?? null,
      bridge: policy.bridge,
      ofport: FIRST_OFPORT + this.#vifs.size,
      state: "applied",
      error: null,
      policy,
      origin: "api",
      acceptedFrames: 1200,
      acceptedOctets: 98_000,
      deliveredFrames: 900,
      dropped: { mac: 3, "ipv4-spoof": 7 },
      log: false,
    };
    this.#vifs.set(vif ?? policy.ifaceId ?? "", view);
    return view;
  }

  async clearVifRules(vif: string): Promise<void> {
    this.calls.push(["clearVifRules", vif]);
    this.#vifs.delete(vif);
  }

  async awaitVifRules(vif: string, _withinMs: number): Promise<VifRulesView> {
    const view = this.#vifs.get(vif);
    if (view === undefined) {
      const message = `VIF ${vif} is not under its policy: no policy and no port is known`;
      throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
    }
    return view;
  }

  async plugVif(hotplug: VifHotplug): Promise<VifRulesView | null> {
    this.calls.push(["plugVif", hotplug]);
    return hotplug.action === "remove" ? null : await this.awaitVifRules(hotplug.vif, 0);
  }

  async explainFrame(request: ExplainRequest): Promise<ExplainView> {
    this.#need(request.vif);
    return {
      verdict: "dropped",
      outputs: [],
      lines: [`dropped: ${request.direction} ${request.vif}`],
    };
  }

  async logVifDrops(vif: string, enabled: boolean): Promise<void> {
    this.calls.push(["logVifDrops", vif, enabled]);
    this.#vifs.set(vif, { ...this.#need(vif), log: enabled });
  }

  async listGroups(): Promise<readonly GroupView[]> {
    return [...this.#groups.values()].map((group) => this.#viewGroup(group));
  }

  async setGroup(group: GroupPolicy): Promise<GroupView> {
    this.#groups.set(group.group, group);
    return this.#viewGroup(group);
  }

  async deleteGroup(group: string): Promise<void> {
    if (!this.#groups.delete(group)) {
      throw new ControlError("VNETD_UNKNOWN_GROUP", `No such group: ${quoteValue(group)}`);
    }
  }

  async listNetworks(): Promise<readonly NetworkView[]> {
    return [...this.#networks.values()].map((network) => ({ ...network, origin: "api" }));
  }

  async setNetwork(network: NetworkPolicy): Promise<NetworkView> {
    this.#networks.set(`${network.bridge} ${network.vlan}`, network);
    return { ...network, origin: "api" };
  }

  async deleteNetwork(bridge: string, vlan: number | null): Promise<void> {
    if (!this.#networks.delete(`${bridge} ${vlan ?? 0}`)) {
      throw new ControlError(
        "VNETD_UNKNOWN_NETWORK",
        `No network of that bridge: ${quoteValue(bridge)}`,
      );
    }
  }

  #viewGroup(group: GroupPolicy): GroupView {
    const members = [...this.#vifs.values()].filter(({ policy }) =>
      policy?.groups.includes(group.group),
    );
    return { ...group, origin: "api", vifs: members.flatMap(({ vif }) => vif ?? []) };
  }

  #need(vif: string): VifRulesView {
    const view = this.#vifs.get(vif);
    if (view === undefined) {
      throw new ControlError(
        "VNETD_UNKNOWN_VIF",
        `No policy and no port of such a VIF: ${quoteValue(vif)}`,
      );
    }
    return view;
  }
}

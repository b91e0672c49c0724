/** What the API offers of VIF rules, done: the daemon's side of src/control/vif-rules-api.ts. */
import { ControlError } from "../control/control-error.ts";
import type {
  ExplainRequest,
  ExplainView,
  GroupView,
  NetworkView,
  VifHotplug,
  VifRulesApi,
  VifRulesView,
  VifState,
} from "../control/vif-rules-api.ts";
import { type PolicySource, type PolicySubject, subjectOf } from "../metadata/source.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { quoteValue } from "../net/parse-error.ts";
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../vifrules/policy.ts";
import { Serial } from "./serial.ts";
import type { VifDrops } from "./vif-drops.ts";
import type { VifExplainer } from "./vif-explainer.ts";
import { nameOf, type PlannedVif, policyKey } from "./vif-plan.ts";
import type { VifPolicyChanges } from "./vif-policy-changes.ts";
import { portNamesOf, twinOf } from "./vif-policy-index.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";
import type { VifReconciler } from "./vif-reconciler.ts";
import type { VifRelease } from "./vif-release.ts";
import {
  judgeVif,
  NO_COUNTS,
  type VifVerdict,
  viewGroups,
  viewNetworks,
  viewVif,
} from "./vif-views.ts";

export type VifRulesOptions = {
  readonly reconciler: VifReconciler;
  readonly store: VifPolicyStore;
  readonly changes: VifPolicyChanges;
  readonly sources: readonly PolicySource[];
  readonly drops: VifDrops;
  readonly explainer: VifExplainer;
  readonly release: VifRelease;
};

export class VifRules implements VifRulesApi {
  readonly #options: VifRulesOptions;
  /** Calls about one VIF are done in their order: the last one is the truth. */
  readonly #orders = new Map<string, { readonly serial: Serial; callCount: number }>();
  #stopping = false;

  constructor(options: VifRulesOptions) {
    this.#options = options;
  }

  /** From now on nothing is changed any more. */
  stop(): void {
    this.#stopping = true;
  }

  async listVifRules(vifs: readonly string[]): Promise<readonly VifRulesView[]> {
    const { reconciler, drops, store } = this.#options;
    if (!reconciler.decided) {
      await reconciler.settle();
    }
    const chosen = vifs.length === 0 ? reconciler.vifs : vifs.map((vif) => this.#need(vif));
    const counts = await drops.count(chosen);
    const logged = new Set<string>(store.stored.logged);
    return chosen.map((vif) =>
      viewVif(vif, {
        reconciler,
        counts: counts.get(vif.key) ?? NO_COUNTS,
        log: logged.has(nameOf(vif)),
      }),
    );
  }

  async setVifRules(policy: VifPolicy): Promise<VifRulesView> {
    this.#refuseWhenStopping();
    const { changes, reconciler } = this.#options;
    const key = policyKey(policy);
    return await this.#inOrder(policy.vif ?? key, async () => {
      await changes.set({ kind: "vif", policy }, async () => {
        this.#refuseUnless(key, ["applied", "waiting"]);
        await reconciler.ports.attach(this.#need(key));
        this.#refuseUnless(key, ["applied", "waiting"]);
      });
      return this.#view(key);
    });
  }

  async clearVifRules(vif: string): Promise<void> {
    this.#refuseWhenStopping();
    await this.#inOrder(vif, () => this.#clear(vif));
  }

  async #clear(vif: string): Promise<void> {
    const { reconciler, changes, sources } = this.#options;
    const planned = this.#find(vif);
    const policy = planned?.sourced?.policy;
    const subjects = new Set<PolicySubject>([`vif ${vif}`, `iface-id ${vif}`]);
    if (policy !== undefined) {
      subjects.add(subjectOf({ kind: "vif", policy }));
    }
    for (const source of sources) {
      subjects.forEach((subject) => {
        source.forget(subject);
      });
    }
    // Denied first, then gone.
    if (!(await changes.remove(subjects))) {
      await reconciler.settle();
    }
    const names = new Set([...(planned?.ports ?? []).map(({ name }) => name), ...portNamesOf(vif)]);
    for (const name of names) {
      await reconciler.ports.unplug(name);
    }
    await reconciler.settle();
  }

  async awaitVifRules(vif: string, withinMs: number): Promise<VifRulesView> {
    const { reconciler } = this.#options;
    await until({
      withinMs,
      subscribe: (listener) => reconciler.onPass(listener),
      isSo: () => this.#judge(vif)?.state === "applied",
    });
    this.#refuseUnless(vif, ["applied"]);
    return this.#view(vif);
  }

  async plugVif({ action, ...hint }: VifHotplug): Promise<VifRulesView | null> {
    const { reconciler, sources } = this.#options;
    const { vif } = hint;
    if (action === "remove") {
      await this.clearVifRules(vif);
      return null;
    }
    this.#refuseWhenStopping();
    return await this.#inOrder(vif, async () => {
      await Promise.all(sources.map((source) => source.refresh(hint)));
      await reconciler.settle();
      await reconciler.ports.plug(vif, hint.bridge ?? null);
      this.#refuseUnless(vif, ["applied", "quarantine"]);
      return this.#view(vif);
    });
  }

  async explainFrame(request: ExplainRequest): Promise<ExplainView> {
    return await this.#options.explainer.explain(this.#need(request.vif), request);
  }

  async logVifDrops(vif: string, enabled: boolean): Promise<void> {
    this.#refuseWhenStopping();
    const { store, changes } = this.#options;
    const name = parseInterfaceName(nameOf(this.#need(vif)));
    const others = store.stored.logged.filter((each) => each !== name);
    await changes.setLogged(enabled ? [...others, name] : others);
  }

  async listGroups(): Promise<readonly GroupView[]> {
    return viewGroups(this.#options.reconciler);
  }

  async setGroup(policy: GroupPolicy): Promise<GroupView> {
    this.#refuseWhenStopping();
    const { changes } = this.#options;
    await changes.set({ kind: "group", policy }, async () => this.#refuseUnlessAllUp());
    const groups = await this.listGroups();
    return (
      groups.find(({ group }) => group === policy.group) ?? { ...policy, origin: "api", vifs: [] }
    );
  }

  async deleteGroup(group: string): Promise<void> {
    this.#refuseWhenStopping();
    if (!(await this.#options.changes.remove(new Set([`group ${group}` as const])))) {
      throw new ControlError("VNETD_UNKNOWN_GROUP", `No such group: ${quoteValue(group)}`);
    }
  }

  async listNetworks(): Promise<readonly NetworkView[]> {
    return viewNetworks(this.#options.reconciler);
  }

  async setNetwork(policy: NetworkPolicy): Promise<NetworkView> {
    this.#refuseWhenStopping();
    const { changes } = this.#options;
    await changes.set({ kind: "network", policy }, async () => this.#refuseUnlessAllUp());
    const networks = await this.listNetworks();
    const isIt = ({ bridge, vlan }: NetworkView): boolean =>
      bridge === policy.bridge && vlan === policy.vlan;
    return networks.find(isIt) ?? { ...policy, origin: "api" };
  }

  async deleteNetwork(bridge: string, vlan: number | null): Promise<void> {
    this.#refuseWhenStopping();
    const { store, changes, release } = this.#options;
    const there = store.stored.networks.filter((network) => network.bridge === bridge);
    const chosen = there.filter((network) => vlan === null || network.vlan === vlan);
    if (chosen.length > 1) {
      const message = `Bridge ${bridge} has several networks: say the VLAN of one`;
      throw new ControlError("VNETD_BAD_REQUEST", message);
    }
    const subjects = new Set(chosen.map((each): PolicySubject => `network ${bridge} ${each.vlan}`));
    const isRemoved = await changes.remove(subjects);
    const isReleased = await release.releaseUnused(bridge);
    if (!isRemoved && !isReleased) {
      const which = vlan === null ? "" : ` and VLAN ${vlan}`;
      const message = `No network of that bridge${which}: ${quoteValue(bridge)}`;
      throw new ControlError("VNETD_UNKNOWN_NETWORK", message);
    }
  }

  async #inOrder<T>(vif: string, task: () => Promise<T>): Promise<T> {
    const [name = vif] = twinOf(vif);
    const order = this.#orders.get(name) ?? { serial: new Serial(), callCount: 0 };
    this.#orders.set(name, order);
    order.callCount += 1;
    try {
      return await order.serial.run(task);
    } finally {
      order.callCount -= 1;
      if (order.callCount === 0) {
        this.#orders.delete(name);
      }
    }
  }

  #refuseWhenStopping(): void {
    if (this.#stopping) {
      throw new ControlError("VNETD_STOPPING", "vnetd is stopping");
    }
  }

  /** @throws ControlError when a managed bridge does not have its flows */
  #refuseUnlessAllUp(): void {
    const { reconciler } = this.#options;
    const { problem } = reconciler;
    for (const name of reconciler.plan.bridges.keys()) {
      const [refused] = reconciler.bridge(name)?.failures.values() ?? [];
      const why = problem ?? reconciler.bridgeProblem(name) ?? refused;
      if (why != null) {
        throw new ControlError("VNETD_OVS_FAILED", `Cannot change the flows of ${name}: ${why}`);
      }
    }
  }

  #refuseUnless(vif: string, states: readonly VifState[]): void {
    const verdict = this.#judge(vif);
    if (verdict !== null && states.includes(verdict.state)) {
      return;
    }
    const { problem } = this.#options.reconciler;
    const why = verdict?.error ?? verdict?.state ?? problem ?? "no policy and no port is known";
    throw new ControlError("VNETD_VIF_NOT_APPLIED", `VIF ${vif} is not under its policy: ${why}`);
  }

  #judge(vif: string): VifVerdict | null {
    const found = this.#find(vif);
    return found === null ? null : judgeVif(found, this.#options.reconciler);
  }

  #view(vif: string): VifRulesView {
    const { reconciler, store } = this.#options;
    const found = this.#need(vif);
    const log = store.stored.logged.some((name) => name === nameOf(found));
    return viewVif(found, { reconciler, counts: NO_COUNTS, log });
  }

  #find(vif: string): PlannedVif | null {
    return this.#options.reconciler.find(vif);
  }

  #need(vif: string): PlannedVif {
    const found = this.#find(vif);
    if (found === null) {
      const message = `No policy and no port of such a VIF: ${quoteValue(vif)}`;
      throw new ControlError("VNETD_UNKNOWN_VIF", message);
    }
    return found;
  }
}

/** Resolves when it is so, or when the time is over. */
async function until(options: {
  readonly withinMs: number;
  subscribe(listener: () => void): () => void;
  isSo(): boolean;
}): Promise<void> {
  if (options.isSo()) {
    return;
  }
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(end, options.withinMs);
    const unsubscribe = options.subscribe(() => {
      if (options.isSo()) {
        end();
      }
    });
  });
}

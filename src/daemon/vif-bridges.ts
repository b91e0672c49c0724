/** The managed bridges: adopted, connected to, and given the flows that are planned for them. */
import type { SwitchDatabase } from "../host/switch-database.ts";
import type { MergedPolicies } from "../metadata/merge-snapshots.ts";
import type { CookieMask } from "../openflow/flow.ts";
import type { Log } from "./log.ts";
import type { ProblemLog } from "./problem-log.ts";
import type { RetryTimes } from "./retry-times.ts";
import { BridgeAdoption } from "./vif-adoption.ts";
import { type BridgeDesire, ManagedBridge, type SuperviseBridge } from "./vif-bridge.ts";
import type { PlannedBridge, VifPlan } from "./vif-plan.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";

export type DesireFlows = (
  bridge: PlannedBridge,
  context: { readonly plan: VifPlan; readonly policies: MergedPolicies },
) => BridgeDesire;

export type VifBridgesOptions = {
  readonly ovsRunDirectory: string;
  readonly store: VifPolicyStore;
  readonly supervise: SuperviseBridge;
  /** Of all flows that are ours. */
  readonly owner: CookieMask;
  readonly desireFlows: DesireFlows;
  readonly log: Log;
  readonly problems: ProblemLog;
  readonly retries: RetryTimes;
  /** Something has happened that asks for a pass. */
  readonly onWake: () => void;
};

export class VifBridges {
  readonly #options: VifBridgesOptions;
  readonly #adoption: BridgeAdoption;
  readonly #bridges = new Map<string, ManagedBridge>();
  /** Why the last change of a bridge failed. */
  readonly #errors = new Map<string, string>();

  constructor(options: VifBridgesOptions) {
    this.#options = options;
    this.#adoption = new BridgeAdoption(options.store);
  }

  get(name: string): ManagedBridge | null {
    return this.#bridges.get(name) ?? null;
  }

  /** Why the bridge could not be adopted, or is not reached. */
  problemOf(name: string): string | null {
    const bridge = this.#bridges.get(name);
    return this.#adoption.problemOf(name) ?? bridge?.problem ?? this.#errors.get(name) ?? null;
  }

  /** Whether each has the flows that were planned last, or it is known why not. */
  get decided(): boolean {
    return [...this.#bridges.values()].every(({ settled, problem }) => settled || problem !== null);
  }

  /** Whether each connection is up, or has said why not. */
  get heard(): boolean {
    return [...this.#bridges.values()].every(({ up, problem }) => up || problem !== null);
  }

  /** What any of them has may have been changed. */
  distrustAll(): void {
    for (const bridge of this.#bridges.values()) {
      bridge.distrust();
    }
  }

  /** Makes the bridges of the plan as they must be; whether that changed one. */
  async adopt(plan: VifPlan, database: SwitchDatabase): Promise<boolean> {
    const changed = await this.#adoption.adopt(plan, database);
    for (const name of changed) {
      this.#bridges.get(name)?.distrust();
    }
    return changed.length > 0;
  }

  /** A connection to each bridge of the plan, and to no other. */
  async follow(plan: VifPlan): Promise<void> {
    const { problems, ovsRunDirectory, supervise, owner, onWake } = this.#options;
    for (const [name, bridge] of this.#bridges) {
      if (!plan.bridges.has(name)) {
        await this.#letGo(bridge);
      }
    }
    for (const name of plan.bridges.keys()) {
      if (!this.#bridges.has(name)) {
        const options = { name, supervise, owner, onWake, runDirectory: ovsRunDirectory };
        this.#bridges.set(name, new ManagedBridge(options));
      }
    }
    for (const name of plan.missingBridges) {
      problems.note(`bridge ${name}`, `there is no Open vSwitch bridge ${name}`, {
        ...{ bridge: name, code: "VNETD_OVS_FAILED" },
      });
    }
  }

  async enforce(plan: VifPlan, policies: MergedPolicies): Promise<void> {
    const planned = [...plan.bridges.values()];
    await Promise.all(planned.map((bridge) => this.#enforce(bridge, { plan, policies })));
  }

  /** Takes our flows off all of them. */
  async letGoAll(): Promise<void> {
    await Promise.all([...this.#bridges.values()].map((bridge) => this.#letGo(bridge)));
  }

  /** The flows stay. */
  closeAll(): void {
    for (const bridge of this.#bridges.values()) {
      bridge.close();
    }
    this.#bridges.clear();
  }

  async #enforce(
    planned: PlannedBridge,
    context: { readonly plan: VifPlan; readonly policies: MergedPolicies },
  ): Promise<void> {
    const { log, problems, retries, desireFlows } = this.#options;
    const { name } = planned.bridge;
    const bridge = this.#bridges.get(name);
    this.#errors.delete(name);
    let problem = this.problemOf(name);
    if (bridge?.up) {
      try {
        const flowCount = await bridge.enforce(desireFlows(planned, context));
        if (flowCount > 0) {
          log.debug({ bridge: name, flowCount }, "changed flows");
        }
        const [refused] = bridge.failures.values();
        problem ??= refused ?? null;
      } catch (error) {
        bridge.distrust();
        const why = error instanceof Error ? error.message : String(error);
        this.#errors.set(name, why);
        problem ??= why;
      }
    }
    // One that is not up wakes us when it is.
    if (problem === null || !bridge?.up) {
      retries.succeed(name);
    } else {
      retries.fail(name);
    }
    problems.note(`bridge ${name}`, problem, { bridge: name, code: "VNETD_OVS_FAILED" });
  }

  /** Takes our flows off a bridge that is not managed any more, unless it has gone itself. */
  async #letGo(bridge: ManagedBridge): Promise<void> {
    const { name } = bridge;
    const { log, problems, retries } = this.#options;
    this.#bridges.delete(name);
    this.#errors.delete(name);
    retries.succeed(name);
    try {
      if (bridge.up) {
        await bridge.release();
      }
    } catch (error) {
      log.debug({ err: error, bridge: name }, "cannot take our flows off a bridge");
    }
    bridge.close();
    problems.note(`bridge ${name}`, null, { bridge: name });
  }
}

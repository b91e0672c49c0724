/**
 * Takes bridges under management: secure, so that a switch that was started again drops what it has
 * no flow for, and with the protocols we speak. What a bridge was before is on the disk first.
 */
import type { SwitchDatabase } from "../host/switch-database.ts";
import type { SwitchBridge } from "../host/switch-view.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import type { PlannedBridge, VifPlan } from "./vif-plan.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";

const PROTOCOLS = ["OpenFlow10", "OpenFlow14"];

export class BridgeAdoption {
  readonly #store: VifPolicyStore;
  readonly #problems = new Map<string, string>();

  constructor(store: VifPolicyStore) {
    this.#store = store;
  }

  /** Why the bridge is not as it must be. */
  problemOf(bridge: string): string | null {
    return this.#problems.get(bridge) ?? null;
  }

  /** Makes bridges as they must be; returns those that were changed, and may have lost flows. */
  async adopt(plan: VifPlan, database: SwitchDatabase): Promise<readonly string[]> {
    const changed: string[] = [];
    const due = [...plan.bridges.values()].filter(({ bridge }) => this.#isDue(bridge));
    await Promise.all(
      due.map(async (planned) => {
        const { name } = planned.bridge;
        try {
          await this.#record(planned);
          if (!isReady(planned.bridge)) {
            changed.push(name);
            await database.adoptBridge(name);
          }
          this.#problems.delete(name);
        } catch (error) {
          this.#problems.set(name, error instanceof Error ? error.message : String(error));
        }
      }),
    );
    return changed;
  }

  #isDue(bridge: SwitchBridge): boolean {
    return !isReady(bridge) || !this.#isRecorded(bridge.name) || this.#problems.has(bridge.name);
  }

  #isRecorded(name: string): boolean {
    return this.#store.stored.bridges.some(({ bridge }) => bridge === name);
  }

  async #record({ bridge }: PlannedBridge): Promise<void> {
    if (!this.#isRecorded(bridge.name)) {
      const { stored } = this.#store;
      const record = { bridge: parseInterfaceName(bridge.name), formerFailMode: bridge.failMode };
      this.#store.change({ ...stored, bridges: [...stored.bridges, record] });
      await this.#store.save();
    }
  }
}

function isReady({ failMode, protocols }: SwitchBridge): boolean {
  return failMode === "secure" && PROTOCOLS.every((protocol) => protocols.includes(protocol));
}

/**
 * Gives a bridge back that no policy names any more: our flows go, and it fails as it did before.
 * One that still has a VIF's port is kept, because given back it would let everything into that.
 */
import type { OvsVsctl } from "../host/ovs-vsctl.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";
import type { VifReconciler } from "./vif-reconciler.ts";

export type VifReleaseOptions = {
  readonly reconciler: VifReconciler;
  readonly store: VifPolicyStore;
  readonly ovs: OvsVsctl;
};

export class VifRelease {
  readonly #options: VifReleaseOptions;

  constructor(options: VifReleaseOptions) {
    this.#options = options;
  }

  /**
   * Whether it was given back.
   *
   * @throws OvsError, OpenflowError, StateFileError
   */
  async releaseUnused(bridge: string): Promise<boolean> {
    const { reconciler, store, ovs } = this.#options;
    const record = store.stored.bridges.find((each) => each.bridge === bridge);
    if (record === undefined || this.#isNamed(bridge)) {
      return false;
    }
    const planned = reconciler.plan.bridges.get(bridge);
    if (planned?.vifs.some(({ ports }) => ports.length > 0)) {
      return false;
    }
    const bridges = store.stored.bridges.filter((each) => each !== record);
    store.change({ ...store.stored, bridges });
    await store.save();
    // The pass takes our flows away and lets the connection go: nobody puts them back.
    await reconciler.settle();
    if (planned !== undefined) {
      await ovs.setFailMode(bridge, record.formerFailMode);
    }
    return true;
  }

  #isNamed(bridge: string): boolean {
    const { vifs, networks } = this.#options.reconciler.policies;
    return [...vifs, ...networks].some(({ policy }) => policy.bridge === bridge);
  }
}

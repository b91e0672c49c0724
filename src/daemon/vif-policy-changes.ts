/**
 * Changes of the policies that `vn` and the API have set: the switch has a change and the disk has
 * it when its promise resolves, or neither has.
 */
import { ControlError } from "../control/control-error.ts";
import { type PolicyDocument, type PolicySubject, subjectOf } from "../metadata/source.ts";
import {
  documentsOf,
  type StoredVifRules,
  type VifPolicyStore,
  withDocument,
  withoutSubjects,
} from "./vif-policy-store.ts";
import type { VifReconciler } from "./vif-reconciler.ts";

export class VifPolicyChanges {
  readonly #store: VifPolicyStore;
  readonly #reconciler: VifReconciler;

  constructor(store: VifPolicyStore, reconciler: VifReconciler) {
    this.#store = store;
    this.#reconciler = reconciler;
  }

  /**
   * @param verify rejects when the switch does not have it
   * @throws ControlError, StateFileError, and what `verify` throws; the former policy is in force
   */
  async set(document: PolicyDocument, verify: () => Promise<void>): Promise<void> {
    const store = this.#store;
    const former = store.stored;
    store.change(withDocument(former, document));
    this.#refuseOverruled(document, former);
    const saved = store.save();
    // Whoever fails first is told; the other must not be an unhandled rejection.
    saved.catch(() => {});
    try {
      await this.#reconciler.settle();
      await verify();
      await saved;
    } catch (error) {
      await this.#undo(document, former);
      throw error;
    }
  }

  /**
   * Resolves when the switch has forgotten them and the disk has; `false`: there was nothing.
   *
   * @throws StateFileError after what there was is in force again
   */
  async remove(subjects: ReadonlySet<PolicySubject>): Promise<boolean> {
    const store = this.#store;
    const former = store.stored;
    const left = withoutSubjects(former, subjects);
    const isChanged = documentsOf(left).length < documentsOf(former).length;
    if (isChanged) {
      store.change(left);
      await this.#reconciler.settle();
      await this.#save(former);
    }
    return isChanged;
  }

  /** @throws StateFileError */
  async setLogged(logged: StoredVifRules["logged"]): Promise<void> {
    const former = this.#store.stored;
    this.#store.change({ ...former, logged });
    await this.#save(former);
  }

  async #undo(document: PolicyDocument, former: StoredVifRules): Promise<void> {
    const store = this.#store;
    const subject = subjectOf(document);
    const before = documentsOf(former).find((each) => subjectOf(each) === subject);
    const now = store.stored;
    store.change(
      before === undefined ? withoutSubjects(now, new Set([subject])) : withDocument(now, before),
    );
    await Promise.allSettled([this.#reconciler.settle(), store.save()]);
  }

  async #save(former: StoredVifRules): Promise<void> {
    try {
      await this.#store.save();
    } catch (error) {
      this.#store.change({ ...former, bridges: this.#store.stored.bridges });
      await this.#reconciler.settle();
      throw error;
    }
  }

  #refuseOverruled(document: PolicyDocument, former: StoredVifRules): void {
    const { vifs, groups, networks } = this.#reconciler.policies;
    const subject = subjectOf(document);
    const winner =
      vifs.find(({ policy }) => subjectOf({ kind: "vif", policy }) === subject) ??
      groups.find(({ policy }) => subjectOf({ kind: "group", policy }) === subject) ??
      networks.find(({ policy }) => subjectOf({ kind: "network", policy }) === subject);
    if (winner !== undefined && winner.trust !== "api") {
      this.#store.change(former);
      const message = `Cannot set ${subject}: what ${winner.origin} says is in force`;
      throw new ControlError("VNETD_OVERRULED", message);
    }
  }
}

/**
 * The data plane as the reconciler sees it: `bring(target)` makes it do what it should, by the
 * difference to what it does. What it does is read once after connecting and then known.
 */
import type { CommandFailure, DataplaneClient } from "../dataplane/client.ts";
import { DataplaneError } from "../dataplane/client.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand } from "../vnet/dataplane-messages.ts";
import { type AppliedState, type DataplaneTarget, planDataplane } from "../vnet/plan.ts";
import { appliedOf, readApplied, withoutTap } from "./dataplane-state.ts";

export type Brought = {
  readonly commands: readonly DataplaneCommand[];
  readonly failures: readonly CommandFailure[];
};

export class DataplaneLink {
  #client: DataplaneClient | null = null;
  #applied: AppliedState | null = null;
  /** Grows with every doubt about #applied, so that one that came during `bring` is not lost. */
  #doubtCount = 0;

  get client(): DataplaneClient | null {
    return this.#client;
  }

  connected(client: DataplaneClient): void {
    this.#client = client;
    this.#applied = null;
  }

  lost(): void {
    this.#client = null;
    this.#applied = null;
  }

  tapLost(vnet: VnetId): void {
    this.#doubtCount += 1;
    this.#applied = this.#applied === null ? null : withoutTap(this.#applied, vnet);
  }

  /**
   * What it does now.
   *
   * @throws DataplaneError
   */
  async applied(): Promise<AppliedState> {
    this.#applied ??= await readApplied(this.need());
    return this.#applied;
  }

  /** @throws DataplaneError when there is none or it ends meanwhile */
  async bring(target: DataplaneTarget): Promise<Brought> {
    const client = this.need();
    const former = await this.applied();
    const commands = planDataplane(target, former);
    if (commands.length === 0) {
      return { commands, failures: [] };
    }
    // Whatever happens between here and the last answer, what is known now is not true any more.
    this.#applied = null;
    const doubtCount = this.#doubtCount;
    const failures = await client.apply(commands);
    const isKnown = this.#client === client && this.#doubtCount === doubtCount;
    if (failures.length === 0 && isKnown) {
      this.#applied = appliedOf(target, former);
    }
    return { commands, failures };
  }

  /** @throws DataplaneError */
  need(): DataplaneClient {
    if (this.#client === null) {
      throw new DataplaneError("The data plane is down (vnet-dp does not run)", 0);
    }
    return this.#client;
  }
}

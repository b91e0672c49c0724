/** Tells the machine of secure vnets what the reconciler does: vnets, rings and addresses. */
import type { DataplaneClient } from "../dataplane/client.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand } from "../vnet/dataplane-messages.ts";
import type { DesiredState } from "../vnet/desired-state.ts";
import type { DataplaneTarget } from "../vnet/plan.ts";
import type { KeyRings } from "./key-rings.ts";
import type { SecureTarget, SecureVnets } from "./secure-vnets.ts";
import type { Underlay } from "./underlay.ts";

export type SecureFeedOptions = {
  readonly secure: SecureVnets;
  readonly keyRings: KeyRings;
  readonly udpPort: number;
};

export class SecureFeed {
  readonly #options: SecureFeedOptions;
  #targets: readonly SecureTarget[] = [];

  constructor(options: SecureFeedOptions) {
    this.#options = options;
  }

  /** Before the data plane is told. */
  before(target: DataplaneTarget, desired: DesiredState, underlay: Underlay): void {
    const { secure, keyRings, udpPort } = this.#options;
    const carried = new Set(target.vnets.map(({ vnet }) => vnet));
    this.#targets = desired.vnets.flatMap(({ id, suite }) => {
      const ring = keyRings.find(id);
      return suite === null || ring === null || !carried.has(id) ? [] : { vnet: id, suite, ring };
    });
    const { sourceAddress4, sourceAddress6, device } = underlay;
    const endpoints = [sourceAddress4, sourceAddress6].flatMap((address) =>
      address === null ? [] : { address, udpPort },
    );
    secure.before(this.#targets, { endpoints, mtuBytes: device?.mtu ?? 0 });
  }

  /**
   * After it has done `commands`, but those for `refused`.
   *
   * @throws DataplaneError
   */
  async after(
    client: DataplaneClient,
    commands: readonly DataplaneCommand[],
    refused: { has(vnet: VnetId): boolean },
  ): Promise<void> {
    const { secure } = this.#options;
    const made = this.#targets.filter(({ vnet }) => !refused.has(vnet));
    const isAnew = made.some(({ vnet }) => secure.has(vnet) && isDeleted(vnet, commands));
    secure.after(made);
    if (isAnew) {
      // A vnet that was made anew under another interface has lost its SAs on the way.
      await secure.readSas(client);
    }
  }
}

function isDeleted(wanted: VnetId, commands: readonly DataplaneCommand[]): boolean {
  return commands.some((command) => command.kind === "delete-vnet" && command.vnet === wanted);
}

/**
 * Creating and deleting vnets: all that were asked for or none. What is acknowledged is on the
 * disk. The state is written before the first device is made, so a daemon that is killed in
 * between leaves nothing that the next one does not know; a deletion is written last.
 */
import { ControlError } from "../control/control-error.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { addVnets, type DesiredState, deleteVnets } from "../vnet/desired-state.ts";
import type { RingKey } from "../vnet/key-ring.ts";
import { completeVnetConfig, type VnetConfig, type VnetOptions } from "../vnet/vnet-config.ts";
import { expectChange, nameVnets } from "./desired-changes.ts";
import type { HostView } from "./host-view.ts";
import { type KeyRings, readKeyFile } from "./key-rings.ts";
import { isOurBridge } from "./link-plan.ts";
import type { Log } from "./log.ts";
import type { Overlay } from "./overlay.ts";
import type { StateFile } from "./state-file.ts";
import type { VnetDevices } from "./vnet-devices.ts";
import type { VnetProblem } from "./vnet-problems.ts";

export type VnetChangesOptions = {
  readonly overlay: Overlay;
  readonly devices: VnetDevices;
  readonly view: HostView;
  readonly stateFile: StateFile;
  readonly keyRings: KeyRings;
  readonly log: Log;
};

export class VnetChanges {
  readonly #options: VnetChangesOptions;

  constructor(options: VnetChangesOptions) {
    this.#options = options;
  }

  /**
   * Resolves once frames pass.
   *
   * @param options.needUnderlay false: they need not pass yet, because the underlay may come later
   * @throws ParseError, KeyFileError, ControlError
   */
  async create(
    requests: readonly VnetOptions[],
    options: { readonly needUnderlay: boolean },
  ): Promise<readonly VnetConfig[]> {
    const { overlay } = this.#options;
    const vnets = requests.map(completeVnetConfig);
    const keys = await readKeys(requests);
    const what = `create ${nameVnets(vnets.map(({ id }) => shortVnetId(id)))}`;
    try {
      await overlay.exclusively(() => this.#create(what, { vnets, keys, ...options }));
    } finally {
      // Those that are in a ring are its own copies.
      for (const { secret } of keys.values()) {
        secret.fill(0);
      }
    }
    return vnets;
  }

  async #create(
    what: string,
    {
      vnets,
      keys,
      ...options
    }: {
      readonly vnets: readonly VnetConfig[];
      readonly keys: ReadonlyMap<VnetId, RingKey>;
      readonly needUnderlay: boolean;
    },
  ): Promise<void> {
    const { overlay } = this.#options;
    const before = overlay.desired;
    const after = expectChange(what, addVnets(before, vnets));
    await this.#checkHost(what, vnets, options);
    const made = this.#missingBridges(vnets);
    await this.#store(what, after, keys);
    overlay.setDesired(after);
    const failure = await this.#settle(vnets, options);
    if (failure !== null) {
      await this.#rollBack(before, vnets, made);
      throw new ControlError(failure.code, `Cannot ${what}: ${failure.message}`);
    }
    this.#options.log.info({ vnets: vnets.map(({ id }) => shortVnetId(id)) }, "created vnets");
  }

  /**
   * @param bridge delete their bridges too
   * @throws ControlError
   */
  delete(ids: readonly VnetId[], { bridge }: { readonly bridge: boolean }): Promise<void> {
    const { overlay, view, devices, stateFile } = this.#options;
    const what = `delete ${nameVnets(ids.map(shortVnetId))}`;
    return overlay.exclusively(async () => {
      const before = overlay.desired;
      const after = expectChange(what, deleteVnets(before, ids));
      const deleted = before.vnets.filter(({ id }) => ids.includes(id));
      await view.readDevicesOf(deleted);
      if (bridge) {
        await this.#checkBridges(what, deleted);
      }
      try {
        overlay.setDesired(after);
        // The data plane lets go of a TAP before it is removed, or it would report it lost.
        await overlay.bring();
        await devices.detachOvs(deleted);
        await this.#remove(deleted, bridge ? deleted : []);
        await stateFile.save(after);
      } catch (cause) {
        overlay.setDesired(before);
        overlay.wake();
        throw asControlError(what, cause);
      }
      await this.#wipeKeys(deleted.filter(({ suite }) => suite !== null).map(({ id }) => id));
      this.#options.log.info({ vnets: ids.map(shortVnetId) }, "deleted vnets");
    });
  }

  /** Rings first: a vnet that is stored has its ring, whatever happens in between. */
  async #store(
    what: string,
    state: DesiredState,
    keys: ReadonlyMap<VnetId, RingKey>,
  ): Promise<void> {
    const { keyRings, stateFile } = this.#options;
    try {
      for (const [vnet, { id, secret }] of keys) {
        await keyRings.create(vnet, { id, secret: secret.slice() });
      }
      await stateFile.save(state);
    } catch (cause) {
      await this.#wipeKeys([...keys.keys()]);
      throw asControlError(what, cause);
    }
  }

  async #wipeKeys(vnets: readonly VnetId[]): Promise<void> {
    for (const vnet of vnets) {
      await this.#options.keyRings.wipe(vnet);
    }
  }

  /** What must be so before anything is changed. */
  async #checkHost(
    what: string,
    vnets: readonly VnetConfig[],
    { needUnderlay }: { readonly needUnderlay: boolean },
  ): Promise<void> {
    const { overlay, view, devices } = this.#options;
    const { error } = overlay.underlay;
    if (needUnderlay && error !== null) {
      throw new ControlError("VNETD_NO_UNDERLAY", `Cannot ${what}: ${error}`);
    }
    try {
      overlay.dataplane.need();
      await view.readDevicesOf(vnets);
      const conflict = await devices.findConflict(vnets, view.links);
      if (conflict !== null) {
        throw new ControlError(conflict.code, `Cannot ${what}: ${conflict.message}`);
      }
    } catch (cause) {
      throw asControlError(what, cause);
    }
  }

  async #settle(
    vnets: readonly VnetConfig[],
    { needUnderlay }: { readonly needUnderlay: boolean },
  ): Promise<VnetProblem | null> {
    try {
      const problems = await this.#options.overlay.settle(vnets, { strict: true });
      const serious = [...problems.values()].find(
        ({ code }) => needUnderlay || code !== "VNETD_NO_UNDERLAY",
      );
      return serious ?? null;
    } catch (error) {
      const code = asControlError("", error).code as VnetProblem["code"];
      return { code, message: reasonOf(error) };
    }
  }

  async #rollBack(
    before: DesiredState,
    vnets: readonly VnetConfig[],
    madeBridges: readonly VnetConfig[],
  ): Promise<void> {
    const { overlay, view, devices, stateFile, log } = this.#options;
    overlay.setDesired(before);
    const linuxBridges = (): VnetConfig[] =>
      madeBridges.filter(({ bridge, ovs }) => {
        const link = ovs || bridge === null ? undefined : view.links.get(bridge);
        return link !== undefined && isOurBridge(link);
      });
    const ovsBridges = madeBridges.filter(({ ovs }) => ovs);
    const steps = [
      () => view.readDevicesOf(vnets),
      () => overlay.bring(),
      () => this.#remove(vnets, linuxBridges()),
      () => devices.detachOvs(vnets),
      () => this.#remove([], ovsBridges),
      () => this.#wipeKeys(vnets.filter(({ suite }) => suite !== null).map(({ id }) => id)),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        // Each does what it can: one that fails must not keep the others from running.
        log.error({ err: error }, "cannot take back all of a vnet that could not be created");
      }
    }
    await stateFile.save(before);
  }

  /** The vnets whose bridge is not there yet. */
  #missingBridges(vnets: readonly VnetConfig[]): VnetConfig[] {
    const { links } = this.#options.view;
    return vnets.filter(({ bridge }) => bridge !== null && !links.has(bridge));
  }

  async #checkBridges(what: string, vnets: readonly VnetConfig[]): Promise<void> {
    const { devices, view } = this.#options;
    for (const vnet of vnets) {
      const reason = await devices.findBridgeInUse(vnet, view.links, (bridge) =>
        view.readPorts(bridge),
      );
      if (reason !== null) {
        throw new ControlError("VNETD_NAME_TAKEN", `Cannot ${what}: ${reason}`);
      }
    }
  }

  /** @throws Error with the first failure */
  async #remove(vnets: readonly VnetConfig[], bridges: readonly VnetConfig[]): Promise<void> {
    const { devices, view } = this.#options;
    const failures = [
      ...(await devices.removeTaps(vnets, view.links)).values(),
      ...(await devices.removeBridges(bridges, view.links)).values(),
    ];
    if (failures[0] !== undefined) {
      throw new ControlError("VNETD_HOST_FAILED", failures[0]);
    }
  }
}

/** The first key of each vnet that needs one. */
async function readKeys(requests: readonly VnetOptions[]): Promise<ReadonlyMap<VnetId, RingKey>> {
  const keys = new Map<VnetId, RingKey>();
  for (const { id, keyFile } of requests) {
    if (keyFile !== undefined) {
      keys.set(id, await readKeyFile(keyFile));
    }
  }
  return keys;
}

function asControlError(what: string, cause: unknown): ControlError {
  if (cause instanceof ControlError) {
    return cause;
  }
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const known = HOST_CODES.find((candidate) => candidate === code) ?? "VNETD_INTERNAL";
  return new ControlError(known, `Cannot ${what}: ${reasonOf(cause)}`, { cause });
}

const HOST_CODES = [
  "VNETD_HOST_FAILED",
  "VNETD_OVS_FAILED",
  "VNETD_DATAPLANE_FAILED",
  "VNETD_STATE_FAILED",
  "VNETD_KEY_RING",
] as const;

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

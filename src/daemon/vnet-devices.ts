/**
 * Makes the devices of vnets what they should be: plans (link-plan.ts) carried out, all vnets of a
 * pass in two runs of `ip -batch`, and Open vSwitch for those that want it.
 */
import type { RunProgram } from "../host/child.ts";
import { deleteLinks, type IpCommand, runBatch } from "../host/iproute2.ts";
import type { Link } from "../host/iproute2-listing.ts";
import { silenceIpv6 } from "../host/ipv6-switch.ts";
import type { OvsVsctl } from "../host/ovs-vsctl.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";
import {
  hasOurTap,
  isOurBridge,
  type LinkPlan,
  type Links,
  planVnetLinks,
  type TapOwner,
} from "./link-plan.ts";

export type DeviceFailure = {
  readonly code: "VNETD_NAME_TAKEN" | "VNETD_HOST_FAILED" | "VNETD_OVS_FAILED";
  /** Without "Cannot …:" before it. */
  readonly message: string;
};

export type DeviceResult = {
  readonly failures: ReadonlyMap<VnetId, DeviceFailure>;
  /** Vnets of which something was made or changed: their links are to be read again. */
  readonly changed: ReadonlySet<VnetId>;
  /** Those of them whose TAP is another one now, with the old one's name. */
  readonly newTaps: readonly VnetId[];
};

export type VnetDevicesOptions = {
  readonly run: RunProgram;
  readonly ovs: OvsVsctl;
  readonly owner: TapOwner;
};

/** One command of a pass, and the vnet it is for. */
type Step = { readonly vnet: VnetId; readonly command: IpCommand };

export class VnetDevices {
  readonly #options: VnetDevicesOptions;

  constructor(options: VnetDevicesOptions) {
    this.#options = options;
  }

  /**
   * Makes what is missing of `vnets`, changes what is wrong. What fails is told, not thrown.
   *
   * @param options.strict as in planVnetLinks
   */
  async realize(
    vnets: readonly VnetConfig[],
    links: Links,
    options: { readonly strict: boolean },
  ): Promise<DeviceResult> {
    const failures = new Map<VnetId, DeviceFailure>();
    const plans = new Map<VnetId, Extract<LinkPlan, { kind: "plan" }>>();
    for (const vnet of vnets) {
      const plan = planVnetLinks(vnet, links, { owner: this.#options.owner, ...options });
      if (plan.kind === "conflict") {
        failures.set(vnet.id, { code: "VNETD_NAME_TAKEN", message: plan.message });
      } else {
        plans.set(vnet.id, plan);
      }
    }
    const steps = (part: "make" | "raise"): Step[] =>
      [...plans].flatMap(([vnet, plan]) => plan[part].map((command) => ({ vnet, command })));
    const make = steps("make");
    await this.#runSteps(make, failures);
    await this.#silence(plans, failures);
    const raise = steps("raise");
    await this.#runSteps(raise, failures);
    const attached = await this.#attachOvs(
      vnets.filter(({ ovs, id }) => ovs && !failures.has(id)),
      failures,
    );
    const changed = new Set([...make, ...raise].map(({ vnet }) => vnet));
    const newTaps = [...plans].filter(([, { isNewTap }]) => isNewTap).map(([vnet]) => vnet);
    return { failures, changed: new Set([...changed, ...attached]), newTaps };
  }

  /** The name conflicts that `realize` would meet; changes nothing. */
  async findConflict(
    vnets: readonly VnetConfig[],
    links: Links,
  ): Promise<(DeviceFailure & { readonly vnet: VnetId }) | null> {
    for (const vnet of vnets) {
      const plan = planVnetLinks(vnet, links, { owner: this.#options.owner, strict: true });
      if (plan.kind === "conflict") {
        return { vnet: vnet.id, code: "VNETD_NAME_TAKEN", message: plan.message };
      }
      const taken = await this.#findOvsConflict(vnet, links);
      if (taken !== null) {
        return { vnet: vnet.id, code: "VNETD_NAME_TAKEN", message: taken };
      }
    }
    return null;
  }

  /**
   * Takes the TAPs of `vnets` from their Open vSwitch bridges: a port outlives its device.
   *
   * @throws OvsError
   */
  async detachOvs(vnets: readonly VnetConfig[]): Promise<void> {
    for (const { ovs, bridge, vnetif } of vnets) {
      if (ovs && bridge !== null) {
        await this.#options.ovs.detach(bridge, vnetif);
      }
    }
  }

  /**
   * Removes the TAPs of `vnets`; ones that are gone are no failure.
   *
   * @throws LinkError
   */
  async removeTaps(
    vnets: readonly VnetConfig[],
    links: Links,
  ): Promise<ReadonlyMap<VnetId, string>> {
    const { owner } = this.#options;
    return await this.#deleteAll(
      vnets
        .filter((vnet) => hasOurTap(vnet, links, owner))
        .map(({ id, vnetif }) => ({ vnet: id, device: vnetif })),
    );
  }

  /**
   * Deletes bridges; ones that are gone are no failure.
   *
   * @throws LinkError, OvsError
   */
  async removeBridges(
    vnets: readonly VnetConfig[],
    links: Links,
  ): Promise<ReadonlyMap<VnetId, string>> {
    const devices: { readonly vnet: VnetId; readonly device: string }[] = [];
    for (const { id, bridge, ovs } of vnets) {
      if (bridge !== null && ovs) {
        await this.#options.ovs.deleteBridge(bridge);
      } else if (bridge !== null && links.get(bridge)?.kind === "bridge") {
        devices.push({ vnet: id, device: bridge });
      }
    }
    return await this.#deleteAll(devices);
  }

  /**
   * Why the bridge of a vnet must not be deleted: it is not ours and has other ports. Null when it
   * may be.
   *
   * @throws LinkError, OvsError
   */
  async findBridgeInUse(
    { bridge, vnetif, ovs }: VnetConfig,
    links: Links,
    ports: (bridge: string) => Promise<readonly string[]>,
  ): Promise<string | null> {
    if (bridge === null) {
      return null;
    }
    const link = links.get(bridge);
    const exists = ovs ? await this.#options.ovs.bridgeExists(bridge) : link !== undefined;
    if (!exists) {
      return null;
    }
    const isOurs = ovs
      ? await this.#options.ovs.isOurs(bridge)
      : link !== undefined && isOurBridge(link);
    if (isOurs) {
      return null;
    }
    const others = (await ports(bridge)).filter((port) => port !== vnetif);
    return others.length === 0
      ? null
      : `bridge ${bridge} was not made by vnetd and has other ports (${others.join(", ")})`;
  }

  async #runSteps(steps: readonly Step[], failures: Map<VnetId, DeviceFailure>): Promise<void> {
    // A vnet that failed gets no further: its TAP must not be raised without its bridge.
    const going = steps.filter(({ vnet }) => !failures.has(vnet));
    let failed: ReadonlyMap<VnetId, string>;
    try {
      failed = await this.#runAll(going);
    } catch (error) {
      failed = new Map(going.map(({ vnet }) => [vnet, reasonOf(error)]));
    }
    for (const [vnet, message] of failed) {
      failures.set(vnet, { code: "VNETD_HOST_FAILED", message });
    }
  }

  async #deleteAll(
    devices: readonly { readonly vnet: VnetId; readonly device: string }[],
  ): Promise<ReadonlyMap<VnetId, string>> {
    const failed = await deleteLinks(
      this.#options.run,
      devices.map(({ device }) => device),
    );
    const reasons = new Map<VnetId, string>();
    for (const [index, { vnet, device }] of devices.entries()) {
      const reason = failed.get(index);
      if (reason !== undefined) {
        reasons.set(vnet, explain(["link", "del", "dev", device], reason));
      }
    }
    return reasons;
  }

  /** The first failure of each vnet. */
  async #runAll(steps: readonly Step[]): Promise<ReadonlyMap<VnetId, string>> {
    const failed = await runBatch(
      this.#options.run,
      steps.map(({ command }) => command),
    );
    const reasons = new Map<VnetId, string>();
    for (const [index, reason] of failed) {
      const step = steps[index];
      if (step !== undefined && !reasons.has(step.vnet)) {
        reasons.set(step.vnet, explain(step.command, reason));
      }
    }
    return reasons;
  }

  async #silence(
    plans: ReadonlyMap<VnetId, Extract<LinkPlan, { kind: "plan" }>>,
    failures: Map<VnetId, DeviceFailure>,
  ): Promise<void> {
    for (const [vnet, { silence }] of plans) {
      try {
        await Promise.all(silence.map(silenceIpv6));
      } catch (error) {
        failures.set(vnet, { code: "VNETD_HOST_FAILED", message: reasonOf(error) });
      }
    }
  }

  /** @returns the vnets that were not attached, or not where they should be */
  async #attachOvs(
    vnets: readonly VnetConfig[],
    failures: Map<VnetId, DeviceFailure>,
  ): Promise<readonly VnetId[]> {
    if (vnets.length === 0) {
      return [];
    }
    const fail = (vnet: VnetConfig, error: unknown): void => {
      failures.set(vnet.id, { code: "VNETD_OVS_FAILED", message: reasonOf(error) });
    };
    let bridgeOf: ReadonlyMap<string, string>;
    try {
      bridgeOf = await this.#options.ovs.mapPorts();
    } catch (error) {
      for (const vnet of vnets) {
        fail(vnet, error);
      }
      return [];
    }
    const attached: VnetId[] = [];
    for (const vnet of vnets) {
      const { bridge, vnetif } = vnet;
      if (bridge === null || bridgeOf.get(vnetif) === bridge) {
        continue;
      }
      attached.push(vnet.id);
      try {
        const former = bridgeOf.get(vnetif);
        if (former !== undefined) {
          await this.#options.ovs.detach(former, vnetif);
        }
        if (!(await this.#options.ovs.bridgeExists(bridge))) {
          await this.#options.ovs.createBridge(bridge);
        }
        await this.#options.ovs.attach(bridge, vnetif);
      } catch (error) {
        fail(vnet, error);
      }
    }
    return attached;
  }

  async #findOvsConflict({ ovs, bridge }: VnetConfig, links: Links): Promise<string | null> {
    const device: Link | undefined = bridge === null ? undefined : links.get(bridge);
    if (!ovs || bridge === null || device === undefined) {
      return null;
    }
    return (await this.#options.ovs.bridgeExists(bridge))
      ? null
      : `bridge name ${bridge} is taken by a device that is not an Open vSwitch bridge`;
  }
}

function explain(command: IpCommand, reason: string): string {
  // `ip tuntap` names only the call that failed.
  const plain = reason.replace(/^open: /, "cannot open /dev/net/tun: ");
  return `ip ${command.join(" ")}: ${plain}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

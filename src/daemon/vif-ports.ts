/**
 * The ports of VIFs on managed bridges: adds them denied, with their flows there before they are,
 * and sets the link up last; takes them off; makes a port anew whose device is another one now.
 *
 * One worker a port: what is asked of it is done in order, each time by what is known then.
 */
import { ControlError } from "../control/control-error.ts";
import type { SwitchDatabase } from "../host/switch-database.ts";
import type { SwitchInterface, SwitchPort, SwitchView } from "../host/switch-view.ts";
import { resolveBridge } from "../host/switch-view.ts";
import type { Log } from "./log.ts";
import { Serial } from "./serial.ts";
import { PortCorrections } from "./vif-corrections.ts";
import type { VifLink, VifLinks } from "./vif-links.ts";
import { Ofports } from "./vif-ofports.ts";
import type { PlannedVif, VifPlan } from "./vif-plan.ts";
import { portNamesOf, twinOf } from "./vif-policy-index.ts";
import { hasVlan, QUARANTINE_VLAN, vlanOf } from "./vif-port-vlan.ts";

export type VifPortsOptions = {
  readonly links: VifLinks;
  readonly log: Log;
  /** Null: Open vSwitch is not there; the message says so. */
  database(): SwitchDatabase | null;
  /** The plan of what is known now. */
  plan(): VifPlan;
  /** Resolves when the managed bridges have the flows of what is known now. @throws */
  enforce(): Promise<void>;
};

const UNKNOWN_MAC = "00:00:00:00:00:00";
/** A port of the kernel's datapath is enslaved to it. */
const KERNEL_DATAPATH = "ovs-system";

export class VifPorts {
  readonly #options: VifPortsOptions;
  readonly #workers = new Map<string, { readonly serial: Serial; taskCount: number }>();
  readonly #reserved = new Map<string, number>();
  readonly #coming = new Set<string>();
  /** Taken off by a call: not added again by themselves while the device is the same. */
  readonly #cleared = new Map<string, number | null>();
  /** Ports that were to be taken off while the switch was away. */
  readonly #leftBehind = new Set<string>();
  /** The device that a port had when it was first seen under its number. */
  readonly #devices = new Map<string, { readonly ofport: number | null; readonly index: number }>();
  readonly #ofports = new Ofports();
  readonly #corrections = new PortCorrections((changes) => this.#database().changePorts(changes));

  constructor(options: VifPortsOptions) {
    this.#options = options;
  }

  /** Ports that are about to be added, and the numbers they will have. */
  get reserved(): ReadonlyMap<string, number> {
    return this.#reserved;
  }

  /**
   * The VIF's device becomes a port of `bridge`, or of the bridge of its policy, and its link comes
   * up when its flows are there. Without a device, nothing is done.
   *
   * @throws ControlError, SwitchDatabaseError, OpenflowError, LinkError
   */
  async plug(name: string, bridge: string | null): Promise<void> {
    await this.#run(name, async () => {
      this.#cleared.delete(name);
      this.#leftBehind.delete(name);
      await this.#options.links.read([name]);
      await this.#plug(name, bridge);
    });
  }

  /**
   * As `plug` for the ports of a VIF that lack something. Starts no program when none does.
   *
   * @throws as `plug`
   */
  async attach(vif: PlannedVif): Promise<void> {
    const policyName = vif.sourced?.policy.vif;
    const names = policyName === undefined ? [] : portNamesOf(policyName);
    if (vif.ports.every(({ port }) => port === null)) {
      await this.#options.links.read(names);
    }
    names.forEach((name) => {
      this.#cleared.delete(name);
      this.#leftBehind.delete(name);
    });
    for (const name of this.portsToRepair(vif)) {
      await this.#run(name, () => this.#plug(name, null));
    }
  }

  /**
   * The port is on no managed bridge any more.
   *
   * @throws ControlError, SwitchDatabaseError
   */
  async unplug(name: string): Promise<void> {
    await this.#run(name, async () => {
      const { links } = this.#options;
      this.#cleared.set(name, links.get(name)?.index ?? null);
      await this.#unplug(name);
    });
  }

  /** Whether `repair` would do something for one of the VIF's ports. */
  portsToRepair(vif: PlannedVif): readonly string[] {
    if (vif.sourced === null || vif.failure !== null || vif.bridge === null) {
      return [];
    }
    const { vif: name } = vif.sourced.policy;
    const possible = name === undefined ? [] : portNamesOf(name);
    const names = new Set([...vif.ports.map((port) => port.name), ...possible]);
    return [...names].filter((each) => this.#needsRepair(each, vif));
  }

  /** As `plug`, unless something else is being done with that VIF. @throws as `plug` */
  async repair(name: string): Promise<void> {
    if (!this.#workers.has(name)) {
      await this.#run(name, () => this.#plug(name, null));
    }
  }

  /** Takes off what could not be taken off while the switch was away. @throws as `unplug` */
  async finishUnplugging(): Promise<void> {
    for (const name of this.#view() === null ? [] : this.#leftBehind) {
      await this.#run(name, () => this.#unplug(name));
    }
  }

  /** Whether the port is being added, or its VLAN set: its link is not up yet. */
  isComing(name: string): boolean {
    return this.#coming.has(name);
  }

  async #run(name: string, task: () => Promise<void>): Promise<void> {
    const worker = this.#workers.get(name) ?? { serial: new Serial(), taskCount: 0 };
    this.#workers.set(name, worker);
    worker.taskCount += 1;
    try {
      await worker.serial.run(task);
    } finally {
      worker.taskCount -= 1;
      if (worker.taskCount === 0) {
        this.#workers.delete(name);
      }
    }
  }

  #needsRepair(name: string, vif: PlannedVif): boolean {
    const link = this.#options.links.get(name);
    const there = this.#view()?.ports.get(name) ?? null;
    const port = there?.bridge === vif.bridge ? there : null;
    if (port === null) {
      const cleared = this.#cleared.get(name);
      const isFree = link !== null && (link.master === null || link.master === KERNEL_DATAPATH);
      return isFree && cleared !== link.index && there === null && this.#view() !== null;
    }
    const [device] = port.interfaces;
    return (
      (device !== undefined && this.#isStale(device, link)) ||
      !hasVlan(port, vlanOf(vif)) ||
      (device !== undefined && !device.externalIds.has("attached-mac"))
    );
  }

  async #plug(name: string, hint: string | null): Promise<void> {
    const link = this.#options.links.get(name);
    const vif = this.#find(name);
    const bridge = this.#bridgeOf(name, { vif, hint });
    const database = this.#database();
    const view = this.#view();
    const there = view?.ports.get(name) ?? null;
    if (there !== null && !(await this.#mustMove(there, { bridge, link }))) {
      await this.#whileComing(name, () => this.#correct(there, vif));
      await this.#options.enforce();
      return;
    }
    if (link === null) {
      return;
    }
    if (link.master !== null && link.master !== KERNEL_DATAPATH) {
      const message = `Cannot add port ${name} to ${bridge}: it is a port of ${link.master}`;
      throw new ControlError("VNETD_NAME_TAKEN", message);
    }
    await this.#whileComing(name, () => this.#add(name, { bridge, vif, database }));
  }

  async #whileComing(name: string, task: () => Promise<void>): Promise<void> {
    this.#coming.add(name);
    try {
      await task();
    } finally {
      this.#coming.delete(name);
    }
  }

  /** Deny first; the flows before the port; the link last. */
  async #add(
    name: string,
    to: {
      readonly bridge: string;
      readonly vif: PlannedVif | null;
      readonly database: SwitchDatabase;
    },
  ): Promise<void> {
    const { links, enforce, log } = this.#options;
    await links.setUp(name, false);
    const ofport = this.#ofports.choose(this.#view(), this.#reserved.values());
    this.#reserved.set(name, ofport);
    try {
      await enforce();
      const policy = to.vif?.sourced?.policy;
      const added = await to.database.addPort({
        bridge: to.bridge,
        name,
        vlan: to.vif === null ? QUARANTINE_VLAN : vlanOf(to.vif),
        ofportRequest: ofport,
        externalIds: {
          // With it the port is a VIF, in quarantine, also when it has no policy any more.
          "attached-mac": policy?.mac ?? UNKNOWN_MAC,
          ...(policy?.vm !== undefined && { "vm-id": policy.vm }),
        },
      });
      if (added.ofport !== ofport) {
        log.warn(
          { vif: name, asked: ofport, ofport: added.ofport },
          "another port took the number",
        );
      }
    } finally {
      this.#reserved.delete(name);
    }
    await enforce();
    await links.setUp(name, true);
  }

  /** Whether the port must be made anew; then it has been deleted. */
  async #mustMove(
    port: SwitchPort,
    { bridge, link }: { readonly bridge: string; readonly link: VifLink | null },
  ): Promise<boolean> {
    const view = this.#view();
    const target = view === null ? null : resolveBridge(view, bridge);
    const [device] = port.interfaces;
    const isThere = target?.bridge === port.bridge;
    if (isThere && (device === undefined || !this.#isStale(device, link))) {
      return false;
    }
    if (!isThere && !this.#options.plan().bridges.has(port.bridge)) {
      const message = `Cannot add port ${port.name} to ${bridge}: it is a port of ${port.bridge}`;
      throw new ControlError("VNETD_NAME_TAKEN", message);
    }
    await this.#database().deletePort(port.name);
    this.#devices.delete(port.name);
    return true;
  }

  /**
   * The switch could not open the device, or has one open that is not the one of that name any
   * more: its number is another one, as its row says, or as it was when the port was first seen.
   */
  #isStale(device: SwitchInterface, link: VifLink | null): boolean {
    if (link === null || device.type !== "") {
      return false;
    }
    const { name, ofport, ifindex } = device;
    const seen = this.#devices.get(name);
    if (seen === undefined || seen.ofport !== ofport) {
      this.#devices.set(name, { ofport, index: link.index });
    } else if (seen.index !== link.index) {
      return true;
    }
    // Zero: the datapath does not know.
    return ofport === null
      ? device.error !== null
      : ifindex !== null && ifindex > 0 && ifindex !== link.index;
  }

  /** A port that others have added may lack what ours have. */
  async #correct(port: SwitchPort, vif: PlannedVif | null): Promise<void> {
    if (vif?.sourced == null || vif.failure !== null) {
      return;
    }
    const vlan = vlanOf(vif);
    const named = port.interfaces.some(({ externalIds }) => externalIds.has("attached-mac"));
    if (named && hasVlan(port, vlan)) {
      return;
    }
    await this.#corrections.make(port.name, {
      ...(!hasVlan(port, vlan) && { vlan }),
      // So that it stays a VIF, in quarantine, when its policy goes.
      ...(!named && { externalIds: { "attached-mac": vif.sourced.policy.mac } }),
    });
  }

  async #unplug(name: string): Promise<void> {
    const view = this.#view();
    if (view === null && this.#options.database() !== null) {
      // It is denied all the same, and goes as soon as the switch can be reached.
      this.#leftBehind.add(name);
      return;
    }
    const bridge = view?.ports.get(name)?.bridge;
    if (bridge !== undefined && this.#options.plan().bridges.has(bridge)) {
      await this.#database().deletePort(name);
    }
    this.#leftBehind.delete(name);
  }

  #find(name: string): PlannedVif | null {
    const { vifs } = this.#options.plan();
    for (const vif of vifs.values()) {
      if (vif.ports.some((port) => port.name === name)) {
        return vif;
      }
    }
    const [found] = [name, ...twinOf(name)].flatMap((each) => vifs.get(each) ?? []);
    return found ?? null;
  }

  #bridgeOf(
    name: string,
    { vif, hint }: { readonly vif: PlannedVif | null; readonly hint: string | null },
  ): string {
    const { bridges } = this.#options.plan();
    const bridge = vif?.sourced?.policy.bridge ?? hint ?? vif?.bridge ?? null;
    if (bridge === null) {
      const message = `No policy for VIF ${name}, and nobody says what bridge it is for`;
      throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
    }
    const view = this.#view();
    const resolved = view === null ? null : resolveBridge(view, bridge);
    if (this.#options.database() === null) {
      const message = `No policy for VIF ${name}, and no bridge is managed`;
      throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
    }
    if (view !== null && resolved === null) {
      throw new ControlError("VNETD_UNKNOWN_DEVICE", `No Open vSwitch bridge ${bridge}`);
    }
    if (resolved !== null && !bridges.has(resolved.bridge)) {
      const message = `No policy for VIF ${name}, and bridge ${bridge} is not managed`;
      throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
    }
    return bridge;
  }

  #view(): SwitchView | null {
    return this.#options.database()?.view ?? null;
  }

  /** @throws ControlError without one */
  #database(): SwitchDatabase {
    const database = this.#options.database();
    if (database?.view == null) {
      const why = database?.failure?.message ?? "there is no connection yet";
      throw new ControlError("VNETD_OVS_FAILED", `Cannot reach Open vSwitch: ${why}`);
    }
    return database;
  }
}

/**
 * The reconciler: brings this host's devices and its data plane to the desired state, and keeps
 * them there. Whatever happens (a link event, a lost TAP, a new data plane, a command of an
 * operator) it looks at the whole truth and applies the difference; one task at a time.
 */
import type { DataplaneClient } from "../dataplane/client.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { DesiredState } from "../vnet/desired-state.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";
import type { Config } from "./config.ts";
import { DataplaneLink } from "./dataplane-link.ts";
import { dataplaneTarget } from "./dataplane-target.ts";
import type { Discovery } from "./discovery.ts";
import { DiscoveryFeed } from "./discovery-feed.ts";
import { Histogram } from "./histogram.ts";
import { deviceNames, type HostView } from "./host-view.ts";
import type { KeyRings } from "./key-rings.ts";
import { expectLinks, LinkWatch } from "./link-watch.ts";
import type { Log } from "./log.ts";
import { PassTimer } from "./pass-timer.ts";
import { SecureFeed } from "./secure-feed.ts";
import type { SecureVnets } from "./secure-vnets.ts";
import { Serial } from "./serial.ts";
import { chooseUnderlay, type Underlay } from "./underlay.ts";
import type { DeviceResult, VnetDevices } from "./vnet-devices.ts";
import { type VnetProblem, VnetProblems } from "./vnet-problems.ts";

export type OverlayOptions = {
  readonly config: Config;
  readonly desired: DesiredState;
  readonly view: HostView;
  readonly devices: VnetDevices;
  readonly discovery: Discovery;
  readonly keyRings: KeyRings;
  readonly secure: SecureVnets;
  readonly log: Log;
  readonly now: () => number;
};

const DATAPLANE_DOWN = "the data plane is down (vnet-dp does not run)";
/** What is retried that belongs to no vnet. */
const WHOLE_PASS = "pass";
const REPAIRS_SHOWN_MAX = 10;

export class Overlay {
  readonly dataplane = new DataplaneLink();
  readonly passTimes = new Histogram();
  readonly #options: OverlayOptions;
  readonly #tasks = new Serial();
  readonly #timer: PassTimer;
  readonly #feed: DiscoveryFeed;
  readonly #secureFeed: SecureFeed;
  readonly #problems: VnetProblems;
  readonly #watch: LinkWatch;
  #desired: DesiredState;
  #underlay: Underlay;
  readonly #lostTaps = new Set<VnetId>();
  readonly #listeners: (() => void)[] = [];
  /** Null: to be made anew. */
  #secureIds: ReadonlySet<VnetId> | null = null;

  constructor(options: OverlayOptions) {
    this.#options = options;
    this.#desired = options.desired;
    this.#underlay = this.#chooseUnderlay();
    this.#problems = new VnetProblems(options);
    this.#feed = new DiscoveryFeed(options.discovery, () => options.secure.senderId);
    this.#secureFeed = new SecureFeed({ ...options, udpPort: options.config.udpPort });
    this.#timer = new PassTimer(options.now, () => this.reconcile());
    this.#watch = new LinkWatch(this.#timer, () => {
      const { error, device } = this.#underlay;
      return expectLinks(this.#desired.vnets, error === null ? (device?.name ?? null) : null);
    });
  }

  get desired(): DesiredState {
    return this.#desired;
  }

  /** For tasks run `exclusively`: what is wanted from now on. */
  setDesired(desired: DesiredState): void {
    this.#desired = desired;
    this.#secureIds = null;
    this.#watch.changed();
  }

  /** Whether the vnet must never be heard or spoken to in the clear. */
  isSecure(vnet: VnetId): boolean {
    this.#secureIds ??= new Set(
      this.#desired.vnets.filter(({ suite }) => suite !== null).map(({ id }) => id),
    );
    return this.#secureIds.has(vnet);
  }

  get underlay(): Underlay {
    return this.#underlay;
  }

  /** Null: frames pass. */
  problemOf(vnet: VnetId): VnetProblem | null {
    const host = this.#problems.ofHost(vnet);
    if (host !== null) {
      return host;
    }
    if (this.dataplane.client === null) {
      return { code: "VNETD_DATAPLANE_FAILED", message: DATAPLANE_DOWN };
    }
    const refused = this.#problems.refused.get(vnet);
    if (refused !== undefined) {
      return { code: "VNETD_DATAPLANE_FAILED", message: refused };
    }
    const { error } = this.#underlay;
    return error === null ? null : { code: "VNETD_NO_UNDERLAY", message: error };
  }

  /** Runs `task` while no pass and no other task runs. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#tasks.run(async () => {
      try {
        return await task();
      } finally {
        this.#tell();
      }
    });
  }

  /** `listener` is called after every task, before the next one begins, and when the data plane goes. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Something may have changed: a pass follows soon. */
  wake(): void {
    this.#timer.wake();
  }

  /** The ports of Linux bridges, as the kernel has told by now. */
  bridgePorts(): ReadonlyMap<string, readonly string[]> {
    return this.#watch.ports.list();
  }

  /** A line of `ip monitor`: a pass follows if it is not what is expected. */
  wakeFor(line: string): void {
    const left = this.#watch.read(line);
    if (left !== null) {
      void this.exclusively(() => this.#forgetDeparted(left));
    }
  }

  /** One pass over everything. What fails is logged, shown by `problemOf` and tried again. */
  reconcile(): Promise<void> {
    return this.exclusively(async () => {
      const startedAt = this.#options.now();
      try {
        await this.#pass();
        this.#problems.retries.succeed(WHOLE_PASS);
        this.#problems.log.note(WHOLE_PASS, null, {});
      } catch (error) {
        // The third of the four doors (docs/ARCHITECTURE.md): log once, back off, retry.
        this.#problems.retries.fail(WHOLE_PASS);
        const why = error instanceof Error ? error.message : String(error);
        this.#problems.log.note(WHOLE_PASS, `cannot reconcile: ${why}`, { err: error });
      }
      this.#timer.ended(startedAt, this.#problems.retries.nextAt());
      const passMs = this.#options.now() - startedAt;
      this.passTimes.observe(passMs);
      const fields = { vnetCount: this.#desired.vnets.length, passMs: Math.round(passMs) };
      this.#options.log.debug(fields, "pass");
    });
  }

  /** A data plane is there: it is brought up to date before anything else is done. */
  connected(client: DataplaneClient): Promise<void> {
    return this.exclusively(async () => {
      this.dataplane.connected(client);
      try {
        await this.bring();
        await this.#options.secure.readSas(client);
        await this.#feed.readVifs(client, { announce: false });
      } catch (error) {
        this.#options.log.error({ err: error }, "cannot bring the data plane up to date");
      }
      this.wake();
    });
  }

  disconnected(): void {
    this.dataplane.lost();
    this.#options.secure.lost();
    this.#tell();
  }

  /** The TAPs that are lost by the time it is their turn are made anew together. */
  tapLost(vnet: VnetId): void {
    this.dataplane.tapLost(vnet);
    this.#lostTaps.add(vnet);
    if (this.#lostTaps.size === 1) {
      void this.exclusively(() => this.#replaceTaps());
    }
  }

  eventsLost(): Promise<void> {
    return this.exclusively(async () => {
      const { client } = this.dataplane;
      if (client !== null) {
        await this.#options.secure.readSas(client);
        await this.#feed.readVifs(client, { announce: true });
      }
    });
  }

  close(): void {
    this.#timer.close();
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /**
   * For tasks run `exclusively`: makes the devices of `vnets` right and tells the data plane.
   *
   * @returns the problems of these vnets
   * @throws LinkError, ProgramError, DataplaneError
   */
  async settle(
    vnets: readonly VnetConfig[],
    options: { readonly strict: boolean },
  ): Promise<ReadonlyMap<VnetId, VnetProblem>> {
    const { devices, view } = this.#options;
    const result = await devices.realize(vnets, view.links, options);
    this.#problems.noteDevices(vnets, result.failures);
    if (result.changed.size > 0) {
      if (!options.strict) {
        this.#noteRepairs(result);
      }
      await view.readDevicesOf(vnets);
    }
    await this.bring();
    const problems = new Map<VnetId, VnetProblem>();
    for (const { id } of vnets) {
      const problem = this.problemOf(id);
      if (problem !== null) {
        problems.set(id, problem);
      }
    }
    return problems;
  }

  /**
   * For tasks run `exclusively`: tells the data plane and discovery what is wanted now.
   *
   * @throws DataplaneError
   */
  async bring(): Promise<void> {
    const { config, view } = this.#options;
    const target = dataplaneTarget({
      ...{ config, desired: this.#desired, underlay: this.#underlay },
      links: view.links,
      isBroken: (id) => this.#problems.ofHost(id) !== null,
    });
    this.#feed.before(target, this.#underlay);
    this.#secureFeed.before(target, this.#desired, this.#underlay);
    this.#problems.keepOnly(this.#desired.vnets);
    const { client } = this.dataplane;
    if (client === null) {
      return;
    }
    const { commands, failures } = await this.dataplane.bring(target);
    const refused = new Set(failures.map(({ command }) => command));
    this.#feed.after(commands.filter((command) => !refused.has(command)));
    this.#problems.noteDataplane(target.vnets, failures);
    await this.#secureFeed.after(client, commands, this.#problems.refused);
  }

  async #replaceTaps(): Promise<void> {
    const vnets = this.#desired.vnets.filter(
      ({ id }) => this.#lostTaps.has(id) && this.#problems.retries.isDue(id),
    );
    this.#lostTaps.clear();
    try {
      await this.#options.view.readDevicesOf(vnets);
      await this.settle(vnets, { strict: false });
    } catch (error) {
      this.#options.log.warn({ err: error }, "cannot replace lost vnet interfaces yet");
      this.#timer.wake();
    }
  }

  /** A VM's interface has left the bridge of a vnet, and the VM with it. */
  async #forgetDeparted(bridge: string): Promise<void> {
    const vnet = this.#desired.vnets.find((one) => one.bridge === bridge && !one.ovs);
    const { client } = this.dataplane;
    if (vnet === undefined || client === null) {
      return;
    }
    try {
      const macs = await this.#options.view.readBridgeMacs(bridge);
      const macsLeft = new Set(
        macs.filter(({ port }) => port !== vnet.vnetif).map(({ mac }) => mac),
      );
      await this.#feed.forgetDeparted(client, { vnet: vnet.id, macsLeft });
    } catch (error) {
      // The bridge or the data plane went at the same time; what is learned ages out.
      this.#options.log.debug({ err: error, bridge }, "cannot look which MACs left a bridge");
    }
  }

  /** @throws LinkError, ProgramError, DataplaneError */
  async #pass(): Promise<void> {
    const { view, devices, keyRings } = this.#options;
    this.#watch.passBegins();
    const secure = this.#desired.vnets.filter(({ suite }) => suite !== null);
    await keyRings.load(secure.map(({ id }) => id));
    this.#problems.noteKeys(secure);
    await view.readAll();
    const due = this.#desired.vnets.filter(({ id }) => this.#problems.retries.isDue(id));
    const result = await devices.realize(due, view.links, { strict: false });
    this.#problems.noteDevices(due, result.failures);
    if (result.changed.size > 0) {
      this.#noteRepairs(result);
      await view.readAll();
    }
    this.#watch.ports.note(view.links.values());
    this.#underlay = this.#chooseUnderlay();
    this.#watch.changed();
    const isWanted = this.#options.config.underlay.kind !== "none";
    const problem = isWanted ? this.#underlay.error : null;
    this.#problems.log.note("underlay", problem, { code: "VNETD_NO_UNDERLAY" });
    await this.bring();
  }

  #chooseUnderlay(): Underlay {
    const { view, config } = this.#options;
    const { links, addresses, defaultDevice } = view;
    return chooseUnderlay(config.underlay, {
      links: [...links.values()],
      addresses,
      defaultDevice,
      guestSide: new Set(this.#desired.vnets.flatMap(deviceNames)),
    });
  }

  #noteRepairs({ changed, newTaps }: DeviceResult): void {
    const vnets = [...changed].slice(0, REPAIRS_SHOWN_MAX).map(shortVnetId);
    this.#options.log.info({ vnets, vnetCount: changed.size }, "made devices of vnets right");
    for (const vnet of newTaps) {
      // It has the name of the one before it: without this it would pass for attached.
      this.dataplane.tapLost(vnet);
    }
  }
}

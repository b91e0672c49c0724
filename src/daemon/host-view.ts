/** What the kernel said last about links, addresses and routes. */
import type { RunProgram } from "../host/child.ts";
import {
  defaultRouteDevice,
  findLinks,
  listAddresses,
  listBridgeMacs,
  listBridgePorts,
  listLinks,
} from "../host/iproute2.ts";
import type { BridgeMac, Link, LinkAddress } from "../host/iproute2-listing.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";

export class HostView {
  readonly #run: RunProgram;
  #links = new Map<string, Link>();
  #addresses: readonly LinkAddress[] = [];
  #defaultDevice: string | null = null;

  constructor(run: RunProgram) {
    this.#run = run;
  }

  get links(): ReadonlyMap<string, Link> {
    return this.#links;
  }

  get addresses(): readonly LinkAddress[] {
    return this.#addresses;
  }

  get defaultDevice(): string | null {
    return this.#defaultDevice;
  }

  /** @throws LinkError, ProgramError */
  async readAll(): Promise<void> {
    const [, addresses, device] = await Promise.all([
      this.readLinks(),
      listAddresses(this.#run),
      defaultRouteDevice(this.#run),
    ]);
    this.#addresses = addresses;
    this.#defaultDevice = device;
  }

  /** @throws LinkError, ProgramError */
  async readLinks(): Promise<void> {
    this.#links = new Map((await listLinks(this.#run)).map((link) => [link.name, link]));
  }

  /**
   * Reads the devices of these vnets only.
   *
   * @throws LinkError, ProgramError
   */
  async readDevicesOf(vnets: readonly VnetConfig[]): Promise<void> {
    const names = vnets.flatMap(deviceNames);
    const found = await findLinks(this.#run, names);
    for (const name of names) {
      this.#links.delete(name);
    }
    for (const link of found) {
      this.#links.set(link.name, link);
    }
  }

  /**
   * The ports of a Linux bridge; none when it is gone.
   *
   * @throws LinkError, ProgramError
   */
  async readPorts(bridge: string): Promise<string[]> {
    const [link] = await findLinks(this.#run, [bridge]);
    return link === undefined
      ? []
      : (await listBridgePorts(this.#run, bridge)).map(({ name }) => name);
  }

  /**
   * The MACs that a Linux bridge has learned, and behind which ports.
   *
   * @throws LinkError, ProgramError
   */
  readBridgeMacs(bridge: string): Promise<BridgeMac[]> {
    return listBridgeMacs(this.#run, bridge);
  }
}

/** The names a vnet holds: its interface, and its bridge if it has one. */
export function deviceNames({ vnetif, bridge }: VnetConfig): string[] {
  return bridge === null ? [vnetif] : [vnetif, bridge];
}

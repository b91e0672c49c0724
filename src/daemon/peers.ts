/**
 * Configured peers: hosts that multicast does not reach. One that was given by name follows its
 * name; while the name does not resolve its last address is kept.
 */
import { isIP } from "node:net";
import { ControlError } from "../control/control-error.ts";
import type { ResolveHost } from "../host/resolver.ts";
import type { Endpoint } from "../net/endpoint.ts";
import {
  type IpAddress,
  ipFamily,
  isMulticastIp,
  isUnspecifiedIp,
  parseIpAddress,
} from "../net/ip-address.ts";
import { quoteValue } from "../net/parse-error.ts";
import { addPeer, type DesiredState, deletePeer, type PeerConfig } from "../vnet/desired-state.ts";
import { expectChange } from "./desired-changes.ts";
import type { Log } from "./log.ts";
import type { Overlay } from "./overlay.ts";
import type { StateFile } from "./state-file.ts";

export type PeersOptions = {
  readonly overlay: Overlay;
  readonly stateFile: StateFile;
  readonly resolveHost: ResolveHost;
  readonly log: Log;
  /** Where a peer listens that is given without a port. */
  readonly udpPort: number;
};

const LOOP_BACK = "127.";
const BROADCAST = "255.255.255.255";

export class Peers {
  readonly #options: PeersOptions;
  /** Names that did not resolve last time, so that each is logged once. */
  readonly #unresolved = new Set<string>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** @throws ControlError */
  async add(host: string, udpPort: number | null): Promise<PeerConfig> {
    const what = `add peer ${quoteValue(host)}`;
    const address = await this.#findAddress(what, host);
    const endpoint: Endpoint = { address, udpPort: udpPort ?? this.#options.udpPort };
    const peer = { endpoint, name: isIP(host) === 0 ? host : null };
    await this.#change((state) => expectChange(what, addPeer(state, peer)));
    this.#options.log.info({ peer: address, name: peer.name }, "added a peer");
    return peer;
  }

  /**
   * @param host the address or the name that the peer was added with, or another name of it
   * @throws ControlError
   */
  async delete(host: string): Promise<void> {
    const what = `delete peer ${quoteValue(host)}`;
    const named = this.#options.overlay.desired.peers.find(({ name }) => name === host);
    const address = named?.endpoint.address ?? (await this.#resolve(what, host))[0];
    if (address === undefined) {
      throw new ControlError("VNETD_UNKNOWN_PEER", `Cannot ${what}: it has no address`);
    }
    await this.#change((state) => expectChange(what, deletePeer(state, address)));
    this.#options.log.info({ peer: address }, "deleted a peer");
  }

  /** Resolves every name again; peers whose address has changed are moved. */
  async refreshNames(): Promise<void> {
    const { overlay, resolveHost, log } = this.#options;
    for (const { name, endpoint } of overlay.desired.peers) {
      if (name === null) {
        continue;
      }
      let addresses: readonly IpAddress[];
      try {
        addresses = await resolveHost(name);
      } catch (error) {
        if (!this.#unresolved.has(name)) {
          this.#unresolved.add(name);
          log.warn({ peer: endpoint.address, name, err: error }, "a peer's name does not resolve");
        }
        continue;
      }
      this.#unresolved.delete(name);
      const address = this.#preferred(addresses);
      if (address !== undefined && !addresses.includes(endpoint.address)) {
        await this.#move(name, address);
      }
    }
  }

  async #move(name: string, address: IpAddress): Promise<void> {
    const { log } = this.#options;
    try {
      if (this.#isSelf(address)) {
        throw new ControlError("VNETD_PEER_IS_SELF", `${address} is an address of this host`);
      }
      await this.#change((state) => moveByName(state, name, address));
      log.info({ peer: address, name }, "a peer's name has another address");
    } catch (error) {
      log.warn({ peer: address, name, err: error }, "cannot follow a peer's name");
    }
  }

  /** @throws ControlError */
  async #findAddress(what: string, host: string): Promise<IpAddress> {
    const addresses = await this.#resolve(what, host);
    const self = addresses.find((address) => this.#isSelf(address));
    if (self !== undefined) {
      const which = self === host ? "it" : self;
      const message = `Cannot ${what}: ${which} is an address of this host`;
      throw new ControlError("VNETD_PEER_IS_SELF", message);
    }
    const address = this.#preferred(addresses);
    if (address === undefined) {
      throw new ControlError("VNETD_UNKNOWN_HOST", `Cannot ${what}: it has no address`);
    }
    if (isMulticastIp(address) || isUnspecifiedIp(address) || address === BROADCAST) {
      const message = `Cannot ${what}: ${address} is not the address of one host`;
      throw new ControlError("VNETD_PARSE", message);
    }
    return address;
  }

  async #resolve(what: string, host: string): Promise<readonly IpAddress[]> {
    if (isIP(host) !== 0) {
      return [parseIpAddress(host)];
    }
    try {
      return await this.#options.resolveHost(host);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ControlError("VNETD_UNKNOWN_HOST", `Cannot ${what}: ${why}`, { cause });
    }
  }

  #isSelf(address: IpAddress): boolean {
    const { localAddresses } = this.#options.overlay.underlay;
    const isLocal = localAddresses.some((local) => local.address === address);
    return isLocal || address.startsWith(LOOP_BACK);
  }

  /** The first that the underlay has an address of its own for. */
  #preferred(addresses: readonly IpAddress[]): IpAddress | undefined {
    const { sourceAddress4, sourceAddress6 } = this.#options.overlay.underlay;
    const isReachable = (address: IpAddress): boolean =>
      (ipFamily(address) === 4 ? sourceAddress4 : sourceAddress6) !== null;
    return addresses.find(isReachable) ?? addresses[0];
  }

  #change(change: (state: DesiredState) => DesiredState): Promise<void> {
    return changeDesired(this.#options, change);
  }
}

/**
 * Makes a change that needs no device: on the disk first, then in the data plane. Without a data
 * plane it is done when there is one again.
 *
 * @throws ControlError, StateFileError, DataplaneError
 */
export function changeDesired(
  { overlay, stateFile }: Pick<PeersOptions, "overlay" | "stateFile">,
  change: (state: DesiredState) => DesiredState,
): Promise<void> {
  return overlay.exclusively(async () => {
    const after = change(overlay.desired);
    await stateFile.save(after);
    overlay.setDesired(after);
    await overlay.bring();
  });
}

/** @throws ControlError when another peer has that address already */
function moveByName(state: DesiredState, name: string, address: IpAddress): DesiredState {
  const former = state.peers.find((peer) => peer.name === name);
  if (former === undefined) {
    return state;
  }
  const without = { ...state, peers: state.peers.filter((peer) => peer !== former) };
  const endpoint = { ...former.endpoint, address };
  return expectChange(`move peer ${quoteValue(name)}`, addPeer(without, { ...former, endpoint }));
}

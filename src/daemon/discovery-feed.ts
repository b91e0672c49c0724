/** Tells discovery what the reconciler does: vnets, pins, addresses, each when it changes. */
import type { DataplaneClient } from "../dataplane/client.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand } from "../vnet/dataplane-messages.ts";
import type { DataplaneTarget } from "../vnet/plan.ts";
import { ofKind } from "./dataplane-state.ts";
import type { Discovery } from "./discovery.ts";
import type { Underlay } from "./underlay.ts";

export class DiscoveryFeed {
  readonly #discovery: Discovery;
  readonly #senderId: () => Uint8Array;
  /** And whether it is sealed. */
  #vnets: ReadonlyMap<VnetId, boolean> = new Map();
  #identity: Uint8Array | null = null;
  #underlayKey = "";
  #peersKey = "[]";

  /** @param senderId this installation's, which changes when a clone of it is heard */
  constructor(discovery: Discovery, senderId: () => Uint8Array) {
    this.#discovery = discovery;
    this.#senderId = senderId;
  }

  /** Before the data plane is told: it may learn MACs of a vnet with the vnet's first frame. */
  before(target: DataplaneTarget, underlay: Underlay): void {
    const { sourceAddress4, sourceAddress6 } = underlay;
    const localAddresses = underlay.localAddresses.map(({ address }) => address);
    const underlayKey = JSON.stringify([sourceAddress4, sourceAddress6, localAddresses]);
    if (underlayKey !== this.#underlayKey) {
      this.#underlayKey = underlayKey;
      const addresses = { sourceAddress4, sourceAddress6, localAddresses };
      this.#discovery.handle({ kind: "underlay-changed", ...addresses });
    }
    const peersKey = JSON.stringify(target.peers);
    if (peersKey !== this.#peersKey) {
      this.#peersKey = peersKey;
      this.#discovery.handle({ kind: "peers-changed", peers: target.peers });
    }
    const senderId = this.#senderId();
    if (senderId !== this.#identity) {
      this.#identity = senderId;
      this.#discovery.handle({ kind: "identity-changed", senderId });
    }
    const vnets = new Map(target.vnets.map(({ vnet, security }) => [vnet, security !== 0]));
    for (const [vnet, sealed] of this.#vnets) {
      if (vnets.get(vnet) !== sealed) {
        this.#discovery.handle({ kind: "vnet-removed", vnet });
      }
    }
    for (const [vnet, sealed] of vnets) {
      if (this.#vnets.get(vnet) !== sealed) {
        this.#discovery.handle({ kind: "vnet-added", vnet, sealed });
      }
    }
    this.#vnets = vnets;
  }

  /** After it has done `commands`. */
  after(commands: readonly DataplaneCommand[]): void {
    for (const command of commands) {
      if (command.kind === "pin-vif") {
        this.#discovery.handle({ ...command, kind: "vif-pinned" });
      } else if (command.kind === "delete-vif") {
        this.#discovery.handle({ ...command, kind: "vif-unpinned" });
      }
    }
  }

  /**
   * Has discovery know the MACs that the data plane knows: those that live here, and in secure vnets
   * those that are pinned to other hosts, which are the claims of an earlier daemon.
   *
   * @throws DataplaneError
   */
  async readVifs(client: DataplaneClient, options: { readonly announce: boolean }): Promise<void> {
    const answers = await client.request({ kind: "list-vifs", vnet: ALL_VNETS });
    const vifs = ofKind(answers, "vif-entry");
    this.#discovery.handle({ kind: "vifs-listed", vifs, announce: options.announce });
    const sealed = [...this.#vnets].flatMap(([vnet, isSealed]) => (isSealed ? [vnet] : []));
    const entries = await Promise.all(
      sealed.map(async (vnet) =>
        ofKind(await client.request({ kind: "list-fdb", vnet }), "fdb-entry"),
      ),
    );
    const claims = entries
      .flat()
      .flatMap(({ vnet, mac, host, pinned }) =>
        pinned && host !== null ? [{ vnet, mac, host }] : [],
      );
    this.#discovery.handle({ kind: "claims-listed", claims });
  }

  /**
   * A port has left the vnet's bridge: forgets the MACs of the vnet that are behind none of the
   * ports left, so that this host does not answer for them. One that is still here says so with
   * its next frame.
   *
   * @throws DataplaneError
   */
  async forgetDeparted(
    client: DataplaneClient,
    { vnet, macsLeft }: { readonly vnet: VnetId; readonly macsLeft: ReadonlySet<string> },
  ): Promise<void> {
    const vifs = ofKind(await client.request({ kind: "list-vifs", vnet }), "vif-entry");
    const gone = vifs.filter(({ pinned, mac }) => !pinned && !macsLeft.has(mac));
    await client.apply(gone.map(({ mac }) => ({ kind: "delete-vif", vnet, mac })));
    for (const { mac } of gone) {
      this.#discovery.handle({ kind: "vif-gone", vnet, mac, moved: false });
    }
  }
}

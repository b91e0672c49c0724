/**
 * The part of the control API that manages the keys of secure vnets, as plain data. A key itself
 * never is: it is named by the path of its file, which the daemon opens, and then by its id.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { VnetId } from "../net/vnet-id.ts";

export type KeyView = {
  readonly vnet: VnetId;
  /** Four hex digits, made from the key: the same on every host. */
  readonly keyId: string;
  /** This host sends with it; the others of the vnet are held to receive with. */
  readonly active: boolean;
  /** Hosts of the vnet that are reachable now, this one not counted. */
  readonly hostCount: number;
  /** Of those, the ones that have the key. */
  readonly heldBy: readonly Endpoint[];
  /** Of those, the ones that send with it. */
  readonly usedBy: readonly Endpoint[];
  /** The reachable hosts that lag: they have not got it. */
  readonly missingAt: readonly Endpoint[];
};

export type SaExportView = {
  /** Absolute path. */
  readonly file: string;
  /** Where the datagrams go: Wireshark decodes what it is told to. */
  readonly udpPort: number;
};

/** Every method rejects with a ControlError. `vnet` and `vnets`: as VnetRef of api.ts. */
export interface KeysApi {
  /** Of the vnets named, in the order of their rings; of all when none is named. */
  list(vnets: readonly string[]): Promise<readonly KeyView[]>;
  /** Adds a key to receive with. `keyFile`: the absolute path of a file on the daemon's host. */
  add(vnet: string, keyFile: string): Promise<KeyView>;
  /** Sends with it from now on. */
  activate(vnet: string, keyId: string): Promise<KeyView>;
  /**
   * Writes the traffic keys of the vnet's SAs into a file that only root can read. The caller
   * removes it; otherwise it is wiped after a minute.
   */
  exportSas(vnet: string): Promise<SaExportView>;
  /** Forgets a key that is not the active one, and overwrites it on the disk. */
  delete(vnet: string, keyId: string): Promise<void>;
}

/**
 * What Open vSwitch's database says of bridges, ports and interfaces, joined into one value that
 * does not change any more (ovs-vswitchd.conf.db(5)). A new one is made when the database changes.
 */
import type { MacAddress } from "../net/mac-address.ts";

/** Keys and values of a column such as `external_ids`. */
export type StringMap = ReadonlyMap<string, string>;

export type SwitchInterface = {
  readonly name: string;
  /** The port it belongs to; a bond has several interfaces. */
  readonly port: string;
  /** The bridge, never a fake one. */
  readonly bridge: string;
  /** Empty for a network device; `internal`, `patch`, `geneve`, … */
  readonly type: string;
  readonly options: StringMap;
  /**
   * Its number, or null: as long as `error` is null too, ovs-vswitchd has not answered yet; else it
   * could not open the device. The number outlives a restart of ovs-vswitchd, and its crash.
   */
  readonly ofport: number | null;
  readonly error: string | null;
  readonly ofportRequest: number | null;
  /**
   * Of the device that was there when the port was added. In the user-space datapath a device that
   * was deleted and made again under its name has another index in sysfs, and the port is dead
   * until it is deleted and added again, in two transactions. (The database's own column tells the
   * index of the new device as soon as there is one.)
   */
  readonly ifindex: number | null;
  readonly mac: MacAddress | null;
  readonly linkUp: boolean | null;
  readonly externalIds: StringMap;
};

export type VlanMode = "trunk" | "access" | "native-tagged" | "native-untagged" | "dot1q-tunnel";

export type SwitchPort = {
  readonly name: string;
  /** The bridge, never a fake one. */
  readonly bridge: string;
  readonly interfaces: readonly SwitchInterface[];
  readonly tag: number | null;
  readonly vlanMode: VlanMode | null;
  /** Empty: all of them, unless it is an access port. */
  readonly trunks: readonly number[];
  readonly bondMode: "balance-tcp" | "balance-slb" | "active-backup" | null;
  /** Of the interface that sends and receives for the bond. */
  readonly bondActiveMac: MacAddress | null;
  /** Its name is also that of a fake bridge: VLAN `tag` of `bridge`. */
  readonly fakeBridge: boolean;
  readonly externalIds: StringMap;
};

export type SwitchBridge = {
  readonly name: string;
  readonly ports: readonly SwitchPort[];
  /** Empty: the ones that this version of Open vSwitch enables by itself. */
  readonly protocols: readonly string[];
  readonly failMode: "standalone" | "secure" | null;
  /** `system` or empty: the kernel's. `netdev`: in user space. */
  readonly datapathType: string;
  /** Controllers may load flows of their own. */
  readonly controllerCount: number;
  readonly externalIds: StringMap;
  readonly otherConfig: StringMap;
};

export type SwitchView = {
  /** By name, without the fake ones. */
  readonly bridges: ReadonlyMap<string, SwitchBridge>;
  readonly ports: ReadonlyMap<string, SwitchPort>;
  readonly interfaces: ReadonlyMap<string, SwitchInterface>;
  readonly ovsVersion: string | null;
  readonly otherConfig: StringMap;
  readonly externalIds: StringMap;
};

/** A bridge by any of its names: `vlan` is null for the bridge itself, a tag for a fake bridge. */
export type ResolvedBridge = { readonly bridge: string; readonly vlan: number | null };

/** What `ovs-vsctl br-to-parent` and `br-to-vlan` say; null when there is no such bridge. */
export function resolveBridge(view: SwitchView, name: string): ResolvedBridge | null {
  if (view.bridges.has(name)) {
    return { bridge: name, vlan: null };
  }
  const port = view.ports.get(name);
  return port?.fakeBridge === true && port.tag !== null
    ? { bridge: port.bridge, vlan: port.tag }
    : null;
}

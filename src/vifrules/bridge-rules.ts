/**
 * What the flows of a bridge are made from, and what they tell. Names are resolved: a fake bridge
 * is its parent and a VLAN here, a port its number. Nothing here is older than the bridge's ports:
 * whoever calls takes a new view for every plan.
 */
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { Flow } from "../openflow/flow.ts";
import type { AddressRange, NetworkPolicy, VifPolicy } from "./policy.ts";

/** A VIF that has a policy. */
export type BridgeEndpoint = {
  readonly policy: VifPolicy;
  /**
   * Its ports. Two for an HVM domain's `vif` and `tap`, which are one interface: they are locked
   * alike, and both get its frames. None: it is not here yet, its addresses are known all the same.
   */
  readonly ofports: readonly number[];
  /** Of its untagged frames: `policy.vlan.tag`, else that of the fake bridge, else 0. */
  readonly vlan: number;
  /** 0…65535; in the cookies, so that an older generation's flows can be told and swept. */
  readonly generation: number;
  /** Send the first octets of what is dropped to us; a meter of the bridge that limits it. */
  readonly log: { readonly meterId?: number } | null;
};

/** Which VLANs a port that is no VIF is in, by its row in the switch's database. */
export type PortVlans = {
  /** Of its untagged frames: its `tag`, else 0. */
  readonly untagged: number;
  /** Its `trunks`; `all` for a trunk without any, an empty list for an access port. */
  readonly tagged: "all" | readonly number[];
};

export type BridgePort =
  /** To the outside. */
  | {
      readonly kind: "uplink";
      readonly ofport: number;
      readonly vlans: PortVlans;
      /**
       * False for those members of a bond on which the switch discards broadcasts and multicasts,
       * since it has them from the active member already.
       */
      readonly takesFloods: boolean;
    }
  /** This host itself: LOCAL_PORT, or a fake bridge's internal port. */
  | {
      readonly kind: "host";
      readonly ofport: number;
      /** In use, as the interface's row says. */
      readonly mac: MacAddress;
      readonly vlans: PortVlans;
      /**
       * The host's own addresses, as far as they are known: of infrastructure, these alone are
       * looked for here. When they are not known, any of it might be.
       */
      readonly addresses?: readonly IpAddress[];
    }
  /** Neither VIF nor uplink, when a network says which ports are uplinks. Not trusted. */
  | { readonly kind: "other"; readonly ofport: number; readonly vlans: PortVlans }
  /** A VIF without a policy: nothing passes. */
  | {
      readonly kind: "quarantine";
      readonly ofport: number;
      /** `external_ids:attached-mac`, when there is one. */
      readonly mac: MacAddress | null;
      readonly generation: number;
    };

/** All members of each group, on this host and elsewhere: `groupMembers` makes it. */
export type GroupMembers = ReadonlyMap<string, readonly AddressRange[]>;

export type BridgeView = {
  readonly endpoints: readonly BridgeEndpoint[];
  /** All ports of the bridge that are no endpoint's. */
  readonly ports: readonly BridgePort[];
  /** By VLAN, 0 for none. */
  readonly networks: ReadonlyMap<number, NetworkPolicy>;
  readonly groups: GroupMembers;
  /** 0…65535, of the flows that are no VIF's. */
  readonly generation: number;
};

/**
 * The flows of a bridge in sections: `vif NAME` for a VIF (`sectionOf`), `port N` for one in
 * quarantine, and those of the bridge. No two flows have the same table, priority and match, in
 * whatever sections they are.
 */
export type BridgeFlows = {
  readonly sections: ReadonlyMap<string, readonly Flow[]>;
  /**
   * Ports into which NORMAL must not flood, since the flows do it themselves: the no-flood flag has
   * to be set on them before the flows are there, and cleared on the others.
   */
  readonly noFloodPorts: readonly number[];
  /**
   * Ports behind which the switch learns MACs that are in no policy: those of unlocked VIFs. When a
   * port is no more among them, what was learned has to be forgotten (`ovs-appctl fdb/flush`), or
   * the switch sends it frames for those MACs until they age out.
   */
  readonly learningPorts: readonly number[];
};

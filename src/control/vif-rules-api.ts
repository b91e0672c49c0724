/**
 * The part of the control API that locks VIFs and keeps groups apart, as plain data: policies are
 * documents (vifrules/policy.ts), answers say what the switch makes of them. Field names are stable.
 *
 * VIF, where a caller names one: the name of a port (`vif5.0`) or its `iface-id`.
 */
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../vifrules/policy.ts";

/**
 * - `applied`: the switch does what the policy says.
 * - `quarantine`: it is a VIF by its port's name or ids, and no policy is there: nothing passes.
 * - `waiting`: there is no such port yet; the policy is in force as soon as there is one.
 * - `error`: the policy is not in force, `error` says why; nothing passes, or what passed before,
 *   and it is tried again.
 */
export type VifState = "applied" | "quarantine" | "waiting" | "error";

export type VifRulesView = {
  /** The port's name; null when only the iface-id is known because there is no such port yet. */
  readonly vif: string | null;
  readonly ifaceId: string | null;
  /** The bridge, never a fake one; null when it has no port and its policy names no bridge here. */
  readonly bridge: string | null;
  readonly ofport: number | null;
  readonly state: VifState;
  readonly error: string | null;
  readonly policy: VifPolicy | null;
  /** Where the policy was read: a file's path, `api`, `xenstore …`, `libvirt …`; null without one. */
  readonly origin: string | null;
  /** Frames that it sent and that passed, and octets of them; zero without a port. */
  readonly acceptedFrames: number;
  readonly acceptedOctets: number;
  /** Frames that it got. */
  readonly deliveredFrames: number;
  /** Frames that it sent, and with `to-…` frames for it, that went no further, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Whether drops are written to the log. */
  readonly log: boolean;
};

export type GroupView = GroupPolicy & {
  readonly origin: string;
  /** Ports of this host that are members by their own policy. */
  readonly vifs: readonly string[];
};

export type NetworkView = NetworkPolicy & { readonly origin: string };

/** A hotplug script's call; what is left out is looked up by the sources of policies. */
export type VifHotplug = {
  /** `vif5.0`, `tap5.0`, `vnet3`. */
  readonly vif: string;
  /** `add`: the device is there, or comes at once. `remove`: it goes, or has gone. */
  readonly action: "add" | "remove";
  readonly bridge?: string;
  readonly vm?: string;
  readonly devid?: number;
  /** The xenopsd backend whose files are asked too. */
  readonly backend?: string;
};

export type ExplainRequest = {
  readonly vif: string;
  /** A flow as `ovs-ofctl` writes it (`tcp,nw_dst=10.0.0.12`), or the frame in hex digits. */
  readonly frame: string;
  /** `from`: the VIF sends it. `to`: it arrives from the wire, or is sent by another VIF. */
  readonly direction: "from" | "to";
};

export type ExplainView = {
  readonly verdict: "passed" | "dropped";
  /** The ports that get it. */
  readonly outputs: readonly string[];
  /** Sentences, the verdict first: which rule of which table, which line of which policy. */
  readonly lines: readonly string[];
};

/** How long a caller waits for a policy to be in force. */
export const APPLIED_WITHIN_MS_MAX = 60_000;

/** Every method rejects with a ControlError. */
export interface VifRulesApi {
  /** All that are known, or the ones named; an unknown one is VNETD_UNKNOWN_VIF. */
  listVifRules(vifs: readonly string[]): Promise<readonly VifRulesView[]>;
  /** Resolves when the switch enforces it, or when there is no such port yet; else nothing changed. */
  setVifRules(policy: VifPolicy): Promise<VifRulesView>;
  /** Forgets the policy that was set, takes the port off its bridge; also when there is none. */
  clearVifRules(vif: string): Promise<void>;
  /** The barrier of hotplug scripts: VNETD_VIF_NOT_APPLIED when it is not in force by then. */
  awaitVifRules(vif: string, withinMs: number): Promise<VifRulesView>;
  /** `add` resolves when the policy is in force and the link is up; `remove` when the port is gone. */
  plugVif(hotplug: VifHotplug): Promise<VifRulesView | null>;
  explainFrame(request: ExplainRequest): Promise<ExplainView>;
  logVifDrops(vif: string, enabled: boolean): Promise<void>;
  listGroups(): Promise<readonly GroupView[]>;
  setGroup(group: GroupPolicy): Promise<GroupView>;
  deleteGroup(group: string): Promise<void>;
  listNetworks(): Promise<readonly NetworkView[]>;
  setNetwork(network: NetworkPolicy): Promise<NetworkView>;
  /** @param vlan null: the network of the bridge, when it has one only */
  deleteNetwork(bridge: string, vlan: number | null): Promise<void>;
}

/** The VLANs of a VIF's port, as its row in the switch's database has to say them. */
import type { VlanSettings } from "../host/switch-database.ts";
import type { SwitchPort } from "../host/switch-view.ts";
import type { PlannedVif } from "./vif-plan.ts";

/** A port without a tag would be a trunk of all VLANs. */
export const QUARANTINE_VLAN: VlanSettings = { tag: 0, vlanMode: "access", trunks: [] };

export function vlanOf({ vlan, sourced }: PlannedVif): VlanSettings {
  const trunks = sourced?.policy.vlan.trunks ?? [];
  return trunks.length === 0
    ? { tag: vlan, vlanMode: "access", trunks: [] }
    : { tag: vlan, vlanMode: "native-untagged", trunks };
}

export function hasVlan(port: SwitchPort, { tag, vlanMode, trunks }: VlanSettings): boolean {
  return (
    port.tag === tag &&
    port.vlanMode === vlanMode &&
    [...port.trunks].sort().join() === [...trunks].sort().join()
  );
}

/** The contract on a real ovsdb-server and ovs-vswitchd of its own. */
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { type ContractSwitch, describeSwitchDatabaseContract } from "./switch-database-contract.ts";

describeSwitchDatabaseContract("Open vSwitch", async (): Promise<ContractSwitch> => {
  const ovs = PrivateSwitch.start([]);
  // The contract begins with a switch without bridges.
  ovs.vsctl("del-br", "br0");
  return {
    runDirectory: ovs.runDirectory,
    addBridge(name) {
      ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy");
    },
    addFakeBridge(name, parent, vlan) {
      ovs.vsctl("add-br", name, parent, String(vlan));
    },
    deleteBridge(name) {
      ovs.vsctl("del-br", name);
    },
    addPort(bridge, name) {
      ovs.vsctl("add-port", bridge, name);
    },
    addBond(bridge, name, interfaces) {
      ovs.vsctl("add-bond", bridge, name, ...interfaces, "bond_mode=active-backup");
    },
    deletePort(name) {
      ovs.vsctl("del-port", name);
    },
    setExternalId(port, key, value) {
      ovs.vsctl("set", "interface", port, `external_ids:${key}="${value}"`);
    },
    setProtocols(bridge, protocols) {
      ovs.vsctl("set", "bridge", bridge, `protocols=${protocols.join(",")}`);
    },
    killDatabase: () => ovs.killDatabase(),
    startDatabase: () => ovs.startDatabase(),
    stopDatabase: () => ovs.signalDatabase("SIGSTOP"),
    continueDatabase: () => ovs.signalDatabase("SIGCONT"),
    stopSwitch: () => ovs.signalSwitch("SIGSTOP"),
    continueSwitch: () => ovs.signalSwitch("SIGCONT"),
    close: () => ovs.stop(),
  };
});

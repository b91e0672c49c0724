/** The contract on the fake, so that what passes on it passes on Open vSwitch. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeOvsdb } from "../fakes/fake-ovsdb.ts";
import { type ContractSwitch, describeSwitchDatabaseContract } from "./switch-database-contract.ts";

describeSwitchDatabaseContract("the fake", async (): Promise<ContractSwitch> => {
  const runDirectory = mkdtempSync(join(tmpdir(), "vnetd-ovs-"));
  const fake = new FakeOvsdb(runDirectory);
  await fake.start();
  return {
    runDirectory,
    addBridge: (name) => fake.addBridge(name),
    addFakeBridge: (name, parent, tag) => fake.addPort(parent, name, { tag, fake_bridge: true }),
    deleteBridge(name) {
      if (name === "xapi7") {
        fake.deletePort(name);
      } else {
        fake.deleteBridge(name);
      }
    },
    addPort: (bridge, name) => fake.addPort(bridge, name),
    addBond(bridge, name, interfaces) {
      fake.addPort(bridge, name, { bond_mode: "active-backup" }, [...interfaces]);
    },
    deletePort: (name) => fake.deletePort(name),
    setExternalId: (port, key, value) => fake.setExternalId(port, key, value),
    setProtocols: (bridge, protocols) =>
      fake.update("Bridge", bridge, { protocols: ["set", protocols] }),
    killDatabase: () => fake.stop(),
    startDatabase: () => fake.start(),
    stopDatabase: () => fake.answer(false),
    continueDatabase: () => fake.answer(true),
    stopSwitch: () => fake.runSwitch(false),
    continueSwitch: () => fake.runSwitch(true),
    async close() {
      await fake.stop();
      rmSync(runDirectory, { recursive: true });
    },
  };
});

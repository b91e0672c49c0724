/** The contract on the fake, so that what passes on it passes on the real xenstored. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeXenstored } from "../fakes/fake-xenstored.ts";
import { type ContractStore, describeXenstoreContract } from "./xenstore-contract.ts";

async function makeStore(): Promise<ContractStore> {
  const folder = mkdtempSync(join(tmpdir(), "vnetd-xs-"));
  const fake = await FakeXenstored.start(join(folder, "socket"));
  return {
    socketPath: fake.socketPath,
    write: (path, value) => fake.write(path, value),
    remove: (path) => fake.remove(path),
    setPermissions: (path, ...permissions) => fake.setPermissions(path, ...permissions),
    killStore: () => fake.killStore(),
    startStore: () => fake.startStore(),
    async stop() {
      await fake.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

describeXenstoreContract("the fake", makeStore, { skip: false });

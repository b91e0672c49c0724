/** A child of state-file.test.ts: saves one state after another and prints each that is on the disk. */
import { StateFile } from "../../src/daemon/state-file.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { EMPTY_DESIRED_STATE } from "../../src/vnet/desired-state.ts";

const file = new StateFile(process.argv[2] ?? "");
const { peers } = await file.load();
const first = (peers[0]?.endpoint.udpPort ?? 0) + 1;
for (let udpPort = first; udpPort < first + 1_000; udpPort += 1) {
  const endpoint = { address: parseIpAddress("10.0.0.2"), udpPort };
  await file.save({ ...EMPTY_DESIRED_STATE, peers: [{ endpoint, name: null }] });
  process.stdout.write(`${udpPort}\n`);
}

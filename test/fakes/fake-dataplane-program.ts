/** The fake vnet-dp as a program, with vnet-dp's own command line as far as vnetd uses it. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FakeDataplane } from "./fake-dataplane.ts";

const { values } = parseArgs({
  options: {
    socket: { type: "string", default: "" },
    "pid-file": { type: "string", default: "" },
    user: { type: "string" },
    port: { type: "string", default: "1798" },
    "no-tap-offload": { type: "boolean", default: false },
    "no-udp-gso": { type: "boolean", default: false },
    "no-udp-gro": { type: "boolean", default: false },
  },
});

const switches = ["no-tap-offload", "no-udp-gso", "no-udp-gro"] as const;
const options = [
  `--port ${values.port}`,
  ...switches.filter((name) => values[name]).map((name) => `--${name}`),
].join(" ");

// vnetd looks at the name of a process before it ends it.
process.title = "vnet-dp";
process.on("SIGTERM", () => process.exit(0));
await FakeDataplane.listen({
  socketPath: values.socket,
  options,
  onShutdown: () => setImmediate(() => process.exit(0)),
});
writeFileSync(values["pid-file"], `${process.pid}\n`);
process.stdout.write("ready\n");

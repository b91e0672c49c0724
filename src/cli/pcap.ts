/** `vn pcap`: a vnet's frames as they leave and come, live, decrypted, as a pcap file. */
import { parseVnetRef } from "../control/references.ts";
import { parseSnapBytes, SNAP_BYTES_MAX } from "../control/routes-capture.ts";
import type { VnCommand } from "./command.ts";
import { type CliContext, UsageError } from "./context.ts";

type PcapOptions = { readonly write?: string; readonly snapBytes?: number };

export function addPcapCommand(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("pcap")
    .description("capture a vnet's frames, live and decrypted, until it is interrupted")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .option("-w, --write <file>", "into this file (standard output)")
    .option("-s, --snap-bytes <n>", `octets of each frame (${SNAP_BYTES_MAX}: all)`, parseSnapBytes)
    .examples(
      ["vn pcap 97 -w vnet97.pcap", "into a file"],
      ["vn pcap 97 | tcpdump -nr -", "to watch"],
      ["ssh root@host vn pcap 97 | wireshark -ki -", "from another machine"],
    )
    .action(async (vnet: string, { write, snapBytes = SNAP_BYTES_MAX }: PcapOptions) => {
      const output = io.openOutput(write ?? null);
      if (output === null) {
        throw new UsageError("a capture is not for a terminal: say -w FILE, or pipe it");
      }
      try {
        for await (const octets of await control().capture(vnet, { snapBytes })) {
          await output.write(octets);
        }
      } finally {
        output.close();
      }
    });
}

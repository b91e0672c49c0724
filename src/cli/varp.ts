/** `vn varp`, `varp-flush`: on which host each remote MAC is. */
import type { VarpView } from "../control/api.ts";
import { parseVnetRef } from "../control/references.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { printVarpEntry } from "../vnet/sxp-views.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { formatAge, type Listing, printListing } from "./print.ts";

export const VARP: Listing<VarpView> = {
  columns: [
    { title: "VNET", cell: ({ vnet }) => shortVnetId(vnet) },
    { title: "MAC", cell: ({ mac }) => mac },
    { title: "HOST", cell: ({ host }) => (host === null ? null : formatEndpoint(host)) },
    { title: "STATE", cell: ({ state }) => state },
    { title: "PINNED", cell: ({ pinned }) => (pinned ? "yes" : "no") },
    { title: "AGE", cell: ({ ageMs }) => formatAge(ageMs) },
  ],
  sxp: (entries) => entries.map(printVarpEntry).join(""),
};

export function addVarpCommands(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("varp"))
    .description("list which host each remote MAC is on")
    .argument("[vnet...]", "vnet ids or interface names", collect(parseVnetRef))
    .examples(["vn varp", "of all vnets"], ["vn varp 97", "of one"])
    .action(async (vnets: readonly string[] = [], { output }: OutputOptions) => {
      const api = control();
      // The original printed the table's settings too; they belong to no vnet.
      io.stdout(
        output === "sxp" && vnets.length === 0
          ? await api.evaluate("(varp.list)")
          : printListing(VARP, await api.listVarp(vnets), output),
      );
    });
  program
    .command("varp-flush")
    .description("forget where remote MACs are; they are asked for again when needed")
    .examples(["vn varp-flush", ""])
    .action(async () => {
      await control().flushVarp();
    });
}

/** `vn vifs`, `vif-add`, `vif-delete`: the local MACs of this host's vnets. */
import type { ControlApi, VifView } from "../control/api.ts";
import { parseVnetRef } from "../control/references.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { printVif } from "../vnet/sxp-views.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { formatAge, type Listing, printListing } from "./print.ts";

type VifOptions = { readonly interface?: true; readonly pin?: true };

export const VIFS: Listing<VifView> = {
  columns: [
    { title: "VNET", cell: ({ vnet }) => shortVnetId(vnet) },
    { title: "MAC", cell: ({ mac }) => mac },
    { title: "PINNED", cell: ({ pinned }) => (pinned ? "yes" : "no") },
    { title: "AGE", cell: ({ ageMs }) => formatAge(ageMs) },
  ],
  sxp: (vifs) => vifs.map(printVif).join(""),
};

export function addVifCommands(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("vifs"))
    .description("list the virtual interfaces on this host's vnets")
    .argument("[vnet...]", "vnet ids or interface names", collect(parseVnetRef))
    .examples(["vn vifs", "of all vnets"], ["vn vifs 97 --json", "of one, for a script"])
    .action(async (vnets: readonly string[] = [], { output }: OutputOptions) => {
      const api = control();
      // The original printed the table's settings too; they belong to no vnet.
      io.stdout(
        output === "sxp" && vnets.length === 0
          ? await api.evaluate("(vif.list)")
          : printListing(VIFS, await api.listVifs(vnets), output),
      );
    });
  program
    .command("vif-add")
    .description("say that a MAC is here; seldom needed, because frames say so themselves")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .argument("<vmac>", "MAC address, or with -i the device that has it")
    .option("-i, --interface", "VMAC is the name of a network device")
    .option("--pin", "no other host may claim the MAC; it is so with and without this word")
    .examples(
      ["vn vif-add 97 00:16:3e:01:02:03", "by MAC"],
      ["vn vif-add -i vnif0097 tap7", "by device"],
    )
    .action(async (vnet: string, vmac: string, options: VifOptions) => {
      await control().addVif(vnet, parseVif(vmac, options));
    });
  program
    .command("vif-delete")
    .description("take back a vif-add")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .argument("<vmac>", "MAC address, or with -i the device that has it")
    .option("-i, --interface", "VMAC is the name of a network device")
    .examples(["vn vif-delete 97 00:16:3e:01:02:03", ""])
    .action(async (vnet: string, vmac: string, options: VifOptions) => {
      await control().deleteVif(vnet, parseVif(vmac, options));
    });
}

function parseVif(vmac: string, options: VifOptions): Parameters<ControlApi["addVif"]>[1] {
  return options.interface ? { device: parseInterfaceName(vmac) } : { mac: parseMacAddress(vmac) };
}

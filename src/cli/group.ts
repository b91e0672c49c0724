/** `vn groups`, `group-set`, `group-delete`: who may talk to whom, wherever they are. */
import type { GroupView } from "../control/vif-rules-api.ts";
import { parseAddressRange, parseGroupName } from "../vifrules/policy-value.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { type Listing, printListing, sxpLines } from "./print.ts";

const GROUPS: Listing<GroupView> = {
  columns: [
    { title: "GROUP", cell: ({ group }) => group },
    { title: "VIFS", cell: ({ vifs }) => vifs.join(",") },
    { title: "FROM", cell: ({ origin }) => origin.replaceAll(" ", "_") },
    { title: "MEMBERS", cell: ({ members }) => members.join(" ") },
  ],
  sxp: (groups) =>
    sxpLines(
      groups.map(({ group, members, vifs }) => [
        "group",
        ["name", group],
        ["members", ...members],
        ["vifs", ...vifs],
      ]),
    ),
};

export function addGroupCommands(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("groups"))
    .description("list the groups, their members and the VIFs of this host in them")
    .examples(["vn groups", "a table"], ["vn groups --json", "for a script"])
    .action(async ({ output }: OutputOptions) => {
      io.stdout(printListing(GROUPS, await control().vifRules.listGroups(), output));
    });
  program
    .command("group-set")
    .description("create or replace a group; its isolated members reach each other")
    .argument("<name>", "name of the group", parseGroupName)
    .option(
      "--member <addr>",
      "address or prefix of a member on any host; repeatable",
      collect((text: string) => parseAddressRange(text)),
    )
    .examples(["vn group-set web --member 10.0.0.10 --member fd00::10", ""])
    .action(async (group: string, { member = [] }: { member?: GroupView["members"] }) => {
      await control().vifRules.setGroup({ group, members: member });
    });
  program
    .command("group-delete")
    .description("delete a group; VIFs of this host that name it stay members of one another")
    .argument("<name>", "name of the group", parseGroupName)
    .examples(["vn group-delete web", ""])
    .action(async (group: string) => {
      await control().vifRules.deleteGroup(group);
    });
}

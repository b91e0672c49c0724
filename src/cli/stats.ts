/** `vn stats`: what was carried and what was dropped, and why. */
import type { StatsView } from "../control/api.ts";
import { parseVnetRef } from "../control/references.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { printSexpr, type SexprText } from "../vnet/sexpr.ts";
import { addOutputOptions, type OutputFormat, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { type Column, printJson, printTable } from "./print.ts";

type Counter = { readonly name: string; readonly value: number; readonly vnet: VnetId | null };

const COLUMNS: readonly Column<Counter>[] = [
  { title: "COUNTER", cell: ({ name }) => name },
  { title: "VALUE", cell: ({ value }) => value },
  { title: "VNET", cell: ({ vnet }) => (vnet === null ? null : shortVnetId(vnet)) },
];

export function addStatsCommand(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("stats"))
    .description("show the counters of the data plane, or of one vnet")
    .argument("[vnet]", "vnet id or interface name", parseVnetRef)
    .examples(
      ["vn stats", "all of this host; VNET is - for what belongs to no vnet"],
      ["vn stats 97 | grep ^drop", "what vnet 97 lost, by reason"],
    )
    .action(async (vnet: string | undefined, { output }: { readonly output: OutputFormat }) => {
      io.stdout(printStats(await control().stats(vnet ?? null), output));
    });
}

function printStats(stats: readonly StatsView[], format: OutputFormat): string {
  switch (format) {
    case "json":
      return printJson(stats);
    case "sxp":
      return stats.map((view) => `${printSexpr(sexprOf(view))}\n`).join("");
    case "table":
      return printTable(COLUMNS, stats.flatMap(countersOf));
  }
}

function sexprOf({ vnet, counters }: StatsView): SexprText {
  const fields = Object.entries(counters).map(([name, value]) => [name, String(value)]);
  return vnet === null ? ["stats", ...fields] : ["stats", ["vnet", vnet], ...fields];
}

function countersOf({ vnet, counters }: StatsView): readonly Counter[] {
  return Object.entries(counters).map(([name, value]) => ({ name, value, vnet }));
}

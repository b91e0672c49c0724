/** `vn vnets`, `vnet-create`, `vnet-delete`. */
import { resolve } from "node:path";
import { Option } from "commander";
import type { VnetRequest, VnetView } from "../control/api.ts";
import { parseVnetRef } from "../control/references.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { printVnetList } from "../vnet/sxp-views.ts";
import { completeVnetConfig, parseMtu } from "../vnet/vnet-config.ts";
import {
  parseVnetSecurity,
  parseVnetSuite,
  type VnetSecurity,
  type VnetSuite,
} from "../vnet/vnet-security.ts";
import { addOutputOptions, collect, type OutputFormat, type VnCommand } from "./command.ts";
import { type CliContext, UsageError } from "./context.ts";
import { type Column, type Listing, printJson, printListing } from "./print.ts";
import { VARP } from "./varp.ts";
import { VIFS } from "./vif.ts";
import { readVnetFile, readVnetId } from "./vnet-file.ts";

type CreateOptions = {
  readonly security?: VnetSecurity;
  readonly suite?: VnetSuite;
  readonly keyFile?: string;
  readonly bridge?: string;
  readonly vnetif?: string;
  readonly mtu?: number;
  readonly ovs?: true;
  readonly encapsulation?: "udp" | "etherip";
};

type ListOptions = { readonly output: OutputFormat; readonly long?: true; readonly all?: true };

const COLUMNS: readonly Column<VnetView>[] = [
  { title: "VNET", cell: ({ id }) => shortVnetId(id) },
  { title: "VNETIF", cell: ({ vnetif }) => vnetif },
  { title: "BRIDGE", cell: ({ bridge }) => bridge },
  { title: "SECURITY", cell: ({ security }) => security },
  { title: "STATE", cell: ({ state }) => state },
];

const LONG_COLUMNS: readonly Column<VnetView>[] = [
  ...COLUMNS,
  { title: "MTU", cell: ({ mtu }) => mtu },
  { title: "SUITE", cell: ({ suite }) => suite },
  { title: "ENCAPSULATION", cell: ({ encapsulation }) => encapsulation },
  { title: "SWITCH", cell: switchOf },
  { title: "PORTS", cell: ({ bridgePorts }) => bridgePorts.join(",") },
  { title: "ERROR", cell: ({ error }) => error },
];

export function addVnetCommands(program: VnCommand, context: CliContext): void {
  addList(program, context);
  addCreate(program, context);
  addDelete(program, context);
}

function addList(program: VnCommand, context: CliContext): void {
  addOutputOptions(program.command("vnets"))
    .alias("vnet-list")
    .description("list the vnets of this host")
    .argument("[vnet...]", "vnet ids or interface names", collect(parseVnetRef))
    .option("-l, --long", "also MTU, encapsulation, kind of bridge, its ports, and what is wrong")
    .option("-a, --all", "also the vifs and the varp entries of these vnets")
    .examples(
      ["vn vnets", "all, a line each"],
      ["vn vnets -l 97", "one, with its bridge's ports"],
      ["vn vnets -a --json", "everything, for a script"],
    )
    .action(async (vnets: readonly string[] | undefined, options: ListOptions) => {
      context.io.stdout(await printVnets(context, vnets ?? [], options));
    });
}

function addCreate(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("vnet-create")
    .description("create a vnet from options, or the vnets of an S-expression file")
    .argument("<file|vnetid>", "a vnet id, or the name of a file (- is standard input)")
    .option(
      "-s, --security <level>",
      "none, auth (others cannot forge frames) or conf (nor read them) (none)",
      parseVnetSecurity,
    )
    .option("--key-file <file>", "the vnet's first key, needed by auth and conf")
    .option("--suite <suite>", "the suite of auth or conf (its own)", parseVnetSuite)
    .option("-b, --bridge <bridge>", "attach the vnet to this bridge, made unless it exists")
    .option(
      "-v, --vnetif <vnetif>",
      "name of the vnet interface (vnif and the last field of the id)",
    )
    .option("--mtu <n>", "MTU of the vnet, octets (1500)", parseMtu)
    .option("--ovs", "the bridge is one of Open vSwitch")
    .addOption(
      new Option("--encapsulation <kind>", "how frames travel (udp)").choices(["udp", "etherip"]),
    )
    .addHelpText("after", FILE_HELP)
    .examples(
      ["vn vnet-create -b vnet97 97", "vnet 97 with interface vnif0097 on bridge vnet97"],
      ["vn vnet-create -s conf --key-file k97 97", "encrypted between hosts, without a bridge"],
      ["vn vnet-create vnet97.sxp", "the vnets of a file, all or none"],
    )
    .action(async (source: string, options: CreateOptions) => {
      const id = readVnetId(source, io);
      const vnets = id === null ? fromFile(source, options, io) : [fromOptions(id, options)];
      await control().createVnets(vnets);
    });
}

function addDelete(program: VnCommand, { control }: CliContext): void {
  program
    .command("vnet-delete")
    .description("delete vnets and their interfaces, all or none")
    .argument("<vnet...>", "vnet ids or interface names", collect(parseVnetRef))
    .option("-b, --bridge", "delete their bridges too")
    .examples(
      ["vn vnet-delete 97", "the bridge stays"],
      ["vn vnet-delete -b 97 vnif0098", "two, with their bridges"],
    )
    .action(async (vnets: readonly string[], { bridge }: { readonly bridge?: true }) => {
      await control().deleteVnets(vnets, { bridge: bridge ?? false });
    });
}

const FILE_HELP = `
A file has one or more of
  (vnet (id 97) [(bridge vnet97)] [(vnetif vnif0097)] [(security none)]
        [(mtu 1500)] [(ovs false)] [(encapsulation udp)])
and for a vnet with security auth or conf, in place of (security none),
        (security conf) (keyfile PATH) [(suite aes128-gcm)]
where PATH counts from the file's folder.
White space has no meaning but to part words; # starts a comment.`;

function fromFile(
  path: string,
  options: CreateOptions,
  io: CliContext["io"],
): readonly VnetRequest[] {
  const [given] = Object.keys(options);
  if (given !== undefined) {
    const flag = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(`--${flag} does not go with a file, write it into the file (${path})`);
  }
  return readVnetFile(path, io);
}

function fromOptions(id: VnetId, options: CreateOptions): VnetRequest {
  const { keyFile, ...rest } = options;
  const request: VnetRequest = {
    ...{ id, ...rest },
    // The daemon opens it, and its working directory is another one.
    ...(keyFile !== undefined && { keyFile: resolve(keyFile) }),
  };
  // Checked here too, so that bad input is exit status 2 whether or not a daemon is there.
  completeVnetConfig(request);
  return request;
}

async function printVnets(
  { control }: CliContext,
  refs: readonly string[],
  options: ListOptions,
): Promise<string> {
  const format = options.output;
  const api = control();
  const vnets = await api.listVnets(refs);
  const listing: Listing<VnetView> = {
    columns: options.long ? LONG_COLUMNS : COLUMNS,
    sxp: printVnetList,
  };
  if (!options.all) {
    return printListing(listing, vnets, format);
  }
  const [vifs, varp] = await Promise.all([api.listVifs(refs), api.listVarp(refs)]);
  switch (format) {
    case "json":
      return printJson(
        vnets.map((vnet) => ({
          ...vnet,
          vifs: vifs.filter((vif) => vif.vnet === vnet.id),
          varp: varp.filter((entry) => entry.vnet === vnet.id),
        })),
      );
    case "sxp":
      return listing.sxp(vnets) + VIFS.sxp(vifs) + VARP.sxp(varp);
    case "table":
      return [
        printListing(listing, vnets, format),
        printListing(VIFS, vifs, format),
        printListing(VARP, varp, format),
      ].join("\n");
  }
}

function switchOf({ bridge, ovs }: VnetView): string | null {
  if (bridge === null) {
    return null;
  }
  return ovs ? "ovs" : "linux";
}

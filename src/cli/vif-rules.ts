/** `vn vif-set`, `vif-clear`, `vif-show`, `vif-explain`, `vif-log`, `vif-rules`: VIFs and what locks them. */
import { Argument, Option } from "commander";
import { ControlError } from "../control/control-error.ts";
import { parseBackend, parseVifName } from "../control/vif-references.ts";
import type { VifRulesView } from "../control/vif-rules-api.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { ALLOW_SWITCHES, type AllowSwitch, VIF_MODES, type VifPolicy } from "../vifrules/policy.ts";
import { readVifPolicy } from "../vifrules/policy-document.ts";
import {
  parseAddressRange,
  parseGroupName,
  parseLinkLocalRange,
  parseVifMac,
  parseVmUuid,
} from "../vifrules/policy-value.ts";
import type { SexprText } from "../vnet/sexpr.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { type Listing, printJson, printListing, printPairs, sxpLines } from "./print.ts";

type SetOptions = {
  readonly bridge: string;
  readonly mac: string;
  readonly mode?: string;
  readonly ip4?: readonly string[];
  readonly ip6?: readonly string[];
  readonly linkLocal?: readonly string[];
  readonly group?: readonly string[];
  readonly allow?: readonly (AllowSwitch | "none")[];
  readonly tag?: number;
  readonly trunk?: readonly number[];
  readonly vm?: string;
  readonly devid?: number;
};

const NUMBER = /^(?:0|[1-9]\d{0,8})$/;

const VIFS: Listing<VifRulesView> = {
  columns: [
    { title: "VIF", cell: nameOf },
    { title: "BRIDGE", cell: ({ bridge }) => bridge },
    { title: "OFPORT", cell: ({ ofport }) => ofport },
    { title: "MODE", cell: ({ policy }) => policy?.mode ?? null },
    { title: "MAC", cell: ({ policy }) => policy?.mac ?? null },
    { title: "ACCEPTED", cell: ({ acceptedFrames }) => acceptedFrames },
    { title: "DROPPED", cell: (view) => droppedFrames(view) },
    { title: "STATE", cell: stateOf },
  ],
  sxp: (vifs) => sxpLines(vifs.map(sxpOf)),
};

export function addVifRulesCommands(program: VnCommand, context: CliContext): void {
  addSet(program, context);
  addClear(program, context);
  addShow(program, context);
  addExplain(program, context);
  addLog(program, context);
  addRules(program, context);
}

function addSet(program: VnCommand, { control }: CliContext): void {
  program
    .command("vif-set")
    .description("lock a VIF: create or replace its policy; returns when the switch enforces it")
    .argument("<vif>", "port of the VIF, such as vif5.0, tap5.0 or vnet3", parseInterfaceName)
    .requiredOption("--bridge <bridge>", "Open vSwitch bridge it is on", parseInterfaceName)
    .requiredOption("--mac <mac>", "its MAC address", parseVifMac)
    .addOption(new Option("--mode <mode>", "what it may do (locked)").choices(VIF_MODES))
    .option("--ip4 <addr>", "IPv4 address or prefix it may use; repeatable", ranges(4))
    .option("--ip6 <addr>", "IPv6 address or prefix it may use; repeatable", ranges(6))
    .option(
      "--link-local <addr>",
      "auto (the EUI-64 one), none, or an address; repeatable (auto)",
      collect(parseLinkLocalWord),
    )
    .option("--group <group>", "group it is a member of; repeatable", collect(parseGroupName))
    .addOption(
      new Option("--allow <what>", "what it may do besides; repeatable (dhcp-client)").argParser(
        collect(parseAllowWord),
      ),
    )
    .option("--tag <vlan>", "VLAN of its untagged frames (0: none)", numberOf("a VLAN id"))
    .option("--trunk <vlan>", "VLAN it may tag; repeatable", collect(numberOf("a VLAN id")))
    .option("--vm <uuid>", "UUID of its VM", parseVmUuid)
    .option("--devid <n>", "number of the VIF within its VM", numberOf("a number"))
    .addHelpText("after", SET_HELP)
    .examples(
      ["vn vif-set vif5.0 --bridge xenbr0 --mac 00:16:3e:01:02:03 --ip4 10.0.0.5", "lock it"],
      ["vn vif-set vif5.0 … --mode isolated --group web", "and keep it to its group"],
    )
    .action(async (vif: string, options: SetOptions) => {
      await control().vifRules.setVifRules(policyOf(vif, options));
    });
}

function addClear(program: VnCommand, { control }: CliContext): void {
  program
    .command("vif-clear")
    .description("forget a VIF's policy and take its port off the bridge; also when there is none")
    .argument("<vif>", "port of the VIF, or its iface-id", parseVifName)
    .examples(["vn vif-clear vif5.0", ""])
    .action(async (vif: string) => {
      await control().vifRules.clearVifRules(vif);
    });
}

function addShow(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("vif-show"))
    .description("show policies, whether they are in force, and frames accepted and dropped")
    .argument("[vif...]", "ports of VIFs, or their iface-ids", collect(parseVifName))
    .examples(
      ["vn vif-show", "all, a line each"],
      ["vn vif-show vif5.0", "one, with its addresses and drops by reason"],
      ["vn vif-show --json", "for a script"],
    )
    .action(async (vifs: readonly string[] | undefined, { output }: OutputOptions) => {
      const views = await control().vifRules.listVifRules(vifs ?? []);
      io.stdout(
        output === "table" && (vifs ?? []).length > 0
          ? views.map(printVif).join("\n")
          : printListing(VIFS, views, output),
      );
    });
}

function addExplain(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("vif-explain"))
    .description("say what becomes of one frame, which rule decides it, and what would allow it")
    .argument("<vif>", "port of the VIF, or its iface-id", parseVifName)
    .argument("<frame>", "flow text as ovs-ofctl writes it, or the frame in hex digits")
    .option("--to", "the frame is sent to the VIF, and not by it")
    .examples(
      ["vn vif-explain vif5.0 tcp,nw_src=10.0.0.5,nw_dst=10.0.0.12", "may vif5.0 send that?"],
      ["vn vif-explain vif5.0 --to icmp,nw_src=192.0.2.1", "and would it get that?"],
    )
    .action(async (vif: string, frame: string, options: OutputOptions & { readonly to?: true }) => {
      const direction = options.to ? "to" : "from";
      const view = await control().vifRules.explainFrame({ vif, frame, direction });
      switch (options.output) {
        case "json":
          io.stdout(printJson(view));
          break;
        case "sxp":
          io.stdout(sxpLines([["explain", ["verdict", view.verdict], ["lines", ...view.lines]]]));
          break;
        case "table":
          io.stdout(view.lines.map((line) => `${line}\n`).join(""));
      }
    });
}

function addLog(program: VnCommand, { control }: CliContext): void {
  program
    .command("vif-log")
    .description("write a VIF's drops to the log of vnetd, some lines a minute at most")
    .argument("<vif>", "port of the VIF, or its iface-id", parseVifName)
    .addArgument(new Argument("<on|off>", "whether").choices(["on", "off"]))
    .examples(["vn vif-log vif5.0 on", ""])
    .action(async (vif: string, state: "on" | "off") => {
      await control().vifRules.logVifDrops(vif, state === "on");
    });
}

function addRules(program: VnCommand, { control }: CliContext): void {
  program
    .command("vif-rules")
    .description("what xapi's setup-vif-rules does, with its arguments")
    .argument("<backend>", "xenopsd's name of the backend", parseBackend)
    .argument("<vif>", "vifD.N or tapD.N", parseInterfaceName)
    .argument("<vmuuid>", "UUID of the VM", parseVmUuid)
    .argument("<devid>", "number of the VIF within its VM", numberOf("a number"))
    .addArgument(
      new Argument("<action>", "filter: put the VIF under its policy; clear: forget it").choices([
        "filter",
        "clear",
      ]),
    )
    .examples(["vn vif-rules classic vif5.0 fe80e5ba-… 0 filter", "as xapi calls it"])
    .action(
      async (
        backend: string,
        vif: string,
        vm: string,
        devid: number,
        action: "filter" | "clear",
      ) => {
        const isAdded = action === "filter";
        const plug = { vif, vm, devid, backend };
        const view = await control().vifRules.plugVif({
          ...plug,
          action: isAdded ? "add" : "remove",
        });
        if (view !== null && view.state !== "applied") {
          const message = `No policy for the VIF, it is in ${view.state}: "${vif}"`;
          throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
        }
      },
    );
}

const SET_HELP = `
Modes: unlocked, everything; locked, with its own MAC and the listed addresses only; isolated,
locked, and only to members of its groups, to infrastructure and to the outside; disabled, nothing.
Allowed besides: ${ALLOW_SWITCHES.join(", ")}, or none.`;

function policyOf(vif: string, options: SetOptions): VifPolicy {
  const { ip4, ip6, linkLocal, group, allow, tag, trunk, ...rest } = options;
  return readVifPolicy({
    vif,
    ...rest,
    ipv4: ip4 ?? [],
    ipv6: ip6 ?? [],
    ...(linkLocal !== undefined && { linkLocal: linkLocalOf(linkLocal) }),
    groups: group ?? [],
    ...(allow !== undefined && { allow: allowOf(allow) }),
    vlan: { tag: tag ?? 0, trunks: trunk ?? [] },
  });
}

function linkLocalOf(words: readonly string[]): string | readonly string[] {
  const [word = ""] = words;
  if (word === "auto" || word === "none") {
    if (words.length > 1) {
      throw new ParseError(`--link-local ${word} does not go with another one: "${words[1]}"`);
    }
    return word;
  }
  return words;
}

function allowOf(words: readonly (AllowSwitch | "none")[]): readonly AllowSwitch[] {
  const switches = words.filter((word) => word !== "none");
  if (switches.length > 0 && switches.length < words.length) {
    throw new ParseError(`--allow none does not go with another one: "${switches[0]}"`);
  }
  return switches;
}

function parseLinkLocalWord(text: string): string {
  return text === "auto" || text === "none" ? text : parseLinkLocalRange(text);
}

function parseAllowWord(text: string): AllowSwitch | "none" {
  const found = [...ALLOW_SWITCHES, "none" as const].find((word) => word === text);
  if (found === undefined) {
    throw new ParseError(`Not one of ${ALLOW_SWITCHES.join(", ")}, none: ${quoteValue(text)}`);
  }
  return found;
}

function ranges(family: 4 | 6) {
  return collect((text: string) => parseAddressRange(text, family));
}

function numberOf(what: string): (text: string) => number {
  return (text) => {
    if (!NUMBER.test(text)) {
      throw new ParseError(`Not ${what}: ${quoteValue(text)}`);
    }
    return Number(text);
  };
}

function nameOf({ vif, ifaceId }: VifRulesView): string | null {
  return vif ?? ifaceId;
}

function stateOf({ state, error }: VifRulesView): string {
  return error === null ? state : `error: ${error}`;
}

function droppedFrames({ dropped }: VifRulesView): number {
  return Object.values(dropped).reduce((sum, count) => sum + count, 0);
}

function sxpOf(view: VifRulesView): SexprText {
  const { policy } = view;
  return [
    "vif",
    ["name", nameOf(view) ?? ""],
    ["bridge", view.bridge ?? ""],
    ["state", stateOf(view)],
    ...(policy === null ? [] : [["mode", policy.mode] as const, ["mac", policy.mac] as const]),
    ["accepted", String(view.acceptedFrames)],
    ["dropped", String(droppedFrames(view))],
  ];
}

function printVif(view: VifRulesView): string {
  const { policy } = view;
  const addresses = policy === null ? [] : [...policy.ipv4, ...policy.ipv6];
  const linkLocal = policy?.linkLocal ?? [];
  return printPairs([
    ["vif", nameOf(view)],
    ["state", stateOf(view)],
    ["bridge", view.bridge],
    ["ofport", view.ofport],
    ["policy from", view.origin],
    ["mode", policy?.mode ?? null],
    ["mac", policy?.mac ?? null],
    ["addresses", addresses.join(" ")],
    ["link-local", typeof linkLocal === "string" ? linkLocal : linkLocal.join(" ")],
    ["groups", policy?.groups.join(" ") ?? null],
    ["allow", policy?.allow.join(" ") ?? null],
    ["vlan", policy === null ? null : describeVlan(policy)],
    ["vm", policy?.vm ?? null],
    ["drops logged", view.log ? "yes" : "no"],
    ["accepted", `${view.acceptedFrames} frames, ${view.acceptedOctets} octets`],
    ["delivered", `${view.deliveredFrames} frames`],
    ...Object.entries(view.dropped)
      .filter(([, count]) => count > 0)
      .map(([reason, count]) => [`dropped, ${reason}`, `${count} frames`] as const),
  ]);
}

function describeVlan({ vlan: { tag, trunks } }: VifPolicy): string {
  const untagged = tag === 0 ? "none" : String(tag);
  return trunks.length === 0 ? untagged : `${untagged}, trunks ${trunks.join(" ")}`;
}

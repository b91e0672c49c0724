/** `vn nets`, `net-set`, `net-delete`: what is inside a bridge's network, and who serves it. */
import { parseVlanId } from "../control/vif-references.ts";
import type { NetworkView } from "../control/vif-rules-api.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { ipFamily } from "../net/ip-address.ts";
import type { AddressRange } from "../vifrules/policy.ts";
import { readNetworkPolicy } from "../vifrules/policy-document.ts";
import {
  parseAddressRange,
  parseNetworkPrefix,
  parseVifMac,
  rangeAddress,
} from "../vifrules/policy-value.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { type Listing, printListing, sxpLines } from "./print.ts";

type SetOptions = {
  readonly vlan?: number;
  readonly internal?: readonly AddressRange[];
  readonly infra?: readonly AddressRange[];
  readonly infraMac?: readonly string[];
  readonly uplink?: readonly string[];
};

const NETWORKS: Listing<NetworkView> = {
  columns: [
    { title: "BRIDGE", cell: ({ bridge }) => bridge },
    { title: "VLAN", cell: ({ vlan }) => vlan },
    { title: "INTERNAL", cell: ({ internal }) => internal.join(",") },
    { title: "INFRA", cell: ({ infra }) => infraOf(infra).join(",") },
    { title: "UPLINKS", cell: ({ uplinks }) => uplinks.join(",") },
    { title: "FROM", cell: ({ origin }) => origin },
  ],
  sxp: (networks) =>
    sxpLines(
      networks.map(({ bridge, vlan, internal, infra, uplinks }) => [
        "network",
        ["bridge", bridge],
        ["vlan", String(vlan)],
        ["internal", ...internal],
        ["infra", ...infraOf(infra)],
        ["uplinks", ...uplinks],
      ]),
    ),
};

export function addNetCommands(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("nets"))
    .description("list the networks: what is internal, infrastructure and uplink on a bridge")
    .examples(["vn nets", "a table"], ["vn nets --json", "for a script"])
    .action(async ({ output }: OutputOptions) => {
      io.stdout(printListing(NETWORKS, await control().vifRules.listNetworks(), output));
    });
  program
    .command("net-set")
    .description("create or replace the network of a bridge; from now on the bridge is managed")
    .argument("<bridge>", "Open vSwitch bridge", parseInterfaceName)
    .option("--vlan <n>", "VLAN of the network (0: none)", parseVlanId)
    .option(
      "--internal <prefix>",
      "addresses that are inside; what is not is external; repeatable",
      collect(parseNetworkPrefix),
    )
    .option(
      "--infra <addr>",
      "gateway, DHCP or DNS server, which every VIF may reach; repeatable",
      collect((text: string) => parseAddressRange(text)),
    )
    .option("--infra-mac <mac>", "MAC that no VIF may use; repeatable", collect(parseVifMac))
    .option(
      "--uplink <port>",
      "port to the outside (all that are no VIFs); repeatable",
      collect(parseInterfaceName),
    )
    .examples(["vn net-set xenbr0 --internal 10.0.0.0/24 --infra 10.0.0.1 --uplink eth0", ""])
    .action(async (bridge: string, options: SetOptions) => {
      const infra = options.infra ?? [];
      const ofFamily = (family: 4 | 6) =>
        infra.filter((range) => ipFamily(rangeAddress(range)) === family);
      const network = readNetworkPolicy({
        bridge,
        vlan: options.vlan ?? 0,
        internal: options.internal ?? [],
        infra: { ipv4: ofFamily(4), ipv6: ofFamily(6), macs: options.infraMac ?? [] },
        uplinks: options.uplink ?? [],
      });
      await control().vifRules.setNetwork(network);
    });
  program
    .command("net-delete")
    .description("delete the network of a bridge; without VIFs left, the bridge is given back")
    .argument("<bridge>", "Open vSwitch bridge", parseInterfaceName)
    .option("--vlan <n>", "VLAN of the network, when the bridge has several", parseVlanId)
    .examples(["vn net-delete xenbr0", ""])
    .action(async (bridge: string, { vlan }: { readonly vlan?: number }) => {
      await control().vifRules.deleteNetwork(bridge, vlan ?? null);
    });
}

function infraOf({ ipv4, ipv6, macs }: NetworkView["infra"]): readonly string[] {
  return [...ipv4, ...ipv6, ...macs];
}

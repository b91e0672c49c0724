/** `vn peers`, `peer-add`, `peer-delete`: the hosts that multicast does not reach. */
import type { PeerView, PeerVnetView } from "../control/api.ts";
import { parseUdpPort } from "../net/endpoint.ts";
import { parseHost } from "../net/host-name.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { printPeerList } from "../vnet/sxp-views.ts";
import { addOutputOptions, type OutputFormat, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { formatAge, type Listing, printListing } from "./print.ts";

const PEERS: Listing<PeerView> = {
  columns: [
    { title: "ADDRESS", cell: ({ address }) => address },
    { title: "PORT", cell: ({ udpPort }) => udpPort },
    { title: "NAME", cell: ({ name }) => name },
    { title: "OUT", cell: ({ forwardedOut }) => forwardedOut },
    { title: "IN", cell: ({ forwardedIn }) => forwardedIn },
    { title: "MTU", cell: ({ pathMtu }) => pathMtu },
    { title: "VNETS", cell: ({ vnets }) => vnets.map(describeVnet).join(", ") },
  ],
  // The original knew configured peers alone.
  sxp: (peers) => printPeerList(peers.filter(({ configured }) => configured)),
};

/** `97 up`, `98 key mismatch`, `99 unreachable since 12m`. */
function describeVnet({ vnet, state, sinceMs }: PeerVnetView): string {
  const since = state === "unreachable" ? ` since ${formatAge(sinceMs)}` : "";
  return `${shortVnetId(vnet)} ${state}${since}`;
}

const STATES_HELP = `
States of a host in a secure vnet: up; stale key (it sends with another key than this host does);
key mismatch (it has none of this host's keys); suite mismatch; clone (two machines have its
identity); unreachable since when.`;

export function addPeerCommands(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("peers"))
    .description("list the configured peers, and every host of secure vnets with its state there")
    .addHelpText("after", STATES_HELP)
    .examples(["vn peers", "a table"], ["vn peers -o sxp", "as the original printed them"])
    .action(async ({ output }: { readonly output: OutputFormat }) => {
      io.stdout(printListing(PEERS, await control().listPeers(), output));
    });
  program
    .command("peer-add")
    .description("forward multicast to a host that does not get it, and accept it from there")
    .argument("<addr>", "IP address or host name", parseHost)
    .option("-p, --port <port>", "UDP port of that host (1798)", parseUdpPort)
    .examples(
      ["vn peer-add 198.51.100.7", "on one host of each segment, the other segment's"],
      ["vn peer-add host7.example --port 1799", "by name, on another port"],
    )
    .action(async (host: string, { port }: { readonly port?: number }) => {
      await control().addPeer(host, port ?? null);
    });
  program
    .command("peer-delete")
    .description("forward nothing to that host any more, and accept nothing forwarded from it")
    .argument("<addr>", "IP address or host name, as `vn peers` shows it", parseHost)
    .examples(["vn peer-delete 198.51.100.7", ""])
    .action(async (host: string) => {
      await control().deletePeer(host);
    });
}

/** vnetd(8), from the options of `vnetd`. */
import { VERSION } from "../../src/control/version.ts";
import { declareOptions, EXIT_NOTE, SIGNALS, STARTS } from "../../src/daemon/options.ts";
import { exitStatuses, optionItem, visibleOptions } from "./command-lines.ts";
import { examples, list, paragraphs, renderPage, seeAlso, sentence } from "./mdoc.ts";

export function vnetdPage(): string {
  return renderPage({
    ...{ name: "vnetd", section: 8 },
    about: "carry, lock and isolate the frames of virtual machines",
    body: [
      ...[".Sh SYNOPSIS", ".Nm", ".Op Ar option ..."],
      ".Sh DESCRIPTION",
      ...paragraphs(
        "The daemon has three jobs: it carries the Ethernet frames of virtual networks (vnets) between hosts, it locks the interfaces (VIFs) of virtual machines on Open vSwitch bridges to their addresses, and it keeps groups of VIFs apart. It runs in the foreground, needs CAP_NET_ADMIN and CAP_NET_RAW, and starts the program `vnet-dp`, which carries the frames without any privilege and goes on when the daemon is stopped, upgraded or dies.",
        "Every option is a key of the configuration file too, and counts more than the file.",
      ),
      ".Pp",
      "The options are:",
      ...list(visibleOptions(declareOptions(VERSION)).map(optionItem)),
      ...[
        ".Ss Signals",
        ...list(
          SIGNALS.map(([signal, meaning]) => ({ head: `Dv ${signal}`, body: sentence(meaning) })),
        ),
      ],
      ...[".Sh ENVIRONMENT", ...list(ENVIRONMENT)],
      ...[
        ".Sh FILES",
        ...list(FILES.map(([path, meaning]) => ({ head: `Pa ${path}`, body: sentence(meaning) }))),
      ],
      ...[".Sh EXIT STATUS", ...(exitStatuses(EXIT_NOTE) ?? [])],
      ...[".Sh EXAMPLES", ...examples(STARTS)],
      ...[".Sh DIAGNOSTICS", ...paragraphs(DIAGNOSTICS)],
      ...seeAlso("vn(1)", "vnet.sxp(5)", "vnetd.toml(5)", "ovs-vswitchd(8)", "systemd(1)"),
    ],
  });
}

const ENVIRONMENT = [
  {
    head: "Ev NOTIFY_SOCKET",
    body: sentence("where systemd wants to hear that the daemon is ready"),
  },
  { head: "Ev XENSTORED_PATH", body: sentence("the socket of xenstored") },
];

const FILES = [
  ["/etc/vnetd/vnetd.toml", "the configuration; need not be there"],
  ["/etc/vnetd/keys/", "the key rings of secure vnets, mode 0600"],
  [
    "/etc/vnetd/vifs/ , groups/ , networks/",
    "policies of VIFs, groups and networks, one JSON document a file",
  ],
  ["/var/lib/vnetd/", "the desired state: vnets, peers, pinned MACs, policies"],
  ["/run/vnetd/vnetd.sock", "the control API, for root and the group vnetd"],
  ["/run/vnetd/dp.sock", "the data plane"],
] as const;

const DIAGNOSTICS =
  "What keeps the daemon from starting is one line on standard error. Later, an event is a line in its log, which is standard error too: text on a terminal, JSON otherwise. `vn status` exits 0 when the daemon serves.";

/** The command line of `vnetd`: what was written, before it is joined with the configuration file. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ConfigError } from "./config-error.ts";

/** Settings by their names in vnetd.toml; only those that were given. */
export type RawSettings = Readonly<Record<string, unknown>>;

export type CommandLine =
  | { readonly kind: "run"; readonly configFile: string | null; readonly settings: RawSettings }
  /** `--help` or `--version`: `text` goes to standard output. */
  | { readonly kind: "print"; readonly text: string };

/**
 * Reads the arguments after the program's name.
 *
 * @throws ConfigError
 */
export function parseCommandLine(argv: readonly string[], version: string): CommandLine {
  let printed = "";
  const program = declareOptions(version);
  program.exitOverride();
  program.configureOutput({
    writeOut: (text) => {
      printed += text;
    },
    writeErr: () => {},
  });
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      return { kind: "print", text: printed };
    }
    if (error instanceof CommanderError) {
      throw new ConfigError(error.message.replace(/^error: /, ""));
    }
    throw error;
  }
  const { config, ...options } = program.opts<Record<string, unknown>>();
  return {
    kind: "run",
    configFile: typeof config === "string" ? config : null,
    settings: toSettings(options),
  };
}

export const EXIT_NOTE = `
Exit status: 0 stopped as asked; 1 failed; 2 wrong usage or configuration, nothing was started.`;

export const SIGNALS = [
  ["SIGTERM", "stop; vnet-dp goes on carrying frames, unless --stop-dataplane"],
  ["SIGINT", "the same"],
  ["SIGHUP", "read all policies of VIFs, groups and networks again"],
  ["SIGUSR1", "renew all security associations of secure vnets"],
] as const;

/** Command lines, and what they are for. */
export const STARTS = [
  ["vnetd --underlay eth0", "a host of vnets"],
  ["vnetd --underlay none", "VIF rules only"],
  ["vnetd --run-dir /run/b --state-dir /var/lib/b", "another one, in another network namespace"],
] as const;

/** The options of `vnetd`; a test holds them to the keys of vnetd.toml. */
export function declareOptions(version: string): Command {
  return new Command("vnetd")
    .description("Carries the frames of virtual networks between hosts, and locks VIFs.")
    .addHelpText("after", helpAfter())
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .allowExcessArguments(false)
    .option("--config <file>", "configuration file (/etc/vnetd/vnetd.toml, if it is there)")
    .option("--state-dir <dir>", "where the desired state is kept (/var/lib/vnetd)")
    .option("--key-dir <dir>", "the keys of secure vnets (/etc/vnetd/keys)")
    .option("--run-dir <dir>", "sockets and pid files (/run/vnetd)")
    .option(
      "--underlay <dev|addr|none>",
      "device or address that reaches the other hosts, or none (the default route's)",
    )
    .addOption(integer("--port <n>", "UDP port of the tunnel (1798)"))
    .option("--mcast-group <addr>", "multicast group of the hosts (224.10.0.1)")
    .addOption(integer("--mcast-ttl <n>", "how many routers a multicast passes, plus one (1)"))
    .option("--no-multicast", "reach other hosts by configured peers only")
    .option("-f, --file <file>", "commands of the start as S-expressions, vnet.sxp(5)")
    .option("--ovs-run-dir <dir>", "run directory of Open vSwitch (/var/run/openvswitch)")
    .option("--policy-dir <dir>", "parent of the folders vifs, groups and networks (/etc/vnetd)")
    .option("--vif-pattern <regexp>", "names of ports that are VIFs (^(vif|tap|vnet)[0-9])")
    .option("--trust-vm-data", "let what a guest says of itself narrow its policy")
    .option("--metrics <addr:port>", "also serve GET /metrics there, for anybody")
    .option("--status-page", "also serve the status page there; for loopback addresses only")
    .option(
      "--log-level <level>",
      "least that is logged: trace, debug, info, warn, error or fatal (info)",
    )
    .option(
      "--log-format <format>",
      "form of the log: text or json (text on a terminal, else json)",
    )
    .option("--stop-dataplane", "end vnet-dp too when vnetd ends")
    .option(
      "--dataplane <path>",
      "the program vnet-dp (the one beside vnetd, else that of the package)",
    )
    .option("--dataplane-service", "vnet-dp is a service: systemd starts it, and not vnetd")
    .option("--user <name>", "user that vnet-dp runs as (vnetd-dp where it exists, else nobody)")
    .option("--no-tap-offload", "no offloads on vnet interfaces")
    .option("--no-udp-gso", "send every datagram by a call of its own")
    .option("--no-udp-gro", "receive every datagram by itself")
    .addOption(integer("--rekey-packets <n>", "packets after which keys are renewed (2147483648)"))
    .addOption(integer("--fdb-limit <n>", "remote MACs a vnet may have (131072)"))
    .addOption(integer("--vif-limit <n>", "local MACs a vnet may have (4096)"))
    .addOption(
      integer(
        "--fdb-ttl <seconds>",
        "age at which a MAC that is silent is forgotten, at least 10 (60)",
      ),
    );
}

function helpAfter(): string {
  const align = (lines: readonly (readonly [string, string])[]): string => {
    const width = Math.max(...lines.map(([left]) => left.length));
    return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
  };
  return `${EXIT_NOTE}\n\nSignals:\n${align(SIGNALS)}\n\nExamples:\n${align(STARTS)}`;
}

function integer(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (!/^\d{1,10}$/.test(text)) {
      throw new InvalidArgumentError("It is not a number.");
    }
    return Number(text);
  });
}

/** `mcastGroup` → `mcast-group`. A `--no-x` that was not given is commander's default, true. */
function toSettings(options: Record<string, unknown>): RawSettings {
  const given = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !(NEGATABLE.has(name) && value === true),
  );
  return Object.fromEntries(
    given.map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      value,
    ]),
  );
}

const NEGATABLE: ReadonlySet<string> = new Set(["multicast", "tapOffload", "udpGso", "udpGro"]);

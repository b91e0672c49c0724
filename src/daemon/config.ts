/**
 * What `vnetd` was told: defaults, then /etc/vnetd/vnetd.toml, then the command line. The file's
 * keys are the long flags without dashes in front; a `--no-x` flag is `x = false`.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { parse as parseToml, TomlError } from "smol-toml";
import { z } from "zod";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../net/endpoint.ts";
import { type InterfaceName, parseInterfaceName } from "../net/interface-name.ts";
import { type IpAddress, isLoopbackIp, isMulticastIp, parseIpAddress } from "../net/ip-address.ts";
import { quoteValue } from "../net/parse-error.ts";
import { REKEY_PACKETS } from "../vnet/secure.ts";
import { ConfigError } from "./config-error.ts";
import type { RawSettings } from "./options.ts";
import { reading } from "./zod-reading.ts";

export type UnderlayChoice =
  | { readonly kind: "automatic" }
  | { readonly kind: "device"; readonly name: InterfaceName }
  | { readonly kind: "address"; readonly address: IpAddress }
  /** This host has no overlay. */
  | { readonly kind: "none" };

export type Config = {
  readonly stateDirectory: string;
  /** KEY_DIR: a key ring a secure vnet. */
  readonly keyDirectory: string;
  readonly runDirectory: string;
  readonly ovsRunDirectory: string;
  /** The parent of `vifs`, `groups` and `networks`. */
  readonly policyDirectory: string;
  /** What names of ports say that they are VIFs. */
  readonly vifPattern: RegExp;
  /** Whether what a guest writes about itself may narrow its policy. */
  readonly trustVmData: boolean;
  readonly underlay: UnderlayChoice;
  readonly udpPort: number;
  readonly multicast: boolean;
  readonly multicastGroup: IpAddress;
  readonly multicastTtl: number;
  readonly startupFile: string | null;
  readonly metrics: Endpoint | null;
  /** Whether the status page is there too; `metrics` is a loopback address then. */
  readonly statusPage: boolean;
  readonly logLevel: LogLevel;
  /** Null: text on a terminal, JSON otherwise. */
  readonly logFormat: "text" | "json" | null;
  readonly stopDataplane: boolean;
  /** Null: beside the program, else where packages put it. */
  readonly dataplane: string | null;
  /** vnet-dp is a service, which its socket unit starts. */
  readonly dataplaneService: boolean;
  /** Null: `vnetd-dp` where it exists, else `nobody`. */
  readonly user: string | null;
  readonly tapOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly udpCoalescing: boolean;
  readonly rekeyPackets: number;
  readonly fdbLimit: number;
  readonly vifLimit: number;
  readonly fdbTtlMs: number;
};

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export const DEFAULT_CONFIG_FILE = "/etc/vnetd/vnetd.toml";

// Limits protect the host's memory: an entry is below 100 octets, so one vnet stays below 100 MB.
const TABLE_ENTRIES_MAX = 1_048_576;
// At a million packets a second every announced SA, ten seconds, is followed by the next one.
const REKEY_PACKETS_MIN = 1_000;
/**
 * A MAC in use is asked for after half its time, as soon as its turn comes, which may take 4 s
 * (native/path/worker-context.h); then there must be time for an answer.
 */
const TTL_SECONDS_MIN = 10;
const TTL_SECONDS_MAX = 86_400;

const path = z.string().min(1);
const tableLimit = z.int().min(16).max(TABLE_ENTRIES_MAX);

/** The keys of vnetd.toml. */
export const settingsSchema = z
  .strictObject({
    "state-dir": path.default("/var/lib/vnetd"),
    "key-dir": path.default("/etc/vnetd/keys"),
    "run-dir": path.default("/run/vnetd"),
    "ovs-run-dir": path.default("/var/run/openvswitch"),
    "policy-dir": path.default("/etc/vnetd"),
    "vif-pattern": z
      .string()
      .transform(reading(parsePattern))
      .default(/^(vif|tap|vnet)[0-9]/),
    "trust-vm-data": z.boolean().default(false),
    underlay: z.string().transform(reading(parseUnderlay)).default({ kind: "automatic" }),
    port: z.int().min(1).max(65_535).default(1798),
    multicast: z.boolean().default(true),
    "mcast-group": z
      .string()
      .transform(reading(parseGroup))
      .default("224.10.0.1" as IpAddress),
    "mcast-ttl": z.int().min(1).max(255).default(1),
    file: path.nullable().default(null),
    metrics: z.string().transform(reading(parseEndpoint)).nullable().default(null),
    "status-page": z.boolean().default(false),
    "log-level": z.enum(LOG_LEVELS).default("info"),
    "log-format": z.enum(["text", "json"]).nullable().default(null),
    "stop-dataplane": z.boolean().default(false),
    dataplane: path.nullable().default(null),
    "dataplane-service": z.boolean().default(false),
    user: z.string().min(1).nullable().default(null),
    "tap-offload": z.boolean().default(true),
    "udp-gso": z.boolean().default(true),
    "udp-gro": z.boolean().default(true),
    "rekey-packets": z.int().min(REKEY_PACKETS_MIN).max(REKEY_PACKETS).default(REKEY_PACKETS),
    "fdb-limit": tableLimit.default(131_072),
    "vif-limit": tableLimit.default(4_096),
    "fdb-ttl": z
      .int()
      .min(TTL_SECONDS_MIN, `at least ${TTL_SECONDS_MIN}, or MACs in use would be forgotten`)
      .max(TTL_SECONDS_MAX)
      .default(60),
  })
  .readonly();

/**
 * Joins the settings of the file and of the command line; both are checked whole.
 *
 * @throws ConfigError naming the key and the value
 */
export function readConfig(options: {
  /** Null: the default file, which need not exist. */
  readonly configFile: string | null;
  readonly settings: RawSettings;
}): Config {
  const file = readConfigFile(options.configFile);
  check(file.settings, `${file.path}: `, (key) => JSON.stringify(key));
  const settings = check({ ...file.settings, ...options.settings }, "", (key) => `--${key}`);
  requireLoopback(settings);
  return Object.freeze({
    stateDirectory: settings["state-dir"],
    keyDirectory: settings["key-dir"],
    runDirectory: settings["run-dir"],
    ovsRunDirectory: settings["ovs-run-dir"],
    policyDirectory: settings["policy-dir"],
    vifPattern: settings["vif-pattern"],
    trustVmData: settings["trust-vm-data"],
    underlay: settings.underlay,
    udpPort: settings.port,
    multicast: settings.multicast,
    multicastGroup: settings["mcast-group"],
    multicastTtl: settings["mcast-ttl"],
    startupFile: settings.file,
    metrics: settings.metrics,
    statusPage: settings["status-page"],
    logLevel: settings["log-level"],
    logFormat: settings["log-format"],
    stopDataplane: settings["stop-dataplane"],
    dataplane: settings.dataplane,
    dataplaneService: settings["dataplane-service"],
    user: settings.user,
    tapOffload: settings["tap-offload"],
    udpSegmentation: settings["udp-gso"],
    udpCoalescing: settings["udp-gro"],
    rekeyPackets: settings["rekey-packets"],
    fdbLimit: settings["fdb-limit"],
    vifLimit: settings["vif-limit"],
    fdbTtlMs: settings["fdb-ttl"] * 1_000,
  });
}

function readConfigFile(named: string | null): { path: string; settings: RawSettings } {
  const file = named ?? DEFAULT_CONFIG_FILE;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (named === null && (code === "ENOENT" || code === "ENOTDIR")) {
      return { path: file, settings: {} };
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot read configuration file ${file}: ${why}`, { cause });
  }
  try {
    const settings = Object.entries(parseToml(text)).map(([key, value]) => {
      return [ALIASES[key] ?? key, value] as const;
    });
    return { path: file, settings: Object.fromEntries(settings) };
  } catch (cause) {
    if (cause instanceof TomlError) {
      const [why] = cause.message.split("\n");
      throw new ConfigError(`${file}:${cause.line}:${cause.column}: ${why}`, { cause });
    }
    throw cause;
  }
}

/** The two keys that the documents of policies spell with underscores. */
const ALIASES: Readonly<Record<string, string>> = {
  vif_pattern: "vif-pattern",
  trust_vm_data: "trust-vm-data",
};

function check(
  settings: RawSettings,
  origin: string,
  showKey: (key: string) => string,
): z.infer<typeof settingsSchema> {
  const parsed = settingsSchema.safeParse(settings);
  if (parsed.success) {
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    throw new ConfigError(`${origin}unknown key ${showKey(key)} (${showValue(settings[key])})`);
  }
  const key = String(issue?.path[0] ?? "");
  throw new ConfigError(
    `${origin}${showKey(key)}: ${issue?.message} (${showValue(settings[key])})`,
  );
}

/** The page says of VMs and hosts what is for nobody else, and asks nobody who he is. */
function requireLoopback(settings: z.infer<typeof settingsSchema>): void {
  const { metrics } = settings;
  if (settings["status-page"] && (metrics === null || !isLoopbackIp(metrics.address))) {
    const where = metrics === null ? "none is given" : quoteValue(formatEndpoint(metrics));
    throw new ConfigError(
      `--status-page: it needs --metrics with a loopback address, such as 127.0.0.1:9798 (${where})`,
    );
  }
}

function showValue(value: unknown): string {
  return typeof value === "string" ? quoteValue(value) : (JSON.stringify(value) ?? String(value));
}

function parseUnderlay(text: string): UnderlayChoice {
  if (text === "none") {
    return { kind: "none" };
  }
  if (isIP(text) !== 0) {
    return { kind: "address", address: parseIpAddress(text) };
  }
  return { kind: "device", name: parseInterfaceName(text) };
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new ConfigError("Not a regular expression", { cause });
  }
}

function parseGroup(text: string): IpAddress {
  const group = parseIpAddress(text);
  if (!isMulticastIp(group)) {
    throw new ConfigError("Not a multicast address");
  }
  return group;
}

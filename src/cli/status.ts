/** `vn status`: is this host serving, and with what. */
import type { StatusView } from "../control/api.ts";
import { printSexpr, type SexprText } from "../vnet/sexpr.ts";
import { addOutputOptions, type OutputFormat, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { formatAge, printJson } from "./print.ts";

const EXIT_NOT_SERVING = 1;

export function addStatusCommand(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("status"))
    .description("show the daemon, the data plane, the underlay and Open vSwitch")
    .addHelpText(
      "after",
      "\nExit status: 0 when vnetd serves, 1 when it does not, 3 without vnetd.",
    )
    .examples(
      ["vn status", "one screen"],
      ["until vn status >/dev/null 2>&1; do sleep 0.1; done", "wait for the daemon"],
      ["vn status --json | jq .underlay.addresses", "for a script"],
    )
    .action(async ({ output }: { readonly output: OutputFormat }, command: VnCommand) => {
      const status = await control().status();
      io.stdout(printStatus(status, output));
      if (!status.serving) {
        command.exitStatus = EXIT_NOT_SERVING;
      }
    });
}

function printStatus(status: StatusView, format: OutputFormat): string {
  switch (format) {
    case "json":
      return printJson(status);
    case "sxp":
      return `${printSexpr(["status", ...fieldsOf(status)])}\n`;
    case "table":
      return printScreen(status);
  }
}

/** `(key value)` for every field, lists and objects as their parts. */
function fieldsOf(value: object): readonly SexprText[] {
  return Object.entries(value).map(([key, field]) => [key, ...valuesOf(field)]);
}

function valuesOf(value: unknown): readonly SexprText[] {
  if (Array.isArray(value)) {
    return value.map(String);
  }
  if (typeof value === "object" && value !== null) {
    return fieldsOf(value);
  }
  return value === null ? [] : [String(value)];
}

function printScreen(status: StatusView): string {
  const { dataplane, underlay } = status;
  const isOff = dataplane.state === "off";
  const lines: readonly (readonly [label: string, text: string])[] = [
    ["vnetd", describeDaemon(status)],
    ["data plane", describeDataplane(dataplane)],
    ["underlay", isOff ? "none" : describeUnderlay(underlay)],
    ["multicast", isOff ? "off" : describeMulticast(underlay)],
    ["open vswitch", status.openVswitch.running ? "running" : "not running"],
    ["vif rules", describeVifRules(status.vifRules)],
    ["vnets", String(status.vnetCount)],
    ["vifs", String(status.vifCount)],
    ["peers", String(status.peerCount)],
    ["varp", String(status.varpCount)],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, text]) => `${label.padEnd(width)}  ${text}\n`).join("");
}

function describeDaemon({ serving, version, pid, uptimeMs }: StatusView): string {
  const state = serving ? "serving" : "NOT SERVING";
  return `${state}, version ${version}, pid ${pid}, up ${formatAge(uptimeMs)}`;
}

function describeDataplane(dataplane: StatusView["dataplane"]): string {
  if (dataplane.state === "off") {
    return "off, this host has no overlay";
  }
  const switches = [
    ["tap offload", dataplane.tapOffload],
    ["udp segmentation", dataplane.udpSegmentation],
    ["udp coalescing", dataplane.udpCoalescing],
  ] as const;
  const parts = [
    dataplane.state,
    dataplane.pid === null ? "no process" : `pid ${dataplane.pid}`,
    ...switches.map(([name, on]) => `${name} ${on ? "on" : "off"}`),
    ...(dataplane.error === null ? [] : [`error: ${dataplane.error}`]),
  ];
  return parts.join(", ");
}

function describeVifRules(rules: StatusView["vifRules"]): string {
  const counts = [
    [rules.applied, "applied"],
    [rules.quarantined, "in quarantine"],
    [rules.waiting, "waiting"],
    [rules.failed, "in error"],
  ] as const;
  const parts = [
    rules.bridges.length === 0 ? "no bridge" : `bridges ${rules.bridges.join(" ")}`,
    ...counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`),
    ...(rules.error === null ? [] : [`error: ${rules.error}`]),
  ];
  return parts.join(", ");
}

function describeUnderlay(underlay: StatusView["underlay"]): string {
  const parts = [
    underlay.device ?? "none",
    `mtu ${underlay.mtu}`,
    `udp port ${underlay.udpPort}`,
    underlay.addresses.length === 0 ? "no address" : underlay.addresses.join(" "),
    ...(underlay.error === null ? [] : [`error: ${underlay.error}`]),
  ];
  return parts.join(", ");
}

function describeMulticast(underlay: StatusView["underlay"]): string {
  return underlay.multicastGroup === null
    ? "off"
    : `${underlay.multicastGroup}, ttl ${underlay.multicastTtl}`;
}

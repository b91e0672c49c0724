/** What the host itself shows: files, sockets, links, routes and bridges of Open vSwitch. */
import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { RunProgram } from "../host/child.ts";
import { type Finding, healthy, skipped, wrong } from "./finding.ts";

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

/** That nobody but their owner can read keys. */
export async function checkKeyFiles(keyDirectory: string): Promise<readonly Finding[]> {
  const check = "key-files";
  const directory = await statOrNull(keyDirectory);
  if (directory === null) {
    return [skipped(check, `there are no keys in ${keyDirectory}`)];
  }
  const findings: Finding[] = [];
  if ((directory.mode & OTHERS_WRITE) !== 0) {
    const what = `others can write in ${keyDirectory}`;
    findings.push(wrong(check, "fault", { what, mend: `chmod 700 ${keyDirectory}` }));
  }
  const names = (await readdir(keyDirectory)).filter((name) => name.endsWith(".key"));
  for (const name of names) {
    const path = join(keyDirectory, name);
    const file = await statOrNull(path);
    if (file !== null && (file.mode & OTHERS) !== 0) {
      const mode = (file.mode & 0o777).toString(8);
      const mend = `chmod 600 ${path}; who may have read it knows the key: make another one`;
      findings.push(wrong(check, "fault", { what: `${path} has the mode ${mode}`, mend }));
    }
  }
  const what = `${names.length} key rings that only their owner can read`;
  return findings.length > 0 ? findings : [healthy(check, what)];
}

/** That nobody else has the tunnel's port. */
export async function checkPort(run: RunProgram, udpPort: number): Promise<Finding> {
  const check = "udp-port";
  const stdout = await read(run, "ss", ["-Hulnp", `sport = :${udpPort}`]);
  const names = Array.from(stdout.matchAll(/\(\("([^"]+)",pid=(\d+)/g), ([, name, pid]) => ({
    ...{ name, pid },
  }));
  const other = names.find(({ name }) => name !== "vnet-dp");
  if (other === undefined) {
    return healthy(check, `nobody else has UDP port ${udpPort}`);
  }
  const what = `${other.name} (pid ${other.pid}) has UDP port ${udpPort}`;
  const mend = "end it, or give all hosts of the vnets another port: vnetd --port";
  return wrong(check, "fault", { what, mend });
}

type ListedLink = {
  readonly ifname: string;
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly mcast_snooping?: number; readonly mcast_querier?: number };
  };
};

/** A bridge that looks for listeners and hears of none cuts multicast off after some minutes. */
export async function checkSnooping(run: RunProgram, device: string): Promise<Finding> {
  const check = "igmp-querier";
  const stdout = await read(run, "ip", ["-j", "-d", "link", "show"]);
  const links = JSON.parse(stdout) as readonly ListedLink[];
  const own = links.find(({ ifname }) => ifname === device);
  const bridge = links.find(
    ({ ifname, linkinfo }) =>
      linkinfo?.info_kind === "bridge" && (ifname === device || ifname === own?.master),
  );
  if (bridge === undefined) {
    return skipped(check, `${device} is on no Linux bridge of this host`);
  }
  const { mcast_snooping: snooping = 0, mcast_querier: querier = 0 } =
    bridge.linkinfo?.info_data ?? {};
  if (snooping === 0 || querier === 1) {
    return healthy(check, `bridge ${bridge.ifname} passes multicast`);
  }
  const what = `bridge ${bridge.ifname} snoops IGMP and asks nobody: without a querier in the network multicast ends after minutes`;
  const mend = `ip link set dev ${bridge.ifname} type bridge mcast_querier 1 (or mcast_snooping 0)`;
  return wrong(check, "warning", { what, mend });
}

/** What the kernel knows of the ways to other hosts. */
export async function checkPathMtu(
  run: RunProgram,
  { addresses, mtu }: { readonly addresses: readonly string[]; readonly mtu: number },
): Promise<readonly Finding[]> {
  const check = "path-mtu";
  const findings: Finding[] = [];
  for (const address of addresses) {
    const { exitStatus, stdout } = await run({
      program: "ip",
      args: ["-j", "route", "get", address],
    });
    if (exitStatus !== 0) {
      const mend = "add a route, or take the peer out: vn peer-delete";
      findings.push(wrong(check, "fault", { what: `there is no way to ${address}`, mend }));
      continue;
    }
    const [route] = JSON.parse(stdout) as readonly {
      readonly metrics?: readonly { readonly mtu?: number }[];
    }[];
    const pathMtu = route?.metrics?.find((metric) => metric.mtu !== undefined)?.mtu;
    if (pathMtu !== undefined && pathMtu < mtu) {
      const what = `packets to ${address} may have ${pathMtu} octets, the underlay has ${mtu}`;
      const mend = "mend the link between (often a tunnel or a VPN), or lower the MTU of the vnets";
      findings.push(wrong(check, "warning", { what, mend }));
    }
  }
  if (addresses.length === 0) {
    return [skipped(check, "no other host is known by its address")];
  }
  return findings.length > 0
    ? findings
    : [healthy(check, "no way to a host is below the underlay")];
}

export type ListedBridge = {
  readonly name: string;
  readonly failMode: string | null;
  /** Empty: those that Open vSwitch takes by itself. */
  readonly protocols: readonly string[];
  readonly hasController: boolean;
};

/** The bridges whose VIFs are under rules: pure. */
export function judgeBridges(
  managed: readonly string[],
  bridges: readonly ListedBridge[],
): readonly Finding[] {
  const check = "open-vswitch";
  const findings = managed.flatMap((name): Finding[] => {
    const bridge = bridges.find((one) => one.name === name);
    if (bridge === undefined) {
      const mend = `ovs-vsctl add-br ${name}, or take it out of the policies: vn net-delete ${name}`;
      return [wrong(check, "fault", { what: `there is no bridge ${name}`, mend })];
    }
    const { failMode, protocols, hasController } = bridge;
    const problems: Finding[] = [];
    if (failMode !== "secure") {
      const what = `bridge ${name} passes everything while nobody manages it (fail_mode ${failMode ?? "standalone"})`;
      const mend = `ovs-vsctl set-fail-mode ${name} secure`;
      problems.push(wrong(check, "fault", { what, mend }));
    }
    if (protocols.length > 0 && !protocols.includes("OpenFlow14")) {
      const what = `bridge ${name} does not speak OpenFlow14`;
      const mend = `ovs-vsctl add bridge ${name} protocols OpenFlow14`;
      problems.push(wrong(check, "fault", { what, mend }));
    }
    if (hasController) {
      const what = `bridge ${name} has an SDN controller, which may change the flows of VIFs`;
      const mend = `ovs-vsctl del-controller ${name}, or leave the VIFs of ${name} to it`;
      problems.push(wrong(check, "warning", { what, mend }));
    }
    return problems;
  });
  return findings.length > 0
    ? findings
    : [healthy(check, `${managed.length} bridges are in order`)];
}

/** @throws ProgramError, SyntaxError */
export async function listOvsBridges(
  run: RunProgram,
  ovsRunDirectory: string,
): Promise<readonly ListedBridge[]> {
  const columns = "--columns=name,fail_mode,protocols,controller";
  const database = `--db=unix:${join(ovsRunDirectory, "db.sock")}`;
  const options = [database, "--timeout=5", "--format=json", columns];
  const stdout = await read(run, "ovs-vsctl", [...options, "list", "Bridge"]);
  const { data } = JSON.parse(stdout) as { readonly data: readonly (readonly unknown[])[] };
  return data.map(([name, failMode, protocols, controller]) => ({
    name: String(name),
    failMode: listOf(failMode)[0] ?? null,
    protocols: listOf(protocols),
    hasController: listOf(controller).length > 0,
  }));
}

/** OVSDB writes a set of one as that one, others as `["set", […]]` (RFC 7047 §5.1). */
function listOf(value: unknown): readonly string[] {
  if (Array.isArray(value) && value[0] === "set") {
    return (value[1] as readonly unknown[]).map(String);
  }
  return [String(value)];
}

/** @throws Error with what the program said, when it fails */
async function read(run: RunProgram, program: string, args: readonly string[]): Promise<string> {
  const { exitStatus, stdout, stderr } = await run({ program, args });
  if (exitStatus !== 0) {
    throw new Error(`${program}: ${stderr.trim().split("\n")[0]}`);
  }
  return stdout;
}

async function statOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

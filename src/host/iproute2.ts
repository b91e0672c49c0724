/**
 * The kernel's links, addresses and routes through iproute2: `ip -json` to look, `ip -batch -` to
 * change. A program start costs 3 ms and a batch of thousands of lines is one start, so a thousand
 * vnets are made in about a second.
 */
import { randomInt } from "node:crypto";
import type { RunProgram } from "./child.ts";
import {
  type BridgeMac,
  type Link,
  type LinkAddress,
  LinkError,
  parseAddresses,
  parseBatchErrors,
  parseBridgeMacs,
  parseLinks,
  parseRoutes,
  plainReason,
} from "./iproute2-listing.ts";

/** The arguments of one `ip` call. */
export type IpCommand = readonly string[];

/** @throws LinkError */
export async function listLinks(run: RunProgram): Promise<Link[]> {
  return parseLinks(await ip(run, ["-json", "-d", "link", "show"]));
}

/**
 * The named links that exist; the others are left out.
 *
 * @throws LinkError
 */
export async function findLinks(run: RunProgram, names: readonly string[]): Promise<Link[]> {
  if (names.length === 0) {
    return [];
  }
  const commands = names.map((name) => ["link", "show", "dev", name]);
  if (!isBatchable(commands)) {
    return (await Promise.all(names.map((name) => findLink(run, name)))).flat();
  }
  const args = ["-json", "-d", "-force", "-batch", "-"];
  const { exitStatus, stdout, stderr } = await run({
    program: "ip",
    args,
    input: formatBatch(commands),
  });
  const failures = parseBatchErrors(stderr);
  const failure = [...failures.values()].find((reason) => !NO_SUCH_DEVICE.test(reason));
  if (failure !== undefined || (exitStatus !== 0 && failures.size === 0)) {
    throw new LinkError(`Cannot list links: ip exited ${exitStatus}: ${plainReason(stderr)}`);
  }
  // Each command prints a list of its own, on a line of its own.
  return stdout.split("\n").flatMap((line) => (line.trim() === "" ? [] : parseLinks(line)));
}

/**
 * The ports of a Linux bridge.
 *
 * @throws LinkError also when `bridge` does not exist
 */
export async function listBridgePorts(run: RunProgram, bridge: string): Promise<Link[]> {
  return parseLinks(await ip(run, ["-json", "-d", "link", "show", "master", bridge]));
}

/**
 * The MACs that a Linux bridge has learned.
 *
 * @throws LinkError also when `bridge` does not exist
 */
export async function listBridgeMacs(run: RunProgram, bridge: string): Promise<BridgeMac[]> {
  const args = ["-json", "fdb", "show", "br", bridge];
  const { exitStatus, stdout, stderr } = await run({ program: "bridge", args });
  if (exitStatus !== 0) {
    throw new LinkError(`Cannot list the MACs of ${bridge}: ${plainReason(stderr)}`);
  }
  return parseBridgeMacs(stdout);
}

/** @throws LinkError */
export async function listAddresses(run: RunProgram): Promise<LinkAddress[]> {
  return parseAddresses(await ip(run, ["-json", "addr", "show"]));
}

/**
 * The device of the default route with the lowest metric, IPv4 before IPv6; null without one.
 *
 * @throws LinkError
 */
export async function defaultRouteDevice(run: RunProgram): Promise<string | null> {
  for (const family of ["-4", "-6"]) {
    const routes = parseRoutes(await ip(run, ["-json", family, "route", "show", "default"]));
    const [best] = routes.toSorted((one, other) => one.metric - other.metric);
    if (best !== undefined) {
      return best.device;
    }
  }
  return null;
}

/**
 * Runs commands in order; one that fails does not keep the others from running.
 *
 * @returns what failed: the command's index in `commands` and the reason
 * @throws LinkError when `ip` fails without naming a command
 */
export async function runBatch(
  run: RunProgram,
  commands: readonly IpCommand[],
): Promise<ReadonlyMap<number, string>> {
  if (commands.length === 0) {
    return new Map();
  }
  if (!isBatchable(commands)) {
    return await runOneByOne(run, commands);
  }
  const { exitStatus, stderr } = await run({
    program: "ip",
    args: ["-force", "-batch", "-"],
    input: formatBatch(commands),
    deadlineMs: BATCH_DEADLINE_MS + commands.length * BATCH_COMMAND_MS,
  });
  const failures = parseBatchErrors(stderr);
  if (exitStatus !== 0 && failures.size === 0) {
    throw new LinkError(`Cannot change links: ip exited ${exitStatus}: ${plainReason(stderr)}`);
  }
  return failures;
}

/**
 * Deletes links. Alone each costs tens of milliseconds, while the kernel waits for every CPU to let
 * go of it; those of one device group go together and wait once. So many are put into a group of
 * their own first.
 *
 * @returns what failed: the name's index in `names` and the reason
 * @throws LinkError when `ip` fails without naming a command
 */
export async function deleteLinks(
  run: RunProgram,
  names: readonly string[],
): Promise<ReadonlyMap<number, string>> {
  const oneByOne = names.map((name) => ["link", "del", "dev", name]);
  if (names.length < GROUP_LINKS_MIN) {
    return await runBatch(run, oneByOne);
  }
  // Drawn at random, so that it is nobody else's, whose links would go too.
  const group = String(randomInt(GROUP_MIN, GROUP_MAX));
  const marked = names.map((name) => ["link", "set", "dev", name, "group", group]);
  const failures = await runBatch(run, marked);
  if (failures.size === names.length) {
    return failures;
  }
  const deletion = await runBatch(run, [["link", "del", "group", group]]);
  return deletion.size === 0 ? failures : await runBatch(run, oneByOne);
}

const GROUP_LINKS_MIN = 4;
// Far above what people number and /etc/iproute2/group names.
const GROUP_MIN = 2 ** 24;
const GROUP_MAX = 2 ** 31;

// Removing a device waits for every CPU to let go of it: tens of milliseconds each.
const BATCH_DEADLINE_MS = 60_000;
const BATCH_COMMAND_MS = 200;
const NO_SUCH_DEVICE = /does not exist|Cannot find device/;

// A batch file has quotes, comments (`#` anywhere) and continued lines; names may have those
// characters, and the kernel takes any octet.
const BATCH_WORD = /^[A-Za-z0-9_.:@+=,-]+$/;

function isBatchable(commands: readonly IpCommand[]): boolean {
  return commands.flat().every((word) => BATCH_WORD.test(word));
}

function formatBatch(commands: readonly IpCommand[]): string {
  return commands.map((words) => `${words.join(" ")}\n`).join("");
}

async function runOneByOne(
  run: RunProgram,
  commands: readonly IpCommand[],
): Promise<ReadonlyMap<number, string>> {
  const failures = new Map<number, string>();
  for (const [index, args] of commands.entries()) {
    const { exitStatus, stderr } = await run({ program: "ip", args });
    if (exitStatus !== 0) {
      failures.set(index, plainReason(stderr));
    }
  }
  return failures;
}

async function findLink(run: RunProgram, name: string): Promise<Link[]> {
  const args = ["-json", "-d", "link", "show", "dev", name];
  const { exitStatus, stdout, stderr } = await run({ program: "ip", args });
  if (exitStatus !== 0 && NO_SUCH_DEVICE.test(stderr)) {
    return [];
  }
  if (exitStatus !== 0) {
    throw new LinkError(`ip ${args.join(" ")} exited ${exitStatus}: ${plainReason(stderr)}`);
  }
  return parseLinks(stdout);
}

async function ip(run: RunProgram, args: readonly string[]): Promise<string> {
  const { exitStatus, stdout, stderr } = await run({ program: "ip", args });
  if (exitStatus !== 0) {
    throw new LinkError(`ip ${args.join(" ")} exited ${exitStatus}: ${plainReason(stderr)}`);
  }
  return stdout;
}

/** What a refused command says, and all that it must leave as it was. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createControlClient } from "../../src/control/client.ts";
import type { Host } from "./lab-host.ts";
import { type Finished, run } from "./programs.ts";

export type Snapshot = {
  readonly links: readonly unknown[];
  /** The names and octets of the state directory. */
  readonly state: Readonly<Record<string, string>>;
  readonly listings: readonly unknown[];
};

/** Of a host whose vnetd runs. */
export async function snapshot(host: Host): Promise<Snapshot> {
  const api = createControlClient(join(host.runDir, "vnetd.sock"));
  const [still, ...listings] = await Promise.all([
    stillSnapshot(host),
    ...[api.listVnets([]), api.listVifs([]), api.listPeers()],
  ]);
  return { ...still, listings };
}

/** Of a host without vnetd. */
export async function stillSnapshot(host: Host): Promise<Omit<Snapshot, "listings">> {
  return { links: await links(host), state: readState(host) };
}

/** Who this host is, and how often it tried to start: no state that anybody asked for. */
const IDENTITY_FILES = ["sender-id", "boot-counter"];

/** Names of the state directory's files, with their octets. */
function readState({ stateDir }: Host): Readonly<Record<string, string>> {
  if (!existsSync(stateDir)) {
    return {};
  }
  const files = readdirSync(stateDir, { withFileTypes: true }).filter(
    ({ name }) => !IDENTITY_FILES.includes(name),
  );
  return Object.fromEntries(
    files.map((file) => [
      file.name,
      file.isFile() ? readFileSync(`${stateDir}/${file.name}`, "latin1") : "a folder",
    ]),
  );
}

async function links({ namespace }: Host): Promise<readonly unknown[]> {
  const text = await run("ip", ["-n", namespace, "-d", "-j", "addr"]);
  const records = JSON.parse(text) as Record<string, unknown>[];
  // Timers of the bridge and lifetimes of addresses run on by themselves.
  return records.map(({ ifindex, ifname, address, mtu, flags, master, ifalias, addr_info }) => ({
    ...{ ifindex, ifname, address, mtu, flags, master, ifalias },
    addresses: (addr_info as { local: string }[]).map(({ local }) => local),
  }));
}

/**
 * One line on standard error, `program: why`, and nothing on standard output.
 *
 * @param error what follows `program: `
 */
export function assertRefused(
  program: string,
  { status, stdout, stderr }: Finished,
  wanted: { readonly status: number; readonly error: string | RegExp },
): void {
  assert.equal(status, wanted.status, stderr);
  assert.equal(stdout, "");
  // What a daemon logged before, in JSON, is no error line.
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  assert.equal(lines.length, 1, stderr);
  const [line = ""] = lines;
  assert.ok(line.startsWith(`${program}: `), stderr);
  const text = line.slice(program.length + 2);
  if (typeof wanted.error === "string") {
    assert.equal(text, wanted.error);
  } else {
    assert.match(text, wanted.error);
  }
}

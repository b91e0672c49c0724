/** Keys of the lab's secure vnets, and what the hosts say of each other. */
import { join } from "node:path";
import { type Lab, REPOSITORY } from "./lab.ts";
import type { Host } from "./lab-host.ts";
import { run } from "./programs.ts";
import { eventually } from "./wait.ts";

/** A new key in the lab's folder, by `vn key-generate`; returns its path. */
export async function newKey(lab: Lab, name: string): Promise<string> {
  const file = join(lab.folder, `${name}.key`);
  await run(join(REPOSITORY, "bin/vn"), ["key-generate", file]);
  return file;
}

type PeerRow = {
  readonly address: string;
  readonly vnets: readonly { readonly vnet: string; readonly state: string }[];
};

/** `10.91.0.2 up`, for every host that `vn peers` shows in this host's secure vnets. */
export async function hostStates(host: Host): Promise<readonly string[]> {
  const rows = await host.vnJson<PeerRow[]>("peers");
  return rows.flatMap(({ address, vnets }) => vnets.map(({ state }) => `${address} ${state}`));
}

/** Waits until every host sees every other one up. */
export async function untilMet(hosts: readonly Host[], deadlineMs = 10_000): Promise<void> {
  for (const host of hosts) {
    const wanted = hosts.filter((other) => other !== host).map(({ address }) => `${address} up`);
    await eventually(
      `${host.name} has met ${wanted.join(", ")}`,
      async () => {
        const states = await hostStates(host);
        return wanted.every((state) => states.includes(state));
      },
      deadlineMs,
    );
  }
}

/** Sealed datagrams whose key came later than they are held, or that found no place to be held. */
export async function missedByLateness(host: Host): Promise<number> {
  const { "drop-esp-no-key": late = 0, "drop-hold-full": full = 0 } = await host.counters();
  return late + full;
}

export type KeyRow = {
  readonly keyId: string;
  readonly active: boolean;
  readonly hostCount: number;
  readonly heldBy: readonly unknown[];
  readonly usedBy: readonly unknown[];
  readonly missingAt: readonly { readonly address: string }[];
};

export async function keysOf(host: Host, vnet: string): Promise<readonly KeyRow[]> {
  return await host.vnJson<KeyRow[]>("vnet-keys", vnet);
}

/** Refused as perhaps opened before: of the vnet, and of what was held, which is counted for no vnet. */
export async function replaysOf(host: Host, vnet: string): Promise<number> {
  const all = [await host.counters(vnet), await host.counters()];
  return all.reduce((sum, counters) => sum + (counters["drop-esp-replay"] ?? 0), 0);
}

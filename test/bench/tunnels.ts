/**
 * The tunnels that are compared, all between the same two hosts and all up at the same time:
 *
 *     VM namespace ── bridge ─ tunnel ─ u1 ════ u1 ─ tunnel ─ bridge ── VM namespace
 *     (a pair for each tunnel)      host a   veth   host b
 *
 * Each tunnel has the settings that suit it best: its own recommended MTU for its VMs, and no
 * cipher where it can do without, because a `none` vnet has none. What `auth` and `conf` add is
 * measured beside them, and beside fastd with the cipher of `conf`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newKey } from "../netns/keys.ts";
import type { Lab } from "../netns/lab.ts";
import { bridgeOf, Host, type Vm } from "../netns/lab-host.ts";
import { run } from "../netns/programs.ts";
import { eventually } from "../netns/wait.ts";

/**
 * `auth` and `conf`: vnets of vnetd with that level, on the same hosts as its `none` vnet.
 * `fastd-gcm`: fastd with its method aes128-gcm, where `fastd` has none.
 */
export const TUNNEL_NAMES = [
  ...(["veth", "vxlan", "vnetd", "auth", "conf", "tinc", "fastd", "fastd-gcm"] as const),
] as const;

export type TunnelName = (typeof TUNNEL_NAMES)[number];

export type Tunnel = {
  readonly name: TunnelName;
  /** What a reader of the table has to know about it. */
  readonly about: string;
  readonly sender: Vm;
  readonly receiver: Vm;
  /** The processes that carry its frames, none when the kernel does. */
  readonly pids: readonly number[];
};

/** The hosts at both ends and a bridge a tunnel: what every tunnel's set-up needs. */
export type Ends = { readonly lab: Lab; readonly hosts: readonly [Host, Host] };

const VXLAN_OVERHEAD_BYTES = 50;
const FASTD_MTU = 1406;
/** The vnet that is measured. */
export const VNET_ID = "97";

export async function makeEnds(lab: Lab): Promise<Ends> {
  const first = await Host.create(lab, "a", []);
  const second = await Host.create(lab, "b", []);
  await run("ip", [
    ...["link", "add", "name", "u1", "netns", first.namespace, "type", "veth"],
    ...["peer", "name", "u1", "netns", second.namespace],
  ]);
  for (const [index, host] of [first, second].entries()) {
    await lab.batch(host.namespace, [
      `addr add ${underlayAddress(index)}/24 dev u1`,
      "link set u1 up",
    ]);
  }
  return { lab, hosts: [first, second] };
}

export async function makeTunnel(name: TunnelName, ends: Ends): Promise<Tunnel> {
  switch (name) {
    case "veth":
      return await makeVeth(ends);
    case "vxlan":
      return await makeVxlan(ends);
    case "vnetd":
      return await makeVnetd(ends);
    case "auth":
      return await makeSecure(ends, { level: "auth", suite: "hmac-sha256-128", network: 6 });
    case "conf":
      return await makeSecure(ends, { level: "conf", suite: "aes128-gcm", network: 7 });
    case "tinc":
      return await makeTinc(ends);
    case "fastd":
      return await makeFastd(ends, { name, method: "null", udpPort: 10_000, network: 5 });
    case "fastd-gcm":
      return await makeFastd(ends, { name, method: "aes128-gcm", udpPort: 10_001, network: 8 });
  }
}

async function makeVeth(ends: Ends): Promise<Tunnel> {
  const [first, second] = ends.hosts;
  await makeBridges(ends, "br-veth");
  await run("ip", [
    ...["link", "add", "name", "wire", "netns", first.namespace, "type", "veth"],
    ...["peer", "name", "wire", "netns", second.namespace],
  ]);
  for (const host of ends.hosts) {
    await ends.lab.batch(host.namespace, ["link set wire master br-veth up"]);
  }
  const vms = await makeVms(ends, "br-veth", 1500, 1);
  return { name: "veth", about: "no tunnel, VM MTU 1500", ...vms, pids: [] };
}

async function makeVxlan(ends: Ends): Promise<Tunnel> {
  await makeBridges(ends, "br-vxlan");
  for (const [index, host] of ends.hosts.entries()) {
    await ends.lab.batch(host.namespace, [
      `link add name vxlan0 type vxlan id 97 dev u1 dstport 4789 local ${underlayAddress(index)} remote ${underlayAddress(1 - index)}`,
      "link set vxlan0 master br-vxlan up",
    ]);
  }
  const mtu = 1500 - VXLAN_OVERHEAD_BYTES;
  const vms = await makeVms(ends, "br-vxlan", mtu, 2);
  return { name: "vxlan", about: `kernel VXLAN, VM MTU ${mtu}`, ...vms, pids: [] };
}

async function makeVnetd(ends: Ends): Promise<Tunnel> {
  const pids = await startDaemons(ends);
  for (const host of ends.hosts) {
    await host.vnet(VNET_ID, "-s", "none");
  }
  const vms = await makeVms(ends, bridgeOf(VNET_ID), 1500, 3);
  return { name: "vnetd", about: "vnetd, level none, VM MTU 1500", ...vms, pids };
}

/** The processes of vnet-dp on both hosts; started by the first tunnel that needs them. */
async function startDaemons(ends: Ends): Promise<number[]> {
  const pids: number[] = [];
  for (const host of ends.hosts) {
    if ((await host.tryVn("status")).status !== 0) {
      // The learned MACs of the scaling runs have to last as long as these.
      await host.start("--fdb-ttl", "3600");
    }
    pids.push(await host.dataplanePid());
  }
  return pids;
}

async function makeSecure(
  ends: Ends,
  {
    level,
    suite,
    network,
  }: { readonly level: "auth" | "conf"; readonly suite: string; readonly network: number },
): Promise<Tunnel> {
  const pids = await startDaemons(ends);
  const key = await newKey(ends.lab, level);
  const id = `a${network}`;
  for (const host of ends.hosts) {
    await host.vnet(id, "-s", level, "--suite", suite, "--key-file", key);
  }
  const vms = await makeVms(ends, bridgeOf(id), 1500, network);
  return { name: level, about: `vnetd, level ${level} (${suite}), VM MTU 1500`, ...vms, pids };
}

async function makeTinc(ends: Ends): Promise<Tunnel> {
  await makeBridges(ends, "br-tinc");
  const folder = (index: number) => join(ends.lab.folder, `tinc${index}`);
  for (const [index] of ends.hosts.entries()) {
    mkdirSync(join(folder(index), "hosts"), { recursive: true });
    const connect = index === 0 ? "" : "ConnectTo = host0\n";
    writeFileSync(
      join(folder(index), "tinc.conf"),
      `Name = host${index}\n${connect}Mode = switch\nDeviceType = tap\nInterface = tinc0\n`,
    );
    writeFileSync(
      join(folder(index), "hosts", `host${index}`),
      `Address = ${underlayAddress(index)}\nCipher = none\nDigest = none\n`,
    );
    writeFileSync(
      join(folder(index), "tinc-up"),
      '#!/bin/sh\nip link set "$INTERFACE" master br-tinc up\n',
      { mode: 0o755 },
    );
    await run("tincd", ["-c", folder(index), "-K", "2048"], { input: "\n\n\n" });
  }
  for (const index of [0, 1]) {
    const other = readFileSync(join(folder(1 - index), "hosts", `host${1 - index}`));
    writeFileSync(join(folder(index), "hosts", `host${1 - index}`), other);
  }
  const pids: number[] = [];
  for (const [index, host] of ends.hosts.entries()) {
    const pidFile = join(folder(index), "pid");
    await ends.lab.in(host.namespace, "tincd", "-c", folder(index), `--pidfile=${pidFile}`);
    pids.push(await readPid(pidFile));
  }
  const vms = await makeVms(ends, "br-tinc", 1500, 4);
  return { name: "tinc", about: "tinc 1.0, switch mode, no cipher, VM MTU 1500", ...vms, pids };
}

async function makeFastd(
  ends: Ends,
  {
    name,
    method,
    udpPort,
    network,
  }: {
    readonly name: TunnelName;
    readonly method: "null" | "aes128-gcm";
    readonly udpPort: number;
    readonly network: number;
  },
): Promise<Tunnel> {
  const bridge = `br-${name}`;
  await makeBridges(ends, bridge);
  const secrets = [await fastdSecret(), await fastdSecret()];
  const pids: number[] = [];
  for (const [index, host] of ends.hosts.entries()) {
    const peerKey = await run("fastd", ["--machine-readable", "--show-key", "--config", "-"], {
      input: `secret "${secrets[1 - index]}";\n`,
    });
    const config = join(ends.lab.folder, `${name}${index}.conf`);
    const pidFile = join(ends.lab.folder, `${name}${index}.pid`);
    writeFileSync(
      config,
      `mode tap;\ninterface "${name}0";\nmtu ${FASTD_MTU};\nmethod "${method}";\n` +
        `bind ${underlayAddress(index)}:${udpPort};\nsecret "${secrets[index]}";\n` +
        `on up "ip link set ${name}0 master ${bridge} up";\n` +
        `peer "other" { key "${peerKey.trim()}"; remote ${underlayAddress(1 - index)} port ${udpPort}; }\n`,
      // It holds the secret.
      { mode: 0o600 },
    );
    // Its daemon keeps the output it is started with: not ours, or we would wait for its end.
    const command = `fastd --config ${config} --daemon --pid-file ${pidFile} --log-level error`;
    await ends.lab.in(host.namespace, "sh", "-c", `${command} >/dev/null 2>&1`);
    pids.push(await readPid(pidFile));
  }
  const vms = await makeVms(ends, bridge, FASTD_MTU, network);
  return { name, about: `fastd, method ${method}, VM MTU ${FASTD_MTU}`, ...vms, pids };
}

async function fastdSecret(): Promise<string> {
  return (await run("fastd", ["--machine-readable", "--generate-key"])).trim();
}

async function readPid(file: string): Promise<number> {
  return await eventually(`a process id in ${file}`, () => Number(readFileSync(file, "utf8")) || 0);
}

async function makeBridges(ends: Ends, bridge: string): Promise<void> {
  for (const host of ends.hosts) {
    await ends.lab.batch(host.namespace, [
      `link add name ${bridge} type bridge mcast_snooping 0`,
      `link set ${bridge} up`,
    ]);
  }
}

/** The pair of VMs of one tunnel, once they reach each other. */
async function makeVms(
  ends: Ends,
  bridge: string,
  mtu: number,
  network: number,
): Promise<Pick<Tunnel, "sender" | "receiver">> {
  const [first, second] = ends.hosts;
  const sender = await first.vmOn(bridge, { address: `10.200.${network}.1/24`, mtu });
  const receiver = await second.vmOn(bridge, { address: `10.200.${network}.2/24`, mtu });
  await eventually(
    `the VMs on ${bridge} reach each other`,
    async () =>
      (await ends.lab.in(sender.namespace, "ping", "-c", "1", "-W", "1", receiver.address)) !== "",
    20_000,
  );
  return { sender, receiver };
}

export function underlayAddress(index: number): string {
  return `10.91.0.${index + 1}`;
}

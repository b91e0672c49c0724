/** One measurement of one tunnel. Every function runs traffic for `seconds` and gives one number. */
import { readFileSync } from "node:fs";
import type { Lab } from "../netns/lab.ts";
import { sendLoad, UdpSink } from "../netns/link-tools.ts";
import { tryRun } from "../netns/programs.ts";
import { eventually } from "../netns/wait.ts";
import type { Tunnel } from "./tunnels.ts";

export type Sample = {
  readonly value: number;
  /** CPU seconds of the tunnel's own processes for each gigabyte they carried. */
  readonly cpuSecondsPerGigabyte?: number;
};

const IPERF_PORT = 5201;
const UDP_PORT = 9;
const TICKS_PER_SECOND = 100; // USER_HZ, fixed in the kernel's interface to programs
const PING_COUNT = 200;

/** Gbit/s of application data, and what it cost. */
export async function measureTcp(
  lab: Lab,
  tunnel: Tunnel,
  streams: number,
  seconds: number,
): Promise<Sample> {
  const cpuBefore = cpuSeconds(tunnel.pids);
  const { sum_received: received } = await iperf(lab, tunnel, [
    ...["-P", `${streams}`, "-t", `${seconds}`],
  ]);
  const cpu = cpuSeconds(tunnel.pids) - cpuBefore;
  return {
    value: received.bits_per_second / 1e9,
    ...(tunnel.pids.length === 0 ? {} : { cpuSecondsPerGigabyte: cpu / (received.bytes / 1e9) }),
  };
}

/** Datagrams a second that arrive while the sender sends all it can. */
export async function measureUdp(tunnel: Tunnel, size: number, seconds: number): Promise<Sample> {
  const sink = await UdpSink.open(tunnel.receiver.namespace, UDP_PORT);
  await sendLoad(
    tunnel.sender.namespace,
    "udp-send",
    ...[tunnel.receiver.address, `${UDP_PORT}`, "--size", `${size}`, "--seconds", `${seconds}`],
  );
  const tally = await sink.stop();
  return { value: tally.seconds > 0 ? tally.received / tally.seconds : 0 };
}

/** Median round trip of an otherwise idle tunnel, in microseconds. */
export async function measurePing(lab: Lab, tunnel: Tunnel): Promise<Sample> {
  const text = await lab.in(
    tunnel.sender.namespace,
    ...(["ping", "-i", "0.002", "-c", `${PING_COUNT}`, tunnel.receiver.address] as const),
  );
  const times = [...text.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1_000);
  return { value: median(times) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

type IperfEnd = {
  readonly sum_received: { readonly bits_per_second: number; readonly bytes: number };
};

async function iperf(lab: Lab, tunnel: Tunnel, args: readonly string[]): Promise<IperfEnd> {
  const server = lab.background(
    tunnel.receiver.namespace,
    "iperf3",
    ...["-s", "-1", "-p", `${IPERF_PORT}`],
  );
  // The server has no way to say that it listens: the client tries until it does. With -J iperf3
  // exits 0 even when it fails; the report says so.
  const report = await eventually(`iperf3 over ${tunnel.name} connects`, async () => {
    const { stdout, stderr } = await tryRun("ip", [
      ...["netns", "exec", tunnel.sender.namespace, "iperf3", "-J", "-c", tunnel.receiver.address],
      ...["-p", `${IPERF_PORT}`, ...args],
    ]);
    const parsed = JSON.parse(stdout || "{}") as { error?: string; end: IperfEnd };
    if (parsed.error !== undefined) {
      throw new Error(`${parsed.error} ${stderr}`);
    }
    return parsed;
  });
  await server;
  return report.end;
}

/** CPU time that processes have used so far, all threads, user and kernel. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // The name may hold spaces: the numbers begin after its closing parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

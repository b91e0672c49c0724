/**
 * What strangers can cost: garbage, and recorded questions of a member, each of which is authentic
 * and asks for an answer that the member gets.
 *
 *     VM ── a ═══ b ── VM      the vnet whose TCP stream is measured
 *           │
 *        stranger              floods a, also in b's name
 */
import { setTimeout as sleep } from "node:timers/promises";
import { tunnelDatagram } from "../netns/frames.ts";
import { hostStates, newKey } from "../netns/keys.ts";
import { Host } from "../netns/lab-host.ts";
import { DatagramPort, sendLoad, sendPackets, Tap } from "../netns/link-tools.ts";
import { run } from "../netns/programs.ts";
import { spoofedDatagram } from "../netns/spoofed.ts";
import { eventually } from "../netns/wait.ts";
import type { Figure } from "./daemon-figures.ts";
import { cpuSeconds, measureTcp, median } from "./measure.ts";
import { type Ends, type Tunnel, underlayAddress } from "./tunnels.ts";

const RATE = 100_000;
const REPEATS = 3;
const TARGET = "10.92.0.1";
const TUNNEL_PORT = 1798;
/** Beside it: a socket that nobody reads. */
const IDLE_PORT = 1799;
const QUESTIONED_VNET = "a9";
/** In an IPv4 packet without options. */
const UDP_PORT_AT = 22;
/** For the answers that are on their way. */
const SETTLE_MS = 500;

/** Sends to that port of the first host for so long; how many datagrams that were. */
type Flood = (udpPort: number, seconds: number) => Promise<number>;

type FloodOptions = {
  readonly tunnel: Tunnel;
  readonly stranger: Host;
  readonly seconds: number;
};

/** A third host, on a link of its own to the first. */
export async function makeStranger(ends: Ends): Promise<Host> {
  const [target] = ends.hosts;
  const stranger = await Host.create(ends.lab, "stranger", []);
  await run("ip", [
    ...["link", "add", "name", "u2", "netns", target.namespace, "type", "veth"],
    ...["peer", "name", "u2", "netns", stranger.namespace],
  ]);
  await ends.lab.batch(target.namespace, [`addr add ${TARGET}/24 dev u2`, "link set u2 up"]);
  await ends.lab.batch(stranger.namespace, ["addr add 10.92.0.2/24 dev u2", "link set u2 up"]);
  const local = { address: TARGET, udpPort: IDLE_PORT };
  const idlePort = await DatagramPort.open(ends.lab, target.namespace, local);
  idlePort.onDatagram = () => undefined;
  return stranger;
}

/** What is left of one TCP stream under garbage from an unknown host. */
export async function measureGarbage(ends: Ends, options: FloodOptions): Promise<Figure[]> {
  const { namespace } = options.stranger;
  const kept = await shareKept(ends, options, async (udpPort, seconds) => {
    const load = ["--rate", `${RATE}`, "--seconds", `${seconds}`];
    return (await sendLoad(namespace, "garbage", TARGET, `${udpPort}`, ...load)).sent;
  });
  const title = "TCP kept under 100,000 datagrams of garbage a second";
  return [{ name: "garbage", title, unit: "%", goal: "≥ 90", value: kept }];
}

/** The same under the second host's questions, sent again in its name; and what they get. */
export async function measureQuestions(ends: Ends, options: FloodOptions): Promise<Figure[]> {
  const [target, victim] = ends.hosts;
  const questions = await recordQuestions(ends);
  const flood: Flood = async (udpPort, seconds) => {
    const packets = questions.map((payload) => {
      const packet = spoofedDatagram(underlayAddress(1), TARGET, payload);
      packet.writeUInt16BE(udpPort, UDP_PORT_AT);
      return packet;
    });
    return (await sendPackets(options.stranger.namespace, packets, { rate: RATE, seconds })).sent;
  };
  // First, while no budget is spent yet: what is answered of the rest is less.
  const daemon = [target.daemonPid];
  const dataplane = [await target.dataplanePid()];
  const cpuOf = () => [cpuSeconds(daemon), cpuSeconds(dataplane)] as const;
  const [daemonBefore, dataplaneBefore] = cpuOf();
  const answeredBefore = await controlOctets(victim);
  const startedAt = performance.now();
  const sent = await flood(TUNNEL_PORT, options.seconds);
  const elapsed = (performance.now() - startedAt) / 1_000;
  const [daemonAfter, dataplaneAfter] = cpuOf();
  await sleep(SETTLE_MS);
  const asked = (sent * questions.reduce((sum, { length }) => sum + length, 0)) / questions.length;
  const answered = (await controlOctets(victim)) - answeredBefore;
  if (answered === 0) {
    throw new Error("no question was answered, so the flood has measured nothing");
  }
  const kept = await shareKept(ends, options, flood);

  const figure = (name: string, title: string, unit: string, goal: string, value: number) => ({
    ...{ name, title, unit, goal, value },
  });
  const percent = (after: number, before: number) => ((after - before) / elapsed) * 100;
  return [
    figure("questions", "TCP kept under 100,000 replayed questions a second", "%", "≥ 90", kept),
    figure("answers", "octets asked for each that was answered", "", "≥ 1", asked / answered),
    figure(
      "questions-vnetd",
      "CPU of vnetd meanwhile",
      "%",
      "< 50",
      percent(daemonAfter, daemonBefore),
    ),
    figure(
      "questions-vnet-dp",
      "CPU of vnet-dp meanwhile",
      "%",
      "< 100",
      percent(dataplaneAfter, dataplaneBefore),
    ),
  ];
}

/** What the second host said when it met the first, whose SA is the same still. */
async function recordQuestions(ends: Ends): Promise<readonly Buffer[]> {
  const [target] = ends.hosts;
  const key = await newKey(ends.lab, "questions");
  const before = await hostStates(target);
  const wire = await Tap.open(ends.lab, target.namespace, "u1");
  for (const host of ends.hosts) {
    await host.vnet(QUESTIONED_VNET, "-s", "conf", "--key-file", key);
  }
  const questions = await eventually("the hosts ask each other", () => {
    const payloads = wire.frames.flatMap(({ frame }) => {
      const { source, payload } = tunnelDatagram(frame) ?? {};
      const isQuestion = source === underlayAddress(1) && payload?.readUInt32BE(0) === 0;
      return isQuestion ? [Buffer.from(payload)] : [];
    });
    return payloads.length > 1 ? payloads : null;
  });
  await eventually("they have met", async () => {
    const states = await hostStates(target);
    return states.length > before.length && states.every((state) => state.endsWith(" up"));
  });
  await wire.close();
  return questions;
}

/** Octets of what a host has got that was no vnet's frame. */
async function controlOctets(host: Host): Promise<number> {
  return (await host.counters())["inbound-datagram-bytes"] ?? 0;
}

/**
 * One TCP stream under the flood, of what it has under the same flood to a port beside the
 * tunnel's, in per cent: the generator costs the machine the most.
 */
async function shareKept(
  ends: Ends,
  { tunnel, seconds }: FloodOptions,
  flood: Flood,
): Promise<number> {
  const throughput = async (udpPort: number) => {
    const flooding = flood(udpPort, seconds + 1);
    const sample = await measureTcp(ends.lab, tunnel, 1, seconds);
    await flooding;
    return sample.value;
  };
  const ratios: number[] = [];
  for (let index = 0; index < REPEATS; index += 1) {
    const beside = await throughput(IDLE_PORT);
    ratios.push((await throughput(TUNNEL_PORT)) / beside);
  }
  return median(ratios) * 100;
}

/** What is not throughput: starting, idling and answering with many vnets. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../netns/lab.ts";
import { Host } from "../netns/lab-host.ts";
import { cpuSeconds, median } from "./measure.ts";

export type Figure = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly goal: string;
  readonly value: number;
};

const VNET_COUNT = 1_000;
const SETTLE_SECONDS = 5;
const IDLE_SECONDS = 10;
const ANSWER_COUNT = 21;

/** One host with 1,000 vnets and their bridges. */
export async function measureDaemon(lab: Lab, say: (line: string) => void): Promise<Figure[]> {
  const host = await Host.create(lab, "many", [await lab.segment()]);
  await host.start("--stop-dataplane");
  const lines = Array.from({ length: VNET_COUNT }, (_, index) => {
    const id = (index + 0x100).toString(16);
    return `(vnet (id ${id}) (bridge vnet${id}) (security none))`;
  });
  const file = join(lab.folder, "many.sxp");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const created = await timed(() => host.vn("vnet-create", file));
  say(`created ${VNET_COUNT} vnets in ${created.toFixed(2)} s`);

  await host.stop();
  const warm = await timed(() => host.start("--stop-dataplane"));
  await host.stop();
  await removeDevices(host);
  const cold = await timed(() => host.start("--stop-dataplane"));

  const pids = [host.daemonPid, await host.dataplanePid()];
  // What the start leaves to do is not idling.
  await sleep(SETTLE_SECONDS * 1_000);
  const before = cpuSeconds(pids);
  await sleep(IDLE_SECONDS * 1_000);
  const idle = ((cpuSeconds(pids) - before) / IDLE_SECONDS) * 100;
  const figure = (name: string, title: string, unit: string, goal: string, value: number) => ({
    ...{ name, title, unit, goal, value },
  });
  return [
    figure("start", "start with 1,000 vnets, devices there", "s", "≤ 5", warm),
    figure("start-cold", "start with 1,000 vnets after a reboot", "s", "≤ 5", cold),
    figure("idle", "CPU of both processes, idle with 1,000 vnets", "%", "< 1", idle),
    figure("vn-status", "vn status", "ms", "≤ 50", await answerMs(host, "status")),
    figure("vn-vnets", "vn vnets, of 1,000", "ms", "≤ 50", await answerMs(host, "vnets")),
  ];
}

async function removeDevices(host: Host): Promise<void> {
  const links = JSON.parse(
    await host.lab.in(host.namespace, "ip", "-json", "link", "show"),
  ) as readonly { ifname: string }[];
  const ours = links.map((link) => link.ifname).filter((name) => /^vn(if|et)/.test(name));
  await host.lab.batch(
    host.namespace,
    ours.map((name) => `link del ${name}`),
  );
}

async function answerMs(host: Host, ...args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < ANSWER_COUNT; index += 1) {
    times.push((await timed(() => host.vn(...args))) * 1_000);
  }
  return median(times);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}

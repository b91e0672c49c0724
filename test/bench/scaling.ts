/** How one TCP stream over vnetd holds while the hosts carry more vnets and know more MACs. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeLegacyFrame } from "../fakes/legacy-messages.ts";
import { DatagramPort } from "../netns/link-tools.ts";
import { eventually } from "../netns/wait.ts";
import { measureTcp, type Sample } from "./measure.ts";
import type { Scaling } from "./report.ts";
import { type Ends, type Tunnel, VNET_ID } from "./tunnels.ts";

export type ScalingOptions = {
  readonly runs: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
};

const VNET_COUNTS = [1, 100, 1_000] as const;
const FDB_COUNTS = [10, 1_000, 100_000] as const;
/** The bench's own vnet is 97; the others begin here. */
const FIRST_EXTRA_VNET = 0x1000;
const UDP_PORT = 1798;
const BURST = 500;
const BURST_PAUSE_MS = 5;

export async function measureVnets(
  ends: Ends,
  tunnel: Tunnel,
  options: ScalingOptions,
): Promise<Scaling[]> {
  const results: Scaling[] = [];
  let made = 1;
  for (const count of VNET_COUNTS) {
    await addVnets(ends, made - 1, count - 1);
    made = count;
    results.push({ what: "vnets", count, samples: await repeat(ends, tunnel, options) });
    options.say(`vnets ${count}: done`);
  }
  return results;
}

/** The MACs are learned in the vnet that is measured. */
export async function measureFdb(
  ends: Ends,
  tunnel: Tunnel,
  options: ScalingOptions,
): Promise<Scaling[]> {
  const results: Scaling[] = [];
  for (const count of FDB_COUNTS) {
    await teach(ends, count);
    results.push({ what: "fdb entries", count, samples: await repeat(ends, tunnel, options) });
    options.say(`fdb entries ${count}: done`);
  }
  return results;
}

async function repeat(ends: Ends, tunnel: Tunnel, options: ScalingOptions): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let index = 0; index < options.runs; index += 1) {
    samples.push(await measureTcp(ends.lab, tunnel, 1, options.seconds));
  }
  return samples;
}

async function addVnets(ends: Ends, from: number, to: number): Promise<void> {
  if (to <= from) {
    return;
  }
  const lines: string[] = [];
  for (let index = from; index < to; index += 1) {
    lines.push(`(vnet (id ${extraVnet(index)}) (security none))`);
  }
  const file = join(ends.lab.folder, "vnets.sxp");
  writeFileSync(file, `${lines.join("\n")}\n`);
  for (const host of ends.hosts) {
    await host.vn("vnet-create", file);
  }
}

/** Frames from that many MACs, each way, until both hosts know them all. */
async function teach(ends: Ends, to: number): Promise<void> {
  for (const [index, host] of ends.hosts.entries()) {
    const learner = ends.hosts[1 - index];
    if (learner === undefined) {
      continue;
    }
    const local = `10.91.0.${index + 1}`;
    const port = await DatagramPort.open(ends.lab, host.namespace, { address: local, udpPort: 0 });
    // All again until all are known: a table that grows, or a full socket buffer, misses some.
    await eventually(
      `${learner.name} knows ${to} MACs`,
      async () => {
        for (let mac = 0; mac < to; mac += 1) {
          port.send(
            `10.91.0.${2 - index}`,
            UDP_PORT,
            encodeLegacyFrame(VNET_ID, frameFrom(index, mac)),
          );
          if (mac % BURST === BURST - 1) {
            await sleep(BURST_PAUSE_MS);
          }
        }
        return (await varpCount(learner)) >= to;
      },
      120_000,
    );
    await port.close();
  }
}

async function varpCount(host: Ends["hosts"][0]): Promise<number> {
  return (await host.vnJson<{ varpCount: number }>("status")).varpCount;
}

/** A frame from the MAC with this number, behind the host of that index, to a MAC nobody has. */
function frameFrom(host: number, mac: number): Buffer {
  const frame = Buffer.alloc(60);
  frame.set([0x02, 0xff, 0, 0, 0, 1], 0);
  frame.set([0x02, 0x10, host], 6);
  frame.writeUIntBE(mac, 9, 3);
  frame.writeUInt16BE(0x88b5, 12); // IEEE 802 local experimental
  return frame;
}

function extraVnet(index: number): string {
  return (FIRST_EXTRA_VNET + index).toString(16);
}

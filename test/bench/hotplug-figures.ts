/** How long a hotplug script's caller waits, with the real daemon and an Open vSwitch of its own. */
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { HotplugHost } from "../netns/hotplug-host.ts";
import { REPOSITORY } from "../netns/lab.ts";
import { run } from "../netns/programs.ts";
import type { Figure } from "./daemon-figures.ts";
import { median } from "./measure.ts";

const CALLS = 40;
const DEVICE = "tap5";

export async function measureHotplug(say: (line: string) => void): Promise<Figure[]> {
  const there = await HotplugHost.create();
  try {
    there.writePolicy("networks/net.json", { bridge: "br0", uplinks: ["uplink"] });
    there.writePolicy("vifs/vif.json", {
      ...{ vif: DEVICE, bridge: "br0", mac: "00:16:3e:00:00:05", ipv4: ["10.0.0.5"] },
    });
    await there.startDaemon();
    await there.plugDevice(DEVICE);
    const script = async (name: string): Promise<number> => {
      const startedAt = performance.now();
      const file = join(REPOSITORY, "scripts", name);
      // "env" gives the script its run directory, and is in the figure with its millisecond.
      await run("env", [`VNETD_RUN_DIR=${there.host.runDir}`, file, DEVICE]);
      return performance.now() - startedAt;
    };
    const calls: number[] = [];
    const plugs: number[] = [];
    for (let call = 0; call < CALLS; call += 1) {
      await script("qemu-ifdown");
      plugs.push(await script("qemu-ifup"));
      calls.push(await script("qemu-ifup"));
    }
    const figures: Figure[] = [
      {
        ...{ name: "hotplug-call", unit: "ms", goal: "≤ 15", value: median(calls) },
        title: "a hotplug script's call about a VIF that is under its policy, start to exit",
      },
      {
        ...{ name: "hotplug-plug", unit: "ms", goal: "–", value: median(plugs) },
        title: "a hotplug script's call that adds the port, locks it and sets its link up",
      },
    ];
    for (const { name, value, unit } of figures) {
      say(`${name}: ${value.toFixed(2)} ${unit}`);
    }
    return figures;
  } finally {
    await there.close();
  }
}

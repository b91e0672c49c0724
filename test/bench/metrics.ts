/** What the bench measures, and what is good. */
import type { Lab } from "../netns/lab.ts";
import { measurePing, measureTcp, measureUdp, type Sample } from "./measure.ts";
import type { Tunnel } from "./tunnels.ts";

export type Metric = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly digits: number;
  readonly measure: (lab: Lab, tunnel: Tunnel, seconds: number) => Promise<Sample>;
};

export const METRICS: readonly Metric[] = [
  {
    name: "tcp1",
    title: "TCP, one stream",
    unit: "Gbit/s",
    better: "more",
    digits: 2,
    measure: (lab, tunnel, seconds) => measureTcp(lab, tunnel, 1, seconds),
  },
  {
    name: "tcp4",
    title: "TCP, four streams",
    unit: "Gbit/s",
    better: "more",
    digits: 2,
    measure: (lab, tunnel, seconds) => measureTcp(lab, tunnel, 4, seconds),
  },
  {
    name: "pps64",
    title: "UDP, 64 bytes",
    unit: "packets/s",
    better: "more",
    digits: 0,
    measure: (_lab, tunnel, seconds) => measureUdp(tunnel, 64, seconds),
  },
  {
    name: "pps1400",
    title: "UDP, 1400 bytes",
    unit: "packets/s",
    better: "more",
    digits: 0,
    measure: (_lab, tunnel, seconds) => measureUdp(tunnel, 1400, seconds),
  },
  {
    name: "ping",
    title: "Ping, median round trip",
    unit: "µs",
    better: "less",
    digits: 0,
    measure: (lab, tunnel) => measurePing(lab, tunnel),
  },
];

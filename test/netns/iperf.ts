/** iperf3 between two VMs of the lab. */
import type { Lab } from "./lab.ts";
import type { Vm } from "./lab-host.ts";
import { eventually } from "./wait.ts";

export type IperfReport = {
  readonly end: {
    readonly sum_sent: { readonly retransmits: number };
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
  };
  readonly intervals: readonly { readonly sum: { readonly bits_per_second: number } }[];
};

export type IperfOptions = {
  readonly from: Vm;
  readonly to: Vm;
  readonly seconds: number;
  /** Further arguments of the client. */
  readonly arguments?: readonly string[];
};

const TCP_PORT = "7200";

/** One TCP stream that runs; `report` comes at its end. */
export class Iperf {
  readonly report: Promise<IperfReport>;
  running = true;

  private constructor(report: Promise<IperfReport>) {
    this.report = report.finally(() => {
      this.running = false;
    });
    // Whoever started it may look at something else first.
    this.report.catch(() => undefined);
  }

  static async start(lab: Lab, options: IperfOptions): Promise<Iperf> {
    const { from, to, seconds } = options;
    const server = lab.background(to.namespace, "iperf3", "-s", "-1", "-p", TCP_PORT);
    await eventually("iperf3 listens", async () =>
      (await lab.in(to.namespace, "ss", "-Hltn", `sport = :${TCP_PORT}`)).includes(TCP_PORT),
    );
    const target = ["-c", to.address, "-p", TCP_PORT, "-t", `${seconds}`, "-J"];
    const client = lab.background(
      from.namespace,
      "iperf3",
      ...target,
      ...(options.arguments ?? []),
    );
    return new Iperf(
      client.then(async ({ status, stdout, stderr }) => {
        if (status !== 0) {
          throw new Error(`iperf3 exited ${status}: ${stderr.trim()} ${stdout}`);
        }
        await server;
        return JSON.parse(stdout) as IperfReport;
      }),
    );
  }
}

export function megabits({ end }: IperfReport): number {
  return Math.round(end.sum_received.bits_per_second / 1e6);
}

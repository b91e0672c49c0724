/** All checks of `vn doctor`, in the order in which to mend. Looks and asks; changes nothing. */
import type { ControlApi } from "../control/api.ts";
import { NoDaemonError } from "../control/client.ts";
import { type RunProgram, runProgram } from "../host/child.ts";
import { checkDaemon, type DaemonViews } from "./daemon-checks.ts";
import { type Finding, skipped, wrong } from "./finding.ts";
import {
  checkKeyFiles,
  checkPathMtu,
  checkPort,
  checkSnooping,
  judgeBridges,
  listOvsBridges,
} from "./host-checks.ts";

export type ExamineOptions = {
  readonly control: Pick<ControlApi, "status" | "listPeers" | "listVarp">;
  /** Left out: the programs of this host. */
  readonly run?: RunProgram;
  readonly keyDirectory: string;
  readonly ovsRunDirectory: string;
};

const VNET_UDP_PORT = 1798;

export async function examine(options: ExamineOptions): Promise<readonly Finding[]> {
  const { run = runProgram, keyDirectory } = options;
  const views = await askDaemon(options.control);
  const { status } = views instanceof NoDaemonError ? { status: null } : views;
  const udpPort = status?.underlay.udpPort ?? VNET_UDP_PORT;
  return [
    ...(views instanceof NoDaemonError ? [noDaemon(views)] : checkDaemon(views)),
    ...(await attempt("key-files", () => checkKeyFiles(keyDirectory))),
    ...(await attempt("udp-port", async () => [await checkPort(run, udpPort)])),
    ...(views instanceof NoDaemonError ? [] : await examineNetwork(options, views)),
  ];
}

async function examineNetwork(
  { run = runProgram, ovsRunDirectory }: ExamineOptions,
  { status, peers }: DaemonViews,
): Promise<readonly Finding[]> {
  const { device, mtu } = status.underlay;
  const { bridges } = status.vifRules;
  const addresses = peers.map(({ address }) => address);
  return [
    ...(device === null || status.underlay.multicastGroup === null
      ? [skipped("igmp-querier", "this host does not use multicast")]
      : await attempt("igmp-querier", async () => [await checkSnooping(run, device)])),
    ...(await attempt("path-mtu", () => checkPathMtu(run, { addresses, mtu }))),
    ...(bridges.length === 0
      ? [skipped("open-vswitch", "no bridge is under rules")]
      : await attempt("open-vswitch", async () =>
          judgeBridges(bridges, await listOvsBridges(run, ovsRunDirectory)),
        )),
  ];
}

async function askDaemon(control: ExamineOptions["control"]): Promise<DaemonViews | NoDaemonError> {
  try {
    const status = await control.status();
    const isUp = status.dataplane.state === "up";
    return {
      status,
      peers: await control.listPeers(),
      varp: isUp ? await control.listVarp([]) : [],
    };
  } catch (error) {
    if (error instanceof NoDaemonError) {
      return error;
    }
    throw error;
  }
}

function noDaemon({ message }: NoDaemonError): Finding {
  const mend = "start vnetd (its log says why it ended); what needs it was not looked at";
  return wrong("daemon", "fault", { what: message, mend });
}

/** What cannot be looked at is said, and no other check suffers. */
async function attempt(
  check: string,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const mend = "install the program, or be root, and ask again";
    return [wrong(check, "warning", { what: `cannot look: ${why}`, mend })];
  }
}

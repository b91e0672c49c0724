/**
 * The daemon, wired: what starts in which order, what listens to what, what stops in which order.
 *
 *     state file ─> desired ─┐                         ┌─> devices (ip, ovs-vsctl)
 *     API socket ─> changes ─┼─> Overlay (reconciler) ─┼─> vnet-dp ─> events ─┐
 *     ip monitor ─> wake ────┘                         └─> Discovery <────────┘
 */
import { hostname } from "node:os";
import { serveMetrics } from "../control/metrics-server.ts";
import { type ControlServer, serveControl } from "../control/server.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { runProgram } from "../host/child.ts";
import { monotonicClock } from "../host/clock.ts";
import { watchLinks } from "../host/link-monitor.ts";
import { resolveHost } from "../host/resolver.ts";
import { findUser } from "../host/users.ts";
import type { EvalRequest } from "../vnet/eval.ts";
import { assemble } from "./assembly.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import type { ControlService } from "./control-service.ts";
import { EventStreams } from "./event-streams.ts";
import { startIdentity } from "./identity.ts";
import type { TapOwner } from "./link-plan.ts";
import type { Log } from "./log.ts";
import { nodeCrypto } from "./node-crypto.ts";
import { linkToSystemd } from "./notify-systemd.ts";
import type { Overlay } from "./overlay.ts";
import { type RunDirectory, takeRunDirectory } from "./run-directory.ts";
import { readStartupFile, runStartupCommands } from "./startup-file.ts";
import { StateFile } from "./state-file.ts";
import { StatusPage } from "./status-page.ts";
import { openVifRules, type VifParts } from "./vif-assembly.ts";

export type Daemon = {
  /** New boot nonces for all secure vnets, as after a machine was copied. */
  renew(): void;
  /** Reads all policies again, and forgets those that were taken away. */
  reload(): Promise<void>;
  /** Clean: nothing of ours is left but devices and, unless it is to end too, vnet-dp. */
  stop(): Promise<void>;
};

export type DaemonOptions = {
  readonly config: Config;
  readonly log: Log;
  /** The file that vnetd itself is; vnet-dp is looked for beside it. */
  readonly programFile: string;
};

const GROUP = "vnetd";
const DATAPLANE_USERS = ["vnetd-dp", "nobody"];
const NAME_REFRESH_MS = 30_000;

/** @throws ConfigError, StateFileError, RunDirectoryError, DataplaneError, LinkError, … */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config } = options;
  const requests = config.startupFile === null ? [] : readStartupFile(config.startupFile);
  const runDirectory = await takeRunDirectory(config.runDirectory);
  try {
    await requireCapabilities(["CAP_NET_ADMIN"]);
    return await startIn(runDirectory, requests, options);
  } catch (error) {
    await runDirectory.release();
    throw error;
  }
}

async function startIn(
  runDirectory: RunDirectory,
  requests: readonly EvalRequest[],
  { config, log, programFile }: DaemonOptions,
): Promise<Daemon> {
  const startedAt = monotonicClock.now();
  const events = new EventStreams();
  const vifs = await openVifRules({ config, log, events, run: runProgram, clock: monotonicClock });
  const stateFile = new StateFile(config.stateDirectory);
  const parts = assemble({
    ...{ config, log, events, programFile, stateFile, resolveHost, vifs },
    dataplaneSocket: runDirectory.dataplaneSocket,
    dataplanePidFile: runDirectory.dataplanePidFile,
    dataplaneServiceFile: runDirectory.dataplaneServiceFile,
    desired: await stateFile.load(),
    owner: await findOwner(config),
    identity: await startIdentity({
      stateDirectory: config.stateDirectory,
      randomBytes: nodeCrypto.randomBytes,
      unixSeconds: () => Date.now() / 1_000,
    }),
    run: runProgram,
    clock: monotonicClock,
  });
  const { overlay, view, dataplane, peers, service } = parts;
  const systemd = linkToSystemd({ run: runProgram, log, environment: process.env });
  const servers: ControlServer[] = [];
  const monitor = followLinks({ overlay, vifs, log });
  const names = setInterval(() => void peers.refreshNames(), NAME_REFRESH_MS);
  const quit = async (endDataplane: boolean): Promise<void> => {
    systemd.close();
    service.stop();
    clearInterval(names);
    monitor.close();
    await Promise.all(servers.map((server) => server.close()));
    await vifs.stop();
    overlay.close();
    // A change that is being made is finished: it may have been acknowledged in a moment.
    await overlay.exclusively(async () => {});
    parts.discovery.close();
    if (endDataplane) {
      parts.secure.stop();
    }
    parts.secure.close();
    await parts.saExports.close();
    await (endDataplane ? dataplane.shutdown() : dataplane.close());
  };
  try {
    // VIFs first: until their flows are there, a switch that was started again passes nothing.
    await vifs.start();
    await Promise.all([view.readAll(), parts.saExports.wipeLeft()]);
    // Devices first: a data plane that runs has them open already, a new one needs them.
    await overlay.reconcile();
    if (config.underlay.kind !== "none") {
      await dataplane.start();
      await overlay.exclusively(async () => {});
    }
    await runStartupCommands(requests, { ...parts, api: service, config, stateFile, log });
    servers.push(
      await serveControl({ socketPath: runDirectory.apiSocket, api: service, log, group: GROUP }),
    );
    servers.push(...(await serveOverTcp({ config, service, log })));
  } catch (error) {
    // A failed start leaves nothing that it started; what carried frames before goes on.
    await quit(config.stopDataplane || dataplane.startedHere);
    throw error;
  }
  await systemd.ready();
  const startMs = Math.round(monotonicClock.now() - startedAt);
  log.info({ vnetCount: overlay.desired.vnets.length, startMs }, "vnetd serves");
  return {
    reload: () => vifs.reload(),
    async stop() {
      await quit(config.stopDataplane);
      await runDirectory.release();
      log.info({}, "vnetd has stopped");
    },
    renew: () => parts.secure.renew(),
  };
}

function followLinks(options: {
  readonly overlay: Overlay;
  readonly vifs: VifParts;
  readonly log: Log;
}): { close(): void } {
  const { overlay, vifs, log } = options;
  return watchLinks({
    onLine: (line) => {
      overlay.wakeFor(line);
      vifs.readLine(line);
    },
    onGap: () => {
      overlay.wake();
      vifs.readLinks();
    },
    onFailure: (why) => log.warn({ code: "VNETD_HOST_FAILED" }, `cannot watch links: ${why}`),
  });
}

/** `/metrics`, and the status page if it was asked for. */
async function serveOverTcp(options: {
  readonly config: Config;
  readonly service: ControlService;
  readonly log: Log;
}): Promise<readonly ControlServer[]> {
  const { config, service, log } = options;
  if (config.metrics === null) {
    return [];
  }
  const { address: host, udpPort: tcpPort } = config.metrics;
  const common = { host, tcpPort, api: service, log };
  if (!config.statusPage) {
    return [await serveMetrics(common)];
  }
  const { now } = monotonicClock;
  const page = new StatusPage({ traffic: service.traffic, hostName: hostname(), now });
  const server = await serveMetrics({ ...common, page });
  return [
    {
      close: async () => {
        page.close();
        await server.close();
      },
    },
  ];
}

async function findOwner(config: Config): Promise<TapOwner> {
  const candidates = config.user === null ? DATAPLANE_USERS : [config.user];
  const owner = await findUser(runProgram, candidates);
  if (owner === null) {
    throw new ConfigError(`No such user: ${candidates.join(", ")} (--user)`);
  }
  return owner;
}

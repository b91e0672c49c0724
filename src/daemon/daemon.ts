/**
 * The daemon, wired: what starts in which order, what listens to what, what stops in which order.
 *
 *     state file ─> desired ─┐                         ┌─> devices (ip, ovs-vsctl)
 *     API socket ─> changes ─┼─> Overlay (reconciler) ─┼─> vnet-dp ─> events ─┐
 *     ip monitor ─> wake ────┘                         └─> Discovery <────────┘
 */
import { type ControlServer, serveControl, serveMetrics } from "../control/server.ts";
import { DataplaneProcess } from "../dataplane/process.ts";
import { findProgram } from "../dataplane/settings.ts";
import { runProgram } from "../host/child.ts";
import { monotonicClock } from "../host/clock.ts";
import { watchLinks } from "../host/link-monitor.ts";
import { OvsVsctl } from "../host/ovs-vsctl.ts";
import { resolveHost } from "../host/resolver.ts";
import { findUser } from "../host/users.ts";
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import type { EvalRequest } from "../vnet/eval.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { ControlService } from "./control-service.ts";
import { Discovery } from "./discovery.ts";
import { HostView } from "./host-view.ts";
import type { TapOwner } from "./link-plan.ts";
import type { Log } from "./log.ts";
import { notifyReady } from "./notify-systemd.ts";
import { Observations } from "./observations.ts";
import { Overlay } from "./overlay.ts";
import { Peers } from "./peers.ts";
import { type RunDirectory, takeRunDirectory } from "./run-directory.ts";
import { readStartupFile, runStartupCommands } from "./startup-file.ts";
import { StateFile } from "./state-file.ts";
import { VnetChanges } from "./vnet-changes.ts";
import { VnetDevices } from "./vnet-devices.ts";

export type Daemon = {
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
const LOG_METHODS = ["debug", "info", "warn", "error"] as const;

/** @throws ConfigError, StateFileError, RunDirectoryError, DataplaneError, LinkError, … */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config } = options;
  const requests = config.startupFile === null ? [] : readStartupFile(config.startupFile);
  const runDirectory = await takeRunDirectory(config.runDirectory);
  try {
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
  const stateFile = new StateFile(config.stateDirectory);
  const parts = assemble({
    config,
    log,
    runDirectory,
    programFile,
    stateFile,
    startedAt,
    desired: await stateFile.load(),
    owner: await findOwner(config),
  });
  const { overlay, view, dataplane, peers, service } = parts;
  const servers: ControlServer[] = [];
  const monitor = watchLinks({
    onLine: (line) => overlay.wakeFor(line),
    onGap: () => overlay.wake(),
    onFailure: (why) => log.warn({ code: "VNETD_HOST_FAILED" }, `cannot watch links: ${why}`),
  });
  const names = setInterval(() => void peers.refreshNames(), NAME_REFRESH_MS);
  const quit = async (): Promise<void> => {
    service.stop();
    clearInterval(names);
    monitor.close();
    await Promise.all(servers.map((server) => server.close()));
    overlay.close();
    // A change that is being made is finished: it may have been acknowledged in a moment.
    await overlay.exclusively(async () => {});
    parts.discovery.close();
    await (config.stopDataplane ? dataplane.shutdown() : dataplane.close());
  };
  try {
    await view.readAll();
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
    if (config.metrics !== null) {
      const { address: host, udpPort: tcpPort } = config.metrics;
      servers.push(await serveMetrics({ host, tcpPort, api: service, log }));
    }
  } catch (error) {
    await quit();
    throw error;
  }
  await notifyReady(runProgram, log);
  const startMs = Math.round(monotonicClock.now() - startedAt);
  log.info({ vnetCount: overlay.desired.vnets.length, startMs }, "vnetd serves");
  return {
    async stop() {
      await quit();
      await runDirectory.release();
      log.info({}, "vnetd has stopped");
    },
  };
}

type Parts = {
  readonly overlay: Overlay;
  readonly view: HostView;
  readonly discovery: Discovery;
  readonly dataplane: DataplaneProcess;
  readonly peers: Peers;
  readonly vnetChanges: VnetChanges;
  readonly service: ControlService;
};

function assemble(
  options: DaemonOptions & {
    readonly runDirectory: RunDirectory;
    readonly stateFile: StateFile;
    readonly desired: Overlay["desired"];
    readonly owner: TapOwner;
    readonly startedAt: number;
  },
): Parts {
  const { config, log, runDirectory, stateFile, owner, startedAt } = options;
  const now = (): number => monotonicClock.now();
  const ovs = new OvsVsctl(runProgram, config.ovsRunDirectory);
  const view = new HostView(runProgram);
  const devices = new VnetDevices({ run: runProgram, ovs, owner });
  const discovery: Discovery = new Discovery({
    udpPort: config.udpPort,
    clock: monotonicClock,
    // Without a data plane there is nobody to tell, and a new one starts from the desired state.
    send: (effects) => {
      dataplane.client?.apply(effects).then(
        (failures) => {
          for (const { command, error } of failures) {
            log.debug({ command: command.kind, errno: error.errno }, error.message);
          }
        },
        (error: unknown) => log.debug({ err: error }, "discovery was cut off from the data plane"),
      );
    },
  });
  const overlay = new Overlay({
    ...{ config, view, devices, discovery, log, now },
    desired: options.desired,
  });
  const observations = new Observations({ overlay, discovery, run: runProgram, ovs });
  const dataplane: DataplaneProcess = new DataplaneProcess({
    settings: {
      program: config.dataplane ?? findProgram(options.programFile),
      socketPath: runDirectory.dataplaneSocket,
      pidFile: runDirectory.dataplanePidFile,
      user: owner.name,
      udpPort: config.udpPort,
      tapOffload: config.tapOffload,
      udpSegmentation: config.udpSegmentation,
      udpCoalescing: config.udpCoalescing,
    },
    log,
    onConnected: (client) => {
      observations.setOffloads(null);
      void overlay.connected(client);
    },
    onLost: () => overlay.disconnected(),
    onEvent: (event) => handleEvent(event, { overlay, discovery, observations, log }),
  });
  const peers = new Peers({ overlay, stateFile, resolveHost, log, udpPort: config.udpPort });
  const vnetChanges = new VnetChanges({ overlay, devices, view, stateFile, log });
  const service = new ControlService({
    ...{ config, overlay, vnetChanges, peers, stateFile, observations, startedAt, now },
    process: dataplane,
    run: runProgram,
  });
  return { overlay, view, discovery, dataplane, peers, vnetChanges, service };
}

function handleEvent(
  event: DataplaneEvent,
  {
    overlay,
    discovery,
    observations,
    log,
  }: {
    readonly overlay: Overlay;
    readonly discovery: Discovery;
    readonly observations: Observations;
    readonly log: Log;
  },
): void {
  switch (event.kind) {
    case "tap-lost":
      log.warn(
        { vnetif: event.deviceName, errno: event.error },
        "a vnet interface was lost, it is made anew",
      );
      overlay.tapLost(event.vnet);
      break;
    case "events-lost":
      log.warn({ count: event.count }, "events of the data plane were lost, its tables are read");
      overlay.eventsLost().catch((error: unknown) => {
        log.warn({ err: error }, "cannot read the data plane's tables");
      });
      break;
    case "log":
      log[LOG_METHODS[event.level] ?? "error"]({ from: "vnet-dp" }, event.text);
      break;
    case "offload-changed":
      log.warn({ ...event }, "an offload failed and was switched off");
      observations.setOffloads(event);
      break;
    default:
      discovery.handle(event);
  }
}

async function findOwner(config: Config): Promise<TapOwner> {
  const candidates = config.user === null ? DATAPLANE_USERS : [config.user];
  const owner = await findUser(runProgram, candidates);
  if (owner === null) {
    throw new ConfigError(`No such user: ${candidates.join(", ")} (--user)`);
  }
  return owner;
}

/** The parts of the daemon, made and joined; nothing runs yet. */
import { DataplaneProcess } from "../dataplane/process.ts";
import { findProgram } from "../dataplane/settings.ts";
import type { RunProgram } from "../host/child.ts";
import type { Clock } from "../host/clock.ts";
import { OvsVsctl } from "../host/ovs-vsctl.ts";
import type { ResolveHost } from "../host/resolver.ts";
import type { DataplaneEvent } from "../vnet/dataplane-messages.ts";
import type { DesiredState } from "../vnet/desired-state.ts";
import type { Config } from "./config.ts";
import { ControlService } from "./control-service.ts";
import { Discovery } from "./discovery.ts";
import { HostView } from "./host-view.ts";
import type { TapOwner } from "./link-plan.ts";
import type { Log } from "./log.ts";
import { Observations } from "./observations.ts";
import { Overlay } from "./overlay.ts";
import { Peers } from "./peers.ts";
import type { StateFile } from "./state-file.ts";
import { VnetChanges } from "./vnet-changes.ts";
import { VnetDevices } from "./vnet-devices.ts";

export type Parts = {
  readonly overlay: Overlay;
  readonly view: HostView;
  readonly discovery: Discovery;
  readonly dataplane: DataplaneProcess;
  readonly peers: Peers;
  readonly vnetChanges: VnetChanges;
  readonly service: ControlService;
};

export type AssemblyOptions = {
  readonly config: Config;
  readonly log: Log;
  /** The file that vnetd itself is; vnet-dp is looked for beside it. */
  readonly programFile: string;
  readonly dataplaneSocket: string;
  readonly dataplanePidFile: string;
  readonly stateFile: StateFile;
  readonly desired: DesiredState;
  readonly owner: TapOwner;
  /** The edge: programs, names and time. */
  readonly run: RunProgram;
  readonly resolveHost: ResolveHost;
  readonly clock: Clock;
};

export function assemble(options: AssemblyOptions): Parts {
  const { config, log, stateFile, owner, run, resolveHost, clock } = options;
  const now = (): number => clock.now();
  const ovs = new OvsVsctl(run, config.ovsRunDirectory);
  const view = new HostView(run);
  const devices = new VnetDevices({ run, ovs, owner });
  const discovery: Discovery = new Discovery({
    udpPort: config.udpPort,
    clock,
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
  const observations = new Observations({ overlay, discovery, run, ovs });
  const dataplane: DataplaneProcess = new DataplaneProcess({
    settings: {
      program: config.dataplane ?? findProgram(options.programFile),
      socketPath: options.dataplaneSocket,
      pidFile: options.dataplanePidFile,
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
    ...{ config, overlay, vnetChanges, peers, stateFile, observations, now },
    startedAt: now(),
    process: dataplane,
    run,
  });
  return { overlay, view, discovery, dataplane, peers, vnetChanges, service };
}

const LOG_METHODS = ["debug", "info", "warn", "error"] as const;

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

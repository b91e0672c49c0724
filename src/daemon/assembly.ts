/** The parts of the daemon, made and joined; nothing runs yet. */
import { dirname } from "node:path";
import { DataplaneProcess } from "../dataplane/process.ts";
import { findProgram } from "../dataplane/settings.ts";
import type { RunProgram } from "../host/child.ts";
import type { Clock } from "../host/clock.ts";
import { OvsVsctl } from "../host/ovs-vsctl.ts";
import type { ResolveHost } from "../host/resolver.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { DesiredState } from "../vnet/desired-state.ts";
import { Captures } from "./captures.ts";
import type { Config } from "./config.ts";
import { ControlService } from "./control-service.ts";
import { handleDataplaneEvent } from "./dataplane-events.ts";
import { Discovery } from "./discovery.ts";
import { DropWatch } from "./drop-watch.ts";
import type { EventStreams } from "./event-streams.ts";
import { HostView } from "./host-view.ts";
import { type Identity, storeSenderId } from "./identity.ts";
import { KeyRings } from "./key-rings.ts";
import type { TapOwner } from "./link-plan.ts";
import type { Log } from "./log.ts";
import { Observations } from "./observations.ts";
import { Overlay } from "./overlay.ts";
import { OverlayWatch } from "./overlay-watch.ts";
import { Peers } from "./peers.ts";
import { SaExports } from "./sa-export.ts";
import { sealVarp } from "./sealed-discovery.ts";
import { SecureVnets } from "./secure-vnets.ts";
import type { StateFile } from "./state-file.ts";
import type { VifParts } from "./vif-assembly.ts";
import { VnetChanges } from "./vnet-changes.ts";
import { VnetDevices } from "./vnet-devices.ts";

export type Parts = {
  readonly overlay: Overlay;
  readonly view: HostView;
  readonly discovery: Discovery;
  readonly secure: SecureVnets;
  readonly saExports: SaExports;
  readonly dataplane: DataplaneProcess;
  readonly peers: Peers;
  readonly vnetChanges: VnetChanges;
  readonly service: ControlService;
};

export type AssemblyOptions = {
  readonly config: Config;
  readonly log: Log;
  readonly events: EventStreams;
  /** The file that vnetd itself is; vnet-dp is looked for beside it. */
  readonly programFile: string;
  readonly dataplaneSocket: string;
  readonly dataplanePidFile: string;
  readonly dataplaneServiceFile: string;
  readonly stateFile: StateFile;
  readonly desired: DesiredState;
  readonly identity: Identity;
  readonly owner: TapOwner;
  readonly vifs: VifParts;
  /** The edge: programs, names and time. */
  readonly run: RunProgram;
  readonly resolveHost: ResolveHost;
  readonly clock: Clock;
};

export function assemble(options: AssemblyOptions): Parts {
  const { config, log, events, stateFile, owner, run, resolveHost, clock } = options;
  const now = (): number => clock.now();
  const ovs = new OvsVsctl(run, config.ovsRunDirectory);
  const view = new HostView(run);
  const keyRings = new KeyRings(config.keyDirectory);
  const devices = new VnetDevices({ run, ovs, owner });
  const isSecure = (vnet: VnetId): boolean => secure.has(vnet) || overlay.isSecure(vnet);
  const secure: SecureVnets = new SecureVnets({
    ...{ clock, log, events, identity: options.identity, rekeyPackets: config.rekeyPackets },
    client: () => dataplane.client,
    storeSenderId: (senderId) => {
      storeSenderId(config.stateDirectory, senderId).catch((error: unknown) => {
        log.error({ err: error }, "cannot write down this host's new sender id");
      });
    },
  });
  const captures = new Captures({ client: () => dataplane.client, log });
  const discovery: Discovery = new Discovery({
    udpPort: config.udpPort,
    ...{ clock, events },
    // Without a data plane there is nobody to tell, and a new one starts from the desired state.
    send: (effects) => {
      dataplane.client?.apply(sealVarp(effects, isSecure)).then(
        (failures) => {
          for (const { command, error } of failures) {
            log.debug({ command: command.kind, errno: error.errno }, error.message);
          }
        },
        (error: unknown) => log.debug({ err: error }, "discovery was cut off from the data plane"),
      );
    },
  });
  const overlay: Overlay = new Overlay({
    ...{ config, view, devices, discovery, keyRings, secure, log, now },
    desired: options.desired,
  });
  const observations = new Observations({ overlay, discovery, secure, run, ovs });
  const dataplane: DataplaneProcess = new DataplaneProcess({
    settings: {
      program: config.dataplane ?? findProgram(options.programFile),
      socketPath: options.dataplaneSocket,
      pidFile: options.dataplanePidFile,
      serviceFile: config.dataplaneService ? options.dataplaneServiceFile : null,
      user: owner.name,
      udpPort: config.udpPort,
      tapOffload: config.tapOffload,
      udpSegmentation: config.udpSegmentation,
      udpCoalescing: config.udpCoalescing,
    },
    log,
    onConnected: (client) => {
      observations.connected();
      void overlay.connected(client).then(() => captures.connected());
    },
    onLost: () => overlay.disconnected(),
    onEvent: (event) =>
      handleDataplaneEvent(event, {
        overlay,
        discovery,
        secure,
        captures,
        observations,
        isSecure,
        log,
      }),
  });
  new OverlayWatch({ overlay, dataplane, events });
  new DropWatch({ events, log, observations, vifs: options.vifs });
  const peers = new Peers({ overlay, stateFile, resolveHost, log, udpPort: config.udpPort });
  const vnetChanges = new VnetChanges({ overlay, devices, view, stateFile, keyRings, log });
  const saExports: SaExports = new SaExports({
    ...{ runDirectory: dirname(options.dataplaneSocket), log },
    listSas: (vnet) => secure.listSas(vnet),
  });
  const service = new ControlService({
    ...{ config, overlay, vnetChanges, peers, stateFile, keyRings, observations, log, now },
    vifs: options.vifs,
    startedAt: now(),
    listHolders: () => secure.listKeys(),
    listDuplicates: () => discovery.listDuplicates(null).map(({ vnet, mac }) => ({ vnet, mac })),
    ...{ saExports, captures, events, run },
    process: dataplane,
  });
  return { overlay, view, discovery, secure, saExports, dataplane, peers, vnetChanges, service };
}

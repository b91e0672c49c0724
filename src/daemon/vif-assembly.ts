/** The parts that keep VIFs under their policies, made and joined; nothing runs yet. */
import type { VifRulesStatus } from "../control/api.ts";
import type { LibvirtApi } from "../control/libvirt-api.ts";
import type { RunProgram } from "../host/child.ts";
import type { Clock } from "../host/clock.ts";
import { OvsVsctl } from "../host/ovs-vsctl.ts";
import { openSwitchDatabase } from "../host/ovsdb-switch-database.ts";
import { superviseBridge } from "../host/supervised-bridge.ts";
import { KeptDocuments } from "../metadata/kept-documents.ts";
import { LibvirtSource } from "../metadata/libvirt-source.ts";
import type { PolicySource } from "../metadata/source.ts";
import { OUR_COOKIES } from "../vifrules/cookie.ts";
import type { Config } from "./config.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Histogram } from "./histogram.ts";
import { HostAddresses } from "./host-addresses.ts";
import { LibvirtHook } from "./libvirt-hook.ts";
import type { Log } from "./log.ts";
import { VifDrops } from "./vif-drops.ts";
import { VifExplainer } from "./vif-explainer.ts";
import { FlowPlanner } from "./vif-flows.ts";
import { VifLinks } from "./vif-links.ts";
import { nameOf } from "./vif-plan.ts";
import { VifPolicyChanges } from "./vif-policy-changes.ts";
import { VifPolicyStore } from "./vif-policy-store.ts";
import { VifReconciler } from "./vif-reconciler.ts";
import { VifRelease } from "./vif-release.ts";
import { VifRules } from "./vif-rules.ts";
import { openVifSources } from "./vif-sources.ts";
import { type CountedVif, judgeVif, NO_COUNTS } from "./vif-views.ts";
import { VifWatch } from "./vif-watch.ts";

export type VifAssemblyOptions = {
  readonly config: Pick<Config, "ovsRunDirectory" | "vifPattern">;
  readonly log: Log;
  readonly events: EventStreams;
  readonly store: VifPolicyStore;
  /** Those besides the store. */
  readonly sources: readonly PolicySource[];
  /** The one of them that libvirt's hook tells; left out: none of them, and nobody is asked. */
  readonly libvirt?: LibvirtSource;
  readonly run: RunProgram;
  readonly clock: Clock;
  /** How often what was dropped is logged. @default 5000 */
  readonly dropLogIntervalMs?: number;
};

export type VifParts = {
  readonly rules: VifRules;
  readonly libvirt: LibvirtApi;
  /** Resolves when what is known was applied once, or cannot be for now. */
  start(): Promise<void>;
  /** A line of `ip monitor`. */
  readLine(line: string): void;
  /** Lines were lost. */
  readLinks(): void;
  /** The operator's word that sources are to be read again: SIGHUP. */
  reload(): Promise<void>;
  status(): VifRulesStatus;
  /** What became of the frames of each VIF. */
  countFrames(): Promise<readonly CountedVif[]>;
  readonly passTimes: Histogram;
  stop(): Promise<void>;
};

/** The switch is asked within milliseconds; one that hangs must not keep the daemon from serving. */
const FIRST_PASS_MS_MAX = 2_000;

/**
 * With the policies that were stored, and those that the other sources have now.
 *
 * @throws StateFileError
 */
export async function openVifRules({
  config,
  log,
  events,
  run,
  clock,
}: Pick<VifAssemblyOptions, "log" | "events" | "run" | "clock"> & {
  readonly config: Config;
}): Promise<VifParts> {
  const store = new VifPolicyStore(config.stateDirectory);
  await store.load();
  const { all, libvirt } = await openVifSources(config, log);
  return assembleVifRules({ config, log, events, store, sources: all, libvirt, run, clock });
}

export function assembleVifRules(options: VifAssemblyOptions): VifParts {
  const { config, log, events, store, run, clock } = options;
  const { ovsRunDirectory, vifPattern } = config;
  const libvirt = options.libvirt ?? new LibvirtSource(new KeptDocuments());
  const sources = [store, ...options.sources];
  const links = new VifLinks(run);
  const addresses = new HostAddresses(run);
  const planner = new FlowPlanner((device) =>
    links.get(device) === null ? null : addresses.of(device),
  );
  const reconciler = new VifReconciler({
    ...{ ovsRunDirectory, vifPattern, store, sources, log },
    links,
    openDatabase: openSwitchDatabase,
    supervise: superviseBridge,
    owner: OUR_COOKIES,
    desireFlows: (bridge, context) => planner.desire(bridge, context),
    now: () => clock.now(),
  });
  new VifWatch({ reconciler, events });
  const { dropLogIntervalMs: logIntervalMs } = options;
  const drops = new VifDrops({
    ...{ reconciler, store, log },
    ...(logIntervalMs !== undefined && { logIntervalMs }),
  });
  const rules = new VifRules({
    ...{ reconciler, store, sources, drops },
    changes: new VifPolicyChanges(store, reconciler),
    explainer: new VifExplainer({ reconciler, ovsRunDirectory }),
    release: new VifRelease({ reconciler, store, ovs: new OvsVsctl(run, ovsRunDirectory) }),
  });
  return {
    rules,
    libvirt: new LibvirtHook({ source: libvirt, rules, policies: () => reconciler.policies }),
    start: async () => {
      drops.start();
      await startReconciler(reconciler, { addresses, log });
    },
    readLine: (line) => {
      if (addresses.readLine(line)) {
        reconciler.wake();
      }
      reconciler.readLine(line);
    },
    readLinks: () => {
      readKernel(reconciler, addresses).catch((error: unknown) => {
        log.warn({ err: error }, "cannot list links for VIF rules");
      });
    },
    async reload() {
      await Promise.all(sources.map((source) => source.reload()));
      reconciler.wake();
    },
    status: () => statusOf(reconciler),
    passTimes: reconciler.passTimes,
    async countFrames() {
      const { vifs } = reconciler;
      const counts = await drops.count(vifs);
      return vifs.map((vif) => ({
        name: nameOf(vif),
        isApplied: judgeVif(vif, reconciler).state === "applied",
        counts: counts.get(vif.key) ?? NO_COUNTS,
      }));
    },
    async stop() {
      rules.stop();
      drops.close();
      await reconciler.close();
      for (const source of sources) {
        source.close();
      }
    },
  };
}

async function readKernel(reconciler: VifReconciler, addresses: HostAddresses): Promise<void> {
  await addresses.readAll();
  await reconciler.readLinks();
}

async function startReconciler(
  reconciler: VifReconciler,
  { addresses, log }: { readonly addresses: HostAddresses; readonly log: Log },
): Promise<void> {
  try {
    await readKernel(reconciler, addresses);
  } catch (error) {
    log.warn({ err: error }, "cannot list links for VIF rules");
  }
  reconciler.start();
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(end, FIRST_PASS_MS_MAX);
    const unsubscribe = reconciler.onPass(() => {
      if (reconciler.decided) {
        end();
      }
    });
  });
}

function statusOf(reconciler: VifReconciler): VifRulesStatus {
  const states = reconciler.vifs.map((vif) => judgeVif(vif, reconciler).state);
  const countOf = (wanted: string): number => states.filter((state) => state === wanted).length;
  return {
    bridges: [...reconciler.plan.bridges.keys()],
    applied: countOf("applied"),
    quarantined: countOf("quarantine"),
    waiting: countOf("waiting"),
    failed: countOf("error"),
    error: reconciler.problem,
  };
}

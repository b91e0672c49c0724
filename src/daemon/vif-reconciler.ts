/**
 * Keeps VIFs under their policies. Whatever happens (a policy is set, a port comes or goes, the
 * switch is started again, someone deletes flows) it looks at the whole truth and applies the
 * difference; events only wake it, so one that is lost or doubled does no harm.
 *
 *     sources ─> merge ─┐
 *     OVSDB  ─> view ───┼─> planVifs ─> adopt bridges ─> flows, one bundle a bridge
 *     ip monitor ───────┘                └─> ports: add, make anew (VifPorts)
 */
import type { SwitchDatabase, SwitchDatabaseOptions } from "../host/switch-database.ts";
import type { MergedPolicies } from "../metadata/merge-snapshots.ts";
import type { PolicySource } from "../metadata/source.ts";
import type { CookieMask } from "../openflow/flow.ts";
import { Histogram } from "./histogram.ts";
import { Latest } from "./latest.ts";
import type { Log } from "./log.ts";
import { ProblemLog } from "./problem-log.ts";
import { RetryTimes } from "./retry-times.ts";
import type { ManagedBridge, SuperviseBridge } from "./vif-bridge.ts";
import { type DesireFlows, VifBridges } from "./vif-bridges.ts";
import type { VifLinks } from "./vif-links.ts";
import {
  EMPTY_PLAN,
  type PlannedVif,
  planVifs,
  planWithoutSwitch,
  type VifPlan,
} from "./vif-plan.ts";
import { PolicyMerge } from "./vif-policies.ts";
import type { VifPolicyStore } from "./vif-policy-store.ts";
import { VifPorts } from "./vif-ports.ts";
import { VifRepairs } from "./vif-repairs.ts";

export type VifReconcilerOptions = {
  readonly ovsRunDirectory: string;
  readonly vifPattern: RegExp;
  readonly store: VifPolicyStore;
  /** All of them, the store's too. */
  readonly sources: readonly PolicySource[];
  readonly links: VifLinks;
  readonly openDatabase: (options: SwitchDatabaseOptions) => SwitchDatabase;
  readonly supervise: SuperviseBridge;
  /** Of all flows that are ours. */
  readonly owner: CookieMask;
  readonly desireFlows: DesireFlows;
  readonly log: Log;
  readonly now: () => number;
};

// Everything changes by events; this is for what no event tells.
const VERIFY_INTERVAL_MS = 60_000;
// What a burst of events brings is looked at together.
const WAKE_DELAY_MS = 2;
const WHOLE_PASS = "pass";
/** What is due and cannot be tried now must not be tried all the time. */
const RETRY_DELAY_MS_MIN = 100;
const PASSES_AGAIN_MAX = 2;
const FIRST_WORD_MS_MAX = 1_000;

export class VifReconciler {
  readonly ports: VifPorts;
  readonly passTimes = new Histogram();
  readonly #options: VifReconcilerOptions;
  readonly #passes = new Latest(() => this.#pass());
  readonly #merge: PolicyMerge;
  readonly #bridges: VifBridges;
  readonly #problems: ProblemLog;
  readonly #retries: RetryTimes;
  readonly #repairs: VifRepairs;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: readonly (() => void)[];
  #database: SwitchDatabase | null = null;
  #plan: VifPlan = EMPTY_PLAN;
  #wakeTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #verifyTimer: NodeJS.Timeout | null = null;
  #closed = false;
  #heard: () => void = () => {};

  constructor(options: VifReconcilerOptions) {
    this.#options = options;
    this.#problems = new ProblemLog(options.log);
    this.#retries = new RetryTimes(options.now);
    this.#merge = new PolicyMerge(options.sources);
    this.#bridges = new VifBridges({
      ...{ ...options, problems: this.#problems, retries: this.#retries },
      onWake: () => this.wake(),
    });
    this.ports = new VifPorts({
      links: options.links,
      log: options.log,
      database: () => this.#database,
      plan: () => this.#makePlan(),
      enforce: () => this.settle(),
    });
    this.#repairs = new VifRepairs({
      ...{ ports: this.ports, problems: this.#problems, retries: this.#retries, log: options.log },
      onDone: () => {
        this.#scheduleRetry();
        this.#tell();
      },
    });
    // Whoever changes the store settles, or wakes, by itself: it needs to know what came of it.
    this.#unsubscribe = options.sources
      .filter((source) => source !== options.store)
      .map((source) => source.onChange(() => this.wake()));
  }

  get policies(): MergedPolicies {
    return this.#merge.policies;
  }

  /** What the bridges were given last. */
  get plan(): VifPlan {
    return this.#plan;
  }

  /** All that are known, also while the switch is not to be seen. */
  get vifs(): readonly PlannedVif[] {
    const planned = this.#plan.vifs;
    if (this.problem === null) {
      return [...planned.values()];
    }
    // The plan is of when the switch was seen last, the policies are of now.
    const now = planWithoutSwitch(this.policies);
    const keys = new Set(now.map(({ key }) => key));
    const left = [...planned.values()].filter(({ key, sourced }) => !sourced || keys.has(key));
    return [...left, ...now.filter(({ key }) => !planned.has(key))];
  }

  /** By its key, the name of one of its ports or its iface-id. */
  find(vif: string): PlannedVif | null {
    const { vifs } = this;
    return (
      vifs.find(({ key, ports }) => key === vif || ports.some(({ name }) => name === vif)) ??
      vifs.find(({ name, ifaceId }) => name === vif || ifaceId === vif) ??
      null
    );
  }

  /** Why Open vSwitch cannot be reached; null when it can, or when nobody needs it. */
  get problem(): string | null {
    return this.#database === null || this.#database.view !== null
      ? null
      : (this.#database.failure?.message ?? "Open vSwitch's database does not answer");
  }

  /** Whether what is known was applied, or it is known why it cannot be. */
  get decided(): boolean {
    if (this.#database === null) {
      return true;
    }
    return this.#database.view === null ? this.#database.failure !== null : this.#bridges.decided;
  }

  bridge(name: string): ManagedBridge | null {
    return this.#bridges.get(name);
  }

  /** Why the bridge could not be adopted, or is not reached. */
  bridgeProblem(name: string): string | null {
    return this.#bridges.problemOf(name);
  }

  portProblem(name: string): string | null {
    return this.#repairs.problemOf(name);
  }

  start(): void {
    this.#verifyTimer = setInterval(() => {
      this.#bridges.distrustAll();
      this.wake();
    }, VERIFY_INTERVAL_MS);
    this.wake();
  }

  /** Something may have changed: a pass follows at once. */
  wake(): void {
    this.#heard();
    if (!this.#closed) {
      this.#wakeTimer ??= setTimeout(() => {
        this.#wakeTimer = null;
        void this.settle();
      }, WAKE_DELAY_MS);
    }
  }

  /** A line of `ip monitor`. */
  readLine(line: string): void {
    if (this.#options.links.readLine(line) !== null && this.#database !== null) {
      this.wake();
    }
  }

  /** Lines of `ip monitor` were lost. */
  async readLinks(): Promise<void> {
    await this.#options.links.readAll();
    this.wake();
  }

  /** Resolves after a pass that began after the call; what went wrong is told by the problems. */
  async settle(): Promise<void> {
    await this.#passes.run();
    // Someone else changed flows at the same moment: ours are looked at once more.
    for (let again = 0; again < PASSES_AGAIN_MAX && !this.decided; again += 1) {
      await this.#passes.run();
    }
  }

  /** `listener` is called after every pass, and when a port has been made right. */
  onPass(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#heard();
    for (const timer of [this.#wakeTimer, this.#retryTimer, this.#verifyTimer]) {
      clearTimeout(timer ?? undefined);
    }
    for (const unsubscribe of this.#unsubscribe) {
      unsubscribe();
    }
    await this.#passes.idle();
    this.#closeAll();
  }

  async #pass(): Promise<void> {
    if (this.#closed) {
      return;
    }
    const startedAt = this.#options.now();
    try {
      await this.#reconcile();
      this.#problems.note(WHOLE_PASS, null, {});
      this.#retries.succeed(WHOLE_PASS);
    } catch (error) {
      // The third of the four doors (docs/ARCHITECTURE.md): log once, back off, retry.
      const why = error instanceof Error ? error.message : String(error);
      this.#problems.note(WHOLE_PASS, `cannot apply VIF rules: ${why}`, { err: error });
      this.#retries.fail(WHOLE_PASS);
    }
    this.passTimes.observe(this.#options.now() - startedAt);
    this.#scheduleRetry();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  async #reconcile(): Promise<void> {
    this.#notePolicies();
    if (!this.#isNeeded()) {
      await this.#bridges.letGoAll();
      this.#closeAll();
      return;
    }
    const database = await this.#openDatabase();
    this.#problems.note("Open vSwitch", this.problem, { code: "VNETD_OVS_FAILED" });
    if (database.view === null) {
      return;
    }
    let plan = this.#makePlan();
    if (await this.#bridges.adopt(plan, database)) {
      plan = this.#makePlan();
    }
    await this.#bridges.follow(plan);
    await this.#untilHeard(() => this.#bridges.heard);
    await this.#bridges.enforce(plan, this.policies);
    // Only now: what is judged by it is what the bridges were given.
    this.#plan = plan;
    this.#repairs.begin(plan);
  }

  /** One that is new is given a moment to say something. */
  async #openDatabase(): Promise<SwitchDatabase> {
    if (this.#database !== null) {
      return this.#database;
    }
    const database = this.#options.openDatabase({
      runDirectory: this.#options.ovsRunDirectory,
      onChange: () => this.wake(),
    });
    this.#database = database;
    await this.#untilHeard(() => database.view !== null || database.failure !== null);
    return database;
  }

  /** Waits for what the next events bring, and no longer than a switch may take that hangs. */
  async #untilHeard(isSo: () => boolean): Promise<void> {
    const giveUp = setTimeout(() => this.#heard(), FIRST_WORD_MS_MAX);
    const giveUpAt = this.#options.now() + FIRST_WORD_MS_MAX;
    while (!isSo() && !this.#closed && this.#options.now() < giveUpAt) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    clearTimeout(giveUp);
  }

  #isNeeded(): boolean {
    const { vifs, networks } = this.policies;
    return vifs.length + networks.length + this.#options.store.stored.bridges.length > 0;
  }

  #makePlan(): VifPlan {
    const view = this.#database?.view ?? null;
    const { store, vifPattern } = this.#options;
    return view === null
      ? EMPTY_PLAN
      : planVifs({
          ...{ view, vifPattern, policies: this.policies },
          formerBridges: store.stored.bridges.map(({ bridge }) => bridge),
          reserved: this.ports.reserved,
        });
  }

  #notePolicies(): void {
    for (const { origin, message } of this.#merge.changedProblems()) {
      this.#problems.note(`policy ${origin}`, message, { origin, code: "VNETD_POLICY" });
    }
  }

  #scheduleRetry(): void {
    const at = this.#retries.nextAt();
    clearTimeout(this.#retryTimer ?? undefined);
    if (at !== Number.POSITIVE_INFINITY && !this.#closed) {
      const delayMs = Math.max(RETRY_DELAY_MS_MIN, at - this.#options.now());
      this.#retryTimer = setTimeout(() => this.wake(), delayMs);
    }
  }

  #closeAll(): void {
    this.#bridges.closeAll();
    this.#database?.close();
    this.#database = null;
    this.#plan = EMPTY_PLAN;
  }
}

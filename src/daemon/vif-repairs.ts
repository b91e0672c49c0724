/**
 * Makes right what is wrong with ports of VIFs, beside the passes: a device that hangs holds up its
 * own VIF only.
 */
import type { Log } from "./log.ts";
import type { ProblemLog } from "./problem-log.ts";
import type { RetryTimes } from "./retry-times.ts";
import type { VifPlan } from "./vif-plan.ts";
import type { VifPorts } from "./vif-ports.ts";

export type VifRepairsOptions = {
  readonly ports: VifPorts;
  readonly log: Log;
  readonly problems: ProblemLog;
  readonly retries: RetryTimes;
  /** One repair has ended, well or not. */
  readonly onDone: () => void;
};

export class VifRepairs {
  readonly #options: VifRepairsOptions;
  readonly #failures = new Map<string, string>();

  constructor(options: VifRepairsOptions) {
    this.#options = options;
  }

  /** Why the port is not as it must be. */
  problemOf(name: string): string | null {
    return this.#failures.get(name) ?? null;
  }

  /** Begins what there is to repair, and what is due again. */
  begin(plan: VifPlan): void {
    const { ports, retries, log } = this.#options;
    ports.finishUnplugging().catch((error: unknown) => {
      log.debug({ err: error }, "cannot take off ports that were left behind");
    });
    const wrong = new Set([...plan.vifs.values()].flatMap((vif) => ports.portsToRepair(vif)));
    for (const name of this.#failures.keys()) {
      if (!wrong.has(name)) {
        this.#note(name, null);
      }
    }
    for (const name of wrong) {
      if (retries.isDue(keyOf(name))) {
        void this.#repair(name);
      }
    }
  }

  async #repair(name: string): Promise<void> {
    try {
      await this.#options.ports.repair(name);
      this.#note(name, null);
    } catch (error) {
      this.#note(name, error instanceof Error ? error.message : String(error));
    }
    this.#options.onDone();
  }

  #note(name: string, why: string | null): void {
    const { retries, problems } = this.#options;
    if (why === null) {
      this.#failures.delete(name);
      retries.succeed(keyOf(name));
    } else {
      this.#failures.set(name, why);
      retries.fail(keyOf(name));
    }
    problems.note(keyOf(name), why, { vif: name });
  }
}

function keyOf(name: string): string {
  return `port ${name}`;
}

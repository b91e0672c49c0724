/**
 * One managed bridge: keeps its flows as they are planned, through a connection that comes and goes
 * with the switch. All that a plan changes is one bundle; where the switch refuses that, the parts
 * are tried one by one, so that what is wrong with one VIF keeps no other from its policy.
 */

import { OpenflowError } from "../host/openflow-stream.ts";
import type {
  BridgeEvent,
  FloodPorts,
  SupervisedBridge,
  SupervisedBridgeOptions,
} from "../host/supervised-bridge.ts";
import { callUnixctl } from "../host/unixctl.ts";
import type { CookieMask, FlowMod } from "../openflow/flow.ts";
import type { ListedFlow } from "../openflow/flow-codec.ts";
import { type FlowChange, type FlowSections, OwnedFlows } from "./owned-flows.ts";

export type BridgeDesire = {
  readonly sections: FlowSections;
  /** Where floods of the bridge's own forwarding go, and where they must not. */
  readonly floods: FloodPorts;
  /** Ports behind which the switch may learn any MAC. @default none */
  readonly learning?: readonly number[];
};

/** Opens the connection to a bridge; a test puts its own in the place. */
export type SuperviseBridge = (options: SupervisedBridgeOptions) => SupervisedBridge;

export type ManagedBridgeOptions = {
  readonly name: string;
  readonly runDirectory: string;
  readonly supervise: SuperviseBridge;
  /** All flows that are ours. */
  readonly owner: CookieMask;
  /** Something has happened that asks for `enforce`, or for a word to the operator. */
  readonly onWake: () => void;
};

export class ManagedBridge {
  readonly name: string;
  readonly #options: ManagedBridgeOptions;
  readonly #connection: SupervisedBridge;
  readonly #flows = new OwnedFlows();
  #down: OpenflowError | null = null;
  /** Whether what was desired last is what the bridge has; a run of `enforce` leaves it till its end. */
  #isConfirmed = false;
  /** What the switch was told last of floods; null: not known, or not all of it could be done. */
  #floods: string | null = null;
  /** Ports that floods were kept out of when the flows were changed last. */
  #keptOut: readonly number[] = [];
  /** Null: an earlier daemon may have had others. */
  #learning: readonly number[] | null = null;
  /** Counts what others did: a listing that was under way when they did it is not the truth. */
  #disturbances = 0;
  #failures: ReadonlyMap<string, string> = new Map();

  constructor(options: ManagedBridgeOptions) {
    this.name = options.name;
    this.#options = options;
    this.#connection = options.supervise({
      runDirectory: options.runDirectory,
      bridge: options.name,
      onEvent: (event) => this.#hear(event),
    });
  }

  get up(): boolean {
    return this.#connection.up;
  }

  /** Why it is not up; null when it is, or before the first attempt has ended. */
  get problem(): string | null {
    return this.up ? null : (this.#down?.message ?? null);
  }

  /** What the switch refused, by section. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /** Whether it is known to have the flows it was given last. */
  get settled(): boolean {
    return this.up && this.#isConfirmed;
  }

  /** Someone may have changed flows: they are listed before the next change. */
  distrust(): void {
    this.#disturbances += 1;
    this.#isConfirmed = false;
    this.#flows.forget();
    this.#floods = null;
  }

  /**
   * Brings the bridge to what is desired. What the switch refuses is in `failures` afterwards.
   *
   * @returns how many flow messages that took
   * @throws OpenflowError when there is no connection, or it was lost on the way; JsonRpcError when
   *   the switch cannot be told to forget what it has learned
   */
  async enforce({ sections, floods, learning = [] }: BridgeDesire): Promise<number> {
    const disturbances = this.#disturbances;
    let listed: readonly ListedFlow["installed"][] | null = null;
    if (!this.#flows.known) {
      const flows = await this.#connection.dumpFlows(this.#options.owner);
      listed = flows.map(({ installed }) => installed);
    }
    const change = this.#flows.changeTo(sections, listed);
    // Until the switch has said so, nobody knows which of the two it has.
    this.#flows.forget();
    // Flows hand floods to ports that NORMAL floods into no more; where it will, they still do.
    await this.#keepFloodsOut(before(floods, this.#keptOut));
    const failures = await this.#apply(change);
    this.#failures = failures;
    await this.#keepFloodsOut(floods);
    this.#keptOut = floods.out;
    await this.#forgetLearned(learning, change.mods.length > 0);
    this.#isConfirmed = disturbances === this.#disturbances;
    if (failures.size === 0 && this.#isConfirmed) {
      this.#flows.note(sections);
    }
    return change.mods.length;
  }

  /**
   * The switch sends frames for a MAC where it saw that MAC last, whatever has been said about the
   * port since: what was learned behind a port that was free must not outlive that.
   */
  async #forgetLearned(learning: readonly number[], isChanged: boolean): Promise<void> {
    const former = this.#learning;
    const isLess =
      former === null ? isChanged : former.some((ofport) => !learning.includes(ofport));
    if (isLess) {
      const { runDirectory, name } = this.#options;
      await callUnixctl({ runDirectory, command: "fdb/flush", args: [name] });
    }
    this.#learning = learning;
  }

  /** @throws OpenflowError */
  listFlows(owner: CookieMask): Promise<readonly ListedFlow[]> {
    return this.#connection.dumpFlows(owner);
  }

  /**
   * Takes our flows away.
   *
   * @throws OpenflowError
   */
  async release(): Promise<void> {
    this.#flows.forget();
    await this.#connection.applyBundle([{ kind: "delete-owned", owner: this.#options.owner }]);
  }

  close(): void {
    this.#connection.close();
  }

  async #apply({ mods, parts: split }: FlowChange): Promise<ReadonlyMap<string, string>> {
    let parts: ReturnType<FlowChange["parts"]>;
    try {
      await this.#connection.applyBundle(mods);
      return new Map();
    } catch (error) {
      if (!isRefusal(error)) {
        throw error;
      }
      parts = split();
      if (parts.length === 1) {
        return new Map([[parts[0]?.section ?? "", error.message]]);
      }
    }
    const failures = new Map<string, string>();
    for (const part of parts) {
      const why = await this.#applyPart(part.mods);
      if (why !== null) {
        failures.set(part.section ?? "", why);
      }
    }
    return failures;
  }

  async #applyPart(mods: readonly FlowMod[]): Promise<string | null> {
    try {
      await this.#connection.applyBundle(mods);
      return null;
    } catch (error) {
      if (isRefusal(error)) {
        return error.message;
      }
      throw error;
    }
  }

  async #keepFloodsOut(floods: FloodPorts): Promise<void> {
    const wanted = `${floods.out.join()}/${floods.into.join()}`;
    if (wanted !== this.#floods) {
      const missing = await this.#connection.keepFloodsOut(floods);
      // A port that is about to be added is asked for again once it is there.
      this.#floods = missing.length === 0 ? wanted : null;
    }
  }

  #hear(event: BridgeEvent): void {
    if (event.kind === "up" || event.kind === "flows-changed") {
      this.#down = null;
      this.distrust();
    } else if (event.kind === "down") {
      this.#down = event.error;
      this.distrust();
    } else if (event.kind === "packet-in") {
      return;
    }
    this.#options.onWake();
  }
}

/** What floods may go into while both the former flows and the new ones can be there. */
function before({ out, into }: FloodPorts, formerOut: readonly number[]): FloodPorts {
  const former = new Set(formerOut);
  const still = into.filter((ofport) => former.has(ofport));
  return still.length === 0
    ? { out, into }
    : { out: [...out, ...still], into: into.filter((ofport) => !former.has(ofport)) };
}

function isRefusal(error: unknown): error is OpenflowError {
  return error instanceof OpenflowError && error.reason === "refused";
}

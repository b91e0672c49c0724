/**
 * The flows of one bridge, kept in sight for as long as it is managed: connects, connects again when
 * ovs-vswitchd was restarted, says when others changed flows, and sets the no-flood flags again.
 */

import type { CookieMask, FlowMod } from "../openflow/flow.ts";
import type { ListedFlow } from "../openflow/flow-codec.ts";
import type { PacketIn, PortChange } from "../openflow/message.ts";
import { FloodGuard } from "./flood-guard.ts";
import { type KeptConnection, keepConnected } from "./keep-connected.ts";
import { OpenflowConnection, type OpenflowEvent } from "./openflow-connection.ts";
import { OpenflowError } from "./openflow-stream.ts";

export type BridgeEvent =
  /**
   * Connected, for the first time or again: flows and flags may be gone. Our no-flood flags have
   * been set before this is told.
   */
  | { readonly kind: "up" }
  /** There is no connection; told once, and again when the reason is another. It is tried again. */
  | { readonly kind: "down"; readonly error: OpenflowError }
  /** Someone else changed flows: list them, and repair. */
  | { readonly kind: "flows-changed" }
  | { readonly kind: "port-changed"; readonly change: PortChange }
  | { readonly kind: "packet-in"; readonly packetIn: PacketIn };

/** No port is in both. */
export type FloodPorts = { readonly out: readonly number[]; readonly into: readonly number[] };

export type SupervisedBridge = {
  readonly up: boolean;
  /** @throws OpenflowError `ended` when it is not up */
  dumpFlows(owner: CookieMask): Promise<readonly ListedFlow[]>;
  /** @throws OpenflowError `refused`: nothing was changed */
  applyBundle(mods: readonly FlowMod[]): Promise<void>;
  /**
   * From now on the bridge's own forwarding floods into no port but those of `into`, also after a
   * restart of the switch: a port that is in neither list, because it has just been added, is kept
   * out until a call says otherwise. Of the ports of `into`, flags that someone else has set stay.
   * Returns the ports of `out` that the bridge does not have now.
   *
   * @throws OpenflowError when it cannot be done now; it is tried again at the next connection
   */
  keepFloodsOut(ports: FloodPorts): Promise<readonly number[]>;
  close(): void;
};

export type SupervisedBridgeOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  readonly bridge: string;
  readonly onEvent: (event: BridgeEvent) => void;
  /** For each answer. @default 5000 */
  readonly deadlineMs?: number;
};

const DEADLINE_MS = 5_000;
/** A switch that was restarted forwards nothing until it has flows again: it is looked for often. */
const RECONNECT_MS_MIN = 10;
const RECONNECT_MS_MAX = 250;

/** Connects in the background; `up` or `down` is the first event. */
export function superviseBridge(options: SupervisedBridgeOptions): SupervisedBridge {
  return new Supervision(options);
}

/** Both connections to a bridge: they are made and end together. */
type Connections = {
  readonly flows: OpenflowConnection;
  readonly guard: FloodGuard;
  /** From this side, as if the switch had ended them. */
  abandon(error: Error): void;
  close(): void;
};

class Supervision implements SupervisedBridge {
  readonly #options: SupervisedBridgeOptions;
  readonly #kept: KeptConnection;
  #connections: Connections | null = null;
  #out: readonly number[] = [];
  /** Null: nobody has said yet. */
  #into: ReadonlySet<number> | null = null;
  readonly #flagged = new Set<number>();
  #check: "idle" | "running" | "again" = "idle";

  constructor(options: SupervisedBridgeOptions) {
    this.#options = options;
    this.#kept = keepConnected({
      delayMsMin: RECONNECT_MS_MIN,
      delayMsMax: RECONNECT_MS_MAX,
      connect: (onEnd) => this.#connect(onEnd),
      onUp: (connections) => {
        this.#connections = connections;
        // Ports may have come while the connections were made.
        this.#checkFlags();
        options.onEvent({ kind: "up" });
      },
      onDown: (error) => {
        this.#connections = null;
        options.onEvent({ kind: "down", error: asOpenflowError(error) });
      },
    });
  }

  get up(): boolean {
    return this.#connections !== null;
  }

  dumpFlows(owner: CookieMask): Promise<readonly ListedFlow[]> {
    return this.#connections?.flows.dumpFlows(owner) ?? Promise.reject(this.#notUp());
  }

  applyBundle(mods: readonly FlowMod[]): Promise<void> {
    return this.#connections?.flows.applyBundle(mods) ?? Promise.reject(this.#notUp());
  }

  async keepFloodsOut({ out, into }: FloodPorts): Promise<readonly number[]> {
    this.#out = out;
    this.#into = new Set(into);
    if (this.#connections === null) {
      throw this.#notUp();
    }
    return await this.#connections.guard.keepOut(out);
  }

  close(): void {
    this.#kept.close();
    this.#connections = null;
  }

  async #connect(onEnd: (error: Error) => void): Promise<Connections> {
    const { runDirectory, bridge, deadlineMs = DEADLINE_MS } = this.#options;
    const common = { runDirectory, bridge, deadlineMs };
    let guard: FloodGuard | null = null;
    let flows: OpenflowConnection | null = null;
    const close = (): void => {
      guard?.close();
      flows?.close();
    };
    const abandon = (error: Error): void => {
      close();
      onEnd(error);
    };
    try {
      guard = await FloodGuard.open({
        ...{ ...common, flagged: this.#flagged, onEnd: abandon },
        mayFlood: (ofport) => this.#into?.has(ofport) ?? true,
        onPortChange: () => this.#checkFlags(),
      });
      // Before any flow: NORMAL must not flood where it is not to.
      await guard.keepOut(this.#out);
      flows = await OpenflowConnection.connect({
        ...common,
        onEvent: (event) => this.#tell(event),
        onEnd: (why) => abandon(new OpenflowError("ended", why)),
      });
    } catch (error) {
      close();
      throw error;
    }
    return { flows, guard, abandon, close };
  }

  /** Events before `up` are of no use: whoever hears of that looks at everything. */
  #tell(event: OpenflowEvent): void {
    if (this.#connections !== null) {
      const { onEvent } = this.#options;
      onEvent(event.kind === "flows-changed" ? { kind: "flows-changed" } : event);
    }
  }

  /** A port that was added anew floods, and so does one that someone else has changed. */
  #checkFlags(): void {
    const connections = this.#connections;
    if (connections === null || this.#into === null) {
      return;
    }
    if (this.#check === "idle") {
      this.#runChecks(connections).catch(connections.abandon);
    } else {
      this.#check = "again";
    }
  }

  /** Each looks at all ports: many of them may change while one is under way. */
  async #runChecks({ guard }: Connections): Promise<void> {
    try {
      do {
        this.#check = "running";
        await guard.keepOut(this.#out);
      } while (this.#isCheckDue());
    } finally {
      this.#check = "idle";
    }
  }

  #isCheckDue(): boolean {
    return this.#check === "again";
  }

  #notUp(): OpenflowError {
    return new OpenflowError("ended", `There is no connection to ${this.#options.bridge}`);
  }
}

function asOpenflowError(error: Error): OpenflowError {
  return error instanceof OpenflowError
    ? error
    : new OpenflowError("ended", error.message, { cause: error });
}

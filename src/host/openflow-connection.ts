/**
 * A lasting OpenFlow 1.4 connection to one bridge: lists flows, changes them all or none, and tells
 * what others change, which frames were sent up, and that the switch has gone. It does not
 * reconnect: whoever owns it must look at everything anew after a restart, so it also decides when.
 */
import { decodeMessage } from "../openflow/decode-message.ts";
import { encodeRequests, type NumberedRequest } from "../openflow/encode-message.ts";
import type { CookieMask, FlowMod } from "../openflow/flow.ts";
import type { FlowUpdate, ListedFlow } from "../openflow/flow-codec.ts";
import { formatFlowMod } from "../openflow/format-flow.ts";
import {
  OPENFLOW_14,
  type PacketIn,
  type PortChange,
  type Reply,
  type Request,
} from "../openflow/message.ts";
import { describeSwitchError, type SwitchError } from "../openflow/switch-error.ts";
import { OpenflowError, type OpenflowStream, openOpenflowStream } from "./openflow-stream.ts";

export type OpenflowEvent =
  /**
   * Someone else changed flows. A flow that took the place of ours comes with its own cookie: what
   * became of ours is to be looked up. `gap`: more was changed than is told.
   */
  | { readonly kind: "flows-changed"; readonly updates: readonly FlowUpdate[] }
  | { readonly kind: "port-changed"; readonly change: PortChange }
  | { readonly kind: "packet-in"; readonly packetIn: PacketIn };

export type OpenflowConnectionOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  readonly bridge: string;
  readonly onEvent: (event: OpenflowEvent) => void;
  /**
   * The connection ended: the switch was stopped, killed or hangs. Its flows, no-flood flags and
   * monitors are gone. Nothing comes after it. Not called after `close()`.
   */
  readonly onEnd: (why: string) => void;
  /** For each answer. @default 5000 */
  readonly deadlineMs?: number;
  /** How often a silent switch is asked whether it lives. @default 5000 */
  readonly probeIntervalMs?: number;
};

/** Requests that were sent together, and what their answers do. */
type Exchange = {
  readonly firstXid: number;
  readonly lastXid: number;
  /** Whether that was the last answer. */
  receive(reply: Reply, xid: number): boolean;
  reject(error: OpenflowError): void;
};

const DEADLINE_MS = 5_000;
const PROBE_INTERVAL_MS = 5_000;
const XID_MAX = 0xffff_ffff;
/** Frames without an action for them are sent nowhere; any number here turns events on. */
const MISS_SEND_BYTES = 128;

export class OpenflowConnection {
  readonly #options: OpenflowConnectionOptions;
  readonly #exchanges = new Map<Exchange, NodeJS.Timeout>();
  #stream: OpenflowStream | null = null;
  #probe: NodeJS.Timeout | null = null;
  #nextXid = 1;
  #nextBundleId = 1;

  private constructor(options: OpenflowConnectionOptions) {
    this.#options = options;
  }

  /**
   * Connects, and asks for events. What is changed from now on is told.
   *
   * @throws OpenflowError
   */
  static async connect(options: OpenflowConnectionOptions): Promise<OpenflowConnection> {
    const connection = new OpenflowConnection(options);
    connection.#stream = await openOpenflowStream({
      ...options,
      version: OPENFLOW_14,
      deadlineMs: options.deadlineMs ?? DEADLINE_MS,
      onMessage: (message) => connection.#receive(message),
      onEnd: (why) => connection.#end(new OpenflowError("ended", why)),
    });
    try {
      await connection.#subscribe();
    } catch (error) {
      connection.close();
      throw error;
    }
    const interval = options.probeIntervalMs ?? PROBE_INTERVAL_MS;
    connection.#probe = setInterval(() => connection.#askWhetherAlive(), interval);
    return connection;
  }

  /**
   * The flows whose cookie is so, with their counters.
   *
   * @throws OpenflowError
   */
  async dumpFlows(owner: CookieMask): Promise<readonly ListedFlow[]> {
    const flows: ListedFlow[] = [];
    const doing = `list the flows of ${this.#options.bridge}`;
    await this.#exchange([{ kind: "flow-stats-request", owner }], (reply, settle) => {
      if (reply.kind === "error") {
        settle(this.#refusal(doing, reply.error));
      } else if (reply.kind === "flow-stats") {
        for (const flow of reply.flows) {
          flows.push(flow);
        }
        if (!reply.more) {
          settle(null);
        }
      }
    });
    return flows;
  }

  /**
   * Changes flows: all of it, in this order, or nothing. A frame sees the flows before or after,
   * none between.
   *
   * @throws OpenflowError `refused`: nothing was changed; `ended`, `deadline`: perhaps all was
   */
  async applyBundle(mods: readonly FlowMod[]): Promise<void> {
    if (mods.length === 0) {
      return;
    }
    const bundleId = this.#nextBundleId;
    this.#nextBundleId = bundleId === XID_MAX ? 1 : bundleId + 1;
    const adds = mods.map((mod) => ({ kind: "bundle-add", bundleId, mod }) as const);
    // A commit applies the rest after a rejected addition, in spite of "atomic": so first all
    // additions, a barrier, the errors, and only then the commit.
    const open = { kind: "bundle-control", bundleId, command: "open" } as const;
    const rejected = await this.#untilBarrier([open, ...adds]);
    if (rejected !== null) {
      await this.#untilBarrier([{ kind: "bundle-control", bundleId, command: "discard" }]);
      throw this.#bundleRefusal(rejected.error, mods[rejected.index - 1]);
    }
    const failed = await this.#untilBarrier([
      { kind: "bundle-control", bundleId, command: "commit" },
    ]);
    if (failed !== null) {
      throw this.#bundleRefusal(failed.error, undefined);
    }
  }

  /** Ends the connection; the switch keeps its flows. What is still unanswered is rejected. */
  close(): void {
    this.#finish(
      new OpenflowError("ended", `The connection to ${this.#options.bridge} was closed`),
    );
  }

  async #subscribe(): Promise<void> {
    const refused = await this.#untilBarrier([
      { kind: "set-packet-in-format" },
      { kind: "set-config", missSendBytes: MISS_SEND_BYTES },
      { kind: "flow-monitor-request" },
    ]);
    if (refused !== null) {
      throw this.#refusal(`watch the flows of ${this.#options.bridge}`, refused.error);
    }
  }

  #askWhetherAlive(): void {
    const request = { kind: "echo-request" } as const;
    this.#exchange([request], (reply, settle) => {
      if (reply.kind === "echo-reply") {
        settle(null);
      }
      // The deadline has ended the connection, which is told there.
    }).catch(() => {});
  }

  /** Sends requests and a barrier; the first error that comes before it, and whose it is. */
  async #untilBarrier(
    requests: readonly Request[],
  ): Promise<{ readonly index: number; readonly error: SwitchError } | null> {
    let first: { readonly index: number; readonly error: SwitchError } | null = null;
    const all: readonly Request[] = [...requests, { kind: "barrier-request" }];
    await this.#exchange(all, (reply, settle, index) => {
      if (reply.kind === "error") {
        first ??= { index, error: reply.error };
      } else if (reply.kind === "barrier-reply") {
        settle(null);
      }
    });
    return first;
  }

  /** Sends requests with following xids and waits until `receive` settles, or the deadline. */
  #exchange(
    requests: readonly Request[],
    receive: (
      reply: Reply,
      settle: (error: OpenflowError | null) => void,
      requestIndex: number,
    ) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#stream;
      if (stream === null) {
        reject(new OpenflowError("ended", `The connection to ${this.#options.bridge} has ended`));
        return;
      }
      const firstXid = this.#takeXids(requests.length);
      const exchange: Exchange = {
        firstXid,
        lastXid: firstXid + requests.length - 1,
        receive(reply, xid) {
          let settled = false;
          const settle = (error: OpenflowError | null): void => {
            settled = true;
            if (error === null) {
              resolve();
            } else {
              reject(error);
            }
          };
          receive(reply, settle, xid - firstXid);
          return settled;
        },
        reject,
      };
      this.#exchanges.set(exchange, this.#startDeadline());
      stream.send(
        encodeRequests(requests.map((request, index) => numbered(request, firstXid + index))),
      );
    });
  }

  /** A switch that does not answer may do so later, to a question it was not: so it is left. */
  #startDeadline(): NodeJS.Timeout {
    const { bridge, deadlineMs = DEADLINE_MS } = this.#options;
    return setTimeout(
      () =>
        this.#end(new OpenflowError("deadline", `${bridge} did not answer in ${deadlineMs} ms`)),
      deadlineMs,
    );
  }

  #takeXids(count: number): number {
    const first = this.#nextXid + count > XID_MAX ? 1 : this.#nextXid;
    this.#nextXid = first + count;
    return first;
  }

  #receive(message: Uint8Array): void {
    const { version, xid, reply } = decodeMessage(message);
    if (version !== OPENFLOW_14 || reply.kind === "malformed") {
      const why = reply.kind === "malformed" ? reply.why : `a message of version ${version}`;
      this.#end(
        new OpenflowError("ended", `${this.#options.bridge} sent what it must not: ${why}`),
      );
      return;
    }
    if (reply.kind === "echo-request") {
      const answer = { kind: "echo-reply", data: reply.data } as const;
      this.#stream?.send(encodeRequests([numbered(answer, xid)]));
    } else if (xid !== 0) {
      this.#answer(reply, xid);
    } else {
      this.#tell(reply);
    }
  }

  #answer(reply: Reply, xid: number): void {
    for (const [exchange, deadline] of this.#exchanges) {
      if (xid < exchange.firstXid || xid > exchange.lastXid) {
        continue;
      }
      if (exchange.receive(reply, xid)) {
        clearTimeout(deadline);
        this.#exchanges.delete(exchange);
      } else {
        // It is answering: a long listing may take longer than one deadline.
        deadline.refresh();
      }
      return;
    }
  }

  #tell(reply: Reply): void {
    const { onEvent } = this.#options;
    if (reply.kind === "flow-monitor") {
      const updates = reply.updates.filter((update) => update.kind !== "own");
      if (updates.length > 0) {
        onEvent({ kind: "flows-changed", updates });
      }
    } else if (reply.kind === "port-status") {
      onEvent({ kind: "port-changed", change: reply.change });
    } else if (reply.kind === "packet-in") {
      onEvent({ kind: "packet-in", packetIn: reply.packetIn });
    }
  }

  #refusal(doing: string, error: SwitchError): OpenflowError {
    return new OpenflowError("refused", `Cannot ${doing}: ${describeSwitchError(error)}`);
  }

  #bundleRefusal(error: SwitchError, mod: FlowMod | undefined): OpenflowError {
    const at = mod === undefined ? "" : ` (${formatFlowMod(mod)})`;
    return this.#refusal(`change the flows of ${this.#options.bridge}${at}`, error);
  }

  #end(error: OpenflowError): void {
    if (this.#stream !== null) {
      this.#finish(error);
      this.#options.onEnd(error.message);
    }
  }

  #finish(error: OpenflowError): void {
    this.#stream?.close();
    this.#stream = null;
    if (this.#probe !== null) {
      clearInterval(this.#probe);
    }
    for (const [exchange, deadline] of this.#exchanges) {
      clearTimeout(deadline);
      exchange.reject(error);
    }
    this.#exchanges.clear();
  }
}

function numbered(request: Request, xid: number): NumberedRequest {
  return { xid, request };
}

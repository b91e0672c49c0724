/**
 * Keeps floods out of ports, over a connection of OpenFlow 1.0: no other version has that flag, nor
 * says when someone changes it (openflow/flood-flag.ts). A restarted switch, and a port that was
 * added again, has lost it.
 */
import { decodeMessage } from "../openflow/decode-message.ts";
import {
  decodePortList,
  decodePortStatus,
  encodeEchoReply,
  encodeFloodFlag,
  encodeFloodFlags,
  encodePortListRequest,
  encodeWatchPorts,
  FLOOD_FLAG_BARRIERS,
  type FloodPort,
  TYPE_BARRIER_REPLY_10,
  TYPE_PORT_STATUS_10,
  TYPE_STATS_REPLY_10,
} from "../openflow/flood-flag.ts";
import { HEADER_OCTETS, OPENFLOW_10, TYPE_ECHO_REQUEST, TYPE_ERROR } from "../openflow/message.ts";
import { describeSwitchError } from "../openflow/switch-error.ts";
import { OpenflowError, type OpenflowStream, openOpenflowStream } from "./openflow-stream.ts";

export type FloodGuardOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  readonly bridge: string;
  /**
   * Whether floods may go into a port. If not, it gets the flag; one that was added, or changed by
   * someone else, at once and without a question to the switch.
   */
  readonly mayFlood: (ofport: number) => boolean;
  /**
   * Ports that have the flag from us, for whoever connects again: they lose it when floods may go
   * into them. A flag that someone else has set stays.
   */
  readonly flagged: Set<number>;
  /** A port was added, deleted or changed by someone else: it may have lost its flag. */
  readonly onPortChange: () => void;
  /** The connection ended; nothing comes after it. Not called after `close()`. */
  readonly onEnd: (error: OpenflowError) => void;
  /** For each answer. @default 5000 */
  readonly deadlineMs?: number;
};

/** A question, and what has been answered to it so far. */
type Question = {
  readonly answerType: number;
  readonly deadline: NodeJS.Timeout;
  /** Whether that was all of the answer. */
  receive(message: Uint8Array): boolean;
  reject(error: OpenflowError): void;
};

const DEADLINE_MS = 5_000;
const XID = 1;
/** Of a flag that is set in haste: the port may have gone again, and nobody waits for an answer. */
const XID_HASTE = 2;
const TYPE_AT = 1;
const XID_AT = 4;

export class FloodGuard {
  readonly #options: FloodGuardOptions;
  #stream: OpenflowStream | null = null;
  #question: Question | null = null;
  /** Answers come in the order of the questions, so these wait for each other. */
  #last: Promise<unknown> = Promise.resolve();
  #ended: OpenflowError | null = null;

  private constructor(options: FloodGuardOptions) {
    this.#options = options;
  }

  /** @throws OpenflowError */
  static async open(options: FloodGuardOptions): Promise<FloodGuard> {
    const guard = new FloodGuard(options);
    guard.#stream = await openOpenflowStream({
      ...options,
      version: OPENFLOW_10,
      deadlineMs: options.deadlineMs ?? DEADLINE_MS,
      onMessage: (message) => guard.#receive(message),
      onEnd: (why) => guard.#end(new OpenflowError("ended", why)),
    });
    try {
      await guard.#ask(encodeWatchPorts(XID), TYPE_BARRIER_REPLY_10, () => true);
    } catch (error) {
      guard.close();
      throw error;
    }
    return guard;
  }

  /**
   * Makes the flags of all ports so; `ofports` are ours in any case, whoever has set their flags.
   * Returns those of them that the bridge does not have. When it returns, ovs-vswitchd goes by the
   * new flags.
   *
   * @throws OpenflowError
   */
  keepOut(ofports: readonly number[]): Promise<readonly number[]> {
    const done = this.#last.then(() => this.#setFlags(new Set(ofports)));
    // Whoever asked sees the error; the next one begins anew.
    this.#last = done.catch(() => {});
    return done;
  }

  /** Ends the connection; the flags stay. What is unanswered is rejected. */
  close(): void {
    const { bridge } = this.#options;
    this.#finish(new OpenflowError("ended", `The connection to ${bridge} was closed`));
  }

  async #setFlags(ofports: ReadonlySet<number>): Promise<readonly number[]> {
    const { flagged, mayFlood } = this.#options;
    const ports = await this.#listPorts();
    const changes: FloodPort[] = [];
    for (const port of ports) {
      const { ofport } = port;
      const isOurs = ofports.has(ofport) || flagged.has(ofport);
      const noFlood = ofports.has(ofport) || !mayFlood(ofport) || (port.noFlood && !isOurs);
      if (noFlood !== port.noFlood) {
        changes.push({ ...port, noFlood });
      }
      if (noFlood && (isOurs || !port.noFlood)) {
        flagged.add(ofport);
      }
    }
    if (changes.length > 0) {
      let replyCount = 0;
      await this.#ask(encodeFloodFlags(changes, XID), TYPE_BARRIER_REPLY_10, () => {
        replyCount += 1;
        return replyCount === FLOOD_FLAG_BARRIERS;
      });
    }
    for (const { ofport, noFlood } of changes) {
      if (!noFlood) {
        flagged.delete(ofport);
      }
    }
    const there = new Set(ports.map((port) => port.ofport));
    return [...ofports].filter((ofport) => !there.has(ofport));
  }

  async #listPorts(): Promise<readonly FloodPort[]> {
    const ports: FloodPort[] = [];
    let malformed = false;
    // Many ports come in several messages.
    await this.#ask(encodePortListRequest(XID), TYPE_STATS_REPLY_10, (message) => {
      const list = decodePortList(message);
      malformed = list === null;
      ports.push(...(list?.ports ?? []));
      return list?.more !== true;
    });
    if (malformed) {
      const why = `${this.#options.bridge} sent a malformed list of ports`;
      throw new OpenflowError("ended", why);
    }
    return ports;
  }

  #ask(
    bytes: Uint8Array,
    answerType: number,
    receive: (message: Uint8Array) => boolean,
  ): Promise<void> {
    const { bridge, deadlineMs = DEADLINE_MS } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      const deadline = setTimeout(() => {
        this.#end(new OpenflowError("deadline", `${bridge} did not answer in ${deadlineMs} ms`));
      }, deadlineMs);
      this.#question = {
        answerType,
        deadline,
        receive(message) {
          const isAll = receive(message);
          if (isAll) {
            clearTimeout(deadline);
            resolve();
          }
          return isAll;
        },
        reject,
      };
      this.#stream?.send(bytes);
    });
  }

  #receive(message: Uint8Array): void {
    const type = message[TYPE_AT];
    if (type === TYPE_ECHO_REQUEST) {
      this.#stream?.send(encodeEchoReply(message));
    } else if (type === TYPE_PORT_STATUS_10) {
      this.#denyFloods(message);
      this.#options.onPortChange();
    } else if (type === TYPE_ERROR && isOfHaste(message)) {
      // The port has gone: there is nothing to flood into.
    } else if (this.#question?.answerType !== type) {
      this.#end(unexpected(message, this.#options.bridge));
    } else if (this.#question?.receive(message) === true) {
      this.#question = null;
    }
  }

  /** Within the time of one message; whether the flag stays is decided when the port is known. */
  #denyFloods(message: Uint8Array): void {
    const { flagged, mayFlood } = this.#options;
    const port = decodePortStatus(message);
    if (port !== null && !port.noFlood && !mayFlood(port.ofport)) {
      flagged.add(port.ofport);
      this.#stream?.send(encodeFloodFlag({ ...port, noFlood: true }, XID_HASTE));
    }
  }

  #end(error: OpenflowError): void {
    if (this.#ended === null) {
      this.#finish(error);
      this.#options.onEnd(error);
    }
  }

  #finish(error: OpenflowError): void {
    this.#ended ??= error;
    this.#stream?.close();
    this.#stream = null;
    if (this.#question !== null) {
      clearTimeout(this.#question.deadline);
      this.#question.reject(error);
      this.#question = null;
    }
  }
}

function isOfHaste(message: Uint8Array): boolean {
  const header = new DataView(message.buffer, message.byteOffset, HEADER_OCTETS);
  return header.getUint32(XID_AT) === XID_HASTE;
}

function unexpected(message: Uint8Array, bridge: string): OpenflowError {
  const { reply } = decodeMessage(message);
  return reply.kind === "error"
    ? new OpenflowError(
        "refused",
        `Cannot keep floods out of ports of ${bridge}: ${describeSwitchError(reply.error)}`,
      )
    : new OpenflowError("ended", `${bridge} sent an OpenFlow message of type ${message[TYPE_AT]}`);
}

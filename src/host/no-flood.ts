/**
 * Keeps floods out of ports, over a short connection of OpenFlow 1.0: no other version has that
 * flag (openflow/flood-flag.ts). A restarted switch, and a port that was added again, has lost it.
 */
import { decodeMessage } from "../openflow/decode-message.ts";
import {
  decodePortList,
  encodeNoFlood,
  encodePortListRequest,
  type FloodPort,
  TYPE_BARRIER_REPLY_10,
  TYPE_STATS_REPLY_10,
} from "../openflow/flood-flag.ts";
import { OPENFLOW_10 } from "../openflow/message.ts";
import { describeSwitchError } from "../openflow/switch-error.ts";
import { OpenflowError, openOpenflowStream } from "./openflow-stream.ts";

export type NoFloodOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  readonly bridge: string;
  readonly ofports: readonly number[];
  /** @default 5000 */
  readonly deadlineMs?: number;
};

const DEADLINE_MS = 5_000;
const XID_LIST = 1;
const XID_CHANGE = 2;
const TYPE_AT = 1;

/**
 * Sets the flag where it is not set, and returns the ports that the bridge does not have.
 *
 * @throws OpenflowError
 */
export async function setNoFlood(options: NoFloodOptions): Promise<readonly number[]> {
  const session = await openSession(options);
  try {
    session.send(encodePortListRequest(XID_LIST));
    const ports: FloodPort[] = [];
    for (let more = true; more; ) {
      const list = decodePortList(await session.next(TYPE_STATS_REPLY_10));
      if (list === null) {
        throw new OpenflowError("ended", `${options.bridge} sent a malformed list of ports`);
      }
      ports.push(...list.ports);
      more = list.more;
    }
    const wanted = new Set(options.ofports);
    const flooded = ports.filter((port) => wanted.has(port.ofport) && !port.noFlood);
    if (flooded.length > 0) {
      session.send(encodeNoFlood(flooded, XID_CHANGE));
      await session.next(TYPE_BARRIER_REPLY_10);
    }
    const there = new Set(ports.map((port) => port.ofport));
    return options.ofports.filter((ofport) => !there.has(ofport));
  } finally {
    session.close();
  }
}

type Session = {
  send(bytes: Uint8Array): void;
  /** The next message, which must be of this type. */
  next(type: number): Promise<Uint8Array>;
  close(): void;
};

async function openSession(options: NoFloodOptions): Promise<Session> {
  const { bridge, deadlineMs = DEADLINE_MS } = options;
  const messages: Uint8Array[] = [];
  let failure: OpenflowError | null = null;
  let wake: () => void = () => {};
  const fail = (reason: "deadline" | "ended", message: string): void => {
    failure ??= new OpenflowError(reason, message);
    wake();
  };
  const stream = await openOpenflowStream({
    ...options,
    version: OPENFLOW_10,
    deadlineMs,
    onMessage(message) {
      // The buffer is the socket's own, of this one event.
      messages.push(message.slice());
      wake();
    },
    onEnd: (why) => fail("ended", why),
  });
  const deadline = setTimeout(
    () => fail("deadline", `${bridge} did not answer in ${deadlineMs} ms`),
    deadlineMs,
  );
  return {
    send: (bytes) => stream.send(bytes),
    async next(type) {
      while (messages.length === 0 && failure === null) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const message = messages.shift();
      if (message === undefined) {
        throw failure;
      }
      if (message[TYPE_AT] !== type) {
        throw unexpected(message, bridge);
      }
      return message;
    },
    close() {
      clearTimeout(deadline);
      stream.close();
    },
  };
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

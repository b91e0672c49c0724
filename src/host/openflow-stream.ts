/**
 * A bridge's management socket, `<bridge>.mgmt` in Open vSwitch's run directory: connects, agrees on
 * the one version that is asked for, and cuts what comes into messages.
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { decodeMessage } from "../openflow/decode-message.ts";
import { encodeHello } from "../openflow/encode-message.ts";
import { MessageSplitter, OPENFLOW_14 } from "../openflow/message.ts";

/**
 * - `no-switch`: there is no socket, or none listens: no such bridge, or ovs-vswitchd is down.
 * - `no-permission`: the socket is there, but not for us.
 * - `version-disabled`: the bridge does not speak the version; the message says how to enable it.
 * - `refused`: the switch rejected what was sent; nothing has been changed.
 * - `ended`: the connection ended before the answer; it is not known what has been changed.
 * - `deadline`: no answer in time; as `ended`, which it leads to.
 */
export type OpenflowFailure =
  | "no-switch"
  | "no-permission"
  | "version-disabled"
  | "refused"
  | "ended"
  | "deadline";

export class OpenflowError extends Error {
  override readonly name = "OpenflowError";
  readonly code = "VNETD_OVS_FAILED";
  readonly reason: OpenflowFailure;

  constructor(reason: OpenflowFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export type OpenflowStreamOptions = {
  /** Where Open vSwitch has its sockets, such as /var/run/openvswitch. */
  readonly runDirectory: string;
  readonly bridge: string;
  /** As on the wire: `OPENFLOW_10`, `OPENFLOW_14`. */
  readonly version: number;
  readonly deadlineMs: number;
  /** A whole message with its header. Not called for hellos. */
  readonly onMessage: (message: Uint8Array) => void;
  /** The connection ended; nothing comes after it. Not called after `close()`. */
  readonly onEnd: (why: string) => void;
};

export type OpenflowStream = {
  send(bytes: Uint8Array): void;
  /** Ends the connection from this side. */
  close(): void;
};

const TYPE_AT = 1;
const VERSION_NAMES = ["OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14"];

/**
 * Connects and exchanges hellos.
 *
 * @throws OpenflowError
 */
export async function openOpenflowStream(options: OpenflowStreamOptions): Promise<OpenflowStream> {
  const socket = connect(join(options.runDirectory, `${options.bridge}.mgmt`));
  try {
    return await new Promise((resolve, reject) => greet(socket, options, { resolve, reject }));
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

type Settle = {
  resolve(stream: OpenflowStream): void;
  reject(error: OpenflowError): void;
};

function greet(socket: Socket, options: OpenflowStreamOptions, { resolve, reject }: Settle): void {
  const splitter = new MessageSplitter();
  let state: "greeting" | "open" | "ended" = "greeting";

  const end = (error: OpenflowError): void => {
    clearTimeout(deadline);
    socket.destroy();
    const before = state;
    state = "ended";
    if (before === "greeting") {
      reject(error);
    } else if (before === "open") {
      options.onEnd(error.message);
    }
  };
  const deadline = setTimeout(() => end(greetingDeadline(options)), options.deadlineMs);

  const receive = (message: Uint8Array): void => {
    if (state === "open" && message[TYPE_AT] !== 0) {
      options.onMessage(message);
    } else if (state === "greeting") {
      const fault = findGreetingFault(message, options);
      if (fault !== null) {
        end(fault);
        return;
      }
      clearTimeout(deadline);
      state = "open";
      resolve({
        send: (bytes) => socket.write(bytes),
        close() {
          state = "ended";
          socket.destroy();
        },
      });
    }
  };

  socket.on("data", (bytes) => {
    const messages = splitter.split(bytes);
    if (messages === null) {
      end(new OpenflowError("ended", `${options.bridge} sent what is no OpenFlow message`));
    }
    for (const message of messages ?? []) {
      receive(message);
    }
  });
  socket.on("error", (error) => end(socketFailure(error, options)));
  socket.on("close", () => end(closedBy(options)));
  socket.write(encodeHello(options.version, 0));
}

/** The first message must be a hello that has our version among its own. */
function findGreetingFault(
  message: Uint8Array,
  { bridge, version }: OpenflowStreamOptions,
): OpenflowError | null {
  const { reply } = decodeMessage(message);
  if (reply.kind !== "hello") {
    return new OpenflowError("ended", `${bridge} did not begin with an OpenFlow hello`);
  }
  if (reply.versions.includes(version)) {
    return null;
  }
  const name = VERSION_NAMES[version - 1] ?? `version ${version}`;
  // All up to 1.4: only 1.0 has the no-flood flag, only 1.4 has bundles.
  const protocols = VERSION_NAMES.slice(0, OPENFLOW_14).join(",");
  return new OpenflowError(
    "version-disabled",
    `${bridge} does not speak ${name}; run: ovs-vsctl set bridge ${bridge} protocols=${protocols}`,
  );
}

function greetingDeadline({ bridge, deadlineMs }: OpenflowStreamOptions): OpenflowError {
  return new OpenflowError("deadline", `${bridge} sent no OpenFlow hello in ${deadlineMs} ms`);
}

function closedBy({ bridge }: OpenflowStreamOptions): OpenflowError {
  return new OpenflowError("ended", `${bridge} closed the OpenFlow connection`);
}

function socketFailure(
  cause: NodeJS.ErrnoException,
  options: OpenflowStreamOptions,
): OpenflowError {
  const { bridge, runDirectory } = options;
  // A switch that is killed leaves unread what we have sent.
  if (cause.code === "ECONNRESET" || cause.code === "EPIPE") {
    return closedBy(options);
  }
  const path = join(runDirectory, `${bridge}.mgmt`);
  if (cause.code === "EACCES" || cause.code === "EPERM") {
    return new OpenflowError("no-permission", `Not permitted to use ${path}`, { cause });
  }
  if (cause.code === "ENOENT" || cause.code === "ECONNREFUSED") {
    const why = `there is no bridge ${bridge}, or ovs-vswitchd is not running`;
    return new OpenflowError("no-switch", `Nothing listens on ${path}: ${why}`, { cause });
  }
  return new OpenflowError("ended", `Connection to ${path} failed: ${cause.message}`, { cause });
}

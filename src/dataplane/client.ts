/**
 * A connection to a running vnet-dp: commands down, answers and events up (native/control/
 * messages.def). Answers come in the order of the commands, so commands are sent without waiting.
 */
import { connect, type Socket } from "node:net";
import type {
  DataplaneAnswer,
  DataplaneCommand,
  DataplaneEvent,
} from "../vnet/dataplane-messages.ts";
import { CONTROL_VERSION, encodeMessage, MessageReader, type SequencedMessage } from "./codec.ts";

export type Welcome = Extract<DataplaneAnswer, { kind: "welcome" }>;

/** A command that the data plane refused, or that it can no longer answer. */
export class DataplaneError extends Error {
  override readonly name = "DataplaneError";
  readonly code = "VNETD_DATAPLANE_FAILED";
  /** As on Linux; 0 when the connection ended before the answer. */
  readonly errno: number;

  constructor(message: string, errno: number, options?: ErrorOptions) {
    super(message, options);
    this.errno = errno;
  }
}

/** A command of `apply` that was refused. */
export type CommandFailure = {
  readonly command: DataplaneCommand;
  readonly error: DataplaneError;
};

export type DataplaneClientOptions = {
  readonly socketPath: string;
  readonly onEvent: (event: DataplaneEvent) => void;
  /**
   * The connection ended; nothing comes after it. Not called after `close()`. `defect`: the other
   * side said what is no message, and would say it again.
   */
  readonly onEnd: (why: string, defect: boolean) => void;
};

type Pending = {
  readonly command: DataplaneCommand;
  readonly answers: DataplaneAnswer[];
  resolve(answers: readonly DataplaneAnswer[]): void;
  reject(error: DataplaneError): void;
};

const EPROTO = 71;
const SEQUENCE_MAX = 0xffff_ffff;
const HELLO_DEADLINE_MS = 2_000;

export class DataplaneClient {
  readonly #socket: Socket;
  readonly #options: DataplaneClientOptions;
  readonly #reader = new MessageReader();
  readonly #pending = new Map<number, Pending>();
  #sequence = 0;
  #ended = false;
  #welcome: Welcome | null = null;

  private constructor(socket: Socket, options: DataplaneClientOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on("data", (bytes) => this.#receive(bytes));
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("it closed the connection"));
  }

  /**
   * Connects and greets.
   *
   * @throws DataplaneError with errno EPROTO when the running one speaks another version; the
   *   system's error (ENOENT, ECONNREFUSED) when none listens
   */
  static async connect(options: DataplaneClientOptions): Promise<DataplaneClient> {
    const socket = connect(options.socketPath);
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve();
      });
    });
    const client = new DataplaneClient(socket, options);
    const deadline = setTimeout(() => client.#end("it did not greet back"), HELLO_DEADLINE_MS);
    try {
      const answers = await client.request({ kind: "hello", version: CONTROL_VERSION });
      const welcome = answers.find((answer) => answer.kind === "welcome");
      if (welcome?.version !== CONTROL_VERSION) {
        throw new DataplaneError(`vnet-dp speaks version ${welcome?.version ?? "?"}`, EPROTO);
      }
      client.#welcome = welcome;
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  }

  /**
   * Has whoever listens there end, whatever version it speaks. Nobody there is no failure.
   *
   * @throws the system's error
   */
  static async end(socketPath: string): Promise<void> {
    const socket = connect(socketPath);
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => socket.destroy(), HELLO_DEADLINE_MS);
      socket.once("connect", () => socket.write(encodeMessage({ kind: "shutdown" }, 1)));
      // Its answer does not matter, its end does.
      socket.resume();
      socket.once("error", (error: NodeJS.ErrnoException) => {
        const isGone = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(error.code ?? "");
        clearTimeout(deadline);
        isGone ? resolve() : reject(error);
      });
      socket.once("close", () => {
        clearTimeout(deadline);
        resolve();
      });
    });
  }

  get welcome(): Welcome {
    if (this.#welcome === null) {
      throw new Error("A client is handed out after its greeting only");
    }
    return this.#welcome;
  }

  /**
   * Sends one command and gathers its answers, without the final result.
   *
   * @throws DataplaneError
   */
  request(command: DataplaneCommand): Promise<readonly DataplaneAnswer[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new DataplaneError(`Cannot ask vnet-dp (${command.kind}): it is gone`, 0));
        return;
      }
      this.#sequence = this.#sequence === SEQUENCE_MAX ? 1 : this.#sequence + 1;
      this.#pending.set(this.#sequence, { command, answers: [], resolve, reject });
      const octets = encodeMessage(command, this.#sequence);
      // Traffic keys are not to lie about once they are with the data plane.
      this.#socket.write(octets, () => octets.fill(0));
    });
  }

  /**
   * Sends commands in order, all of them, and returns those that were refused.
   *
   * @throws DataplaneError when the connection ends before the last answer
   */
  async apply(commands: readonly DataplaneCommand[]): Promise<readonly CommandFailure[]> {
    this.#socket.cork();
    const requests = commands.map((command) => this.request(command));
    this.#socket.uncork();
    const results = await Promise.allSettled(requests);
    const failures = results.flatMap((result, index) => {
      const command = commands[index];
      if (result.status === "fulfilled" || command === undefined) {
        return [];
      }
      return { command, error: result.reason as DataplaneError };
    });
    const gone = failures.find(({ error }) => error.errno === 0);
    if (gone !== undefined) {
      throw gone.error;
    }
    return failures;
  }

  /** Hangs up; vnet-dp goes on. What is still unanswered is rejected. */
  close(): void {
    this.#finish("the connection was closed");
  }

  #receive(bytes: Uint8Array): void {
    try {
      for (const message of this.#reader.read(bytes)) {
        this.#dispatch(message);
      }
    } catch (error) {
      // Only vnet-dp can write here: bytes that are no message are a defect of one of the two.
      this.#end(error instanceof Error ? error.message : String(error), true);
    }
  }

  #dispatch({ sequence, message }: SequencedMessage): void {
    if (sequence === 0) {
      // Nothing else comes up with sequence 0.
      this.#options.onEvent(message as DataplaneEvent);
      return;
    }
    const pending = this.#pending.get(sequence);
    if (pending === undefined) {
      return;
    }
    if (message.kind !== "result") {
      // What answers a command is an answer; a command that comes up is the codec's to refuse.
      pending.answers.push(message as DataplaneAnswer);
      return;
    }
    this.#pending.delete(sequence);
    if (message.error === 0) {
      pending.resolve(pending.answers);
    } else {
      const refusal = `vnet-dp refused ${pending.command.kind}: ${message.message}`;
      pending.reject(new DataplaneError(refusal, message.error));
    }
  }

  #end(why: string, defect = false): void {
    if (!this.#ended) {
      this.#finish(why);
      this.#options.onEnd(why, defect);
    }
  }

  #finish(why: string): void {
    this.#ended = true;
    this.#socket.destroy();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { command, reject } of pending) {
      reject(new DataplaneError(`Cannot ask vnet-dp (${command.kind}): ${why}`, 0));
    }
  }
}

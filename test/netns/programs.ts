/** Child programs of the namespace tests: run to the end, or keep and talk to by lines. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export type Finished = {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunOptions = { readonly input?: string; readonly timeoutMs?: number };

/** Runs a program to its end, whatever its exit status. */
export async function tryRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = spawn(program, args, { stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A program that does not read its input closes the pipe: that is its right.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  const [status] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { status, stdout, stderr };
}

/**
 * Runs a program that has to succeed, and gives its standard output.
 *
 * @throws Error with its standard error when it does not exit with 0
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { status, stdout, stderr } = await tryRun(program, args, options);
  if (status !== 0) {
    throw new Error(`${program} ${args.join(" ")} exited ${status}: ${stderr.trim() || stdout}`);
  }
  return stdout;
}

/** A running program that is spoken to in lines. */
export class LineProgram {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown>;
  readonly lines: string[] = [];
  stderr = "";

  private constructor(child: ChildProcessWithoutNullStreams, onLine: (line: string) => void) {
    this.#child = child;
    const reader = createInterface({ input: child.stdout });
    reader.on("line", onLine);
    this.#ended = Promise.all([once(child, "close"), once(reader, "close")]);
    child.stdin.on("error", () => undefined);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  /** Starts it and waits for its line `ready`; `onLine` gets every later line, `lines` keeps them. */
  static async start(
    program: string,
    args: readonly string[],
    onLine?: (line: string) => void,
  ): Promise<LineProgram> {
    const child = spawn(program, args, { stdio: "pipe" });
    let ready: () => void = () => undefined;
    const whenReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const self = new LineProgram(child, (line) => {
      if (line === "ready") {
        ready();
      } else {
        (onLine ?? ((text: string) => self.lines.push(text)))(line);
      }
    });
    const died = self.#ended.then(() => {
      throw new Error(`${program} ${args.join(" ")} ended: ${self.stderr.trim()}`);
    });
    // Once it is ready, its end is nobody's failure.
    died.catch(() => undefined);
    await Promise.race([whenReady, died]);
    return self;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Closes its input and waits for its end. */
  async finish(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  /** Waits for its end. */
  async end(): Promise<void> {
    await this.#ended;
  }
}

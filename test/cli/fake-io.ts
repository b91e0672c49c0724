/** A `vn` whose streams are strings, whose files are a map and whose daemon is in memory. */
import type { CliIo } from "../../src/cli/context.ts";
import { run } from "../../src/cli/program.ts";
import type { ControlApi } from "../../src/control/api.ts";
import { createControlClient } from "../../src/control/client.ts";

export type Outcome = {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The socket that was asked for; null when the daemon was not asked. */
  readonly socketPath: string | null;
};

export type FakeHost = {
  /** Null: no daemon is running. */
  readonly api: ControlApi | null;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly runDir?: string;
  readonly removed?: string[];
  /** Standard output is one. */
  readonly isTerminal?: true;
  /** What the user types when asked; left out: there is no terminal. */
  readonly answer?: string;
  /** Where the files go that `vn` makes. */
  readonly written?: Map<string, string>;
};

export async function runVn(argv: readonly string[], host: FakeHost): Promise<Outcome> {
  const streams = { stdout: "", stderr: "" };
  let asked: string | null = null;
  const io: CliIo = {
    runDir: host.runDir,
    stdout: (text) => {
      streams.stdout += text;
    },
    stderr: (text) => {
      streams.stderr += text;
    },
    print: async (text) => {
      streams.stdout += text;
    },
    endOnInterrupt: () => {},
    readFile: (path) => {
      const content = host.files?.[path];
      if (content === undefined) {
        throw new Error(`ENOENT: no such file or directory, open '${path}'`);
      }
      return typeof content === "string" ? new TextEncoder().encode(content) : content;
    },
    openOutput: (path) =>
      path === null && host.isTerminal === true
        ? null
        : {
            write: async (octets) => {
              const text = Buffer.from(octets).toString("hex");
              if (path === null) {
                streams.stdout += text;
              } else {
                host.written?.set(path, (host.written.get(path) ?? "") + text);
              }
            },
            close: () => {},
          },
    removeFile: (path) => {
      host.removed?.push(path);
    },
    ask: (question) => {
      streams.stderr += question;
      return host.answer ?? null;
    },
    createSecretFile: (path, content) => {
      if (host.files?.[path] !== undefined) {
        throw Object.assign(new Error(`EEXIST: file already exists, open '${path}'`), {
          code: "EEXIST",
        });
      }
      host.written?.set(path, Buffer.from(content).toString());
    },
    openTerminal: () => null,
    connect: (socketPath) => {
      asked = socketPath;
      return host.api ?? createControlClient("/nonexistent/vnetd.sock");
    },
  };
  const status = await run(argv, io);
  return { status, ...streams, socketPath: asked };
}

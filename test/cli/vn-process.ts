/** The compiled `vn` as a process, beside a fake daemon on a real socket. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveControl } from "../../src/control/server.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";

export const VN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export type ProcessOutcome = {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type FakeDaemon = {
  readonly api: FakeControlApi;
  readonly runDir: string;
  close(): Promise<void>;
};

export async function startFakeDaemon(): Promise<FakeDaemon> {
  const runDir = await mkdtemp(join(tmpdir(), "vnt-cli-"));
  const api = new FakeControlApi();
  const server = await serveControl({
    socketPath: join(runDir, "vnetd.sock"),
    api,
    log: { info: () => {}, error: () => {} },
  });
  return {
    api,
    runDir,
    async close() {
      await server.close();
      await rm(runDir, { recursive: true, force: true });
    },
  };
}

export async function runProgram(
  program: string,
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  } = {},
): Promise<ProcessOutcome> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      // Nothing here takes a tenth of it; a shell that waits for a terminal ends all the same.
      timeout: 30_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
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
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
    child.stdin.end(options.input ?? "");
  });
}

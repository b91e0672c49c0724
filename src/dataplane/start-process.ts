/** Starts a vnet-dp that outlives us, and hears from it whether it serves. */
import { type ChildProcess, spawn } from "node:child_process";
import { DataplaneError } from "./client.ts";
import { type DataplaneSettings, programArguments } from "./settings.ts";

const READY_DEADLINE_MS = 5_000;
const OUTPUT_CHARACTERS_MAX = 4_096;

/** @throws DataplaneError with the line that it printed instead of being ready */
export async function startProcess(settings: DataplaneSettings): Promise<void> {
  const { program } = settings;
  const child = spawn(program, programArguments(settings), {
    // In a session of its own: what ends vnetd's terminal or group does not end it.
    detached: true,
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  await untilReady(child, program);
  child.unref();
}

/**
 * Waits for the line `ready`.
 *
 * @throws DataplaneError with the line that it printed instead
 */
function untilReady(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    let errors = "";
    const fail = (why: string): void => {
      clearTimeout(deadline);
      reject(new DataplaneError(`Cannot start ${program}: ${why}`, 0));
    };
    const deadline = setTimeout(() => {
      child.kill("SIGKILL");
      fail(`it was not ready within ${READY_DEADLINE_MS} ms`);
    }, READY_DEADLINE_MS);
    child.stdout?.on("data", (bytes: Buffer) => {
      output = (output + bytes.toString()).slice(0, OUTPUT_CHARACTERS_MAX);
      if (/^ready$/m.test(output)) {
        clearTimeout(deadline);
        // The pipes have done their work; vnet-dp logs by events.
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve();
      }
    });
    child.stderr?.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(0, OUTPUT_CHARACTERS_MAX);
    });
    child.on("error", (error) => fail(error.message));
    child.on("close", (status, signal) => {
      const line = errors
        .trim()
        .split("\n")
        .at(-1)
        ?.replace(/^vnet-dp: /, "");
      fail(line || `it ended with ${status ?? signal}`);
    });
  });
}

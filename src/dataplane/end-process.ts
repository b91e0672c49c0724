/** Ends a vnet-dp by its pid, and nothing else that may have got that pid since. */
import { readFile } from "node:fs/promises";

const END_DEADLINE_MS = 3_000;
const POLL_MS = 10;

/** SIGTERM, then SIGKILL; resolves once the process is gone. */
export async function endProcess(pid: number): Promise<void> {
  if (!(await isDataplane(pid))) {
    return;
  }
  kill(pid, "SIGTERM");
  const killAt = performance.now() + END_DEADLINE_MS;
  let killed = false;
  while (await isDataplane(pid)) {
    if (!killed && performance.now() > killAt) {
      kill(pid, "SIGKILL");
      killed = true;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A pid may have been given to another program since it was written down. */
async function isDataplane(pid: number): Promise<boolean> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    // A zombie has ended, whoever is to reap it.
    return /^Name:\s*vnet-dp$/m.test(status) && !/^State:\s*Z/m.test(status);
  } catch {
    // No such process.
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) {
      throw error;
    }
  }
}

/** Null when there is no such file, or no pid in it. */
export async function readPid(file: string): Promise<number | null> {
  try {
    const text = (await readFile(file, "utf8")).trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

/**
 * `-f FILE`: commands of the original's control protocol, run at every start. What they ask for
 * and is there already, because vnets and peers survive a restart, is passed over.
 */
import { readFileSync } from "node:fs";
import { ControlError } from "../control/control-error.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { type EvalRequest, parseEvalFile } from "../vnet/eval.ts";
import { ConfigError } from "./config-error.ts";
import { type EvaluateOptions, evaluateRequest } from "./evaluate.ts";
import type { Log } from "./log.ts";
import type { VnetChanges } from "./vnet-changes.ts";

export type StartupOptions = EvaluateOptions & {
  readonly vnetChanges: VnetChanges;
  readonly log: Log;
};

const ALREADY_THERE: readonly string[] = ["VNETD_VIF_EXISTS", "VNETD_PEER_EXISTS"];

/** @throws ConfigError with the file's name, line and column */
export function readStartupFile(path: string): readonly EvalRequest[] {
  try {
    return parseEvalFile(readFileSync(path, "utf8"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot use start-up file ${path}: ${why}`, { cause });
  }
}

/** @throws ControlError for the first command that fails; those before it are done */
export async function runStartupCommands(
  requests: readonly EvalRequest[],
  options: StartupOptions,
): Promise<void> {
  const { overlay, vnetChanges, log } = options;
  const wanted = requests.flatMap((request) => (request.kind === "vnet.add" ? [request.vnet] : []));
  const present = new Set(overlay.desired.vnets.map(({ id }) => id));
  const missing = wanted.filter(({ id }) => !present.has(id));
  if (missing.length > 0) {
    // All at once, before what refers to them. The underlay may get its address later.
    await vnetChanges.create(missing, { needUnderlay: false });
  }
  for (const { id } of wanted.filter((vnet) => present.has(vnet.id))) {
    log.debug({ vnet: shortVnetId(id) }, "a vnet of the start-up file exists already");
  }
  for (const request of requests) {
    if (request.kind !== "vnet.add") {
      await runUnlessDone(request, options);
    }
  }
}

async function runUnlessDone(request: EvalRequest, options: StartupOptions): Promise<void> {
  try {
    await evaluateRequest(request, options);
  } catch (error) {
    if (!(error instanceof ControlError && ALREADY_THERE.includes(error.code))) {
      throw error;
    }
    options.log.debug({ code: error.code }, error.message);
  }
}

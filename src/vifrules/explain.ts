/**
 * A trace in words: what becomes of the frame, which rule decided it, which line of which policy is
 * behind that rule, and what to set for it to pass.
 */
import { TABLE_ADMIT, TABLE_DROP, VIF_PIPELINE } from "../openflow/pipeline.ts";
import { adviseOn, type ExplainedVif } from "./advice.ts";
import { reasonOfStep } from "./counter-meaning.ts";
import type { DropReason } from "./drop-reason.ts";
import { parseTrace, type Trace, type TraceStep } from "./trace.ts";

export type Explanation = {
  readonly verdict: "passed" | "dropped";
  /** Names of the ports that get it. */
  readonly outputs: readonly string[];
  /** Null when it passes, or when no rule of ours dropped it. */
  readonly reason: DropReason | null;
  /** Sentences, the verdict first. */
  readonly lines: readonly string[];
};

export type ExplainOptions = {
  /** What `ofproto/trace` printed. */
  readonly trace: string;
  readonly vif: ExplainedVif;
  /** `from`: the VIF sends the frame. `to`: the question is whether it gets it. */
  readonly direction: "from" | "to";
  /** The name of a port by its number in the datapath. */
  readonly portName: (datapathPort: string) => string | null;
  /** The names of the VIF's ports. */
  readonly vifPorts: readonly string[];
};

export function explainTrace(options: ExplainOptions): Explanation {
  const { vif, direction, portName, vifPorts } = options;
  const trace = parseTrace(options.trace);
  const outputs = [...new Set(trace.outputs.map((port) => portName(port) ?? `port ${port}`))];
  const isPassed =
    direction === "from" ? outputs.length > 0 : outputs.some((name) => vifPorts.includes(name));
  const path = pathOf(trace, options);
  const last = path.at(-1);
  if (isPassed) {
    const lines = [`passed to ${outputs.join(", ")}`, ...path.map(ruleLine)];
    return { verdict: "passed", outputs, reason: null, lines };
  }
  const reason = last === undefined ? null : (reasonOfStep(last) ?? silentReason(path, direction));
  const { why, policy, allow } = adviseOn({ reason, fields: trace.fields, vif, direction });
  return {
    ...{ verdict: "dropped", outputs, reason },
    lines: [
      `dropped${reason === null ? "" : ` (${reason})`}: ${why}`,
      ...(last === undefined ? [] : [`decided by ${ruleLine(decidingStep(path) ?? last)}`]),
      ...(policy === null ? [] : [`policy: ${policy}`]),
      ...(allow === null ? [] : [`to allow it: ${allow}`]),
    ],
  };
}

/** The steps that led to the verdict: those of a flood's copies for other ports are left out. */
function pathOf({ steps }: Trace, { vif, direction }: ExplainOptions): readonly TraceStep[] {
  const common = steps.filter(({ target }) => target === null);
  const mine = steps.filter(({ target }) => target === vif.port);
  const isToOne = new Set(steps.map(({ target }) => target ?? -1)).size <= 2;
  if (direction === "to" && mine.length > 0) {
    return [...common, ...mine];
  }
  return isToOne ? steps : common;
}

/** The rule that counts a drop is not the one that decided it. */
function decidingStep(path: readonly TraceStep[]): TraceStep | undefined {
  return path.findLast(({ table }) => table !== TABLE_DROP);
}

/** Drops of floods are not counted, so that they have no rule with the reason in it. */
function silentReason(path: readonly TraceStep[], direction: "from" | "to"): DropReason | null {
  const last = path.at(-1);
  if (last?.table !== TABLE_ADMIT || !last.isDrop) {
    return null;
  }
  if (last.match.includes("reg7=0x1")) {
    return "to-unlocked";
  }
  return direction === "to" ? "to-group" : "external";
}

/** `table 20 (destination policy of isolated VIFs), priority 120: ip,reg4=0x2,…` */
function ruleLine({ table, priority, match }: TraceStep): string {
  const name = VIF_PIPELINE.get(table)?.name ?? "not ours";
  return `table ${table} (${name}), priority ${priority}: ${match === "" ? "any frame" : match}`;
}

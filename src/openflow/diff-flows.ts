/** What must be changed for a switch to have the flows that it should have. */
import type { Flow, FlowMod, InstalledFlow } from "./flow.ts";
import { formatActions, formatFlowKey } from "./format-flow.ts";

/** Each flow is in one of the lists, or as it should be. */
export type FlowDiff = {
  readonly added: readonly Flow[];
  /** With other actions or another cookie than the switch has; replaced in place. */
  readonly changed: readonly Flow[];
  readonly removed: readonly InstalledFlow[];
};

/**
 * @param installed the flows of an owner, as listed under its cookie mask
 * @param desired all that the owner wants; no two with the same table, priority and match
 */
export function diffFlows(installed: readonly InstalledFlow[], desired: readonly Flow[]): FlowDiff {
  const left = new Map<string, Flow>();
  const removed: InstalledFlow[] = [];
  for (const entry of installed) {
    if (entry.kind === "known") {
      left.set(formatFlowKey(entry.flow), entry.flow);
    } else {
      removed.push(entry);
    }
  }
  const added: Flow[] = [];
  const changed: Flow[] = [];
  for (const flow of desired) {
    const key = formatFlowKey(flow);
    const there = left.get(key);
    if (there === undefined) {
      added.push(flow);
    } else if (!isSame(there, flow)) {
      changed.push(flow);
    }
    left.delete(key);
  }
  removed.push(...Array.from(left.values(), (flow) => ({ kind: "known", flow }) as const));
  return { added, changed, removed };
}

/**
 * The messages of one bundle. Removals come first: an unknown flow can be in the place of one that
 * is added.
 */
export function modsOfDiff({ added, changed, removed }: FlowDiff): readonly FlowMod[] {
  return [
    ...removed.map((flow) => ({ kind: "delete-strict", flow }) as const),
    ...[...changed, ...added].map((flow) => ({ kind: "add", flow }) as const),
  ];
}

function isSame(one: Flow, other: Flow): boolean {
  return one.cookie === other.cookie && formatActions(one.actions) === formatActions(other.actions);
}

/** What the API shows of VIFs, groups and networks: the plan, and what the switch makes of it. */
import type { GroupView, NetworkView, VifRulesView, VifState } from "../control/vif-rules-api.ts";
import type { PlannedVif } from "./vif-plan.ts";
import type { VifReconciler } from "./vif-reconciler.ts";

export type VifCounts = Pick<
  VifRulesView,
  "acceptedFrames" | "acceptedOctets" | "deliveredFrames" | "dropped"
>;

export const NO_COUNTS: VifCounts = {
  acceptedFrames: 0,
  acceptedOctets: 0,
  deliveredFrames: 0,
  dropped: {},
};

/** A VIF and what became of its frames. */
export type CountedVif = {
  readonly name: string;
  readonly isApplied: boolean;
  readonly counts: VifCounts;
};

export type VifVerdict = { readonly state: VifState; readonly error: string | null };

/** The section of a bridge's flows that is a VIF's own. */
export function sectionOf({ key }: PlannedVif): string {
  return `vif ${key}`;
}

export function judgeVif(vif: PlannedVif, reconciler: VifReconciler): VifVerdict {
  const error = errorOf(vif, reconciler);
  if (error !== null) {
    return { state: "error", error };
  }
  if (vif.sourced === null) {
    return { state: "quarantine", error: null };
  }
  const isThere = vif.ports.some(({ port }) => port !== null);
  const isComing = vif.ports.some(({ name }) => reconciler.ports.isComing(name));
  return { state: isThere && !isComing ? "applied" : "waiting", error: null };
}

export function viewVif(
  vif: PlannedVif,
  {
    reconciler,
    counts,
    log,
  }: {
    readonly reconciler: VifReconciler;
    readonly counts: VifCounts;
    readonly log: boolean;
  },
): VifRulesView {
  return {
    vif: vif.ports[0]?.name ?? vif.name,
    ifaceId: vif.ifaceId,
    bridge: vif.bridge,
    ofport: vif.ports[0]?.ofport ?? null,
    ...judgeVif(vif, reconciler),
    policy: vif.sourced?.policy ?? null,
    origin: vif.sourced?.origin ?? null,
    ...counts,
    log,
  };
}

export function viewGroups({ policies, plan }: VifReconciler): readonly GroupView[] {
  const vifs = new Map<string, string[]>();
  for (const vif of plan.vifs.values()) {
    for (const group of vif.sourced?.policy.groups ?? []) {
      vifs.set(group, [...(vifs.get(group) ?? []), vif.name ?? vif.key]);
    }
  }
  return policies.groups.map(({ policy, origin }) => ({
    ...policy,
    origin,
    vifs: vifs.get(policy.group) ?? [],
  }));
}

export function viewNetworks({ policies }: VifReconciler): readonly NetworkView[] {
  return policies.networks.map(({ policy, origin }) => ({ ...policy, origin }));
}

function errorOf(vif: PlannedVif, reconciler: VifReconciler): string | null {
  const { problem } = reconciler;
  if (problem !== null) {
    return problem;
  }
  if (vif.failure !== null) {
    return vif.failure;
  }
  for (const { name, ofport, error, port } of vif.ports) {
    const why = reconciler.portProblem(name) ?? error;
    if (why !== null) {
      return why;
    }
    if (port !== null && ofport === null) {
      return `the switch has not opened ${name} yet`;
    }
  }
  return vif.bridge === null ? null : bridgeError(vif, vif.bridge, reconciler);
}

function bridgeError(vif: PlannedVif, name: string, reconciler: VifReconciler): string | null {
  const why = reconciler.bridgeProblem(name);
  if (why !== null) {
    return why;
  }
  const bridge = reconciler.bridge(name);
  const refused = bridge?.failures.get(sectionOf(vif));
  if (refused !== undefined) {
    return refused;
  }
  return bridge?.settled ? null : `bridge ${name} has not confirmed its flows yet`;
}

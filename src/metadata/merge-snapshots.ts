/**
 * Several sources' documents as one set of policies: of two about one thing the most trusted
 * source's is in force (vif-rules: files, then `vn` and the API, xenstore, libvirt), and what a VM
 * says about itself only narrows that.
 */
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../vifrules/policy.ts";
import { narrowVifPolicy } from "./narrow-policy.ts";
import {
  POLICY_TRUSTS,
  type PolicyDocument,
  type PolicyProblem,
  type PolicySnapshot,
  type PolicySubject,
  type PolicyTrust,
  subjectOf,
} from "./source.ts";

export type Sourced<Policy> = {
  readonly policy: Policy;
  readonly trust: PolicyTrust;
  readonly origin: string;
};

export type MergedPolicies = {
  /** At most one a subject, the most trusted first. None of `guest`. */
  readonly vifs: readonly Sourced<VifPolicy>[];
  /** What VMs say about themselves. */
  readonly narrowings: readonly Sourced<VifPolicy>[];
  /** At most one a name. */
  readonly groups: readonly Sourced<GroupPolicy>[];
  /** At most one a bridge and VLAN. */
  readonly networks: readonly Sourced<NetworkPolicy>[];
  /** Of all sources, with those of documents that compete within one source. */
  readonly problems: readonly PolicyProblem[];
};

/** A port of a managed bridge, by what can name it in a policy. */
export type PolicyPort = {
  readonly name: string;
  /** Null: it has none. */
  readonly ifaceId: string | null;
};

/** Of sources of equal trust the earlier one of `sources` is in force. */
export function mergeSnapshots(
  sources: readonly { readonly trust: PolicyTrust; readonly snapshot: PolicySnapshot }[],
): MergedPolicies {
  const ranked = [...sources].sort((a, b) => rankOf(a.trust) - rankOf(b.trust));
  const chosen = new Map<PolicySubject, Chosen>();
  const narrowings: Sourced<VifPolicy>[] = [];
  const problems: PolicyProblem[] = [];
  for (const { trust, snapshot } of ranked) {
    problems.push(...snapshot.problems);
    for (const document of snapshot.documents) {
      if (trust !== "guest") {
        addDocument({ ...document, trust, snapshot }, { chosen, problems });
      } else if (document.kind === "vif") {
        narrowings.push({ policy: document.policy, trust, origin: document.origin });
      }
    }
  }
  const documents = [...chosen.values()];
  return {
    vifs: documents.flatMap((document) => (document.kind === "vif" ? [sourced(document)] : [])),
    groups: documents.flatMap((document) => (document.kind === "group" ? [sourced(document)] : [])),
    networks: documents.flatMap((document) =>
      document.kind === "network" ? [sourced(document)] : [],
    ),
    narrowings,
    problems,
  };
}

/**
 * The policy of one port, or null: quarantine. An HVM guest's `tapD.N` (xapi) or `vifD.N-emu`
 * (libxl) stands for the same VIF as its `vifD.N`, whose policy it has where it has none itself.
 */
export function findVifPolicy(merged: MergedPolicies, port: PolicyPort): Sourced<VifPolicy> | null {
  const twin = /^(?:tap(\d+\.\d+)|vif(\d+\.\d+)-emu)$/.exec(port.name);
  const names = twin === null ? [port.name] : [port.name, `vif${twin[1] ?? twin[2]}`];
  const isAbout = ({ policy }: Sourced<VifPolicy>): boolean =>
    policy.ifaceId === undefined
      ? names.some((name) => name === policy.vif)
      : policy.ifaceId === port.ifaceId;
  const found = merged.vifs.find(isAbout);
  if (found === undefined) {
    return null;
  }
  const policy = merged.narrowings
    .filter(isAbout)
    .reduce((base, wish) => narrowVifPolicy(base, wish.policy), found.policy);
  return { ...found, policy };
}

type Chosen = PolicyDocument & Sourced<unknown> & { readonly snapshot: PolicySnapshot };

function addDocument(
  document: Chosen,
  {
    chosen,
    problems,
  }: { readonly chosen: Map<PolicySubject, Chosen>; readonly problems: PolicyProblem[] },
): void {
  const subject = subjectOf(document);
  const winner = chosen.get(subject);
  if (winner === undefined) {
    chosen.set(subject, document);
  } else if (winner.snapshot === document.snapshot) {
    // Another source is overruled by design; a second document of one source is a mistake.
    problems.push({
      origin: document.origin,
      message: `${document.origin}: a second document about ${subject}; ${winner.origin} is in force`,
      keptLastGood: false,
    });
  }
}

function sourced<Policy>({ policy, trust, origin }: Sourced<Policy>): Sourced<Policy> {
  return { policy, trust, origin };
}

function rankOf(trust: PolicyTrust): number {
  return POLICY_TRUSTS.indexOf(trust);
}

/**
 * What a source of policies is: something that holds documents (docs/HOTPLUG.md) and says when
 * they may have changed. A source reads and checks on its own; what it answers is always whole,
 * because of a document that cannot be read any more it keeps the last good one.
 *
 *     files ──────┐
 *     vn, API ────┤
 *     xenstore ───┼─> snapshot() ─> mergeSnapshots() ─> the reconciler
 *     libvirt ────┤
 *     vm-data ────┘
 */
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../vifrules/policy.ts";

/**
 * Most trusted first: of two documents about one thing, the one whose source stands earlier here
 * is in force. `guest` is what a VM says about itself: it only ever narrows another's document.
 */
export const POLICY_TRUSTS = ["file", "api", "xenstore", "libvirt", "guest"] as const;

export type PolicyTrust = (typeof POLICY_TRUSTS)[number];

export type PolicyDocument =
  | { readonly kind: "vif"; readonly policy: VifPolicy }
  | { readonly kind: "group"; readonly policy: GroupPolicy }
  | { readonly kind: "network"; readonly policy: NetworkPolicy };

/** A document and where it was read: `/etc/vnetd/vifs/web1.json`, `xenstore /xapi/…/vif/0`. */
export type SourcedDocument = PolicyDocument & { readonly origin: string };

/** Why what stands at `origin` is not in force. */
export type PolicyProblem = {
  readonly origin: string;
  /** One sentence with the origin, the key and the value. */
  readonly message: string;
  /** Whether an earlier document of the same origin is in force meanwhile. */
  readonly keptLastGood: boolean;
};

export type PolicySnapshot = {
  readonly documents: readonly SourcedDocument[];
  readonly problems: readonly PolicyProblem[];
};

export type PolicySource = {
  /** For people: `files`, `api`, `xenstore`, `libvirt`, `vm-data`. */
  readonly name: string;
  readonly trust: PolicyTrust;
  /** What is known now; cheap, and the same object as long as nothing changed. */
  snapshot(): PolicySnapshot;
  /**
   * Reads again, what `hint` is about at least, and resolves when `snapshot()` shows it. A hotplug
   * call waits for this before it answers, so that what the toolstack wrote just before is seen.
   */
  refresh(hint?: PlugHint): Promise<void>;
  /**
   * Reads everything again, and drops what is not there any more: the operator's word (SIGHUP)
   * that a document has not vanished but was taken away. A source that cannot be read keeps all.
   */
  reload(): Promise<void>;
  /**
   * Drops what is only kept: documents about `subject` that are not in the source any more. The
   * reconciler calls it when the VIF is cleared; what the source still holds stays.
   */
  forget(subject: PolicySubject): void;
  /** `listener` is called after `snapshot()` has changed; the answer ends that. */
  onChange(listener: () => void): () => void;
  close(): void;
};

/** What a hotplug script says about a VIF, for sources that hold nothing until they are asked. */
export type PlugHint = {
  readonly vif: string;
  readonly bridge?: string;
  readonly vm?: string;
  readonly devid?: number;
  /** The xenopsd backend that the VM is one of. */
  readonly backend?: string;
};

/** What a document is about; two documents with one subject compete. A map key. */
export type PolicySubject = `${"vif" | "iface-id" | "group" | "network"} ${string}`;

export function subjectOf(document: PolicyDocument): PolicySubject {
  switch (document.kind) {
    case "vif":
      return vifSubject(document.policy);
    case "group":
      return `group ${document.policy.group}`;
    case "network":
      return `network ${document.policy.bridge} ${document.policy.vlan}`;
  }
}

/** A policy does not change, and all of them are asked at each change of one. */
const vifSubjects = new WeakMap<VifPolicy, PolicySubject>();

function vifSubject(policy: VifPolicy): PolicySubject {
  const known = vifSubjects.get(policy);
  if (known !== undefined) {
    return known;
  }
  const { vif, ifaceId } = policy;
  const subject: PolicySubject = vif === undefined ? `iface-id ${ifaceId}` : `vif ${vif}`;
  vifSubjects.set(policy, subject);
  return subject;
}

/**
 * Policies in the metadata of libvirt's domains. libvirt must not be asked from within its hook,
 * so all that is known is what the hook was given; it is kept until the domain has ended.
 */
import { KeptDocuments, type KeptDocumentsOptions } from "./kept-documents.ts";
import type { LibvirtDomain } from "./libvirt-domain.ts";
import {
  type PolicyDocument,
  type PolicySnapshot,
  type PolicySource,
  type PolicySubject,
  subjectOf,
} from "./source.ts";

export async function openLibvirtSource(options: KeptDocumentsOptions): Promise<LibvirtSource> {
  const kept = new KeptDocuments(options);
  await kept.restore();
  return new LibvirtSource(kept);
}

export class LibvirtSource implements PolicySource {
  readonly name = "libvirt";
  readonly trust = "libvirt";
  readonly #kept: KeptDocuments;

  constructor(kept: KeptDocuments) {
    this.#kept = kept;
  }

  snapshot(): PolicySnapshot {
    return this.#kept.snapshot();
  }

  /** Nothing can be read: the hook says what is new. */
  async refresh(): Promise<void> {}

  async reload(): Promise<void> {}

  /** Takes over what a domain that is starting, or running, says about its interfaces. */
  setDomain({ uuid, interfaces }: LibvirtDomain): void {
    const policies = new Map<string, PolicyDocument>();
    const subjects = new Set<PolicySubject>();
    for (const { mac, device, policy } of interfaces) {
      if (policy !== null) {
        const document: PolicyDocument = { kind: "vif", policy };
        policies.set(originOf(uuid, mac), document);
        subjects.add(subjectOf(document));
      }
      if (device !== null) {
        subjects.add(`vif ${device}`);
      }
    }
    for (const { origin, ...document } of this.#kept.snapshot().documents) {
      // A device that libvirt has given to this domain is no other domain's any more, whether or
      // not the end of that one was heard of.
      if (origin.startsWith(originOf(uuid, "")) || subjects.has(subjectOf(document))) {
        this.#dropUnless(origin, policies);
      }
    }
    for (const [origin, document] of policies) {
      this.#kept.put(origin, document);
    }
    this.#kept.settle();
  }

  /** The domain has ended: whoever gets its devices' names next is somebody else. */
  endDomain(uuid: string): void {
    for (const origin of this.#kept.origins()) {
      if (origin.startsWith(originOf(uuid, ""))) {
        this.#kept.drop(origin);
      }
    }
    this.#kept.settle();
  }

  forget(subject: PolicySubject): void {
    this.#kept.forget(subject);
  }

  onChange(listener: () => void): () => void {
    return this.#kept.onChange(listener);
  }

  close(): void {}

  #dropUnless(origin: string, policies: ReadonlyMap<string, PolicyDocument>): void {
    if (!policies.has(origin)) {
      this.#kept.drop(origin);
    }
  }
}

function originOf(uuid: string, mac: string): string {
  return `libvirt domain ${uuid} ${mac}`;
}

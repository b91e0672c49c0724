/**
 * The documents of one source by where they were read, with the rule that all sources share: what
 * was good once stays in force until something good replaces it, or somebody takes it away.
 */
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { readGroupPolicy, readNetworkPolicy, readVifPolicy } from "../vifrules/policy-document.ts";
import {
  type PolicyDocument,
  type PolicyProblem,
  type PolicySnapshot,
  type PolicySubject,
  type SourcedDocument,
  subjectOf,
} from "./source.ts";

/** A file that outlives the daemon; what is kept is in force again after a restart. */
export type KeptStore = {
  /** What was saved last; an empty list when nothing was. @throws Error when it is unreadable */
  load(): Promise<readonly SourcedDocument[]>;
  save(documents: readonly SourcedDocument[]): Promise<void>;
};

export type KeptDocumentsOptions = {
  /** Left out: what is kept is forgotten when the daemon ends. */
  readonly store?: KeptStore;
  /** The store could not be written; what is kept is in force all the same. */
  readonly onFailure?: (error: unknown) => void;
};

type Unit = {
  readonly document: PolicyDocument;
  /** Whether the source held it when it was read last. */
  readonly present: boolean;
};

export class KeptDocuments {
  readonly #units = new Map<string, Unit>();
  readonly #problems = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  readonly #options: KeptDocumentsOptions;
  #snapshot: PolicySnapshot = { documents: [], problems: [] };
  #changed = false;

  constructor(options: KeptDocumentsOptions = {}) {
    this.#options = options;
  }

  /** Takes over what was kept before a restart, as absent until the source is read. */
  async restore(): Promise<void> {
    for (const { origin, ...document } of (await this.#options.store?.load()) ?? []) {
      this.#units.set(origin, { document, present: false });
      this.#changed = true;
    }
    this.#publish();
  }

  origins(): readonly string[] {
    return [...this.#units.keys()];
  }

  /** What stands at `origin` is good. */
  put(origin: string, document: PolicyDocument): void {
    const former = this.#units.get(origin)?.document;
    const same = former !== undefined && JSON.stringify(former) === JSON.stringify(document);
    // The same object again, so that whoever compares by identity sees that nothing changed.
    this.#units.set(origin, { document: same ? former : document, present: true });
    this.#changed ||= !same;
    this.#setProblem(origin, null);
  }

  /** What stands at `origin` is not good, for the reason of `message`: the last good one is kept. */
  refuse(origin: string, message: string): void {
    this.#setProblem(origin, message);
  }

  /** Nothing stands at `origin` any more: the last good one is kept. */
  vanish(origin: string, message: string): void {
    const unit = this.#units.get(origin);
    if (unit === undefined) {
      this.#setProblem(origin, null);
    } else {
      this.#units.set(origin, { ...unit, present: false });
      this.#setProblem(origin, message);
    }
  }

  /** Somebody took away what stood at `origin`. */
  drop(origin: string): void {
    this.#changed = this.#units.delete(origin) || this.#changed;
    this.#setProblem(origin, null);
  }

  /** Drops what is about `subject` and is only kept. */
  forget(subject: PolicySubject): void {
    for (const [origin, { document, present }] of this.#units) {
      if (!present && subjectOf(document) === subject) {
        this.drop(origin);
      }
    }
    this.settle();
  }

  /** After one reading of the source: tells the listeners, and the store, what has changed. */
  settle(): void {
    if (!this.#changed) {
      return;
    }
    const documentsBefore = this.#snapshot.documents;
    this.#publish();
    if (!sameDocuments(documentsBefore, this.#snapshot.documents)) {
      this.#options.store?.save(this.#snapshot.documents).catch((error: unknown) => {
        this.#options.onFailure?.(error);
      });
    }
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }

  snapshot(): PolicySnapshot {
    return this.#snapshot;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #setProblem(origin: string, message: string | null): void {
    if ((this.#problems.get(origin) ?? null) !== message) {
      this.#changed = true;
    }
    if (message === null) {
      this.#problems.delete(origin);
    } else {
      this.#problems.set(origin, message);
    }
  }

  #publish(): void {
    const byOrigin = <T>([a]: readonly [string, T], [b]: readonly [string, T]): number =>
      a < b ? -1 : 1;
    this.#snapshot = {
      documents: [...this.#units]
        .sort(byOrigin)
        .map(([origin, { document }]) => ({ ...document, origin })),
      problems: [...this.#problems].sort(byOrigin).map(
        ([origin, message]): PolicyProblem => ({
          origin,
          message,
          keptLastGood: this.#units.has(origin),
        }),
      ),
    };
    this.#changed = false;
  }
}

/**
 * What a store's file holds, from JSON.parse.
 *
 * @throws ParseError when a document is not one any more
 */
export function readKeptDocuments(value: unknown): readonly SourcedDocument[] {
  if (!Array.isArray(value)) {
    throw new ParseError(`Not a list of documents: ${quoteValue(JSON.stringify(value) ?? "")}`);
  }
  return value.map(readKeptDocument);
}

function readKeptDocument(value: unknown): SourcedDocument {
  const { kind, policy, origin } = value as { kind?: unknown; policy?: unknown; origin?: unknown };
  if (typeof origin !== "string") {
    throw new ParseError(
      `A document without an origin: ${quoteValue(JSON.stringify(value) ?? "")}`,
    );
  }
  return { ...readDocument(String(kind), policy), origin };
}

/**
 * @param kind what the document is about: `vif`, `group`, `network`
 * @throws ParseError with the key and the value
 */
export function readDocument(kind: string, policy: unknown): PolicyDocument {
  switch (kind) {
    case "vif":
      return { kind, policy: readVifPolicy(policy) };
    case "group":
      return { kind, policy: readGroupPolicy(policy) };
    case "network":
      return { kind, policy: readNetworkPolicy(policy) };
    default:
      throw new ParseError(`Not a kind of document: ${quoteValue(kind)}`);
  }
}

function sameDocuments(a: readonly SourcedDocument[], b: readonly SourcedDocument[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      ({ origin, policy }, index) => b[index]?.origin === origin && b[index].policy === policy,
    )
  );
}

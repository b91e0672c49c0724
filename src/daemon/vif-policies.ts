/** All sources' policies as one set, merged again when a source has changed. */
import { type MergedPolicies, mergeSnapshots } from "../metadata/merge-snapshots.ts";
import type { PolicySnapshot, PolicySource } from "../metadata/source.ts";

/** `message` null: it is over. */
export type PolicyProblemChange = { readonly origin: string; readonly message: string | null };

export class PolicyMerge {
  readonly #sources: readonly PolicySource[];
  #snapshots: readonly PolicySnapshot[] = [];
  #merged: MergedPolicies | null = null;
  #toldOrigins = new Set<string>();

  constructor(sources: readonly PolicySource[]) {
    this.#sources = sources;
  }

  /** The same value as long as no source has changed. */
  get policies(): MergedPolicies {
    const snapshots = this.#sources.map((source) => source.snapshot());
    const same =
      snapshots.length === this.#snapshots.length &&
      snapshots.every((snapshot, index) => snapshot === this.#snapshots[index]);
    if (this.#merged === null || !same) {
      this.#snapshots = snapshots;
      this.#merged = mergeSnapshots(
        this.#sources.map(({ trust }, index) => ({
          trust,
          snapshot: snapshots[index] ?? { documents: [], problems: [] },
        })),
      );
    }
    return this.#merged;
  }

  /** The problems there are, and those that were there at the last call and are not any more. */
  changedProblems(): readonly PolicyProblemChange[] {
    const { problems } = this.policies;
    const origins = new Set(problems.map(({ origin }) => origin));
    const over = [...this.#toldOrigins].filter((origin) => !origins.has(origin));
    this.#toldOrigins = origins;
    return [...problems, ...over.map((origin) => ({ origin, message: null }))];
  }
}

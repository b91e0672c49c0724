/**
 * The policies that `vn` and the API have set, and which bridges are managed: one document of the
 * state directory, and the source of policies that is called `api`. A change is on the disk when
 * its promise resolves; it is in force for the reconciler at once.
 */
import { z } from "zod";
import type {
  PolicyDocument,
  PolicySnapshot,
  PolicySource,
  PolicySubject,
} from "../metadata/source.ts";
import { subjectOf } from "../metadata/source.ts";
import { type InterfaceName, parseInterfaceName } from "../net/interface-name.ts";
import type { GroupPolicy, NetworkPolicy, VifPolicy } from "../vifrules/policy.ts";
import { readGroupPolicy, readNetworkPolicy, readVifPolicy } from "../vifrules/policy-document.ts";
import { DurableDocument, refusedDocument } from "./durable-document.ts";
import { reading } from "./zod-reading.ts";

/** Raised with every change that an older version could not read. */
export const VIF_RULES_SCHEMA_VERSION = 1;

/** What a bridge was before it was managed. */
export type ManagedBridgeRecord = {
  readonly bridge: InterfaceName;
  /** Its `fail_mode` before it became `secure`; null: none was set. */
  readonly formerFailMode: "standalone" | "secure" | null;
};

export type StoredVifRules = {
  readonly vifs: readonly VifPolicy[];
  readonly groups: readonly GroupPolicy[];
  readonly networks: readonly NetworkPolicy[];
  /**
   * Once managed, a bridge stays so until `vn net-delete`: on one that was given back as soon as its
   * last VM stopped, every port would be cut off for a moment at each start.
   */
  readonly bridges: readonly ManagedBridgeRecord[];
  /** Ports whose drops are logged. */
  readonly logged: readonly InterfaceName[];
};

export const EMPTY_VIF_RULES: StoredVifRules = {
  vifs: [],
  groups: [],
  networks: [],
  bridges: [],
  logged: [],
};

const ADVICE = "repair it, or move it away to start without the policies that `vn` has set";
const ORIGIN = "api";

const interfaceName = z.string().transform(reading(parseInterfaceName));

const storedSchema = z.strictObject({
  schema: z.literal(VIF_RULES_SCHEMA_VERSION),
  vifs: z.array(readBy(readVifPolicy)),
  groups: z.array(readBy(readGroupPolicy)),
  networks: z.array(readBy(readNetworkPolicy)),
  bridges: z.array(
    z.strictObject({
      bridge: interfaceName,
      formerFailMode: z.enum(["standalone", "secure"]).nullable(),
    }),
  ),
  logged: z.array(interfaceName),
});

export class VifPolicyStore implements PolicySource {
  readonly name = "api";
  readonly trust = "api";
  readonly #document: DurableDocument<StoredVifRules>;
  readonly #listeners = new Set<() => void>();
  #stored: StoredVifRules = EMPTY_VIF_RULES;
  #snapshot: PolicySnapshot = { documents: [], problems: [] };

  constructor(stateDirectory: string) {
    this.#document = new DurableDocument(stateDirectory, {
      fileName: "vif-rules.json",
      empty: EMPTY_VIF_RULES,
      parse: parseVifRules,
      format: formatVifRules,
    });
  }

  get stored(): StoredVifRules {
    return this.#stored;
  }

  /** @throws StateFileError when the file is there and cannot be read whole */
  async load(): Promise<void> {
    this.#set(await this.#document.load());
  }

  snapshot(): PolicySnapshot {
    return this.#snapshot;
  }

  /** In force at once; a caller that must undo it gives the former value back to `change`. */
  change(stored: StoredVifRules): void {
    this.#set(stored);
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /**
   * Resolves when what is in force now, or later, is on the disk.
   *
   * @throws StateFileError
   */
  async save(): Promise<void> {
    await this.#document.save(this.#stored);
  }

  /** Nobody else writes it. */
  async refresh(): Promise<void> {}

  async reload(): Promise<void> {}

  /** Nothing is kept that is not in the document. */
  forget(_subject: PolicySubject): void {}

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#listeners.clear();
  }

  #set(stored: StoredVifRules): void {
    const former = this.#stored;
    this.#stored = stored;
    const same =
      former.vifs === stored.vifs &&
      former.groups === stored.groups &&
      former.networks === stored.networks;
    if (!same) {
      this.#snapshot = {
        documents: documentsOf(stored).map((document) => ({ ...document, origin: ORIGIN })),
        problems: [],
      };
    }
  }
}

/** `document` in the place of the one about the same thing, or as a new one. */
export function withDocument(stored: StoredVifRules, document: PolicyDocument): StoredVifRules {
  const others = withoutSubjects(stored, new Set([subjectOf(document)]));
  switch (document.kind) {
    case "vif":
      return { ...others, vifs: [...others.vifs, document.policy] };
    case "group":
      return { ...others, groups: [...others.groups, document.policy] };
    case "network":
      return { ...others, networks: [...others.networks, document.policy] };
  }
}

/** The lists that lose nothing stay the same values. */
export function withoutSubjects(
  stored: StoredVifRules,
  subjects: ReadonlySet<PolicySubject>,
): StoredVifRules {
  return {
    ...stored,
    vifs: without(stored.vifs, (policy) => subjects.has(subjectOf({ kind: "vif", policy }))),
    groups: without(stored.groups, (policy) => subjects.has(subjectOf({ kind: "group", policy }))),
    networks: without(stored.networks, (policy) =>
      subjects.has(subjectOf({ kind: "network", policy })),
    ),
  };
}

/** @throws StateFileError naming `path` */
export function parseVifRules(text: string, path: string): StoredVifRules {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw refusedDocument(path, { why: "it is not whole JSON", advice: ADVICE, cause });
  }
  const parsed = storedSchema.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const why = `at ${issue?.path.join(".") || "its top"}: ${issue?.message}`;
    throw refusedDocument(path, { why, advice: ADVICE });
  }
  const { schema, ...stored } = parsed.data;
  return stored;
}

/** A line for each policy. */
export function formatVifRules(stored: StoredVifRules): string {
  const lists = Object.entries(stored).map(([key, list]) => {
    const lines = (list as readonly (object | string)[]).map(formatItem);
    return `${JSON.stringify(key)}: [${lines.join(",")}${lines.length === 0 ? "" : "\n "}]`;
  });
  return `{\n "schema": ${VIF_RULES_SCHEMA_VERSION},\n ${lists.join(",\n ")}\n}\n`;
}

/** A policy does not change, and all of them are written at each change of one. */
const lines = new WeakMap<object, string>();

function formatItem(item: object | string): string {
  if (typeof item === "string") {
    return `\n  ${JSON.stringify(item)}`;
  }
  const line = lines.get(item) ?? `\n  ${JSON.stringify(item)}`;
  lines.set(item, line);
  return line;
}

/** All policies, as documents. */
export function documentsOf(stored: StoredVifRules): readonly PolicyDocument[] {
  return [
    ...stored.vifs.map((policy) => ({ kind: "vif", policy }) as const),
    ...stored.groups.map((policy) => ({ kind: "group", policy }) as const),
    ...stored.networks.map((policy) => ({ kind: "network", policy }) as const),
  ];
}

function without<T>(list: readonly T[], isOut: (item: T) => boolean): readonly T[] {
  const left = list.filter((item) => !isOut(item));
  return left.length === list.length ? list : left;
}

/** A reader of policy documents as a schema; what it throws becomes an issue at the document. */
function readBy<T>(read: (document: unknown) => T) {
  return z.unknown().transform((document, context): T => {
    try {
      return read(document);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
      return z.NEVER;
    }
  });
}

/**
 * Policies in the files of xenopsd, `DIR/<backend>/VM/<uuid>/vif.<devid>`: the copy of xapi's VIF
 * records that is whole when `setup-vif-rules` is called, while xenstore's is being rewritten.
 * xenopsd says nothing when it writes one: `setup-vif-rules` does, as the hint of a refresh.
 */
import { join } from "node:path";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { KeptDocuments, type KeptDocumentsOptions } from "./kept-documents.ts";
import type { PlugHint, PolicySnapshot, PolicySource, PolicySubject } from "./source.ts";
import { readTrustedFile, TrustedFileError } from "./trusted-file.ts";
import { isOwnOtherConfig, readXapiVif, type XapiField } from "./xapi-vif.ts";

export const XENOPSD_DIRECTORY = "/var/run/nonpersistent/xenopsd";

const FILE_BYTES_MAX = 1024 * 1024;
// Each becomes a part of a path, so neither can be empty, begin with a dot or hold a slash.
const BACKEND = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export type XenopsdSourceOptions = KeptDocumentsOptions & {
  /** @default XENOPSD_DIRECTORY */
  readonly directory?: string;
  /** Whose the files must be. @default 0 */
  readonly ownerUid?: number;
};

type Asked = Required<Omit<PlugHint, "bridge">>;

export async function openXenopsdSource(options: XenopsdSourceOptions): Promise<XenopsdSource> {
  const kept = new KeptDocuments(options);
  await kept.restore();
  return new XenopsdSource(options, kept);
}

export class XenopsdSource implements PolicySource {
  readonly name = "xenopsd";
  readonly trust = "xenstore";
  readonly #options: XenopsdSourceOptions;
  readonly #kept: KeptDocuments;
  /** By origin; what has been asked about since the daemon started. */
  readonly #asked = new Map<string, Asked>();

  constructor(options: XenopsdSourceOptions, kept: KeptDocuments) {
    this.#options = options;
    this.#kept = kept;
  }

  snapshot(): PolicySnapshot {
    return this.#kept.snapshot();
  }

  async refresh(hint?: PlugHint): Promise<void> {
    const asked = hint === undefined ? null : completeHint(hint);
    if (asked !== null) {
      const origin = this.#originOf(asked);
      this.#asked.set(origin, asked);
      this.#read(origin, asked);
    } else if (hint === undefined) {
      this.#asked.forEach((each, origin) => {
        this.#read(origin, each);
      });
    }
    this.#kept.settle();
  }

  async reload(): Promise<void> {
    await this.refresh();
  }

  /** The file outlives the VIF by moments: with the VIF it is not asked for any more. */
  forget(subject: PolicySubject): void {
    for (const [origin, { vif }] of this.#asked) {
      if (subject === `vif ${vif}`) {
        this.#asked.delete(origin);
        this.#kept.drop(origin);
      }
    }
    this.#kept.forget(subject);
  }

  onChange(listener: () => void): () => void {
    return this.#kept.onChange(listener);
  }

  close(): void {}

  #originOf({ backend, vm, devid, vif }: Asked): string {
    const directory = this.#options.directory ?? XENOPSD_DIRECTORY;
    return `${join(directory, backend, "VM", vm, `vif.${devid}`)} (${vif})`;
  }

  #read(origin: string, asked: Asked): void {
    const { ownerUid } = this.#options;
    const path = origin.slice(0, origin.lastIndexOf(" ("));
    try {
      const text = readTrustedFile(path, {
        bytesMax: FILE_BYTES_MAX,
        ...(ownerUid !== undefined && { ownerUid }),
      });
      const { vif, vm, devid } = asked;
      const policy = readXapiVif({ name: { vif }, vm, devid, fields: readXenopsdVif(text) });
      this.#kept.put(origin, { kind: "vif", policy });
    } catch (error) {
      if (error instanceof TrustedFileError && error.absent) {
        // Gone before `clear`, as it is when a VM is shut down in a hurry, or xenopsd is not used.
        this.#kept.vanish(origin, `${path} has gone: what it said stays in force`);
      } else if (error instanceof TrustedFileError) {
        this.#kept.refuse(origin, error.message);
      } else if (error instanceof ParseError) {
        this.#kept.refuse(origin, `${path}: ${error.message}`);
      } else {
        throw error;
      }
    }
  }
}

/**
 * The VIF's fields from the JSON of xenopsd, whose variants are a word, or a list of a word and
 * what belongs to it: `"Unlocked"`, `["Locked", {"ipv4": [], "ipv6": []}]`, `["Local", "xenbr0"]`.
 * Keys that are none of ours are xenopsd's business.
 *
 * @throws ParseError with the key and the value
 */
export function readXenopsdVif(text: string): ReadonlyMap<string, XapiField> {
  const vif = asObject(parseJson(text), "the VIF");
  const fields = new Map<string, XapiField>();
  const add = (name: string, key: string, value: unknown): void => {
    fields.set(name, { key, text: asText(value, key) });
  };
  add("mac", "mac", vif["mac"]);
  const [backend, bridge] = asVariant(vif["backend"], "backend");
  if (backend !== "Local") {
    throw new ParseError(`Key "backend": Not a bridge of this host: ${show(vif["backend"])}`);
  }
  add("bridge", "backend", bridge);
  const [mode, addresses] = asVariant(vif["locking_mode"], "locking_mode");
  fields.set("locking-mode", { key: "locking_mode", text: mode.toLowerCase() });
  if (mode === "Locked") {
    const { ipv4, ipv6 } = asObject(addresses, "locking_mode") as Record<"ipv4" | "ipv6", unknown>;
    add("ipv4-allowed", "locking_mode.ipv4", joinList(ipv4, "locking_mode.ipv4"));
    add("ipv6-allowed", "locking_mode.ipv6", joinList(ipv6, "locking_mode.ipv6"));
  }
  for (const [key, value] of readPairs(vif["other_config"], "other_config")) {
    if (isOwnOtherConfig(key)) {
      add(`other-config/${key}`, `other_config.${key}`, value);
    }
  }
  return fields;
}

function completeHint({ vif, vm, devid, backend }: PlugHint): Asked | null {
  if (vm === undefined || devid === undefined || backend === undefined) {
    return null;
  }
  return UUID.test(vm) && BACKEND.test(backend) && Number.isInteger(devid) && devid >= 0
    ? { vif, vm, devid, backend }
    : null;
}

/** OCaml's maps come as lists of pairs, newer versions' as objects. */
function readPairs(value: unknown, key: string): readonly (readonly [string, unknown])[] {
  if (value === undefined || value === null) {
    return [];
  }
  if (!Array.isArray(value)) {
    return Object.entries(asObject(value, key));
  }
  return value.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string") {
      throw new ParseError(`Key ${quoteValue(key)}: Not a pair: ${show(pair)}`);
    }
    return [pair[0], pair[1]];
  });
}

function joinList(value: unknown, key: string): string {
  if (!Array.isArray(value)) {
    throw new ParseError(`Key ${quoteValue(key)}: Not a list: ${show(value)}`);
  }
  // An entry with a comma of its own would read as two.
  const odd: unknown = value.find((item) => typeof item !== "string" || item.includes(","));
  if (odd !== undefined) {
    throw new ParseError(`Key ${quoteValue(key)}: Not an address: ${show(odd)}`);
  }
  return value.join(",");
}

function asVariant(value: unknown, key: string): readonly [string, unknown] {
  const [word, content] = Array.isArray(value) ? (value as unknown[]) : [value];
  return [asText(word, key), content];
}

function asText(value: unknown, key: string): string {
  if (typeof value !== "string") {
    throw new ParseError(`Key ${quoteValue(key)}: Not text: ${show(value)}`);
  }
  return value;
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ParseError(`Key ${quoteValue(what)}: Not an object: ${show(value)}`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ParseError(`Not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function show(value: unknown): string {
  return quoteValue(JSON.stringify(value) ?? String(value));
}

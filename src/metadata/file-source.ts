/**
 * Policies in files: `DIR/vifs/*.json`, `DIR/groups/*.json` and `DIR/networks/*.json`, one document
 * a file, that only root can have written. They are read again when the kernel says that a folder
 * has changed, and looked at every few seconds besides, since such a word can be lost.
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { monotonicClock } from "../host/clock.ts";
import { ParseError } from "../net/parse-error.ts";
import { KeptDocuments, type KeptDocumentsOptions, readDocument } from "./kept-documents.ts";
import type {
  PlugHint,
  PolicyDocument,
  PolicySnapshot,
  PolicySource,
  PolicySubject,
} from "./source.ts";
import { type FileStamp, TrustedFileError, TrustedFolder, UNSURE_MS } from "./trusted-file.ts";

const FOLDERS = [
  { name: "vifs", kind: "vif" },
  { name: "groups", kind: "group" },
  { name: "networks", kind: "network" },
] as const;

type Folder = (typeof FOLDERS)[number];

/** A group of 65536 members is below half of it. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;
const RESCAN_MS = 2_000;

export type FileSourceOptions = KeptDocumentsOptions & {
  /** The parent of the three folders. */
  readonly directory: string;
  /** Whose the files must be. @default 0 */
  readonly ownerUid?: number;
  /** @default 2000 */
  readonly rescanMs?: number;
};

type Watched = { readonly identity: string; readonly watcher: FSWatcher };

/** Reads what is there; a folder that is not there, or not safe, is a problem and not a failure. */
export async function openFileSource(options: FileSourceOptions): Promise<FileSource> {
  const kept = new KeptDocuments(options);
  await kept.restore();
  const { directory } = options;
  // The operator may have named another folder since: what the former one said is not meant now.
  for (const origin of kept.origins().filter((each) => !each.startsWith(join(directory, "/")))) {
    kept.drop(origin);
  }
  return new FileSource(options, kept);
}

export class FileSource implements PolicySource {
  readonly name = "files";
  readonly trust = "file";
  readonly #options: FileSourceOptions;
  readonly #kept: KeptDocuments;
  /** By path; of a file that was refused as well, so that it is not read again and again. */
  readonly #stamps = new Map<string, FileStamp>();
  readonly #watched = new Map<string, Watched>();
  readonly #rescan: NodeJS.Timeout;
  /** Why it will be read again before the next look, and the timers of that. */
  readonly #soon = new Map<"event" | "unsure", NodeJS.Timeout>();
  /** Half of the time at most is spent on reading: before that instant no event leads to it. */
  #readNotBefore = 0;
  /** Whether the kernel tells all changes. */
  #isWatched = false;

  constructor(options: FileSourceOptions, kept: KeptDocuments) {
    this.#options = options;
    this.#kept = kept;
    this.#rescan = setInterval(() => this.#read(), options.rescanMs ?? RESCAN_MS);
    // What was taken away while no daemon ran was taken away by somebody, as before a SIGHUP.
    this.#read({ dropGone: true });
  }

  snapshot(): PolicySnapshot {
    return this.#kept.snapshot();
  }

  async refresh(hint?: PlugHint): Promise<void> {
    if (hint !== undefined && this.#isWatched) {
      // What was written before the call is an event by now: it is heard within a turn of the loop.
      await setImmediate();
      await setImmediate();
      if (this.#soon.size === 0) {
        return;
      }
    }
    this.#read();
  }

  async reload(): Promise<void> {
    this.#stamps.clear();
    this.#read({ dropGone: true });
  }

  forget(subject: PolicySubject): void {
    this.#kept.forget(subject);
  }

  onChange(listener: () => void): () => void {
    return this.#kept.onChange(listener);
  }

  close(): void {
    clearInterval(this.#rescan);
    for (const timer of this.#soon.values()) {
      clearTimeout(timer);
    }
    for (const { watcher } of this.#watched.values()) {
      watcher.close();
    }
    this.#watched.clear();
  }

  #read({ dropGone } = { dropGone: false }): void {
    const startedAt = monotonicClock.now();
    this.#readFolders(dropGone);
    this.#kept.settle();
    const endedAt = monotonicClock.now();
    this.#readNotBefore = endedAt + (endedAt - startedAt);
  }

  #readSoon(why: "event" | "unsure", afterMs: number): void {
    if (!this.#soon.has(why)) {
      const timer = setTimeout(() => {
        this.#soon.delete(why);
        this.#read();
      }, afterMs);
      this.#soon.set(why, timer);
    }
  }

  #readFolders(dropGone: boolean): void {
    const { directory } = this.#options;
    this.#isWatched = true;
    try {
      const parent = this.#open(directory);
      parent.close();
      this.#kept.drop(directory);
    } catch (error) {
      this.#isWatched = false;
      this.#refuseFolder(directory, error);
      return;
    }
    for (const folder of FOLDERS) {
      this.#readFolder(folder, dropGone);
    }
  }

  #readFolder(folder: Folder, dropGone: boolean): void {
    const path = join(this.#options.directory, folder.name);
    let trusted: TrustedFolder;
    let names: readonly string[];
    try {
      trusted = this.#open(path);
    } catch (error) {
      this.#refuseFolder(path, error);
      return;
    }
    try {
      names = trusted.list().filter((name) => name.endsWith(".json") && !name.startsWith("."));
      const present = new Set(names.filter((name) => this.#readFile(trusted, name, folder.kind)));
      this.#kept.drop(path);
      this.#noteGone(path, present, dropGone);
    } catch (error) {
      this.#refuseFolder(path, error);
    } finally {
      trusted.close();
    }
  }

  /** Whether there is such a file, good or bad. */
  #readFile(folder: TrustedFolder, name: string, kind: PolicyDocument["kind"]): boolean {
    const path = join(folder.path, name);
    try {
      const known = this.#stamps.get(path) ?? null;
      if (known !== null && known === folder.stamp(name)) {
        return true;
      }
      this.#stamps.delete(path);
      const { text, stamp } = folder.read(name, { bytesMax: FILE_BYTES_MAX });
      this.#noteStamp(path, stamp);
      this.#kept.put(path, readDocument(kind, parseJson(text)));
      return true;
    } catch (error) {
      if (error instanceof TrustedFileError) {
        if (!error.absent) {
          this.#kept.refuse(path, error.message);
        }
        return !error.absent;
      }
      if (error instanceof ParseError) {
        this.#kept.refuse(path, `${path}: ${error.message}`);
        return true;
      }
      throw error;
    }
  }

  #noteStamp(path: string, stamp: FileStamp): void {
    this.#stamps.set(path, stamp);
    if (stamp === null) {
      this.#readSoon("unsure", 2 * UNSURE_MS);
    }
  }

  #noteGone(folder: string, present: ReadonlySet<string>, dropGone: boolean): void {
    const prefix = `${folder}/`;
    const known = [...this.#kept.origins(), ...this.#kept.snapshot().problems.map((p) => p.origin)];
    for (const origin of known) {
      if (origin.startsWith(prefix) && !present.has(origin.slice(prefix.length))) {
        this.#stamps.delete(origin);
        if (dropGone) {
          this.#kept.drop(origin);
        } else {
          const until = "until SIGHUP, or until it is cleared";
          this.#kept.vanish(origin, `${origin} has gone: what it said stays in force ${until}`);
        }
      }
    }
  }

  /** All of the folder's documents are kept; one that was never there is no problem. */
  #refuseFolder(path: string, error: unknown): void {
    if (!(error instanceof TrustedFileError)) {
      throw error;
    }
    const holdsKept = this.#kept.origins().some((origin) => origin.startsWith(`${path}/`));
    if (error.absent && !holdsKept) {
      this.#kept.drop(path);
    } else {
      this.#kept.refuse(path, error.message);
    }
  }

  #open(path: string): TrustedFolder {
    const { ownerUid } = this.#options;
    const folder = new TrustedFolder(path, ownerUid === undefined ? {} : { ownerUid });
    this.#watch(folder);
    return folder;
  }

  /** The kernel watches a folder and not its path: another one at that path is watched anew. */
  #watch({ path, identity }: TrustedFolder): void {
    const former = this.#watched.get(path);
    if (former?.identity === identity) {
      return;
    }
    former?.watcher.close();
    this.#watched.delete(path);
    // No faster than it can be read: a thousand files are written in a thousand events.
    const onEvent = (): void =>
      this.#readSoon("event", Math.max(0, this.#readNotBefore - monotonicClock.now()));
    let watcher: FSWatcher;
    try {
      watcher = watch(path, { persistent: false }, onEvent);
    } catch {
      // No watches are left (ENOSPC), or it has gone again: the next look finds what changes.
      this.#isWatched = false;
      return;
    }
    watcher.on("error", () => {
      this.#isWatched = false;
      watcher.close();
      this.#watched.delete(path);
    });
    this.#watched.set(path, { identity, watcher });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ParseError(text.trim() === "" ? "Empty" : `Not JSON: ${why}`, { cause });
  }
}

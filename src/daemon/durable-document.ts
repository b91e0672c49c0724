/**
 * One document of the state directory that survives SIGKILL and power loss at any moment: it is
 * written to a temporary file, flushed, renamed over the old one, and the folder is flushed. A file
 * that cannot be read is never written over: it may hold somebody's only copy.
 */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file of the state directory cannot be read or written; the message names it. */
export class StateFileError extends Error {
  override readonly name = "StateFileError";
  readonly code = "VNETD_STATE_FAILED";
}

export type DocumentForm<T> = {
  readonly fileName: string;
  /** What there is before the first save. */
  readonly empty: T;
  /** @throws StateFileError naming `path` */
  parse(text: string, path: string): T;
  format(value: T): string;
};

type Waiter = { resolve(): void; reject(error: unknown): void };

/** The file of one daemon. Saves that come while one is being written share the next write. */
export class DurableDocument<T> {
  readonly path: string;
  readonly #form: DocumentForm<T>;
  #next: { value: T; waiters: Waiter[] } | null = null;
  #writing = false;

  constructor(stateDirectory: string, form: DocumentForm<T>) {
    this.path = join(stateDirectory, form.fileName);
    this.#form = form;
  }

  /**
   * What was saved last; the empty value when nothing was. Makes the folder.
   *
   * @throws StateFileError when the file is there and cannot be read whole
   */
  async load(): Promise<T> {
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw failed("create the folder of", this.path, cause);
    }
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") {
        return this.#form.empty;
      }
      throw failed("read", this.path, cause);
    }
    return this.#form.parse(text, this.path);
  }

  /**
   * Resolves when `value`, or a later one, is on the disk.
   *
   * @throws StateFileError when it is not; the file still holds what it held before
   */
  save(value: T): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#next?.waiters ?? [];
      this.#next = { value, waiters: [...waiters, { resolve, reject }] };
      if (!this.#writing) {
        void this.#writeAll();
      }
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let job = this.#next; job !== null; job = this.#next) {
      this.#next = null;
      try {
        await writeDurably(this.path, this.#form.format(job.value));
        job.waiters.forEach(({ resolve }) => {
          resolve();
        });
      } catch (cause) {
        const error = failed("write", this.path, cause);
        job.waiters.forEach(({ reject }) => {
          reject(error);
        });
      }
    }
    this.#writing = false;
  }
}

/** A document that was read whole and makes no sense; `advice` is what to do about it. */
export function refusedDocument(
  path: string,
  {
    why,
    advice,
    cause,
  }: { readonly why: string; readonly advice: string; readonly cause?: unknown },
): StateFileError {
  return new StateFileError(`Cannot use state file ${path}: ${why}; ${advice}`, { cause });
}

async function writeDurably(path: string, text: string): Promise<void> {
  // One daemon a state directory (see run-directory.ts): nobody else writes this name.
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function failed(what: string, path: string, cause: unknown): StateFileError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StateFileError(`Cannot ${what} state file ${path}: ${why}`, { cause });
}

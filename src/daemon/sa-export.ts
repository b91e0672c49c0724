/**
 * Traffic keys for who may have them, and nobody else: they go into a file of the run directory
 * that only the daemon's own user (root) can read, and not over the socket, where every member of
 * the group `vnetd` may ask. The reader removes the file; what is not fetched is wiped soon.
 */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { SecureSaView } from "../vnet/secure-events.ts";
import type { Log } from "./log.ts";
import { wipeFile, writeSecretFile } from "./secret-file.ts";

export type SaExportsOptions = {
  readonly runDirectory: string;
  readonly listSas: (vnet: VnetId) => readonly SecureSaView[];
  readonly log: Log;
};

const KEPT_MS = 60_000;
const NAME_BYTES = 8;
/** As written, or half of it (secret-file.ts). */
const NAME_FORM = /^sa-export-[0-9a-f]{16}(\.new)?$/;

export class SaExports {
  readonly #options: SaExportsOptions;
  readonly #files = new Map<string, NodeJS.Timeout>();

  constructor(options: SaExportsOptions) {
    this.#options = options;
  }

  /**
   * Writes the SAs that a vnet has now, as JSON.
   *
   * @returns the file's absolute path
   * @throws the system's error
   */
  async write(vnet: VnetId): Promise<string> {
    const { runDirectory, listSas, log } = this.#options;
    const sas = listSas(vnet);
    const rows = sas.map(({ keys, ...sa }) => ({ ...sa, keys: Buffer.from(keys).toString("hex") }));
    const content = Buffer.from(`${JSON.stringify(rows)}\n`);
    const file = join(runDirectory, `sa-export-${randomBytes(NAME_BYTES).toString("hex")}`);
    try {
      await writeSecretFile(file, content);
    } finally {
      content.fill(0);
      for (const { keys } of sas) {
        keys.fill(0);
      }
    }
    this.#files.set(
      file,
      setTimeout(() => void this.#wipe(file), KEPT_MS),
    );
    log.warn({ vnet: shortVnetId(vnet) }, "exported the traffic keys of a vnet (vn sa-export)");
    return file;
  }

  /**
   * Wipes what an earlier daemon left that was killed before its exports were fetched.
   *
   * @throws the system's error
   */
  async wipeLeft(): Promise<void> {
    const { runDirectory } = this.#options;
    for (const name of await readdir(runDirectory)) {
      if (NAME_FORM.test(name)) {
        await this.#wipe(join(runDirectory, name));
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.keys()].map((file) => this.#wipe(file)));
  }

  async #wipe(file: string): Promise<void> {
    clearTimeout(this.#files.get(file));
    this.#files.delete(file);
    try {
      await wipeFile(file);
    } catch (error) {
      this.#options.log.error({ err: error }, "cannot wipe an export of traffic keys");
    }
  }
}

/** Changes of ports that come together, made together: a thousand are one transaction. */
import type { PortChanges } from "../host/switch-database.ts";
import { Latest } from "./latest.ts";

export class PortCorrections {
  readonly #apply: (changes: ReadonlyMap<string, PortChanges>) => Promise<void>;
  readonly #waiting = new Map<string, PortChanges>();
  readonly #runs = new Latest(() => this.#applyAll());

  constructor(apply: (changes: ReadonlyMap<string, PortChanges>) => Promise<void>) {
    this.#apply = apply;
  }

  /** Resolves when it was made, with others. @throws what applying them throws */
  async make(name: string, changes: PortChanges): Promise<void> {
    this.#waiting.set(name, changes);
    await this.#runs.run();
  }

  async #applyAll(): Promise<void> {
    const changes = new Map(this.#waiting);
    this.#waiting.clear();
    if (changes.size > 0) {
      await this.#apply(changes);
    }
  }
}

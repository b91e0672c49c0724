/**
 * The network devices of VIFs: which exist, and under which index of the kernel, because a device
 * that was made again under its old name is another one. Follows `ip monitor`, so that no program
 * is started to know it; links are set up and down here too.
 */
import type { RunProgram } from "../host/child.ts";
import { findLinks, listLinks, runBatch } from "../host/iproute2.ts";
import { type Link, LinkError } from "../host/iproute2-listing.ts";

export type VifLink = {
  readonly index: number;
  /** A Linux bridge (or another master) that has it; `ovs-system` for a port of the kernel's OVS. */
  readonly master: string | null;
};

/** `5: vif5.0@if4: <BROADCAST,…> … master br0 …`, `Deleted 5: vif5.0: …` */
const LINE = /^(Deleted )?(\d+): ([^\s:@]+)[@:]/;
const MASTER = / master (\S+)/;

export class VifLinks {
  readonly #run: RunProgram;
  readonly #links = new Map<string, VifLink>();

  constructor(run: RunProgram) {
    this.#run = run;
  }

  get(name: string): VifLink | null {
    return this.#links.get(name) ?? null;
  }

  names(): Iterable<string> {
    return this.#links.keys();
  }

  /** @throws LinkError, ProgramError */
  async readAll(): Promise<void> {
    const links = await listLinks(this.#run);
    this.#links.clear();
    for (const link of links) {
      this.#note(link);
    }
  }

  /** @throws LinkError, ProgramError */
  async read(names: readonly string[]): Promise<void> {
    const found = await findLinks(this.#run, names);
    for (const name of names) {
      this.#links.delete(name);
    }
    for (const link of found) {
      this.#note(link);
    }
  }

  /** A line of `ip monitor`; the name of a device that came, went or changed its master, or null. */
  readLine(line: string): string | null {
    const [, deleted, indexText = "", name = ""] = LINE.exec(line) ?? [];
    if (name === "" || line.includes(" scope ") || line.includes(" inet")) {
      return null;
    }
    const index = Number(indexText);
    const former = this.#links.get(name);
    if (deleted !== undefined) {
      // A bridge says `Deleted` of a port that left it: the device has its line of its own then.
      if (former?.index !== index || line.includes(" master ")) {
        return null;
      }
      this.#links.delete(name);
      return name;
    }
    const master = MASTER.exec(line)?.[1] ?? null;
    this.#links.set(name, { index, master });
    return former?.index === index && former.master === master ? null : name;
  }

  /** @throws LinkError, ProgramError */
  async setUp(name: string, up: boolean): Promise<void> {
    const state = up ? "up" : "down";
    const failures = await runBatch(this.#run, [["link", "set", "dev", name, state]]);
    const [why] = failures.values();
    if (why !== undefined) {
      throw new LinkError(`Cannot set ${name} ${state}: ${why}`);
    }
  }

  #note({ name, index, master }: Link): void {
    this.#links.set(name, { index, master });
  }
}

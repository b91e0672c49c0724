/**
 * The flows of a bridge in sections, each made from some input and kept as it is, as the same array,
 * for as long as that input is the same.
 */
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie, type FlowCookie } from "./cookie.ts";
import type { Rule } from "./rule.ts";

export type Section = {
  readonly name: string;
  readonly owner: FlowCookie;
  /** All that `make` looks at, as what JSON can say. */
  readonly input: unknown;
  readonly make: () => readonly Rule[];
};

type Part = { readonly inputs: readonly unknown[]; readonly names: readonly string[] };

export class FlowSections {
  readonly flows = new Map<string, readonly Flow[]>();
  readonly #inputs = new Map<string, string>();
  readonly #parts = new Map<string, Part>();
  /** Of the part that is being filled. */
  #names: string[] = [];
  #former: FlowSections | null;

  /** @param former of an earlier plan; nothing before that is kept */
  constructor(former: FlowSections | null) {
    this.#former = former;
  }

  put({ name, owner, input, make }: Section): void {
    const text = JSON.stringify([owner, input]);
    const before = this.#former;
    const isSame = before !== null && before.#inputs.get(name) === text;
    const former = isSame ? before.flows.get(name) : undefined;
    this.#inputs.set(name, text);
    this.#names.push(name);
    this.flows.set(name, former ?? ownedBy(owner, make()));
  }

  /**
   * Sections whose inputs are known to be the same without a look at them, when each of `inputs` is
   * the same value as at the plan before and nothing says otherwise.
   *
   * @param fill puts the sections of this part
   */
  part(name: string, inputs: readonly unknown[], fill: () => void, isDirty = false): void {
    const former = this.#former === null ? undefined : this.#former.#parts.get(name);
    if (former !== undefined && !isDirty && isSame(former.inputs, inputs)) {
      this.#parts.set(name, former);
      for (const each of former.names) {
        this.#keep(each);
      }
      return;
    }
    this.#names = [];
    fill();
    this.#parts.set(name, { inputs, names: this.#names });
  }

  /** All sections are there: the plan before is of no use any more. */
  finish(): void {
    this.#former = null;
  }

  #keep(name: string): void {
    const former = this.#former;
    const flows = former === null ? undefined : former.flows.get(name);
    const input = former === null ? undefined : former.#inputs.get(name);
    if (flows !== undefined && input !== undefined) {
      this.flows.set(name, flows);
      this.#inputs.set(name, input);
    }
  }
}

function isSame(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

function ownedBy(owner: FlowCookie, rules: readonly Rule[]): readonly Flow[] {
  const cookie = encodeCookie(owner);
  return rules.map((rule) => ({ cookie, ...rule }));
}

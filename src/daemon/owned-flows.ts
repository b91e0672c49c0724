/**
 * What a bridge has of our flows, and what it takes to have others: in sections (infrastructure, a
 * VIF, a group), so that a change of one VIF looks at that VIF's flows and not at all of them.
 */
import { diffFlows, type FlowDiff, modsOfDiff } from "../openflow/diff-flows.ts";
import type { Flow, FlowMod, InstalledFlow } from "../openflow/flow.ts";

/**
 * The flows of a bridge by section. A section that has not changed is the same array as before; no
 * two sections have flows of the same table, priority and match.
 */
export type FlowSections = ReadonlyMap<string, readonly Flow[]>;

export type FlowChange = {
  /** All of it, in one bundle. */
  readonly mods: readonly FlowMod[];
  /** The same in parts that can be applied one after the other, the one without a section first. */
  parts(): readonly FlowChangePart[];
};

export type FlowChangePart = { readonly section: string | null; readonly mods: readonly FlowMod[] };

export class OwnedFlows {
  /** Null: not known, to be listed. */
  #sections: FlowSections | null = null;

  get known(): boolean {
    return this.#sections !== null;
  }

  /** Someone else may have changed something. */
  forget(): void {
    this.#sections = null;
  }

  /** The bridge has exactly these. */
  note(sections: FlowSections): void {
    this.#sections = sections;
  }

  /** @param listed what the bridge has; null where it is known */
  changeTo(desired: FlowSections, listed: readonly InstalledFlow[] | null): FlowChange {
    if (listed !== null) {
      return changeOf(listed, desired);
    }
    const installed = this.#sections ?? new Map<string, readonly Flow[]>();
    const isNew = (flows: readonly Flow[], name: string, other: FlowSections): boolean =>
      other.get(name) !== flows;
    const former = select(installed, (flows, name) => isNew(flows, name, desired));
    const wanted = select(desired, (flows, name) => isNew(flows, name, installed));
    return changeOf(...withoutEqual(concatenate(former), wanted));
  }
}

/**
 * Leaves out what is in both, word for word. A section of thousands of flows changes by a few; that
 * is found here at a tenth of what a comparison costs that knows equal flows in any form.
 */
function withoutEqual(
  former: readonly Flow[],
  desired: FlowSections,
): [installed: readonly InstalledFlow[], desired: FlowSections] {
  const left = new Map(former.map((flow) => [wordsOf(flow), flow]));
  const wanted = select(
    desired,
    () => true,
    (flow) => !left.delete(wordsOf(flow)),
  );
  return [Array.from(left.values(), (flow) => ({ kind: "known", flow }) as const), wanted];
}

const WORDS = new WeakMap<Flow, string>();

function wordsOf(flow: Flow): string {
  const known = WORDS.get(flow);
  if (known !== undefined) {
    return known;
  }
  const { cookie, table, priority, match, actions } = flow;
  const words = `${cookie} ${table} ${priority} ${JSON.stringify([match, actions])}`;
  WORDS.set(flow, words);
  return words;
}

function changeOf(installed: readonly InstalledFlow[], desired: FlowSections): FlowChange {
  // At a start from nothing there are tens of thousands: none of them needs to be compared.
  const diff =
    installed.length === 0
      ? { added: concatenate(desired), changed: [], removed: [] }
      : diffFlows(installed, concatenate(desired));
  return { mods: modsOfDiff(diff), parts: () => partsOf(diff, desired) };
}

function partsOf(diff: FlowDiff, desired: FlowSections): readonly FlowChangePart[] {
  const changed = new Set<Flow>([...diff.added, ...diff.changed]);
  const removal = modsOfDiff({ added: [], changed: [], removed: diff.removed });
  const parts: FlowChangePart[] = removal.length === 0 ? [] : [{ section: null, mods: removal }];
  for (const [section, flows] of desired) {
    const adds = flows.filter((flow) => changed.has(flow));
    if (adds.length > 0) {
      parts.push({ section, mods: adds.map((flow) => ({ kind: "add", flow }) as const) });
    }
  }
  return parts;
}

function select(
  sections: FlowSections,
  isWanted: (flows: readonly Flow[], name: string) => boolean,
  isFlowWanted: (flow: Flow) => boolean = () => true,
): FlowSections {
  return new Map(
    [...sections]
      .filter(([name, flows]) => isWanted(flows, name))
      .map(([name, flows]) => [name, flows.filter(isFlowWanted)]),
  );
}

function concatenate(sections: FlowSections): readonly Flow[] {
  const all: Flow[] = [];
  for (const flows of sections.values()) {
    for (const flow of flows) {
      all.push(flow);
    }
  }
  return all;
}

/** A strict reader of the Prometheus text format 0.0.4: what it does not refuse, a scraper takes. */
import assert from "node:assert/strict";

export type ReadSample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export type ReadFamily = {
  readonly help: string;
  readonly type: string;
  readonly samples: ReadSample[];
};

type NamedFamily = ReadFamily & { readonly name: string };

const SAMPLE = /^([a-z][a-z0-9_]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const LABEL = /^([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;

/** By name; refuses what the conventions of Prometheus refuse, too. */
export function readMetrics(text: string): ReadonlyMap<string, ReadFamily> {
  assert.ok(text.endsWith("\n"), "ends with a line end");
  const families = new Map<string, ReadFamily>();
  const seen = new Set<string>();
  let current: NamedFamily = { name: "", help: "", type: "", samples: [] };
  let help: readonly string[] | null = null;
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("# HELP ")) {
      help = /^# HELP ([a-z][a-z0-9_]*) (\S.*)$/.exec(line)?.slice(1) ?? null;
      assert.ok(help !== null, line);
    } else if (line.startsWith("# TYPE ")) {
      const [, name = "", type = ""] =
        /^# TYPE ([a-z][a-z0-9_]*) (counter|gauge|histogram)$/.exec(line) ?? [];
      assert.equal(help?.[0], name, `HELP before TYPE: ${line}`);
      assert.ok(!families.has(name), `one family a name: ${line}`);
      assert.equal(type === "counter", name.endsWith("_total"), `_total for counters: ${line}`);
      current = { name, help: help?.[1] ?? "", type, samples: [] };
      families.set(name, current);
    } else {
      const { name, type, samples } = current;
      const sample = readSample(line);
      const plain = type === "histogram" ? /_(bucket|sum|count)$/ : /$/;
      assert.equal(sample.name.replace(plain, ""), name, `of its family: ${line}`);
      const identity = line.slice(0, line.lastIndexOf(" "));
      assert.ok(!seen.has(identity), `once: ${line}`);
      seen.add(identity);
      samples.push(sample);
    }
  }
  return families;
}

function readSample(line: string): ReadSample {
  const [, name, labelText = "", value] = SAMPLE.exec(line) ?? [];
  assert.ok(name !== undefined, `a sample: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = labelText; rest !== ""; ) {
    const [whole, key = "", text = ""] = LABEL.exec(rest) ?? [];
    assert.ok(whole !== undefined && !(key in labels), `labels: ${line}`);
    labels[key] = text.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: Number(value) };
}

/**
 * What `ofproto/trace` says, read: which rules a frame met, which ports got it. The text is made for
 * people; only lines of the forms below are looked at, so that new ones do no harm.
 */

/** A rule that the frame, or one of its copies, met. */
export type TraceStep = {
  readonly table: number;
  readonly priority: number;
  /** As ovs-ofctl writes it. */
  readonly match: string;
  readonly cookie: bigint;
  /** The register's value of the VIF or port that this copy is for; null before that is known. */
  readonly target: number | null;
  /** Nothing was done with it here. */
  readonly isDrop: boolean;
};

export type Trace = {
  /** The frame's fields, as the switch read them: `nw_src` → `10.0.0.10`; `tcp` → ``. */
  readonly fields: ReadonlyMap<string, string>;
  readonly steps: readonly TraceStep[];
  /** Numbers of the datapath, not of OpenFlow. */
  readonly outputs: readonly string[];
};

const FLOW = /^Flow: (.*)$/m;
const STEP = /^\s*(\d+)\. (?:(.*), )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?/;
const TARGET = /^\s*load:(0x[0-9a-f]+|\d+)->NXM_NX_REG15\[\]/;
const ACTIONS = /^Datapath actions: (.*)$/m;

export function parseTrace(text: string): Trace {
  const steps: TraceStep[] = [];
  let target: number | null = null;
  for (const line of text.split("\n")) {
    const loaded = TARGET.exec(line)?.[1];
    const step = STEP.exec(line);
    if (loaded !== undefined) {
      target = Number(loaded);
    } else if (step !== null) {
      const [, table = "", match = "", priority = "", cookie = "0"] = step;
      const numbers = { table: Number(table), priority: Number(priority), cookie: BigInt(cookie) };
      steps.push({ ...numbers, match, target, isDrop: false });
    } else if (line.trim() === "drop") {
      const last = steps.pop();
      steps.push(...(last === undefined ? [] : [{ ...last, isDrop: true }]));
    }
  }
  return { fields: fieldsOf(FLOW.exec(text)?.[1] ?? ""), steps, outputs: outputsOf(text) };
}

function fieldsOf(flow: string): ReadonlyMap<string, string> {
  return new Map(
    flow.split(",").map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    }),
  );
}

/** `10,pop_vlan,push_vlan(vid=10,pcp=0),14`: what is in parentheses is no port. */
function outputsOf(text: string): readonly string[] {
  const actions = (ACTIONS.exec(text)?.[1] ?? "").replaceAll(/\([^()]*\)/g, "");
  return actions.split(",").filter((word) => /^\d+$/.test(word));
}

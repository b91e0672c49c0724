/**
 * The spoof matrix with real frames: those of spoof-cases.ts and admit-cases.ts are sent by the ends
 * of real devices, and every other end says what it got. The same tables as in
 * ../vifrules/spoof-matrix.test.ts, where the switch only says what it would do.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ADMIT_CASES, SENDERS, type Sender } from "../vifrules/admit-cases.ts";
import { view } from "../vifrules/bench-bridge.ts";
import { OUTBOUND_CASES } from "../vifrules/spoof-cases.ts";
import { SKIP_REASON } from "./lab.ts";
import { VifBench } from "./vif-bench.ts";

const MODES = ["locked", "isolated", "unlocked", "disabled", "quarantine"] as const;
type Mode = (typeof MODES)[number];

const FAMILIES = new Set(OUTBOUND_CASES.map(({ family }) => family));
const FROM = Object.keys(SENDERS) as Sender[];
const LETTERS = [
  ...OUTBOUND_CASES.map(({ frame }) => ({ from: "vif", frame }) as const),
  ...ADMIT_CASES.map(({ from, frame }) => ({ from, frame })),
];

describe("frames on the bridge", { skip: SKIP_REASON }, () => {
  let bench: VifBench;
  before(async () => {
    bench = await VifBench.create();
  });
  after(async () => {
    await bench?.close();
  });

  for (const mode of MODES) {
    describe(`with a VIF that is ${mode}`, () => {
      let outbound: ReadonlyMap<unknown, string>;
      let inbound: ReadonlyMap<unknown, string>;
      before(async () => {
        bench.flows.load(view({}, mode === "quarantine" ? null : { mode }));
        const fates = await bench.deliver(LETTERS);
        outbound = new Map(OUTBOUND_CASES.map((each, index) => [each, fates[index] ?? ""]));
        const rest = fates.slice(OUTBOUND_CASES.length);
        inbound = new Map(ADMIT_CASES.map((each, index) => [each, rest[index] ?? ""]));
      });

      for (const name of FAMILIES) {
        const cases = OUTBOUND_CASES.filter(({ family }) => family === name);
        test(`what it sends: ${cases.length} of ${name}`, () => {
          const got = cases.map((each) => `${each.name} → ${outbound.get(each)}`);
          assert.deepEqual(
            got,
            cases.map((each) => `${each.name} → ${wanted(mode, each)}`),
          );
        });
      }

      for (const sender of FROM) {
        const cases = ADMIT_CASES.filter(({ from }) => from === sender);
        test(`what is sent to it: ${cases.length} from ${sender}`, () => {
          const got = cases.map((each) => `${each.name} → ${inWords(inbound.get(each))}`);
          assert.deepEqual(
            got,
            cases.map((each) => `${each.name} → ${isAdmitted(mode, each) ? "vif" : "-"}`),
          );
        });
      }

      test("the disabled one and the one without a policy receive nothing", () => {
        const all = [...outbound.values(), ...inbound.values()];
        assert.deepEqual(
          all.filter((fate) => /disabled|quarantine/.test(fate)),
          [],
        );
      });
    });
  }
});

function wanted(mode: Mode, fates: Readonly<Record<string, unknown>>): string {
  return mode === "disabled" || mode === "quarantine" ? "-" : String(fates[mode]);
}

function isAdmitted(mode: Mode, fates: Readonly<Record<string, unknown>>): boolean {
  return fates[mode] === true;
}

/** What the VIF itself got of it. */
function inWords(fate = ""): string {
  const copies = fate.split(" ").filter((name) => name.startsWith("vif"));
  return copies.join(" ") || "-";
}

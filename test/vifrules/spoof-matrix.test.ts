import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { ADMIT_CASES, SENDERS } from "./admit-cases.ts";
import { view } from "./bench-bridge.ts";
import { PORT } from "./cast.ts";
import { FlowSwitch } from "./flow-switch.ts";
import { OUTBOUND_CASES, RECEIVERS } from "./spoof-cases.ts";

const PORTS: Readonly<Record<(typeof RECEIVERS)[number], number>> = { ...PORT, host: LOCAL_PORT };

const MODES = ["locked", "isolated", "unlocked", "disabled", "quarantine"] as const;
type Mode = (typeof MODES)[number];

describe("planBridgeFlows, by the fate of frames", () => {
  let ovs: FlowSwitch;
  before(() => {
    ovs = new FlowSwitch([10, 11, 12, 13, 14, 15, 16, 19]);
  });
  after(() => ovs.stop());

  for (const mode of MODES) {
    describe(`with a VIF that is ${mode}`, () => {
      before(() => ovs.load(view({}, mode === "quarantine" ? null : { mode })));

      for (const { family, name, frame, ...fates } of OUTBOUND_CASES) {
        test(`from it, ${family}: ${name}`, () => {
          assert.equal(fateOf(ovs.receivers(PORT.vif, frame)), fates[mode as "locked"] ?? "-");
        });
      }

      for (const { from, name, frame, ...fates } of ADMIT_CASES) {
        test(`to it, from ${from}: ${name}`, () => {
          const receivers = ovs.receivers(SENDERS[from], frame);
          const count = receivers.filter((port) => port === PORT.vif).length;
          assert.equal(count, isAdmitted(mode, fates) ? 1 : 0, `received by ${receivers.join()}`);
        });
      }
    });
  }
});

function isAdmitted(mode: Mode, fates: Readonly<Record<string, boolean>>): boolean {
  return fates[mode] ?? false;
}

/** Each copy counts: a frame that someone gets twice is no pass. */
function fateOf(receivers: readonly number[]): string {
  const names = RECEIVERS.flatMap((name) =>
    receivers.filter((port) => port === PORTS[name]).map(() => name),
  );
  const known = new Set(Object.values(PORTS));
  const others = receivers.filter((port) => !known.has(port)).map((port) => `port ${port}`);
  return [...names, ...others].join(" ") || "-";
}

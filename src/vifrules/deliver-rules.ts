/** The ends of the pipeline: out of a port (table 50), or counted and dropped (table 60). */
import type { Action } from "../openflow/action.ts";
import { TABLE_DELIVER, TABLE_DROP } from "../openflow/pipeline.ts";
import { type DropReason, dropReasonNumber } from "./drop-reason.ts";
import type { NetworkView } from "./network-view.ts";
import type { VifMode } from "./policy.ts";
import { type Rule, rule } from "./rule.ts";

/** Reasons that come with a register, by whose count they are and which modes have them. */
const FROM_VERIFIED: readonly DropReason[] = [
  ...(["vlan", "dhcp-server", "dhcp-client", "router-advertisement", "vrrp"] as const),
  ...(["fragment", "nd-spoof", "host"] as const),
];
const FROM_ISOLATED: readonly DropReason[] = ["group", "external"];
const TO_ANY: readonly DropReason[] = ["to-group"];
const TO_ISOLATED: readonly DropReason[] = ["to-unlocked"];

/**
 * @param port the register's value of the VIF, or of the port of the host
 * @param ofports those that get the frames
 */
export function deliverRules(port: number, ofports: readonly number[]): readonly Rule[] {
  const outputs = ofports.map((ofport) => ({ kind: "output", port: ofport }) as const);
  return [
    rule(TABLE_DELIVER, 10, { reg15: port, vlan: "tagged" }, [{ kind: "strip-vlan" }, ...outputs]),
    rule(TABLE_DELIVER, 5, { reg15: port }, outputs),
  ];
}

/** With the tag of the network, for a port that has it as a trunk; above `deliverRules`. */
export function trunkRules(
  port: number,
  ofports: readonly number[],
  { net, vlan }: NetworkView,
): readonly Rule[] {
  const outputs = ofports.map((ofport) => ({ kind: "output", port: ofport }) as const);
  const here = { reg15: port, reg6: net };
  const push = { kind: "push-vlan", vlan } as const;
  return [
    rule(TABLE_DELIVER, 20, { ...here, vlan }, outputs),
    // A tag that is still there has only a priority.
    rule(TABLE_DELIVER, 18, { ...here, vlan: "tagged" }, [
      { kind: "strip-vlan" },
      push,
      ...outputs,
    ]),
    rule(TABLE_DELIVER, 15, { ...here, vlan: "untagged" }, [push, ...outputs]),
  ];
}

/**
 * The counts of what is dropped of a VIF's frames.
 *
 * @param port the registers' value for this VIF
 * @param actionsFor what is done with a frame besides: nothing, or a note to us
 */
export function dropRules(
  mode: VifMode,
  port: number,
  actionsFor: (reason: DropReason) => readonly Action[],
): readonly Rule[] {
  const isIsolated = mode === "isolated";
  const from = [
    ...(mode === "unlocked" ? [] : FROM_VERIFIED),
    ...(isIsolated ? FROM_ISOLATED : []),
  ];
  const to = [...TO_ANY, ...(isIsolated ? TO_ISOLATED : [])];
  return [
    ...from.map((reason) => ({ reason, match: { reg5: port } })),
    ...to.map((reason) => ({ reason, match: { reg15: port } })),
  ].map(({ reason, match }) =>
    rule(TABLE_DROP, 10, { ...match, reg3: dropReasonNumber(reason) }, actionsFor(reason)),
  );
}

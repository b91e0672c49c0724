/**
 * The tables as one data structure: what each is for, which fields its flows may match, where they
 * may send a frame. check-flow.ts holds every flow against it: a resubmit that leads nowhere is a
 * failed check, not a frame that vanishes.
 */
import type { ActionKind } from "./action.ts";
import type { MatchField } from "./match.ts";

export type Table = {
  readonly name: string;
  /** Fields that flows of this table may match. */
  readonly fields: readonly MatchField[];
  /** Actions that flows of this table may have; inside `clone` too. */
  readonly actions: readonly ActionKind[];
  /** Tables that flows may resubmit to; all are later ones, so no frame goes round. */
  readonly next: readonly number[];
};

export type Pipeline = ReadonlyMap<number, Table>;

const ARP_FIELDS = ["arpOp", "arpSpa", "arpTpa", "arpSha", "arpTha"] as const;
const IP_FIELDS = ["nwSrc", "nwDst", "ipv6Src", "ipv6Dst", "nwProto", "nwTtl"] as const;
const TRANSPORT_FIELDS = ["tpSrc", "tpDst", "icmpType", "icmpCode", "ipFragment"] as const;
const ND_FIELDS = ["ndTarget", "ndSll", "ndTll"] as const;
const NETWORK_FIELDS = [
  ...(["protocol", "dlType"] as const),
  ...ARP_FIELDS,
  ...IP_FIELDS,
  ...TRANSPORT_FIELDS,
  ...ND_FIELDS,
] as const;

export const TABLE_CLASSIFY = 0;
export const TABLE_SOURCE = 10;
export const TABLE_ADVERTISEMENT = 11;
export const TABLE_ROLE = 15;
export const TABLE_DESTINATION = 20;
export const TABLE_SWITCH = 30;
export const TABLE_FLOOD = 31;
export const TABLE_ADMIT = 40;
export const TABLE_DELIVER = 50;
export const TABLE_DROP = 60;

/** The pipeline that locks and isolates VIFs; docs/PIPELINE.md shows a frame on its way. */
export const VIF_PIPELINE: Pipeline = new Map<number, Table>([
  [
    TABLE_CLASSIFY,
    {
      name: "classify by port",
      fields: ["inPort", "dlSrc", "dlDst", "vlan", "protocol", "dlType"],
      actions: ["load", "strip-vlan", "resubmit", "controller"],
      next: [TABLE_SOURCE, TABLE_SWITCH],
    },
  ],
  [
    TABLE_SOURCE,
    {
      name: "check the source",
      fields: ["vlan", "reg1", "reg4", "reg5", "dlSrc", "dlDst", ...NETWORK_FIELDS],
      actions: ["load", "resubmit", "controller"],
      next: [TABLE_ADVERTISEMENT, TABLE_ROLE, TABLE_DESTINATION, TABLE_DROP],
    },
  ],
  [
    TABLE_ADVERTISEMENT,
    {
      name: "check a neighbour advertisement",
      fields: ["reg4", "reg5", ...NETWORK_FIELDS],
      actions: ["load", "resubmit", "controller"],
      next: [TABLE_ROLE, TABLE_DESTINATION],
    },
  ],
  [
    TABLE_ROLE,
    {
      name: "guard the roles of servers and routers",
      fields: ["reg4", "reg5", "reg6", ...NETWORK_FIELDS],
      actions: ["load", "resubmit", "controller"],
      next: [TABLE_DESTINATION, TABLE_DROP],
    },
  ],
  [
    TABLE_DESTINATION,
    {
      name: "destination policy of isolated VIFs",
      fields: ["dlDst", "reg4", "reg5", "reg6", "conjId", ...NETWORK_FIELDS],
      actions: ["load", "resubmit", "conjunction", "controller"],
      next: [TABLE_SWITCH, TABLE_DROP],
    },
  ],
  [
    TABLE_SWITCH,
    {
      name: "find the port",
      fields: [
        ...(["inPort", "dlDst", "vlan"] as const),
        ...(["reg2", "reg4", "reg5", "reg6", "reg7"] as const),
        ...NETWORK_FIELDS,
      ],
      actions: ["load", "resubmit", "clone", "normal", "output", "controller"],
      next: [TABLE_FLOOD, TABLE_ADMIT],
    },
  ],
  [
    TABLE_FLOOD,
    {
      name: "flood a part of the ports",
      fields: ["reg0", "reg6"],
      actions: ["load", "resubmit", "clone"],
      next: [TABLE_ADMIT],
    },
  ],
  [
    TABLE_ADMIT,
    {
      name: "admit into the VIF",
      fields: [
        ...(["inPort", "dlSrc", "dlDst", "vlan", "conjId"] as const),
        ...(["reg2", "reg4", "reg5", "reg6", "reg7", "reg15"] as const),
        ...NETWORK_FIELDS,
      ],
      actions: ["load", "resubmit", "conjunction", "controller"],
      next: [TABLE_DELIVER, TABLE_DROP],
    },
  ],
  [
    TABLE_DELIVER,
    {
      name: "deliver",
      fields: ["vlan", "reg6", "reg15"],
      actions: ["strip-vlan", "push-vlan", "output"],
      next: [],
    },
  ],
  [
    TABLE_DROP,
    {
      name: "count and drop",
      fields: ["reg3", "reg5", "reg15"],
      actions: ["controller"],
      next: [],
    },
  ],
]);

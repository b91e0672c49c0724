/** Where a frame is from (table 0), by port, MAC and VLAN. What meets no flow here is dropped. */
import type { MacAddress } from "../net/mac-address.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import type { Action } from "../openflow/action.ts";
import type { MacMatch, Match } from "../openflow/match.ts";
import { TABLE_CLASSIFY, TABLE_DROP, TABLE_SOURCE, TABLE_SWITCH } from "../openflow/pipeline.ts";
import type { BridgePort } from "./bridge-rules.ts";
import type { DropActions } from "./drop-reason.ts";
import type { NetworkView } from "./network-view.ts";
import type { VifPolicy } from "./policy.ts";
import {
  CLASS_HOST,
  CLASS_OUTSIDE,
  CLASS_OUTSIDE_UNICAST,
  CLASS_UNTRUSTED,
  dropFor,
  load,
  MODE_ISOLATED,
  MODE_LOCKED,
  REG_CLASS,
  REG_MODE,
  REG_NET,
  REG_SOURCE,
  REG_TRUNK,
  type Rule,
  resubmit,
  rule,
} from "./rule.ts";
import { VRRP_MACS } from "./switch-rules.ts";

/** IEEE Std 802.1Q §8.6.3: no bridge forwards these. */
const RESERVED: MacMatch = {
  address: parseMacAddress("01:80:c2:00:00:00"),
  mask: parseMacAddress("ff:ff:ff:ff:ff:f0"),
};

/** IEEE Std 802.1Q, of customers and of services. */
const VLAN_TYPES = [0x8100, 0x88a8];

/** An infrastructure MAC from a VIF that is none. */
export const PRIORITY_FORGED = 120;
export const PRIORITY_DOUBLE_TAG = 119;
export const PRIORITY_SENT_INFRA = 101;
export const PRIORITY_SENT = 100;
export const PRIORITY_WRONG_VLAN = 95;
export const PRIORITY_WRONG_MAC = 90;
export const PRIORITY_DISABLED = 85;
export const PRIORITY_QUARANTINE = 84;

type ClassifyOptions = {
  /** Of its frames without a tag. */
  readonly network: NetworkView;
  /** Of its frames with tags. */
  readonly trunks: readonly NetworkView[];
  readonly source: number;
  readonly drop: DropActions;
};

export function sharedClassifyRules(): readonly Rule[] {
  return [
    rule(TABLE_CLASSIFY, 300, { dlDst: RESERVED }),
    rule(TABLE_CLASSIFY, 1, {}),
    // A second tag under the one that was looked at.
    rule(TABLE_SOURCE, 400, { vlan: "tagged", reg1: 0 }, dropFor("vlan")),
    rule(TABLE_DROP, 1, {}),
  ];
}

/** What comes from one port of a VIF. */
export function vifClassifyRules(
  policy: VifPolicy,
  ofport: number,
  options: ClassifyOptions,
): readonly Rule[] {
  switch (policy.mode) {
    case "disabled":
      return [classify(PRIORITY_DISABLED, { inPort: ofport }, options.drop("disabled"))];
    case "unlocked":
      return unlockedRules(policy, ofport, options);
    case "locked":
    case "isolated":
      return lockedRules(policy, ofport, options);
  }
}

/** Nothing passes. */
export function quarantineRules(ofport: number): readonly Rule[] {
  return [classify(PRIORITY_QUARANTINE, { inPort: ofport }, [])];
}

function lockedRules(policy: VifPolicy, ofport: number, options: ClassifyOptions): readonly Rule[] {
  const { network, trunks, drop, source } = options;
  const macs: readonly MacMatch[] = policy.allow.includes("vrrp")
    ? [policy.mac, ...VRRP_MACS]
    : [policy.mac];
  const mode = policy.mode === "isolated" ? MODE_ISOLATED : MODE_LOCKED;
  const actionsIn = (place: NetworkView, ...more: readonly Action[]): readonly Action[] => [
    ...[load(REG_NET, place.net), load(REG_SOURCE, source), load(REG_MODE, mode)],
    ...(policy.mode === "locked" && isInfraMac(policy.mac, place)
      ? [load(REG_CLASS, CLASS_OUTSIDE)]
      : []),
    ...[...more, resubmit(TABLE_SOURCE)],
  ];
  return [
    ...macs.flatMap((dlSrc) =>
      untaggedRules(PRIORITY_SENT, { inPort: ofport, dlSrc }, actionsIn(network)),
    ),
    // The tag stays on: by it the switch knows the VLAN.
    ...macs.flatMap((dlSrc) =>
      trunks.map((trunk) =>
        classify(
          PRIORITY_SENT,
          { inPort: ofport, dlSrc, vlan: trunk.vlan },
          actionsIn(trunk, load(REG_TRUNK, 1)),
        ),
      ),
    ),
    ...macs.map((dlSrc) => classify(PRIORITY_WRONG_VLAN, { inPort: ofport, dlSrc }, drop("vlan"))),
    classify(PRIORITY_WRONG_MAC, { inPort: ofport }, drop("mac")),
  ];
}

function unlockedRules(
  policy: VifPolicy,
  ofport: number,
  { network, trunks, source, drop }: ClassifyOptions,
): readonly Rule[] {
  const actionsIn = ({ net }: NetworkView, from: number): readonly Action[] => [
    ...[load(REG_NET, net), load(REG_SOURCE, source), load(REG_CLASS, from)],
    resubmit(TABLE_SWITCH),
  ];
  const own = { inPort: ofport, dlSrc: policy.mac };
  const infraMacs = new Set([network, ...trunks].flatMap((place) => place.infraMacs));
  const forged = [...infraMacs].filter((mac) => mac !== policy.mac);
  return [
    ...forged.map((dlSrc) => classify(PRIORITY_FORGED, { inPort: ofport, dlSrc }, drop("mac"))),
    ...(isInfraMac(policy.mac, network)
      ? untaggedRules(PRIORITY_SENT_INFRA, own, actionsIn(network, CLASS_OUTSIDE))
      : []),
    ...trunks.flatMap((trunk) => [
      ...(isInfraMac(policy.mac, trunk)
        ? [
            classify(
              PRIORITY_SENT_INFRA,
              { ...own, vlan: trunk.vlan },
              actionsIn(trunk, CLASS_OUTSIDE),
            ),
          ]
        : []),
      classify(
        PRIORITY_SENT,
        { inPort: ofport, vlan: trunk.vlan },
        actionsIn(trunk, CLASS_UNTRUSTED),
      ),
    ]),
    // A tag under a tag would be the only one to the next switch.
    ...VLAN_TYPES.map((dlType) =>
      classify(PRIORITY_DOUBLE_TAG, { inPort: ofport, dlType }, drop("vlan")),
    ),
    ...untaggedRules(PRIORITY_SENT, { inPort: ofport }, actionsIn(network, CLASS_UNTRUSTED)),
    classify(PRIORITY_WRONG_VLAN, { inPort: ofport }, drop("vlan")),
  ];
}

/** Without a tag, or with one that only has a priority (IEEE Std 802.1Q §6.9), which is removed. */
function untaggedRules(
  priority: number,
  match: Match,
  actions: readonly Action[],
): readonly Rule[] {
  return [
    classify(priority, { ...match, vlan: "untagged" }, actions),
    classify(priority, { ...match, vlan: 0 }, [{ kind: "strip-vlan" }, ...actions]),
  ];
}

/** The MACs of this bridge's VIFs and of the host do not come from the outside. */
export function ownMacRules(mac: MacAddress, uplinks: readonly number[]): readonly Rule[] {
  return uplinks.map((inPort) => classify(110, { inPort, dlSrc: mac }, []));
}

/** What comes from a port that is no VIF. */
export function portClassifyRules(
  port: Exclude<BridgePort, { kind: "quarantine" }>,
  networks: ReadonlyMap<number, NetworkView>,
): readonly Rule[] {
  const { ofport: inPort, vlans } = port;
  const rules: Rule[] = [];
  for (const network of networks.values()) {
    const { vlan, net } = network;
    const actions = [
      ...[load(REG_NET, net), load(REG_CLASS, classOf(port, network))],
      resubmit(TABLE_SWITCH),
    ];
    if (vlan === vlans.untagged) {
      rules.push(
        classify(100, { inPort, vlan: "untagged" }, actions),
        classify(100, { inPort, vlan: 0 }, actions),
      );
    } else if (vlans.tagged === "all" || vlans.tagged.includes(vlan)) {
      rules.push(classify(100, { inPort, vlan }, actions));
    }
    if (port.kind === "other") {
      rules.push(...network.infraMacs.map((dlSrc) => classify(120, { inPort, dlSrc }, [])));
    }
  }
  // VLANs without VIFs are the switch's own matter.
  rules.push(classify(80, { inPort }, [resubmit(TABLE_SWITCH)]));
  return rules;
}

function classOf(port: Exclude<BridgePort, { kind: "quarantine" }>, network: NetworkView): number {
  switch (port.kind) {
    case "uplink":
      return port.takesFloods ? CLASS_OUTSIDE : CLASS_OUTSIDE_UNICAST;
    case "host":
      return isInfraMac(port.mac, network) ? CLASS_OUTSIDE : CLASS_HOST;
    case "other":
      return CLASS_UNTRUSTED;
  }
}

function isInfraMac(mac: MacAddress, network: NetworkView): boolean {
  return network.infraMacs.includes(mac);
}

function classify(priority: number, match: Match, actions: readonly Action[]): Rule {
  return rule(TABLE_CLASSIFY, priority, match, actions);
}

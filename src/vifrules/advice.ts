/** Why a frame was dropped, in terms of the policies, and what to set to let it pass. */
import type { DropReason } from "./drop-reason.ts";
import type { VifPolicy } from "./policy.ts";

export type ExplainedVif = {
  readonly name: string;
  /** The registers' value: its first port. */
  readonly port: number;
  /** Null: quarantine. */
  readonly policy: VifPolicy | null;
};

export type Advice = {
  /** A clause. */
  readonly why: string;
  /** The line of the policy that is responsible; null when it is none. */
  readonly policy: string | null;
  /** Null: nothing allows it, short of `mode unlocked`. */
  readonly allow: string | null;
};

export type AdviceInput = {
  readonly reason: DropReason | null;
  /** The frame's, as the switch read them. */
  readonly fields: ReadonlyMap<string, string>;
  readonly vif: ExplainedVif;
  readonly direction: "from" | "to";
};

export function adviseOn(input: AdviceInput): Advice {
  const { reason, direction } = input;
  if (reason === null) {
    return direction === "to"
      ? advice("it is not addressed to this VIF", null, null)
      : advice("no rule of the pipeline lets it pass", null, null);
  }
  return ADVICE[reason](input);
}

function advice(why: string, policy: string | null, allow: string | null): Advice {
  return { why, policy, allow };
}

const UNLOCKED = "set `mode` to `unlocked`";

/** What each reason means for the frame that is asked about. */
const ADVICE: { readonly [Reason in DropReason]: (input: AdviceInput) => Advice } = {
  mac: ({ fields, vif }) => {
    const mac = fields.get("dl_src") ?? "";
    return advice(
      `the source MAC ${mac} is not the VIF's own`,
      line(vif, "mac", vif.policy?.mac),
      `set \`mac\` to ${mac}, or ${UNLOCKED} (but for the MACs of infrastructure)`,
    );
  },
  vlan: ({ fields, vif }) =>
    advice(
      `the VIF may not use the VLAN tag${fields.has("dl_vlan") ? ` ${fields.get("dl_vlan")}` : ""}`,
      line(vif, "vlan", JSON.stringify(vif.policy?.vlan)),
      "add the VLAN to `vlan.trunks`",
    ),
  protocol: ({ fields, vif }) =>
    fields.has("rarp")
      ? allowLine(vif, "it announces a MAC by RARP", "rarp-announce")
      : advice("it is neither IPv4, IPv6 nor ARP", modeLine(vif), UNLOCKED),
  "arp-spoof": (input) => adviseOnArp(input),
  "ipv4-spoof": ({ fields, vif }) => {
    const source = fields.get("nw_src") ?? "";
    if (source === "0.0.0.0" && fields.get("tp_dst") === "67") {
      return allowLine(
        vif,
        "it asks for an address by DHCP, or not as a client does",
        "dhcp-client",
      );
    }
    return addressAdvice(vif, `the source ${source} is not the VIF's`, ["ipv4", source]);
  },
  "ipv6-spoof": ({ fields, vif }) => {
    const source = fields.get("ipv6_src") ?? "";
    return addressAdvice(vif, `the source ${source} is not the VIF's`, [ipv6Key(source), source]);
  },
  "nd-spoof": (input) => adviseOnNeighbour(input),
  "dhcp-server": ({ vif }) => allowLine(vif, "only a DHCP server sends it", "dhcp-server"),
  "dhcp-client": ({ vif }) => allowLine(vif, "only a DHCP client sends it", "dhcp-client"),
  "router-advertisement": ({ vif }) =>
    allowLine(vif, "only a router sends it", "router-advertisement"),
  vrrp: ({ vif }) => allowLine(vif, "only a router that shares addresses sends it", "vrrp"),
  fragment: ({ vif }) =>
    advice("it is a first fragment that does not say what it is", modeLine(vif), UNLOCKED),
  group: ({ fields, vif }) => {
    const target = destinationOf(fields);
    const groups = vif.policy?.groups ?? [];
    const own = groups.length === 0 ? "it has none" : `they are ${groups.join(", ")}`;
    return advice(
      `${target} is an inner address in none of the VIF's groups, and no infrastructure`,
      `\`groups\` of ${vif.name} (${own}), with \`internal\` and \`infra\` of its network`,
      `make both members of one group, or add ${target} to the network's \`infra\``,
    );
  },
  external: ({ fields, vif }) =>
    advice(
      `${destinationOf(fields)} is outside, and ${fields.get("dl_dst") ?? ""} is no gateway's MAC`,
      `\`infra.macs\` of the network of ${vif.name}, which is isolated`,
      "send it through the gateway, or add the MAC to the network's `infra.macs`",
    ),
  host: ({ fields, vif }) =>
    advice(
      "it is for the host itself, which is no infrastructure",
      `\`infra\` of the network of ${vif.name}`,
      `add ${destinationOf(fields)} or ${fields.get("dl_dst") ?? ""} to the network's \`infra\``,
    ),
  "to-group": ({ fields, vif }) => {
    const source = sourceOf(fields);
    return advice(
      `${source} is an inner address in none of the groups of the VIF that it is for`,
      `\`groups\` of ${vif.name}, with \`internal\` and \`infra\` of its network`,
      `make ${source} a member of one of its groups, or add it to the network's \`infra\``,
    );
  },
  "to-unlocked": ({ vif }) =>
    advice(
      "it is from an unlocked VIF, whose addresses may be forged, for an isolated one",
      line(vif, "mode", vif.policy?.mode),
      "lock the VIF that sends it",
    ),
  disabled: ({ vif }) => advice("the VIF is disabled", modeLine(vif), "set another `mode`"),
  quarantine: ({ vif }) =>
    advice(
      "the VIF is in quarantine",
      `there is none for ${vif.name}`,
      `give it one: \`vn vif-set ${vif.name} --bridge BRIDGE --mac MAC\``,
    ),
};

function adviseOnArp({ fields, vif }: AdviceInput): Advice {
  const [sha, spa] = [fields.get("arp_sha") ?? "", fields.get("arp_spa") ?? ""];
  const op = fields.get("arp_op") ?? "";
  if (op !== "1" && op !== "2") {
    return advice(`operation ${op} of ARP is neither request nor reply`, modeLine(vif), UNLOCKED);
  }
  if (sha !== vif.policy?.mac) {
    return advice(
      `the sender's MAC in it, ${sha}, is not the VIF's`,
      line(vif, "mac", vif.policy?.mac),
      UNLOCKED,
    );
  }
  if (spa === "0.0.0.0") {
    const target = fields.get("arp_tpa") ?? "";
    return addressAdvice(vif, `it probes ${target}, which is not the VIF's`, ["ipv4", target]);
  }
  return addressAdvice(vif, `the sender's address in it, ${spa}, is not the VIF's`, ["ipv4", spa]);
}

function adviseOnNeighbour({ fields, vif }: AdviceInput): Advice {
  const hopLimit = fields.get("nw_ttl");
  if (hopLimit !== "255") {
    return advice(`its hop limit is ${hopLimit}, not 255 (RFC 4861 §7.1)`, null, null);
  }
  const [source, target] = [fields.get("ipv6_src") ?? "", fields.get("nd_target") ?? ""];
  const link = fields.get("nd_sll") ?? fields.get("nd_tll") ?? "";
  if (link !== vif.policy?.mac && link !== "00:00:00:00:00:00" && link !== "") {
    const own = line(vif, "mac", vif.policy?.mac);
    return advice(`the link-layer address in it, ${link}, is not the VIF's`, own, UNLOCKED);
  }
  const isClaim = fields.get("icmp_type") === "136" || source === "::";
  const wrong = isClaim ? target : source;
  const what = isClaim ? `it claims ${target}` : `its source ${source}`;
  return addressAdvice(vif, `${what}, or how it does, is not the VIF's`, [ipv6Key(wrong), wrong]);
}

function addressAdvice(
  vif: ExplainedVif,
  why: string,
  [key, address]: readonly [key: "ipv4" | "ipv6" | "linkLocal", address: string],
): Advice {
  const value = vif.policy?.[key];
  const shown = typeof value === "string" ? value : (value ?? []).join(", ");
  return advice(why, line(vif, key, shown), `add ${address} to \`${key}\`, or ${UNLOCKED}`);
}

function ipv6Key(address: string): "ipv6" | "linkLocal" {
  return /^fe[89ab]/.test(address) ? "linkLocal" : "ipv6";
}

function allowLine(vif: ExplainedVif, why: string, word: string): Advice {
  return advice(why, line(vif, "allow", vif.policy?.allow.join(", ")), `add ${word} to \`allow\``);
}

function modeLine(vif: ExplainedVif): string {
  return line(vif, "mode", vif.policy?.mode);
}

/** `` `ipv4` of vif5.0 (10.0.0.10) `` */
function line({ name }: ExplainedVif, key: string, value: string | undefined): string {
  return `\`${key}\` of ${name} (${value === undefined || value === "" ? "none" : value})`;
}

function destinationOf(fields: ReadonlyMap<string, string>): string {
  return first(fields, ["nd_target", "arp_tpa", "nw_dst", "ipv6_dst", "dl_dst"]);
}

function sourceOf(fields: ReadonlyMap<string, string>): string {
  return first(fields, ["arp_spa", "nw_src", "ipv6_src", "dl_src"]);
}

function first(fields: ReadonlyMap<string, string>, names: readonly string[]): string {
  return names.map((name) => fields.get(name)).find((value) => value !== undefined) ?? "it";
}

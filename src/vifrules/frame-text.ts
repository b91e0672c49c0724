/**
 * A frame in the words of ovs-ofctl, completed: who asks about `tcp,nw_dst=10.0.0.12` means a packet
 * as the VIF would send it, not one from 0.0.0.0 to a MAC of zeros.
 */
import { type IpAddress, parseIpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import { PROTOCOLS } from "../openflow/match.ts";
import { ipv6Addresses } from "./link-local.ts";
import type { AddressRange, VifPolicy } from "./policy.ts";
import { isPrefix } from "./policy-value.ts";
import { BROADCAST } from "./rule.ts";

export type FrameTextOptions = {
  readonly policy: VifPolicy | null;
  readonly direction: "from" | "to";
  /** Where the frame comes in, unless the text says it. */
  readonly inPort: number;
  /** The MAC that packets for an address are sent to; null: not known. */
  readonly nextHop: (address: IpAddress) => MacAddress | null;
};

/** What the text says stays; fields that it leaves out follow. */
export function completeFrameText(text: string, options: FrameTextOptions): string {
  const words = text.split(",").map((word) => word.trim());
  const given = new Map(words.map((word) => splitWord(word)));
  const added = new Map<string, string>();
  const put = (key: string, value: string | number | null | undefined): void => {
    if (value !== null && value !== undefined && !given.has(key)) {
      added.set(key, String(value));
    }
  };
  put("in_port", options.inPort);
  const { policy, direction } = options;
  const isFrom = direction === "from";
  const side = isFrom ? "src" : "dst";
  put(`dl_${side}`, policy?.mac);
  const type = typeOf(given);
  const own4 = policy?.ipv4.find(isOne);
  const own6 = policy === null ? undefined : ipv6Addresses(policy).find(isOne);
  if (type === "ipv4") {
    put(`nw_${side}`, own4);
    put("nw_ttl", 64);
  } else if (type === "ipv6") {
    put(`ipv6_${side}`, own6);
    put("nw_ttl", given.has("icmp6") ? 255 : 64);
  } else if (type === "arp") {
    put("arp_op", 1);
    put(isFrom ? "arp_spa" : "arp_tpa", own4);
    put("arp_sha", isFrom ? policy?.mac : given.get("dl_src"));
  }
  if (isFrom) {
    put("dl_dst", destinationMac(given, type, options));
  }
  // ovs-ofctl wants a protocol before the fields that it has.
  const extra = Array.from(added, ([key, value]) => `${key}=${value}`);
  return [...words, ...extra].join(",");
}

type Type = "ipv4" | "ipv6" | "arp" | null;

function typeOf(given: ReadonlyMap<string, string>): Type {
  for (const [name, [ethernetType]] of Object.entries(PROTOCOLS)) {
    if (given.has(name)) {
      return TYPES.get(ethernetType) ?? null;
    }
  }
  return null;
}

const TYPES: ReadonlyMap<number, Type> = new Map<number, Type>([
  [0x0800, "ipv4"],
  [0x86dd, "ipv6"],
  [0x0806, "arp"],
]);

function destinationMac(
  given: ReadonlyMap<string, string>,
  type: Type,
  { nextHop }: FrameTextOptions,
): MacAddress | null {
  if (type === "arp") {
    return BROADCAST;
  }
  const text = given.get("nw_dst") ?? given.get("ipv6_dst");
  try {
    return text === undefined ? null : nextHop(parseIpAddress(text));
  } catch {
    // The switch says what is wrong with it.
    return null;
  }
}

function isOne(range: AddressRange): boolean {
  return !isPrefix(range);
}

function splitWord(word: string): readonly [key: string, value: string] {
  const at = word.indexOf("=");
  return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
}

/**
 * The devices of one vnet: from the links that are there to the commands that make them right.
 * Pure; when all is right the plan is empty, so a restart touches nothing.
 *
 * Every TAP and every Linux bridge that we make carries the alias `vnetd:ID`. That is how a device
 * of ours is told from somebody else's of the same name, which is never touched.
 */
import type { IpCommand } from "../host/iproute2.ts";
import type { Link } from "../host/iproute2-listing.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { VnetConfig } from "../vnet/vnet-config.ts";

/** Links by name. */
export type Links = ReadonlyMap<string, Link>;

/** Who vnet-dp runs as: it may attach to TAPs of its own without any privilege. */
export type TapOwner = { readonly name: string; readonly uid: number };

export type LinkPlan =
  | {
      readonly kind: "plan";
      readonly isNewTap: boolean;
      /** For `ip -batch`: first, with the devices still down. */
      readonly make: readonly IpCommand[];
      /** Devices whose IPv6 is switched off between the two: the host must not speak there. */
      readonly silence: readonly string[];
      /** For `ip -batch`: then. */
      readonly raise: readonly IpCommand[];
    }
  /** A device of somebody else is in the way; nothing is to be changed. */
  | { readonly kind: "conflict"; readonly message: string };

/** Below about a thousand, bursts of a guest are lost before vnet-dp is woken. */
const TAP_QUEUE_FRAMES = "1000";

const ALIAS = "vnetd";

/** RFC 8200 §5. The kernel takes IPv6 off a device whose MTU is set below. */
const IPV6_MTU_MIN = 1280;

/**
 * No STP and no forward delay, or a VM would wait half a minute for its first frame. No multicast
 * snooping: the bridge would join groups of its own on the vnet, and hide members behind it.
 */
const QUIET_BRIDGE = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"] as const;

/** @param options.strict a device without our alias is in the way, even if it could be used */
export function planVnetLinks(
  vnet: VnetConfig,
  links: Links,
  options: { readonly owner: TapOwner; readonly strict: boolean },
): LinkPlan {
  const conflict = findConflict(vnet, links, options);
  if (conflict !== null) {
    return { kind: "conflict", message: conflict };
  }
  const tap = planTap(vnet, links, options.owner);
  const bridge = vnet.bridge !== null && !vnet.ovs ? planBridge(vnet.bridge, vnet, links) : [];
  const membership = planMembership(vnet, links, tap.isNew);
  const bridgeUp =
    vnet.bridge !== null && !vnet.ovs && links.get(vnet.bridge)?.up !== true
      ? [["link", "set", "dev", vnet.bridge, "up"]]
      : [];
  const tapUp = tap.isNew || links.get(vnet.vnetif)?.up !== true;
  return {
    kind: "plan",
    isNewTap: tap.isNew,
    make: [...tap.commands, ...bridge],
    silence: tap.isQuiet ? [] : [vnet.vnetif],
    raise: [
      ...membership,
      ...bridgeUp,
      ...(tapUp ? [["link", "set", "dev", vnet.vnetif, "up"]] : []),
    ],
  };
}

/** Whether the TAP of a vnet is there and may be deleted. */
export function hasOurTap({ vnetif }: VnetConfig, links: Links, owner: TapOwner): boolean {
  const tap = links.get(vnetif);
  return tap !== undefined && isOurTap(tap, owner);
}

/** Whether a Linux bridge was made by us. */
export function isOurBridge(bridge: Link): boolean {
  return bridge.kind === "bridge" && hasAlias(bridge);
}

function findConflict(
  vnet: VnetConfig,
  links: Links,
  { owner, strict }: { readonly owner: TapOwner; readonly strict: boolean },
): string | null {
  const tap = links.get(vnet.vnetif);
  if (tap !== undefined && !(strict ? isTap(tap) && hasAlias(tap) : isOurTap(tap, owner))) {
    return `interface name ${vnet.vnetif} is taken by a device that is not ours (${describe(tap)})`;
  }
  if (vnet.bridge === null || vnet.ovs) {
    return null;
  }
  const bridge = links.get(vnet.bridge);
  if (bridge !== undefined && bridge.kind !== "bridge") {
    return `bridge name ${vnet.bridge} is taken by a device that is no bridge (${describe(bridge)})`;
  }
  return null;
}

/** @returns isQuiet: nothing of the host speaks there, as far as the listing shows */
function planTap(
  { id, vnetif, mtu }: VnetConfig,
  links: Links,
  owner: TapOwner,
): { commands: IpCommand[]; isNew: boolean; isQuiet: boolean } {
  const tap = links.get(vnetif);
  if (tap !== undefined && isAttachable(tap, owner)) {
    const hasIpv6 = mtu >= IPV6_MTU_MIN && kernelHasIpv6(links);
    // One that was left half made, by a daemon that was killed, is finished here.
    const isQuiet = hasAlias(tap) && (!hasIpv6 || tap.addressGeneration === "none");
    const resize = tap.mtu === mtu ? [] : [["link", "set", "dev", vnetif, "mtu", String(mtu)]];
    // First the size: below IPv6's least MTU a device has no IPv6 that could be set.
    const commands = [...resize, ...(isQuiet ? [] : [nameOurs(vnetif, id, hasIpv6)])];
    return { commands, isNew: false, isQuiet };
  }
  const commands = [
    // The owner of a TAP cannot be changed: one that vnet-dp may not attach to is made anew.
    ...(tap === undefined ? [] : [["link", "del", "dev", vnetif]]),
    ["tuntap", "add", "dev", vnetif, "mode", "tap", "user", String(owner.uid), "vnet_hdr"],
    nameOurs(vnetif, id, kernelHasIpv6(links)),
    ["link", "set", "dev", vnetif, "mtu", String(mtu), "txqueuelen", TAP_QUEUE_FRAMES],
  ];
  return { commands, isNew: true, isQuiet: false };
}

/** Marks a device as ours and keeps the kernel from giving it an IPv6 address. */
function nameOurs(device: string, id: VnetId, hasIpv6: boolean): IpCommand {
  const silent = hasIpv6 ? ["addrgenmode", "none"] : [];
  return ["link", "set", "dev", device, "alias", aliasOf(id), ...silent];
}

/** Every namespace has a loopback; where IPv6 is switched off at boot it has no IPv6 part. */
function kernelHasIpv6(links: Links): boolean {
  const loopback = links.get("lo");
  return loopback === undefined || loopback.addressGeneration !== null;
}

function isAttachable(link: Link, owner: TapOwner): boolean {
  const { tap } = link;
  const isOwned = tap?.user === owner.name || tap?.user === String(owner.uid);
  return isOwned && tap?.persistent === true && !tap.multiQueue;
}

function planBridge(bridge: string, { id }: VnetConfig, links: Links): IpCommand[] {
  return links.has(bridge)
    ? []
    : [
        ["link", "add", "name", bridge, "type", "bridge", ...QUIET_BRIDGE],
        nameOurs(bridge, id, kernelHasIpv6(links)),
      ];
}

function planMembership(
  { vnetif, bridge, ovs }: VnetConfig,
  links: Links,
  isNew: boolean,
): IpCommand[] {
  // Without a bridge of the vnet's own the interface is the operator's to put where they like.
  if (bridge === null || ovs || (!isNew && links.get(vnetif)?.master === bridge)) {
    return [];
  }
  return [["link", "set", "dev", vnetif, "master", bridge]];
}

function isOurTap(link: Link, owner: TapOwner): boolean {
  const user = link.tap?.user;
  return isTap(link) && (hasAlias(link) || user === owner.name || user === String(owner.uid));
}

function isTap(link: Link): boolean {
  return link.tap?.mode === "tap" && link.tap.persistent;
}

function aliasOf(id: VnetId): string {
  return `${ALIAS}:${shortVnetId(id)}`;
}

function hasAlias(link: Link): boolean {
  return link.alias !== null && link.alias.split(":")[0] === ALIAS;
}

function describe(link: Link): string {
  if (link.tap !== null) {
    const life = link.tap.persistent ? "persistent" : "of a running program";
    return `a ${link.tap.mode}, ${life}`;
  }
  return link.kind === null ? "a network card" : `kind ${link.kind}`;
}

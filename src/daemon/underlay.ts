/**
 * Which device carries the datagrams between hosts, and from which addresses they are sent. Pure:
 * the daemon asks again whenever links, addresses or routes have changed.
 */
import type { Link, LinkAddress } from "../host/iproute2-listing.ts";
import { type IpAddress, ipFamily, parseIpAddress } from "../net/ip-address.ts";
import { ParseError } from "../net/parse-error.ts";
import type { DataplaneCommand } from "../vnet/dataplane-messages.ts";
import type { UnderlayChoice } from "./config.ts";

export type UnderlayFacts = {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly defaultDevice: string | null;
  /** TAPs and bridges of vnets: what is on them is a guest's network, never the underlay. */
  readonly guestSide: ReadonlySet<string>;
};

export type Underlay = {
  /** Null: none was found. */
  readonly device: Link | null;
  readonly sourceAddress4: IpAddress | null;
  readonly sourceAddress6: IpAddress | null;
  /** Every address of this host, on any device. */
  readonly localAddresses: readonly LocalAddress[];
  /** Why no datagram can leave now; null: they can. */
  readonly error: string | null;
};

export type LocalAddress = { readonly address: IpAddress; readonly prefixLength: number };

export type MulticastSettings = {
  readonly multicast: boolean;
  readonly group: IpAddress;
  readonly ttl: number;
};

/**
 * For a host that has IPv6 addresses alone: the IPv4 group 224.10.0.1 as the group id of a
 * link-local multicast address (RFC 4291 §2.7).
 */
export const IPV6_GROUP = parseIpAddress("ff02::e00a:1");

// Until a device is known nothing is sent; this is what segments are cut to afterwards at most.
const UNKNOWN_MTU = 1_500;

export function chooseUnderlay(choice: UnderlayChoice, facts: UnderlayFacts): Underlay {
  const localAddresses = listLocalAddresses(facts.addresses);
  const none = { device: null, sourceAddress4: null, sourceAddress6: null, localAddresses };
  const device = findDevice(choice, facts);
  if (device === null) {
    return { ...none, error: noDevice(choice) };
  }
  if (!device.up) {
    return { ...none, device, error: `underlay device ${device.name} is down` };
  }
  const usable = facts.addresses.filter(
    ({ linkIndex, tentative, scope }) =>
      linkIndex === device.index && !tentative && scope !== "link",
  );
  const source = (family: 4 | 6): IpAddress | null =>
    usable.filter((address) => address.family === family).flatMap(readAddress)[0] ?? null;
  const sources =
    choice.kind === "address"
      ? onlyAddress(choice.address)
      : { sourceAddress4: source(4), sourceAddress6: source(6) };
  if (sources.sourceAddress4 === null && sources.sourceAddress6 === null) {
    return { ...none, device, error: `underlay device ${device.name} has no address` };
  }
  return { device, ...sources, localAddresses, error: null };
}

/** The command for it. Without an address to send from it makes the data plane drop, and count. */
export function underlayCommand(
  underlay: Underlay,
  { multicast, group, ttl }: MulticastSettings,
  guestSideDevices: readonly number[],
): Extract<DataplaneCommand, { kind: "set-underlay" }> {
  const { device, sourceAddress4, sourceAddress6, localAddresses } = underlay;
  const onlyIpv6 = sourceAddress4 === null && sourceAddress6 !== null;
  const group4 = ipFamily(group) === 4 && sourceAddress4 !== null ? group : null;
  const group6 = ipFamily(group) === 6 ? group : IPV6_GROUP;
  return {
    kind: "set-underlay",
    deviceIndex: device?.index ?? 0,
    mtuBytes: device?.mtu ?? UNKNOWN_MTU,
    sourceAddress4,
    sourceAddress6,
    group4: multicast ? group4 : null,
    // One group only, or a host with both families would hear every flood twice.
    group6: multicast && (onlyIpv6 || ipFamily(group) === 6) ? group6 : null,
    multicastTtl: ttl,
    multicast,
    localAddresses: localAddresses.map(({ address }) => address),
    localPrefixLengths: localAddresses.map(({ prefixLength }) => prefixLength),
    guestSideDevices: guestSideDevices.filter((index) => index !== device?.index),
  };
}

function findDevice(choice: UnderlayChoice, facts: UnderlayFacts): Link | null {
  const byName = (name: string | null): Link | null =>
    facts.links.find((link) => link.name === name) ?? null;
  switch (choice.kind) {
    case "none":
      return null;
    case "device":
      return byName(choice.name);
    case "address": {
      const found = facts.addresses.find((address) => readAddress(address)[0] === choice.address);
      return found === undefined ? null : byName(found.linkName);
    }
    case "automatic":
      return byName(facts.defaultDevice) ?? firstWithIpv4(facts);
  }
}

function firstWithIpv4({ links, addresses, guestSide }: UnderlayFacts): Link | null {
  const withIpv4 = new Set(
    addresses.filter(({ family }) => family === 4).map(({ linkIndex }) => linkIndex),
  );
  const candidates = links.filter(
    (link) => link.up && !link.loopback && !guestSide.has(link.name) && withIpv4.has(link.index),
  );
  return candidates.toSorted((one, other) => one.index - other.index)[0] ?? null;
}

/** In an order that does not depend on the kernel's, so that equal sets are equal commands. */
function listLocalAddresses(addresses: readonly LinkAddress[]): LocalAddress[] {
  const byAddress = new Map(
    addresses.flatMap((record) =>
      readAddress(record).map((address) => [address, record.prefixLength] as const),
    ),
  );
  const sorted = [...byAddress].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return sorted.map(([address, prefixLength]) => ({ address, prefixLength }));
}

function noDevice(choice: UnderlayChoice): string {
  switch (choice.kind) {
    case "none":
      return "this host has no underlay (--underlay none)";
    case "device":
      return `underlay device ${choice.name} does not exist`;
    case "address":
      return `underlay address ${choice.address} is on no device of this host`;
    case "automatic":
      return "no underlay: there is neither a default route nor a device with an IPv4 address";
  }
}

function onlyAddress(address: IpAddress): Pick<Underlay, "sourceAddress4" | "sourceAddress6"> {
  return ipFamily(address) === 4
    ? { sourceAddress4: address, sourceAddress6: null }
    : { sourceAddress4: null, sourceAddress6: address };
}

/** None for one that `net/` does not take (IPv4-mapped): nothing can be sent from it. */
function readAddress({ address }: LinkAddress): IpAddress[] {
  try {
    return [parseIpAddress(address)];
  } catch (error) {
    if (error instanceof ParseError) {
      return [];
    }
    throw error;
  }
}

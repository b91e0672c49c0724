/**
 * Which lines of `ip monitor link address route` call for a pass. On a hypervisor most of them are
 * about VMs' devices, and after every change of ours the kernel tells us what we did. What is not
 * understood calls for a pass: to look once too often is harmless.
 */

export type LinkExpectation = {
  readonly mtu: number | null;
  /** The bridge it belongs to; null: none of ours. */
  readonly master: string | null;
};

export type Expectations = {
  /** The devices of vnets, by name, and how they should be. */
  readonly devices: ReadonlyMap<string, LinkExpectation>;
  /** The device that datagrams leave by; null: none was found, so any might become it. */
  readonly underlay: string | null;
};

export type LinkVerdict =
  | { readonly kind: "ignore" }
  | { readonly kind: "pass" }
  /**
   * A device of a vnet is as it should be, or not. Not: a pass is called for unless a later line
   * says that it is, as it does at the end of every change of ours.
   */
  | { readonly kind: "device"; readonly name: string; readonly isRight: boolean };

const IGNORE: LinkVerdict = { kind: "ignore" };
const PASS: LinkVerdict = { kind: "pass" };

const LINK_LINE = /^(Deleted )?\d+: ([^:\s]+): <([^>]*)> (.*)$/;
const ADDRESS_LINE = /^(?:Deleted )?\d+: \S+ +inet6? /;
const ROUTE_LINE =
  /^(?:Deleted )?(?:unicast |local |broadcast |multicast |anycast |unreachable |blackhole |prohibit |throw )?(default|[0-9a-f.:]+(?:\/\d+)?) /;

export function judgeLine(line: string, expectations: Expectations): LinkVerdict {
  if (line === "" || /^\s/.test(line)) {
    // The rest of the entry above it.
    return IGNORE;
  }
  if (ADDRESS_LINE.test(line)) {
    return PASS;
  }
  const link = LINK_LINE.exec(line);
  if (link !== null) {
    const [, deleted, name = "", flags = "", rest = ""] = link;
    return judgeLink({ isDeleted: deleted !== undefined, name, flags, rest }, expectations);
  }
  const route = ROUTE_LINE.exec(line);
  return route === null || route[1] === "default" ? PASS : IGNORE;
}

function judgeLink(
  link: { isDeleted: boolean; name: string; flags: string; rest: string },
  { devices, underlay }: Expectations,
): LinkVerdict {
  // A veth is shown with its other end: `eth0@if7`.
  const name = link.name.split("@")[0] ?? link.name;
  const expected = devices.get(name);
  if (name === underlay || (underlay === null && expected === undefined)) {
    return PASS;
  }
  if (expected === undefined) {
    return IGNORE;
  }
  const mtu = /\bmtu (\d+)/.exec(link.rest)?.[1];
  const master = /\bmaster (\S+)/.exec(link.rest)?.[1] ?? null;
  const isRight =
    !link.isDeleted &&
    link.flags.split(",").includes("UP") &&
    (expected.mtu === null || Number(mtu) === expected.mtu) &&
    (expected.master === null || master === expected.master);
  return { kind: "device", name, isRight };
}

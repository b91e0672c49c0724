/**
 * Groups as conjunctions: one flow for each member's address and one for each VIF, instead of one
 * for each pair. A flow of a group says "clause 2 of this group's condition"; an address of two
 * groups is one flow with two such actions, because a second flow would take the first one's place.
 */
import type { Action } from "../openflow/action.ts";
import type { Match } from "../openflow/match.ts";
import {
  TABLE_ADMIT,
  TABLE_DELIVER,
  TABLE_DESTINATION,
  TABLE_SWITCH,
} from "../openflow/pipeline.ts";
import { familyOf } from "./address-set.ts";
import type { GroupMembers } from "./bridge-rules.ts";
import { hashName } from "./buckets.ts";
import { destinationMatches, PRIORITY_DESTINATION_GROUP } from "./destination-rules.ts";
import { ipv6Addresses } from "./link-local.ts";
import type { AddressRange, GroupPolicy, VifPolicy } from "./policy.ts";
import { type Rule, resubmit, rule } from "./rule.ts";

export const PRIORITY_ADMIT_GROUP = 200;

/** Set in the id of a group's condition for what comes to its members; clear for what they send. */
const TO_MEMBERS = 0x8000_0000;

/** Members by their own list, and by the VIFs that name the group. */
export function groupMembers(
  groups: readonly GroupPolicy[],
  vifs: readonly VifPolicy[],
): GroupMembers {
  const members = new Map<string, Set<AddressRange>>();
  const join = (group: string, addresses: readonly AddressRange[]): void => {
    const set = members.get(group) ?? new Set();
    members.set(group, set);
    for (const address of addresses) {
      set.add(address);
    }
  };
  for (const { group, members: listed } of groups) {
    join(group, listed);
  }
  for (const policy of vifs) {
    for (const group of policy.groups) {
      join(group, [...policy.ipv4, ...ipv6Addresses(policy)]);
    }
  }
  return new Map([...members].map(([group, addresses]) => [group, [...addresses]]));
}

/** The number of each group in conjunctions: by its name, so that other groups do not change it. */
export type GroupNumbers = ReadonlyMap<string, number>;

export function groupNumbers(names: Iterable<string>): GroupNumbers {
  const numbers = new Map<string, number>();
  const taken = new Set<number>([0]);
  for (const name of [...new Set(names)].toSorted()) {
    let number = hashName(name) % TO_MEMBERS;
    while (taken.has(number)) {
      number = (number + 1) % TO_MEMBERS;
    }
    taken.add(number);
    numbers.set(name, number);
  }
  return numbers;
}

/** The numbers of the groups that each address is a member of. */
export type Memberships = ReadonlyMap<AddressRange, readonly number[]>;

export function membershipsOf(members: GroupMembers, numbers: GroupNumbers): Memberships {
  const byAddress = new Map<AddressRange, number[]>();
  for (const [name, number] of numbers) {
    for (const address of members.get(name) ?? []) {
      const list = byAddress.get(address) ?? [];
      list.push(number);
      byAddress.set(address, list);
    }
  }
  return byAddress;
}

/** The flows of members: four for an IPv4 address, three for one of IPv6. */
export function memberRules(
  memberships: Iterable<readonly [AddressRange, readonly number[]]>,
): readonly Rule[] {
  const rules: Rule[] = [];
  for (const [address, list] of memberships) {
    const to = list.map((number) => clause(number, 2));
    const from = list.map((number) => clause(number + TO_MEMBERS, 2));
    for (const match of destinationMatches(address)) {
      rules.push(rule(TABLE_DESTINATION, PRIORITY_DESTINATION_GROUP, match, to));
    }
    for (const match of sourceMatches(address)) {
      rules.push(rule(TABLE_ADMIT, PRIORITY_ADMIT_GROUP, match, from));
    }
  }
  return rules;
}

/** The flows of the groups themselves: what is done when both clauses are met. */
export function groupRules(numbers: GroupNumbers): readonly Rule[] {
  return [...numbers.values()].flatMap((number) => [
    rule(TABLE_DESTINATION, PRIORITY_DESTINATION_GROUP, { conjId: number }, [
      resubmit(TABLE_SWITCH),
    ]),
    rule(TABLE_ADMIT, PRIORITY_ADMIT_GROUP, { conjId: number + TO_MEMBERS }, [
      resubmit(TABLE_DELIVER),
    ]),
  ]);
}

/**
 * What makes a VIF a member.
 *
 * @param port the registers' value for this VIF
 * @param numbers of its groups
 */
export function membershipRules(
  policy: VifPolicy,
  port: number,
  numbers: readonly number[],
): readonly Rule[] {
  if (numbers.length === 0) {
    return [];
  }
  const from = numbers.map((number) => clause(number, 1));
  const to = numbers.map((number) => clause(number + TO_MEMBERS, 1));
  return [
    ...(policy.mode === "isolated"
      ? [rule(TABLE_DESTINATION, PRIORITY_DESTINATION_GROUP, { reg5: port }, from)]
      : []),
    rule(TABLE_ADMIT, PRIORITY_ADMIT_GROUP, { reg15: port }, to),
  ];
}

/** How a frame says whom it is from. */
export function sourceMatches(address: AddressRange): readonly Match[] {
  return familyOf(address) === 4
    ? [
        { protocol: "ip", nwSrc: address },
        { protocol: "arp", arpSpa: address },
      ]
    : [{ protocol: "ipv6", ipv6Src: address }];
}

function clause(id: number, number: 1 | 2): Action {
  return { kind: "conjunction", id, clause: number, clauseCount: 2 };
}

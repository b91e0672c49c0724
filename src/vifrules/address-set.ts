/** Sets of addresses as the fewest ranges: the flows that match them are as few. */
import { formatHexGroups } from "../net/hex.ts";
import {
  decodeIpAddress,
  encodeIpAddress,
  type IpAddress,
  type IpFamily,
} from "../net/ip-address.ts";
import { type Prefix, parsePrefix, prefixAddress, prefixContains } from "../net/prefix.ts";
import type { AddressRange } from "./policy.ts";
import { isPrefix, rangeAddress, rangeLength } from "./policy-value.ts";

/** First and last address of a range, as numbers. */
type Span = { readonly first: bigint; readonly last: bigint };

/**
 * The same addresses as the fewest ranges, for lists that change by a few: sorted, without overlaps,
 * neighbours joined, those of IPv4 first.
 */
export class JoinedRanges {
  #ranges: ReadonlySet<AddressRange> = new Set();
  #sorted: readonly AddressRange[] = [];
  #joined: readonly AddressRange[] = [];

  /** The same array as before when the ranges are the same. */
  join(ranges: ReadonlySet<AddressRange>): readonly AddressRange[] {
    const added = [...ranges].filter((range) => !this.#ranges.has(range));
    if (added.length > 0 || ranges.size < this.#ranges.size) {
      // What was sorted before is one run of the sort.
      const kept = this.#sorted.filter((range) => ranges.has(range));
      this.#sorted = [...kept, ...added].sort(compareRanges);
      this.#joined = joinSorted(this.#sorted);
    }
    this.#ranges = ranges;
    return this.#joined;
  }
}

function compareRanges(one: AddressRange, other: AddressRange): number {
  const [family, otherFamily] = [familyOf(one), familyOf(other)];
  if (family !== otherFamily) {
    return family - otherFamily;
  }
  const [first, otherFirst] = [spanOf(one, family).first, spanOf(other, family).first];
  return first === otherFirst ? 0 : first < otherFirst ? -1 : 1;
}

function joinSorted(sorted: readonly AddressRange[]): readonly AddressRange[] {
  return ([4, 6] as const).flatMap((family) =>
    joinSpans(
      sorted.filter((range) => familyOf(range) === family),
      family,
    ),
  );
}

function joinSpans(sorted: readonly AddressRange[], family: IpFamily): readonly AddressRange[] {
  const joined: { readonly first: bigint; last: bigint; alone: AddressRange | null }[] = [];
  for (const range of sorted) {
    const { first, last } = spanOf(range, family);
    const before = joined.at(-1);
    if (before !== undefined && first <= before.last + 1n) {
      before.last = last > before.last ? last : before.last;
      before.alone = null;
    } else {
      joined.push({ first, last, alone: range });
    }
  }
  // One that stands alone is as it was, which most are.
  return joined.flatMap(({ alone, ...span }) => alone ?? rangesOf(span, family));
}

/** All bits after the prefix set: of IPv4, the address of all hosts of the network (RFC 919 §7). */
export function lastAddress(prefix: Prefix): IpAddress {
  const family = familyOf(prefix);
  return decodeIpAddress(toOctets(spanOf(prefix, family).last, addressBits(family) / 8));
}

export function familyOf(range: AddressRange): IpFamily {
  return range.includes(":") ? 6 : 4;
}

/** Whether any address is in both. */
export function rangesOverlap(one: AddressRange, other: AddressRange): boolean {
  if (!isPrefix(one)) {
    return isPrefix(other) ? prefixContains(other, one) : one === other;
  }
  return (
    prefixContains(one, rangeAddress(other)) ||
    (isPrefix(other) && prefixContains(other, prefixAddress(one)))
  );
}

/** The same thousands of addresses are asked for at each change of one VIF. */
const spans = new Map<AddressRange, Span>();
const SPANS_MAX = 65_536;

function spanOf(range: AddressRange, family: IpFamily): Span {
  const known = spans.get(range);
  if (known !== undefined) {
    return known;
  }
  const span = readSpan(range, family);
  if (spans.size >= SPANS_MAX) {
    spans.clear();
  }
  spans.set(range, span);
  return span;
}

function readSpan(range: AddressRange, family: IpFamily): Span {
  const first = toNumber(encodeIpAddress(rangeAddress(range)));
  const free = BigInt(addressBits(family) - (rangeLength(range) ?? addressBits(family)));
  return { first, last: first + (1n << free) - 1n };
}

/** The largest prefixes that fit, from the first address on. */
function rangesOf({ first, last }: Span, family: IpFamily): readonly AddressRange[] {
  const bits = addressBits(family);
  const ranges: AddressRange[] = [];
  let next = first;
  while (next <= last) {
    let free = 0n;
    while (
      free < BigInt(bits - 1) &&
      (next & ((2n << free) - 1n)) === 0n &&
      next + (2n << free) - 1n <= last
    ) {
      free += 1n;
    }
    const address = decodeIpAddress(toOctets(next, bits / 8));
    ranges.push(free === 0n ? address : parsePrefix(`${address}/${bits - Number(free)}`));
    next += 1n << free;
  }
  return ranges;
}

function addressBits(family: IpFamily): number {
  return family === 4 ? 32 : 128;
}

function toNumber(octets: Uint8Array): bigint {
  return BigInt(`0x${formatHexGroups(octets, octets.length)}`);
}

function toOctets(number: bigint, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, at) =>
    Number((number >> BigInt((count - 1 - at) * 8)) & 0xffn),
  );
}

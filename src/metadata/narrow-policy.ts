/**
 * What becomes of a VIF's policy when its own guest asks for less. vm-data in xenstore is writable
 * by the guest, so whatever it says, the answer lets pass a subset of what `base` lets pass.
 */
import { prefixContains } from "../net/prefix.ts";
import type { AddressRange, LinkLocalPolicy, VifMode, VifPolicy } from "../vifrules/policy.ts";
import { isPrefix, rangeAddress, rangeLength } from "../vifrules/policy-value.ts";

/** By how much they let pass. */
const MODES_BY_STRICTNESS: readonly VifMode[] = ["unlocked", "locked", "isolated", "disabled"];

/**
 * `base`, narrowed by what the guest asks for in `wish`. Bridge, VLAN and MAC are never the
 * guest's to say; a wish for another MAC is about something else and changes nothing.
 */
export function narrowVifPolicy(base: VifPolicy, wish: VifPolicy): VifPolicy {
  if (wish.mac !== base.mac) {
    return base;
  }
  const mode = stricterMode(base.mode, wish.mode);
  if (base.mode === "unlocked") {
    // Every list of the wish is below "everything"; membership is not: it opens other VIFs to this.
    const { ipv4, ipv6, linkLocal, allow } = wish;
    return mode === "unlocked" ? base : { ...base, mode, ipv4, ipv6, linkLocal, allow, groups: [] };
  }
  return {
    ...base,
    mode,
    ipv4: intersectRanges(base.ipv4, wish.ipv4),
    ipv6: intersectRanges(base.ipv6, wish.ipv6),
    linkLocal: narrowLinkLocal(base.linkLocal, wish.linkLocal),
    allow: base.allow.filter((name) => wish.allow.includes(name)),
  };
}

/** The one of two modes that lets pass less. */
export function stricterMode(a: VifMode, b: VifMode): VifMode {
  return MODES_BY_STRICTNESS.indexOf(a) > MODES_BY_STRICTNESS.indexOf(b) ? a : b;
}

/** A list of one's own cannot be compared with `auto` without the MAC's bits: that one stays. */
function narrowLinkLocal(base: LinkLocalPolicy, wish: LinkLocalPolicy): LinkLocalPolicy {
  if (wish === "none" || base === "none") {
    return "none";
  }
  return base === "auto" || wish === "auto" ? base : intersectRanges(base, wish);
}

/** Of two prefixes one holds the other, or they have nothing in common. */
function intersectRanges(
  base: readonly AddressRange[],
  wish: readonly AddressRange[],
): readonly AddressRange[] {
  const common = base.flatMap((mine) =>
    wish.flatMap((theirs) => (holds(mine, theirs) ? [theirs] : holds(theirs, mine) ? [mine] : [])),
  );
  return [...new Set(common)];
}

function holds(outer: AddressRange, inner: AddressRange): boolean {
  if (!isPrefix(outer)) {
    return outer === inner;
  }
  const innerLength = rangeLength(inner) ?? Number.POSITIVE_INFINITY;
  return prefixContains(outer, rangeAddress(inner)) && innerLength >= (rangeLength(outer) ?? 0);
}

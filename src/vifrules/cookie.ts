/**
 * Cookies own flows: `0x76 | kind:8 | generation:16 | ofport:32`. What has 0x76 in front is ours,
 * whoever else has flows in the bridge.
 */
import type { CookieMask } from "../openflow/flow.ts";

/** Of the bridge as a whole, of one VIF, or of a group's members. */
export type CookieKind = "infra" | "vif" | "group";

const KINDS: readonly CookieKind[] = ["infra", "vif", "group"];
const OURS = 0x76n << 56n;

export type FlowCookie = {
  readonly kind: CookieKind;
  /** 0…65535 */
  readonly generation: number;
  /** The VIF's first port; 0 for what is no VIF's. */
  readonly ofport: number;
};

/** All flows that are ours. */
export const OUR_COOKIES: CookieMask = { cookie: OURS, mask: 0xff00_0000_0000_0000n };

export function encodeCookie({ kind, generation, ofport }: FlowCookie): bigint {
  const number = BigInt(KINDS.indexOf(kind));
  return OURS | (number << 48n) | (BigInt(generation) << 32n) | BigInt(ofport);
}

/** Null for one that is not ours, or of a kind that we do not have. */
export function decodeCookie(cookie: bigint): FlowCookie | null {
  const kind = KINDS[Number((cookie >> 48n) & 0xffn)];
  if ((cookie & OUR_COOKIES.mask) !== OURS || kind === undefined) {
    return null;
  }
  const generation = Number((cookie >> 32n) & 0xffffn);
  return { kind, generation, ofport: Number(cookie & 0xffff_ffffn) };
}

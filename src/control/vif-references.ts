/** How a caller names VIFs, VLANs and the rest of a call about VIF rules; `vn` and the routes read alike. */
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseIfaceId } from "../vifrules/policy-value.ts";
import { APPLIED_WITHIN_MS_MAX } from "./vif-rules-api.ts";

const VLAN_ID_MAX = 4094;
/** What xenopsd calls its backends; it becomes a part of a path. */
const BACKEND = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * A port's name or an iface-id: every name of a port reads as an id too.
 * @throws ParseError
 */
export function parseVifName(text: string): string {
  return parseIfaceId(text);
}

/** @throws ParseError */
export function parseBackend(text: string): string {
  if (!BACKEND.test(text)) {
    throw new ParseError(`Not the name of a xenopsd backend: ${quoteValue(text)}`);
  }
  return text;
}

/** @throws ParseError */
export function parseVlanId(text: string): number {
  return parseNumber(text, VLAN_ID_MAX, "a VLAN id");
}

/** @throws ParseError */
export function parseWithinMs(text: string): number {
  return parseNumber(text, APPLIED_WITHIN_MS_MAX, "milliseconds");
}

function parseNumber(text: string, max: number, what: string): number {
  if (!/^(?:0|[1-9]\d{0,8})$/.test(text) || Number(text) > max) {
    throw new ParseError(`Not ${what} (0…${max}): ${quoteValue(text)}`);
  }
  return Number(text);
}

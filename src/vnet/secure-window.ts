/**
 * Where the replay window of a receive SA begins when the SA is taken in. Its sender has sealed with
 * it for a moment by then, and the data plane holds what came of that:
 *
 *   sender    ── SA made ── packets … ── answer: packet counter, age of the SA ── packets …
 *   receiver        HELLO ── challenge ──┘                       └── SA taken in
 *
 * Usually all up to the packet counter counts as seen, since this host may have opened it before
 * and forgotten: it was restarted, or put the sender out. But an SA that was made after the last
 * time that anything was forgotten has never been opened here, so its window begins with nothing
 * seen and the first packets are not lost.
 */
import type { SecureStep, SecureVnet } from "./secure-state.ts";
import type { Millis } from "./varp-events.ts";

/**
 * Packets are held for 200 ms, so an older SA gains nothing. It also bounds what a sender's clock
 * can spoil that stood still: an SA that was in use for longer, awake, is never new.
 */
const NEW_SA_AGE_MS = 10_000;
/** What two clocks may differ by in that time: a tenth, the most that adjtimex(2) lets one err. */
const MARGIN_MS = 1000;

/**
 * Whether no packet of the SA can have been opened here before. The answer was made after the
 * challenge, so the SA was made at or after `challenged` - age; who delays or repeats messages only
 * makes it look older. A member that lies about its age has only its own packets taken twice, and
 * it could seal them twice as well.
 */
export function isNewHere(
  { remembersSince }: SecureVnet,
  { saAgeMs, challenged }: { readonly saAgeMs: number | null; readonly challenged: Millis },
): boolean {
  return (
    saAgeMs !== null &&
    saAgeMs <= NEW_SA_AGE_MS &&
    challenged - saAgeMs - MARGIN_MS > remembersSince
  );
}

/** A window of the vnet is gone, or may be: it is not known which packets were opened with it. */
export function forgetWindows({ now }: SecureStep, vnet: SecureVnet): void {
  vnet.remembersSince = now;
}

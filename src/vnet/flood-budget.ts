/**
 * How many floods one vnet may cause: a guest that sprays MAC addresses must not make its host
 * spray the underlay. A token bucket written as the instant at which it would be full again
 * (GCRA, ITU-T I.371), so that a place in the future can be reserved and a queue of postponed
 * messages is let out one by one and not all at the same moment.
 */
export type FloodBudget = { fullAt: number };

const FLOODS_PER_SECOND = 100;
const FLOOD_BURST = 200;
const FLOOD_INTERVAL_MS = 1000 / FLOODS_PER_SECOND;

export function createFloodBudget(): FloodBudget {
  return { fullAt: 0 };
}

/**
 * When the next flood may go out, which is then spent; null, and nothing spent, when that would
 * be more than `waitMsMax` from `now`.
 */
export function reserveFlood(
  budget: FloodBudget,
  { now, waitMsMax }: { readonly now: number; readonly waitMsMax: number },
): number | null {
  const allowedAt = Math.max(now, budget.fullAt - (FLOOD_BURST - 1) * FLOOD_INTERVAL_MS);
  if (allowedAt - now > waitMsMax) {
    return null;
  }
  budget.fullAt = Math.max(budget.fullAt, now) + FLOOD_INTERVAL_MS;
  return allowedAt;
}

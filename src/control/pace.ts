/** How often to ask for what takes long to tell: asking is a twentieth of the daemon's time at most. */

const REST_PER_READING = 20;
const REST_MS_MAX = 5_000;

/**
 * @param readingMs what the last reading took
 * @param delayMs how often it is wanted
 * @returns how long to wait until the next
 */
export function restAfter(readingMs: number, delayMs: number): number {
  return Math.max(delayMs, Math.min(REST_MS_MAX, REST_PER_READING * readingMs));
}

/** Waiting for a condition instead of for a time. */
import { setTimeout as sleep } from "node:timers/promises";

const POLL_INTERVAL_MS = 20;

/** How much longer and larger the suites run: 1 in `scripts/test`, more by VNETD_TEST_SCALE. */
export const TEST_SCALE = Number(process.env["VNETD_TEST_SCALE"] ?? "1");

/** Bounds on time hold on a machine with nothing else to do: asserted by VNETD_TEST_SOAK=1 only. */
export const ASSERTS_TIMES = process.env["VNETD_TEST_SOAK"] === "1";

/**
 * Polls `probe` until it gives something other than `undefined`, `false` or `null`.
 *
 * @throws Error at the deadline, with the last failure of `probe` as its cause
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<Exclude<T, undefined | false | null>> {
  const deadline = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false && value !== null) {
        return value as Exclude<T, undefined | false | null>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Not within ${deadlineMs} ms: ${what}`, { cause });
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

/** Watches that `probe` stays true for `forMs`; for claims that something does not happen. */
export async function staysTrue(
  what: string,
  probe: () => boolean | Promise<boolean>,
  forMs: number,
): Promise<void> {
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    if (!(await probe())) {
      throw new Error(`No longer true: ${what}`);
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

/** The one place where time comes from; pure machines get it as an argument. */

export type Clock = {
  /** Milliseconds that only go forward, whatever is done to the date. */
  now(): number;
};

export const monotonicClock: Clock = { now: () => performance.now() };

/** Connects, and again whenever the connection has ended, with pauses that grow until it lasts. */
import { monotonicClock } from "./clock.ts";

export type KeepConnectedOptions<C> = {
  /** Ends what it has begun when it fails. `onEnd` is called once at most, also while it connects. */
  readonly connect: (onEnd: (error: Error) => void) => Promise<C>;
  readonly onUp: (connection: C) => void;
  /** There is none: told once, and again when the reason is another. It is tried again. */
  readonly onDown: (error: Error) => void;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
};

export type KeptConnection = {
  /** Ends the connection and the attempts. Nothing is called after it. */
  close(): void;
};

/** The first attempt is made at once; nothing is called before this returns. */
export function keepConnected<C extends { close(): void }>(
  options: KeepConnectedOptions<C>,
): KeptConnection {
  const { delayMsMin, delayMsMax } = options;
  let closed = false;
  let current: C | null = null;
  let timer: NodeJS.Timeout | null = null;
  let delayMs = delayMsMin;
  let told: string | null = null;

  const attempt = (): void => {
    let over = false;
    let upAt = Number.POSITIVE_INFINITY;
    const end = (error: Error): void => {
      if (over || closed) {
        return;
      }
      over = true;
      current = null;
      // A connection that is lost as soon as it is made must not be made as often as possible.
      const lasted = monotonicClock.now() - upAt >= delayMsMax;
      delayMs = lasted ? delayMsMin : Math.min(delayMs * 2, delayMsMax);
      timer = setTimeout(attempt, lasted ? 0 : delayMs);
      if (told !== error.message) {
        told = error.message;
        options.onDown(error);
      }
    };
    options.connect(end).then((connection) => {
      if (over || closed) {
        connection.close();
        return;
      }
      upAt = monotonicClock.now();
      current = connection;
      told = null;
      options.onUp(connection);
    }, end);
  };
  attempt();

  return {
    close() {
      closed = true;
      if (timer !== null) {
        clearTimeout(timer);
      }
      current?.close();
    },
  };
}

/** Time as the node sees it; a test or a simulation hands in its own. */

/** The longest delay of a timer in ms: 24 days, just below the 2^31 ms at which `setTimeout` overflows and fires at once. */
export const MAX_DELAY_MS: number = 24 * 24 * 60 * 60 * 1000;

/** A monotonic clock with one-shot timers. */
export interface Clock {
  /** Ms since some fixed moment; never goes back, whatever the wall clock does. */
  now(): number;
  /**
   * Calls `fn` once, `delayMs` or more from now.
   *
   * @param fn What to call.
   * @param delayMs 0 to {@linkcode MAX_DELAY_MS} ms, a whole number.
   * @returns Cancels the timer; does nothing once it has fired.
   */
  setTimer(fn: () => void, delayMs: number): () => void;
}

/** The system's clock: `performance.now()` and `setTimeout`. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(fn, delayMs) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Checks a duration: 1 ms to {@linkcode MAX_DELAY_MS}, whole or not.
 *
 * @param ms The duration.
 * @param name What to call it in the error.
 * @throws {RangeError} It is not in that range, or no number.
 */
export function checkDuration(ms: number, name: string): void {
  if (!(ms >= 1 && ms <= MAX_DELAY_MS)) {
    throw new RangeError(
      `'${name}' must be from 1 to ${MAX_DELAY_MS} ms (24 days): current value is ${ms}`,
    );
  }
}

import { deferred } from "../deferred.ts";

/** The runtime's event loop, as far as an inbox and an outbox need it; a simulation hands in its own. */
export interface EventLoop {
  /**
   * Calls a function in this turn of the loop, once no promise is left to be
   * settled: what has been read is handled by then.
   *
   * @param fn What to call.
   */
  settled(fn: () => void): void;
  /**
   * Calls a function in the next turn of the loop, once all that could be read
   * or written by then has been dealt with.
   *
   * @param fn What to call.
   */
  soon(fn: () => void): void;
  /**
   * Calls a function once, after a time.
   *
   * @param fn What to call.
   * @param delayMs When, in ms from now.
   * @returns Cancels it.
   */
  setTimer(fn: () => void, delayMs: number): () => void;
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(loop: EventLoop): Promise<void> {
  return new Promise((resolve) => loop.soon(resolve));
}

/** Resolves after so many ms. */
export function sleep(loop: EventLoop, ms: number): Promise<void> {
  return new Promise((resolve) => void loop.setTimer(resolve, ms));
}

/** Waits for the work, for so many ms at most. */
export async function withTimeout(
  loop: EventLoop,
  work: Promise<void>,
  ms: number,
): Promise<void> {
  const { promise, resolve } = deferred<void>();
  const cancel = loop.setTimer(resolve, ms);
  await Promise.race([work, promise]);
  cancel();
}

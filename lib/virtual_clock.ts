/** A clock that stands still until it is moved. */
import { type Clock, MAX_DELAY_MS } from "./clock.ts";
import { EventQueue } from "./event_queue.ts";
import { show } from "./message.ts";

/**
 * Virtual time, in ms from 0: {@linkcode VirtualClock.advance} fires what
 * becomes due, in the order of the times, and for equal times in the order in
 * which the timers were set.
 *
 * @example
 * ```ts
 * import { VirtualClock } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new VirtualClock();
 * const fired: number[] = [];
 * clock.setTimer(() => fired.push(clock.now()), 100);
 * clock.advance(99);
 * assertEquals(fired, []);
 * clock.advance(1);
 * assertEquals(fired, [100]);
 * ```
 */
export class VirtualClock implements Clock {
  #now = 0;
  readonly #queue = new EventQueue();

  /** Ms of virtual time since the clock was made. */
  now(): number {
    return this.#now;
  }

  /**
   * Calls `fn` once, `delayMs` from now.
   *
   * @param fn What to call.
   * @param delayMs A whole number of ms, from 0 to 24 days.
   * @returns Cancels the timer.
   * @throws {RangeError} A real timer would not take that delay, or would cut it.
   */
  setTimer(fn: () => void, delayMs: number): () => void {
    if (
      !Number.isInteger(delayMs) || delayMs < 0 || delayMs > MAX_DELAY_MS
    ) {
      throw new RangeError(
        `'delayMs' must be a whole number from 0 to ${MAX_DELAY_MS}: current value is ${delayMs}`,
      );
    }
    return this.#queue.schedule(this.#now + delayMs, fn);
  }

  /** How many timers are armed. */
  get timers(): number {
    return this.#queue.size;
  }

  /** When the next timer is due; `Infinity` when none is armed. */
  get nextTime(): number {
    return this.#queue.nextTime;
  }

  /**
   * Moves time on. A timer may move it further by {@linkcode VirtualClock.busy}.
   *
   * @param ms For how long: a finite number from 0.
   * @throws {RangeError} `ms` is none.
   */
  advance(ms: number): void {
    checkElapsed(ms);
    const end = this.#now + ms;
    while (this.fireNext(end));
    this.#now = Math.max(this.#now, end);
  }

  /**
   * Moves time on to the next timer and fires it, if one is due by then.
   *
   * @param end The latest time to move to.
   * @returns Whether a timer fired.
   */
  fireNext(end: number): boolean {
    if (this.#queue.nextTime > end) return false;
    this.#now = Math.max(this.#now, this.#queue.nextTime);
    this.#queue.take()();
    return true;
  }

  /**
   * Lets time pass without a timer firing, as in a handler that computes.
   *
   * @param ms For how long: a finite number from 0.
   * @throws {RangeError} `ms` is none.
   */
  busy(ms: number): void {
    checkElapsed(ms);
    this.#now += ms;
  }
}

/**
 * Checks how much time is to pass.
 *
 * @param ms In ms.
 * @throws {RangeError} It is no finite number from 0.
 */
export function checkElapsed(ms: number): void {
  if (!(Number.isFinite(ms) && ms >= 0)) {
    throw new RangeError(
      `'ms' must be a finite number from 0: current value is ${show(ms)}`,
    );
  }
}

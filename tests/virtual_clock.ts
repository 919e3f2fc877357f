/** A clock that stands still until a test moves it. */
import type { Clock } from "../lib/clock.ts";

/** Virtual time: {@linkcode VirtualClock.advance} fires what becomes due, in order. */
export class VirtualClock implements Clock {
  #now = 0;
  #timers: { time: number; fn: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  setTimer(fn: () => void, delayMs: number): () => void {
    if (!Number.isInteger(delayMs) || delayMs < 0 || delayMs >= 2 ** 31) {
      throw new RangeError(
        `a system timer would not take a delay of ${delayMs}`,
      );
    }
    const timer = { time: this.#now + delayMs, fn };
    const at = this.#timers.findIndex(({ time }) => time > timer.time);
    this.#timers.splice(at === -1 ? this.#timers.length : at, 0, timer);
    return () => this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** How many timers are armed. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Moves time on; a timer may move it further by {@linkcode VirtualClock.busy}. */
  advance(ms: number): void {
    const end = this.#now + ms;
    while (this.#timers.length > 0 && this.#timers[0]!.time <= end) {
      const { time, fn } = this.#timers.shift()!;
      this.#now = Math.max(this.#now, time);
      fn();
    }
    this.#now = Math.max(this.#now, end);
  }

  /** Time passes without a timer firing, as in a handler that computes. */
  busy(ms: number): void {
    this.#now += ms;
  }
}

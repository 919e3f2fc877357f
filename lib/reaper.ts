/** When to look for expired callbacks. */
import type { Clock } from "./clock.ts";
import type { PendingRpcs } from "./pending_rpcs.ts";
import { slice } from "./slices.ts";

/** What one reap did; empty ones are not reported. */
export interface ReapReport {
  /** How many callbacks were reaped. */
  count: number;
  /** The age in ms, when it was reaped, of the oldest of them. */
  oldestAgeMs: number;
  /** How many callbacks are still pending. */
  remaining: number;
}

/** Options of a {@linkcode Reaper}. */
export interface ReaperOptions {
  /** The callbacks. */
  pending: PendingRpcs;
  /** The clock of their deadlines. */
  clock: Clock;
  /**
   * Scan at this interval in ms instead of at the earliest deadline.
   *
   * @default {undefined}
   */
  intervalMs?: number | undefined;
  /** Told of each reap that reaped something. */
  report: (report: ReapReport) => void;
  /**
   * Resolves once the input that can be read now without waiting has been
   * handled, or is `undefined` when there is none to be waited for. Told by
   * how many ms the timer was late. Where it throws or rejects, nothing is
   * waited for.
   */
  caughtUp: (lateMs: number) => Promise<void> | undefined;
  /** Told what `caughtUp` threw or rejected with. */
  failed: (error: unknown) => void;
  /** For how long, in ms, expired callbacks wait for `caughtUp`. */
  graceMs: number;
}

/** A reap under way: of all that was due, in ms on the clock, when it began. */
interface Reap {
  readonly due: number;
  readonly report: ReapReport;
}

/**
 * Reaps expired callbacks: at their deadlines with one timer armed for the
 * earliest, or at a fixed interval. Either way no timer exists while nothing
 * is pending, input that is readable is handled first, within a bound, and a
 * long reap hands the event loop back every few milliseconds.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  #cancelTimer: (() => void) | undefined;
  /** The deadline that the timer is for, and when it is to fire: at once, if that has passed. */
  #armedFor = Infinity;
  #fireAt = Infinity;
  /** The reap that is under way, of what was due when it began. */
  #reap: Reap | undefined;
  #stopped = false;

  /** @param options What to reap, when, and whom to tell. */
  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** To be called whenever a callback has been registered or settled. */
  update(): void {
    if (this.#stopped || this.#reap) return; // a reap re-arms when it is done
    const { pending, clock, intervalMs } = this.#options;
    if (pending.size === 0) this.#disarm();
    else if (intervalMs !== undefined) {
      if (this.#cancelTimer === undefined) this.#arm(clock.now() + intervalMs);
    } else if (pending.firstDeadline < this.#armedFor) {
      this.#arm(pending.firstDeadline);
    }
  }

  /** Stops for good; a reap that is under way is reported as far as it has come. */
  stop(): void {
    this.#disarm();
    this.#stopped = true;
    this.#endReap();
  }

  #arm(time: number): void {
    const { clock } = this.#options;
    this.#disarm();
    this.#armedFor = time;
    // A fraction would be cut off, and the timer fire early.
    const now = clock.now();
    const delayMs = Math.max(0, Math.ceil(time - now));
    this.#fireAt = now + delayMs;
    this.#cancelTimer = clock.setTimer(() => this.#fire(), delayMs);
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#armedFor = Infinity;
  }

  #fire(): void {
    const { pending, clock } = this.#options;
    const due = clock.now();
    const lateMs = due - this.#fireAt;
    this.#disarm();
    if (pending.firstDeadline > due) return this.update();
    this.#reap = { due, report: { count: 0, oldestAgeMs: 0, remaining: 0 } };
    this.#afterInput(this.#reap, lateMs);
  }

  /** Reaps a slice once the input that can be read has been handled, within the bound. */
  #afterInput(reap: Reap, lateMs: number): void {
    const { clock, graceMs, failed } = this.#options;
    const leftMs = Math.ceil(reap.due + graceMs - clock.now());
    const handled = leftMs > 0 ? this.#caughtUp(lateMs) : undefined;
    if (handled === undefined) return this.#slice(reap);
    const start = () => {
      if (this.#cancelTimer !== cancel) return; // started, or stopped
      this.#disarm();
      this.#slice(reap);
    };
    const cancel = clock.setTimer(start, leftMs);
    this.#cancelTimer = cancel;
    handled.then(start, (error) => {
      failed(error);
      start();
    });
  }

  #caughtUp(lateMs: number): Promise<void> | undefined {
    const { caughtUp, failed } = this.#options;
    try {
      return caughtUp(lateMs);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  #slice(reap: Reap): void {
    const { pending, clock } = this.#options;
    const { due, report } = reap;
    const step = (now: number) =>
      !this.#stopped && pending.reapFirst(due, now, report);
    slice(clock, step, (more) => {
      if (this.#stopped) return;
      if (!more) return this.#endReap();
      const setAt = clock.now();
      this.#cancelTimer = clock.setTimer(() => {
        this.#disarm();
        // Replies may have come meanwhile to what is due.
        this.#afterInput(reap, clock.now() - setAt);
      }, 0);
    });
  }

  #endReap(): void {
    const report = this.#reap?.report;
    this.#reap = undefined;
    this.update();
    if (report === undefined || report.count === 0) return;
    report.remaining = this.#options.pending.size;
    this.#options.report(report);
  }
}

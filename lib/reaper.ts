/** When to look for expired callbacks. */
import type { Clock } from "./clock.ts";
import type { PendingRpcs } from "./pending_rpcs.ts";

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
   * how many ms the timer was late.
   */
  caughtUp: (lateMs: number) => Promise<void> | undefined;
  /** For how long, in ms, expired callbacks wait for `caughtUp`. */
  graceMs: number;
}

/** How long a slice of a reap may take before the event loop gets its turn, in ms. */
const SLICE_MS = 2;
/** How many callbacks are reaped between two looks at the clock. */
const SLICE_STEP = 8;

/**
 * Reaps expired callbacks: at their deadlines with one timer armed for the
 * earliest, or at a fixed interval. Either way no timer exists while nothing
 * is pending, input that is readable is handled first, within a bound, and a long reap hands the event loop back every few milliseconds.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  #cancelTimer: (() => void) | undefined;
  /** The deadline that the timer is for, and when it is to fire: at once, if that has passed. */
  #armedFor = Infinity;
  #fireAt = Infinity;
  #reaping = false;

  /** @param options What to reap, when, and whom to tell. */
  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** To be called whenever a callback has been registered or settled. */
  update(): void {
    if (this.#reaping) return; // re-arms when it is done
    const { pending, clock, intervalMs } = this.#options;
    if (pending.size === 0) this.#disarm();
    else if (intervalMs !== undefined) {
      if (this.#cancelTimer === undefined) this.#arm(clock.now() + intervalMs);
    } else if (pending.firstDeadline < this.#armedFor) {
      this.#arm(pending.firstDeadline);
    }
  }

  /** Stops for good. */
  stop(): void {
    this.#disarm();
    this.#reaping = true; // so that nothing arms it any more
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
    this.#reaping = true;
    const report = { count: 0, oldestAgeMs: 0, remaining: 0 };
    this.#afterInput(due, lateMs, report);
  }

  /** Reaps a slice once the input that can be read has been handled, within the bound. */
  #afterInput(due: number, lateMs: number, report: ReapReport): void {
    const { clock, graceMs, caughtUp } = this.#options;
    const leftMs = Math.ceil(due + graceMs - clock.now());
    const handled = leftMs > 0 ? caughtUp(lateMs) : undefined;
    if (handled === undefined) return this.#slice(due, report);
    const start = () => {
      if (this.#cancelTimer !== cancel) return; // started, or stopped
      this.#disarm();
      this.#slice(due, report);
    };
    const cancel = clock.setTimer(start, leftMs);
    this.#cancelTimer = cancel;
    handled.then(start);
  }

  #slice(due: number, report: ReapReport): void {
    const { pending, clock } = this.#options;
    const end = clock.now() + SLICE_MS;
    let invoked = 0;
    const { count, oldestAgeMs } = pending.reap(
      due,
      () => ++invoked % SLICE_STEP !== 0 || clock.now() < end,
    );
    report.count += count;
    report.oldestAgeMs = Math.max(report.oldestAgeMs, oldestAgeMs);
    if (pending.firstDeadline <= due) {
      const now = clock.now();
      this.#cancelTimer = clock.setTimer(() => {
        this.#disarm();
        // Replies may have come meanwhile to what is due.
        const lateMs = clock.now() - now;
        this.#afterInput(due, lateMs, report);
      }, 0);
      return;
    }
    this.#reaping = false;
    report.remaining = pending.size;
    if (report.count > 0) this.#options.report(report);
    this.update();
  }
}

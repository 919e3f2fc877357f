/** Trying again what failed. */
import { MAX_DELAY_MS } from "./clock.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import type { AnyNode, RpcOptions } from "./node.ts";

/** Options of {@linkcode retry}: those of each attempt's RPCs, and when to try again. */
export interface RetryOptions extends RpcOptions {
  /**
   * How long all attempts may take together, the waits between them included,
   * in ms; `Infinity` for as long as it takes. A `deadline` that is earlier counts.
   *
   * @default {10_000}
   */
  totalMs?: number;
  /**
   * How often to try at the most, from 1.
   *
   * @default {Infinity}
   */
  maxAttempts?: number;
  /**
   * The longest wait after the first attempt, in ms, from 1; it doubles with
   * each further one. How long it is within that is random ("full jitter"), so
   * that those who failed together don't come back together.
   *
   * @default {50}
   */
  minDelayMs?: number;
  /**
   * Where the doubling ends, in ms, from `minDelayMs` to 24 days.
   *
   * @default {2000}, or `minDelayMs` if that is more
   */
  maxDelayMs?: number;
  /**
   * Whether doing it several times, the last time maybe long after, is as good
   * as doing it once: then it is tried again after an indefinite error, too.
   *
   * @default {false}
   */
  idempotent?: boolean;
  /**
   * Whether it changes nothing: it is tried again after an indefinite error,
   * and a definite one is the answer, whatever was before.
   *
   * @default {false}
   */
  readOnly?: boolean;
  /**
   * Decides on errors of your own.
   *
   * @param error What an attempt failed with.
   * @param byDefault Whether it would be tried again without this.
   * @default {byDefault}
   */
  retryIf?: (error: unknown, byDefault: boolean) => boolean;
}

/** Definite errors that may have passed when the next attempt is made. */
const PASSING: ReadonlySet<number> = new Set<number>([
  ErrorCode.temporarilyUnavailable,
  ErrorCode.abort,
  ErrorCode.txnConflict,
]);

/**
 * Does something until it succeeds: again after each error that allows it,
 * with longer and longer waits, as long as there is time for another attempt.
 *
 * By default that is after the definite errors that may pass: 11
 * (temporarily unavailable), 14 (aborted) and 30 (conflict). What may have
 * happened is not repeated, unless it is said to be `idempotent` or `readOnly`.
 *
 * It fails with the error of the last attempt. But if an earlier one may have
 * happened, a definite error would be untrue: it becomes the `cause` of an
 * indefinite one, of code 0.
 *
 * @example
 * ```ts
 * import { ErrorCode, retry, RpcError } from "@gyre/node";
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   let busy = 2;
 *   node.on("work", (_, limits) =>
 *     retry(node, async () => {
 *       if (busy-- > 0) throw new RpcError(ErrorCode.temporarilyUnavailable, "busy");
 *       return { attempts: 3 };
 *     }, limits));
 * });
 * await test.deliver({ src: "c1", body: { type: "work", msg_id: 1 } });
 * await test.advance(150); // at most 50 ms, then at most 100 ms
 * assertEquals(test.sent()[0]?.body.attempts, 3);
 * ```
 *
 * @param node Whose clock and random numbers there are to wait by.
 * @param attempt Does it once; hands its options to its RPCs, so that they end in time.
 * @param options Limits, and what may be repeated.
 * @throws {RangeError} An option is out of range.
 * @throws The signal's reason, once that is aborted.
 */
export async function retry<T>(
  node: AnyNode,
  attempt: (options: RpcOptions) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const {
    totalMs = 10_000,
    maxAttempts = Infinity,
    minDelayMs = 50,
    maxDelayMs = Math.max(2000, minDelayMs),
    idempotent = false,
    readOnly = false,
    retryIf = (_, byDefault) => byDefault,
    ...rpcOptions
  } = options;
  checkRange("totalMs", totalMs, 1, Infinity);
  checkRange("maxAttempts", maxAttempts, 1, Infinity);
  checkRange("minDelayMs", minDelayMs, 1, MAX_DELAY_MS);
  checkRange("maxDelayMs", maxDelayMs, minDelayMs, MAX_DELAY_MS);
  const { signal, deadline: given = Infinity } = rpcOptions;
  const deadline = Math.min(given, node.now() + totalMs);
  let mayHaveHappened = false;
  for (let attempts = 1, longestMs = minDelayMs;; attempts++) {
    signal?.throwIfAborted();
    try {
      return await attempt({ ...rpcOptions, deadline });
    } catch (error) {
      signal?.throwIfAborted();
      const definite = error instanceof RpcError && error.definite;
      const again = retryIf(
        error,
        definite
          ? PASSING.has(error.code)
          : (idempotent || readOnly) && error instanceof RpcError,
      );
      const delayMs = Math.max(1, node.random() * longestMs);
      if (
        !again || attempts >= maxAttempts || node.now() + delayMs >= deadline
      ) {
        throw definite && mayHaveHappened ? indefinite(error) : error;
      }
      mayHaveHappened ||= !definite && !readOnly;
      await node.sleep(delayMs, { signal });
      longestMs = Math.min(2 * longestMs, maxDelayMs);
    }
  }
}

function checkRange(
  name: string,
  value: number,
  min: number,
  max: number,
): void {
  if (value >= min && value <= max) return;
  throw new RangeError(
    `'${name}' must be from ${min} to ${max}: current value is ${value}`,
  );
}

function indefinite(cause: RpcError): RpcError {
  return new RpcError(
    ErrorCode.timeout,
    `an earlier attempt may have succeeded; the last one: ${cause.message}`,
    { cause },
  );
}

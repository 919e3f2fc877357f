/** Keeping what others' code throws, or rejects with, from harming its caller. */

/**
 * Whether a value is a promise, be it another library's.
 *
 * @param value Any value.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)
    ?.then === "function";
}

/**
 * Runs what must not harm its caller.
 *
 * @param fn What to run; may be async, and is not waited for.
 * @param onError Told what it threw or rejected with; must not throw.
 */
export function guard(
  fn: () => unknown,
  onError: (error: unknown) => void,
): void {
  try {
    const result = fn();
    if (isThenable(result)) Promise.resolve(result).catch(onError);
  } catch (error) {
    onError(error);
  }
}

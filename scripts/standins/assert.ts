/** Stand-in for `@std/assert` where JSR is out of reach: the part that Gyre's tests use, over `node:assert/strict`. */
import nodeAssert from "node:assert/strict";

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function asserting(run: () => void, msg?: string): void {
  try {
    run();
  } catch (error) {
    throw new AssertionError(
      msg === undefined ? (error as Error).message : msg,
      { cause: error },
    );
  }
}

/** Holds when `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Holds when both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  asserting(() => nodeAssert.deepEqual(actual, expected), msg);
}

/** Holds when both are the same value, by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  asserting(() => nodeAssert.equal(actual, expected), msg);
}

/** Holds when `actual` contains `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (!actual.includes(expected)) {
    throw new AssertionError(
      msg ?? `Expected "${actual}" to contain "${expected}".`,
    );
  }
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = new (...args: any[]) => E;

function checkThrown<E extends Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): E {
  if (errorClass && !(error instanceof errorClass)) {
    throw new AssertionError(
      `Expected an error of class ${errorClass.name}, got ${String(error)}.`,
    );
  }
  if (msgIncludes) assertStringIncludes((error as Error).message, msgIncludes);
  return error as E;
}

/** Holds when `fn` throws; returns what it threw. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): E {
  try {
    fn();
  } catch (error) {
    return checkThrown(error, errorClass, msgIncludes);
  }
  throw new AssertionError("Expected function to throw.");
}

/** Holds when the promise that `fn` returns rejects; resolves with the reason. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return checkThrown(error, errorClass, msgIncludes);
  }
  throw new AssertionError("Expected function to reject.");
}

/** Maelstrom's error codes and the error that carries one. */

/**
 * The error codes of Maelstrom's protocol, as its `doc/protocol.md` and
 * `resources/errors.edn` list them. Codes from 1000 are free for your own use.
 */
export const ErrorCode = {
  /** The operation could not be completed in time. Indefinite. */
  timeout: 0,
  /** The node that the request was sent to does not exist. Definite. */
  nodeNotFound: 1,
  /** This node does not support the operation. Definite. */
  notSupported: 10,
  /** The operation can't be performed at this time. Definite. */
  temporarilyUnavailable: 11,
  /** The request is not of the form it should have. Definite. */
  malformedRequest: 12,
  /** Any error that may have left the operation done, half done or not done. Indefinite. */
  crash: 13,
  /** Any error that certainly left the operation not done. Definite. */
  abort: 14,
  /** There is no such key. Definite. */
  keyDoesNotExist: 20,
  /** The key exists already. Definite. */
  keyAlreadyExists: 21,
  /** A condition of the request does not hold, such as a compare-and-set's. Definite. */
  preconditionFailed: 22,
  /** The transaction has been aborted because of another one. Definite. */
  txnConflict: 30,
} as const;

const DEFINITE: ReadonlySet<number> = new Set<number>([
  ErrorCode.nodeNotFound,
  ErrorCode.notSupported,
  ErrorCode.temporarilyUnavailable,
  ErrorCode.malformedRequest,
  ErrorCode.abort,
  ErrorCode.keyDoesNotExist,
  ErrorCode.keyAlreadyExists,
  ErrorCode.preconditionFailed,
  ErrorCode.txnConflict,
]);

/**
 * Whether an error of this code means that the operation did not happen and
 * never will. Timeouts, crashes, codes of your own and unknown codes are
 * indefinite: it may have happened, or may still.
 *
 * @example
 * ```ts
 * import { ErrorCode, isDefinite } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(isDefinite(ErrorCode.preconditionFailed), true);
 * assertEquals(isDefinite(ErrorCode.timeout), false);
 * assertEquals(isDefinite(1000), false);
 * ```
 *
 * @param code The error's code.
 */
export function isDefinite(code: number): boolean {
  return DEFINITE.has(code);
}

/**
 * An error with one of Maelstrom's codes. Thrown by a handler it becomes the
 * reply; an RPC that failed is rejected with one.
 *
 * @example
 * ```ts
 * import { ErrorCode, RpcError } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RpcError(ErrorCode.keyDoesNotExist, "no key 7");
 * assertEquals(error.code, 20);
 * assertEquals(error.definite, true);
 * ```
 */
export class RpcError extends Error {
  /** "RpcError". */
  override name = "RpcError";
  /** Maelstrom's code of this error: see {@linkcode ErrorCode}. */
  readonly code: number;

  /**
   * An error of this code.
   *
   * @param code Maelstrom's code: see {@linkcode ErrorCode}.
   * @param text What went wrong, for a person to read.
   * @param options `cause`: what led to this error.
   */
  constructor(code: number, text: string, options?: ErrorOptions) {
    super(text, options);
    this.code = code;
  }

  /** Whether the operation certainly did not happen and never will. */
  get definite(): boolean {
    return isDefinite(this.code);
  }
}

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

/** Options of an {@linkcode RpcError}. */
export interface RpcErrorOptions extends ErrorOptions {
  /**
   * Fields of the error's own, beside its code and text: they travel in the
   * body of the error reply. Those called `type`, `code`, `text`, `msg_id` and
   * `in_reply_to`, which mean something there already, are left out.
   *
   * @default none
   */
  details?: object | undefined;
}

/** What an error reply's body has of its own accord. */
const RESERVED: ReadonlySet<string> = new Set([
  "type",
  "code",
  "text",
  "msg_id",
  "in_reply_to",
]);
const NO_DETAILS: Readonly<Record<string, unknown>> = Object.freeze({});

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
 *
 * @example Fields of its own
 * ```ts
 * import { ErrorCode, RpcError } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RpcError(ErrorCode.temporarilyUnavailable, "not the leader", {
 *   details: { leader: "n2" },
 * });
 * assertEquals(error.details.leader, "n2"); // as whoever sent the RPC reads it, too
 * ```
 */
export class RpcError extends Error {
  /** "RpcError". */
  override name = "RpcError";
  /** Maelstrom's code of this error: see {@linkcode ErrorCode}. */
  readonly code: number;
  /** The error's own fields, such as whom to ask instead; those of an error reply, when it came from one. */
  readonly details: Readonly<Record<string, unknown>>;

  /**
   * An error of this code.
   *
   * @param code Maelstrom's code: see {@linkcode ErrorCode}.
   * @param text What went wrong, for a person to read.
   * @param options `cause`: what led to this error; `details`: fields of its own.
   */
  constructor(code: number, text: string, options?: RpcErrorOptions) {
    super(text, options);
    this.code = code;
    this.details = options?.details ? ownFields(options.details) : NO_DETAILS;
  }

  /** Whether the operation certainly did not happen and never will. */
  get definite(): boolean {
    return isDefinite(this.code);
  }
}

/** The fields that are not those of every error reply. */
function ownFields(fields: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).filter(([key]) => !RESERVED.has(key)),
  );
}

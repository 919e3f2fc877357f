/** Maelstrom's services, as a node uses them. */
import { ErrorCode, RpcError } from "./errors.ts";
import type { AnyNode, RpcOptions } from "./node.ts";
import { retry, type RetryOptions } from "./retry.ts";

/** The key-value stores that Maelstrom has. */
export type KvService = "lin-kv" | "seq-kv" | "lww-kv";

/** What a value is kept under. */
export type Key = string | number;

/** Options of {@linkcode Kv.read}. */
export interface ReadOptions extends RpcOptions {
  /**
   * Whether it must be what is there now, which `seq-kv` says only who has
   * just changed something: see {@linkcode Kv}.
   *
   * @default {false}
   */
  sync?: boolean;
}

/**
 * One of Maelstrom's key-value stores. What fails does so with an
 * {@linkcode RpcError}: if that is `definite`, nothing has changed and never
 * will; if it is not, such as a timeout, it may have or may still. There are no
 * retries but in {@linkcode Kv.update}: wrap what you want repeated in `retry`.
 *
 * How much they promise:
 *
 * - `lin-kv` is linearizable: a read says what is there now.
 * - `seq-kv` is sequentially consistent: all clients see the same changes in the
 *   same order, but each may be behind, and **for ever**: a node that only reads
 *   may never be told the last value, however often it asks, and a
 *   compare-and-set that changes nothing may also take place in the past
 *   (Maelstrom's issues 47 and 39). Who changes something is up to date at that
 *   moment. `read(key, { sync: true })` therefore first writes something new
 *   under a key of the node's own, `sync <node id>`: one RPC more.
 * - `lww-kv` is eventually consistent, and pathological on purpose: each request
 *   goes to some replica, of two values the one written later by a logical
 *   clock stays, so that writes are lost and reads go back. Its
 *   compare-and-set promises nothing, and can't create keys.
 *
 * A value of `null` is as good as none. `docs/library.md` has a counter that many
 * may change at once, with a key for each node.
 *
 * @example A counter that is not much in demand: of those who `update` one key at once one wins, and the others try again
 * ```ts
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   const kv = node.kv<number>("seq-kv");
 *   node.on<{ delta: number }>("add", async ({ body }, limits) => {
 *     await kv.update("sum", (sum = 0) => sum + body.delta, limits);
 *     return {};
 *   });
 *   node.on("read", async (_, limits) => ({
 *     value: await kv.readOr("sum", 0, { ...limits, sync: true }),
 *   }));
 * });
 * for (const delta of [3, 4]) {
 *   await test.deliver({ src: "c1", body: { type: "add", msg_id: 1, delta } });
 * }
 * await test.deliver({ src: "c1", body: { type: "read", msg_id: 2 } });
 * assertEquals(test.sent().at(-1)?.body.value, 7);
 * ```
 *
 * @typeParam V The type of the values: any JSON.
 */
export class Kv<V = unknown> {
  readonly #node: AnyNode;
  readonly #service: string;

  /**
   * A store as a node sees it; `node.kv(service)` is shorter.
   *
   * @param node The node that asks.
   * @param service The store's id.
   */
  constructor(node: AnyNode, service: KvService) {
    this.#node = node;
    this.#service = service;
  }

  /**
   * What is kept under a key.
   *
   * @param key The key.
   * @param options Limits; whether it must be what is there now.
   * @throws {RpcError} There is no such key (code 20), or it can't be known.
   */
  async read(key: Key, options: ReadOptions = {}): Promise<V> {
    const { sync = false, ...limits } = options;
    if (sync) await this.#catchUp(limits);
    const { value } = await this.#ask<{ value: V }>(
      { type: "read", key },
      limits,
    );
    return value;
  }

  /**
   * What is kept under a key, or something else where there is no such key.
   *
   * @param key The key.
   * @param fallback What else.
   * @param options As those of {@linkcode Kv.read}.
   * @throws {RpcError} It can't be known.
   */
  async readOr<F>(
    key: Key,
    fallback: F,
    options?: ReadOptions,
  ): Promise<V | F> {
    try {
      return await this.read(key, options) ?? fallback;
    } catch (error) {
      if (isCode(error, ErrorCode.keyDoesNotExist)) return fallback;
      throw error;
    }
  }

  /**
   * Keeps a value under a key, whatever was there.
   *
   * @param key The key.
   * @param value The value.
   * @param options Limits.
   * @throws {RpcError} It was not written, if definite, or may have been.
   */
  async write(key: Key, value: V, options?: RpcOptions): Promise<void> {
    await this.#ask({ type: "write", key, value }, options);
  }

  /**
   * Replaces a value by another, if it is there.
   *
   * @param key The key.
   * @param from The value that must be there.
   * @param to The value to be there.
   * @param options Limits.
   * @throws {RpcError} There is another value (code 22) or none (20); or it was not written for another reason, or may have been.
   */
  async cas(key: Key, from: V, to: V, options?: RpcOptions): Promise<void> {
    await this.#ask({ type: "cas", key, from, to }, options);
  }

  /**
   * Keeps a value under a key if there is none.
   *
   * @param key The key.
   * @param value The value.
   * @param options Limits.
   * @returns Whether this value is there now; so it is idempotent, and of several who try with values of their own one is told yes.
   * @throws {RpcError} It was not written, if definite, or may have been; of code 20 from `lww-kv`, which can't.
   */
  async createIfNotExists(
    key: Key,
    value: V,
    options?: RpcOptions,
  ): Promise<boolean> {
    try {
      await this.#create(key, value, value, options);
      return true;
    } catch (error) {
      if (isCode(error, ErrorCode.preconditionFailed)) return false;
      throw error;
    }
  }

  /**
   * Reads a value, and replaces it by what a function makes of it, if it is
   * still there by then: else once more, as {@linkcode retry} does it. When it
   * resolves, the function has been applied exactly once to the value that
   * was there at that moment. When it fails with a definite error, it has not
   * been applied and won't be: the value could not be read, or others were
   * always faster (code 14). (`lww-kv` keeps none of this, and refuses to create
   * keys, with code 20.)
   *
   * When a replacement's reply does not come, a read does not tell whether it
   * took place: the value may be one that others have made since, or have made
   * equal. So it fails with an indefinite error then. Only if it is said to be
   * `idempotent`, as adding to a set is, it goes on, reads, and applies the
   * function to what is there; the lost replacement may still take place, too.
   *
   * @param key The key.
   * @param fn Makes a new value of the present one, or of `undefined` where there is none; may be called several times. If it returns an equal value, nothing is written. What it throws ends the update.
   * @param options Limits and retries.
   * @returns The new value.
   * @throws {RpcError} It was not changed, if definite, or may have been.
   */
  async update(
    key: Key,
    fn: (value: V | undefined) => V,
    options: RetryOptions = {},
  ): Promise<V> {
    let thrown: { error: unknown } | undefined;
    const { retryIf = (_, byDefault) => byDefault } = options;
    return await retry(this.#node, async (limits) => {
      const from = await this.readOr(key, undefined, limits).catch((error) => {
        throw isIndefinite(error) ? unchanged(error) : error;
      });
      let to;
      try {
        to = fn(structuredClone(from));
      } catch (error) {
        thrown = { error };
        throw error;
      }
      if (JSON.stringify(to) === JSON.stringify(from)) return to;
      try {
        if (from === undefined) await this.#create(key, null, to, limits);
        else await this.cas(key, from, to, limits);
      } catch (error) {
        const another = isCode(error, ErrorCode.preconditionFailed) ||
          isCode(error, ErrorCode.keyDoesNotExist) && from !== undefined;
        throw another ? unchanged(error) : error;
      }
      return to;
    }, {
      ...options,
      retryIf: (error, byDefault) =>
        thrown?.error !== error && retryIf(error, byDefault),
    });
  }

  /** Makes `seq-kv` tell this node the present: who has changed something knows all that was before. */
  async #catchUp(limits: RpcOptions): Promise<void> {
    if (this.#service === "lin-kv") return;
    if (this.#service === "lww-kv") {
      throw new RpcError(
        ErrorCode.notSupported,
        "lww-kv can't be read in sync: it knows no present",
      );
    }
    const value = [this.#node.now(), this.#node.random()]; // no one has written that before
    const key = `sync ${this.#node.nodeId}`;
    await this.#ask({ type: "write", key, value }, limits);
  }

  async #create(
    key: Key,
    from: V | null,
    to: V,
    limits?: RpcOptions,
  ): Promise<void> {
    const create_if_not_exists = true;
    await this.#ask(
      { type: "cas", key, from, to, create_if_not_exists },
      limits,
    );
  }

  #ask<R>(
    body: { type: string; key: Key; [field: string]: unknown },
    limits?: RpcOptions,
  ): Promise<R> {
    return this.#node.rpc<R & Record<string, unknown>>(
      this.#service,
      body,
      limits,
    );
  }
}

function isCode(error: unknown, code: number): error is RpcError {
  return error instanceof RpcError && error.code === code;
}

function isIndefinite(error: unknown): error is RpcError {
  return error instanceof RpcError && !error.definite;
}

/** The definite error of an attempt that had no effect, and may be repeated. */
function unchanged(cause: RpcError): RpcError {
  return new RpcError(
    ErrorCode.abort,
    `nothing was changed: ${cause.message}`,
    { cause },
  );
}

/** One request to several nodes. */
import { deferred } from "./deferred.ts";
import { checkDuration } from "./clock.ts";
import { ErrorCode, isDefinite, RpcError } from "./errors.ts";
import type { Body } from "./message.ts";
import type { AnyNode, AskingNode, RpcOptions, SendBody } from "./node.ts";
import type { ReplyOf, RequestBody, RequestType, Untyped } from "./protocol.ts";

/** A node's reply. */
export interface Answer<R = Body> {
  /** The node that it comes from. */
  from: string;
  /** Its body. */
  reply: R;
}

/** Options of {@linkcode rpcQuorum}: those of each RPC, and which replies count. */
export interface QuorumOptions<R = Body> extends RpcOptions {
  /**
   * Whether a reply counts; one that does not is as good as an error.
   *
   * @default every reply
   */
  isGood?: (answer: Answer<R>) => boolean;
}

/** Options of {@linkcode rpcHedged}: those of each RPC, and when to ask another node. */
export interface HedgeOptions<R = Body> extends QuorumOptions<R> {
  /**
   * After how long without a reply another node is asked, too, in ms, from 1 to
   * 24 days.
   *
   * @default {100}
   */
  hedgeMs?: number;
}

/**
 * Asks all the nodes; resolves with their replies, in the order of the nodes.
 * Fails as soon as one has failed; the other RPCs are cancelled.
 *
 * @example
 * ```ts
 * import { rpcAll } from "@gyre/node";
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   node.on("sum", async (_, limits) => {
 *     const others = node.nodeIds.filter((id) => id !== node.nodeId);
 *     const answers = await rpcAll<{ n: number }>(node, others, { type: "get" }, limits);
 *     return { sum: answers.reduce((sum, { reply }) => sum + reply.n, 0) };
 *   });
 * });
 * await test.deliver({ src: "c1", body: { type: "sum", msg_id: 1 } });
 * for (const { dest, body } of test.sent()) {
 *   await test.deliver({ src: dest, body: { type: "get_ok", in_reply_to: body.msg_id!, n: 4 } });
 * }
 * assertEquals(test.sent()[0]?.body.sum, 8);
 * ```
 *
 * @param node The node that asks.
 * @param dests Whom it asks.
 * @param body What it asks.
 * @param options Limits of each RPC.
 * @throws {RpcError} One has failed; see {@linkcode rpcQuorum}.
 */
export function rpcAll<R = Body>(
  node: AskingNode<Untyped>,
  dests: readonly string[],
  body: SendBody,
  options?: RpcOptions,
): Promise<Answer<R & Body>[]>;
/**
 * The same for a node with a protocol, which says what the request holds and
 * what the replies do.
 *
 * @param node The node that asks.
 * @param dests Whom it asks.
 * @param body What it asks.
 * @param options Limits of each RPC.
 * @throws {RpcError} One has failed; see {@linkcode rpcQuorum}.
 */
export function rpcAll<Asked, T extends RequestType<Asked>>(
  node: AskingNode<Asked>,
  dests: readonly string[],
  body: RequestBody<Asked, T>,
  options?: RpcOptions,
): Promise<Answer<ReplyOf<Asked, T>>[]>;
export async function rpcAll(
  node: AnyNode,
  dests: readonly string[],
  body: SendBody,
  options: RpcOptions = {},
): Promise<Answer[]> {
  const answers = await fanOut(node, dests, body, dests.length, options);
  return dests.map((dest) => answers.find(({ from }) => from === dest)!);
}

/**
 * Asks all the nodes; resolves with the first `n` good replies, in the order in
 * which they came. The other RPCs are cancelled, and leave the table at once.
 * Fails as soon as so many have failed that `n` can't be reached.
 *
 * The error's `cause` is an `AggregateError` of what failed. It is definite
 * only if each of the nodes has refused, for certain (with their code, or 14 if
 * they have several): while one of them has done, or may have done, what it was
 * asked for, nobody can say that nothing happened.
 *
 * @example A majority
 * ```ts
 * import { rpcQuorum } from "@gyre/node";
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   node.on("campaign", async (_, limits) => {
 *     const others = node.nodeIds.filter((id) => id !== node.nodeId);
 *     const votes = Math.floor(node.nodeIds.length / 2); // and this node's own
 *     await rpcQuorum(node, others, { type: "vote" }, votes, limits);
 *     return { elected: true };
 *   });
 * }, { nodeIds: ["n1", "n2", "n3"] });
 * await test.deliver({ src: "c1", body: { type: "campaign", msg_id: 1 } });
 * const [toN2, toN3] = test.sent();
 * assertEquals([toN2?.dest, toN3?.dest], ["n2", "n3"]);
 * await test.deliver({ src: "n3", body: { type: "vote_ok", in_reply_to: toN3!.body.msg_id! } });
 * assertEquals(test.sent()[0]?.body.elected, true);
 * assertEquals(test.node.pendingCount, 0);
 * ```
 *
 * @param node The node that asks.
 * @param dests Whom it asks.
 * @param body What it asks.
 * @param n How many good replies it takes, from 1 to as many as there are nodes.
 * @param options Limits of each RPC; which replies are good.
 * @throws {RangeError} `n` is out of range.
 * @throws {RpcError} There were not enough.
 */
export function rpcQuorum<R = Body>(
  node: AskingNode<Untyped>,
  dests: readonly string[],
  body: SendBody,
  n: number,
  options?: QuorumOptions<R & Body>,
): Promise<Answer<R & Body>[]>;
/**
 * The same for a node with a protocol, which says what the request holds and
 * what the replies do.
 *
 * @param node The node that asks.
 * @param dests Whom it asks.
 * @param body What it asks.
 * @param n How many good replies it takes, from 1 to as many as there are nodes.
 * @param options Limits of each RPC; which replies are good.
 * @throws {RangeError} `n` is out of range.
 * @throws {RpcError} There were not enough.
 */
export function rpcQuorum<Asked, T extends RequestType<Asked>>(
  node: AskingNode<Asked>,
  dests: readonly string[],
  body: RequestBody<Asked, T>,
  n: number,
  options?: QuorumOptions<ReplyOf<Asked, T>>,
): Promise<Answer<ReplyOf<Asked, T>>[]>;
export async function rpcQuorum(
  node: AnyNode,
  dests: readonly string[],
  body: SendBody,
  n: number,
  options: QuorumOptions = {},
): Promise<Answer[]> {
  if (!(Number.isInteger(n) && n >= 1 && n <= dests.length)) {
    throw new RangeError(
      `'n' must be a whole number from 1 to ${dests.length}, as many as there are nodes to ask: current value is ${n}`,
    );
  }
  return await fanOut(node, dests, body, n, options);
}

/**
 * Asks one node after the other: the next one as soon as one has failed, or
 * has not replied for `hedgeMs`. The first good reply is taken, and the other
 * RPCs are cancelled: what is asked should do no harm when several nodes do it.
 *
 * @example
 * ```ts
 * import { rpcHedged } from "@gyre/node";
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   node.on("get", async () => {
 *     const { from } = await rpcHedged(node, ["n2", "n3"], { type: "read" }, { hedgeMs: 50 });
 *     return { from };
 *   });
 * });
 * await test.deliver({ src: "c1", body: { type: "get", msg_id: 1 } });
 * await test.advance(50); // no reply from n2 yet
 * const [, second] = test.sent();
 * await test.deliver({ src: "n3", body: { type: "read_ok", in_reply_to: second!.body.msg_id! } });
 * assertEquals(test.sent()[0]?.body.from, "n3");
 * assertEquals(test.node.pendingCount, 0);
 * ```
 *
 * @param node The node that asks.
 * @param dests Whom it asks, in this order; at least one.
 * @param body What it asks.
 * @param options When to ask another; limits of each RPC; which replies are good.
 * @throws {RangeError} `hedgeMs` is out of range, or there is no one to ask.
 * @throws {RpcError} None gave a good reply; see {@linkcode rpcQuorum}.
 */
export function rpcHedged<R = Body>(
  node: AskingNode<Untyped>,
  dests: readonly string[],
  body: SendBody,
  options?: HedgeOptions<R & Body>,
): Promise<Answer<R & Body>>;
/**
 * The same for a node with a protocol, which says what the request holds and
 * what the reply does.
 *
 * @param node The node that asks.
 * @param dests Whom it asks, in this order; at least one.
 * @param body What it asks.
 * @param options When to ask another; limits of each RPC; which replies are good.
 * @throws {RangeError} `hedgeMs` is out of range, or there is no one to ask.
 * @throws {RpcError} None gave a good reply; see {@linkcode rpcQuorum}.
 */
export function rpcHedged<Asked, T extends RequestType<Asked>>(
  node: AskingNode<Asked>,
  dests: readonly string[],
  body: RequestBody<Asked, T>,
  options?: HedgeOptions<ReplyOf<Asked, T>>,
): Promise<Answer<ReplyOf<Asked, T>>>;
export async function rpcHedged(
  node: AnyNode,
  dests: readonly string[],
  body: SendBody,
  options: HedgeOptions = {},
): Promise<Answer> {
  const { hedgeMs = 100, ...others } = options;
  checkDuration(hedgeMs, "hedgeMs");
  if (dests.length === 0) {
    throw new RangeError("'dests' must name a node at least");
  }
  const [answer] = await fanOut(node, dests, body, 1, others, hedgeMs);
  return answer!;
}

/**
 * Asks nodes until `needed` have given a good reply, or can't any more: all at
 * once, or, with `hedgeMs`, one after the other.
 */
function fanOut(
  node: AnyNode,
  dests: readonly string[],
  body: SendBody,
  needed: number,
  options: QuorumOptions,
  hedgeMs?: number,
): Promise<Answer[]> {
  const { isGood = () => true, signal, ...limits } = options;
  const { promise, resolve, reject } = deferred<Answer[]>();
  const rest = new AbortController();
  const good: Answer[] = [];
  const failures: unknown[] = [];
  let asked = 0;
  let over = false;
  let cancelHedge = () => {};

  function end(): void {
    over = true;
    cancelHedge();
    signal?.removeEventListener("abort", abort);
    rest.abort();
  }
  function abort(): void {
    end();
    reject(
      new RpcError(ErrorCode.crash, "RPCs cancelled: aborted", {
        cause: signal!.reason,
      }),
    );
  }
  function failed(error: unknown): void {
    failures.push(error);
    if (dests.length - failures.length >= needed) {
      if (hedgeMs !== undefined) askNext();
      return;
    }
    const noneDid = good.length === 0 && failures.length === asked;
    end();
    reject(notEnough(needed, dests, failures, noneDid));
  }
  function replied(answer: Answer): void {
    let isGoodOne;
    try {
      isGoodOne = isGood(answer);
    } catch (error) {
      end();
      return reject(error);
    }
    if (!isGoodOne) return failed(new NotGood(answer.from));
    good.push(answer);
    if (good.length < needed) return;
    end();
    resolve(good);
  }
  function askNext(): void {
    if (over || asked === dests.length) return;
    const from = dests[asked++]!;
    cancelHedge();
    if (hedgeMs !== undefined) cancelHedge = node.after(hedgeMs, askNext);
    const options = { ...limits, signal: rest.signal };
    try {
      node.rpc(from, body, (error, reply) => {
        if (over) return;
        if (error) failed(error);
        else replied({ from, reply: reply! });
      }, options);
    } catch (error) {
      if (error instanceof RpcError) return failed(error);
      end(); // of what is wrong with the call
      reject(error);
    }
  }

  if (needed === 0) return Promise.resolve([]);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort);
  askNext();
  if (hedgeMs === undefined) dests.forEach(askNext);
  return promise;
}

/** A reply that does not count. */
class NotGood extends Error {
  override name = "NotGood";

  constructor(from: string) {
    super(`the reply of ${from} is not good`);
  }
}

/** @param noneDid Whether all who were asked have failed. */
function notEnough(
  needed: number,
  dests: readonly string[],
  failures: readonly unknown[],
  noneDid: boolean,
): RpcError {
  const codes = new Set(
    failures.map((error) => error instanceof RpcError ? error.code : NaN),
  );
  const [code] = codes;
  const definite = noneDid && [...codes].every(isDefinite);
  return new RpcError(
    !definite ? ErrorCode.timeout : codes.size === 1 ? code! : ErrorCode.abort,
    `${failures.length} of ${dests.length} nodes failed, and ${needed} must not: ${
      (failures[0] as Error).message
    }`,
    { cause: new AggregateError(failures) },
  );
}

/** A Maelstrom node: identity, handlers, sending, RPCs. */
import { AbortGroups } from "./abort_groups.ts";
import {
  checkDuration,
  type Clock,
  MAX_DELAY_MS,
  systemClock,
} from "./clock.ts";
import { deferred } from "./deferred.ts";
import { isOldEngine } from "./engine.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import { guard, isThenable } from "./guard.ts";
import {
  type Body,
  decode,
  dropNullIds,
  encode,
  InvalidMessageError,
  type Message,
  show,
} from "./message.ts";
import {
  MAX_PENDING,
  PendingRpcs,
  type PendingRpcsStats,
  type RpcCallback,
} from "./pending_rpcs.ts";
import type {
  BodyIds,
  HandledReply,
  HandledType,
  InitProtocol,
  IsUntyped,
  NoSurplus,
  ReplyOf,
  RequestBody,
  RequestType,
  TypedResult,
  Untyped,
  WithoutProtocol,
} from "./protocol.ts";
import { plural } from "./plural.ts";
import { Reaper, type ReapReport } from "./reaper.ts";
import { Kv, type KvService } from "./services.ts";
import { inSlices } from "./slices.ts";

/** The levels of log lines, the most important first. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;

/** How important a log line is. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What carries a node's messages. */
export interface Transport {
  /**
   * Sends one message.
   *
   * @param line The message's JSON, without a newline.
   */
  send(line: string): void;
  /**
   * Resolves once the input that can be read now without waiting has been
   * handed to the node; `undefined`, or absent, when there is none.
   *
   * @param lateMs By how much the caller's timer was late: the process may not have run, nor have read anything.
   */
  caughtUp?(lateMs: number): Promise<void> | undefined;
  /**
   * Where the node's log lines go if it was made without a `log` of its own.
   *
   * @param level How important the line is.
   * @param text The line.
   */
  log?(level: LogLevel, text: string): unknown;
}

/** Options of a {@linkcode Node}. */
export interface NodeOptions {
  /**
   * The time for deadlines and periodic work.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
  /**
   * How long an RPC waits for its reply, in ms, from 1 to 24 days, unless the call says otherwise.
   *
   * @default {2000}
   */
  rpcTimeoutMs?: number | undefined;
  /**
   * Look for expired callbacks at this interval, in ms, instead of at the earliest deadline.
   *
   * @default {undefined}
   */
  reapIntervalMs?: number | undefined;
  /**
   * For how long past its deadline, in ms, from 1 to 24 days, a callback waits
   * while there is input to be handled that may hold its reply.
   *
   * @default {2000}
   */
  inputGraceMs?: number | undefined;
  /**
   * How many RPCs may be pending at once, from 0 to 1,000,000,000; one more fails with error 11.
   *
   * @default {1_000_000}
   */
  maxPending?: number | undefined;
  /**
   * How many async handlers may run at once, from 1 to 1,000,000,000; while so
   * many do, a further request gets error 11.
   *
   * @default {100_000}
   */
  maxRunning?: number | undefined;
  /**
   * Where log lines go. That it throws, or rejects, is counted as a failure.
   *
   * @default where the transport's `log` says: to stderr when the node is run by `serve`, else nowhere
   */
  log?: ((level: LogLevel, text: string) => unknown) | undefined;
  /**
   * The first message's `msg_id`, from 0 to 2^52. Give a node that may be
   * restarted a random one: else replies to the process before settle RPCs of
   * the new one, as both count from 0.
   *
   * @default {0}
   */
  firstMsgId?: number | undefined;
  /**
   * Where random numbers come from, each from 0 to below 1. A simulation hands
   * in its seed's, a {@linkcode TestNode} the same ones each time.
   *
   * @default {Math.random}
   */
  random?: (() => number) | undefined;
  /**
   * Told of each reap that reaped something. What it throws, or rejects with,
   * is logged and counted.
   *
   * @default {nobody}
   */
  onReap?: ((report: ReapReport) => unknown) | undefined;
}

/** Options of one RPC. */
export interface RpcOptions {
  /**
   * How long to wait for the reply, in ms, from 1 to 24 days.
   *
   * @default the node's `rpcTimeoutMs`
   */
  timeoutMs?: number | undefined;
  /**
   * The moment on the node's clock ({@linkcode Node.now}) by which the reply
   * must be there, however long the timeout: one for all the RPCs of one
   * purpose. What is left of it travels along as `deadline_ms`, and bounds what
   * the other node asks for in turn. With less than 1 ms left nothing is sent,
   * and the RPC fails with a timeout (code 0).
   *
   * @default none
   */
  deadline?: number | undefined;
  /**
   * Cancels the RPC: its callback is invoked with an error whose `cause` is the
   * signal's reason. Many RPCs may share a signal: they are cancelled in slices
   * of 2 ms, the first of them at once.
   *
   * @default {undefined}
   */
  signal?: AbortSignal | undefined;
}

/** A body to send: its ids are filled in. */
// deno-lint-ignore no-explicit-any -- with `unknown` no type declared as an interface would fit
export type SendBody = { type: string; [key: string]: any };

/** The body of a reply: its ids are filled in, and so is its type, `<request type>_ok`, unless it has one. */
// deno-lint-ignore no-explicit-any -- as above
export type ReplyBody = { type?: string | undefined; [key: string]: any };

/**
 * What a handler returns: the reply's body, an object of its own fields, such
 * as `{}` to acknowledge, or nothing when there is no reply (yet): that is
 * logged once per type, at level `info` for a client's request and `debug` for
 * another node's message, as a `return` may be missing. An `Error` counts as thrown; anything
 * else, such as an array or a `Map`, becomes error 13.
 */
export type HandlerResult = ReplyBody | void;

/**
 * Handles the requests of one type. An {@linkcode RpcError} that it throws
 * becomes the reply; any other error one of code 13, and a line of the log.
 *
 * The limits are options for the RPCs that it sends for this request: their
 * `deadline` is the end of the `deadline_ms` that the request came with, if it
 * did. They are an argument, and handed on by hand, as what follows a request
 * through promises by itself (`AsyncLocalStorage`) is nowhere but on servers.
 */
export type Handler<B = Body> = (
  request: Message<B & Body>,
  limits: RpcOptions,
) => HandlerResult | PromiseLike<HandlerResult>;

/** Handles the requests of one type of a protocol: see {@linkcode Handler}. */
export type TypedHandler<P, T extends RequestType<P>> = (
  request: Message<RequestBody<P, T> & BodyIds>,
  limits: RpcOptions,
) => TypedResult<P, T> | PromiseLike<TypedResult<P, T>>;

/** A handler of a node with a protocol; of `init`, whether that is in it or not. */
export type HandlerOf<P, T> = T extends RequestType<P> ? TypedHandler<P, T>
  : TypedHandler<InitProtocol, "init">;

/** What {@linkcode Node.on} takes: of a node without a protocol a {@linkcode Handler}, else a handler `F` whose result has no surplus fields. */
export type CheckedHandler<P, T, B, F> = IsUntyped<P> extends true ? Handler<B>
  : F & NoSurplus<F, HandledReply<P, T>>;

/**
 * A node of any protocol, or of none.
 *
 * @example Handlers for whatever node
 * ```ts
 * import type { AnyNode } from "@gyre/node";
 *
 * function ping(node: AnyNode): void {
 *   node.on("ping", () => ({}));
 * }
 * ```
 */
// deno-lint-ignore no-explicit-any -- what is of any protocol is of each
export type AnyNode = Node<any, any>;

/**
 * A node that asks others by a protocol, or by none ({@linkcode Untyped}),
 * whatever it handles.
 *
 * @typeParam Asked The requests that it sends.
 */
// deno-lint-ignore no-explicit-any -- as above
export type AskingNode<Asked> = Node<any, Asked>;

/** What a request without `deadline_ms` is handled within. */
const NO_LIMITS: RpcOptions = Object.freeze({});

/** Counters of a node. */
export interface NodeStats extends PendingRpcsStats {
  /** Lines that were no valid message. */
  invalid_lines: number;
  /** Ms since the node was created. */
  uptime_ms: number;
  /** Messages received. */
  received: number;
  /** Messages sent. */
  sent: number;
  /** Async handlers that run now. */
  running: number;
  /** Handlers, callbacks and logs that threw, or rejected. */
  failures: number;
}

/** The highest limit on running handlers: more than there is memory for. */
const MAX_RUNNING = 1_000_000_000;
/** Leaves as many ids again to count on from there. */
const MAX_FIRST_MSG_ID = 2 ** 52;

/** What a reply needs of its request, as that came: its handler may change it. */
interface Origin {
  src: string;
  dest: string;
  type: string;
  msgId: number | undefined;
}

/**
 * A node. It knows nothing of stdin and stdout: it is handed lines
 * ({@linkcode Node.receive}) and hands lines to its {@linkcode Transport}.
 *
 * @example
 * ```ts
 * import { Node } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const sent: string[] = [];
 * const node = new Node();
 * node.connect({ send: (line) => sent.push(line) });
 * node.on<{ echo: string }>("echo", ({ body }) => ({ echo: body.echo }));
 *
 * node.receive('{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}');
 * node.receive('{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":2,"echo":"hi"}}');
 * assertEquals(JSON.parse(sent[1]!), {
 *   src: "n1",
 *   dest: "c1",
 *   body: { type: "echo_ok", echo: "hi", in_reply_to: 2, msg_id: 1 },
 * });
 * ```
 *
 * @example A node with a protocol: a misspelt field or type does not compile
 * ```ts
 * import { type KvProtocol, Node } from "@gyre/node";
 *
 * interface CounterProtocol {
 *   add: { request: { delta: number }; reply: { total: number } };
 * }
 * // It handles the one, and asks others by both.
 * const node = new Node<CounterProtocol, CounterProtocol & KvProtocol>();
 * node.on("add", async ({ body }) => {
 *   const { value } = await node.rpc("seq-kv", { type: "read", key: "total" });
 *   return { total: Number(value) + body.delta };
 * });
 * ```
 *
 * @typeParam Handled The requests that it handles, by type: see {@linkcode Exchange}. By default any.
 * @typeParam Asked The requests that it sends to others. By default those that it handles.
 */
export class Node<Handled = Untyped, Asked = Handled> {
  /** A random number from 0 to below 1, from where the options say. */
  readonly random: () => number;
  readonly #clock: Clock;
  readonly #rpcTimeoutMs: number;
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #pending: PendingRpcs;
  readonly #reaper: Reaper;
  readonly #startedAt: number;
  readonly #handlers: Map<string, Handler> = new Map();
  /** Requests that {@linkcode Node.reply} has answered. */
  readonly #answered: WeakSet<object> = new WeakSet();
  /** Of which handlers it has been said that they return nothing, and at which level. */
  readonly #unanswered: Set<string> = new Set();
  readonly #periodic: Set<{ start(): void; stop(): void }> = new Set();
  /** Cancel what {@linkcode Node.after} is to call. */
  readonly #delayed: Set<() => void> = new Set();
  /** Wake, with an error, those who {@linkcode Node.sleep}. */
  readonly #sleeping: Set<(reason: unknown) => void> = new Set();
  readonly #running: Set<Promise<void>> = new Set();
  readonly #maxRunning: number;
  #transport: Transport | undefined;
  #nodeId: string | undefined;
  #nodeIds: readonly string[] = [];
  /** What becomes of `init`, once it has come: its handler may be async, and may fail. */
  #initialized: Promise<ReplyBody> | boolean = false;
  readonly #aborts: AbortGroups;
  #nextMsgId: number;
  #closing: Promise<void> | undefined;
  #received = 0;
  #sent = 0;
  #invalidLines = 0;
  #failures = 0;

  /**
   * A node that has no identity yet: `init` gives it one.
   *
   * @param options Clock, timeouts, limits, log.
   * @throws {RangeError} An option is out of range.
   */
  constructor(options: NodeOptions = {}) {
    const {
      clock = systemClock,
      rpcTimeoutMs = 2000,
      reapIntervalMs,
      inputGraceMs = 2000,
      maxPending = 1_000_000,
      firstMsgId = 0,
      maxRunning = 100_000,
      random = Math.random,
      log = (level, text) => this.#transport?.log?.(level, text),
      onReap = () => {},
    } = options;
    checkDuration(rpcTimeoutMs, "rpcTimeoutMs");
    checkDuration(inputGraceMs, "inputGraceMs");
    if (reapIntervalMs !== undefined) {
      checkDuration(reapIntervalMs, "reapIntervalMs");
    }
    checkLimit(maxPending, "maxPending", 0, MAX_PENDING);
    checkLimit(maxRunning, "maxRunning", 1, MAX_RUNNING);
    checkLimit(firstMsgId, "firstMsgId", 0, MAX_FIRST_MSG_ID);
    this.#nextMsgId = firstMsgId;
    this.random = random;
    this.#clock = clock;
    this.#rpcTimeoutMs = rpcTimeoutMs;
    this.#maxRunning = maxRunning;
    this.#log = (level, text) =>
      guard(() => log(level, text), () => this.#failures++);
    this.#startedAt = clock.now();
    this.#pending = new PendingRpcs(
      maxPending,
      (error) => this.#failed("an RPC callback", error),
      () => this.tableMerged(),
    );
    this.#reaper = new Reaper({
      pending: this.#pending,
      clock,
      intervalMs: reapIntervalMs,
      graceMs: Math.ceil(inputGraceMs),
      caughtUp: (lateMs) => this.#transport?.caughtUp?.(lateMs),
      failed: (error) => this.#failed("the transport's caughtUp", error),
      report: (report) => {
        this.#log(
          "info",
          `reaped ${plural(report.count, "expired callback")}, the oldest ${
            Math.round(report.oldestAgeMs)
          } ms old; ${report.remaining} pending`,
        );
        this.#guard("onReap", () => onReap(report));
      },
    });
    this.#aborts = new AbortGroups((signal, ids) => {
      const reason = cancelled("RPC", "aborted", signal.reason);
      inSlices(clock, () => {
        const { done, value: msgId } = ids.next();
        if (done) return false;
        this.#pending.cancel(msgId, reason);
        this.#reaper.update();
        return true;
      });
    });
  }

  /** This node's id, such as "n1"; empty before `init`. */
  get nodeId(): string {
    return this.#nodeId ?? "";
  }

  /** The ids of all nodes of the cluster, this one's included; empty before `init`. */
  get nodeIds(): readonly string[] {
    return this.#nodeIds;
  }

  /** How many RPC callbacks wait for a reply. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Ms on the node's clock, which never goes back: what deadlines are measured by. */
  now(): number {
    return this.#clock.now();
  }

  /** How long an RPC waits for its reply, in ms, unless the call says otherwise. */
  get rpcTimeoutMs(): number {
    return this.#rpcTimeoutMs;
  }

  /** Two sparse parts of the table of pending RPCs have become one: for a class that watches its nodes, as the simulator's does. */
  protected tableMerged(): void {}

  /** Counters since the start. */
  stats(): NodeStats {
    return {
      ...this.#pending.stats(),
      invalid_lines: this.#invalidLines,
      uptime_ms: Math.round(this.#clock.now() - this.#startedAt),
      received: this.#received,
      sent: this.#sent,
      running: this.#running.size,
      failures: this.#failures,
    };
  }

  /**
   * Sets what carries the node's messages.
   *
   * @param transport Where sent messages go.
   */
  connect(transport: Transport): void {
    this.#transport = transport;
  }

  /**
   * Sets the handler of a type of request. One for `init` runs when the node
   * knows its identity, before `init_ok` is sent; when it fails, its error is
   * the reply, and the next `init` runs it again. Other requests are handled
   * from the moment that the identity is known, so that nodes whose `init`
   * handlers ask each other don't wait for each other.
   *
   * Of a node with a protocol, the handler is given what the request holds, and
   * returns the reply's fields, and no others; `init` is handled by each node,
   * be it in the protocol or not.
   *
   * @example What the request's sender has left bounds what is asked for it
   * ```ts
   * import { TestNode } from "@gyre/node/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const test = new TestNode((node) => {
   *   node.on("get", async (_, limits) => {
   *     const { value } = await node.rpc("n2", { type: "read" }, limits);
   *     return { value };
   *   });
   * });
   * await test.deliver({ src: "c1", body: { type: "get", msg_id: 1, deadline_ms: 300 } });
   * assertEquals(test.sent()[0]?.body.deadline_ms, 300);
   * await test.advance(300);
   * assertEquals(test.sent()[0]?.body.text, "no reply from n2 within 300 ms");
   * ```
   *
   * @param type The request's `type`.
   * @param handler Returns the reply's body, or nothing for no reply; may be async. Whatever it changes in the request, what it returns goes to where that came from.
   * @throws {Error} That type has a handler already.
   * @throws {TypeError} `type` is no string, or `handler` no function.
   * @typeParam B What the request's body holds, where no protocol says so.
   * @typeParam T The type, as it is handed in.
   * @typeParam F The handler, as it is handed in.
   */
  on<
    B = Body,
    T extends HandledType<Handled> = HandledType<Handled>,
    F extends HandlerOf<Handled, T> = HandlerOf<Handled, T>,
  >(type: T, handler: CheckedHandler<Handled, T, B, F>): void {
    if (typeof type !== "string") {
      throw new TypeError(
        `A handler's 'type' must be a string: current value is ${show(type)}`,
      );
    }
    if (typeof handler !== "function") {
      throw new TypeError(
        `The handler for '${type}' must be a function: current value is ${
          show(handler)
        }`,
      );
    }
    if (this.#handlers.has(type)) {
      throw new Error(`Cannot set a second handler for '${type}'`);
    }
    this.#handlers.set(type, handler as unknown as Handler);
  }

  /**
   * Sends a message that expects no reply.
   *
   * @param dest The node to send to.
   * @param body The payload; a `msg_id` is filled in.
   * @returns The message's `msg_id`.
   * @throws {Error} The node is not connected to a transport, or has no identity yet.
   * @throws {TypeError} `dest`, the body's `type` or its `in_reply_to` is none.
   * @throws {RangeError} The message is nested deeper than {@linkcode MAX_DEPTH}, or has more than {@linkcode MAX_PARTS}.
   */
  send(dest: string, body: WithoutProtocol<Asked, SendBody>): number;
  /**
   * The same for a node with a protocol: the message is one of its requests, to
   * which no reply is expected.
   *
   * @param dest The node to send to.
   * @param body The payload.
   * @returns The message's `msg_id`.
   */
  send<T extends RequestType<Asked>>(
    dest: string,
    body: RequestBody<Asked, T>,
  ): number;
  send(dest: string, body: SendBody): number {
    const msg_id = this.#nextMsgId++;
    const sent = copyOf(body) as SendBody & { msg_id: number };
    sent.msg_id = msg_id;
    dropNullIds(sent);
    this.#transmit(this.nodeId, dest, sent);
    return msg_id;
  }

  /**
   * Answers a request; one that has no `msg_id` can't be answered, and isn't.
   *
   * @param request The request, with the `src`, `type` and `msg_id` that it came with.
   * @param body The reply's payload: its type is `<request type>_ok` by default; `in_reply_to` and `msg_id` are filled in.
   * @throws {Error} The node is not connected to a transport.
   * @throws {TypeError} The body is no object of its own fields, such as an array or a `Map`, or its `type` is no string.
   * @throws {RangeError} The message is nested deeper than {@linkcode MAX_DEPTH}, or has more than {@linkcode MAX_PARTS}.
   */
  reply(request: Message<{ type: string } & BodyIds>, body: ReplyBody): void {
    this.#reply(originOf(request), body);
    this.#answered.add(request);
  }

  /**
   * Sends an RPC; resolves with its reply's body. Rejects with an
   * {@linkcode RpcError}: the reply's own, a timeout (code 0), a full table
   * (code 11), or a cancellation (code 13); or with what the other form throws.
   *
   * @param dest The node that must answer.
   * @param body The request; a `msg_id` is filled in.
   * @param options Timeout and signal.
   */
  rpc<R = Body>(
    dest: string,
    body: WithoutProtocol<Asked, SendBody>,
    options?: RpcOptions,
  ): Promise<R & Body>;
  /**
   * Sends an RPC; invokes the callback exactly once, with its reply's body or
   * an {@linkcode RpcError}. Costs no timer and no promise. A transport that
   * delivers at once may bring the reply before this returns.
   *
   * @param dest The node that must answer.
   * @param body The request; a `msg_id` is filled in.
   * @param callback Invoked with the outcome.
   * @param options Timeout and signal.
   * @returns The RPC's `msg_id`.
   * @throws {RangeError} `timeoutMs` or `deadline` is out of range, or the message nested deeper than {@linkcode MAX_DEPTH} or larger than {@linkcode MAX_PARTS}.
   * @throws {Error} The node is not connected to a transport, or has no identity yet.
   * @throws {TypeError} `dest` or the body's `type` is none, or the body has an `in_reply_to`: an RPC is no reply.
   * @throws {RpcError} No time is left (code 0), too many RPCs are pending (code 11), the destination's name is longer than 255 characters (12), or the node is closed or the signal aborted (13): nothing was sent.
   */
  rpc<R = Body>(
    dest: string,
    body: WithoutProtocol<Asked, SendBody>,
    callback: RpcCallback<R & Body>,
    options?: RpcOptions,
  ): number;
  /**
   * The same for a node with a protocol, which says what the request holds and
   * what the promise resolves with.
   *
   * @param dest The node that must answer.
   * @param body The request.
   * @param options Timeout and signal.
   */
  rpc<T extends RequestType<Asked>>(
    dest: string,
    body: RequestBody<Asked, T>,
    options?: RpcOptions,
  ): Promise<ReplyOf<Asked, T>>;
  /**
   * The same for a node with a protocol, which says what the request holds and
   * what the callback is given.
   *
   * @param dest The node that must answer.
   * @param body The request.
   * @param callback Invoked with the outcome.
   * @param options Timeout and signal.
   * @returns The RPC's `msg_id`.
   */
  rpc<T extends RequestType<Asked>>(
    dest: string,
    body: RequestBody<Asked, T>,
    callback: RpcCallback<ReplyOf<Asked, T>>,
    options?: RpcOptions,
  ): number;
  rpc(
    dest: string,
    body: SendBody,
    // deno-lint-ignore no-explicit-any -- whatever the overloads say
    third: RpcOptions | RpcCallback<any> = {},
    options: RpcOptions = {},
    // deno-lint-ignore no-explicit-any -- as above
  ): any {
    if (typeof third === "function") {
      return this.#rpc(dest, body, options, third);
    }
    return new Promise((resolve, reject) =>
      this.#rpc(
        dest,
        body,
        third,
        (error, reply) => error ? reject(own(error)) : resolve(reply!),
      )
    );
  }

  /**
   * One of Maelstrom's key-value stores.
   *
   * @param service Which one; {@linkcode Kv} says what each promises.
   * @typeParam V The type of the values.
   */
  kv<V = unknown>(service: KvService): Kv<V> {
    return new Kv<V>(this as AnyNode, service);
  }

  /**
   * A timestamp of Maelstrom's service `lin-tso`: a whole number greater than
   * all that were handed out before this was asked for, by anyone.
   *
   * @param options Timeout, deadline and signal.
   */
  async tso(options?: RpcOptions): Promise<number> {
    const body = { type: "ts" };
    const { ts } = await (this as AnyNode)
      .rpc<{ ts: number }>("lin-tso", body, options);
    return ts;
  }

  /**
   * Calls a function at a fixed interval, from `init` until the node closes.
   * What it throws is logged.
   *
   * @param ms The interval in ms, from 1 to 24 days.
   * @param fn What to call; may be async, and is not waited for.
   * @returns Stops it.
   * @throws {RangeError} `ms` is out of range.
   */
  every(ms: number, fn: () => unknown): () => void {
    checkDuration(ms, "ms");
    let cancel: (() => void) | undefined;
    const tick = () => {
      cancel = this.#clock.setTimer(tick, Math.ceil(ms));
      this.#guard("periodic work", fn);
    };
    const work = {
      start: () => {
        cancel ??= this.#clock.setTimer(tick, Math.ceil(ms));
      },
      stop: () => {
        cancel?.();
        this.#periodic.delete(work);
      },
    };
    if (this.#closing) return work.stop;
    this.#periodic.add(work);
    if (this.#nodeId !== undefined) work.start();
    return work.stop;
  }

  /**
   * Calls a function once, unless the node closes before. What it throws is
   * logged.
   *
   * @param ms In how many ms from now, from 1 to 24 days.
   * @param fn What to call; may be async, and is not waited for.
   * @returns Cancels it; does nothing once it has been called.
   * @throws {RangeError} `ms` is out of range.
   */
  after(ms: number, fn: () => unknown): () => void {
    checkDuration(ms, "ms");
    if (this.#closing) return () => {};
    const cancelTimer = this.#clock.setTimer(() => {
      this.#delayed.delete(cancel);
      this.#guard("delayed work", fn);
    }, Math.ceil(ms));
    const cancel = () => {
      cancelTimer();
      this.#delayed.delete(cancel);
    };
    this.#delayed.add(cancel);
    return cancel;
  }

  /**
   * Resolves after a while. Rejects with the signal's reason when that is
   * aborted, and with an {@linkcode RpcError} of code 13 when the node closes.
   *
   * @param ms For how many ms, from 1 to 24 days.
   * @param options `signal`: ends it early.
   * @throws {RangeError} `ms` is out of range.
   */
  async sleep(
    ms: number,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    checkDuration(ms, "ms");
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#closing) throw shuttingDown("sleep");
    const { promise, resolve, reject } = deferred<void>();
    const cancel = this.after(ms, () => {
      resolve();
      return promise; // delayed work that goes on
    });
    const abort = () => reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    this.#sleeping.add(reject);
    try {
      await promise;
    } finally {
      cancel();
      signal?.removeEventListener("abort", abort);
      this.#sleeping.delete(reject);
    }
  }

  /**
   * Takes in one line. Never throws: what is wrong with it is answered, or
   * logged and counted.
   *
   * @param line One message's JSON; an empty line is passed over.
   */
  receive(line: string): void {
    if (line === "") return;
    let message;
    try {
      message = decode(line);
    } catch (error) {
      this.reject(line, error as InvalidMessageError);
      return;
    }
    this.#received++;
    const { body } = message;
    if (body.in_reply_to !== undefined) {
      const outcome = this.#pending.settle(message);
      if (outcome === "replied") this.#reaper.update();
      else {
        this.#log(
          "debug",
          `${outcome} reply to ${body.in_reply_to} from ${message.src}`,
        );
      }
    } else this.#handle(message);
  }

  /**
   * Counts and logs input that is no message, and tells its sender if it can.
   *
   * @param line The input, or the start of it.
   * @param error What is wrong with it.
   */
  reject(line: string, error: Error): void {
    this.#invalidLines++;
    const start = JSON.stringify(line.slice(0, 100));
    this.#log("warn", `invalid line: ${error.message}: ${start}`);
    if (error instanceof InvalidMessageError && error.replyTo) {
      const { src, dest, msgId } = error.replyTo;
      // Neither side has said who this node is: a message from no one would be no message.
      if (this.#nodeId === undefined && dest === "") return;
      this.#replyError(
        { src, dest, type: "", msgId },
        new RpcError(ErrorCode.malformedRequest, error.message),
      );
    }
  }

  /**
   * Stops periodic and delayed work, wakes who sleeps and cancels every pending
   * RPC, both with an error, the RPCs in slices of 2 ms, and waits for the handlers that are running. A second call waits for
   * what the first one does.
   *
   * @param graceMs How long to wait for handlers, in ms from now, from 0 to 24 days, or `Infinity`.
   * @throws {RangeError} `graceMs` is out of range; the node goes on.
   */
  async close(graceMs = 1000): Promise<void> {
    if (!(graceMs >= 0 && (graceMs <= MAX_DELAY_MS || graceMs === Infinity))) {
      throw new RangeError(
        `'graceMs' must be from 0 to ${MAX_DELAY_MS} ms (24 days), or Infinity: current value is ${graceMs}`,
      );
    }
    if (this.#closing === undefined) {
      const { promise, resolve } = deferred<void>();
      this.#closing = promise; // before callbacks are invoked: they send no more
      resolve(this.#close(graceMs));
    }
    await this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    for (const work of this.#periodic) work.stop();
    for (const cancel of this.#delayed) cancel();
    for (const wake of this.#sleeping) wake(shuttingDown("sleep"));
    this.#reaper.stop();
    const grace = deferred<void>();
    const cancelTimer = graceMs === Infinity
      ? () => {}
      : this.#clock.setTimer(grace.resolve, Math.ceil(graceMs));
    const reason = shuttingDown("RPC");
    await new Promise<void>((done) =>
      inSlices(this.#clock, () => this.#pending.cancelFirst(reason), done)
    );
    await Promise.race([Promise.all(this.#running), grace.promise]);
    cancelTimer();
    const count = this.#running.size;
    if (count > 0) {
      this.#log(
        "warn",
        `${count} handler${
          count === 1 ? " was" : "s were"
        } still running after ${graceMs} ms`,
      );
    }
  }

  /** Sends a body that has got the last `msg_id`, which is given back if it can't be sent. */
  #transmit(
    src: string,
    dest: string,
    body: SendBody & { msg_id: number },
  ): void {
    try {
      if (this.#transport === undefined) {
        throw new Error("Cannot send as the node is not connected");
      }
      if (src === "") {
        throw new Error("Cannot send as the node has not been initialized");
      }
      this.#transport.send(encode({ src, dest, body }));
      this.#sent++;
    } catch (error) {
      if (this.#nextMsgId === body.msg_id + 1) this.#nextMsgId = body.msg_id;
      throw error;
    }
  }

  #rpc(
    dest: string,
    body: SendBody,
    { timeoutMs = this.#rpcTimeoutMs, deadline = Infinity, signal }: RpcOptions,
    callback: RpcCallback,
  ): number {
    checkDuration(timeoutMs, "timeoutMs");
    checkNoReply(body);
    const now = this.#clock.now();
    if (deadline !== Infinity) {
      timeoutMs = Math.min(timeoutMs, timeLeft(deadline, now));
      if (timeoutMs < 1) {
        throw new RpcError(ErrorCode.timeout, `no time is left to ask ${dest}`);
      }
      body = { ...body, deadline_ms: Math.floor(timeoutMs) };
    }
    if (this.#closing) throw shuttingDown("RPC");
    if (signal?.aborted) throw cancelled("RPC", "aborted", signal.reason);
    const msgId = this.#nextMsgId;
    this.#pending.register(
      msgId,
      dest,
      now,
      timeoutMs,
      signal
        ? (error, reply) => {
          this.#aborts.leave(signal, msgId);
          return callback(error, reply);
        }
        : callback,
    );
    if (signal) this.#aborts.join(signal, msgId);
    try {
      (this as AnyNode).send(dest, body);
    } catch (error) {
      if (this.#pending.withdraw(msgId)) {
        if (signal) this.#aborts.leave(signal, msgId);
        throw error;
      }
      this.#failed("the transport", error); // but the RPC has ended already
    }
    this.#reaper.update();
    return msgId;
  }

  #handle(message: Message): void {
    const { type } = message.body;
    if (type === "init") return this.#init(message);
    if (this.#nodeId === undefined) {
      return this.#replyError(
        originOf(message),
        new RpcError(
          ErrorCode.temporarilyUnavailable,
          `${message.dest} has not been initialized yet`,
        ),
      );
    }
    const handler = this.#handlers.get(type);
    if (handler === undefined) {
      return this.#replyError(
        originOf(message),
        new RpcError(
          ErrorCode.notSupported,
          `message type ${show(type)} is not supported`,
        ),
      );
    }
    const { deadline_ms } = message.body;
    if (deadline_ms === undefined || deadline_ms === null) {
      return this.#run(message, handler);
    }
    if (!(typeof deadline_ms === "number" && deadline_ms >= 0)) {
      return this.#replyError(
        originOf(message),
        new RpcError(
          ErrorCode.malformedRequest,
          "'deadline_ms' is not a number from 0",
        ),
      );
    }
    const deadline = this.#clock.now() + deadline_ms;
    this.#run(message, handler, { deadline });
  }

  #run(request: Message, handler: Handler, limits = NO_LIMITS): void {
    const origin = originOf(request);
    if (this.#running.size >= this.#maxRunning) {
      return this.#replyError(
        origin,
        new RpcError(
          ErrorCode.temporarilyUnavailable,
          `${this.#running.size} handlers are running: the limit 'maxRunning' is reached`,
        ),
      );
    }
    try {
      const result = handler(request, limits);
      if (!isThenable(result)) return this.#answer(request, origin, result);
      const run: Promise<void> = Promise.resolve(result).then(
        (result) => {
          this.#running.delete(run);
          this.#answer(request, origin, result);
        },
        (error) => {
          this.#running.delete(run);
          this.#handlerFailed(origin, error);
        },
      );
      this.#running.add(run);
    } catch (error) {
      this.#handlerFailed(origin, error);
    }
  }

  /** Answers with what a handler has returned. */
  #answer(request: Message, origin: Origin, result: HandlerResult): void {
    if (result instanceof Error) return this.#handlerFailed(origin, result);
    if (result === undefined) return this.#noteUnanswered(request, origin);
    try {
      this.#reply(origin, result as ReplyBody);
    } catch (error) {
      // The handler has done its work: whatever error this is, it is no definite one.
      const crash = this.#crashed("the reply to", origin.type, error);
      this.#replyError(origin, crash);
    }
  }

  /**
   * Says, once per type, that a request gets no reply: its handler may lack a
   * `return`. Other nodes' may be messages that expect none.
   */
  #noteUnanswered(request: Message, { src, type, msgId }: Origin): void {
    if (msgId === undefined || this.#answered.has(request)) return;
    const level = this.#nodeIds.includes(src) ? "debug" : "info";
    const key = `${level} ${type}`;
    if (this.#unanswered.has(key)) return;
    this.#unanswered.add(key);
    this.#log(
      level,
      `the handler of ${
        JSON.stringify(type)
      } returned nothing: ${src}'s request ${msgId} gets no reply unless node.reply gives one later; return {} to acknowledge (this is said once per type)`,
    );
  }

  #reply({ src, dest, type, msgId }: Origin, body: ReplyBody): void {
    checkReplyBody(body);
    if (msgId === undefined) return;
    const reply = copyOf(body) as SendBody & Required<BodyIds>;
    reply.type = body.type ?? `${type}_ok`;
    reply.in_reply_to = msgId;
    reply.msg_id = this.#nextMsgId++;
    this.#transmit(this.#nodeId ?? dest, src, reply);
  }

  #init(message: Message): void {
    const { node_id, node_ids } = message.body;
    let problem;
    if (typeof node_id !== "string" || node_id === "") {
      problem = "'node_id' is not a non-empty string";
    } else if (
      !Array.isArray(node_ids) ||
      !node_ids.every((id) => typeof id === "string")
    ) {
      problem = "'node_ids' is not an array of strings";
    } else if (this.#nodeId !== undefined && this.#nodeId !== node_id) {
      problem = `'node_id' is ${
        show(node_id)
      }, but this node has already been initialized as "${this.#nodeId}"`;
    } else if (
      this.#nodeId !== undefined &&
      JSON.stringify(this.#nodeIds) !== JSON.stringify(node_ids)
    ) {
      problem =
        `'node_ids' differs: this node has already been initialized as one of ${
          JSON.stringify(this.#nodeIds)
        }`;
    }
    if (problem !== undefined) {
      return this.#replyError(
        originOf(message),
        new RpcError(ErrorCode.malformedRequest, `init: ${problem}`),
      );
    }
    if (this.#nodeId === undefined) {
      this.#nodeId = node_id as string;
      this.#nodeIds = Object.freeze([...node_ids as string[]]);
      this.#log("info", `initialized as ${node_id} of ${node_ids}`);
      for (const work of this.#periodic) work.start();
    }
    this.#run(message, (request, limits) => this.#initialize(request, limits));
  }

  /**
   * Runs the handler of `init`, once at a time and until it has succeeded;
   * returns the body of `init_ok`. An `init` that comes meanwhile shares the outcome.
   */
  #initialize(
    request: Message,
    limits: RpcOptions,
  ): ReplyBody | Promise<ReplyBody> {
    if (typeof this.#initialized === "object") return this.#initialized;
    const confirm = (result: HandlerResult) => {
      if (result instanceof Error) throw result;
      this.#initialized = true;
      return {};
    };
    if (this.#initialized) return confirm();
    const result = this.#handlers.get("init")?.(request, limits);
    if (!isThenable(result)) return confirm(result);
    return this.#initialized = Promise.resolve(result).then(confirm)
      .catch((error) => {
        this.#initialized = false;
        throw this.#toRpcError("init", error); // counted once, whoever waits for it
      });
  }

  /** Tells the client what a handler threw. */
  #handlerFailed(origin: Origin, error: unknown): void {
    this.#replyError(origin, this.#toRpcError(origin.type, error));
  }

  /** What a handler threw, as its client gets it; what is no {@linkcode RpcError} is a failure. */
  #toRpcError(type: string, error: unknown): RpcError {
    return error instanceof RpcError
      ? error
      : this.#crashed("the handler of", type, error);
  }

  #crashed(what: string, type: string, error: unknown): RpcError {
    this.#failed(`${what} ${JSON.stringify(type)}`, error);
    return new RpcError(ErrorCode.crash, describe(error));
  }

  #replyError(origin: Origin, error: RpcError): void {
    const { code, message: text, details } = error;
    try {
      this.#reply(origin, { ...details, type: "error", code, text });
    } catch (failure) {
      this.#failed("a reply", failure);
      if (Object.keys(details).length === 0) return;
      // It may be they that can't be written.
      this.#replyError(origin, new RpcError(code, text));
    }
  }

  /** Runs what must not harm its caller. */
  #guard(what: string, fn: () => unknown): void {
    guard(fn, (error) => this.#failed(what, error));
  }

  #failed(what: string, error: unknown): void {
    this.#failures++;
    this.#log("error", `${what} failed: ${describe(error)}`);
    const stack = stackOf(error);
    if (stack) this.#log("debug", stack);
  }
}

function checkLimit(value: number, name: string, min: number, max: number) {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `'${name}' must be an integer from ${min} to ${max}: current value is ${value}`,
    );
  }
}

/** Refuses the body of a request that would be taken for a reply. */
function checkNoReply({ in_reply_to }: SendBody): void {
  if (in_reply_to !== undefined && in_reply_to !== null) {
    throw new TypeError(
      `Cannot send an RPC with an 'in_reply_to', as it is no reply: current value is ${
        show(in_reply_to)
      }`,
    );
  }
}

/** Refuses what has its contents elsewhere than in fields of its own, such as an array, a `Map` or a `Date`. */
function checkReplyBody(body: unknown): void {
  const kind = Object.prototype.toString.call(body);
  if (kind === "[object Object]") return;
  const shown = typeof body === "object" ? kind : show(body);
  throw new TypeError(
    `Cannot reply with ${shown}: a reply's body is an object with fields, such as { value: 1 }`,
  );
}

/**
 * A copy to add fields to: by spreading, but in V8 before 11.7, such as that of
 * Node.js 20, where each field that is added to such a copy takes 1 µs.
 */
const copyOf: <B extends object>(body: B) => B = isOldEngine
  ? (body) =>
    Object.hasOwn(body, "__proto__")
      ? { ...body } // `assign` would not make a field of it
      : Object.assign({}, body)
  : (body) => ({ ...body });

function originOf(
  { src, dest, body: { type, msg_id } }: Message<{ type: string } & BodyIds>,
): Origin {
  return { src, dest, type, msgId: msg_id ?? undefined };
}

/** The error of RPCs that are cancelled together, who share it. */
function cancelled(what: string, text: string, cause?: unknown): RpcError {
  return Object.freeze(
    new RpcError(ErrorCode.crash, `${what} cancelled: ${text}`, { cause }),
  );
}

/** Ms until a deadline. */
function timeLeft(deadline: number, now: number): number {
  if (Number.isNaN(deadline)) {
    throw new RangeError(
      "'deadline' must be a moment on the node's clock: current value is NaN",
    );
  }
  return deadline - now;
}

function shuttingDown(what: string): RpcError {
  return cancelled(what, "the node is shutting down");
}

/** An error of one's own for whoever awaits a promise: one that callbacks share is frozen. */
function own(error: RpcError): RpcError {
  return Object.isFrozen(error)
    ? new RpcError(error.code, error.message, error) // with its cause
    : error;
}

/** An error in a line of text; it may have been made so that reading it throws. */
function describe(error: unknown): string {
  try {
    return String(error);
  } catch { // such as an object without a prototype
    return "an error that can't be shown";
  }
}

function stackOf(error: unknown): string | undefined {
  try {
    return error instanceof Error ? error.stack : undefined;
  } catch {
    return undefined;
  }
}

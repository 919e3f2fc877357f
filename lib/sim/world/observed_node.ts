/** A node that tells what it is doing. */
import { ErrorCode, RpcError } from "../../errors.ts";
import type { Body, Message } from "../../message.ts";
import type {
  Handler,
  HandlerResult,
  Node,
  NodeOptions,
  ReplyBody,
  RpcOptions,
  SendBody,
} from "../../node.ts";
import type { RpcCallback } from "../../pending_rpcs.ts";
import type { BodyIds } from "../../protocol.ts";
import { watching } from "./listeners.ts";

/** Told what an observed node is doing. */
export interface NodeObserver {
  /** The `msg_id` of the message that the node sent last; another one once it has sent another. */
  lastId(): number;
  /**
   * An RPC was sent and registered.
   *
   * @param id Its message id.
   * @param dest Where it went.
   * @param options Its options.
   * @param mayThrow Whether its callback can be made to throw.
   * @returns Told how it ended; what it returns says whether the callback is to throw.
   */
  registered(
    id: number,
    dest: string,
    options: RpcOptions,
    mayThrow: boolean,
  ): (error: RpcError | undefined, reply: Body | undefined) => boolean;
  /**
   * An RPC was refused.
   *
   * @param error Why.
   */
  refused(error: unknown): void;
  /** Something of the node's goes on after what is running now. */
  goesOn(): void;
  /**
   * Something of the node's has returned: if a promise, it goes on, and must end.
   *
   * @param result What it returned.
   * @param what Says what it is.
   * @param settled Handed what a promise resolves with, or else the result.
   */
  returned(
    result: unknown,
    what: () => string,
    settled?: (value: unknown) => void,
  ): void;
  /**
   * A handler has returned nothing, or the node has replied otherwise than by a handler's result.
   *
   * @param request What it was asked.
   * @param replies Whether it has replied.
   */
  handled(request: HandledRequest, replies: boolean): void;
  /**
   * Periodic work was begun or ended.
   *
   * @param change 1 or -1.
   */
  periodic(change: number): void;
  /**
   * Delayed work was begun or ended.
   *
   * @param change 1 or -1.
   */
  delayed(change: number): void;
  /** Delayed work is due; returns whether it is to run. */
  elapses(): boolean;
  /** Periodic work is due; returns whether it is to run. */
  ticks(): boolean;
  /** The node is closing. */
  closing(): void;
  /** Two parts of the node's table of pending RPCs have become one. */
  merged(): void;
}

/** A request that a node has handled. */
export interface HandledRequest {
  /** Who asked. */
  src: string;
  /** What for. */
  type: string;
  /** The request's `msg_id`. */
  msgId: number | undefined;
}

/**
 * Why there is no reply to a request whose handler has returned.
 *
 * @param request The request.
 */
export function silenceOf({ type }: HandledRequest): string {
  return `its handler of ${JSON.stringify(type)} returned nothing`;
}

/** Thrown by callbacks on behalf of the fault "throw". */
class PlannedError extends Error {
  override name = "PlannedError";
}

/**
 * A class of nodes that tell an observer what they are doing, and otherwise
 * behave as those of the class below.
 *
 * @param Base The class of the nodes to observe.
 */
export function observed(
  Base: typeof Node,
): new (options: NodeOptions, observer: NodeObserver) => Node {
  return class ObservedNode extends Base {
    readonly #observer: NodeObserver;

    constructor(options: NodeOptions, observer: NodeObserver) {
      super(options);
      this.#observer = observer;
    }

    override on<B = Body>(type: string, handler: Handler<B>): void {
      super.on<B>(type, (request: Message<B & Body>, limits) => {
        const asked = handled(request); // before the handler may change it
        const result = handler(request, limits);
        this.#observer.returned(
          result,
          () =>
            `the handler of ${
              JSON.stringify(type)
            }, asked by ${asked.src} in its message ${asked.msgId}`,
          (value) => {
            if (value === undefined) this.#observer.handled(asked, false);
          },
        );
        return result as HandlerResult;
      });
    }

    override reply(
      request: Message<{ type: string } & BodyIds>,
      body: ReplyBody,
    ): void {
      super.reply(request, body);
      this.#observer.handled(handled(request), true);
    }

    override every(ms: number, fn: () => unknown): () => void {
      const stop = super.every(ms, () => {
        if (!this.#observer.ticks()) return;
        const result = fn();
        this.#observer.returned(result, () => `what runs every ${ms} ms`);
        return result;
      });
      this.#observer.periodic(1);
      let stopped = false;
      return () => {
        stop();
        if (!stopped) this.#observer.periodic(-1);
        stopped = true;
      };
    }

    override after(ms: number, fn: () => unknown): () => void {
      const cancel = super.after(ms, () => {
        end();
        if (!this.#observer.elapses()) return;
        const result = fn();
        this.#observer.returned(result, () => `what was to run after ${ms} ms`);
        return result;
      });
      this.#observer.delayed(1);
      let ended = false;
      const end = () => {
        if (!ended) this.#observer.delayed(-1);
        ended = true;
      };
      return () => {
        cancel();
        end();
      };
    }

    protected override tableMerged(): void {
      this.#observer.merged();
    }

    override close(graceMs?: number): Promise<void> {
      this.#observer.closing();
      this.#observer.goesOn();
      return super.close(graceMs);
    }

    override rpc<R = Body>(
      dest: string,
      body: SendBody,
      options?: RpcOptions,
    ): Promise<R & Body>;
    override rpc<R = Body>(
      dest: string,
      body: SendBody,
      callback: RpcCallback<R & Body>,
      options?: RpcOptions,
    ): number;
    override rpc<R = Body>(
      dest: string,
      body: SendBody,
      third: RpcOptions | RpcCallback<R & Body> = {},
      options: RpcOptions = {},
    ): Promise<R & Body> | number {
      return typeof third === "function"
        ? this.#calledBack(dest, body, third as RpcCallback, options)
        : this.#promised<R>(dest, body, third);
    }

    #promised<R>(
      dest: string,
      body: SendBody,
      options: RpcOptions,
    ): Promise<R & Body> {
      const observer = this.#observer;
      const before = observer.lastId();
      const promise = watching(
        options.signal,
        () => super.rpc<R>(dest, body, options),
      );
      observer.goesOn();
      if (observer.lastId() === before) return promise; // refused: it is rejected
      const ended = observer.registered(
        observer.lastId(),
        dest,
        options,
        false,
      );
      return promise.then((reply) => {
        observer.goesOn();
        ended(undefined, reply);
        return reply;
      }, (error) => {
        observer.goesOn();
        ended(error, undefined);
        throw error;
      });
    }

    #calledBack(
      dest: string,
      body: SendBody,
      callback: RpcCallback,
      options: RpcOptions,
    ): number {
      const observer = this.#observer;
      // Registered below: no callback is invoked before `rpc` has returned.
      let ended = (_?: RpcError, __?: Body): boolean => false;
      let id;
      try {
        const told: RpcCallback = (error, reply) => {
          const throws = ended(error, reply);
          const result = callback(error, reply);
          observer.returned(result, () => `the callback of an RPC to ${dest}`);
          if (throws) throw new PlannedError("a callback throws, as planned");
          return result;
        };
        id = watching(
          options.signal,
          () => super.rpc(dest, body, told, options),
        );
      } catch (error) {
        observer.refused(error);
        throw error;
      }
      ended = observer.registered(id, dest, options, true);
      return id;
    }
  };
}

function handled(
  { src, body: { type, msg_id } }: Message<{ type: string } & BodyIds>,
): HandledRequest {
  return { src, type, msgId: msg_id ?? undefined };
}

/**
 * Whether an error says that too many RPCs are pending.
 *
 * @param error What was thrown.
 */
export function saysFull(error: unknown): boolean {
  return error instanceof RpcError &&
    error.code === ErrorCode.temporarilyUnavailable;
}

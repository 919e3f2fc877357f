/** Protocols as types: which requests there are, what they hold, and what is replied. */
import type { Body } from "./message.ts";

/**
 * A type of request: the fields of its body, and those of its reply's, besides
 * `type`, `msg_id` and `in_reply_to`. A reply of `void` is none.
 */
export interface Exchange {
  /** The request's fields. */
  request: object;
  /** The reply's fields; `void` when no reply is given. */
  reply: object | void;
}

/** The protocol of a node that has been given none: any type of request, any fields. */
export interface Untyped {
  /** Only told apart by this: it exists in no value. */
  readonly "~untyped": never;
}

/** The types of the requests of a protocol. */
export type RequestType<P> = keyof P & string;

/** A body's ids. */
export interface BodyIds {
  /** The sender's number for this message. */
  msg_id?: number;
  /** Of a reply: the `msg_id` of the request that it answers. */
  in_reply_to?: number;
}

/** The body of a protocol's request of a type, its ids left out; none where there is no protocol. */
export type RequestBody<P, T> = IsUntyped<P> extends true ? never
  : T extends keyof P
    ? P[T] extends { request: infer Fields } ? { type: T } & Fields : never
  : never;

/** The fields of a protocol's reply to a request of a type. */
export type ReplyFields<P, T extends keyof P> = P[T] extends
  { reply: infer Fields } ? Fields : never;

/** What a handler of a protocol's requests of a type returns: the reply's fields, and, where it is not `<type>_ok`, its type. */
export type TypedResult<P, T extends keyof P> = ReplyFields<P, T> extends
  infer Fields
  ? Fields extends void ? void : Fields & { type?: string | undefined }
  : never;

/** The fields of `init`, which every node is sent first, and those of its reply, which has none. */
export interface InitProtocol {
  /** Tells a node who it is. */
  init: {
    request: { node_id: string; node_ids: string[] };
    reply: Record<never, never> | void;
  };
}

/** Whether a node with that protocol has none, or any. */
export type IsUntyped<P> = 0 extends 1 & P ? true
  : P extends Untyped ? true
  : false;

/** The types of the requests that a node with that protocol handles: of none, any; else `init`, too. */
export type HandledType<P> = IsUntyped<P> extends true ? string
  : RequestType<P> | "init";

/** The fields that a node with that protocol replies with. */
export type HandledReply<P, T> = T extends keyof P ? ReplyFields<P, T>
  : InitProtocol["init"]["reply"];

/** The fields of a handler's result that the reply does not have; of a result that may have any field, none. */
export type Surplus<R, Fields> = R extends Error | void ? never
  : string extends keyof R ? never
  : Exclude<
    keyof R,
    (Fields extends unknown ? keyof Fields : never) | keyof BodyIds | "type"
  >;

/** What a handler is not, so that it does not compile: the error names the fields. */
export interface SurplusFields<K> {
  /** The fields that it returns and the reply does not have. */
  readonly "~surplus": K;
}

/** Any handler that returns no more than the reply's fields; none that does. */
export type NoSurplus<F, Fields> = F extends (...args: never) => infer R
  ? [Surplus<Awaited<R>, Fields>] extends [never] ? unknown
  : SurplusFields<Surplus<Awaited<R>, Fields>>
  : unknown;

/** A reply's body, as an RPC resolves with it; of a node without a protocol, any. */
export type ReplyOf<P, T extends keyof P> = IsUntyped<P> extends true ? Body
  :
    & ReplyFields<P, T>
    & { type: string }
    & BodyIds;

/** `X` for a node without a protocol; for any other what no value is. */
export type WithoutProtocol<P, X> = P extends Untyped ? X : never;

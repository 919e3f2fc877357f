/** Protocols as types: which requests there are, what they hold, and what is replied. */

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

/** The body of a protocol's request of a type, its ids left out. */
export type RequestBody<P, T> = T extends keyof P
  ? P[T] extends { request: infer Fields } ? { type: T } & Fields : never
  : never;

/** The fields of a protocol's reply to a request of a type. */
export type ReplyFields<P, T extends keyof P> = P[T] extends
  { reply: infer Fields } ? Fields : never;

/** What a handler of a protocol's requests of a type returns: the reply's fields, and, where it is not `<type>_ok`, its type. */
export type TypedResult<P, T extends keyof P> = ReplyFields<P, T> extends void
  ? void
  : ReplyFields<P, T> & { type?: string | undefined };

/** A reply's body, as an RPC resolves with it. */
export type ReplyOf<P, T extends keyof P> =
  & ReplyFields<P, T>
  & { type: string }
  & BodyIds;

/** `X` for a node without a protocol; for any other what no value is. */
export type WithoutProtocol<P, X> = P extends Untyped ? X : never;

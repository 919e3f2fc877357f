/** Messages as they stand on the wire, and their checked decoding. */

/** The payload of a message. */
export interface Body {
  /** What kind of message this is. */
  type: string;
  /** The sender's number for this message. */
  msg_id?: number;
  /** Of a reply: the `msg_id` of the request that it answers. */
  in_reply_to?: number;
  /** Whatever else this type of message has. */
  [key: string]: unknown;
}

/** A message between two nodes, or between a client and a node. */
export interface Message<B = Body> {
  /** The node or client that this message comes from. */
  src: string;
  /** The node or client that this message goes to. */
  dest: string;
  /** The payload. */
  body: B;
}

/** Thrown by {@linkcode decode}: the line is not a message. */
export class InvalidMessageError extends Error {
  /** "InvalidMessageError". */
  override name = "InvalidMessageError";
  /** Where the sender can be told: its id, its message's `msg_id`, and the `dest` it wrote to. */
  readonly replyTo: { src: string; dest: string; msgId: number } | undefined;

  /**
   * Remembers whom to tell.
   *
   * @param reason What is wrong with the line.
   * @param line What was parsed of it, to find out whom to tell.
   */
  constructor(reason: string, line?: unknown) {
    super(reason);
    const { src, dest, body } = (line ?? {}) as Partial<Message>;
    if (
      isId(src) && isObject(body) && isMsgId(body.msg_id) &&
      !isMsgId(body.in_reply_to) // a reply gets no reply
    ) {
      this.replyTo = {
        src,
        dest: isId(dest) ? dest : "",
        msgId: body.msg_id,
      };
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isMsgId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * Parses one line and checks that it is a message: `src`, `dest` and
 * `body.type` strings, `msg_id` and `in_reply_to`, where there are any,
 * non-negative integers below 2^53.
 *
 * @example
 * ```ts
 * import { decode } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const message = decode('{"src":"c1","dest":"n1","body":{"type":"read","msg_id":1}}');
 * assertEquals(message.body.type, "read");
 * ```
 *
 * @param line One line of input.
 * @throws {InvalidMessageError} Says what is wrong, and whom to tell if that can be known.
 */
export function decode(line: string): Message {
  let message;
  try {
    message = JSON.parse(line);
  } catch (error) {
    throw new InvalidMessageError(`not JSON: ${(error as Error).message}`);
  }
  if (!isObject(message)) {
    throw new InvalidMessageError("the message is not an object");
  }
  const { src, dest, body } = message;
  if (!isId(src)) {
    throw new InvalidMessageError("'src' is not a non-empty string");
  }
  if (!isId(dest)) {
    throw new InvalidMessageError("'dest' is not a non-empty string", message);
  }
  if (!isObject(body)) throw new InvalidMessageError("'body' is not an object");
  if (typeof body.type !== "string") {
    throw new InvalidMessageError("'body.type' is not a string", message);
  }
  if (body.msg_id !== undefined && !isMsgId(body.msg_id)) {
    throw invalidId("msg_id", body.msg_id, message);
  }
  if (body.in_reply_to !== undefined && !isMsgId(body.in_reply_to)) {
    throw invalidId("in_reply_to", body.in_reply_to, message);
  }
  return message as unknown as Message;
}

function invalidId(key: string, id: unknown, line: unknown) {
  const shown = JSON.stringify(id).slice(0, 40);
  return new InvalidMessageError(
    `'body.${key}' is not a non-negative integer below 2^53: ${shown}`,
    line,
  );
}

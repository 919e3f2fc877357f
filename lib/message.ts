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

/**
 * The line of a message, without the newline. The ids are written behind the
 * body's JSON, which costs about half of what a copy of the body with more keys
 * does.
 *
 * @param src The sender.
 * @param dest The recipient.
 * @param body The payload; an id of its own is left out.
 * @param msgId The message's id.
 * @param inReplyTo Of a reply: the request's id.
 * @param type The body's type if it has none itself.
 * @throws {RangeError} The body is nested too deeply for `JSON.stringify`.
 * @throws {TypeError} The body holds a cycle or a BigInt, or is no object.
 */
export function encode(
  src: string,
  dest: string,
  body: Partial<Body>,
  msgId: number,
  inReplyTo?: number,
  type?: string,
): string {
  if (
    body.msg_id !== undefined ||
    (inReplyTo !== undefined && body.in_reply_to !== undefined)
  ) {
    const { msg_id: _, in_reply_to, ...rest } = body;
    body = inReplyTo === undefined ? { ...rest, in_reply_to } : rest;
  }
  const json = JSON.stringify(body);
  if (json?.[0] !== "{") {
    throw new TypeError(`Cannot send a body that is no JSON object: ${json}`);
  }
  let fields = json.slice(1, -1);
  if (body.type === undefined && type !== undefined) {
    fields = `"type":${quoted(type)}${fields && ","}${fields}`;
  }
  if (fields !== "") fields += ",";
  const reply = inReplyTo === undefined ? "" : `"in_reply_to":${inReplyTo},`;
  return `{"src":${quoted(src)},"dest":${
    quoted(dest)
  },"body":{${fields}${reply}"msg_id":${msgId}}}`;
}

/** The JSON of node ids and types, of which there are few: quoting three for each message costs as much as its body. */
const quotes: Map<string, string> = new Map();
const MAX_QUOTES = 1024;

function quoted(text: string): string {
  let json = quotes.get(text);
  if (json === undefined) {
    json = JSON.stringify(text);
    if (quotes.size === MAX_QUOTES) quotes.clear();
    if (text.length < MAX_QUOTES) quotes.set(text, json);
  }
  return json;
}

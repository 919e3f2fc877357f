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

/**
 * How many levels deep a message may be nested, itself and its body counted;
 * as in Go's `encoding/json`. V8 takes worse than linear time for what is
 * nested very deeply, and functions that call themselves run out of stack.
 */
export const MAX_DEPTH = 10_000;

/**
 * How many objects, arrays and fields a message may have. They are what takes
 * V8 long: 1 to 3 µs each, parsed and written again, where a number or a string
 * takes 0.1 µs. So many take less than a second.
 */
export const MAX_PARTS = 250_000;

/** How much of a value an error text shows, in characters. */
const SHOWN = 40;

const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const COLON = ":".charCodeAt(0);
const OPENING_BRACKET = "[".charCodeAt(0);
const OPENING_BRACE = "{".charCodeAt(0);
const CLOSING_BRACKET = "]".charCodeAt(0);
const CLOSING_BRACE = "}".charCodeAt(0);

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
 * non-negative integers below 2^53, nothing nested deeper than
 * {@linkcode MAX_DEPTH}, and no more than {@linkcode MAX_PARTS}. An id that is
 * `null` is left out: it is as good as absent.
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
  const excess = excessOf(line);
  if (excess !== undefined) {
    throw new InvalidMessageError(excess, outline(line));
  }
  let message;
  try {
    message = JSON.parse(line);
  } catch (error) {
    throw new InvalidMessageError(`not JSON: ${(error as Error).message}`);
  }
  const problem = problemOf(message);
  if (problem !== undefined) throw new InvalidMessageError(problem, message);
  dropNullIds(message.body);
  return message;
}

/**
 * Writes a message as one line, which {@linkcode decode} would accept.
 *
 * @param message The message.
 * @throws {TypeError} It is none, or JSON can't express it.
 * @throws {RangeError} It is nested deeper than {@linkcode MAX_DEPTH}, or has more than {@linkcode MAX_PARTS}.
 */
export function encode(message: Message): string {
  const problem = problemOf(message);
  if (problem !== undefined) throw new TypeError(`Cannot send as ${problem}`);
  const line = JSON.stringify(message);
  const excess = excessOf(line);
  if (excess !== undefined) throw new RangeError(`Cannot send as ${excess}`);
  return line;
}

/**
 * Removes ids that are `null`, as nodes in Rust write those that are absent.
 *
 * @param body A message's body.
 */
export function dropNullIds(body: Body): void {
  const ids: { msg_id?: unknown; in_reply_to?: unknown } = body;
  if (ids.msg_id === null) delete ids.msg_id;
  if (ids.in_reply_to === null) delete ids.in_reply_to;
}

/**
 * A value as an error text shows it: its start, and no more of it is looked at.
 *
 * @param value Any value.
 */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string"
    ? JSON.stringify(value.slice(0, SHOWN))
    : String(value);
  return text.slice(0, SHOWN);
}

/**
 * Why a value is no message; `undefined` when it is one.
 *
 * @param message Any value.
 */
export function problemOf(message: unknown): string | undefined {
  if (!isObject(message)) return "the message is not an object";
  const { src, dest, body } = message;
  if (!isId(src)) return "'src' is not a non-empty string";
  if (!isId(dest)) return "'dest' is not a non-empty string";
  if (!isObject(body)) return "'body' is not an object";
  const { type, msg_id, in_reply_to } = body;
  if (typeof type !== "string") return "'body.type' is not a string";
  return problemOfId("msg_id", msg_id) ??
    problemOfId("in_reply_to", in_reply_to);
}

function problemOfId(key: string, id: unknown): string | undefined {
  if (id === undefined || id === null || isMsgId(id)) return undefined;
  return `'body.${key}' is not a non-negative integer below 2^53: ${show(id)}`;
}

/** What a line of JSON has too much of to be parsed; `undefined` when it may be. */
function excessOf(line: string): string | undefined {
  // Strings may have such characters, too; but most lines have too few of them
  // even so, which is found out ten times as fast.
  if (hasMore(line, "[{", MAX_DEPTH) && cut(line, MAX_DEPTH) !== line) {
    return `the message is nested deeper than ${MAX_DEPTH} levels`;
  }
  if (hasMore(line, "[{:", MAX_PARTS) && partsOf(line) > MAX_PARTS) {
    return `the message has more than ${MAX_PARTS} objects, arrays and fields`;
  }
  return undefined;
}

/** Whether a line of JSON has more than so many of some characters, none of which can be all of a value. */
function hasMore(line: string, chars: string, limit: number): boolean {
  if (line.length <= 2 * limit) return false;
  let count = 0;
  for (const char of chars) {
    for (let at = line.indexOf(char); at !== -1;) {
      if (++count > limit) return true;
      at = line.indexOf(char, at + 1);
    }
  }
  return false;
}

/** How many objects, arrays and fields a line of JSON has. */
function partsOf(line: string): number {
  let count = 0;
  for (let at = 0; at < line.length; at++) {
    const char = line.charCodeAt(at);
    if (char === QUOTE) at = endOfString(line, at);
    else if (
      char === OPENING_BRACKET || char === OPENING_BRACE || char === COLON
    ) count++;
  }
  return count;
}

/** A line of JSON with `null` in place of what is nested deeper than so many levels. */
function cut(line: string, levels: number): string {
  let kept = "";
  let from = 0;
  let depth = 0;
  for (let at = 0; at < line.length; at++) {
    const char = line.charCodeAt(at);
    if (char === QUOTE) at = endOfString(line, at);
    else if (char === OPENING_BRACKET || char === OPENING_BRACE) {
      if (depth++ !== levels) continue;
      kept += line.slice(from, at) + "null";
      from = line.length; // nothing more, if it never ends
    } else if (char === CLOSING_BRACKET || char === CLOSING_BRACE) {
      if (--depth === levels) from = at + 1;
    }
  }
  return kept + line.slice(from);
}

/** Where the string of JSON that begins at an index ends; it may not. */
function endOfString(line: string, start: number): number {
  for (let end = start;;) {
    end = line.indexOf('"', end + 1);
    if (end === -1) return line.length;
    let escapes = 0;
    while (line.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

/** What a line says of its message but for the values nested in it; `undefined` when it is no JSON, or even that is too much. */
function outline(line: string): unknown {
  const outer = cut(line, 2);
  if (excessOf(outer) !== undefined) return undefined;
  try {
    return JSON.parse(outer);
  } catch {
    return undefined;
  }
}

/** A message on its way. */
import type { Message } from "../../message.ts";

/** A message's line, with what the network has to know of it. */
export interface Envelope {
  /** Where it comes from. */
  readonly src: string;
  /** Where it goes. */
  readonly dest: string;
  /** The line. */
  readonly line: string;
  /** The message's number in the trace; -1 before it is sent. */
  number: number;
  /** The message, once someone had to look into it: see {@linkcode messageOf}. */
  message: Message | undefined;
  /** Whether the line was garbled on its way, and is no message any more. */
  readonly garbled?: boolean;
}

/**
 * The message in an envelope, parsed when first asked for.
 *
 * @param envelope The envelope.
 */
export function messageOf(envelope: Envelope): Message {
  return envelope.message ??= JSON.parse(envelope.line) as Message;
}

/**
 * An envelope for a message.
 *
 * @param message The message.
 */
export function seal(message: Message): Envelope {
  const { src, dest } = message;
  return { src, dest, line: JSON.stringify(message), number: -1, message };
}

/** Opens the lines that a node sends, and checks that they are messages of its own, in order. */
export class Opener {
  readonly #src: string;
  readonly #start: string;
  #nextId: number;

  /**
   * For a node that has sent nothing yet.
   *
   * @param src Its id.
   * @param firstId The `msg_id` of its first message.
   */
  constructor(src: string, firstId = 0) {
    this.#src = src;
    this.#nextId = firstId;
    this.#start = `{"src":${JSON.stringify(src)},"dest":"`;
  }

  /** The `msg_id` of the last line; before the first, one less than what that will have. */
  get lastId(): number {
    return this.#nextId - 1;
  }

  /**
   * Opens a line. One that looks like a request as nodes write them is not
   * parsed, as that would be half of a simulation's work.
   *
   * @param line The line.
   * @returns `undefined` when it is no message from this node with the next `msg_id`.
   */
  open(line: string): Envelope | undefined {
    const { length } = this.#start;
    if (
      line.startsWith(this.#start) &&
      line.endsWith(`,"msg_id":${this.#nextId}}}`) &&
      !line.includes('"in_reply_to":')
    ) {
      const dest = line.slice(length, line.indexOf('"', length));
      if (!dest.includes("\\")) {
        this.#nextId++;
        return {
          src: this.#src,
          dest,
          line,
          number: -1,
          message: undefined,
        };
      }
    }
    const message = this.#parse(line);
    if (message === undefined) return undefined;
    this.#nextId++;
    return {
      src: message.src,
      dest: message.dest,
      line,
      number: -1,
      message,
    };
  }

  #parse(line: string): Message | undefined {
    try {
      const message: Message = JSON.parse(line);
      const { src, dest, body: { type, msg_id } } = message;
      return src === this.#src && typeof dest === "string" &&
          typeof type === "string" && msg_id === this.#nextId
        ? message
        : undefined;
    } catch {
      return undefined;
    }
  }
}

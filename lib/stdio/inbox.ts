/** Bytes in: text of whole lines out; and whether there is more to read. */
import { deferred } from "../deferred.ts";
import { type EventLoop, nextTurn, sleep } from "./event_loop.ts";

/** What bytes are read from, such as `Deno.stdin`. */
export interface Input {
  /**
   * Reads what there is, or waits for it.
   *
   * @param buffer Where to put it.
   * @returns How many bytes were read; `null` at the end of the input.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Whether a read that still waits after a timer of 0 ms has nothing to read.
   * Otherwise another thread makes the reads, at its own pace.
   *
   * @default {false}
   */
  readonly prompt?: boolean;
}

/** How much is read at once: one byte more than a pipe holds, so that a read which isn't full has emptied it. */
export const READ_BYTES = 65_537;
const NEWLINE = 10;
/** A byte order mark, in UTF-8. */
const BOM = [0xef, 0xbb, 0xbf];
/**
 * A read that still waits after so many ms shows that the pipe is empty, where
 * another thread makes the reads. How often that is wrong:
 * `deno task bench:pipe in-time`.
 */
const LOOK_MS = 4;
/**
 * On a busy machine such a thread was seen to take 13 ms for what could be read
 * at once, and the process to stand still for 100 ms. So where a timer was late
 * by `LOOK_MS` or more, it is only after so many times that long ...
 */
const LOOKS_WHEN_LATE = 8;
/** ... and where the read before was full, so that there was more, always after so many. */
const LOOKS_FOR_MORE = 50;

/** Options of an {@linkcode Inbox}. */
export interface InboxOptions {
  input: Input;
  loop: EventLoop;
  maxLineBytes: number;
  /** Told of a line that is left out: its start, and why. */
  skipped: (start: string, reason: string) => void;
}

/** The input as text of whole lines, read when it is asked for. */
export class Inbox {
  readonly #options: InboxOptions;
  /** An unfinished line at the start, and room to read on. */
  #buffer = new Uint8Array(2 * READ_BYTES);
  /** How many bytes of the unfinished line there are. */
  #kept = 0;
  /** Whether what comes until the next newline is the rest of a line that is too long. */
  #skipping = false;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #strictDecoder = new TextDecoder("utf-8", {
    fatal: true,
    ignoreBOM: true,
  });
  /** Whether a line was seen: a BOM before the first is passed over, elsewhere it is part of a line. */
  #started = false;
  #reading = false;
  #ended = false;
  /** How many reads were begun. */
  #begun = 0;
  /** Which of them last found less than it had room for, and so emptied the pipe. */
  #emptied = 0;
  /** Who waits in {@linkcode Inbox.caughtUp}, how many reads had been begun when they came, and whether they were late. */
  #waiter: { since: number; late: boolean; resolve: () => void } | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /**
   * Reads what there is, or waits for it.
   *
   * @returns The lines that end in it; `undefined` after the end of the input.
   */
  async read(): Promise<string | undefined> {
    if (this.#ended) return undefined;
    this.#begun++;
    this.#reading = true;
    this.#look();
    const room = this.#buffer.subarray(this.#kept, this.#kept + READ_BYTES);
    const count = await this.#options.input.read(room);
    this.#reading = false;
    if (count === null || count < READ_BYTES) this.#emptied = this.#begun;
    this.#ended = count === null;
    return count === null ? this.#last() : this.#whole(count);
  }

  /**
   * Resolves once the pipe is known to have been empty at some moment since
   * the call, and what had been read by then has been handled.
   *
   * @param lateMs By how much the caller's timer was late: the process may not have run.
   */
  caughtUp(lateMs: number): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const late = lateMs >= LOOK_MS;
    this.#waiter = { since: this.#begun, late, resolve };
    this.#look();
    return promise;
  }

  /** Looks no more: no one waits any longer. */
  async stop(): Promise<void> {
    this.#waiter = undefined;
    await this.#looking;
  }

  #look(): void {
    if (this.#reading && this.#waiter) this.#looking ??= this.#lookOn();
  }

  /** Looks until the waiter can go. What was read before the last turn is handled. */
  async #lookOn(): Promise<void> {
    const { input, loop } = this.#options;
    let looks = 0;
    while (this.#reading && this.#waiter) {
      const begun = this.#begun;
      await sleep(loop, input.prompt ? 0 : LOOK_MS);
      await nextTurn(loop);
      const waited = this.#reading && this.#begun === begun;
      looks = waited ? looks + 1 : 0;
      if (this.#waiter === undefined) break; // stopped meanwhile
      const { since, late } = this.#waiter;
      const enough = input.prompt
        ? 1
        : this.#emptied < begun - 1
        ? LOOKS_FOR_MORE
        : late
        ? LOOKS_WHEN_LATE
        : 1;
      if (looks >= enough || this.#emptied > since) {
        this.#waiter.resolve();
        this.#waiter = undefined;
      }
    }
    this.#looking = undefined;
  }

  /** The whole lines that end in what was just read; what follows is kept. */
  #whole(count: number): string {
    const end = this.#kept + count;
    const fresh = this.#buffer.subarray(this.#kept, end);
    const rest = this.#kept + fresh.lastIndexOf(NEWLINE) + 1;
    if (rest === this.#kept) { // no newline
      this.#keep(0, end);
      return "";
    }
    const start = this.#skipping ? fresh.indexOf(NEWLINE) + 1 : 0;
    this.#skipping = false;
    const text = this.#decode(this.#buffer.subarray(start, rest));
    this.#keep(rest, end);
    return text;
  }

  /** Keeps an unfinished line for the next read, unless it is too long already. */
  #keep(start: number, end: number): void {
    const line = this.#buffer.subarray(start, end);
    this.#kept = this.#skipping ? 0 : line.length;
    if (this.#kept > this.#options.maxLineBytes) {
      this.#skipping = true;
      this.#kept = 0;
      this.#skipTooLong(line);
    }
    // Room for the next read: twice as much when there is none, the usual when that is enough.
    let size = this.#buffer.length;
    if (this.#kept + READ_BYTES > size) size *= 2;
    else if (this.#kept <= READ_BYTES) size = 2 * READ_BYTES;
    if (size === this.#buffer.length) {
      if (start > 0) this.#buffer.copyWithin(0, start, end);
    } else {
      this.#buffer = new Uint8Array(size);
      this.#buffer.set(line.subarray(0, this.#kept));
    }
  }

  /** The last line, if the input did not end in a newline. */
  #last(): string {
    return this.#decode(this.#buffer.subarray(0, this.#kept));
  }

  /** Decodes whole lines; the ones that are too long or no UTF-8 are left out. */
  #decode(bytes: Uint8Array): string {
    if (!this.#started && BOM.every((byte, at) => bytes[at] === byte)) {
      bytes = bytes.subarray(BOM.length);
    }
    this.#started = true;
    if (bytes.length - 1 <= this.#options.maxLineBytes) {
      const text = this.#decoder.decode(bytes);
      if (!text.includes("\ufffd")) return text; // nor was anything replaced by it
    }
    let text = "";
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline;
      const line = bytes.subarray(start, end);
      start = end + 1;
      if (line.length > this.#options.maxLineBytes) {
        this.#skipTooLong(line);
        continue;
      }
      try {
        text += this.#strictDecoder.decode(line) + "\n";
      } catch {
        this.#skip(line, "not UTF-8");
      }
    }
    return text;
  }

  #skipTooLong(line: Uint8Array): void {
    this.#skip(line, `longer than ${this.#options.maxLineBytes} bytes`);
  }

  #skip(line: Uint8Array, reason: string): void {
    this.#started = true;
    this.#options.skipped(this.#decoder.decode(line.subarray(0, 100)), reason);
  }
}

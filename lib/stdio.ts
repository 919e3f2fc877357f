/**
 * A node on Deno's stdin and stdout: lines in, batched lines out.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { ErrorCode, RpcError } from "./errors.ts";
import { LOG_LEVELS, type LogLevel, type Node } from "./node.ts";

/** What bytes are read from, such as `Deno.stdin`. */
export interface Input {
  /**
   * Reads what there is, or waits for it.
   *
   * @param buffer Where to put it.
   * @returns How many bytes were read; `null` at the end of the input.
   */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** What bytes are written to, such as `Deno.stdout`. */
export interface Output {
  /**
   * Writes some or all of the bytes.
   *
   * @param bytes What to write.
   * @returns How many of them were written.
   */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** Cuts text into lines: `new TextLineStream()` of `@std/streams`. Handed in, so that the library depends on nothing. */
  lines: TransformStream<string, string>;
  /**
   * Where messages come from.
   *
   * @default {Deno.stdin}
   */
  input?: Input;
  /**
   * Where messages go.
   *
   * @default {Deno.stdout}
   */
  output?: Output;
  /**
   * The longest line in bytes; a longer one is skipped.
   *
   * @default {16_777_216}
   */
  maxLineBytes?: number;
  /**
   * How many bytes, about, may wait to be written: beyond them sending fails
   * with error 11. Input is read only while no more than half of them wait, and
   * no more than 256 KiB.
   *
   * @default {134_217_728}
   */
  maxOutputBytes?: number;
  /**
   * Where log lines go.
   *
   * @default {nowhere}
   */
  log?: (level: LogLevel, text: string) => void;
}

const READ_BYTES = 65_536;
/**
 * How many bytes one write has at most: in pieces, the progress of a slow
 * reader can be seen. Each costs a visit of another thread: with 65,536 the CPU
 * of pumped echoes is a tenth higher.
 */
const WRITE_BYTES = 262_144;
/**
 * While more bytes than this wait to be written no input is read: a backlog
 * only costs memory, and, where it outlives a collection of the young
 * generation, CPU: with 1 MiB a tenth of that of pumped echoes.
 */
const PAUSE_BYTES = 262_144;
const NEWLINE = 10;
/** A byte order mark, in UTF-8. */
const BOM = [0xef, 0xbb, 0xbf];
/**
 * Reads are made by another thread. On a busy machine it was seen to take 13 ms
 * until one that had something to read was done, and the process to stand still
 * for 100 ms. So where a timer was late by `LOOK_MS` or more, a read that waits
 * shows that the pipe is empty only when it still waits after so many looks ...
 */
const LOOKS_WHEN_LATE = 8;
/** ... or, if the read before it left the pipe with more, always after so many, ... */
const LOOKS_FOR_MORE = 50;
/** ... this many ms apart. */
const LOOK_MS = 4;
/** How long to wait for a reader of stdout that takes nothing, once the node is stopping, in ms. */
const STALLED_MS = 5000;

/** Lines on their way out: gathered, and written once per turn of the event loop. */
class Outbox {
  readonly #output: Output;
  readonly #maxBytes: number;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #waiting = 0;
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #writes = 0;
  #failure: Error | undefined;
  readonly #failed = Promise.withResolvers<Error>();

  constructor(output: Output, maxBytes: number) {
    this.#output = output;
    this.#maxBytes = maxBytes;
  }

  /** About how many bytes wait to be written. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many writes were completed. */
  get writes(): number {
    return this.#writes;
  }

  /** Why the output can't be written to any more, if it can't. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves if the output can't be written to any more, with the reason. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  send(line: string): void {
    if (this.#failure) return;
    const bytes = line.length + 1;
    if (this.#waiting + bytes > this.#maxBytes) {
      throw new RpcError(
        ErrorCode.temporarilyUnavailable,
        `${this.#waiting} bytes wait to be written: ${bytes} more would exceed the limit of ${this.#maxBytes}`,
      );
    }
    this.#lines.push(line);
    this.#waiting += bytes;
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Resolves once all that was sent has been written, or never can be. */
  flush(): Promise<void> {
    if (this.#writing === undefined && this.#lines.length > 0) {
      this.#writing = this.#writeAll();
    }
    return this.#writing ?? Promise.resolve();
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#lines.length > 0) {
        const lines = this.#lines;
        const waiting = this.#waiting;
        this.#lines = [];
        let bytes = this.#encoder.encode(lines.join("\n") + "\n");
        while (bytes.length > 0) {
          const piece = bytes.subarray(0, WRITE_BYTES);
          bytes = bytes.subarray(await this.#output.write(piece));
          this.#writes++;
        }
        this.#waiting -= waiting;
      }
    } catch (error) {
      this.#failure = error as Error;
      this.#lines = [];
      this.#waiting = 0;
      this.#failed.resolve(this.#failure);
    }
    // In the same step as the last look at the lines: none can come in between and stay.
    this.#writing = undefined;
  }
}

/** Options of an {@linkcode Inbox}. */
interface InboxOptions {
  input: Input;
  maxLineBytes: number;
  /** Resolves once input may be read. */
  ready: () => Promise<void>;
  /** Told of a line that is left out: its start, and why. */
  skipped: (start: string, reason: string) => void;
}

/** The input as text of whole lines, read when it is asked for. */
class Inbox {
  readonly text: ReadableStream<string>;
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
  /** How many reads were begun. */
  #begun = 0;
  /** Which of them last found less than it had room for, and so emptied the pipe. */
  #emptied = 0;
  /** Who waits in {@linkcode Inbox.caughtUp}, and how many reads had been begun when they came. */
  #waiter: { since: number; resolve: () => void } | undefined;
  /** How many looks show that the pipe is empty. */
  #looksNeeded = 1;
  #looking: Promise<void> | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.text = new ReadableStream<string>({
      pull: async (controller) => {
        for (let text = ""; text === "";) {
          const count = await this.#read();
          text = count === null ? this.#last() : this.#whole(count);
          if (text !== "") controller.enqueue(text);
          if (count === null) return controller.close();
        }
      },
    }, { highWaterMark: 0 });
  }

  /**
   * Resolves once the pipe is known to have been empty at some moment since
   * the call, and what had been read by then has been handled.
   *
   * @param lateMs By how much the caller's timer was late: the process may not have run.
   */
  caughtUp(lateMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#looksNeeded = lateMs < LOOK_MS ? 1 : LOOKS_WHEN_LATE;
    this.#waiter = { since: this.#begun, resolve };
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

  /** Looks until the waiter can go. All that was read two turns ago is handled. */
  async #lookOn(): Promise<void> {
    let begun = 0;
    let looks = 0;
    while (this.#reading && this.#waiter) {
      if (begun !== this.#begun) looks = 0;
      begun = this.#begun;
      await Promise.all([nextTurn(), anotherThread()]);
      await nextTurn();
      const waiting = this.#reading && this.#begun === begun;
      const enough = this.#emptied >= begun - 1
        ? this.#looksNeeded
        : LOOKS_FOR_MORE;
      if (this.#waiter === undefined) break; // stopped meanwhile
      if (
        (waiting && ++looks >= enough) || this.#emptied > this.#waiter.since
      ) {
        this.#waiter.resolve();
        this.#waiter = undefined;
      } else if (waiting) await sleep(LOOK_MS);
    }
    this.#looking = undefined;
  }

  async #read(): Promise<number | null> {
    await this.#options.ready();
    this.#begun++;
    this.#reading = true;
    this.#look();
    const room = this.#buffer.subarray(this.#kept, this.#kept + READ_BYTES);
    const count = await this.#options.input.read(room);
    this.#reading = false;
    if (count === null || count < READ_BYTES) this.#emptied = this.#begun;
    return count;
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

/**
 * Runs a node on stdin and stdout until the end of the input, SIGTERM, SIGINT
 * or a closed stdout; then settles every pending RPC, lets running handlers
 * finish, for 1 s at most, and writes what is left to write.
 *
 * @example
 * ```ts ignore
 * import { Node } from "@gyre/node";
 * import { serve } from "@gyre/node/stdio";
 * import { TextLineStream } from "@std/streams/text-line-stream";
 *
 * const node = new Node();
 * node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * Deno.exit(await serve(node, { lines: new TextLineStream() }));
 * ```
 *
 * @param node The node.
 * @param options The line splitter, limits, log.
 * @returns The exit code: 0, or 1 when stdout was closed.
 */
export async function serve(
  node: Node,
  options: ServeOptions,
): Promise<number> {
  const {
    lines,
    input = Deno.stdin,
    output = Deno.stdout,
    maxLineBytes = 16 * 1024 * 1024,
    maxOutputBytes = 128 * 1024 * 1024,
    log = () => {},
  } = options;
  const outbox = new Outbox(output, maxOutputBytes);
  const pauseBytes = Math.min(PAUSE_BYTES, maxOutputBytes / 2);
  const inbox = new Inbox({
    input,
    maxLineBytes,
    ready: async () => {
      while (outbox.waiting > pauseBytes) await outbox.flush();
    },
    skipped: (start, reason) => node.reject(start, new Error(reason)),
  });
  node.connect({
    send: (line) => outbox.send(line),
    caughtUp: (lateMs) => inbox.caughtUp(lateMs),
  });

  const reader = inbox.text.pipeThrough(lines).getReader();
  let stopping = false;
  async function readAll(): Promise<string> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "the end of the input";
      if (stopping) return "";
      node.receive(value);
    }
  }
  const signals = onSignals();
  const reason = await Promise.race([
    readAll().catch((error) =>
      new Error(`stdin can't be read: ${error.message}`)
    ),
    signals.received,
    outbox.failed.then(unwritable),
  ]);
  stopping = true;
  signals.stop(); // a second signal ends the process at once
  await node.close();
  await inbox.stop();
  const problem = await drain(outbox);
  if (reason instanceof Error || problem !== undefined) {
    log("error", ((problem ?? reason) as Error).message);
    return 1;
  }
  const { registered, replied, reaped, cancelled, invalid_lines } = node
    .stats();
  log(
    "info",
    `stopped at ${reason}: ${registered} RPCs: ${replied} answered, ${reaped} reaped, ${cancelled} cancelled; ${invalid_lines} invalid lines`,
  );
  return 0;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves once a thread of the pool that reads has come and gone: so would one that had something to read. */
async function anotherThread(): Promise<void> {
  await crypto.subtle.digest("SHA-1", new Uint8Array(1));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until all is written; gives up when that fails, or when nothing is taken for {@linkcode STALLED_MS}. */
async function drain(outbox: Outbox): Promise<Error | undefined> {
  let written = -1;
  while (outbox.waiting > 0 && written < outbox.writes) {
    written = outbox.writes;
    await withTimeout(outbox.flush(), STALLED_MS);
  }
  if (outbox.failure) return unwritable(outbox.failure);
  if (outbox.waiting === 0) return undefined;
  return unwritable(
    new Error(
      `nothing was taken for ${STALLED_MS} ms, ${outbox.waiting} bytes are lost`,
    ),
  );
}

function unwritable(reason: Error): Error {
  return new Error(`stdout can't be written to: ${reason.message}`);
}

async function withTimeout(work: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}

/** A log that is written in the background; see {@linkcode stderrLog}. */
export interface StderrLog {
  /** Writes one line, unless its level is too low. */
  log: (level: LogLevel, text: string) => void;
  /** Waits until all is written, for 1 s at most. */
  flush: () => Promise<void>;
}

/** What could start a new line, or make a terminal do things. */
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTERS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;
/** How many bytes of log may wait to be written. */
const MAX_LOG_BYTES = 1024 * 1024;

/**
 * A log on stderr, one line an entry. It never holds up the node: while stderr
 * takes nothing, up to 1 MiB waits, what comes after that is dropped, and the
 * number of lines dropped is logged later.
 *
 * @example
 * ```ts
 * import { stderrLog } from "@gyre/node/stdio";
 * import { assertEquals } from "@std/assert";
 *
 * const written: string[] = [];
 * const output = {
 *   write(bytes: Uint8Array) {
 *     written.push(new TextDecoder().decode(bytes));
 *     return Promise.resolve(bytes.length);
 *   },
 * };
 * const { log, flush } = stderrLog("warn", () => "gyre n1", output);
 * log("warn", "that was odd");
 * log("info", "not shown");
 * await flush();
 * assertEquals(written, ["gyre n1 warn: that was odd\n"]);
 * ```
 *
 * @param level The least important level that is shown.
 * @param name What each line starts with.
 * @param output Where to write.
 */
export function stderrLog(
  level: LogLevel,
  name: () => string,
  output: Output = Deno.stderr,
): StderrLog {
  const outbox = new Outbox(output, MAX_LOG_BYTES);
  let dropped = 0;
  const entry = (at: LogLevel, text: string) =>
    `${name()} ${at}: ${text.replace(/\s*[\r\n]+\s*/g, " | ")}`.replace(
      CONTROL_CHARACTERS,
      (character) =>
        `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  return {
    log(at, text) {
      if (LOG_LEVELS.indexOf(at) > LOG_LEVELS.indexOf(level)) return;
      const lines = [entry(at, text)];
      if (dropped > 0) {
        const what = dropped === 1 ? "line was" : "lines were";
        lines.unshift(entry("warn", `${dropped} log ${what} dropped`));
      }
      try {
        outbox.send(lines.join("\n"));
        dropped = 0;
      } catch { // full
        dropped++;
      }
    },
    flush: () => withTimeout(outbox.flush(), 1000),
  };
}

function onSignals(): { received: Promise<string>; stop: () => void } {
  const names: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const { promise, resolve } = Promise.withResolvers<string>();
  const listeners = names.map((name) => [name, () => resolve(name)] as const);
  for (const [name, fn] of listeners) Deno.addSignalListener(name, fn);
  return {
    received: promise,
    stop: () => {
      for (const [name, fn] of listeners) Deno.removeSignalListener(name, fn);
    },
  };
}

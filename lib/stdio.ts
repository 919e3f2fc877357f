/**
 * A node on Deno's stdin and stdout: lines in, batched lines out.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { LogLevel, Node } from "./node.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** Cuts text into lines: `new TextLineStream()` of `@std/streams`. Handed in, so that the library depends on nothing. */
  lines: TransformStream<string, string>;
  /**
   * Where messages come from.
   *
   * @default {Deno.stdin}
   */
  input?: { read(buffer: Uint8Array): Promise<number | null> };
  /**
   * Where messages go.
   *
   * @default {Deno.stdout}
   */
  output?: { write(bytes: Uint8Array): Promise<number> };
  /**
   * The longest line in bytes; a longer one is skipped.
   *
   * @default {16_777_216}
   */
  maxLineBytes?: number;
  /**
   * While more bytes than this wait for stdout, no input is read.
   *
   * @default {16_777_216}
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
const NEWLINE = 10;

/** Thrown into the input when stdout can't be written to any more. */
class OutputClosedError extends Error {}

/** Messages on their way out: gathered, and written once per turn of the event loop. */
class Outbox {
  readonly #output: { write(bytes: Uint8Array): Promise<number> };
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #waiting = 0;
  #flushing: Promise<void> | undefined;
  #scheduled = false;
  readonly closed: Promise<Error>;
  #close!: (error: Error) => void;

  constructor(output: { write(bytes: Uint8Array): Promise<number> }) {
    this.#output = output;
    this.closed = new Promise((resolve) => this.#close = resolve);
  }

  /** About how many bytes wait to be written. */
  get waiting(): number {
    return this.#waiting;
  }

  send(line: string): void {
    this.#lines.push(line);
    this.#waiting += line.length + 1;
    if (this.#scheduled || this.#flushing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Resolves once all that was sent has been written, or never can be. */
  flush(): Promise<void> {
    if (this.#flushing === undefined && this.#lines.length > 0) {
      this.#flushing = this.#writeAll();
    }
    return this.#flushing ?? Promise.resolve();
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#lines.length > 0) {
        const lines = this.#lines;
        const waiting = this.#waiting;
        this.#lines = [];
        let bytes = this.#encoder.encode(lines.join("\n") + "\n");
        while (bytes.length > 0) {
          bytes = bytes.subarray(await this.#output.write(bytes));
        }
        this.#waiting -= waiting;
      }
    } catch (error) {
      this.#lines = [];
      this.#waiting = 0;
      this.#close(error as Error);
    }
    // In the same step as the last look at the lines: none can come in between and stay.
    this.#flushing = undefined;
  }
}

/** Stdin as text of whole lines, read when it is asked for. */
class Inbox {
  readonly text: ReadableStream<string>;
  /** Completed reads that emptied the pipe, and the number of those begun. */
  #reads = 0;
  #reading = false;

  constructor(
    private readonly options: {
      input: { read(buffer: Uint8Array): Promise<number | null> };
      maxLineBytes: number;
      ready: () => Promise<void> | undefined;
      skipped: (start: string, reason: string) => void;
    },
  ) {
    const buffer = new Uint8Array(READ_BYTES);
    this.text = new ReadableStream<string>({
      pull: async (controller) => {
        for (;;) {
          await this.options.ready();
          this.#reading = true;
          this.#reads++;
          const count = await this.options.input.read(buffer);
          this.#reading = false;
          const text = count === null
            ? this.#last()
            : this.#whole(buffer.subarray(0, count));
          if (text !== "") controller.enqueue(text);
          if (count === null) return controller.close();
          if (text !== "") return;
        }
      },
    }, { highWaterMark: 0 });
  }

  /** Resolves once a read has waited for a whole turn of the event loop. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const before = this.#reads;
        const wasReading = this.#reading;
        setImmediate(() =>
          setImmediate(() =>
            wasReading && this.#reading && before === this.#reads
              ? resolve()
              : look()
          )
        );
      };
      look();
    });
  }

  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #skipping = false;

  /** The whole lines that end in this chunk; what follows is kept for the next. */
  #whole(chunk: Uint8Array): string {
    let text = "";
    if (this.#tailBytes > 0 || this.#skipping) {
      const end = chunk.indexOf(NEWLINE);
      if (end === -1) {
        this.#keep(chunk);
        return "";
      }
      this.#keep(chunk.subarray(0, end + 1));
      text = this.#last();
      chunk = chunk.subarray(end + 1);
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    text += this.#decode(chunk.subarray(0, end));
    if (end < chunk.length) this.#keep(chunk.subarray(end));
    return text;
  }

  #keep(part: Uint8Array): void {
    if (this.#skipping) return;
    this.#tail.push(part.slice());
    this.#tailBytes += part.length;
    if (this.#tailBytes - 1 > this.options.maxLineBytes) {
      this.#skipping = true;
      this.#skip(this.#takeTail());
    }
  }

  #takeTail(): Uint8Array {
    const bytes = new Uint8Array(this.#tailBytes);
    let at = 0;
    for (const part of this.#tail) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#tail = [];
    this.#tailBytes = 0;
    return bytes;
  }

  #last(): string {
    this.#skipping = false;
    return this.#decode(this.#takeTail());
  }

  #skip(line: Uint8Array): void {
    this.options.skipped(
      new TextDecoder().decode(line.subarray(0, 100)),
      `longer than ${this.options.maxLineBytes} bytes`,
    );
  }

  /** Decodes whole lines; the ones that are too long or no UTF-8 are left out. */
  #decode(bytes: Uint8Array): string {
    if (bytes.length - 1 <= this.options.maxLineBytes) {
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      } catch { /* line by line then */ }
    }
    let text = "";
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline + 1;
      const line = bytes.subarray(start, end);
      start = end;
      if (line.length - 1 > this.options.maxLineBytes) {
        this.#skip(line);
        continue;
      }
      try {
        text += new TextDecoder("utf-8", { fatal: true }).decode(line);
      } catch {
        this.options.skipped(
          new TextDecoder().decode(line.subarray(0, 100)),
          "not UTF-8",
        );
      }
    }
    return text;
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
    maxOutputBytes = 16 * 1024 * 1024,
    log = () => {},
  } = options;
  const outbox = new Outbox(output);
  const inbox = new Inbox({
    input,
    maxLineBytes,
    ready: async () => {
      while (outbox.waiting > maxOutputBytes) await outbox.flush();
    },
    skipped: (start, reason) => node.reject(start, new Error(reason)),
  });
  node.connect({
    send: (line) => outbox.send(line),
    caughtUp: () => inbox.caughtUp(),
  });

  const reader = inbox.text.pipeThrough(lines).getReader();
  async function readAll(): Promise<string> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "end of input";
      node.receive(value);
    }
  }
  const signals = onSignals();
  const why = await Promise.race([
    readAll(),
    signals.received,
    outbox.closed.then((error) => new OutputClosedError(error.message)),
  ]);
  signals.stop();
  reader.cancel().catch(() => {});
  await node.close();
  await outbox.flush();
  const { registered, replied, reaped, cancelled, invalid_lines } = node
    .stats();
  if (why instanceof OutputClosedError) {
    log("error", `stdout is closed: ${why.message}`);
    return 1;
  }
  log(
    "info",
    `stopped at ${why}: ${registered} RPCs, ${replied} answered, ${reaped} reaped, ${cancelled} cancelled; ${invalid_lines} invalid lines`,
  );
  return 0;
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

/** A simulated process's stdin and stdout: messages as bytes, through the real inbox and outbox. */
import { deferred } from "../../deferred.ts";
import type { FullServeOptions, Runtime } from "../../stdio/serve.ts";
import type { Envelope } from "./envelope.ts";
import type { ObservedRpc } from "../judges/invariants.ts";
import type { Random } from "../random.ts";

/** How messages travel as bytes. */
export interface BytesOptions {
  /** Makes what cuts text into lines: `() => new TextLineStream()` of `@std/streams`. */
  lines: () => TransformStream<string, string>;
  /**
   * The longest line in bytes; a longer one is skipped.
   *
   * @default {16_777_216}
   */
  maxLineBytes?: number;
  /**
   * How many bytes may wait to be written: beyond them sending fails with
   * error 11. Input is read only while no more than half of them wait.
   *
   * @default {524_288}
   */
  maxOutputBytes?: number;
}

/** What a process's pipes have of the world around them. */
export interface PipesWorld {
  /** The time in whole µs since the simulation began. */
  nowUs(): number;
  /** Calls `fn` at a time in whole µs; returns how to cancel that. */
  schedule(us: number, fn: () => void): () => void;
  /** Calls `fn` after so many ms on the process's clock; returns how to cancel that. */
  setTimer(fn: () => void, delayMs: number): () => void;
  /** There is something to do. */
  wake(): void;
  /** A whole line was taken from stdout. */
  carry(envelope: Envelope): void;
  /** Bytes were read from stdin, or taken from stdout. */
  moved(what: "read" | "write", bytes: number): void;
  /** What comes out is not what went in. */
  violated(text: string): void;
}

/** How a process is asked to end: its input ends, a signal comes, or nobody reads what it writes any more. */
export const ENDINGS = ["end of input", "SIGTERM", "broken pipe"] as const;

/** One of the {@linkcode ENDINGS}. */
export type Ending = typeof ENDINGS[number];

/** A line on its way in. */
interface Incoming {
  envelope: Envelope;
  /** What is to come out: the line, or the start of one that is skipped. */
  text: string;
}

/** A line on its way out. */
interface Outgoing {
  envelope: Envelope;
  bytes: Uint8Array;
}

/** How whoever reads a process's stdout goes about it. */
const READERS = ["quick", "piecewise", "halting"] as const;
/** How long a reader halts, at the most, in µs. */
const HALT_US = 3_000_000;
/** How long a process may take to end that has nothing to wait for but handlers: twice their second, as clocks may drift, and one more. */
const OVERDUE_US = 3_000_000;
/** How far apart the pieces of a line arrive, at the most, in µs. */
const PIECE_US = 1000;
/** Up to this limit on lines some are made so long that they just fit, or just don't. */
const LONG_LINE_BYTES = 100_000;
/** How much of a line that is skipped is shown. */
const SHOWN_BYTES = 100;
const BOM = [0xef, 0xbb, 0xbf];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The pipes of one process. Lines are written into its stdin in pieces, its
 * stdout is read as its reader likes. All that a turn of the event loop does is
 * done step by step, when the process's host says so: first a line that was
 * read is handed over, then what was read or written meanwhile comes to its
 * end, last comes what waits for the next turn.
 */
export class Pipes {
  readonly #world: PipesWorld;
  readonly #random: Random;
  readonly #options: Required<BytesOptions>;
  readonly #reader: typeof READERS[number];
  readonly #carriageReturn: boolean;
  /** The pieces that are in stdin. */
  readonly #pieces: Uint8Array[] = [];
  /** How many pieces have been written, but have not arrived, and when the last of them does. */
  #coming = 0;
  #lastComesAtUs = 0;
  /** Whether a line has been written into stdin. */
  #begun = false;
  #ending: Ending | undefined;
  /** When it was asked to end, or saw that nobody reads any more, and whether it has seen that. */
  #askedAtUs = 0;
  #broken = false;
  readonly #lines: Incoming[] = [];
  readonly #skips: Incoming[] = [];
  readonly #sent: Outgoing[] = [];
  /** How many bytes of the first line that was sent have been taken. */
  #taken = 0;
  #unwritten = 0;
  /** The same in UTF-16 code units, in which the outbox counts. */
  #unwrittenChars = 0;
  #read: { room: Uint8Array; end: (count: number | null) => void } | undefined;
  /** Whether a write is under way, or its end not known yet. */
  #writes = false;
  #write: { taken: (count: number) => void; fail: () => void } | undefined;
  #handOver: (() => void) | undefined;
  /** What has come to its end: a write, a timer. */
  readonly #ended: (() => void)[] = [];
  readonly #nextTurn: (() => void)[] = [];
  #timers = 0;
  #dead = false;
  readonly #signal = deferred<string>();
  /** Until when, in µs, a reader may halt. */
  readonly #haltsUntilUs: number;

  /**
   * The pipes of a process that is about to start.
   *
   * @param world What is around them.
   * @param random Chooses how lines are cut, and how output is read.
   * @param options The line splitter, and limits.
   * @param haltsUntilUs Until when, in µs, a reader may halt.
   */
  constructor(
    world: PipesWorld,
    random: Random,
    options: BytesOptions,
    haltsUntilUs: number,
  ) {
    this.#world = world;
    this.#random = random;
    this.#options = {
      maxLineBytes: 16 * 1024 * 1024,
      maxOutputBytes: 512 * 1024,
      ...options,
    };
    this.#haltsUntilUs = haltsUntilUs;
    this.#reader = random.pick(READERS);
    this.#carriageReturn = random.chance(0.2);
    if (random.chance(0.1)) this.#pieces.push(Uint8Array.from(BOM));
  }

  /** What the process has of a runtime. */
  get runtime(): Runtime {
    return {
      stdin: { prompt: true, read: (buffer) => this.#startRead(buffer) },
      stdout: { write: (bytes) => this.#startWrite(bytes) },
      onSignals: () => ({ received: this.#signal.promise, stop: () => {} }),
      eventLoop: {
        settled: (fn) => this.#do(this.#ended, fn),
        soon: (fn) => this.#do(this.#nextTurn, fn),
        setTimer: (fn, delayMs) => this.#setTimer(fn, delayMs),
      },
    };
  }

  /** What the node is served with: lines pass one at a time. */
  get serveOptions(): FullServeOptions {
    const { lines, ...limits } = this.#options;
    const { writable, readable } = lines();
    const oneByOne = new TransformStream<string, string>({
      transform: async (line, controller) => {
        await new Promise<void>((resolve) => {
          this.#handOver = resolve;
          this.#world.wake();
        });
        controller.enqueue(line);
      },
    });
    return {
      lines: { writable, readable: readable.pipeThrough(oneByOne) },
      log: () => {},
      ...limits,
    };
  }

  /** Whether something can be done. */
  get ready(): boolean {
    return this.isReading || this.#ended.length > 0 ||
      this.#nextTurn.length > 0;
  }

  /** Whether a line can be handed over, or input be read. */
  get isReading(): boolean {
    return this.handsOver ||
      (this.#read !== undefined && (this.#pieces.length > 0 || this.#atEnd));
  }

  /** Whether a line has been read, and is to be handed over. */
  get handsOver(): boolean {
    return this.#handOver !== undefined;
  }

  /** Whether the process does not read, as too much waits to be written. */
  get holdsBack(): boolean {
    return this.#read === undefined && this.isWriting;
  }

  /** Whether something that was sent is not written, as far as the process knows. */
  get isWriting(): boolean {
    return this.#unwritten > 0 || this.#writes;
  }

  /** How the process was asked to end, if it was. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Whether the process should have ended by now: it has been asked to, and has nothing to wait for. */
  get isOverdue(): boolean {
    const broken = this.#ending === "broken pipe";
    return !this.ready && this.#coming === 0 &&
      (broken ? this.#broken : this.#unwritten === 0) &&
      this.#world.nowUs() - this.#askedAtUs > OVERDUE_US;
  }

  get #atEnd(): boolean {
    return this.#ending === "end of input" && this.#coming === 0;
  }

  /** Does the next thing. Only while something can be done. */
  step(): void {
    if (this.#handOver) {
      const handOver = this.#handOver;
      this.#handOver = undefined;
      handOver();
    } else if (this.isReading) this.#endRead();
    else (this.#ended.shift() ?? this.#nextTurn.shift())!();
  }

  /** Checks that nothing is forgotten when there is nothing to do. */
  checkIdle(): void {
    if (this.ready || this.#ending !== undefined) return;
    if (this.#sent.length > 0 && this.#write === undefined) {
      this.#world.violated(
        `${this.#sent.length} lines wait that nobody writes`,
      );
    }
    if (this.#unwritten === 0 && this.#read === undefined) {
      this.#world.violated("nobody reads any more");
    }
  }

  /**
   * Writes a line into stdin.
   *
   * @param envelope The line.
   * @param last Whether it is the last, and has no line end.
   */
  deliver(envelope: Envelope, last = false): void {
    const { maxLineBytes } = this.#options;
    const line = this.#lineOf(envelope, last);
    const skipped = line.length > maxLineBytes || !isUtf8(line);
    const shown = skipped ? line.subarray(0, SHOWN_BYTES) : line;
    const text = decoder.decode(shown).replace(/\r$/, "");
    this.#begun = true;
    if (skipped) this.#skips.push({ envelope, text });
    const end = last ? line.length : line.length + 1;
    const bytes = new Uint8Array(end).fill(10);
    bytes.set(line);
    for (let at = 0; at < end;) {
      const cut = this.#random.chance(0.7)
        ? end
        : at + 1 + this.#random.int(end - at);
      this.#comes(bytes.subarray(at, cut), () => {
        if (cut === end && !skipped) this.#lines.push({ envelope, text });
      });
      at = cut;
    }
  }

  /** A line's bytes: some are too long, or no UTF-8. */
  #lineOf(
    { line: text, garbled = false }: Envelope,
    last: boolean,
  ): Uint8Array {
    const { maxLineBytes } = this.#options;
    const random = this.#random;
    const bom = garbled && this.#begun && random.chance(0.2) ? "\ufeff" : "";
    let line = encoder.encode(bom + text);
    if (garbled && random.chance(0.3)) line[random.int(line.length)] = 0xff;
    const end = this.#carriageReturn && !last ? 1 : 0;
    const pads = maxLineBytes <= LONG_LINE_BYTES && this.#begun &&
      random.chance(garbled ? 0.3 : 0.01);
    if (pads || end > 0) {
      const excess = garbled ? 1 + random.int(maxLineBytes) : 0;
      const length = pads
        ? Math.max(line.length, maxLineBytes - end + excess)
        : line.length;
      const longer = new Uint8Array(length + end).fill(32);
      longer.set(line);
      if (end > 0) longer[length] = 13;
      line = longer;
    }
    return line;
  }

  /** Lets a piece arrive in stdin, after those before it. */
  #comes(piece: Uint8Array, arrived: () => void): void {
    const nowUs = this.#world.nowUs();
    const delayUs = this.#random.chance(0.5) ? 0 : this.#random.int(PIECE_US);
    const arrive = () => {
      this.#pieces.push(piece);
      arrived();
      this.#world.wake();
    };
    if (this.#coming === 0 && delayUs === 0) return arrive();
    this.#coming++;
    this.#lastComesAtUs = Math.max(nowUs, this.#lastComesAtUs) + delayUs;
    this.#world.schedule(this.#lastComesAtUs, () => {
      if (this.#dead) return;
      this.#coming--;
      arrive();
    });
  }

  /**
   * The process is asked to end.
   *
   * @param how How.
   */
  end(how: Ending): void {
    this.#ending = how;
    this.#askedAtUs = this.#world.nowUs();
    if (how === "SIGTERM") {
      this.#do(this.#ended, () => this.#signal.resolve("SIGTERM"));
    } else if (how === "broken pipe") this.#write?.fail();
    this.#world.wake();
  }

  /** The process is gone. */
  kill(): void {
    this.#dead = true;
  }

  /**
   * A line comes out of stdin.
   *
   * @param line The line.
   * @returns What was written into it.
   */
  received(line: string): Envelope | undefined {
    const incoming = this.#lines.shift();
    if (incoming?.text !== line) {
      this.#world.violated(
        `stdin was given ${show(incoming?.text)} and gave ${show(line)}`,
      );
    }
    return incoming?.envelope;
  }

  /**
   * A line was skipped.
   *
   * @param start Its start.
   */
  skipped(start: string): void {
    const text = this.#skips.shift()?.text;
    if (text === undefined || bare(text) !== bare(start)) {
      this.#world.violated(
        `${show(text)} was to be skipped, not ${show(start)}`,
      );
    }
  }

  /**
   * A line was sent, and is to be written.
   *
   * @param envelope The line.
   */
  sent(envelope: Envelope): void {
    if (this.#ending === "broken pipe") return;
    const bytes = encoder.encode(envelope.line + "\n");
    this.#sent.push({ envelope, bytes });
    this.#unwritten += bytes.length;
    this.#unwrittenChars += envelope.line.length + 1;
    if (this.#unwrittenChars > this.#options.maxOutputBytes) {
      this.#world.violated(
        `${this.#unwrittenChars} characters wait to be written, the limit being ${this.#options.maxOutputBytes}`,
      );
    }
  }

  /**
   * Whether the reply to an RPC can be read.
   *
   * @param rpc The RPC.
   */
  holdsReplyTo({ id, dest }: ObservedRpc): boolean {
    return this.#lines.some(({ envelope: { src, message } }) =>
      message?.body.in_reply_to === id && src === dest
    );
  }

  /** What is left over once the process has ended that should not be. */
  leftOver(): string | undefined {
    const lines = this.#lines.length + this.#skips.length;
    if (this.#ending === "end of input" && lines > 0) {
      return `${lines} lines were not handed over`;
    }
    if (this.#ending !== "broken pipe" && this.#sent.length > 0) {
      return `${this.#sent.length} lines were not written`;
    }
    return this.#timers > 0 ? `${this.#timers} timers are armed` : undefined;
  }

  #do(queue: (() => void)[], fn: () => void): void {
    if (this.#dead) return;
    queue.push(fn);
    this.#world.wake();
  }

  #setTimer(fn: () => void, delayMs: number): () => void {
    this.#timers++;
    let armed = true;
    const disarm = () => {
      if (armed) this.#timers--;
      armed = false;
    };
    const cancel = this.#world.setTimer(() =>
      this.#do(this.#ended, () => {
        if (!armed) return;
        disarm();
        fn();
      }), delayMs);
    return () => {
      disarm();
      cancel();
    };
  }

  #startRead(room: Uint8Array): Promise<number | null> {
    const limit = this.#options.maxOutputBytes / 2;
    // What nobody will read any more does not wait.
    if (this.#unwritten > limit && this.#ending !== "broken pipe") {
      this.#world.violated(
        `stdin is read while ${this.#unwritten} bytes wait to be written, which is more than ${limit}`,
      );
    }
    return new Promise((end) => {
      this.#read = { room, end };
      this.#world.wake();
    });
  }

  /** A read gets all that there is, as far as there is room. */
  #endRead(): void {
    const { room, end } = this.#read!;
    this.#read = undefined;
    let count = 0;
    while (this.#pieces.length > 0 && count < room.length) {
      const piece = this.#pieces.shift()!;
      const part = piece.subarray(0, room.length - count);
      room.set(part, count);
      count += part.length;
      if (part.length < piece.length) {
        this.#pieces.unshift(piece.subarray(part.length));
      }
    }
    this.#world.moved("read", count);
    end(count === 0 ? null : count);
  }

  #startWrite(bytes: Uint8Array): Promise<number> {
    this.#writes = true;
    const end = (fn: () => void) =>
      this.#do(this.#ended, () => {
        this.#writes = false;
        fn();
      });
    return new Promise((resolve, reject) => {
      this.#write = {
        taken: (count) => {
          this.#write = undefined;
          this.#take(bytes.subarray(0, count));
          end(() => resolve(count));
        },
        fail: () => {
          this.#write = undefined;
          this.#broken = true;
          this.#askedAtUs = this.#world.nowUs();
          end(() => reject(new Error("broken pipe")));
        },
      };
      this.#readOutput(bytes.length);
    });
  }

  /** Lets the reader of stdout take what it likes, when it likes. */
  #readOutput(bytes: number): void {
    const write = this.#write!;
    if (this.#ending === "broken pipe") return write.fail();
    const nowUs = this.#world.nowUs();
    if (this.#reader === "quick") return write.taken(bytes);
    const piecewise = this.#reader === "piecewise";
    const halts = !piecewise && nowUs < this.#haltsUntilUs &&
      this.#random.chance(0.1);
    const delayUs = this.#random.int(halts ? HALT_US : PIECE_US);
    const count = piecewise ? 1 + this.#random.int(bytes) : bytes;
    this.#world.schedule(nowUs + delayUs, () => {
      if (!this.#dead && this.#write === write) write.taken(count);
    });
  }

  /** Takes bytes from stdout, which must be those of the lines that were sent, in order. */
  #take(bytes: Uint8Array): void {
    this.#world.moved("write", bytes.length);
    for (let at = 0; at < bytes.length;) {
      const [first] = this.#sent;
      const want = first?.bytes.subarray(
        this.#taken,
        this.#taken + bytes.length - at,
      );
      if (!want?.every((byte, i) => byte === bytes[at + i])) {
        return this.#world.violated(
          `${show(first?.envelope.line)} was to be written, not ${
            show(decoder.decode(bytes.subarray(at)))
          }`,
        );
      }
      at += want.length;
      this.#taken += want.length;
      this.#unwritten -= want.length;
      if (this.#taken < first!.bytes.length) return;
      this.#taken = 0;
      this.#sent.shift();
      this.#unwrittenChars -= first!.envelope.line.length + 1;
      this.#world.carry(first!.envelope);
    }
  }
}

/** A line without its line end, and without the mark that may stand before the first. */
function bare(line: string): string {
  return line.replace(/^\ufeff|\r$/g, "");
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function show(line: string | undefined): string {
  return line === undefined ? "nothing" : JSON.stringify(line.slice(0, 200));
}

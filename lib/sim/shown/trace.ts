/** What happened in a simulation, line by line, and the hash of it all. */

/** How many characters are hashed at a time. */
const CHUNK = 16_384;

/**
 * A trace: one JSON object a line. Only its hash is kept; the lines go to a
 * sink, if there is one.
 */
export class Trace {
  readonly #sink: ((line: string) => void) | undefined;
  readonly #encoder = new TextEncoder();
  readonly #bytes: Uint8Array = new Uint8Array(3 * 2 * CHUNK);
  readonly #view: DataView = new DataView(this.#bytes.buffer);
  #lines = 0;
  #waiting = "";
  #low = 0x811c9dc5;
  #high = 0x9747b28c;

  /**
   * An empty trace.
   *
   * @param sink Handed each line, without a newline.
   */
  constructor(sink?: (line: string) => void) {
    this.#sink = sink;
  }

  /** How many lines there are: the number of the next event. */
  get lines(): number {
    return this.#lines;
  }

  /**
   * The hash of all lines, to be asked for at the end: 16 hex digits, two
   * multiplicative hashes of 32 bits each over the UTF-8 in words of four
   * bytes. It tells traces apart; it withstands no attack.
   */
  get hash(): string {
    this.#digest(this.#waiting);
    this.#waiting = "";
    return [this.#high, this.#low].map((half) =>
      (half >>> 0).toString(16).padStart(8, "0")
    ).join("");
  }

  /**
   * Adds an event.
   *
   * @param line Its JSON.
   */
  add(line: string): void {
    this.#lines++;
    this.#sink?.(line);
    this.#waiting += line + "\n";
    if (this.#waiting.length < CHUNK) return;
    for (let i = 0; i < this.#waiting.length; i += 2 * CHUNK) {
      this.#digest(this.#waiting.slice(i, i + 2 * CHUNK));
    }
    this.#waiting = "";
  }

  #digest(text: string): void {
    const { written } = this.#encoder.encodeInto(text, this.#bytes);
    this.#bytes.fill(0, written, written + 4);
    let low = this.#low ^ written;
    let high = this.#high;
    for (let i = 0; i < written; i += 4) {
      const word = this.#view.getUint32(i, true);
      low = Math.imul(low ^ word, 0x01000193);
      low ^= low >>> 15;
      high = Math.imul(high ^ word, 0x5bd1e995);
      high ^= high >>> 13;
    }
    this.#low = low;
    this.#high = high;
  }
}

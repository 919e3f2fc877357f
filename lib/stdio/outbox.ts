/** Lines out: gathered, and written once per turn of the event loop. */
import { deferred } from "../deferred.ts";
import { ErrorCode, RpcError } from "../errors.ts";
import type { EventLoop } from "./event_loop.ts";

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

/**
 * How many bytes one write has at most: in pieces, the progress of a slow
 * reader can be seen. Each costs a visit of another thread: with 65,536 the CPU
 * of pumped echoes is a tenth higher.
 */
const WRITE_BYTES = 262_144;

/** Lines on their way out: gathered, and written once per turn of the event loop. */
export class Outbox {
  readonly #output: Output;
  readonly #maxBytes: number;
  readonly #loop: EventLoop;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #waiting = 0;
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #writes = 0;
  #failure: Error | undefined;
  readonly #failed = deferred<Error>();

  constructor(output: Output, maxBytes: number, loop: EventLoop) {
    this.#output = output;
    this.#maxBytes = maxBytes;
    this.#loop = loop;
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
    this.#schedule((write) => this.#loop.soon(write));
  }

  /**
   * To be called before input is handled: what that sends is written once it
   * is, without waiting for the next turn of the event loop.
   */
  gather(): void {
    if (!this.#scheduled) {
      this.#schedule((write) => this.#loop.settled(write));
    }
  }

  #schedule(at: (write: () => void) => void): void {
    this.#scheduled = true;
    at(() => {
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

/** Memory is given back while the node has little to do: V8 collects only while something happens. */
import { collect, eventLoop, memoryUsage } from "./deno.ts";

/** How often to look, in ms, from the first event on ... */
const LOOK_MS = 1000;
/** ... until there were no more than so many events since the last look. */
const FEW_EVENTS = 100;
/** Growth, in bytes, that is worth a collection: it takes about 40 ms. */
const GROWN_BYTES = 12 * 1024 * 1024;
/** With more RPCs pending than this, the memory is in use. */
const FEW_PENDING = 1000;
/** A bigger heap takes too long to be collected at once. */
const HEAP_BYTES = 128 * 1024 * 1024;
/** A collection comes no sooner after the one before than so many times as long as that took. */
const PAUSE = 100;

/** Collects garbage when the process has grown and there is little to do. */
export class Memory {
  readonly #pendingCount: () => number;
  #collectedBytes = memoryUsage().rss;
  #notBefore = 0;
  #events = 0;
  #cancelTimer: (() => void) | undefined;

  /** @param pendingCount How many RPCs are pending. */
  constructor(pendingCount: () => number) {
    this.#pendingCount = pendingCount;
  }

  /** To be called whenever something happens that may use memory or free it. */
  used(): void {
    this.#events++;
    if (this.#cancelTimer === undefined) this.#arm();
  }

  /** Looks no more. */
  stop(): void {
    this.#cancelTimer?.();
  }

  #arm(): void {
    this.#cancelTimer = eventLoop.setTimer(() => this.#look(), LOOK_MS);
  }

  async #look(): Promise<void> {
    const busy = this.#events > FEW_EVENTS;
    this.#events = 0;
    if (busy || performance.now() < this.#notBefore) {
      return this.#arm();
    }
    this.#cancelTimer = undefined;
    const { rss, heapUsed } = memoryUsage();
    if (
      rss < this.#collectedBytes + GROWN_BYTES || heapUsed > HEAP_BYTES ||
      this.#pendingCount() > FEW_PENDING
    ) return;
    const startedAt = performance.now();
    await collect();
    const endedAt = performance.now();
    this.#notBefore = endedAt + PAUSE * (endedAt - startedAt);
    this.#collectedBytes = memoryUsage().rss;
  }
}

/** Memory is given back while the node has little to do: V8 collects only while something happens. */
import type { EventLoop } from "./event_loop.ts";

/** What it needs of a runtime; a test hands in its own. */
export interface MemoryRuntime {
  /** How much memory is used, in bytes. */
  memoryUsage(): { rss: number; heapUsed: number };
  /** Collects all the garbage. */
  collect(): Promise<void>;
  /** Its event loop. */
  eventLoop: Pick<EventLoop, "setTimer">;
  /** Ms since some fixed moment. */
  now(): number;
}

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
  readonly #runtime: MemoryRuntime;
  #collectedBytes: number;
  #notBefore = 0;
  #events = 0;
  #cancelTimer: (() => void) | undefined;

  /**
   * @param pendingCount How many RPCs are pending.
   * @param runtime The runtime.
   */
  constructor(
    pendingCount: () => number,
    runtime: MemoryRuntime,
  ) {
    this.#pendingCount = pendingCount;
    this.#runtime = runtime;
    this.#collectedBytes = runtime.memoryUsage().rss;
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
    this.#cancelTimer = this.#runtime.eventLoop.setTimer(
      () => this.#look(),
      LOOK_MS,
    );
  }

  async #look(): Promise<void> {
    const { collect, memoryUsage, now } = this.#runtime;
    const busy = this.#events > FEW_EVENTS;
    this.#events = 0;
    if (busy || now() < this.#notBefore) {
      return this.#arm();
    }
    this.#cancelTimer = undefined;
    const { rss, heapUsed } = memoryUsage();
    if (
      rss < this.#collectedBytes + GROWN_BYTES || heapUsed > HEAP_BYTES ||
      this.#pendingCount() > FEW_PENDING
    ) return;
    const startedAt = now();
    await collect();
    const endedAt = now();
    this.#notBefore = endedAt + PAUSE * (endedAt - startedAt);
    this.#collectedBytes = memoryUsage().rss;
  }
}

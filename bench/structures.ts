// deno-lint-ignore-file no-import-prefix -- not in deno.json, so that only the benchmarks download them
/** Ways to keep the callbacks of pending RPCs until their deadlines. */
import { MinPriorityQueue } from "npm:@datastructures-js/priority-queue@6.4.0";
import FlatQueue from "npm:flatqueue@3.1.0";
import { Heap } from "npm:heap-js@2.7.1";
import TinyQueue from "npm:tinyqueue@3.0.0";
import { systemClock } from "../lib/clock.ts";
import { PendingRpcs } from "../lib/pending_rpcs.ts";
import { Reaper } from "../lib/reaper.ts";

/** What all of them invoke: bookkeeping alone is measured. */
const callback = () => {};

/** The callbacks of pending RPCs. Times are in ms. */
export interface Structure {
  /** Registers the callback of an RPC; ids grow. */
  register(id: number, now: number, timeoutMs: number): void;
  /** Invokes and forgets the callback of a pending RPC. */
  settle(id: number): void;
  /** Invokes and forgets the callbacks that are due; absent where timers do that. */
  reap?(now: number): number;
  /** How often it scans, in ms, instead of looking at what is due. */
  scanMs?: number;
  /** Reaps by itself, in slices; where absent, one call of `reap` does it all. */
  reapInSlices?(): Promise<void>;
  /** How many are pending. */
  readonly size: number;
}

class Gyre implements Structure {
  readonly #pending = new PendingRpcs(16_000_000, (error) => {
    throw error;
  });
  readonly #reply = {
    src: "n2",
    dest: "n1",
    body: { type: "echo_ok", in_reply_to: 0 },
  };

  get size(): number {
    return this.#pending.size;
  }
  register(id: number, now: number, timeoutMs: number): void {
    this.#pending.register(id, "n2", now, timeoutMs, callback);
  }
  settle(id: number): void {
    this.#reply.body.in_reply_to = id;
    this.#pending.settle(this.#reply);
  }
  reap(now: number): number {
    const reaped = { count: 0, oldestAgeMs: 0 };
    while (this.#pending.reapFirst(now, performance.now(), reaped));
    return reaped.count;
  }
  reapInSlices(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    new Reaper({
      pending: this.#pending,
      clock: systemClock,
      report: () => resolve(),
      caughtUp: () => undefined,
      failed: () => {},
      graceMs: 2000,
    }).update();
    return promise;
  }
}

class TimerEach implements Structure {
  readonly #timers = new Map<
    number,
    { callback: () => void; timer: ReturnType<typeof setTimeout> }
  >();

  get size(): number {
    return this.#timers.size;
  }
  register(id: number, _now: number, timeoutMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(id);
      callback();
    }, timeoutMs);
    this.#timers.set(id, { callback, timer });
  }
  settle(id: number): void {
    const { callback, timer } = this.#timers.get(id)!;
    this.#timers.delete(id);
    clearTimeout(timer);
    callback();
  }
}

interface Entry {
  id: number;
  deadline: number;
  callback: () => void;
}

class MapScan implements Structure {
  readonly scanMs = 500;
  readonly #entries = new Map<
    number,
    { callback: () => void; deadline: number }
  >();

  get size(): number {
    return this.#entries.size;
  }
  register(id: number, now: number, timeoutMs: number): void {
    this.#entries.set(id, { callback, deadline: now + timeoutMs });
  }
  settle(id: number): void {
    const { callback } = this.#entries.get(id)!;
    this.#entries.delete(id);
    callback();
  }
  reap(now: number): number {
    let count = 0;
    for (const [id, { callback, deadline }] of this.#entries) {
      if (deadline > now) continue;
      this.#entries.delete(id);
      callback();
      count++;
    }
    return count;
  }
}

/** A bare `Map`: no deadlines, so nothing expires. The least that can be. */
class BareMap implements Structure {
  readonly #callbacks = new Map<number, () => void>();

  get size(): number {
    return this.#callbacks.size;
  }
  register(id: number): void {
    this.#callbacks.set(id, callback);
  }
  settle(id: number): void {
    this.#callbacks.get(id)!();
    this.#callbacks.delete(id);
  }
}

/** What a priority queue of entries has to offer. */
interface Queue {
  push(entry: Entry): unknown;
  pop(): unknown;
  peek(): Entry | null | undefined;
}

/** A queue that can't remove: what is settled stays in it until it is due. */
class LazyQueue implements Structure {
  readonly #pending = new Map<number, Entry>();
  readonly #queue: Queue;

  constructor(queue: Queue) {
    this.#queue = queue;
  }
  get size(): number {
    return this.#pending.size;
  }
  register(id: number, now: number, timeoutMs: number): void {
    const entry = { id, deadline: now + timeoutMs, callback };
    this.#pending.set(id, entry);
    this.#queue.push(entry);
  }
  settle(id: number): void {
    const { callback } = this.#pending.get(id)!;
    this.#pending.delete(id);
    callback();
  }
  reap(now: number): number {
    let count = 0;
    for (;;) {
      const entry = this.#queue.peek();
      if (!entry || entry.deadline > now) return count;
      this.#queue.pop();
      if (!this.#pending.delete(entry.id)) continue;
      entry.callback();
      count++;
    }
  }
}

/** The same over a queue of numbers. */
class LazyFlatQueue implements Structure {
  readonly #callbacks = new Map<number, () => void>();
  readonly #queue = new FlatQueue<number>();

  get size(): number {
    return this.#callbacks.size;
  }
  register(id: number, now: number, timeoutMs: number): void {
    this.#callbacks.set(id, callback);
    this.#queue.push(id, now + timeoutMs);
  }
  settle(id: number): void {
    const callback = this.#callbacks.get(id)!;
    this.#callbacks.delete(id);
    callback();
  }
  reap(now: number): number {
    let count = 0;
    for (;;) {
      const deadline = this.#queue.peekValue();
      if (deadline === undefined || deadline > now) return count;
      const id = this.#queue.pop()!;
      const callback = this.#callbacks.get(id);
      if (callback === undefined) continue;
      this.#callbacks.delete(id);
      callback();
      count++;
    }
  }
}

const byDeadline = (a: Entry, b: Entry) => a.deadline - b.deadline;

/** Not in `deno.json`: JSR is out of reach in many places. */
const STD_HEAP = "jsr:@std/data-structures@1.0.4/binary-heap";

/** All of them, in the order in which they are shown. */
export const structures: Record<string, () => Promise<Structure> | Structure> =
  {
    "gyre": () => new Gyre(),
    "bare Map": () => new BareMap(),
    "setTimeout each": () => new TimerEach(),
    "Map scanned": () => new MapScan(),
    "heap-js": () => new LazyQueue(new Heap<Entry>(byDeadline)),
    "tinyqueue": () => new LazyQueue(new TinyQueue<Entry>([], byDeadline)),
    "flatqueue": () => new LazyFlatQueue(),
    "@datastructures-js": () => {
      const queue = new MinPriorityQueue<Entry>(({ deadline }) => deadline);
      return new LazyQueue({
        push: (entry) => queue.enqueue(entry),
        pop: () => queue.dequeue(),
        peek: () => queue.front(),
      });
    },
    "@std heap": async () => {
      const { BinaryHeap } = await import(STD_HEAP);
      return new LazyQueue(new BinaryHeap(byDeadline));
    },
  };

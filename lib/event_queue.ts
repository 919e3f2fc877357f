/** What is to happen when, in virtual time. */
import { DeadlineHeap } from "./deadline_heap.ts";

/**
 * Functions to be called at their times: a {@linkcode DeadlineHeap} of them.
 * What is due at the same time comes in the order in which it was scheduled,
 * so that a run depends on nothing but what was scheduled.
 *
 * @example
 * ```ts
 * import { EventQueue } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new EventQueue();
 * const called: string[] = [];
 * queue.schedule(20, () => called.push("b"));
 * queue.schedule(10, () => called.push("a"));
 * const cancel = queue.schedule(15, () => called.push("never"));
 * cancel();
 * while (queue.size > 0) queue.take()();
 * assertEquals(called, ["a", "b"]);
 * ```
 */
export class EventQueue {
  readonly #heap: DeadlineHeap;
  readonly #fns: ((() => void) | undefined)[] = [];
  /** Of each slot: its event's number in the order of scheduling. */
  readonly #orders: number[] = [];
  readonly #positions: number[] = [];
  readonly #free: number[] = [];
  #scheduled = 0;

  /** An empty queue. */
  constructor() {
    this.#heap = new DeadlineHeap({
      moved: (slot, position) => this.#positions[slot] = position,
      precedes: (a, b) => this.#orders[a]! < this.#orders[b]!,
    });
  }

  /** How many events are to come. */
  get size(): number {
    return this.#heap.size;
  }

  /** The time of the next event; `Infinity` when there is none. */
  get nextTime(): number {
    return this.#heap.firstDeadline;
  }

  /**
   * Adds an event.
   *
   * @param time When, in the caller's unit.
   * @param fn What to call.
   * @returns Cancels the event; does nothing once it was taken.
   */
  schedule(time: number, fn: () => void): () => void {
    const slot = this.#insert(time, fn);
    const order = this.#orders[slot];
    return () => {
      if (this.#orders[slot] === order) this.#remove(slot);
    };
  }

  /**
   * Adds an event that is never cancelled, which costs a little less.
   *
   * @param time When, in the caller's unit.
   * @param fn What to call.
   */
  add(time: number, fn: () => void): void {
    this.#insert(time, fn);
  }

  /**
   * Takes the next event out. Only while the queue is not empty.
   *
   * @returns What to call.
   */
  take(): () => void {
    const slot = this.#heap.firstItem;
    const fn = this.#fns[slot]!;
    this.#remove(slot);
    return fn;
  }

  #insert(time: number, fn: () => void): number {
    const slot = this.#free.pop() ?? this.#fns.length;
    this.#fns[slot] = fn;
    this.#orders[slot] = this.#scheduled++;
    this.#heap.push(time, slot);
    return slot;
  }

  #remove(slot: number): void {
    this.#heap.removeAt(this.#positions[slot]!);
    this.#fns[slot] = undefined;
    this.#orders[slot] = -1;
    this.#free.push(slot);
  }
}

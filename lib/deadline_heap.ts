/** An indexed min-heap keyed by deadline. */

/** log2 of the entries in a segment. */
const SEGMENT_BITS = 12;
const SEGMENT_SIZE = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_SIZE - 1;

/** What the heap asks of the owner of its items. */
export interface DeadlineHeapOwner {
  /**
   * The item now stands at this position: keep it, to remove the item by.
   *
   * @param item The item.
   * @param position Where it stands.
   */
  moved(item: number, position: number): void;
  /**
   * Whether item `a`, of the same deadline as `b`, goes before it.
   *
   * @param a An item.
   * @param b Another one.
   */
  precedes(a: number, b: number): boolean;
}

/**
 * An indexed 4-ary min-heap keyed by deadline. An item is an unsigned 32-bit
 * number; the owner is told at each move where its item stands, and can so
 * remove it exactly, from wherever it is, in O(log n).
 *
 * Entries lie in typed arrays, 12 bytes each, in segments of 4,096 that are
 * added one by one and dropped again: it never copies itself to grow.
 */
export class DeadlineHeap {
  #size = 0;
  readonly #deadlines: Float64Array[] = [];
  readonly #items: Uint32Array[] = [];
  readonly #owner: DeadlineHeapOwner;

  /** @param owner Whose items these are. */
  constructor(owner: DeadlineHeapOwner) {
    this.#owner = owner;
  }

  /** How many items there are. */
  get size(): number {
    return this.#size;
  }

  /** The earliest deadline; `Infinity` when empty. */
  get firstDeadline(): number {
    return this.#size === 0 ? Infinity : this.#deadlines[0]![0]!;
  }

  /** The item with the earliest deadline. Only while the heap is not empty. */
  get firstItem(): number {
    return this.#items[0]![0]!;
  }

  /**
   * The deadline of the item at a position.
   *
   * @param position What the owner was last told.
   */
  deadlineAt(position: number): number {
    return this.#deadlines[position >>> SEGMENT_BITS]![
      position & SEGMENT_MASK
    ]!;
  }

  /**
   * Adds an item.
   *
   * @param deadline The key.
   * @param item An unsigned 32-bit number that is not in the heap.
   */
  push(deadline: number, item: number): void {
    const position = this.#size++;
    if (position >>> SEGMENT_BITS === this.#items.length) {
      this.#deadlines.push(new Float64Array(SEGMENT_SIZE));
      this.#items.push(new Uint32Array(SEGMENT_SIZE));
    }
    this.#siftUp(position, deadline, item);
  }

  /**
   * Removes the item at a position.
   *
   * @param position What the owner was last told.
   */
  removeAt(position: number): void {
    const last = --this.#size;
    const deadline = this.deadlineAt(last);
    const item = this.#itemAt(last);
    // One empty segment stays, so that a size that swings around a boundary allocates nothing.
    if (this.#items.length > (last >>> SEGMENT_BITS) + 2) {
      this.#deadlines.pop();
      this.#items.pop();
    }
    if (position === last) return;
    const parent = (position - 1) >>> 2;
    if (
      position > 0 &&
      this.#before(
        deadline,
        item,
        this.deadlineAt(parent),
        this.#itemAt(parent),
      )
    ) {
      this.#siftUp(position, deadline, item);
    } else {
      this.#siftDown(position, deadline, item);
    }
  }

  /**
   * Puts another name on the item at a position; its deadline stays.
   *
   * @param position What the owner was last told.
   * @param item The new name.
   */
  rename(position: number, item: number): void {
    this.#items[position >>> SEGMENT_BITS]![position & SEGMENT_MASK] = item;
  }

  #itemAt(position: number): number {
    return this.#items[position >>> SEGMENT_BITS]![position & SEGMENT_MASK]!;
  }

  #before(deadlineA: number, a: number, deadlineB: number, b: number): boolean {
    return deadlineA < deadlineB ||
      (deadlineA === deadlineB && this.#owner.precedes(a, b));
  }

  #put(position: number, deadline: number, item: number): void {
    this.#deadlines[position >>> SEGMENT_BITS]![position & SEGMENT_MASK] =
      deadline;
    this.#items[position >>> SEGMENT_BITS]![position & SEGMENT_MASK] = item;
    this.#owner.moved(item, position);
  }

  #siftUp(position: number, deadline: number, item: number): void {
    while (position > 0) {
      const parent = (position - 1) >>> 2;
      const parentDeadline = this.deadlineAt(parent);
      const parentItem = this.#itemAt(parent);
      if (!this.#before(deadline, item, parentDeadline, parentItem)) break;
      this.#put(position, parentDeadline, parentItem);
      position = parent;
    }
    this.#put(position, deadline, item);
  }

  #siftDown(position: number, deadline: number, item: number): void {
    for (;;) {
      let child = position * 4 + 1;
      if (child >= this.#size) break;
      const end = Math.min(child + 4, this.#size);
      let least = child;
      let leastDeadline = this.deadlineAt(child);
      let leastItem = this.#itemAt(child);
      while (++child < end) {
        const childDeadline = this.deadlineAt(child);
        if (childDeadline > leastDeadline) continue;
        const childItem = this.#itemAt(child);
        if (this.#before(childDeadline, childItem, leastDeadline, leastItem)) {
          least = child;
          leastDeadline = childDeadline;
          leastItem = childItem;
        }
      }
      if (!this.#before(leastDeadline, leastItem, deadline, item)) break;
      this.#put(position, leastDeadline, leastItem);
      position = least;
    }
    this.#put(position, deadline, item);
  }
}

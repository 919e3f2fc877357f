/** An indexed min-heap keyed by deadline. */

/** log2 of how many children an entry has: eight deadlines fill a cache line, and make fewer levels than four. */
const ARITY_BITS = 3;
const ARITY = 1 << ARITY_BITS;
/** Where the root stands: from there, each entry's children start at a multiple of their number, never across segments. */
const ROOT = ARITY - 1;
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
 * An indexed 8-ary min-heap keyed by deadline. An item is an unsigned 32-bit
 * number; the owner is told at each move where its item stands, and can so
 * remove it exactly, from wherever it is, in O(log n).
 *
 * Entries lie in typed arrays, 12 bytes each, in segments of 4,096 that are
 * added one by one and dropped again: it never copies itself to grow.
 */
export class DeadlineHeap {
  /** Where the next entry will stand. */
  #end = ROOT;
  readonly #deadlines: Float64Array[] = [];
  readonly #items: Uint32Array[] = [];
  readonly #owner: DeadlineHeapOwner;

  /** @param owner Whose items these are. */
  constructor(owner: DeadlineHeapOwner) {
    this.#owner = owner;
  }

  /** How many items there are. */
  get size(): number {
    return this.#end - ROOT;
  }

  /** The earliest deadline; `Infinity` when empty. */
  get firstDeadline(): number {
    return this.#end === ROOT ? Infinity : this.#deadlines[0]![ROOT]!;
  }

  /** The item with the earliest deadline. Only while the heap is not empty. */
  get firstItem(): number {
    return this.#items[0]![ROOT]!;
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
    const position = this.#end++;
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
    const last = --this.#end;
    const deadline = this.deadlineAt(last);
    const item = this.#itemAt(last);
    // One empty segment stays, so that a size that swings around a boundary allocates nothing.
    if (this.#items.length > (last >>> SEGMENT_BITS) + 2) {
      this.#deadlines.pop();
      this.#items.pop();
    }
    if (position === last) return;
    // The hole goes down to a leaf, and the last item up from there: it came from
    // the bottom, so that is where it mostly belongs.
    this.#siftUp(this.#sinkHole(position, Infinity), deadline, item);
  }

  /**
   * Gives the item at a position another deadline.
   *
   * @param position What the owner was last told.
   * @param deadline The new key.
   */
  update(position: number, deadline: number): void {
    if (deadline === this.deadlineAt(position)) return;
    const item = this.#itemAt(position);
    this.#siftUp(this.#sinkHole(position, deadline), deadline, item);
  }

  #itemAt(position: number): number {
    return this.#items[position >>> SEGMENT_BITS]![position & SEGMENT_MASK]!;
  }

  #put(position: number, deadline: number, item: number): void {
    const segment = position >>> SEGMENT_BITS;
    this.#deadlines[segment]![position & SEGMENT_MASK] = deadline;
    this.#items[segment]![position & SEGMENT_MASK] = item;
    this.#owner.moved(item, position);
  }

  #siftUp(position: number, deadline: number, item: number): void {
    while (position > ROOT) {
      const parent = ((position - ARITY) >>> ARITY_BITS) + ROOT;
      const parentDeadline = this.deadlineAt(parent);
      if (parentDeadline < deadline) break;
      const parentItem = this.#itemAt(parent);
      if (
        parentDeadline === deadline && this.#owner.precedes(parentItem, item)
      ) break;
      this.#put(position, parentDeadline, parentItem);
      position = parent;
    }
    this.#put(position, deadline, item);
  }

  /** Fills a hole with its first child, and so on while that one is due by `limit`; returns where the hole is in the end. */
  #sinkHole(position: number, limit: number): number {
    for (;;) {
      const first = (position - ROOT + 1) << ARITY_BITS;
      if (first >= this.#end) return position;
      const end = Math.min(first + ARITY, this.#end);
      const segment = first >>> SEGMENT_BITS; // of all the children
      const deadlines = this.#deadlines[segment]!;
      const items = this.#items[segment]!;
      let least = first;
      let deadline = deadlines[first & SEGMENT_MASK]!;
      let item = items[first & SEGMENT_MASK]!;
      for (let child = first + 1; child < end; child++) {
        const other = deadlines[child & SEGMENT_MASK]!;
        if (other > deadline) continue;
        const otherItem = items[child & SEGMENT_MASK]!;
        if (other === deadline && this.#owner.precedes(item, otherItem)) {
          continue;
        }
        least = child;
        deadline = other;
        item = otherItem;
      }
      if (deadline > limit) return position;
      this.#put(position, deadline, item);
      position = least;
    }
  }
}

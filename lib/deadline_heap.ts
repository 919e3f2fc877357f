/** An indexed min-heap keyed by deadline. */

/** From how many items on memory is given back: V8 keeps what `pop` frees of a large array. */
const LARGE = 1000;

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
 * An indexed binary min-heap keyed by deadline. An item is a number; the owner
 * is told at each move where its item stands, and can so remove it exactly,
 * from wherever it is, in O(log n).
 */
export class DeadlineHeap {
  #deadlines: number[] = [];
  #items: number[] = [];
  /** The most items since memory was given back. */
  #sizeMax = 0;
  readonly #owner: DeadlineHeapOwner;

  /** @param owner Whose items these are. */
  constructor(owner: DeadlineHeapOwner) {
    this.#owner = owner;
  }

  /** How many items there are. */
  get size(): number {
    return this.#items.length;
  }

  /** The earliest deadline; `Infinity` when empty. */
  get firstDeadline(): number {
    return this.size === 0 ? Infinity : this.#deadlines[0]!;
  }

  /** The item with the earliest deadline. Only while the heap is not empty. */
  get firstItem(): number {
    return this.#items[0]!;
  }

  /**
   * The deadline of the item at a position.
   *
   * @param position What the owner was last told.
   */
  deadlineAt(position: number): number {
    return this.#deadlines[position]!;
  }

  /**
   * Adds an item.
   *
   * @param deadline Its key.
   * @param item The item.
   */
  push(deadline: number, item: number): void {
    this.#place(this.size, deadline, item);
    this.#sizeMax = Math.max(this.#sizeMax, this.size);
  }

  /**
   * Removes the item at a position.
   *
   * @param position What the owner was last told.
   */
  removeAt(position: number): void {
    const deadline = this.#deadlines.pop()!;
    const item = this.#items.pop()!;
    if (position < this.size) this.#place(position, deadline, item);
    if (this.#sizeMax >= LARGE && this.size < this.#sizeMax / 4) {
      this.#deadlines = this.#deadlines.slice();
      this.#items = this.#items.slice();
      this.#sizeMax = this.size;
    }
  }

  /**
   * Gives the item at a position another deadline.
   *
   * @param position What the owner was last told.
   * @param deadline The new key.
   */
  update(position: number, deadline: number): void {
    this.#place(position, deadline, this.#items[position]!);
  }

  /** Puts an item into the heap, given a position that is free for it. */
  #place(position: number, deadline: number, item: number): void {
    let at = position;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#precedes(deadline, item, parent)) break;
      this.#put(at, this.#deadlines[parent]!, this.#items[parent]!);
      at = parent;
    }
    for (let child; (child = this.#firstChild(at)) < this.size; at = child) {
      if (this.#precedes(deadline, item, child)) break;
      this.#put(at, this.#deadlines[child]!, this.#items[child]!);
    }
    this.#put(at, deadline, item);
  }

  /** Which of the children of a position goes first; past the end when it has none. */
  #firstChild(position: number): number {
    const left = 2 * position + 1;
    const right = left + 1;
    return right < this.size &&
        this.#precedes(this.#deadlines[right]!, this.#items[right]!, left)
      ? right
      : left;
  }

  /** Whether an item goes before the one at a position. */
  #precedes(deadline: number, item: number, position: number): boolean {
    const other = this.#deadlines[position]!;
    return deadline < other ||
      deadline === other && this.#owner.precedes(item, this.#items[position]!);
  }

  #put(position: number, deadline: number, item: number): void {
    this.#deadlines[position] = deadline;
    this.#items[position] = item;
    this.#owner.moved(item, position);
  }
}

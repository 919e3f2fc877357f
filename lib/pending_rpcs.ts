/** Who waits for which reply, and until when. */
import { DeadlineHeap } from "./deadline_heap.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import type { Body, Message } from "./message.ts";

/**
 * Invoked exactly once for each RPC: with the reply's body, or with an error:
 * the reply's own, a timeout (code 0), or why the RPC was cancelled. What it
 * throws, or rejects with, is logged.
 */
export type RpcCallback<R = Body> = (
  error: RpcError | undefined,
  reply: R | undefined,
) => unknown;

/** What became of a reply: it settled its RPC, or why it did not. */
export type ReplyOutcome =
  | "replied"
  | "late"
  | "duplicate"
  | "stray"
  | "unknown";

/** Counters of everything that happened to RPCs, since the start. */
export interface PendingRpcsStats {
  /** Callbacks waiting now. */
  pending: number;
  /** The most callbacks that ever waited at once. */
  pending_max: number;
  /** Callbacks registered. */
  registered: number;
  /** Callbacks invoked with their reply, be it an error. */
  replied: number;
  /** Callbacks invoked with a timeout error. */
  reaped: number;
  /** Callbacks invoked with the reason they were cancelled for. */
  cancelled: number;
  /** Replies to RPCs that had been reaped or cancelled. */
  late: number;
  /** Replies to RPCs that had been answered. */
  duplicate: number;
  /** Replies that came from another node than the RPC went to. */
  stray: number;
  /** Replies to nothing that is pending or remembered. */
  unknown: number;
}

/** The highest limit on pending RPCs: more than there is memory for. */
export const MAX_PENDING = 1_000_000_000;

/** How many settled ids are remembered, to tell late replies from duplicate and unknown ones. A power of two. */
const REMEMBERED = 16_384;
const REPLIED = 1;
const GIVEN_UP = 2;

/** How many RPCs fit into a segment. */
const SEGMENT_SIZE = 1024;
const MAX_UINT32 = 2 ** 32 - 1;

/**
 * A run of RPCs in the order of their ids, column by column; a settled one
 * leaves a hole. It knows the order of their deadlines, too: as that is mostly
 * the order of the ids, an RPC mostly comes last, and few ever need to move.
 */
class Segment {
  /** The segment's place in the table, and its name in the heap. */
  readonly number: number;
  /** Where in the heap it stands. */
  position = 0;
  /** The id of the RPC that opened the segment. */
  firstId = 0;
  /** Offsets in use, holes included. */
  used = 0;
  /** RPCs that are pending. */
  live = 0;
  /** The ids, as differences from `firstId`. */
  readonly ids: Uint32Array = new Uint32Array(SEGMENT_SIZE);
  /** The number of each one's destination. */
  readonly dests: Uint32Array = new Uint32Array(SEGMENT_SIZE);
  /** The timeouts in ms: the deadline less this is the moment of registration. */
  readonly timeouts: Float32Array = new Float32Array(SEGMENT_SIZE);
  /** The deadlines in ms on the clock. */
  readonly deadlines: Float64Array = new Float64Array(SEGMENT_SIZE);
  /** The callbacks; `undefined` is a hole. */
  readonly callbacks: (RpcCallback | undefined)[] = new Array(SEGMENT_SIZE)
    .fill(undefined);
  /** The offsets in the order of deadlines, holes included. */
  readonly #order: Uint16Array = new Uint16Array(SEGMENT_SIZE);
  /** Where in the order the first one stands that is pending. */
  #head = 0;

  constructor(number: number) {
    this.number = number;
  }

  /** The offset of the RPC with the earliest deadline. Only while one is pending. */
  get first(): number {
    return this.#order[this.#head]!;
  }

  /** The earliest deadline. Only while an RPC is pending. */
  get firstDeadline(): number {
    return this.deadlines[this.first]!;
  }

  /** Adds an RPC whose id is the highest so far. */
  add(
    msgId: number,
    dest: number,
    timeoutMs: number,
    deadline: number,
    callback: RpcCallback,
  ): void {
    const offset = this.used++;
    this.live++;
    this.ids[offset] = msgId - this.firstId;
    this.dests[offset] = dest;
    this.timeouts[offset] = timeoutMs;
    this.deadlines[offset] = deadline;
    this.callbacks[offset] = callback;
    let place = offset;
    if (offset > 0 && this.deadlines[this.#order[offset - 1]!]! > deadline) {
      place = this.#placeFor(deadline, offset);
      this.#order.copyWithin(place + 1, place, offset);
    }
    this.#order[place] = offset;
  }

  /** Takes an RPC out, and leaves a hole. */
  remove(offset: number): RpcCallback {
    const callback = this.callbacks[offset]!;
    this.callbacks[offset] = undefined;
    this.live--;
    while (
      this.#head < this.used && this.callbacks[this.first] === undefined
    ) this.#head++;
    return callback;
  }

  /** Forgets all. */
  clear(): void {
    this.used = this.live = this.#head = 0;
  }

  /** The offset of a pending id; -1 when there is none. */
  find(msgId: number): number {
    const wanted = msgId - this.firstId;
    let low = 0;
    let high = this.used - 1;
    if (high < 0 || wanted > this.ids[high]!) return -1;
    // Ids mostly come at regular steps, so the first guess is mostly right.
    let guess = Math.floor(wanted / (this.ids[high]! + 1) * this.used);
    for (;;) {
      const id = this.ids[guess]!;
      if (id === wanted) {
        return this.callbacks[guess] === undefined ? -1 : guess;
      }
      if (id < wanted) low = guess + 1;
      else high = guess - 1;
      if (low > high) return -1;
      guess = (low + high) >>> 1;
    }
  }

  /** Where in the order a deadline belongs: behind those that are equal to it. */
  #placeFor(deadline: number, end: number): number {
    let low = this.#head;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.deadlines[this.#order[middle]!]! <= deadline) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Numbers for the destinations of pending RPCs, so that an RPC needs 4 bytes for its own. */
class Destinations {
  readonly #numbers: Map<string, number> = new Map();
  readonly #names: string[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];

  name(number: number): string {
    return this.#names[number]!;
  }

  /** The number of a destination, in use once more. */
  acquire(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#free.pop() ?? this.#names.length;
      this.#numbers.set(name, number);
      this.#names[number] = name;
      this.#uses[number] = 0;
    }
    this.#uses[number]!++;
    return number;
  }

  /** One use less; a name that no one uses is forgotten. */
  release(number: number): void {
    if (--this.#uses[number]! > 0) return;
    this.#numbers.delete(this.#names[number]!);
    this.#names[number] = "";
    this.#free.push(number);
    if (this.#numbers.size === 0) { // after a burst of many names
      this.#names.length = this.#uses.length = this.#free.length = 0;
    }
  }
}

/** What one call of {@linkcode PendingRpcs.reap} did. */
export interface Reaped {
  /** How many callbacks were invoked with a timeout error. */
  count: number;
  /** The age in ms of the oldest of them; 0 when there were none. */
  oldestAgeMs: number;
}

/**
 * The callbacks of the RPCs that have no reply yet: a table by message id, and
 * a {@linkcode DeadlineHeap} that finds the expired ones.
 *
 * Ids only grow, so the table is a log: segments of 1,024 RPCs in typed
 * columns, found by binary search. Each segment keeps its RPCs sorted by
 * deadline, and the heap's items are the segments, keyed by their earliest
 * deadlines: it is a thousand times smaller than one of RPCs, and hears only of
 * those that come first in their segment. Emptied segments are dropped,
 * neighbours that have become sparse are merged, so that memory follows what is
 * pending: 30 bytes for each, and no call copies more than a segment.
 */
export class PendingRpcs {
  /** The segments in the order of their ids. */
  readonly #log: Segment[] = [];
  /** The segments by number. */
  readonly #segments: (Segment | undefined)[] = [];
  /** Numbers below the table's length that no segment has. */
  readonly #freeNumbers: number[] = [];
  /** An empty segment, kept so that a table that swings around a boundary allocates nothing. */
  #spare: Segment | undefined;
  readonly #destinations = new Destinations();
  readonly #heap: DeadlineHeap;
  /** Of the last settled ids, at id modulo the size: the id's upper bits and, in the lowest two, its outcome. */
  readonly #settled: Uint32Array = new Uint32Array(REMEMBERED);
  #size = 0;
  readonly #maxPending: number;
  readonly #onError: (error: unknown) => void;
  readonly #counts = {
    pending_max: 0,
    registered: 0,
    replied: 0,
    reaped: 0,
    cancelled: 0,
    late: 0,
    duplicate: 0,
    stray: 0,
    unknown: 0,
  };

  /**
   * @param maxPending How many callbacks may wait at once.
   * @param onError Told what a callback threw.
   */
  constructor(maxPending: number, onError: (error: unknown) => void) {
    this.#maxPending = maxPending;
    this.#onError = onError;
    this.#heap = new DeadlineHeap({
      moved: (number, position) => {
        this.#segments[number]!.position = position;
      },
      precedes: (a, b) =>
        this.#segments[a]!.firstId < this.#segments[b]!.firstId,
    });
  }

  /** How many callbacks wait. */
  get size(): number {
    return this.#size;
  }

  /** How many callbacks there is memory for now; follows {@linkcode PendingRpcs.size}, up and down. */
  get capacity(): number {
    return (this.#log.length + (this.#spare ? 1 : 0)) * SEGMENT_SIZE;
  }

  /** The earliest deadline in ms on the clock; `Infinity` when nothing is pending. */
  get firstDeadline(): number {
    return this.#heap.firstDeadline;
  }

  /** Counters since the start. */
  stats(): PendingRpcsStats {
    return { pending: this.size, ...this.#counts };
  }

  /**
   * Refuses one callback too many.
   *
   * @throws {RpcError} Temporarily unavailable (code 11): the limit is reached.
   */
  checkRoom(): void {
    if (this.size >= this.#maxPending) {
      throw new RpcError(
        ErrorCode.temporarilyUnavailable,
        `${this.size} RPCs are pending: the limit 'maxPending' is reached`,
      );
    }
  }

  /**
   * Registers a callback.
   *
   * @param msgId The RPC's message id; greater than all before.
   * @param dest The node that must answer.
   * @param now The time in ms on the clock.
   * @param timeoutMs After how long to give up.
   * @param callback What to invoke.
   * @returns The deadline in ms on the clock.
   * @throws {RpcError} Temporarily unavailable (code 11): the limit is reached.
   */
  register(
    msgId: number,
    dest: string,
    now: number,
    timeoutMs: number,
    callback: RpcCallback,
  ): number {
    this.checkRoom();
    let segment = this.#log.at(-1);
    if (
      segment === undefined || segment.used === SEGMENT_SIZE ||
      msgId - segment.firstId > MAX_UINT32
    ) segment = this.#open(msgId);
    const deadline = now + timeoutMs;
    segment.add(
      msgId,
      this.#destinations.acquire(dest),
      timeoutMs,
      deadline,
      callback,
    );
    if (segment.live === 1) this.#heap.push(deadline, segment.number);
    else if (segment.first === segment.used - 1) {
      this.#heap.update(segment.position, deadline);
    }
    this.#size++;
    this.#counts.registered++;
    this.#counts.pending_max = Math.max(this.#counts.pending_max, this.size);
    return deadline;
  }

  /**
   * Settles the RPC that a message answers.
   *
   * @param message A message whose body has an `in_reply_to`.
   * @returns What became of it; counted, too.
   */
  settle(message: Message): ReplyOutcome {
    const msgId = message.body.in_reply_to!;
    const segment = this.#find(msgId);
    const offset = segment?.find(msgId) ?? -1;
    let outcome: ReplyOutcome;
    if (segment === undefined || offset === -1) {
      outcome = this.#recall(msgId);
    } else if (
      this.#destinations.name(segment.dests[offset]!) !== message.src
    ) {
      outcome = "stray";
    } else {
      outcome = "replied";
      const callback = this.#remove(segment, offset, REPLIED);
      const { body } = message;
      this.#counts.replied++;
      if (body.type === "error") this.#invoke(callback, replyError(body));
      else this.#invoke(callback, undefined, body);
      return outcome;
    }
    this.#counts[outcome]++;
    return outcome;
  }

  /**
   * Cancels an RPC.
   *
   * @param msgId The RPC's message id.
   * @param reason What to invoke its callback with.
   * @returns Whether it was pending.
   */
  cancel(msgId: number, reason: RpcError): boolean {
    const segment = this.#find(msgId);
    const offset = segment?.find(msgId) ?? -1;
    if (segment === undefined || offset === -1) return false;
    this.#cancel(segment, offset, reason);
    return true;
  }

  /**
   * Cancels all that is pending, the earliest deadline first.
   *
   * @param reason What to invoke the callbacks with.
   */
  cancelAll(reason: RpcError): void {
    while (this.size > 0) {
      const segment = this.#firstSegment();
      this.#cancel(segment, segment.first, reason);
    }
  }

  /**
   * Removes the expired, in the order of their deadlines, and invokes each
   * with a timeout error.
   *
   * @param now The time in ms on the clock: what is due at it or before has expired.
   * @param more Asked after each callback whether to go on; on and on by default.
   */
  reap(now: number, more: () => boolean = () => true): Reaped {
    const reaped = { count: 0, oldestAgeMs: 0 };
    let error: RpcError | undefined;
    let errorDest = -1;
    let errorTimeoutMs = 0;
    while (this.size > 0 && this.#heap.firstDeadline <= now) {
      const deadline = this.#heap.firstDeadline;
      const segment = this.#firstSegment();
      const offset = segment.first;
      const dest = segment.dests[offset]!;
      const timeoutMs = segment.timeouts[offset]!;
      // An error costs more than all the rest: the RPCs that expire together share it.
      if (
        error === undefined || dest !== errorDest ||
        timeoutMs !== errorTimeoutMs
      ) {
        error = timeoutError(this.#destinations.name(dest), timeoutMs);
        errorDest = dest;
        errorTimeoutMs = timeoutMs;
      }
      reaped.count++;
      const ageMs = now - deadline + timeoutMs;
      if (ageMs > reaped.oldestAgeMs) reaped.oldestAgeMs = ageMs;
      this.#counts.reaped++;
      this.#invoke(this.#remove(segment, offset, GIVEN_UP), error);
      if (!more()) break;
    }
    return reaped;
  }

  /** The segment of the earliest deadline. Only while something is pending. */
  #firstSegment(): Segment {
    return this.#segments[this.#heap.firstItem]!;
  }

  /** The last segment that starts at or below an id: where the id is if it is pending. */
  #find(msgId: number): Segment | undefined {
    return this.#log[this.#indexOf(msgId)];
  }

  #indexOf(msgId: number): number {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#log[middle]!.firstId <= msgId) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #open(firstId: number): Segment {
    const segment = this.#spare ??
      new Segment(this.#freeNumbers.pop() ?? this.#segments.length);
    this.#spare = undefined;
    this.#segments[segment.number] = segment;
    segment.firstId = firstId;
    this.#log.push(segment);
    return segment;
  }

  /** Takes an RPC out; its callback is the caller's to invoke. */
  #remove(
    segment: Segment,
    offset: number,
    outcome: typeof REPLIED | typeof GIVEN_UP,
  ): RpcCallback {
    const msgId = segment.firstId + segment.ids[offset]!;
    const wasFirst = offset === segment.first;
    const callback = segment.remove(offset);
    this.#size--;
    this.#destinations.release(segment.dests[offset]!);
    this.#settled[msgId % REMEMBERED] = upperBits(msgId) << 2 | outcome;
    if (segment.live === 0) this.#drop(segment);
    else {
      if (wasFirst) this.#heap.update(segment.position, segment.firstDeadline);
      // Looking at the neighbours at every 64th removal is often enough.
      if (segment.live % (SEGMENT_SIZE / 16) === 0) this.#compact(segment);
    }
    return callback;
  }

  /** Merges a segment with a neighbour when half a segment holds both. */
  #compact(segment: Segment): void {
    if (segment.live > SEGMENT_SIZE / 2) return;
    const index = this.#indexOf(segment.firstId);
    for (const left of [index - 1, index]) {
      const a = this.#log[left];
      const b = this.#log[left + 1];
      if (
        a && b && a.live + b.live <= SEGMENT_SIZE / 2 &&
        b.firstId + b.ids[b.used - 1]! - a.firstId <= MAX_UINT32
      ) {
        const { used } = a;
        a.clear();
        this.#append(a, a, used);
        this.#append(a, b, b.used);
        this.#heap.update(a.position, a.firstDeadline);
        return this.#drop(b);
      }
    }
  }

  /** Moves the pending RPCs among the first `used` of `from` to the end of `to`, which may be the same. */
  #append(to: Segment, from: Segment, used: number): void {
    for (let offset = 0; offset < used; offset++) {
      const callback = from.callbacks[offset];
      if (callback === undefined) continue;
      from.callbacks[offset] = undefined;
      to.add(
        from.firstId + from.ids[offset]!,
        from.dests[offset]!,
        from.timeouts[offset]!,
        from.deadlines[offset]!,
        callback,
      );
    }
  }

  #drop(segment: Segment): void {
    this.#log.splice(this.#indexOf(segment.firstId), 1);
    this.#heap.removeAt(segment.position);
    this.#segments[segment.number] = undefined;
    segment.clear();
    if (this.#spare === undefined) this.#spare = segment;
    else this.#freeNumbers.push(segment.number);
  }

  #cancel(segment: Segment, offset: number, reason: RpcError): void {
    this.#counts.cancelled++;
    this.#invoke(this.#remove(segment, offset, GIVEN_UP), reason);
  }

  #recall(msgId: number): "late" | "duplicate" | "unknown" {
    const settled = this.#settled[msgId % REMEMBERED]!;
    const outcome = settled & 3;
    if (
      outcome === 0 ||
      settled >>> 2 !== upperBits(msgId)
    ) {
      return "unknown";
    }
    return outcome === REPLIED ? "duplicate" : "late";
  }

  #invoke(callback: RpcCallback, error?: RpcError, reply?: Body): void {
    try {
      const result = callback(error, reply);
      if (result instanceof Promise) result.catch(this.#onError);
    } catch (thrown) {
      this.#onError(thrown);
    }
  }
}

/** The 30 bits of an id above those that pick its place among the remembered. */
function upperBits(msgId: number): number {
  return Math.floor(msgId / REMEMBERED) % 2 ** 30;
}

function timeoutError(dest: string, timeoutMs: number): RpcError {
  return Object.freeze(
    new RpcError(
      ErrorCode.timeout,
      // Seven digits are what the timeout is stored with.
      `no reply from ${dest} within ${Number(timeoutMs.toPrecision(7))} ms`,
    ),
  );
}

function replyError(body: Body): RpcError {
  return new RpcError(
    Number.isSafeInteger(body.code) ? body.code as number : ErrorCode.crash,
    typeof body.text === "string" ? body.text : "",
  );
}

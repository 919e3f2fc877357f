/** Who waits for which reply, and until when. */
import { DeadlineHeap } from "./deadline_heap.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import type { Body, Message } from "./message.ts";

/**
 * Invoked exactly once for each RPC: with the reply's body, or with an error:
 * the reply's own, a timeout (code 0), or why the RPC was cancelled. What it
 * throws, or rejects with, is logged.
 *
 * Of RPCs to one node with one timeout that expire together, and of those that
 * are cancelled together, the callbacks share one error, which is frozen.
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
  /** Replies that came from another node than the RPC went to, be it pending or ended. */
  stray: number;
  /** Replies to nothing that is pending or remembered. */
  unknown: number;
}

/** The highest limit on pending RPCs: more than there is memory for. */
export const MAX_PENDING = 1_000_000_000;

/**
 * The longest name of a destination, in UTF-16 code units. It bounds what a
 * pending RPC takes; Maelstrom's own names have less than ten.
 */
export const MAX_DEST_LENGTH = 255;

/** How many ended RPCs are remembered, to tell late, duplicate, stray and unknown replies apart. */
const REMEMBERED = 16_384;
/** How many shared timeout errors a reap keeps at hand. */
const MAX_TIMEOUT_ERRORS = 10_000;

/** How many RPCs fit into a segment. */
const SEGMENT_SIZE = 1024;
const MAX_UINT32 = 2 ** 32 - 1;

/**
 * A column of 64-bit floating-point numbers. On V8's heap, which gives memory
 * back to the system after a burst; typed arrays come from malloc, which mostly
 * keeps it.
 */
function doubles(): number[] {
  return Array.from({ length: SEGMENT_SIZE }, () => 0.5); // 0 would be a small integer to V8
}

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
  /** Where each went; empty in a hole. */
  readonly dests: string[] = new Array(SEGMENT_SIZE).fill("");
  /** The timeouts in ms: the deadline less this is the moment of registration. */
  readonly timeouts: number[] = doubles();
  /** The deadlines in ms on the clock. */
  readonly deadlines: number[] = doubles();
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

  /** Adds an RPC whose id is higher than that of any that is pending. */
  add(
    msgId: number,
    dest: string,
    timeoutMs: number,
    deadline: number,
    callback: RpcCallback,
  ): void {
    const offset = this.used++;
    this.live++;
    this.ids[offset] = msgId - this.firstId;
    // Names come out of messages, each a copy: one serves a run of RPCs.
    const last = offset > 0 ? this.dests[offset - 1]! : "";
    this.dests[offset] = dest === last ? last : dest;
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
    this.dests[offset] = "";
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
      if (id === wanted && this.callbacks[guess] !== undefined) return guess;
      // Behind the hole of an RPC that could not be sent its id may come again.
      if (id <= wanted) low = guess + 1;
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

/** What was reaped. */
export interface Reaped {
  /** How many callbacks were invoked with a timeout error. */
  count: number;
  /** The age in ms, when it was reaped, of the oldest of them. */
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
 * pending: 39 bytes for each, and no call copies more than a segment.
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
  readonly #heap: DeadlineHeap;
  /** Of RPCs that have ended, at id modulo the size: id + 1 if it was answered, less than 0 if it was given up. */
  readonly #ended: Float64Array = new Float64Array(REMEMBERED);
  /** Hashes of the names of where those went: the names themselves are no longer held. */
  readonly #endedDests: Uint32Array = new Uint32Array(REMEMBERED);
  /** The timeout errors that the RPCs share which are due now, by timeout and destination. */
  readonly #timeoutErrors: Map<number, Map<string, RpcError>> = new Map();
  #timeoutErrorCount = 0;
  #size = 0;
  readonly #maxPending: number;
  readonly #onError: (error: unknown) => void;
  readonly #onMerge: () => void;
  /** The most that were pending before the last removal. */
  #pendingMax = 0;
  readonly #counts = {
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
   * @param onMerge Told when two segments have become one.
   */
  constructor(
    maxPending: number,
    onError: (error: unknown) => void,
    onMerge: () => void = () => {},
  ) {
    this.#maxPending = maxPending;
    this.#onError = onError;
    this.#onMerge = onMerge;
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
    return {
      pending: this.size,
      pending_max: Math.max(this.#pendingMax, this.size),
      ...this.#counts,
    };
  }

  /**
   * Registers a callback.
   *
   * @param msgId The RPC's message id; greater than all before, but for those withdrawn.
   * @param dest The node that must answer.
   * @param now The time in ms on the clock.
   * @param timeoutMs After how long to give up.
   * @param callback What to invoke.
   * @throws {RpcError} Temporarily unavailable (code 11): the limit is reached; malformed (12): `dest` is too long.
   */
  register(
    msgId: number,
    dest: string,
    now: number,
    timeoutMs: number,
    callback: RpcCallback,
  ): void {
    if (this.size >= this.#maxPending) {
      throw new RpcError(
        ErrorCode.temporarilyUnavailable,
        `${this.size} RPCs are pending: the limit 'maxPending' is reached`,
      );
    }
    if (dest?.length > MAX_DEST_LENGTH) { // what is no name can't be sent
      throw new RpcError(
        ErrorCode.malformedRequest,
        `a destination's name has at most ${MAX_DEST_LENGTH} characters: this one has ${dest.length}`,
      );
    }
    let segment = this.#log.at(-1);
    if (
      segment === undefined || segment.used === SEGMENT_SIZE ||
      msgId - segment.firstId > MAX_UINT32
    ) segment = this.#open(msgId);
    const deadline = now + timeoutMs;
    segment.add(msgId, dest, timeoutMs, deadline, callback);
    if (segment.live === 1) this.#heap.push(deadline, segment.number);
    else if (segment.first === segment.used - 1) {
      this.#heap.update(segment.position, deadline);
    }
    this.#size++;
    this.#counts.registered++;
  }

  /**
   * Takes back the registration of an RPC that could not be sent: its callback
   * is not invoked, and it counts as never registered.
   *
   * @param msgId The RPC's message id.
   * @returns Whether it was pending; it may have ended while it was sent.
   */
  withdraw(msgId: number): boolean {
    const segment = this.#find(msgId);
    const offset = segment?.find(msgId) ?? -1;
    if (segment === undefined || offset === -1) return false;
    this.#takeOut(segment, offset);
    this.#counts.registered--;
    return true;
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
      outcome = this.#recall(msgId, message.src);
    } else if (segment.dests[offset] !== message.src) {
      outcome = "stray";
    } else {
      outcome = "replied";
      const callback = this.#remove(segment, offset, true);
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
   * Cancels the RPC with the earliest deadline.
   *
   * @param reason What to invoke its callback with.
   * @returns Whether one was pending.
   */
  cancelFirst(reason: RpcError): boolean {
    if (this.size === 0) return false;
    const segment = this.#firstSegment();
    this.#cancel(segment, segment.first, reason);
    return true;
  }

  /**
   * Removes the first of the expired, in the order of their deadlines, and
   * invokes it with a timeout error.
   *
   * @param due What is due at this time in ms or before has expired.
   * @param now The time in ms on the clock.
   * @param reaped Where it is counted.
   * @returns Whether more have expired.
   */
  reapFirst(due: number, now: number, reaped: Reaped): boolean {
    if (this.firstDeadline <= due) {
      const segment = this.#firstSegment();
      const offset = segment.first;
      const timeoutMs = segment.timeouts[offset]!;
      const error = this.#timeoutError(segment.dests[offset]!, timeoutMs);
      const ageMs = now - segment.deadlines[offset]! + timeoutMs;
      reaped.count++;
      if (ageMs > reaped.oldestAgeMs) reaped.oldestAgeMs = ageMs;
      this.#counts.reaped++;
      this.#invoke(this.#remove(segment, offset, false), error);
      if (this.firstDeadline <= due) return true;
    }
    this.#forgetTimeoutErrors();
    return false;
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

  /** Ends an RPC, and remembers how; its callback is the caller's to invoke. */
  #remove(segment: Segment, offset: number, replied: boolean): RpcCallback {
    const msgId = segment.firstId + segment.ids[offset]!;
    const place = msgId % REMEMBERED;
    this.#ended[place] = replied ? msgId + 1 : -msgId - 1;
    this.#endedDests[place] = hash(segment.dests[offset]!);
    this.#pendingMax = Math.max(this.#pendingMax, this.#size);
    return this.#takeOut(segment, offset);
  }

  /** Takes an RPC out of the table. */
  #takeOut(segment: Segment, offset: number): RpcCallback {
    const wasFirst = offset === segment.first;
    const callback = segment.remove(offset);
    this.#size--;
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
        this.#drop(b);
        return this.#onMerge();
      }
    }
  }

  /** Moves the pending RPCs among the first `used` of `from` to the end of `to`, which may be the same. */
  #append(to: Segment, from: Segment, used: number): void {
    for (let offset = 0; offset < used; offset++) {
      const callback = from.callbacks[offset];
      if (callback === undefined) continue;
      const dest = from.dests[offset]!;
      from.callbacks[offset] = undefined;
      from.dests[offset] = "";
      to.add(
        from.firstId + from.ids[offset]!,
        dest,
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
    this.#invoke(this.#remove(segment, offset, false), reason);
  }

  /** What a reply to an RPC is that is not pending. */
  #recall(msgId: number, src: string): ReplyOutcome {
    const place = msgId % REMEMBERED;
    const ended = this.#ended[place]!;
    if (Math.abs(ended) !== msgId + 1) return "unknown";
    if (this.#endedDests[place] !== hash(src)) return "stray";
    return ended > 0 ? "duplicate" : "late";
  }

  /** An error costs more than all the rest of a reap: RPCs that expire together share it. */
  #timeoutError(dest: string, timeoutMs: number): RpcError {
    let errors = this.#timeoutErrors.get(timeoutMs);
    let error = errors?.get(dest);
    if (error !== undefined) return error;
    error = Object.freeze(
      new RpcError(
        ErrorCode.timeout,
        `no reply from ${dest} within ${timeoutMs} ms`,
      ),
    );
    if (this.#timeoutErrorCount === MAX_TIMEOUT_ERRORS) {
      this.#forgetTimeoutErrors();
      errors = undefined;
    }
    this.#timeoutErrorCount++;
    if (errors === undefined) {
      errors = new Map();
      this.#timeoutErrors.set(timeoutMs, errors);
    }
    errors.set(dest, error);
    return error;
  }

  #forgetTimeoutErrors(): void {
    this.#timeoutErrors.clear();
    this.#timeoutErrorCount = 0;
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

/** 32 bits of a name, by FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) over its UTF-16 code units. */
function hash(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function replyError(body: Body): RpcError {
  const { code, text } = body;
  return new RpcError(
    Number.isSafeInteger(code) ? code as number : ErrorCode.crash,
    typeof text === "string" ? text : "",
    { details: body },
  );
}

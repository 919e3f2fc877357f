/** Who waits for which reply, and until when. */
import { DeadlineHeap } from "./deadline_heap.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import type { Body, Message } from "./message.ts";

/**
 * Invoked exactly once for each RPC: with the reply's body, or with an error:
 * the reply's own, a timeout (code 0), or why the RPC was cancelled.
 */
export type RpcCallback<R = Body> = (
  ...outcome: [error: undefined, reply: R] | [error: RpcError, reply: undefined]
) => void;

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

/** How many settled ids are remembered, to tell late replies from duplicate and unknown ones. A power of two. */
const REMEMBERED = 16_384;
const REPLIED = 1;
const GIVEN_UP = 2;

/** One pending RPC. */
interface Entry {
  readonly msgId: number;
  readonly dest: string;
  readonly registeredAt: number;
  readonly timeoutMs: number;
  readonly callback: RpcCallback;
  position: number;
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
 */
export class PendingRpcs {
  readonly #bySlot: (Entry | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #slots: Map<number, number> = new Map();
  readonly #heap: DeadlineHeap;
  /** Of the last settled ids, at id modulo the size: the id's upper bits and, in the lowest two, its outcome. */
  readonly #settled: Uint32Array = new Uint32Array(REMEMBERED);
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
      moved: (slot, position) => this.#bySlot[slot]!.position = position,
      precedes: (a, b) => this.#bySlot[a]!.msgId < this.#bySlot[b]!.msgId,
    });
  }

  /** How many callbacks wait. */
  get size(): number {
    return this.#heap.size;
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
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    this.#bySlot[slot] = {
      msgId,
      dest,
      registeredAt: now,
      timeoutMs,
      callback,
      position: 0,
    };
    this.#slots.set(msgId, slot);
    const deadline = now + timeoutMs;
    this.#heap.push(deadline, slot);
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
    const slot = this.#slots.get(msgId);
    let outcome: ReplyOutcome;
    if (slot === undefined) outcome = this.#recall(msgId);
    else if (this.#bySlot[slot]!.dest !== message.src) outcome = "stray";
    else outcome = "replied";
    this.#counts[outcome]++;
    if (outcome === "replied") {
      const { callback } = this.#remove(slot!, REPLIED);
      const { body } = message;
      if (body.type === "error") {
        this.#invoke(callback, replyError(body));
      } else this.#invoke(callback, undefined, body);
    }
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
    const slot = this.#slots.get(msgId);
    if (slot === undefined) return false;
    this.#counts.cancelled++;
    this.#invoke(this.#remove(slot, GIVEN_UP).callback, reason);
    return true;
  }

  /**
   * Cancels all that is pending, the earliest deadline first.
   *
   * @param reason What to invoke the callbacks with.
   */
  cancelAll(reason: RpcError): void {
    while (this.size > 0) {
      this.cancel(this.#bySlot[this.#heap.firstItem]!.msgId, reason);
    }
  }

  /**
   * Removes the expired, in the order of their deadlines, and invokes each
   * with a timeout error.
   *
   * @param now The time in ms on the clock: what is due at it or before has expired.
   * @param max How many to reap at the most.
   */
  reap(now: number, max = Infinity): Reaped {
    const reaped = { count: 0, oldestAgeMs: 0 };
    while (reaped.count < max && this.#heap.firstDeadline <= now) {
      const { dest, timeoutMs, registeredAt, callback } = this.#remove(
        this.#heap.firstItem,
        GIVEN_UP,
      );
      reaped.count++;
      reaped.oldestAgeMs = Math.max(reaped.oldestAgeMs, now - registeredAt);
      this.#counts.reaped++;
      this.#invoke(
        callback,
        new RpcError(
          ErrorCode.timeout,
          `no reply from ${dest} within ${timeoutMs} ms`,
        ),
      );
    }
    return reaped;
  }

  #remove(slot: number, outcome: typeof REPLIED | typeof GIVEN_UP): Entry {
    const entry = this.#bySlot[slot]!;
    this.#heap.removeAt(entry.position);
    this.#slots.delete(entry.msgId);
    this.#bySlot[slot] = undefined;
    this.#freeSlots.push(slot);
    if (this.size === 0) { // memory follows what is pending
      this.#bySlot.length = 0;
      this.#freeSlots.length = 0;
    }
    this.#settled[entry.msgId % REMEMBERED] =
      (Math.floor(entry.msgId / REMEMBERED) << 2) | outcome;
    return entry;
  }

  #recall(msgId: number): "late" | "duplicate" | "unknown" {
    const settled = this.#settled[msgId % REMEMBERED]!;
    const outcome = settled & 3;
    if (
      outcome === 0 ||
      settled >>> 2 !== (Math.floor(msgId / REMEMBERED) << 2) >>> 2
    ) {
      return "unknown";
    }
    return outcome === REPLIED ? "duplicate" : "late";
  }

  #invoke(callback: RpcCallback, ...outcome: [RpcError] | [undefined, Body]) {
    try {
      callback(...outcome as Parameters<RpcCallback>);
    } catch (error) {
      this.#onError(error);
    }
  }
}

function replyError(body: Body): RpcError {
  return new RpcError(
    Number.isSafeInteger(body.code) ? body.code as number : ErrorCode.crash,
    typeof body.text === "string" ? body.text : "",
  );
}

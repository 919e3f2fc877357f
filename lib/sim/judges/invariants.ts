/** What always holds for a node, checked from outside while it runs. */
import { ErrorCode, type RpcError } from "../../errors.ts";
import type { Body, Message } from "../../message.ts";
import type { AnyNode } from "../../node.ts";
import type { ReapReport } from "../../reaper.ts";
import { listenersOf } from "../world/listeners.ts";
import type { Sometimes } from "./sometimes.ts";

/**
 * The things that always hold for a node, and for stdin and stdout, by the names under which a
 * simulation reports the one that broke.
 */
export const INVARIANTS = {
  "exactly-once": "every registered callback is invoked exactly once",
  "nothing-leaks": "memory and timers follow what is pending now",
  "never-early":
    "no callback times out before its deadline, or while its reply can be read",
  "in-order": "callbacks expire in deadline order, equal ones as registered",
  "in-proportion": "no timer without need, and no more wake-ups than RPCs",
  "no-long-stalls": "a reap hands the event loop back after a few ms",
  "replies-checked":
    "a reply settles an RPC only if it comes from where the RPC went",
  "bounded": "no more callbacks are pending than the limit allows",
  "bad-input": "bad input ends nothing, and only messages are sent",
  "failures-contained": "a failing callback or handler harms only itself",
  "reported": "each reap is reported, with how many and how old they were",
  "every-line":
    "each line comes in and goes out whole, in order, and without delay",
} as const;

/** The name of an invariant. */
export type Invariant = keyof typeof INVARIANTS;

/** An RPC as seen from outside. */
export interface ObservedRpc {
  /** Its message id. */
  id: number;
  /** Where it went. */
  dest: string;
  /** How many messages had been sent, by anyone, when it was registered: its reply comes after them. */
  since: number;
  /** When it was registered, in ms on the node's clock. */
  registeredAt: number;
  /** When it times out, in ms on the node's clock. */
  deadline: number;
  /** Cancels it. */
  signal: AbortSignal | undefined;
  /** The reply's body, once one has arrived that settles it. */
  answer: Body | undefined;
  /** Whether its callback has been invoked. */
  done: boolean;
}

/** What the checks need to know of the process that a node runs in. */
export interface ObservedProcess {
  /** The time in ms on the node's clock. */
  now(): number;
  /** How many messages were sent so far, by anyone. */
  messages(): number;
  /** How many of the node's timers are armed. */
  timers(): number;
  /** How many of them are to fire at once: for the next slice of what takes long. */
  slices(): number;
  /** How many functions the node calls periodically. */
  periodic(): number;
  /** Whether this RPC's reply has arrived, but was not read yet. */
  waitsInInput(rpc: ObservedRpc): boolean;
  /** Whether it is being found out whether there is input. */
  catchingUp(): boolean;
  /** Until when, in ms on the node's clock, it was last kept from running. */
  heldUpUntil(): number;
  /** Counts something that happens only sometimes. */
  happened(what: Sometimes): void;
  /** Reports what broke. */
  violated(invariant: Invariant, text: string): void;
}

/** The limits that a node was given. */
export interface ObservedLimits {
  /** How many callbacks may be pending. */
  maxPending: number;
  /** The interval of the scans in ms; 0 when it is driven by deadlines. */
  reapIntervalMs: number;
  /** For how long, in ms, input may keep callbacks from expiring. */
  inputGraceMs: number;
  /** The `msg_id` of its first message. */
  firstMsgId: number;
  /** For how long, in ms, it may take to find out whether there is input. */
  lookMs: number;
}

/** How long a slice of a reap may take in ms, besides the callbacks that it began with. */
const SLICE_MS = 2;
const SLICE_STEP = 8;
/** Of settled RPCs a node must remember those among so many messages that it sent. */
const REMEMBERED = 16_384;

/**
 * A second, naive account of a node's RPCs, kept beside the node's own: what
 * is registered, which reply settles what, what may expire. Where the two
 * differ an invariant is broken.
 */
export class RpcAccount {
  readonly #process: ObservedProcess;
  readonly #limits: ObservedLimits;
  readonly #pending: Map<number, ObservedRpc> = new Map();
  /** Of RPCs that have ended: where they went, and what another reply from there is. */
  readonly #ended: Map<
    number,
    { dest: string; another: "duplicate" | "late" }
  > = new Map();
  #expected: ObservedRpc | undefined;
  /** Of each signal: how many of its RPCs have not ended. */
  readonly #signals: Map<AbortSignal, number> = new Map();
  /** When the reap began that may be under way. */
  #reapBeganAt = -Infinity;
  /** What was reaped and not reported yet: how many, and within which bounds the age of the oldest is. */
  #unreported = { count: 0, ageMin: 0, ageMax: 0 };
  #report: ReapReport | undefined;
  #lastDeadline = -Infinity;
  #lastId = -1;
  #highestId = -1;
  #expiredInTurn = 0;
  #expiredMsInTurn = 0;
  #idleWakes = 0;
  #closed = false;
  readonly #counts = {
    registered: 0,
    replied: 0,
    reaped: 0,
    cancelled: 0,
    late: 0,
    duplicate: 0,
    stray: 0,
    unknown: 0,
    invalid_lines: 0,
    failures: 0,
  };

  /**
   * An account of a node that has just started.
   *
   * @param process What the node runs in.
   * @param limits The node's limits.
   */
  constructor(process: ObservedProcess, limits: ObservedLimits) {
    this.#process = process;
    this.#limits = limits;
  }

  /** How many RPCs are pending. */
  get pending(): number {
    return this.#pending.size;
  }

  /** For how long, in ms, RPCs may still be pending if no more are sent. */
  get drainsInMs(): number {
    if (this.pending === 0) return 0;
    const { reapIntervalMs, inputGraceMs, lookMs } = this.#limits;
    const now = this.#process.now();
    let last = now;
    for (const { deadline } of this.#pending.values()) {
      last = Math.max(last, deadline);
    }
    return last - now + reapIntervalMs + inputGraceMs + lookMs;
  }

  /** Whether a deadline has passed. */
  get due(): boolean {
    const now = this.#process.now();
    for (const { deadline } of this.#pending.values()) {
      if (deadline < now) return true;
    }
    return false;
  }

  /** Whether a reap is under way: something is pending that was due when the last one began. */
  get reaps(): boolean {
    return [...this.#pending.values()]
      .some(({ deadline }) => deadline <= this.#reapBeganAt);
  }

  /** Whether no further RPC may be registered now. */
  get full(): boolean {
    return this.#pending.size >= this.#limits.maxPending;
  }

  /**
   * An RPC was sent and its callback registered.
   *
   * @param id The RPC's message id.
   * @param dest Where it went.
   * @param timeoutMs When it times out.
   * @param signal What cancels it.
   */
  registered(
    id: number,
    dest: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): ObservedRpc {
    const rpc: ObservedRpc = {
      id,
      dest,
      since: this.#process.messages(),
      registeredAt: this.#process.now(),
      deadline: this.#process.now() + timeoutMs,
      signal,
      answer: undefined,
      done: false,
    };
    if (this.full) {
      this.#violated(
        "bounded",
        `RPC ${id} was registered although ${this.pending} are pending, the limit being ${this.#limits.maxPending}`,
      );
    }
    if (signal) {
      this.#signals.set(signal, (this.#signals.get(signal) ?? 0) + 1);
    }
    this.#pending.set(id, rpc);
    this.#highestId = id;
    this.#counts.registered++;
    return rpc;
  }

  /**
   * A reply is about to be handed to the node.
   *
   * @param reply The reply.
   * @param number Which of all messages it is.
   * @returns The RPC that it settles, if it settles one.
   */
  arrived(reply: Message, number: number): ObservedRpc | undefined {
    const rpc = this.#pending.get(reply.body.in_reply_to!);
    if (rpc === undefined) {
      const ended = this.#ended.get(reply.body.in_reply_to!);
      const what = ended === undefined
        ? "unknown"
        : ended.dest === reply.src
        ? ended.another
        : "stray";
      this.#counts[what]++;
      if (what !== "stray") this.#process.happened(`${what} reply`);
    } else if (rpc.dest !== reply.src) {
      this.#counts.stray++;
      this.#process.happened("stray reply");
    } else {
      const lateMs = this.#process.now() - rpc.deadline;
      if (lateMs >= 0) {
        this.#process.happened(
          lateMs === 0 ? "reply on the deadline" : "reply past the deadline",
        );
      }
      if (number < rpc.since) {
        this.#violated(
          "replies-checked",
          `RPC ${rpc.id} to ${rpc.dest} is settled by a reply to another one, sent before it: 'firstMsgId' must be another one after each restart`,
        );
      }
      rpc.answer = reply.body;
      this.#ended.set(rpc.id, { dest: rpc.dest, another: "duplicate" });
      this.#pending.delete(rpc.id);
      this.#expected = rpc;
      return rpc;
    }
    return undefined;
  }

  /**
   * An RPC's callback was invoked, or its promise settled.
   *
   * @param rpc The RPC.
   * @param error What it was invoked with.
   * @param reply What it was invoked with.
   * @param costMs For how long the callback ran, in ms.
   * @returns How the RPC ended.
   */
  invoked(
    rpc: ObservedRpc,
    error: RpcError | undefined,
    reply: Body | undefined,
    costMs: number,
  ): "replied" | "reaped" | "cancelled" {
    if (rpc.done) {
      this.#violated(
        "exactly-once",
        `the callback of RPC ${rpc.id} was invoked a second time`,
      );
    }
    rpc.done = true;
    this.#pending.delete(rpc.id);
    if (rpc.signal) {
      this.#signals.set(rpc.signal, this.#signals.get(rpc.signal)! - 1);
    }
    if (rpc.answer !== undefined) {
      this.#checkReply(rpc, rpc.answer, error, reply);
      this.#counts.replied++;
      return "replied";
    }
    this.#ended.set(rpc.id, { dest: rpc.dest, another: "late" });
    if (error === undefined) {
      this.#violated(
        "replies-checked",
        `RPC ${rpc.id} to ${rpc.dest} was settled by a message that is no reply to it`,
      );
    } else if (error.code === ErrorCode.timeout) {
      this.#checkExpiry(rpc);
      this.#counts.reaped++;
      const ageMs = this.#process.now() - rpc.registeredAt;
      const { count, ageMin, ageMax } = this.#unreported;
      this.#unreported = {
        count: count + 1,
        ageMin: Math.max(ageMin, ageMs - this.#expiredMsInTurn),
        ageMax: Math.max(ageMax, ageMs),
      };
      this.#expiredInTurn++;
      this.#expiredMsInTurn += costMs;
      return "reaped";
    } else if (!rpc.signal?.aborted && !this.#closed) {
      this.#violated(
        "replies-checked",
        `RPC ${rpc.id} to ${rpc.dest} failed with "${error.message}", which nobody sent`,
      );
    }
    this.#counts.cancelled++;
    return "cancelled";
  }

  /** The node is about to wait until its input has been handled, before it reaps. */
  waitsForInput(): void {
    const now = this.#process.now();
    if (!this.reaps) this.#reapBeganAt = now;
    const waitedMs = now - this.#reapBeganAt;
    if (waitedMs > this.#limits.inputGraceMs + 1) {
      this.#violated(
        "bounded",
        `what was due ${waitedMs} ms ago waits for input, the limit being ${this.#limits.inputGraceMs} ms`,
      );
    }
  }

  /**
   * The node reported a reap.
   *
   * @param report What it said.
   */
  reported(report: ReapReport): void {
    this.#report = report;
  }

  /** The node is closing: it may cancel what is pending. */
  closing(): void {
    this.#closed = true;
  }

  /** A line that is no message was handed to the node. */
  invalid(): void {
    this.#counts.invalid_lines++;
  }

  /** A callback or handler threw: the node must have counted it, and gone on. */
  threw(): void {
    this.#counts.failures++;
    this.#process.happened("callback throws");
  }

  /**
   * The node has done all that one message or timer made it do.
   *
   * @param node The node.
   * @param timer Whether it was a timer that is not of periodic work.
   */
  turnEnded(node: AnyNode, timer: boolean): void {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected !== undefined && !expected.done) {
      this.#violated(
        "exactly-once",
        `RPC ${expected.id} was answered, but its callback not invoked`,
      );
    }
    if (node.pendingCount !== this.pending) {
      this.#violated(
        "nothing-leaks",
        `${node.pendingCount} callbacks are pending that should be ${this.pending}`,
      );
    }
    this.#checkReport();
    this.#checkListeners();
    if (timer && this.#expiredInTurn === 0) this.#checkWake();
    this.#checkStall();
    if (this.#expiredInTurn > 0 && this.due) {
      this.#process.happened("reap cut by its slice");
    }
    if (!this.#closed) this.#checkTimers();
    this.#expiredInTurn = this.#expiredMsInTurn = 0;
  }

  /**
   * The simulation is over and all is quiet.
   *
   * @param node The node.
   */
  drained(node: AnyNode): void {
    const stats = node.stats();
    if (this.pending > 0 || stats.pending > 0) {
      const [rpc] = this.#pending.values();
      this.#violated(
        rpc === undefined ? "nothing-leaks" : "exactly-once",
        `${stats.pending} callbacks are still pending when all is quiet${
          rpc ? `: RPC ${rpc.id} to ${rpc.dest} never ended` : ""
        }`,
      );
    }
    if (this.#unreported.count > 0 && this.#report === undefined) {
      this.#violated(
        "reported",
        `${this.#unreported.count} reaped callbacks were never reported`,
      );
    }
    const { registered, replied, reaped, cancelled } = this.#counts;
    const { late, duplicate, stray, unknown } = this.#counts;
    const counted = { ...stats };
    const ends = { registered, replied, reaped, cancelled };
    this.#compare("exactly-once", ends, counted);
    // What a node has forgotten it may call by another name.
    const forgets = this.#highestId - this.#limits.firstMsgId >= REMEMBERED;
    const others: Record<string, number> = forgets
      ? {}
      : { late, duplicate, stray, unknown };
    this.#compare("replies-checked", others, counted);
    const { invalid_lines } = this.#counts;
    this.#compare("bad-input", { invalid_lines }, counted);
    if (stats.failures < this.#counts.failures) {
      this.#violated(
        "failures-contained",
        `${this.#counts.failures} callbacks threw, but only ${stats.failures} failures were counted`,
      );
    }
  }

  #compare(
    invariant: Invariant,
    expected: Record<string, number>,
    counted: Record<string, number>,
  ): void {
    for (const [name, value] of Object.entries(expected)) {
      if (counted[name] === value) continue;
      this.#violated(
        invariant,
        `the node counted ${counted[name]} as ${name} that were ${value}`,
      );
    }
  }

  #checkReply(
    rpc: ObservedRpc,
    answer: Body,
    error: RpcError | undefined,
    reply: Body | undefined,
  ): void {
    const right = answer.type === "error"
      ? error !== undefined && (error.code === answer["code"])
      : error === undefined && reply !== undefined &&
        reply.type === answer.type &&
        reply.in_reply_to === rpc.id;
    if (right) return;
    this.#violated(
      "exactly-once",
      `the callback of RPC ${rpc.id} was not invoked with the reply that had arrived`,
    );
  }

  #checkExpiry(rpc: ObservedRpc): void {
    const now = this.#process.now();
    const { reapIntervalMs, inputGraceMs, lookMs } = this.#limits;
    if (now < rpc.deadline) {
      this.#violated(
        "never-early",
        `RPC ${rpc.id} timed out ${rpc.deadline - now} ms before its deadline`,
      );
    }
    if (
      now < rpc.deadline + inputGraceMs && this.#process.waitsInInput(rpc)
    ) {
      this.#violated(
        "never-early",
        `RPC ${rpc.id} timed out while its reply could be read`,
      );
    }
    const since = Math.max(rpc.deadline, this.#process.heldUpUntil());
    const lateMs = now - since - this.#expiredMsInTurn;
    // A timer takes whole ms, and a time is known to the µs.
    if (lateMs > reapIntervalMs + lookMs + 1.01) {
      this.#violated(
        "exactly-once",
        `RPC ${rpc.id} timed out ${lateMs} ms late, with nothing in its way`,
      );
    }
    if (
      rpc.deadline < this.#lastDeadline ||
      (rpc.deadline === this.#lastDeadline && rpc.id < this.#lastId)
    ) {
      this.#violated(
        "in-order",
        `RPC ${rpc.id}, due at ${rpc.deadline}, timed out after RPC ${this.#lastId}, due at ${this.#lastDeadline}`,
      );
    }
    this.#lastDeadline = rpc.deadline;
    this.#lastId = rpc.id;
  }

  /**
   * A wake-up for nothing is due to an RPC that was settled since the timer
   * was armed, or to a deadline that rounding left just ahead of its timer.
   */
  #checkWake(): void {
    this.#idleWakes++;
    const { registered } = this.#counts;
    if (
      this.#limits.reapIntervalMs > 0 || this.#idleWakes <= 2 * registered
    ) return;
    this.#violated(
      "in-proportion",
      `${this.#idleWakes} timers fired for nothing, with ${registered} RPCs registered`,
    );
  }

  /** By the end of the turn all that was reaped is known, what promises tell included. */
  #checkReport(): void {
    if (this.#report === undefined) return;
    const { count, oldestAgeMs } = this.#report;
    const reaped = this.#unreported;
    this.#report = undefined;
    this.#unreported = { count: 0, ageMin: 0, ageMax: 0 };
    if (
      count === reaped.count && oldestAgeMs >= reaped.ageMin - 0.01 &&
      oldestAgeMs <= reaped.ageMax + 0.01
    ) return;
    this.#violated(
      "reported",
      `a reap of ${count}, the oldest ${oldestAgeMs} ms old, was reported where ${reaped.count} were reaped, the oldest of ${reaped.ageMin} to ${reaped.ageMax} ms`,
    );
  }

  #checkListeners(): void {
    for (const [signal, count] of this.#signals) {
      if (count > 0) continue;
      this.#signals.delete(signal);
      const listeners = listenersOf(signal);
      if (listeners === 0 || signal.aborted) continue;
      this.#violated(
        "nothing-leaks",
        `a signal has ${listeners} listeners although all its RPCs have ended`,
      );
    }
  }

  #checkStall(): void {
    const callbackMs = this.#expiredMsInTurn / Math.max(1, this.#expiredInTurn);
    if (this.#expiredMsInTurn > SLICE_MS + SLICE_STEP * callbackMs + 0.01) {
      this.#violated(
        "no-long-stalls",
        `${this.#expiredInTurn} callbacks expired in one turn of ${this.#expiredMsInTurn} ms`,
      );
    }
  }

  #checkTimers(): void {
    const timers = this.#process.timers() - this.#process.periodic();
    // One that was armed for input to be handled, or for the next slice, may be left for a moment.
    const held = this.#process.heldUpUntil() >= this.#process.now();
    const needed = this.pending > 0 || this.#expiredInTurn > 0 || held ||
        this.#process.catchingUp()
      ? 1
      : 0;
    if (timers - this.#process.slices() > needed) {
      this.#violated(
        "in-proportion",
        `${timers} timers are armed while ${this.pending} RPCs are pending`,
      );
    }
    if (timers < 1 && this.pending > 0 && !held) {
      this.#violated(
        "exactly-once",
        `no timer is armed while ${this.pending} RPCs are pending`,
      );
    }
  }

  #violated(invariant: Invariant, text: string): void {
    this.#process.violated(invariant, text);
  }
}

/** The simulated process that a node runs in. */
import { type Clock, MAX_DELAY_MS } from "../../clock.ts";
import { type Deferred, deferred } from "../../deferred.ts";
import { EventQueue } from "../../event_queue.ts";
import { ErrorCode, RpcError } from "../../errors.ts";
import { isThenable } from "../../guard.ts";
import { decode } from "../../message.ts";
import type {
  AnyNode,
  LogLevel,
  NodeOptions,
  RpcOptions,
  Transport,
} from "../../node.ts";
import { plural } from "../../plural.ts";
import { serveOn } from "../../stdio/serve.ts";
import {
  type Invariant,
  type ObservedRpc,
  RpcAccount,
} from "../judges/invariants.ts";
import { type Envelope, Opener } from "./envelope.ts";
import {
  type HandledRequest,
  type NodeObserver,
  saysFull,
} from "./observed_node.ts";
import { type BytesOptions, type Ending, ENDINGS, Pipes } from "./pipes.ts";
import type { Random } from "../random.ts";
import type { Sometimes } from "../judges/sometimes.ts";

/** What a simulated process has of the world around it. */
export interface HostWorld {
  /** The time in whole µs since the simulation began. */
  nowUs(): number;
  /** Calls `fn` at a time in whole µs; returns how to cancel that. */
  schedule(us: number, fn: () => void): () => void;
  /** The process begins to do something: {@linkcode Host.endTurn} is to be called once all that follows from it at once is done. */
  turn(host: Host): void;
  /** Something goes on after what is running now. */
  goesOn(): void;
  /** How many messages were sent so far, by anyone. */
  messages(): number;
  /** Whether a message that is no reply is refused. */
  refuses(): boolean;
  /** Carries a message. */
  carry(envelope: Envelope): void;
  /** Adds an event to the trace: its name, and its other fields as JSON. */
  trace(name: string, text: string): void;
  /** An RPC was registered, or has ended. */
  counted(what: "rpcs" | "replied" | "reaped" | "cancelled"): void;
  /** Counts something that happens only sometimes. */
  happened(what: Sometimes): void;
  /** A handler has returned nothing (false), or its node has replied otherwise (true). */
  handled(request: HandledRequest, replies: boolean): void;
  /** A node has logged something; `undefined` where nobody wants to know. */
  logged: ((level: LogLevel, text: string) => void) | undefined;
  /** An invariant is broken. */
  violated(invariant: Invariant, text: string, node: string): void;
}

/** How to make and name a simulated process. */
export interface HostOptions {
  /** The node's id. */
  id: string;
  /** Makes the node. */
  create: (options: NodeOptions, observer: NodeObserver, host: Host) => AnyNode;
  /** The node's options. */
  nodeOptions: NodeOptions;
  /** Whether messages are bytes on stdin and stdout, and how. */
  bytes: BytesOptions | undefined;
  /** Until when, in µs, whoever reads stdout may halt. */
  haltsUntilUs: number;
  /** Where a process that starts begins to count its messages. */
  firstMsgId: () => number;
  /** Decides what is handled first, timers or input, after a pause. */
  random: Random;
}

/**
 * A process with one node in it: its input, its timers, its clock, how fast it
 * computes. It does one thing at a time, a turn: one message, or one timer.
 */
export class Host implements NodeObserver {
  /** The node's id. */
  readonly id: string;
  /** How often the process was started. */
  incarnation = 0;
  /** How long it takes over a message, in ms. */
  messageMs = 0;
  /** How long it takes over an RPC's callback, in ms. */
  callbackMs = 0;
  /** The part of all callbacks that throw. */
  throwProbability = 0;
  /** How far the wall clock is ahead, in ms. */
  wallOffsetMs = 0;
  /** Whether the simulation is ending: periodic work does not run any more. */
  ending = false;
  readonly #world: HostWorld;
  readonly #options: HostOptions;
  #node: AnyNode | undefined;
  #account: RpcAccount;
  #input: Envelope[] = [];
  #pipes: Pipes | undefined;
  #opener: Opener;
  #timers = new EventQueue();
  /** Whether the last message was refused. */
  #refused = false;
  /** How many of them are to fire at once. */
  #slices = 0;
  #caughtUp: Deferred<void> | undefined;
  /** Whether an inbox was asked whether there is more to read, and has not answered yet. */
  #catchingUp = false;
  #paused = false;
  /** Local time is `#localUs` at `#sinceUs`, and moves at `#rate`. */
  #localUs = 0;
  #sinceUs = 0;
  #rate = 1;
  /** How long the turn that is running has taken, in µs. */
  #busyUs = 0;
  #freeAtUs = 0;
  #heldUpUntilUs = -Infinity;
  #wakeAtUs = Infinity;
  #cancelWake: (() => void) | undefined;
  #timerTurn = false;
  #periodicCount = 0;
  #delayedCount = 0;
  /** What has returned a promise that has not settled yet. */
  #unfinished: Map<Promise<unknown>, string> = new Map();

  /**
   * A process that has not been started yet.
   *
   * @param world What is around it.
   * @param options Its node's id and options.
   */
  constructor(world: HostWorld, options: HostOptions) {
    this.#world = world;
    this.#options = options;
    this.id = options.id;
    this.#account = this.#newAccount(0);
    this.#opener = new Opener(this.id);
  }

  /** The node; `undefined` while the process is down. */
  get node(): AnyNode | undefined {
    return this.#node;
  }

  /** Starts the process, with an empty memory. */
  start(): void {
    this.incarnation++;
    const firstMsgId = this.#options.firstMsgId();
    this.#account = this.#newAccount(firstMsgId);
    this.#timers = new EventQueue();
    this.#slices = 0;
    this.#input = [];
    this.#caughtUp = undefined;
    this.#periodicCount = this.#delayedCount = 0;
    this.#unfinished = new Map();
    this.#opener = new Opener(this.id, firstMsgId);
    this.#freeAtUs = this.#world.nowUs();
    this.#node = this.#options.create(
      {
        ...this.#options.nodeOptions,
        firstMsgId,
        clock: this.#clock(),
        onReap: this.#onReap(),
        ...this.#log(),
      },
      this,
      this,
    );
    this.#catchingUp = false;
    if (this.#options.bytes) this.#serve(this.#node, this.#options.bytes);
    else this.#node.connect(this.#transport());
  }

  /** Whether messages reach it. */
  get listens(): boolean {
    return this.#node !== undefined && this.#pipes?.ending === undefined;
  }

  /** Ends the process as crashes do: at once, or, where it has pipes, through them. */
  crash(): void {
    const { random } = this.#options;
    if (this.#pipes && this.listens && random.chance(0.75)) {
      this.#pipes.end(random.pick(ENDINGS));
    } else this.kill();
  }

  /**
   * Asks a process that has pipes to end.
   *
   * @param last The last line of its input, if that ends or if nobody reads the
   *   answer any more: else it may not notice.
   */
  stop(last: Envelope): void {
    if (this.#pipes === undefined || !this.listens) return;
    this.resume();
    const how = this.#options.random.pick(ENDINGS);
    if (how !== "SIGTERM") this.#pipes.deliver(last, how === "end of input");
    this.#pipes.end(how);
  }

  /**
   * Checks that a process with pipes that was asked to end has ended, if
   * nothing was in its way.
   *
   * @param nothing Whether nothing can be in its way.
   */
  checkEnded(nothing: boolean): void {
    if (this.#pipes?.ending === undefined) return;
    if (!nothing && (this.#paused || !this.#pipes.isOverdue)) return;
    this.#violated(
      "every-line",
      `the process did not end at ${this.#pipes.ending}`,
    );
  }

  /** Ends the process: its memory, its input and its timers are gone. */
  kill(): void {
    if (this.#node && this.#account.pending > 0) {
      this.#world.happened("crash with RPCs pending");
    }
    this.#node = undefined;
    this.#pipes?.kill();
    this.#pipes = undefined;
    this.#paused = false;
    this.#input = [];
    this.#timers = new EventQueue();
  }

  /** Stops the process for a while, as a garbage collection or SIGSTOP would. */
  pause(): void {
    this.#paused = true;
  }

  /** Lets the process go on. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#account.due) this.#world.happened("pause across a deadline");
    this.#holdUp();
    this.#wake();
  }

  /**
   * Sets how fast the clock runs.
   *
   * @param rate How many ms it moves in one.
   */
  setRate(rate: number): void {
    const now = this.#world.nowUs();
    if (now > this.#sinceUs) { // else it is computing, and its time is counted already
      this.#localUs = this.#localAt(now);
      this.#sinceUs = now;
    }
    this.#rate = rate;
    this.#cancelWake?.();
    this.#wakeAtUs = Infinity;
    this.#wake();
  }

  /** What the wall clock says, in ms: it is set, where the other clock only ever moves on. */
  wallNow(): number {
    return this.#nowUs() / 1000 + this.wallOffsetMs;
  }

  /**
   * Puts a line into the process's input.
   *
   * @param envelope The line; garbled, it is no message any more.
   */
  arrive(envelope: Envelope): void {
    if (!this.listens) return;
    if (this.#pipes) return this.#pipes.deliver(envelope);
    this.#input.push(envelope);
    if (this.#isFree()) this.#takeTurn();
    else this.#wake();
  }

  /** Ends a turn: checks what it led to, and sees to what is next. */
  endTurn(): void {
    if (this.#node === undefined) return;
    if (this.#input.length === 0 && this.#caughtUp !== undefined) {
      this.#holdUp();
      this.#caughtUp.resolve();
      this.#caughtUp = undefined;
      this.#world.turn(this); // what waits for it runs in a turn of its own
      this.#world.goesOn();
      return;
    }
    if (this.#busyUs > 0) {
      this.#freeAtUs = this.#world.nowUs() + this.#busyUs;
      this.#localUs = this.#nowUs();
      this.#sinceUs = this.#freeAtUs;
      this.#busyUs = 0;
    }
    const reads = this.#pipes
      ? this.#pipes.isReading || this.#pipes.holdsBack
      : this.#input.length > 0;
    if (reads || !this.#isFree()) this.#holdUp();
    const fired = this.#timerTurn && this.#caughtUp === undefined &&
      !this.#catchingUp;
    this.#account.turnEnded(this.#node, fired);
    this.#timerTurn = false;
    this.#pipes?.checkIdle();
    this.#wake();
  }

  /** For how long, in ms, RPCs may still be pending, or handlers wait for a timer. */
  get drainsInMs(): number {
    if (this.#node === undefined) return 0;
    const waits = this.#unfinished.size > 0 &&
      this.#timers.size > this.#periodicCount;
    return Math.max(
      this.#account.drainsInMs,
      waits ? (this.#timers.nextTime - this.#nowUs()) / 1000 + 1 : 0,
    );
  }

  /**
   * Checks that nothing is left when all is quiet.
   *
   * @returns What has not ended, if something has not.
   */
  checkDrained(): string | undefined {
    if (this.#node === undefined) return undefined;
    this.#account.drained(this.#node);
    const [what] = this.#unfinished.values();
    if (what === undefined) return undefined;
    const others = this.#unfinished.size - 1;
    return `${what}, has not ended when all is quiet${
      others > 0
        ? ` (nor ${others === 1 ? "has" : "have"} ${plural(others, "other")})`
        : ""
    }: it waits for something real, such as a timer or a fetch, which does not happen here, or for something that never comes`;
  }

  /** The `msg_id` of the message that the node sent last; another one once it has sent another. */
  lastId(): number {
    return this.#opener.lastId;
  }

  /**
   * An RPC was sent and registered.
   *
   * @param id Its message id.
   * @param dest Where it went.
   * @param options Its timeout, deadline and signal.
   * @param mayThrow Whether its callback can be made to throw.
   */
  registered(
    id: number,
    dest: string,
    options: RpcOptions,
    mayThrow: boolean,
  ): ReturnType<NodeObserver["registered"]> {
    const { incarnation } = this;
    const timeoutMs = Math.min(
      options.timeoutMs ?? this.#options.nodeOptions.rpcTimeoutMs ?? 2000,
      (options.deadline ?? Infinity) - this.#nowUs() / 1000,
    );
    const rpc = this.#account.registered(id, dest, timeoutMs, options.signal);
    this.#world.counted("rpcs");
    this.#world.trace("rpc", `"node":"${this.id}","id":${id}`);
    return (error, reply) => {
      if (incarnation !== this.incarnation || !this.#node) return false;
      const costMs = this.callbackMs;
      const how = this.#account.invoked(rpc, error, reply, costMs);
      if (how !== "replied") this.#world.goesOn(); // there may be more to expire
      this.#busyUs += costMs * 1000;
      this.#world.trace("end", `"node":"${this.id}","id":${id},"how":"${how}"`);
      this.#world.counted(how);
      if (!mayThrow || !this.#options.random.chance(this.throwProbability)) {
        return false;
      }
      this.#account.threw();
      return true;
    };
  }

  /**
   * An RPC was refused.
   *
   * @param error Why.
   */
  refused(error: unknown): void {
    if (saysFull(error) && this.#account.full) {
      this.#world.happened("full table");
    }
    const isFull = this.#account.full || this.#refused ||
      this.#pipes?.isWriting;
    this.#refused = false;
    if (saysFull(error) && !isFull) {
      this.#violated(
        "bounded",
        `an RPC was refused with ${this.#account.pending} pending`,
      );
    }
  }

  /** Something of the node's goes on after what is running now. */
  goesOn(): void {
    this.#world.goesOn();
  }

  /**
   * Something of the node's has returned.
   *
   * @param result What it returned: a promise must settle.
   * @param what Says what it is.
   * @param settled Handed what a promise resolves with, or else the result.
   */
  returned(
    result: unknown,
    what: () => string,
    settled: (value: unknown) => void = () => {},
  ): void {
    if (!isThenable(result)) return settled(result);
    this.#world.goesOn();
    if (!(result instanceof Promise)) return; // to look at others may change them
    const unfinished = this.#unfinished;
    const ended = () => void unfinished.delete(result);
    unfinished.set(result, `${what()} at ${this.#world.nowUs() / 1000} ms`);
    result.then((value) => {
      ended();
      settled(value);
    }, ended);
  }

  /**
   * A handler has returned nothing, or the node has replied otherwise.
   *
   * @param request What it was asked.
   * @param replies Whether it has replied.
   */
  handled(request: HandledRequest, replies: boolean): void {
    this.#world.handled(request, replies);
  }

  /**
   * Periodic work was begun or ended.
   *
   * @param change 1 or -1.
   */
  periodic(change: number): void {
    this.#periodicCount += change;
  }

  /**
   * Delayed work was begun or ended.
   *
   * @param change 1 or -1.
   */
  delayed(change: number): void {
    this.#delayedCount += change;
  }

  /** Delayed work is due; at the end it runs only while something has not ended that may wait for it. */
  elapses(): boolean {
    this.#timerTurn = false;
    return !this.ending || this.#unfinished.size > 0;
  }

  /** Periodic work is due: the timer that fired was none of an RPC's. */
  ticks(): boolean {
    this.#timerTurn = false;
    return !this.ending;
  }

  /** The node is closing. */
  closing(): void {
    this.#account.closing();
  }

  /** Two parts of the node's table of pending RPCs have become one. */
  merged(): void {
    if (this.#account.reaps) {
      this.#world.happened("table merged while reaping");
    }
  }

  #newAccount(firstMsgId: number): RpcAccount {
    const { maxPending = 1_000_000, reapIntervalMs = 0, inputGraceMs = 2000 } =
      this.#options.nodeOptions;
    return new RpcAccount({
      now: () => this.#nowUs() / 1000,
      messages: () => this.#world.messages(),
      timers: () => this.#timers.size,
      slices: () => this.#slices,
      periodic: () => this.#periodicCount + this.#delayedCount,
      waitsInInput: (rpc) => this.#waitsInInput(rpc),
      catchingUp: () => this.#catchingUp,
      heldUpUntil: () => {
        if (this.#pipes?.holdsBack) this.#holdUp();
        return this.#heldUpUntilUs / 1000;
      },
      happened: (what) => this.#world.happened(what),
      violated: (invariant, text) => this.#violated(invariant, text),
    }, {
      maxPending,
      reapIntervalMs,
      inputGraceMs,
      firstMsgId,
      lookMs: this.#options.bytes ? LOOK_MS : 0,
    });
  }

  #onReap(): NonNullable<NodeOptions["onReap"]> {
    const { incarnation } = this;
    return (report) => {
      if (incarnation === this.incarnation) this.#account.reported(report);
      this.#options.nodeOptions.onReap?.(report);
    };
  }

  /** The node's `log`, where somebody wants to know what it says. */
  #log(): Pick<NodeOptions, "log"> {
    const { logged } = this.#world;
    const { log } = this.#options.nodeOptions;
    if (logged === undefined) return {};
    return {
      log: (level, text) => {
        logged(level, text);
        return log?.(level, text);
      },
    };
  }

  /** A clock of this incarnation's: what a crash has cut short sets no timers. */
  #clock(): Clock {
    const { incarnation } = this;
    return {
      now: () => this.#nowUs() / 1000,
      setTimer: (fn, delayMs) =>
        incarnation === this.incarnation
          ? this.#setTimer(fn, delayMs)
          : () => {},
    };
  }

  /** Serves the node on pipes. */
  #serve(node: AnyNode, bytes: BytesOptions): void {
    const pipes = new Pipes(
      {
        nowUs: () => this.#world.nowUs(),
        schedule: (us, fn) => this.#world.schedule(us, fn),
        setTimer: (fn, delayMs) =>
          this.#world.schedule(
            this.#world.nowUs() + Math.ceil(delayMs * 1000 / this.#rate),
            fn,
          ),
        wake: () => {
          if (this.#pipes === pipes) this.#wake();
        },
        carry: (envelope) => this.#world.carry(envelope),
        moved: (what, count) =>
          this.#world.trace(what, `"node":"${this.id}","bytes":${count}`),
        violated: (text) => this.#violated("every-line", text),
      },
      this.#options.random,
      bytes,
      this.#options.haltsUntilUs,
    );
    this.#pipes = pipes;
    const isAlive = () => this.#pipes === pipes;
    serveOn(
      {
        connect: (transport) => node.connect(this.#through(pipes, transport)),
        receive: (line) => {
          if (!isAlive()) return;
          const envelope = pipes.received(line);
          if (envelope) this.#read({ ...envelope, line });
        },
        reject: (start, error) => {
          if (!isAlive()) return;
          pipes.skipped(start);
          this.#account.invalid();
          node.reject(start, error);
        },
        close: (graceMs) => node.close(graceMs),
        stats: () => node.stats(),
      },
      pipes.serveOptions,
      pipes.runtime,
    ).then((code) => {
      if (isAlive()) this.#ended(code, pipes);
    });
    this.#world.turn(this);
    this.#world.goesOn();
  }

  /** What carries the messages of a node with pipes. */
  #through(pipes: Pipes, transport: Transport): Transport {
    return {
      send: (line) => {
        if (this.#pipes !== pipes) return;
        this.#mayRefuse(line);
        transport.send(line);
        const envelope = this.#open(line);
        if (envelope) pipes.sent(envelope);
      },
      caughtUp: (lateMs) => {
        this.#account.waitsForInput();
        const handled = transport.caughtUp!(lateMs);
        this.#catchingUp = handled !== undefined;
        return handled?.then(() => {
          if (this.#pipes === pipes) this.#catchingUp = false;
        });
      },
    };
  }

  /** The process has come to its end. */
  #ended(code: number, pipes: Pipes): void {
    const ending: Ending | undefined = pipes.ending;
    this.#world.trace("exit", `"node":"${this.id}","code":${code}`);
    const wanted = ending === "broken pipe" ? 1 : 0;
    if (ending === undefined || code !== wanted) {
      this.#violated(
        "every-line",
        `the process ended with ${code} at ${ending ?? "no reason"}`,
      );
    }
    const left = pipes.leftOver() ??
      (this.#timers.size > 0 ? "timers of the node's are armed" : undefined);
    if (left !== undefined) {
      this.#violated("every-line", `when the process had ended, ${left}`);
    }
    this.checkDrained();
    this.kill();
  }

  #transport(): Transport {
    const { incarnation } = this;
    return {
      send: (line) => {
        if (incarnation !== this.incarnation || !this.#node) return;
        this.#send(line);
      },
      caughtUp: () => {
        this.#account.waitsForInput();
        if (this.#input.length === 0) return undefined;
        this.#caughtUp ??= deferred();
        return this.#caughtUp.promise;
      },
    };
  }

  /** Refuses a message now and then; a reply never, as its request may have been obeyed. */
  #mayRefuse(line: string): void {
    this.#refused = !line.includes('"in_reply_to":') && this.#world.refuses();
    if (!this.#refused) return;
    throw new RpcError(
      ErrorCode.temporarilyUnavailable,
      "the output is full, as planned",
    );
  }

  #send(line: string): void {
    this.#mayRefuse(line);
    const envelope = this.#open(line);
    if (envelope) this.#world.carry(envelope);
  }

  #open(line: string): Envelope | undefined {
    const envelope = this.#opener.open(line);
    if (envelope === undefined) {
      this.#violated("bad-input", `this is no message of the node's: ${line}`);
    }
    return envelope;
  }

  #setTimer(fn: () => void, delayMs: number): () => void {
    if (!Number.isInteger(delayMs) || delayMs < 0 || delayMs > MAX_DELAY_MS) {
      this.#violated("in-proportion", `no timer takes a delay of ${delayMs}`);
    }
    const timers = this.#timers;
    let armed = true;
    const disarm = () => {
      if (armed && delayMs === 0 && timers === this.#timers) this.#slices--;
      armed = false;
    };
    if (delayMs === 0) this.#slices++;
    const cancel = timers.schedule(this.#nowUs() + delayMs * 1000, () => {
      disarm();
      fn();
    });
    this.#wake();
    return () => {
      disarm();
      cancel();
    };
  }

  /** The time on the node's clock, in whole µs. */
  #nowUs(): number {
    return this.#localAt(this.#world.nowUs()) + this.#busyUs;
  }

  #localAt(us: number): number {
    // While it computes, time has moved on already.
    const passed = Math.max(0, us - this.#sinceUs);
    return this.#localUs + Math.floor(passed * this.#rate);
  }

  #isFree(): boolean {
    return !this.#paused && this.#world.nowUs() >= this.#freeAtUs;
  }

  #holdUp(): void {
    this.#heldUpUntilUs = this.#nowUs();
  }

  /** Sees to it that what there is to do is done as soon as it can be. */
  #wake(): void {
    if (this.#node === undefined || this.#paused) return;
    const at = this.#nextTurnUs();
    if (at >= this.#wakeAtUs) return;
    this.#cancelWake?.();
    this.#wakeAtUs = at;
    this.#cancelWake = this.#world.schedule(at, () => {
      this.#wakeAtUs = Infinity;
      this.#takeTurn();
    });
  }

  #nextTurnUs(): number {
    const soonest = Math.max(this.#world.nowUs(), this.#freeAtUs);
    if (this.#pipes ? this.#pipes.ready : this.#input.length > 0) {
      return soonest;
    }
    const due = this.#timers.nextTime;
    if (due === Infinity) return Infinity;
    let at = Math.max(
      soonest,
      this.#sinceUs + Math.ceil((due - this.#localUs) / this.#rate),
    );
    while (this.#localAt(at) < due) at++; // what rounding may have lost
    return at;
  }

  #takeTurn(): void {
    if (this.#node === undefined || this.#paused) return;
    if (!this.#isFree()) return this.#wake();
    const due = this.#timers.nextTime <= this.#nowUs();
    if (this.#pipes?.handsOver) return this.#step(this.#pipes);
    const readable = this.#pipes?.ready ?? this.#input.length > 0;
    if (due && (!readable || this.#options.random.chance(0.5))) {
      this.#world.turn(this);
      this.#timerTurn = true;
      this.#fire(this.#timers.take());
    } else if (readable) {
      if (this.#pipes) return this.#step(this.#pipes);
      this.#world.turn(this);
      this.#read(this.#input.shift()!);
    } else this.#wake();
  }

  #step(pipes: Pipes): void {
    this.#world.turn(this);
    this.#world.goesOn();
    pipes.step();
  }

  #read({ line, number, message, garbled }: Envelope): void {
    this.#busyUs += this.messageMs * 1000;
    // What was not parsed yet is no reply.
    if (message?.body.in_reply_to !== undefined) {
      this.#account.arrived(message, number);
    }
    if (garbled && line !== "") this.#account.invalid();
    else if (this.#node!.nodeId === "" && message?.body.type !== "init") {
      this.#world.happened("request before init");
    }
    try {
      this.#node!.receive(line);
    } catch (error) {
      const invariant = isMessage(line) ? "failures-contained" : "bad-input";
      this.#violated(invariant, `the node threw ${error} at ${line}`);
    }
  }

  #fire(timer: () => void): void {
    try {
      timer();
    } catch (error) {
      this.#violated(
        "failures-contained",
        `a timer of the node's threw ${error}`,
      );
    }
  }

  #waitsInInput(rpc: ObservedRpc): boolean {
    if (this.#pipes) return this.#pipes.holdsReplyTo(rpc);
    return this.#input.some(({ message }) =>
      message?.body.in_reply_to === rpc.id && message.src === rpc.dest
    );
  }

  #violated(invariant: Invariant, text: string): void {
    this.#world.violated(invariant, text, this.id);
  }
}

/**
 * How long an inbox may take to find out that there is nothing to read, in ms:
 * where the timer was late it looks eight times, 4 ms apart, one of them more
 * where the clock's speed changes meanwhile.
 */
const LOOK_MS = 48;

function isMessage(line: string): boolean {
  try {
    decode(line);
    return true;
  } catch {
    return false;
  }
}

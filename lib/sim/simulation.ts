/** A cluster of real nodes, clients and services in virtual time. */
import { EventQueue } from "../event_queue.ts";
import type { Message } from "../message.ts";
import { type AnyNode, Node } from "../node.ts";
import { checkSucceeded } from "./judges/checkers.ts";
import { checkOnly, checkOptions } from "./check_options.ts";
import { Client } from "./world/client.ts";
import { type Envelope, messageOf, seal } from "./world/envelope.ts";
import type { Fault } from "./world/fault.ts";
import type { Finding, HistoryEntry, Operation } from "./judges/history.ts";
import { Host, type HostWorld } from "./world/host.ts";
import type { Invariant } from "./judges/invariants.ts";
import {
  latenciesOf,
  type MessageCounts,
  metricsOf,
} from "./judges/metrics.ts";
import { nextMacrotask } from "./macrotask.ts";
import { Network } from "./world/network.ts";
import { observed } from "./world/observed_node.ts";
import {
  type Check,
  planAllFaults,
  type SimulationCounts,
  type SimulationOptions,
  type SimulationResult,
  type Violation,
} from "./options.ts";
import { Random } from "./random.ts";
import { Recovery } from "./world/recovery.ts";
import { SET_UP_CLIENT, SetUp } from "./world/set_up.ts";
import { maelstromServices, type Service } from "./world/services.ts";
import { nothingHappened, type SometimesCounts } from "./judges/sometimes.ts";
import { topology } from "./world/topology.ts";
import { Trace } from "./shown/trace.ts";
import type { Workload } from "./judges/workload.ts";

/** How often handlers may send another RPC when one has ended, after the end. */
const DRAIN_ROUNDS = 20;
/** How long processes may take to end, in ms: a second for handlers, as long as a reader halts for what is to be written. */
const STOP_MS = 10_000;
/** How long, at most, a node takes to start, and what sets it up to arrive. */
const SET_UP_MS = 50;
/** How long it takes until a process that has started anew gets its `init`, at the most, in ms: others know it already. */
const RESTART_MS = 1000;
/** How many operations are planned at a time: the fewer events wait, the sooner the next is found. */
const PLANNED_AT_ONCE = 1000;
/** What a simulation finds of which nobody said how to judge it. */
const NOTHING_ASKED: Finding = {
  check: "succeeded",
  outcome: "unknown",
  text:
    "nothing was asked, as there is no 'workload', and no 'checks': only the invariants were looked at",
};
/** How many turns of the microtask queue are waited for what nothing announces. */
const TURNS = 4;

/**
 * A simulation: real nodes in virtual time. It knows of no real clock, of no
 * random number but those from its seed, and does one thing after the other.
 *
 * What a node does is over, promises and all, before anything else happens:
 * after a turn in which a handler was async, an RPC awaited, or a message sent
 * from a promise, the simulation waits until no microtask is left, and
 * otherwise for four turns of the microtask queue, which is much quicker.
 *
 * @example
 * ```ts
 * import { Simulation } from "@gyre/node/sim";
 * import { callbacks } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const run = () =>
 *   new Simulation({ seed: 7, nodes: 5, setUp: callbacks, faults: ["crash"] }).run();
 * const [one, another] = [await run(), await run()];
 * assertEquals(one.violations, []);
 * assertEquals(one.hash, another.hash);
 * ```
 */
export class Simulation {
  readonly #options: SimulationOptions;
  readonly #queue = new EventQueue();
  readonly #trace: Trace;
  readonly #network: Network;
  readonly #hosts: Map<string, Host> = new Map();
  readonly #clients: Map<string, Client> = new Map();
  readonly #setUp: SetUp;
  readonly #setUpRandom: Random;
  #recovery: Recovery | undefined;
  /** What waits until every node has been set up. */
  readonly #whenReady: (() => void)[] = [];
  #isReady = false;
  readonly #services: Map<string, Service> = new Map();
  readonly #faults: Fault[];
  /** The nodes that are well after the faults. */
  readonly #well: readonly string[];
  readonly #active: Set<Fault> = new Set();
  readonly #nodeIds: string[];
  readonly #history: HistoryEntry[] = [];
  readonly #violations: Violation[] = [];
  readonly #counts: SimulationCounts = {
    messages: 0,
    lost: 0,
    duplicated: 0,
    garbled: 0,
    rpcs: 0,
    replied: 0,
    reaped: 0,
    cancelled: 0,
    late: 0,
    ok: 0,
    failed: 0,
    unknown: 0,
  };
  readonly #sometimes: SometimesCounts = nothingHappened();
  /** Messages that were sent while clients asked. */
  readonly #sentMeanwhile: MessageCounts = {
    all: 0,
    betweenNodes: 0,
    withServices: 0,
  };
  #nowUs = 0;
  #endUs = 0;
  /** The time of which `#lineStart` tells. */
  #lineStartUs = -1;
  #lineStart = "";
  #turnOf: Host | undefined;
  #goesOn = false;
  /** How many operations have got a number. */
  #operations = 0;
  /** How many of those that clients ask by themselves have not ended yet. */
  #unended = 0;
  #events = 0;
  #ran = false;

  /**
   * Plans a simulation.
   *
   * @param options What is simulated.
   * @throws {TypeError} There is no such option, or it is of another type.
   * @throws {RangeError} An option is out of range.
   */
  constructor(options: SimulationOptions) {
    checkOptions(options);
    this.#options = options;
    const { seed, nodes = 3, durationMs = 10_000, workload, operations = 100 } =
      options;
    this.#trace = new Trace(options.onTrace);
    this.#network = new Network(new Random(seed, "network"), options.network);
    const random = new Random(seed, "services");
    const services = {
      ...maelstromServices(random),
      ...options.services?.(random),
    };
    for (const [id, service] of Object.entries(services)) {
      if (service !== null) this.#services.set(id, service);
    }
    this.#nodeIds = Array.from({ length: nodes }, (_, i) => `n${i}`);
    this.#setUpRandom = new Random(seed, "set-up");
    this.#setUp = new SetUp(
      {
        request: (message) => this.#carrySetUp(seal(message)),
        ready: () => this.#ready(),
        failed: (text, node) => this.#violated("set-up", text, node),
      },
      this.#nodeIds,
      workload?.prepare?.(topology(options.topology ?? "grid", this.#nodeIds)),
    );
    const plan = planAllFaults(
      options,
      this.#nodeIds,
      durationMs,
      this.#recoveryMs,
    );
    this.#faults = plan.faults;
    const { onlyFaults, onlyOperations } = options;
    checkOnly(onlyFaults, plan.faults.length, "onlyFaults", "faults");
    checkOnly(onlyOperations, operations, "onlyOperations", "operations");
    this.#well = plan.well;
    for (const id of this.#nodeIds) this.#hosts.set(id, this.#newHost(id));
  }

  /**
   * Runs it, once.
   *
   * @throws {Error} It has been run before.
   */
  async run(): Promise<SimulationResult> {
    if (this.#ran) {
      throw new Error("Cannot run a simulation twice: make another one");
    }
    this.#ran = true;
    const { durationMs = 10_000, quietMs = 10_000 } = this.#options;
    this.#plan(durationMs, quietMs);
    this.#endUs = (durationMs + this.#recoveryMs + 2 * quietMs) * 1000;
    await nextMacrotask(); // from where on nothing real comes in between
    await this.#run();
    await this.#drain();
    const cutShort = this.#violations.length > 0;
    if (!cutShort) this.#checkNodes();
    await this.#stop();
    const findings = cutShort ? [] : this.#checkHistory();
    const broken = this.#violations.map(({ check, text }) =>
      `${check}: ${text}`
    );
    const undecided = findings.filter(({ outcome }) => outcome === "unknown")
      .map(({ check, text }) => `${check}: ${text}`);
    return {
      outcome: broken.length > 0
        ? "fail"
        : undecided.length > 0
        ? "undecided"
        : "pass",
      reasons: [...broken, ...undecided],
      seed: this.#options.seed,
      hash: this.#trace.hash,
      events: this.#trace.lines,
      violations: this.#violations,
      findings,
      history: this.#history,
      faults: this.#faults,
      counts: this.#counts,
      sometimes: this.#sometimes,
      metrics: metricsOf(this.#history, this.#sentMeanwhile, {
        ...latenciesOf(this.#history),
        ...this.#options.workload?.latencies?.(this.#history),
      }),
      simulatedMs: this.#nowUs / 1000,
    };
  }

  /** Lets periodic work rest, and waits until what is pending must have ended. */
  async #drain(): Promise<void> {
    const hosts = [...this.#hosts.values()];
    for (const host of hosts) host.ending = true;
    for (let round = 0; round < DRAIN_ROUNDS; round++) {
      const ms = Math.max(...hosts.map(({ drainsInMs }) => drainsInMs));
      if (ms === 0) return;
      this.#endUs += Math.ceil(ms * 1000);
      await this.#run();
    }
  }

  /** Does what is to happen until the end, which may move on meanwhile. */
  async #run(): Promise<void> {
    const { maxEvents = 100_000_000 } = this.#options;
    while (
      this.#queue.nextTime <= this.#endUs && this.#violations.length === 0
    ) {
      if (++this.#events > maxEvents) {
        this.#violated("limit", `more than 'maxEvents' events: ${maxEvents}`);
        return;
      }
      this.#nowUs = this.#queue.nextTime;
      this.#queue.take()();
      while (this.#turnOf !== undefined) {
        const host: Host = this.#turnOf;
        this.#turnOf = undefined;
        for (let i = 0; i < TURNS && !this.#goesOn; i++) await null;
        if (this.#goesOn) {
          await nextMacrotask();
          this.#goesOn = false;
        }
        host.endTurn();
        if (this.#options.checks) this.#runChecks(this.#options.checks);
      }
    }
  }

  /** How long only some nodes are well; 0 where nothing is asked of them meanwhile. */
  get #recoveryMs(): number {
    const { recoveryMs = 10_000, workload } = this.#options;
    return workload?.probe === undefined ? 0 : recoveryMs;
  }

  /** Every node has been set up: clients and faults may begin. */
  #ready(): void {
    this.#isReady = true;
    for (const fn of this.#whenReady) fn();
    for (const client of this.#clients.values()) client.start();
  }

  #onceReady(fn: () => void): void {
    if (this.#isReady) fn();
    else this.#whenReady.push(fn);
  }

  #plan(durationMs: number, quietMs: number): void {
    const { seed, onlyFaults } = this.#options;
    const random = new Random(seed, "plan");
    for (const id of this.#nodeIds) {
      this.#at(random.int(SET_UP_MS * 1000), () => this.#start(id));
    }
    this.#faults.forEach((fault, index) => {
      if (onlyFaults && !onlyFaults.includes(index)) return;
      this.#at(fault.at * 1000, () =>
        this.#onceReady(() => {
          this.#begin(fault, index);
          const untilUs = Math.max(this.#nowUs, fault.until * 1000);
          this.#at(untilUs, () => this.#end(fault, index));
        }));
    });
    if (this.#options.workload) {
      this.#planOperations(this.#options.workload, random, durationMs, quietMs);
    }
  }

  #planOperations(
    workload: Workload,
    random: Random,
    durationMs: number,
    quietMs: number,
  ): void {
    const {
      operations = 100,
      burst = 1,
      clients = this.#nodeIds.length,
      clientTimeoutMs = 5000,
      onlyOperations,
    } = this.#options;
    for (let i = 1; i <= clients; i++) {
      const client = this.#newClient(`c${i}`, workload, clientTimeoutMs);
      this.#clients.set(client.id, client);
    }
    const all = [...this.#clients.values()];
    const stepUs = durationMs * 1000 / Math.max(1, operations);
    const atOnce = burst * Math.ceil(PLANNED_AT_ONCE / burst);
    const planFrom = (first: number) => {
      const end = Math.min(first + atOnce, operations);
      for (let index = first; index < end; index++) {
        const operation = workload.generate(random, index, this.#nodeIds);
        const node = random.pick(this.#nodeIds);
        const client = random.pick(all);
        const at = Math.floor((index - index % burst) * stepUs) +
          random.int(burst === 1 ? Math.ceil(stepUs) : 1000);
        if (onlyOperations && !onlyOperations.includes(index)) continue;
        this.#at(
          at,
          () => client.ask({ index, operation, node, final: false }),
        );
      }
      if (end < operations) {
        this.#at(Math.floor(end * stepUs), () => planFrom(end));
      }
    };
    planFrom(0);
    this.#operations = operations;
    this.#unended = onlyOperations
      ? onlyOperations.filter((index) => index < operations).length
      : operations;
    this.#planRecovery(workload, durationMs * 1000, clientTimeoutMs);
    const finalMs = durationMs + this.#recoveryMs + quietMs;
    this.#askAtLast(workload.final?.(), all, finalMs * 1000, quietMs);
  }

  /** Asks the nodes that are well after the faults until they make progress. */
  #planRecovery(workload: Workload, fromUs: number, timeoutMs: number): void {
    if (this.#recoveryMs === 0) return;
    const untilUs = fromUs + this.#recoveryMs * 1000;
    const probes = new Map<string, readonly Operation[]>();
    const probers = new Map<string, Client>();
    this.#nodeIds.forEach((node, number) => {
      if (!this.#well.includes(node)) return;
      const client = this.#newClient(
        `c${this.#clients.size + 1}`,
        workload,
        timeoutMs,
      );
      this.#clients.set(client.id, client);
      probes.set(node, workload.probe!(node, number));
      probers.set(node, client);
    });
    const recovery = new Recovery({
      after: (ms, fn) => this.#at(this.#nowUs + ms * 1000, fn),
      ask: (node, operation) =>
        probers.get(node)!.ask({
          index: this.#operations++,
          operation,
          node,
          final: false,
          probe: true,
        }),
    }, probes);
    this.#recovery = recovery;
    this.#at(fromUs + 1, () => recovery.begin()); // once all faults have ended
    this.#at(untilUs, () => recovery.end());
  }

  /** Waits until clients have nothing more to do, and asks the final operations, if there are any. */
  #askAtLast(
    operation: Operation | undefined,
    clients: readonly Client[],
    atUs: number,
    quietMs: number,
  ): void {
    this.#at(atUs, () => {
      if (clients.some(({ busy }) => busy)) {
        const laterUs = Math.max(1, quietMs) * 1000;
        this.#endUs += laterUs;
        return this.#askAtLast(operation, clients, atUs + laterUs, quietMs);
      }
      if (operation === undefined) return;
      this.#nodeIds.forEach((node, i) => {
        const index = this.#operations++;
        const client = clients[i % clients.length]!;
        client.ask({ index, operation, node, final: true });
      });
    });
  }

  #checkNodes(): void {
    for (const host of this.#hosts.values()) {
      const missing = this.#setUp.missing(host.id);
      if (missing !== undefined) {
        this.#violated("set-up", `${host.id} ${missing}`, host.id);
      }
      const unfinished = host.checkDrained();
      if (unfinished !== undefined) {
        this.#violated("unfinished", unfinished, host.id);
      }
      this.#counts.late += host.node?.stats().late ?? 0;
    }
    // Last, as it follows from the others.
    for (const { node, text } of this.#recovery?.end() ?? []) {
      this.#violated("progress", text, node);
    }
  }

  /** Ends the processes that can be ended in an orderly way. */
  async #stop(): Promise<void> {
    if (this.#options.bytes === undefined) return;
    for (const host of this.#hosts.values()) {
      const last = seal({
        src: SET_UP_CLIENT,
        dest: host.id,
        body: { type: "last", msg_id: 0 },
      });
      host.stop(last);
    }
    this.#endUs += STOP_MS * 1000;
    await this.#run();
    if (this.#violations.length > 0) return;
    for (const host of this.#hosts.values()) host.checkEnded(true);
  }

  #checkHistory(): Finding[] {
    for (const { status } of this.#history) {
      this.#counts[
        status === "ok" ? "ok" : status === "fail" ? "failed" : "unknown"
      ]++;
    }
    const { workload, checks = [] } = this.#options;
    const findings = workload
      ? [...workload.check(this.#history), ...checkSucceeded(this.#history)]
      : checks.length > 0
      ? []
      : [NOTHING_ASKED];
    for (const { check, outcome, text } of findings) {
      if (outcome === "fail") this.#violated(check, text);
    }
    return findings;
  }

  #runChecks(checks: readonly Check[]): void {
    const nodes = new Map<string, AnyNode>();
    for (const { id, node } of this.#hosts.values()) {
      if (node) nodes.set(id, node);
    }
    for (const { name, check } of checks) {
      const text = check(nodes, this.#nowUs / 1000);
      if (text !== undefined) this.#violated(name, text);
    }
  }

  #at(us: number, fn: () => void): void {
    this.#queue.add(us, fn);
  }

  #newHost(id: string): Host {
    const {
      seed,
      setUp,
      nodeOptions = {},
      nodeClass = Node,
      bytes,
      durationMs = 10_000,
    } = this.#options;
    const ObservedNode = observed(nodeClass);
    const world: HostWorld = {
      nowUs: () => this.#nowUs,
      schedule: (us, fn) => this.#queue.schedule(us, fn),
      turn: (host) => this.#turnOf = host,
      goesOn: () => this.#goesOn = true,
      messages: () => this.#counts.messages,
      refuses: () => this.#network.refuses(),
      carry: (envelope) => {
        if (this.#turnOf === undefined) this.#goesOn = true; // sent from a promise
        this.#carry(envelope);
      },
      trace: (name, text) => this.#traceEvent(name, text),
      counted: (what) => this.#counts[what]++,
      happened: (what) => this.#sometimes[what]++,
      handled: (request, replies) => {
        this.#clients.get(request.src)?.handled(request, replies);
        if (request.src === SET_UP_CLIENT) {
          this.#setUp.handled(id, request, replies);
        }
      },
      logged: this.#options.onLog &&
        ((level, text) =>
          this.#options.onLog!({
            atMs: this.#nowUs / 1000,
            node: id,
            level,
            text,
          })),
      violated: (invariant: Invariant, text, node) =>
        this.#violated(invariant, text, node),
    };
    return new Host(world, {
      id,
      nodeOptions,
      bytes,
      haltsUntilUs: durationMs * 1000,
      firstMsgId: this.#firstMsgId(id),
      random: new Random(seed, `host ${id}`),
      create: (options, observer, host) => {
        const numbers = new Random(seed, `numbers ${id} ${host.incarnation}`);
        const random = () => numbers.fraction();
        const node = new ObservedNode({ random, ...options }, observer);
        setUp(node, {
          random: new Random(seed, `node ${id} ${host.incarnation}`),
          wallNow: () => host.wallNow(),
        });
        return node;
      },
    });
  }

  /**
   * Where a node's processes begin to count: each at a random place where nodes
   * restart, as replies to the process before must not settle RPCs.
   */
  #firstMsgId(id: string): () => number {
    const { seed, nodeOptions: { firstMsgId } = {} } = this.#options;
    const restarts = this.#faults.some(({ kind }) => kind === "crash");
    if (firstMsgId !== undefined || !restarts) return () => firstMsgId ?? 0;
    const random = new Random(seed, `ids ${id}`);
    return () => random.int(2 ** 20) * 2 ** 32 + random.int(2 ** 32);
  }

  #newClient(id: string, workload: Workload, timeoutMs: number): Client {
    return new Client(
      id,
      {
        nowUs: () => this.#nowUs,
        schedule: (us, fn) => this.#queue.schedule(us, fn),
        request: (message) => this.#carry(seal(message)),
        recorded: (entry) => this.#recorded(entry),
        incarnation: (node) => this.#hosts.get(node)!.incarnation,
        violated: (check, text, node) => this.#violated(check, text, node),
      },
      workload,
      timeoutMs,
    );
  }

  #recorded(entry: HistoryEntry): void {
    const begins = entry.completedAt === Infinity &&
      entry.error === undefined;
    if (begins) this.#history.push(entry);
    this.#traceEvent(
      begins ? "invoke" : "complete",
      begins ? asked(entry) : told(entry),
    );
    if (begins) return;
    if (entry.probe) this.#recovery?.ended(entry);
    else if (!entry.final) this.#unended--;
  }

  /** Starts a node's process, and has it set up. */
  #start(id: string): void {
    const host = this.#hosts.get(id)!;
    if (host.node !== undefined) return;
    host.start();
    this.#traceEvent("start", `"node":"${id}"`);
    this.#setUp.started(id);
  }

  /** Carries what sets a node up, and its answer: both always arrive. */
  #carrySetUp(envelope: Envelope): void {
    const { dest } = envelope;
    this.#sent(envelope);
    // Others may write to a node before its init has arrived.
    const isRestart = (this.#hosts.get(dest)?.incarnation ?? 1) > 1;
    const ms = isRestart ? RESTART_MS : SET_UP_MS;
    this.#at(this.#nowUs + this.#setUpRandom.int(ms * 1000), () => {
      this.#traceEvent("recv", `"m":${envelope.number}`);
      if (dest === SET_UP_CLIENT) this.#setUp.receive(messageOf(envelope));
      else this.#hosts.get(dest)!.arrive(envelope);
    });
  }

  #begin(fault: Fault, index: number): void {
    this.#active.add(fault);
    const { at: _, until: __, ...what } = fault;
    this.#traceEvent(
      "fault",
      `"fault":${index},${JSON.stringify(what).slice(1, -1)}`,
    );
    this.#network.begin(fault);
    if (fault.kind === "crash") this.#hosts.get(fault.node)?.crash();
    else if (fault.kind === "pause") this.#hosts.get(fault.node)?.pause();
    else this.#adjust();
  }

  #end(fault: Fault, index: number): void {
    this.#active.delete(fault);
    this.#traceEvent("heal", `"fault":${index}`);
    this.#network.end(fault);
    if (fault.kind === "crash" && !this.#isUnder("crash", fault.node)) {
      this.#hosts.get(fault.node)?.checkEnded(false);
      this.#hosts.get(fault.node)?.kill();
      if (this.#hosts.has(fault.node)) this.#start(fault.node);
    } else if (fault.kind === "pause" && !this.#isUnder("pause", fault.node)) {
      this.#hosts.get(fault.node)?.resume();
    } else this.#adjust();
  }

  #isUnder(kind: "crash" | "pause", node: string): boolean {
    for (const fault of this.#active) {
      if (fault.kind === kind && fault.node === node) return true;
    }
    return false;
  }

  /** Sets each process's clocks and speed to what the faults that act now make of them. */
  #adjust(): void {
    for (const host of this.#hosts.values()) {
      let rate = 1;
      host.messageMs = host.callbackMs = host.wallOffsetMs = 0;
      host.throwProbability = 0;
      for (const fault of this.#active) {
        if (fault.kind === "throw") host.throwProbability = fault.probability;
        if (!("node" in fault) || fault.node !== host.id) continue;
        if (fault.kind === "drift") rate = fault.rate;
        if (fault.kind === "wall-clock") host.wallOffsetMs += fault.byMs;
        if (fault.kind === "busy") {
          host.messageMs = fault.messageMs;
          host.callbackMs = fault.callbackMs;
        }
      }
      host.setRate(rate);
    }
  }

  /** Numbers a message and writes it down. */
  #sent(envelope: Envelope): void {
    envelope.number = this.#counts.messages++;
    this.#trace.add(
      `${this.#traceStart()}"send","m":${envelope.number},${
        envelope.line.slice(1)
      }`,
    );
  }

  #carry(envelope: Envelope): void {
    const { src, dest } = envelope;
    if (dest === SET_UP_CLIENT) return this.#carrySetUp(envelope);
    this.#sent(envelope);
    this.#measure(src, dest);
    if (
      envelope.message?.body.in_reply_to !== undefined &&
      this.#hosts.has(dest) && this.#network.strays()
    ) this.#stray(envelope.message);
    if (this.#network.loses()) return this.#lose(envelope, "loss");
    const asks = this.#clients.get(src);
    const client = asks !== undefined || this.#clients.has(dest);
    const doubled = this.#network.doubles();
    if (doubled) {
      this.#counts.duplicated++;
      asks?.doubled(envelope.message!.body.msg_id!);
    }
    for (let copies = doubled ? 2 : 1; copies > 0; copies--) {
      const us = this.#network.latencyUs(src, dest, client);
      this.#at(this.#nowUs + us, () => this.#deliver(envelope, !doubled));
    }
  }

  /** Counts a message that is sent while clients ask. */
  #measure(src: string, dest: string): void {
    const { durationMs = 10_000 } = this.#options;
    if (!this.#isReady) return;
    if (this.#nowUs >= durationMs * 1000 && this.#unended === 0) return;
    const counts = this.#sentMeanwhile;
    counts.all++;
    if (this.#clients.has(src) || this.#clients.has(dest)) return;
    const isOne = this.#services.has(src) || this.#services.has(dest);
    counts[isOne ? "withServices" : "betweenNodes"]++;
  }

  /** Lets a reply arrive from a sender that was not asked. */
  #stray(reply: Message): void {
    const src = reply.src === "nobody" ? "no one" : "nobody";
    const envelope = seal({ ...reply, src });
    this.#sent(envelope);
    const us = this.#network.latencyUs(src, reply.dest, false);
    this.#at(this.#nowUs + us, () => this.#deliver(envelope, false));
  }

  /**
   * Delivers a message, now. One that arrives twice is not garbled: else the
   * one copy might be refused for certain, and the other one obeyed.
   */
  #deliver(envelope: Envelope, garbles: boolean): void {
    const { src, dest, line, number } = envelope;
    if (this.#network.separates(src, dest)) {
      return this.#lose(envelope, "partition");
    }
    const host = this.#hosts.get(dest);
    if (host?.listens) {
      if (this.#clients.has(src) && !this.#setUp.isReady(dest)) {
        return this.#lose(envelope, "starting");
      }
      if (garbles && this.#network.garbles()) {
        this.#counts.garbled++;
        this.#traceEvent("recv", `"m":${number},"garbled":true`);
        const garbled = this.#network.garble(line);
        const what = { line: garbled, message: undefined, garbled: true };
        return host.arrive({ ...envelope, ...what });
      }
      this.#traceEvent("recv", `"m":${number}`);
      return host.arrive(envelope);
    }
    const client = this.#clients.get(dest);
    const service = this.#services.get(dest);
    if (client === undefined && service === undefined) {
      return this.#lose(envelope, host ? "down" : "nobody");
    }
    this.#traceEvent("recv", `"m":${number}`);
    const message = messageOf(envelope);
    if (client) client.receive(message);
    else if (message.body.in_reply_to === undefined) {
      this.#serve(service!, message);
    }
  }

  #serve(service: Service, request: Message): void {
    const { src, dest, body } = request;
    this.#carry(seal({
      src: dest,
      dest: src,
      body: { ...service.handle(request), in_reply_to: body.msg_id! },
    }));
  }

  #lose({ number }: Envelope, why: string): void {
    this.#counts.lost++;
    this.#traceEvent("lost", `"m":${number},"why":"${why}"`);
  }

  #traceEvent(name: string, text: string): void {
    this.#trace.add(`${this.#traceStart()}"${name}",${text}}`);
  }

  /** The start of a line of the trace; writing the time anew for each would take long. */
  #traceStart(): string {
    if (this.#lineStartUs !== this.#nowUs) {
      this.#lineStartUs = this.#nowUs;
      this.#lineStart = `{"t":${this.#nowUs / 1000},"e":`;
    }
    return this.#lineStart;
  }

  #violated(check: string, text: string, node?: string): void {
    const event = this.#trace.lines;
    this.#traceEvent(
      "violation",
      JSON.stringify({ check, text, node }).slice(1, -1),
    );
    this.#violations.push({
      check,
      text,
      event,
      atMs: this.#nowUs / 1000,
      ...(node === undefined ? {} : { node }),
    });
  }
}

function asked({ index, f, key, value, node, process }: HistoryEntry): string {
  return `"op":${index},"f":"${f}","node":"${node}","process":"${process}"` +
    field("key", key) + field("value", value);
}

function told({ index, status, result, error }: HistoryEntry): string {
  return `"op":${index},"status":"${status}"` +
    field("result", result) + field("error", error);
}

function field(name: string, value: unknown): string {
  return value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
}

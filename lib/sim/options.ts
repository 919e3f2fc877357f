/** What a simulation is given, and what it comes to. */
import type { AnyNode, LogLevel, NodeOptions } from "../node.ts";
import {
  type Fault,
  type FaultKind,
  partitionDrops,
  planFaults,
  planRecovery,
} from "./world/fault.ts";
import type { Finding, HistoryEntry } from "./judges/history.ts";
import type { SimulationMetrics } from "./judges/metrics.ts";
import type { NetworkOptions } from "./world/network.ts";
import type { BytesOptions } from "./world/pipes.ts";
import { Random } from "./random.ts";
import type { Service } from "./world/services.ts";
import type { SometimesCounts } from "./judges/sometimes.ts";
import type { TopologyShape } from "./world/topology.ts";
import type { Workload } from "./judges/workload.ts";

/** What a node's set-up is handed besides the node, for what would otherwise be neither simulated nor repeatable. */
export interface SimulatedProcess {
  /** Random numbers of this node's own, from the simulation's seed. */
  readonly random: Random;
  /** The wall clock in ms, in place of `Date.now()`: it may jump. */
  wallNow(): number;
}

/** A check of the caller's own, made after each thing that a node did. */
export interface Check {
  /** Its name. */
  name: string;
  /**
   * Looks at the nodes.
   *
   * @param nodes Those that are up, by id.
   * @param nowMs The simulated time.
   * @returns What is wrong, if something is.
   */
  check(nodes: ReadonlyMap<string, AnyNode>, nowMs: number): string | undefined;
}

/** A line of a node's log. */
export interface LogEntry {
  /** When, in ms of simulated time. */
  atMs: number;
  /** The node's id. */
  node: string;
  /** How important it is. */
  level: LogLevel;
  /** What it says. */
  text: string;
}

/** Options of a {@linkcode Simulation}: an unknown one is refused, as it may be misspelt. */
export interface SimulationOptions {
  /** All that is random follows from it: a whole number from 0 to below 2^53. */
  seed: number;
  /**
   * How many nodes there are: `n0`, `n1`, …
   *
   * @default {3}
   */
  nodes?: number;
  /** Sets up a node: its handlers, its periodic work. The function that your `main.ts` uses. */
  setUp: (node: AnyNode, process: SimulatedProcess) => void;
  /** Options of the nodes; the clock is the simulation's. */
  nodeOptions?: Omit<NodeOptions, "clock">;
  /**
   * The class of the nodes.
   *
   * @default {Node}
   */
  nodeClass?: new (options?: NodeOptions) => AnyNode;
  /** Services beside Maelstrom's four, or in place of one of the same id; `null` takes one away. */
  services?: (random: Random) => Record<string, Service | null>;
  /** How long messages take. */
  network?: NetworkOptions;
  /**
   * Lets messages travel as bytes: in pieces, through the inbox and outbox of
   * `@gyre/node/stdio`, with readers of stdout that are quick, slow or halt.
   *
   * @default lines are handed to the node as they are
   */
  bytes?: BytesOptions | undefined;
  /**
   * What goes wrong: these very faults, or these kinds at times that follow
   * from the seed.
   *
   * @default {[]}
   */
  faults?: readonly Fault[] | readonly FaultKind[];
  /**
   * How many nodes must be well for the cluster to make progress, at most all. So many are,
   * right after `durationMs`; where "crash", "pause" or "partition" are among
   * the kinds of `faults`, the others are not yet.
   *
   * @default more than half of them
   */
  needs?: number;
  /**
   * How long, in ms, nodes that are well may take to make progress, while
   * others are not; nothing is asked of them where the workload has no `probe`.
   *
   * @default {10_000}
   */
  recoveryMs?: number;
  /**
   * What clients ask. Without one there are no clients, and nothing is asked:
   * unless there are `checks`, the simulation is undecided, however well the
   * invariants held.
   */
  workload?: Workload;
  /**
   * The topology that nodes are told, where the workload tells them one.
   *
   * @default {"grid"}
   */
  topology?: TopologyShape;
  /**
   * How many operations clients ask for.
   *
   * @default {100}
   */
  operations?: number;
  /**
   * How many operations come at a time, within 1 ms; a longer pause follows.
   *
   * @default {1}
   */
  burst?: number;
  /**
   * How many clients there are: `c1`, `c2`, …
   *
   * @default as many as nodes
   */
  clients?: number;
  /**
   * For how long clients ask and things go wrong, in ms; a quiet time follows.
   *
   * @default {10_000}
   */
  durationMs?: number;
  /**
   * How long a client waits for an answer, in ms.
   *
   * @default {5000}
   */
  clientTimeoutMs?: number;
  /**
   * How long the quiet time is, in ms: before the final operations, and again after them.
   *
   * @default {10_000}
   */
  quietMs?: number;
  /** Checks of your own. */
  checks?: readonly Check[];
  /** Leaves out all faults but those of these numbers, from 0 on, to see what matters. */
  onlyFaults?: readonly number[] | undefined;
  /** Leaves out all operations but those of these numbers, from 0 on. */
  onlyOperations?: readonly number[] | undefined;
  /** Handed the trace, line by line: JSON, without a newline. */
  onTrace?: (line: string) => void;
  /** Handed what the nodes log, line by line, of every level; a `log` among `nodeOptions` gets it, too. */
  onLog?: (entry: LogEntry) => void;
  /**
   * After how many events to give up; a simulation that is cut off so has a
   * violation that says it.
   *
   * @default {100_000_000}
   */
  maxEvents?: number;
}

/** What a simulation came to, in a word: what was to hold does, does not, or nobody can tell. */
export type Outcome = "pass" | "fail" | "undecided";

/** Something that should not be. */
export interface Violation {
  /**
   * What is broken: one of {@linkcode INVARIANTS}, a check's name, "set-up",
   * "progress", "unfinished", "answered-once" or "limit".
   */
  check: string;
  /** How it shows. */
  text: string;
  /** The number of the trace's event at which it did; how many there are where the whole history was checked. */
  event: number;
  /** When, in ms of simulated time. */
  atMs: number;
  /** The node, if it is one's. */
  node?: string;
}

/** What a simulation came to, in numbers. */
export interface SimulationCounts {
  /** Messages sent. */
  messages: number;
  /** Messages lost: at random, to a partition, to a node that was down. */
  lost: number;
  /** Messages that arrived twice. */
  duplicated: number;
  /** Messages that arrived garbled. */
  garbled: number;
  /** RPCs that nodes sent. */
  rpcs: number;
  /** RPCs that ended with their reply. */
  replied: number;
  /** RPCs that timed out. */
  reaped: number;
  /** RPCs that were cancelled. */
  cancelled: number;
  /** Replies that came too late, according to the nodes that are up at the end. */
  late: number;
  /** Operations that happened. */
  ok: number;
  /** Operations that certainly did not happen. */
  failed: number;
  /** Operations of which nobody knows. */
  unknown: number;
}

/** What a simulation came to. */
export interface SimulationResult {
  /** What it came to: a pass only if everything that was to be checked could be, and holds. */
  outcome: Outcome;
  /** Why it is no pass: what was broken, or what could not be decided; empty for a pass. */
  reasons: string[];
  /** Its seed. */
  seed: number;
  /** The hash of its trace: the same for the same seed and options, everywhere. */
  hash: string;
  /** How many lines its trace has. */
  events: number;
  /** What was broken; the simulation ends at the first. */
  violations: Violation[];
  /** What the checks of the history found; none when the simulation ended early. */
  findings: Finding[];
  /** What clients asked and were told. */
  history: HistoryEntry[];
  /** What went wrong, as planned. */
  faults: Fault[];
  /** Messages, RPCs and operations, counted. */
  counts: SimulationCounts;
  /** How often happened what must happen in some simulation: see {@linkcode SOMETIMES}. */
  sometimes: SometimesCounts;
  /** Messages for each operation, and latencies. */
  metrics: SimulationMetrics;
  /** How much time was simulated, in ms. */
  simulatedMs: number;
}

/** What goes wrong in a simulation. */
export interface FaultPlan {
  /** All faults, in the order in which they begin. */
  faults: Fault[];
  /** The nodes that are well right after `durationMs`. */
  well: readonly string[];
}

/**
 * The faults of a simulation: those that it was given, or planned by its seed.
 *
 * @param options The simulation's options.
 * @param nodeIds The nodes' ids.
 * @param durationMs For how long things may go wrong.
 * @param recoveryMs For how long after that some of the nodes may still be out of order.
 */
export function planAllFaults(
  { seed, faults = [], needs }: SimulationOptions,
  nodeIds: readonly string[],
  durationMs: number,
  recoveryMs: number,
): FaultPlan {
  const kinds = faults.filter((fault) => typeof fault === "string");
  if (kinds.length === 0) {
    const given = (faults as readonly Fault[]).map((fault) =>
      fault.kind === "partition"
        ? { drops: partitionDrops(fault.shape, nodeIds), ...fault }
        : fault
    );
    return { faults: given, well: nodeIds };
  }
  const planned = planFaults(
    new Random(seed, "faults"),
    kinds,
    nodeIds,
    durationMs,
  );
  const stopping = (["crash", "pause", "partition"] as const)
    .filter((kind) => kinds.includes(kind));
  if (recoveryMs === 0 || stopping.length === 0) {
    return { faults: planned, well: nodeIds };
  }
  const random = new Random(seed, "recovery");
  const needed = needs ?? Math.floor(nodeIds.length / 2) + 1;
  const shuffled = random.shuffle(nodeIds);
  const window = { at: durationMs, until: durationMs + recoveryMs };
  const others = shuffled.slice(needed);
  return {
    faults: [
      ...planned,
      ...planRecovery(random, stopping, nodeIds, others, window),
    ],
    well: shuffled.slice(0, needed),
  };
}

/** What a seed stands for: a workload, a cluster, and what goes wrong. */
import { TextLineStream } from "@std/streams/text-line-stream";
import {
  type BytesOptions,
  type FaultKind,
  type Latency,
  Random,
  type SimulationOptions,
  type SimulationResult,
} from "../../lib/sim/mod.ts";
import { SCENARIOS } from "./nodes.ts";

/** What was asked for; the seed chooses the rest. */
export interface Choices {
  seed: number;
  workload?: string | undefined;
  nodes?: number | undefined;
  operations?: number | undefined;
  faults?: readonly FaultKind[] | undefined;
  /** Whether messages travel as bytes. */
  bytes?: boolean | undefined;
  onlyFaults?: readonly number[] | undefined;
  onlyOperations?: readonly number[] | undefined;
}

/** A simulation, and what it is called. */
export interface Planned {
  workload: string;
  faults: readonly FaultKind[];
  options: SimulationOptions;
}

/** What a simulation came to, without its history. */
export type Outcome =
  & Pick<SimulationResult, "seed" | "hash" | "events" | "violations" | "counts">
  & { workload: string; faults: readonly FaultKind[]; undecided: number };

/**
 * The simulation that a seed stands for. The seed always chooses everything,
 * so that what was asked for changes nothing else.
 */
export function plan(choices: Choices): Planned {
  const random = new Random(choices.seed, "scenario");
  const chosen = random.pick(Object.keys(SCENARIOS));
  // So many RPCs at once, with replies that come as they expire, that the table
  // has several segments, and a reap many slices.
  const many = random.chance(0.02);
  const workload = choices.workload ?? (many ? "callbacks" : chosen);
  const scenario = SCENARIOS[workload]!;
  const nodes = 1 + random.int(5);
  const few = 20 + random.int(131);
  const operations = many ? 3000 : random.chance(0.1) ? 1000 : few;
  const burst = many ? operations : random.pick([1, 1, 1, 30, 200]);
  const latency: Latency = {
    distribution: random.pick(["constant", "uniform", "exponential"]),
    meanMs: random.pick(many ? [20, 100] : [0, 1, 5, 20, 100]),
  };
  const rpcTimeoutMs = Math.max(
    random.pick(many ? [100] : [100, 500, 2000, 2000.5]),
    many ? 0 : 5 * latency.meanMs, // else nothing would ever succeed
  );
  const reapIntervalMs = random.chance(0.2) ? 500 : undefined;
  const inputGraceMs = random.pick([2000, 2000, 20]);
  const maxPending = random.chance(0.2) ? 10 : 1_000_000;
  const faults = choices.faults ??
    scenario.faults.filter((kind) =>
      random.chance(0.4) || (many && kind === "busy")
    );
  const bytes: BytesOptions = {
    lines: () => new TextLineStream(),
    maxLineBytes: 70_000,
    maxOutputBytes: random.pick([scenario.maxReplyBytes * 2, 524_288]),
  };
  const asBytes = random.chance(many ? 0.6 : 0.25);
  return {
    workload,
    faults,
    options: {
      seed: choices.seed,
      setUp: scenario.setUp,
      workload: scenario.workload,
      nodes: choices.nodes ?? nodes,
      operations: choices.operations ?? operations,
      burst,
      ...many ? { clients: 200 } : {},
      bytes: choices.bytes ?? asBytes ? bytes : undefined,
      faults,
      network: { latency },
      nodeOptions: { rpcTimeoutMs, reapIntervalMs, inputGraceMs, maxPending },
      onlyFaults: choices.onlyFaults,
      onlyOperations: choices.onlyOperations,
    },
  };
}

/** The part of a result that is counted. */
export function outcomeOf(
  { workload, faults }: Planned,
  result: SimulationResult,
): Outcome {
  const { seed, hash, events, violations, counts, findings } = result;
  const undecided =
    findings.filter(({ outcome }) => outcome === "unknown").length;
  return {
    workload,
    faults,
    seed,
    hash,
    events,
    violations,
    counts,
    undecided,
  };
}

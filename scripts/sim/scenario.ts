/** What a seed stands for: a workload, a cluster, and what goes wrong. */
import { TextLineStream } from "@std/streams/text-line-stream";
import {
  type BytesOptions,
  type FaultKind,
  type Latency,
  Random,
  Simulation,
  type SimulationOptions,
  type SimulationResult,
  TOPOLOGY_SHAPES,
  type TopologyShape,
  type Workload,
} from "../../lib/sim/mod.ts";
import { latenciesOf } from "../../lib/sim/judges/metrics.ts";
import { load, type NodeModule } from "./load.ts";
import { LONG_MESSAGES, SCENARIOS } from "./nodes.ts";

/** What was asked for; the seed chooses the rest. */
export interface Choices {
  seed: number;
  workload?: string | undefined;
  /** The path or URL of a module that sets nodes up, in place of the workload's own. */
  node?: string | undefined;
  nodes?: number | undefined;
  needs?: number | undefined;
  operations?: number | undefined;
  topology?: TopologyShape | undefined;
  faults?: readonly FaultKind[] | undefined;
  /** Whether messages travel as bytes. */
  bytes?: boolean | undefined;
  onlyFaults?: readonly number[] | undefined;
  onlyOperations?: readonly number[] | undefined;
  /** Whether to run it twice, and compare. */
  twice?: boolean | undefined;
}

/** A simulation, and what it is called. */
export interface Planned {
  workload: string;
  faults: readonly FaultKind[];
  options: SimulationOptions;
}

/** What a seed came to, without its history. */
export interface SeedResult extends
  Pick<
    SimulationResult,
    | "outcome"
    | "reasons"
    | "seed"
    | "hash"
    | "events"
    | "violations"
    | "counts"
    | "sometimes"
    | "metrics"
  > {
  workload: string;
  faults: readonly FaultKind[];
  /** What `metrics` sums up: latencies in ms. */
  latencies: Record<string, number[]>;
}

/**
 * What to ask a node for.
 *
 * @throws {Error} It is not known, or there is no such workload.
 */
function workloadFor(node: string, { workload }: NodeModule): string {
  const names = Object.keys(SCENARIOS);
  if (workload !== undefined && names.includes(workload)) return workload;
  const reason = workload === undefined
    ? "what to ask for is not known"
    : `there is no workload '${workload}'`;
  throw new Error(
    `${reason}: add --workload NAME, or to ${node} export const workload = "NAME", with one of ${
      names.join(", ")
    }`,
  );
}

/** The workload without the kinds of operations that the seed leaves out, of which one in five is. */
function withoutSome(workload: Workload, seed: number): Workload {
  const leftOut = new Map<string, boolean>();
  const isLeftOut = (f: string) => {
    const known = leftOut.get(f) ??
      new Random(seed, `without ${f}`).chance(0.2);
    leftOut.set(f, known);
    return known;
  };
  return {
    ...workload,
    generate(...args) {
      let operation = workload.generate(...args);
      for (let i = 0; i < 20 && isLeftOut(operation.f); i++) {
        operation = workload.generate(...args);
      }
      return operation;
    },
  };
}

/**
 * The simulation that a seed stands for. The seed always chooses everything,
 * so that what was asked for changes nothing else.
 *
 * @throws {Error} The node can't be loaded.
 */
export async function plan(choices: Choices): Promise<Planned> {
  const random = new Random(choices.seed, "scenario");
  const chosen = random.pick(Object.keys(SCENARIOS));
  // So many RPCs at once, with replies that come as they expire, that the table
  // has several segments, some of which are merged, and a reap many slices.
  const many = random.chance(0.02);
  const node = choices.node === undefined
    ? undefined
    : await load(choices.node);
  const workload = choices.workload ??
    (node === undefined
      ? many ? "callbacks" : chosen
      : workloadFor(choices.node!, node));
  const scenario = SCENARIOS[workload]!;
  const chosenNodes = 1 + random.int(5);
  const nodes = many ? Math.ceil(chosenNodes / 3) : chosenNodes;
  const few = 20 + random.int(131);
  const operations = many ? 3000 : random.chance(0.1) ? 1000 : few;
  const burst = many ? operations : random.pick([1, 1, 1, 30, 200]);
  const latency: Latency = {
    distribution: random.pick(["constant", "uniform", "exponential"]),
    meanMs: random.pick(many ? [20, 50, 100] : [0, 1, 5, 20, 100]),
  };
  const patientMs = random.pick(many ? [100] : [100, 500, 2000, 2000.5]);
  const reapIntervalMs = random.chance(0.2) ? 500 : undefined;
  const inputGraceMs = random.pick([2000, 2000, 20]);
  // With so steady a network, and looks now and then only, replies come on the very tick of their deadlines.
  const isExact = random.chance(0.5) && reapIntervalMs !== undefined &&
    latency.distribution === "constant" && latency.meanMs > 0;
  // With less time than that, nothing might ever succeed that waits for RPCs.
  const leastMs = workload === "callbacks" ? 0 : 5 * latency.meanMs;
  const rpcTimeoutMs = isExact
    ? 2 * latency.meanMs
    : Math.max(patientMs, leastMs);
  const maxPending = random.chance(0.2) ? 10 : 1_000_000;
  const faults = choices.faults ??
    scenario.faults.filter((kind) =>
      random.chance(0.4) || (many && kind === "busy")
    );
  const maxMessageBytes = LONG_MESSAGES[workload] ?? 1024;
  const bytes: BytesOptions = {
    lines: () => new TextLineStream(),
    maxLineBytes: 70_000,
    maxOutputBytes: random.pick([maxMessageBytes * 2, 524_288]),
  };
  const asBytes = random.chance(many ? 0.6 : 0.25);
  const topology = random.pick(TOPOLOGY_SHAPES);
  return {
    workload,
    faults,
    options: {
      seed: choices.seed,
      setUp: node?.setUp ?? scenario.setUp,
      workload: withoutSome(scenario.workload, choices.seed),
      nodes: choices.nodes ?? Math.max(nodes, choices.needs ?? 1),
      ...choices.needs === undefined ? {} : { needs: choices.needs },
      operations: choices.operations ?? operations,
      burst,
      ...many ? { clients: 200 } : {},
      bytes: choices.bytes ?? asBytes ? bytes : undefined,
      faults,
      topology: choices.topology ?? topology,
      network: { latency },
      nodeOptions: { rpcTimeoutMs, reapIntervalMs, inputGraceMs, maxPending },
      onlyFaults: choices.onlyFaults,
      onlyOperations: choices.onlyOperations,
    },
  };
}

/**
 * Runs a simulation, twice where that was asked for.
 *
 * @param told Handed the trace and the nodes' log of the first run.
 */
export async function runPlanned(
  { options }: Planned,
  { twice = false }: Choices,
  told: Pick<SimulationOptions, "onTrace" | "onLog"> = {},
): Promise<SimulationResult> {
  const first: string[] = [];
  const result = await new Simulation({
    ...options,
    ...told,
    onTrace(line) {
      if (twice) first.push(line);
      told.onTrace?.(line);
    },
  }).run();
  if (!twice) return result;
  let event = 0;
  let other: string | undefined;
  const again = await new Simulation({
    ...options,
    onTrace(line) {
      if (other !== undefined) return;
      if (line === first[event]) event++;
      else other = line;
    },
  }).run();
  if (again.hash === result.hash) return result;
  const one = first[event];
  const violation = {
    check: "repeatable",
    text: `run twice, the traces differ from event ${event} on:\n  first  ${
      one ?? "nothing more"
    }\n  second ${other ?? "nothing more"}`,
    event,
    atMs: JSON.parse((one ?? other)!).t,
  };
  return {
    ...result,
    outcome: "fail",
    reasons: [...result.reasons, `${violation.check}: ${violation.text}`],
    violations: [...result.violations, violation],
  };
}

/** What is kept of a result. */
export function seedResult(
  { workload, faults, options }: Planned,
  result: SimulationResult,
): SeedResult {
  const { history, findings: _, faults: __, simulatedMs: ___, ...kept } =
    result;
  return {
    ...kept,
    workload,
    faults,
    latencies: {
      ...latenciesOf(history),
      ...options.workload?.latencies?.(history),
    },
  };
}

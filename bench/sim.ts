/** `deno task bench:sim`: how fast simulated time passes, in one process, round by round. */
import { processCpuMs, requireLinux } from "./cpu.ts";
import {
  interleave,
  optionsOrExit,
  roundsNote,
  type Sample,
} from "./harness.ts";
import { machine, print, save } from "./report.ts";
import { callbacks } from "../lib/mod.ts";
import {
  callbacksWorkload,
  echoWorkload,
  FAULT_KINDS,
  type FaultKind,
  Simulation,
  type SimulationOptions,
  type Workload,
} from "../lib/sim/mod.ts";

const OPERATIONS = 100_000;
const HOUR_MS = 3_600_000;

/** Simulates a cluster of five. */
async function simulate(options: Partial<SimulationOptions>): Promise<number> {
  const { counts, violations } = await new Simulation({
    seed: 7,
    nodes: 5,
    setUp: callbacks,
    clients: 50,
    faults: [],
    ...options,
  }).run();
  if (violations[0]) throw new Error(violations[0].text);
  return counts.messages;
}

/** As little as carrying messages takes: each is written and read once. */
function wire(count: number): number {
  let read = 0;
  for (let i = 0; i < count; i++) {
    const body = { type: "echo", echo: `please echo ${i}`, msg_id: i };
    const line = JSON.stringify({ src: "c1", dest: "n1", body });
    read += JSON.parse(line).body.msg_id === i ? 1 : 0;
  }
  return read;
}

/** What messages cost that were carried by what ran. */
async function messages(run: () => Promise<number> | number): Promise<Sample> {
  const [began, cpu] = [performance.now(), processCpuMs()];
  const count = await run();
  return {
    "CPU, µs/message": (processCpuMs() - cpu) * 1000 / count,
    "throughput, messages/s": count / (performance.now() - began) * 1000,
  };
}

/** Messages of a workload. */
function simulated(
  workload: Workload,
  faults: readonly FaultKind[] = [],
): (scale: number) => Promise<Sample> {
  return (scale) =>
    messages(() =>
      simulate({ workload, faults, operations: OPERATIONS * scale })
    );
}

/** A quiet hour of nodes that do something every second. */
async function quietHour(scale: number): Promise<Sample> {
  const began = performance.now();
  await simulate({
    durationMs: HOUR_MS * scale,
    setUp: (node) => {
      callbacks(node);
      node.every(1000, () => {});
    },
  });
  return { "a quiet hour, ms": performance.now() - began };
}

const variants: Record<string, (scale: number) => Promise<Sample>> = {
  "JSON only": (scale) => messages(() => wire(3 * OPERATIONS * scale)),
  "echo": simulated(echoWorkload),
  "callbacks": simulated(callbacksWorkload),
  "callbacks under every fault": simulated(callbacksWorkload, FAULT_KINDS),
  "quiet hour": quietHour,
};
const NAME = "simulation";
const names = Object.keys(variants);

const options = optionsOrExit(
  "bench:sim",
  `Measures the simulator: messages a second, and a quiet hour of five nodes.

Usage: deno task bench:sim [options]

Options:
  --variants A,B   which of: ${names.join(", ")}
  --rounds N       how many times each is run (default 5)
  --scale X        multiply all numbers of messages (default 1)
  --save           write the results to bench/results/
  -h, --help       show this`,
  { benchmarks: [NAME], byDefault: [NAME], variants: names },
);
requireLinux("bench:sim");
const result = {
  name: NAME,
  title:
    "Five simulated nodes and 50 clients, all messages traced and checked; and an hour in which nobody asks anything, each node doing something every second.",
  base: "JSON only",
  charted: "CPU",
  figures: await interleave(
    options.variants,
    options.rounds,
    (variant) => variants[variant]!(options.scale),
  ),
  notes: [
    roundsNote(options),
    "`JSON only`: as many messages as in `callbacks`, written and read once, nothing else. A simulated message is written once and read once or twice, besides all that the node, the network, the trace and the checks do.",
  ],
  date: new Date().toISOString().slice(0, 10),
  machine: machine({}),
};
print(result);
if (options.save) {
  save("sim", "The simulator: multiples of mere JSON", [NAME], [result]);
}

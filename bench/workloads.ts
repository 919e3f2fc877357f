// deno-lint-ignore-file no-import-prefix -- not in deno.json, so that only the benchmarks download it
/** `deno task bench:workloads`: what the workloads cost in simulation, beside what others have published. */
import { markdownTable } from "npm:markdown-table@3.1.0";
import {
  type AnyNode,
  broadcast,
  type BroadcastAim,
  gCounter,
  gSet,
  kafka,
  pnCounter,
  txnRwRegister,
  uniqueIds,
} from "../lib/mod.ts";
import {
  broadcastWorkload,
  gCounterWorkload,
  gSetWorkload,
  pnCounterWorkload,
  Simulation,
  type SimulationOptions,
  txnRwRegisterWorkload,
  uniqueIdsWorkload,
  type Workload,
} from "../lib/sim/mod.ts";
import { lastingLogs } from "./lasting_logs.ts";
import { Task } from "../scripts/options.ts";
import { format } from "./report.ts";

const HELP = `Measures the workloads in simulation: messages, latencies.

Usage: deno task bench:workloads [options]

  --save      write the results to bench/results/workloads.md
  -h, --help  show this
`;

const DURATION_MS = 20_000;

/** A workload at a setting of Maelstrom's. */
interface Row {
  title: string;
  setUp: (node: AnyNode) => void;
  workload: Workload;
  nodes: number;
  /** Operations a second. */
  rate?: number;
  latencyMs?: number;
  faults?: SimulationOptions["faults"];
  /** What was asked for, and the best that is published, of messages between nodes an operation. */
  published?: string;
  /** What was asked for, of the time until all know. */
  asked?: string;
}

/** Half of the operations read, as Maelstrom's do. */
const broadcastHalf: Workload = {
  ...broadcastWorkload,
  generate: (random, index) =>
    random.chance(0.5) ? { f: "add", value: index } : { f: "read" },
};
const broadcastFor = (aim: BroadcastAim, row: Partial<Row> = {}): Row => ({
  title: `broadcast --aim ${aim}`,
  setUp: (node) => broadcast(node, { aim }),
  workload: broadcastHalf,
  nodes: 25,
  latencyMs: 100,
  ...row,
});

const kafkaAt = (nodes: number, row: Partial<Row> = {}): Row => ({
  title: "kafka",
  setUp: kafka,
  workload: lastingLogs(200),
  nodes,
  rate: 1000,
  ...row,
});

const rows: Row[] = [
  {
    title: "unique-ids",
    setUp: uniqueIds,
    workload: uniqueIdsWorkload,
    nodes: 3,
    rate: 1000,
  },
  broadcastFor("speed", {
    published: "11.8 without repair of losses, 23 with; asked: < 30",
    asked: "< 400, < 600",
  }),
  broadcastFor("speed", {
    title: "broadcast --aim speed, 5 % of the messages lost",
    faults: [{ kind: "loss", at: 0, until: DURATION_MS, probability: 0.05 }],
  }),
  broadcastFor("thrift", {
    published: "1.92; asked: < 20",
    asked: "< 1000, < 2000",
  }),
  { title: "g-set", setUp: gSet, workload: gSetWorkload, nodes: 5 },
  {
    title: "g-counter",
    setUp: gCounter,
    workload: gCounterWorkload,
    nodes: 3,
    published: "0.72",
  },
  {
    title: "pn-counter",
    setUp: pnCounter,
    workload: pnCounterWorkload,
    nodes: 3,
  },
  kafkaAt(2, { published: "1.37" }),
  kafkaAt(5),
  kafkaAt(5, {
    title: "kafka, the first node cut off for 5 s",
    faults: [{ kind: "partition", at: 5000, until: 10_000, shape: "single" }],
  }),
  {
    title: "txn-rw-register",
    setUp: txnRwRegister,
    workload: txnRwRegisterWorkload,
    nodes: 2,
    rate: 1000,
  },
];

/** Runs a workload; the cells of its row. */
async function cells(row: Row): Promise<string[]> {
  const { title, nodes, rate = 100, latencyMs = 0, setUp, workload } = row;
  const { metrics, reasons } = await new Simulation({
    seed: 1,
    setUp,
    workload,
    nodes,
    operations: rate * DURATION_MS / 1000,
    durationMs: DURATION_MS,
    network: { latency: { distribution: "constant", meanMs: latencyMs } },
    faults: row.faults ?? [],
  }).run();
  if (reasons.length > 0) throw new Error(`${title}: ${reasons.join("; ")}`);
  const {
    "until all know": known,
    "polls behind": behind,
    ...operations
  } = metrics.latencies;
  const late = known ?? behind;
  return [
    title,
    ...[nodes, latencyMs, rate].map(String),
    format(metrics.messagesPerOperation!.betweenNodes),
    row.published ?? "",
    late ? [late.medianMs, late.p99Ms, late.maxMs].map(format).join(" / ") : "",
    row.asked ?? "",
    Object.entries(operations).map(([f, { maxMs }]) => `${f} ${format(maxMs)}`)
      .join(", "),
  ];
}

const task: Task = new Task("bench:workloads", HELP);
const { save } = task.options({ save: { type: "boolean", default: false } });
const table = markdownTable([
  [
    "workload",
    "nodes",
    "latency, ms",
    "operations/s",
    "messages between nodes/operation",
    "published",
    "until all know, or how far polls are behind, ms: median / p99 / max",
    "asked: median, max",
    "longest operation, ms",
  ],
  ...await Promise.all(rows.map(cells)),
], { align: ["l", "r", "r", "r", "r", "l", "r", "l", "l"] });
const text = `# The workloads: messages and latencies

${table}

- By \`deno task bench:workloads\`, in simulation: ${
  DURATION_MS / 1000
} s of operations, seed 1, so that every machine has the same figures. Clients' own messages take no time, as Maelstrom's.
- Latency is that of each message between nodes, always the same.
- Until all know: from when an element was first confirmed or read to when the last read that lacks it began; that is Maelstrom's "stable latency".
- How far polls are behind: how long before a poll the oldest message was confirmed that it lacks, or 0.
- Published, and asked for: by Fly.io's challenges, which these settings of \`broadcast\` and \`kafka\` are from, and by those who wrote about their answers.
- With a real Maelstrom: \`deno task maelstrom\`, see [docs/workloads.md](../../docs/workloads.md).
`;
console.log(text);
if (save) {
  Deno.writeTextFileSync(
    new URL("results/workloads.md", import.meta.url),
    text,
  );
}

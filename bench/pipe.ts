/** `deno task bench:pipe`: whole processes, measured through their pipes. */
import { quantile } from "simple-statistics";
import {
  interleave,
  type Options,
  optionsOrExit,
  type Sample,
} from "./harness.ts";
import { build, nodes, versions } from "./nodes.ts";
import { processCpuMs, requireLinux } from "./cpu.ts";
import { Child } from "./process.ts";
import { machine, print, type Result, save } from "./report.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message to the node as a line. */
function line(body: Record<string, unknown>, src = "c1"): string {
  return JSON.stringify({ src, dest: "n1", body }) + "\n";
}

const init = encoder.encode(
  line(
    { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1", "n2"] },
    "c0",
  ),
);

function echo(i: number): string {
  return line({ type: "echo", msg_id: i + 2, echo: `Please echo ${i % 100}` });
}

/** Many lines as bytes. */
function lines(
  count: number,
  make: (i: number) => string,
): Uint8Array<ArrayBuffer> {
  const text = [];
  for (let i = 0; i < count; i++) text.push(make(i));
  return encoder.encode(text.join(""));
}

/** The echoes of the round before, as making them takes longer than most nodes do. */
let echoes = { count: 0, bytes: new Uint8Array() };
function echoBytes(count: number): Uint8Array {
  if (echoes.count !== count) echoes = { count, bytes: lines(count, echo) };
  return echoes.bytes;
}

async function started(variant: string): Promise<Child> {
  const child = await Child.start(nodes[variant]!.command);
  child.exchange(init);
  return child;
}

/** A benchmark: what it does to one variant in one round. */
interface Benchmark {
  title: string;
  /** How many messages or RPCs. */
  count?: number;
  /** Whether ceilings can take part; they only echo. */
  ceilings: boolean;
  charted?: string;
  /** Whether it only runs when it is named. */
  long?: boolean;
  run(variant: string, count: number): Promise<Sample>;
}

/** All lines at once, and all answers read. */
async function pump(variant: string, count: number): Promise<Sample> {
  const input = echoBytes(count);
  const child = await started(variant);
  const [start, cpu, driver] = [performance.now(), child.cpuMs, processCpuMs()];
  const writing = child.write(input);
  await child.readLines(count);
  const ms = performance.now() - start;
  const sample = {
    "CPU, µs/message": (child.cpuMs - cpu) * 1000 / count,
    "throughput, messages/s": count / ms * 1000,
    "peak memory, MiB": child.memory.peak,
    "driver's CPU, µs/message": (processCpuMs() - driver) * 1000 / count,
  };
  await writing;
  await child.end();
  return sample;
}

const benchmarks: Record<string, Benchmark> = {
  "echo-200k": {
    title:
      "200,000 echo requests pumped: written as fast as the node takes them.",
    count: 200_000,
    ceilings: true,
    charted: "CPU",
    run: pump,
  },
  "echo-1m": {
    title: "1,000,000 echo requests pumped.",
    count: 1_000_000,
    ceilings: true,
    charted: "CPU",
    run: pump,
  },
};

const HELP = `Measures whole nodes through their pipes, in turn.

Usage: deno task bench:pipe [benchmarks] [options]

Benchmarks (default: all but the long ones):
${
  Object.entries(benchmarks).map(([name, { title, long }]) =>
    `  ${name.padEnd(14)}${title}${long ? " Long." : ""}`
  ).join("\n")
}

Options:
  --variants A,B   which of: ${Object.keys(nodes).join(", ")}
  --rounds N       how many times each is run (default 5)
  --scale X        multiply all numbers of messages (default 1)
  --save           write the results to bench/results/
  --help           show this`;

/** How many messages a variant gets: some would take minutes. */
function countFor(variant: string, count: number, { scale }: Options): number {
  const { maxMessages = Infinity } = nodes[variant]!;
  return Math.max(1, Math.round(Math.min(count, maxMessages) * scale));
}

async function main(): Promise<void> {
  const options = optionsOrExit("bench:pipe", HELP, {
    benchmarks: Object.keys(benchmarks),
    byDefault: Object.keys(benchmarks).filter((name) =>
      !benchmarks[name]!.long
    ),
    variants: Object.keys(nodes),
  });
  requireLinux("bench:pipe");
  Deno.chdir(new URL("../", import.meta.url));
  const able = await build(options.variants);
  const results: Result[] = [];
  const about = machine(await versions());
  for (const name of options.benchmarks) {
    const { title, ceilings, charted, run, count = 1 } = benchmarks[name]!;
    const variants = able.filter((v) => ceilings || !nodes[v]!.ceiling);
    const figures = await interleave(
      variants,
      options.rounds,
      (v) => run(v, countFor(v, count, options)),
    );
    const notes = [`Rounds: ${options.rounds}.`];
    for (const v of variants) {
      const n = countFor(v, count, options);
      if (n < count) {
        notes.push(
          `${v}: ${n.toLocaleString("en")} instead of ${
            count.toLocaleString("en")
          }`,
        );
      }
    }
    const result = {
      name,
      title,
      base: "gyre",
      figures,
      notes,
      charted,
      machine: about,
      date: new Date().toISOString().slice(0, 10),
    };
    print(result);
    results.push(result);
  }
  if (options.save) {
    save(
      "pipe",
      "Gyre and its peers: whole processes",
      Object.keys(benchmarks),
      results,
    );
  }
}

await main();

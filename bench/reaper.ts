/** `deno task bench`: ways to keep pending callbacks, each round in a process of its own. */
import { fileURLToPath } from "node:url";
import { requireLinux } from "./cpu.ts";
import {
  interleave,
  optionsOrExit,
  roundsNote,
  type Sample,
} from "./harness.ts";
import { machine, print, type Result, save } from "./report.ts";
import { structures } from "./structures.ts";

/** A benchmark of `structure_run.ts` and for how many callbacks. */
interface Benchmark {
  title: string;
  run: "operations" | "memory" | "stalls" | "steady";
  count: number;
  /** The figure that the chart shows. */
  charted: string;
  notes?: string[];
}

function operations(count: number): Benchmark {
  return {
    title: `Register, settle and reap ${
      count.toLocaleString("en")
    } callbacks; CPU time of each.`,
    run: "operations",
    count,
    charted: "register + settle at random",
    notes: [
      "Queues that can't remove only mark what is settled: its removal is not in `settle` here, but in `steady`.",
      "`setTimeout each` is reaped by the event loop in real time: see `stalls`.",
    ],
  };
}

function memory(count: number): Benchmark {
  return {
    title: `Memory of ${
      count.toLocaleString("en")
    } pending callbacks, all one function; and after they were settled.`,
    run: "memory",
    count,
    charted: "pending",
  };
}

const benchmarks: Record<string, Benchmark> = {
  "operations-1e3": operations(1e3),
  "operations-1e5": operations(1e5),
  "operations-1e6": operations(1e6),
  "steady": {
    title:
      "1,000,000 RPCs a second in virtual time, 99 in 100 answered after 5 ms, the others timed out after 2 s.",
    run: "steady",
    count: 4e6,
    charted: "per RPC",
    notes: ["`bare Map` and `setTimeout each` reap nothing in virtual time."],
  },
  "memory-1e5": memory(1e5),
  "memory-1e6": memory(1e6),
  "stalls": {
    title:
      "The longest single call while the pending grow to 1,000,000 and shrink again, and the longest turn of the event loop while all are due.",
    run: "stalls",
    count: 1e6,
    charted: "all due",
    notes: ["CPU time of the main thread; calls are timed in groups of 32."],
  },
};

const HELP =
  `Measures ways to keep the callbacks of pending RPCs, in turn, each in its own process.

Usage: deno task bench [benchmarks] [options]

Benchmarks (default: all):
${
    Object.entries(benchmarks).map(([name, { title }]) =>
      `  ${name.padEnd(16)}${title}`
    ).join("\n")
  }

Options:
  --variants A,B   which of: ${Object.keys(structures).join(", ")}
  --rounds N       how many times each is run (default 5)
  --scale X        multiply all numbers of callbacks (default 1)
  --save           write the results to bench/results/
  -h, --help       show this`;

/**
 * Runs one round of a structure in a process of its own.
 *
 * @param run What `structure_run.ts` is to do.
 * @param structure With which structure.
 * @param count For how many callbacks.
 */
export async function runStructure(
  run: Benchmark["run"],
  structure: string,
  count: number,
): Promise<Sample> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--v8-flags=--expose-gc",
      "-A",
      fileURLToPath(new URL("structure_run.ts", import.meta.url)),
      run,
      structure,
      String(count),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (success) return JSON.parse(decoder.decode(stdout));
  throw new Error(decoder.decode(stderr).trim().split("\n")[0]);
}

async function main(): Promise<void> {
  const options = optionsOrExit("bench", HELP, {
    benchmarks: Object.keys(benchmarks),
    byDefault: Object.keys(benchmarks),
    variants: Object.keys(structures),
  });
  requireLinux("bench");
  const variants = [];
  for (const variant of options.variants) {
    try {
      await structures[variant]!();
      variants.push(variant);
    } catch (error) {
      console.error(`skipped: ${variant}: ${(error as Error).message}`);
    }
  }
  const results: Result[] = [];
  for (const name of options.benchmarks) {
    const { title, run, count, charted, notes = [] } = benchmarks[name]!;
    const result = {
      name,
      title,
      base: "gyre",
      charted,
      figures: await interleave(
        variants,
        options.rounds,
        (variant) =>
          runStructure(run, variant, Math.round(count * options.scale)),
      ),
      notes: [roundsNote(options), ...notes],
      date: new Date().toISOString().slice(0, 10),
      machine: machine({}),
    };
    print(result);
    results.push(result);
  }
  if (options.save) {
    save(
      "reaper",
      "Keeping pending callbacks: multiples of Gyre's",
      Object.keys(benchmarks),
      results,
    );
  }
}

if (import.meta.main) await main();

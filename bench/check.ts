/**
 * `deno task bench:check`: ratios that are steady enough to be held to a bound,
 * each of two things measured in turn in this run. What exceeds its bound is
 * measured once more before it counts.
 */
import { requireLinux } from "./cpu.ts";
import { interleave, medians, type Sample } from "./harness.ts";
import { nodes } from "./nodes.ts";
import { echoBytes, init, lost, pump } from "./pipe.ts";
import { Child } from "./process.ts";
import { runStructure } from "./reaper.ts";
import { Task } from "../scripts/options.ts";

const ECHOES = 200_000;

/** A figure and how big it may be. */
interface Check {
  what: string;
  /** What it may be at the most: what it is on a busy machine, and some more. */
  bound: number;
  unit: string;
  measure(): Promise<number>;
}

/** Gyre's figure as a multiple of another variant's. */
async function ratio(
  other: string,
  figure: string,
  rounds: number,
  run: (variant: string) => Promise<Sample>,
): Promise<number> {
  const figures = await interleave(["gyre", other], rounds, run);
  const values = medians(figures.find(({ name }) => name === figure)!);
  return values.gyre! / values[other]!;
}

/** A command under `perf`, which counts its instructions into a file. */
function counted(command: readonly string[], file: string): string[] {
  const event = "--event=instructions:u";
  const options = ["--field-separator=,", event, "--output", file];
  return ["perf", "stat", ...options, ...command];
}

/** The instructions that were counted; `NaN` where this machine can't count them. */
async function count(file: string): Promise<number> {
  const text = await Deno.readTextFile(file);
  return Number(text.match(/^(\d+),,instructions/m)?.[1] ?? NaN);
}

/** Instructions of a whole process that answers echoes. */
async function instructions(variant: string): Promise<Sample> {
  const file = await Deno.makeTempFile();
  try {
    const child = await Child.start(counted(nodes[variant]!.command, file));
    child.exchange(init);
    const writing = child.write(echoBytes(ECHOES));
    await child.readLines(ECHOES);
    await writing;
    await child.end();
    return { "instructions": await count(file) };
  } finally {
    await Deno.remove(file);
  }
}

/** Whether this machine can count instructions. */
async function canCount(): Promise<boolean> {
  const file = await Deno.makeTempFile();
  try {
    const [program, ...args] = counted(["true"], file);
    await new Deno.Command(program!, { args }).output();
    return !Number.isNaN(await count(file));
  } catch { // there is no perf
    return false;
  } finally {
    await Deno.remove(file);
  }
}

const checks: Check[] = [
  {
    what: "CPU of a pumped echo",
    bound: 1.4,
    unit: "× the TextLineStream ceiling's",
    measure: () =>
      ratio("TextLineStream", "CPU", 5, (variant) => pump(variant, ECHOES)),
  },
  {
    what: "memory of a process 5 s after 1,000,000 RPCs were lost and reaped",
    bound: 25, // the goal is 20; it was 18 to 19
    unit: "MiB more than before",
    measure: async () => {
      const sample = await lost("gyre", 1e6);
      return sample["5 s later, MiB"]! - sample["memory before, MiB"]!;
    },
  },
  {
    what: "memory of a pending callback, 1,000,000 pending",
    bound: 40,
    unit: "bytes",
    measure: async () =>
      (await runStructure("memory", "gyre", 1e6))["pending, bytes each"]!,
  },
  {
    what: "memory left of it when it was settled",
    bound: 1,
    unit: "bytes",
    measure: async () =>
      (await runStructure("memory", "gyre", 1e6))["all settled, bytes each"]!,
  },
  {
    what: "register and settle at random, 1,000,000 pending",
    bound: 1.5,
    unit: "× a bare Map's set and delete",
    measure: () =>
      ratio(
        "bare Map",
        "register + settle at random",
        3,
        (variant) => runStructure("operations", variant, 1e6),
      ),
  },
  {
    what: "RPC in a steady state",
    bound: 0.3,
    unit: "× heap-js's",
    measure: () =>
      ratio(
        "heap-js",
        "per RPC",
        1,
        (variant) => runStructure("steady", variant, 4e6),
      ),
  },
  {
    what: "longest turn while 1,000,000 are due",
    bound: 0.03,
    unit: "× heap-js's",
    measure: () =>
      ratio(
        "heap-js",
        "all due",
        2,
        (variant) => runStructure("stalls", variant, 1e6),
      ),
  },
  {
    what: "longest registration while growing to 1,000,000",
    bound: 0.25,
    unit: "× a bare Map's",
    measure: () =>
      ratio(
        "bare Map",
        "growing",
        2,
        (variant) => runStructure("stalls", variant, 1e6),
      ),
  },
];

const HELP = `Holds the steadiest of the benchmarks' ratios to their bounds.

Usage: deno task bench:check

  -h, --help   show this`;
new Task("bench:check", HELP).options({});
requireLinux("bench:check");
Deno.chdir(new URL("../", import.meta.url));
if (await canCount()) {
  checks.push({
    what: "instructions of a process that answers 200,000 echoes",
    bound: 1.6,
    unit: "× the TextLineStream ceiling's",
    measure: () => ratio("TextLineStream", "instructions", 1, instructions),
  });
} else console.log("not counted: instructions, as this machine doesn't");

let failed = false;
for (const { what, bound, unit, measure } of checks) {
  let value = await measure();
  const again = value > bound;
  if (again) value = await measure();
  const ok = value <= bound;
  failed ||= !ok;
  console.log(
    `${ok ? "ok    " : "FAILED"} ${what}: ${
      value.toPrecision(3)
    } ${unit} (at most ${bound}${again ? "; measured twice" : ""})`,
  );
}
Deno.exit(failed ? 1 : 0);

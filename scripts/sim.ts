/** Runs simulated clusters under fault, seed by seed: see docs/simulation.md. */
import process from "node:process";
import { SingleBar } from "cli-progress";
import {
  diagram,
  FAULT_KINDS,
  type FaultKind,
  shrink,
  Simulation,
} from "../lib/sim/mod.ts";
import { Task } from "./options.ts";
import { SCENARIOS } from "./sim/nodes.ts";
import { runAll } from "./sim/pool.ts";
import { command, shrunkText, Summary, violationText } from "./sim/report.ts";
import { type Choices, type Outcome, outcomeOf, plan } from "./sim/scenario.ts";

const HELP = `Runs simulated clusters under fault, seed by seed.

Usage: deno task sim [options]

  --seed N          the first seed (default: a fresh one, printed)
  --seeds N         how many seeds (default: 1 with --seed, else 100)
  --minutes N       go on with further seeds for N minutes instead
  --nodes N         nodes in a cluster, 1 to 100 (default: by seed, 1 to 5)
  --ops N           operations that clients ask for (default: by seed, 20 to 1000)
  --faults A,B,…    what goes wrong, or none (default: by seed), of
                    ${FAULT_KINDS.slice(0, 7).join(", ")},
                    ${FAULT_KINDS.slice(7).join(", ")}
  --workload NAME   what clients ask for (default: by seed):
                    ${Object.keys(SCENARIOS).join(", ")}
  --bytes yes|no    whether messages travel as bytes, through the inbox and outbox
                    of stdio (default: by seed)
  --only-faults I,… of the seed's faults only those of these numbers, like
                    1,4-7, or none
  --only-ops I,…    of the operations only those, likewise
  --trace FILE      with one seed: write what happened, as JSON lines
  --diagram FILE    with one seed: draw what happened, as SVG
  --help            show this

Exit code: 0 when all was as it should be, 1 when something was not, 2 for a
wrong option.
`;

const task: Task = new Task("sim", HELP);
const values = task.options({
  seed: { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  nodes: { type: "string" },
  ops: { type: "string" },
  faults: { type: "string" },
  workload: { type: "string" },
  bytes: { type: "string" },
  "only-faults": { type: "string" },
  "only-ops": { type: "string" },
  trace: { type: "string" },
  diagram: { type: "string" },
});

/** Of an option: its parts, of which "none" is the empty list. */
function parts(name: keyof typeof values): string[] | undefined {
  const text = values[name];
  return text === "none" ? [] : text?.split(",");
}

function numbers(name: "only-faults" | "only-ops"): number[] | undefined {
  return parts(name)?.flatMap((text) => {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text) ?? [];
    if (from === undefined) {
      task.usageError(
        `--${name} must be like 1,4-7, or none: it does not understand '${text}'`,
      );
    }
    const count = Math.max(0, Number(to) - Number(from) + 1);
    return Array.from({ length: count }, (_, i) => Number(from) + i);
  });
}

function faults(): FaultKind[] | undefined {
  return parts("faults")?.map((kind) => {
    if ((FAULT_KINDS as readonly string[]).includes(kind)) {
      return kind as FaultKind;
    }
    task.usageError(
      `--faults knows no '${kind}': ${FAULT_KINDS.join(", ")}, none`,
    );
  });
}

function workload(): string | undefined {
  const name = values.workload;
  if (name === undefined || Object.hasOwn(SCENARIOS, name)) return name;
  task.usageError(
    `--workload must be one of ${
      Object.keys(SCENARIOS).join(", ")
    }, not '${name}'`,
  );
}

function bytes(): boolean | undefined {
  const { bytes } = values;
  if (bytes === undefined) return undefined;
  if (bytes === "yes" || bytes === "no") return bytes === "yes";
  task.usageError(`--bytes must be yes or no, not '${bytes}'`);
}

/** Prints what is wrong with a seed, how to see it again, and what of it matters. */
async function explain(choices: Choices, outcome: Outcome): Promise<void> {
  console.log(`\nSeed ${outcome.seed}, workload ${outcome.workload}:`);
  console.log(outcome.violations.map(violationText).join("\n"));
  console.log(`Run it: ${command(choices)}`);
  const { workload, faults, options } = plan(choices);
  const { operations } = options;
  const exact = { ...choices, workload, faults, operations };
  console.log(shrunkText(await shrink(options), exact));
}

async function runOne(choices: Choices): Promise<boolean> {
  const planned = plan(choices);
  const trace: string[] = [];
  const keeps = values.trace !== undefined || values.diagram !== undefined;
  const result = await new Simulation({
    ...planned.options,
    ...keeps ? { onTrace: (line: string) => void trace.push(line) } : {},
  }).run();
  if (values.trace) {
    Deno.writeTextFileSync(values.trace, trace.join("\n") + "\n");
  }
  if (values.diagram) Deno.writeTextFileSync(values.diagram, diagram(trace));
  const outcome = outcomeOf(planned, result);
  const summary = new Summary();
  summary.add(outcome);
  console.log(
    `Seed ${choices.seed}: workload ${planned.workload}, ${planned.options.nodes} nodes, ${planned.options.operations} operations`,
  );
  result.faults.forEach(({ kind, at, until }, i) => {
    const left = choices.onlyFaults?.includes(i) ?? true;
    if (left) console.log(`  fault ${i}: ${kind}, ${at} to ${until} ms`);
  });
  console.log(`\n${summary}\n`);
  for (const { check, outcome, text } of result.findings) {
    console.log(`${outcome}: ${check}: ${text}`);
  }
  console.log(`${result.events} events, hash ${result.hash}`);
  if (outcome.violations.length === 0) return true;
  await explain(choices, outcome);
  return false;
}

/** How many failures are explained; the rest is only counted. */
const EXPLAINED = 3;

async function runMany(
  first: Choices,
  seeds: number,
  minutes: number | undefined,
): Promise<boolean> {
  const began = performance.now();
  const end = minutes === undefined ? Infinity : began + minutes * 60_000;
  console.log(
    `Seeds from ${first.seed}: ${command(first)} ${
      minutes === undefined ? `--seeds ${seeds}` : `--minutes ${minutes}`
    }`,
  );
  const bar = new SingleBar({
    format:
      "{bar} {value}/{total} seeds, {failed} failed, {eta_formatted} to go",
    stream: process.stderr,
    clearOnComplete: true,
  });
  const failed: Outcome[] = [];
  const summary = new Summary();
  bar.start(minutes === undefined ? seeds : 0, 0, { failed: 0 });
  let asked = 0;
  await runAll(() => {
    const goesOn = minutes === undefined
      ? asked < seeds
      : performance.now() < end;
    return goesOn ? { ...first, seed: first.seed + asked++ } : undefined;
  }, (outcome) => {
    summary.add(outcome);
    if (outcome.violations.length > 0) failed.push(outcome);
    if (minutes !== undefined) bar.setTotal(asked);
    bar.increment(1, { failed: failed.length });
  });
  bar.stop();
  const seconds = (performance.now() - began) / 1000;
  console.log(`\n${summary}\n`);
  failed.sort((a, b) => a.seed - b.seed);
  for (const outcome of failed.slice(0, EXPLAINED)) {
    await explain({ ...first, seed: outcome.seed }, outcome);
  }
  const others = failed.slice(EXPLAINED).map(({ seed }) => seed);
  if (others.length > 0) console.log(`\nFailed, too: ${others.join(", ")}`);
  console.log(
    `${summary.seeds} seeds in ${
      seconds.toFixed(1)
    } s, ${failed.length} failed` +
      (summary.undecided > 0
        ? `, ${summary.undecided} checks not decided within their limits`
        : ""),
  );
  return failed.length === 0;
}

const fresh = values.seed === undefined;
const choices: Choices = {
  seed: task.number("seed", values.seed, { min: 0, max: 2 ** 52 }) ??
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  workload: workload(),
  nodes: task.number("nodes", values.nodes, { min: 1, max: 100 }),
  operations: task.number("ops", values.ops, { min: 0, max: 1_000_000 }),
  faults: faults(),
  bytes: bytes(),
  onlyFaults: numbers("only-faults"),
  onlyOperations: numbers("only-ops"),
};
const minutes = task.number("minutes", values.minutes, {
  min: 0.01,
  max: 10_000,
  whole: false,
});
const seeds = task.number("seeds", values.seeds, { min: 1, max: 1e9 }) ??
  (fresh ? 100 : 1);
const single = seeds === 1 && minutes === undefined;
for (const name of ["trace", "diagram"] as const) {
  if (values[name] !== undefined && !single) {
    task.usageError(`--${name} needs one seed: add --seed N`);
  }
}
try {
  const passed = single
    ? await runOne(choices)
    : await runMany(choices, seeds, minutes);
  Deno.exit(passed ? 0 : 1);
} catch (error) { // such as a file that can't be written, or a promise that nobody handles
  console.error(`sim: ${(error as Error).message}`);
  Deno.exit(1);
}

/** Runs simulated clusters under fault, seed by seed: see docs/simulation.md. */
import process from "node:process";
import { SingleBar } from "cli-progress";
import {
  type DiagramOptions,
  diagrams,
  FAULT_KINDS,
  type FaultKind,
  type LogEntry,
  shrink,
  Simulation,
  SOMETIMES,
  TOPOLOGY_SHAPES,
} from "../lib/sim/mod.ts";
import { plural } from "../lib/plural.ts";
import { LOG_LEVELS } from "../lib/mod.ts";
import { Task } from "./options.ts";
import { errorText, forbidProcess } from "./sim/load.ts";
import { SCENARIOS } from "./sim/nodes.ts";
import { runAll } from "./sim/pool.ts";
import {
  command,
  faultText,
  NodesLog,
  ShrinkProgress,
  shrunkText,
  Summary,
  violationText,
} from "./sim/report.ts";
import {
  type Choices,
  plan,
  runPlanned,
  type SeedResult,
  seedResult,
} from "./sim/scenario.ts";

/** Ends this process, whatever simulated nodes are kept from. */
const exit: (code: number) => never = Deno.exit;

const HELP = `Runs simulated clusters under fault, seed by seed.

Usage: deno task sim [options]

  --seed N          the first seed (default: a fresh one, printed)
  --seeds N         how many seeds (default: 1 with --seed, else 100)
  --minutes N       go on with further seeds for N minutes instead of --seeds
  --workload NAME   what clients ask for (default: by seed):
                    ${Object.keys(SCENARIOS).join(", ")}
  --node FILE       a module of yours whose export "setUp", or else default
                    export, sets a node up; its export "workload" may name
                    what clients ask for. Of two, as in a project's task and
                    after it, the last one counts
  --nodes N         nodes in a cluster, 1 to 100 (default: by seed, 1 to 5, and
                    no fewer than --needs)
  --needs N         nodes that must be well for progress after the faults, at
                    most --nodes (default: more than half of them)
  --ops N           operations that clients ask for (default: by seed, 20 to 1000)
  --topology NAME   what broadcast's nodes are told (default: by seed):
                    ${TOPOLOGY_SHAPES.join(", ")}
  --faults A,B,…    what goes wrong, or none (default: by seed), of
                    ${FAULT_KINDS.slice(0, 7).join(", ")},
                    ${FAULT_KINDS.slice(7).join(", ")}
  --bytes yes|no    whether messages travel as bytes, through the inbox and outbox
                    of stdio (default: by seed)
  --only-faults I,… with one seed: of its faults only those of these numbers,
                    like 1,4-7, or none
  --only-ops I,…    with one seed: of the operations only those, likewise
  --twice           run each seed twice: the traces must be the same
  --sometimes       fail when something that must happen in some seed never did
  --shrink-seconds N  look for the least that still fails for at most N seconds
                    a seed, or not at all with 0 (default 30)
  --log-level LEVEL with one seed: show the nodes' log on stderr, down to error,
                    warn, info or debug (default: errors, of a seed that fails)
  --trace FILE      with one seed: write what happened, as JSON lines
  --diagram FILE    with one seed: draw what happened, as SVG
  --from MS         draw only from this time on
  --to MS           draw only until this time, no earlier than --from
  --only-nodes A,…  draw only these nodes, clients and services, such as n0,n1
  -h, --help        show this

Exit code: 0 when all was as it should be, 1 when something was not or could not
be decided, 2 for a wrong option.
`;

const task: Task = new Task("sim", HELP);
const values = task.options({
  seed: { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  nodes: { type: "string" },
  needs: { type: "string" },
  ops: { type: "string" },
  faults: { type: "string" },
  workload: { type: "string" },
  node: { type: "string" },
  topology: { type: "string" },
  bytes: { type: "string" },
  "only-faults": { type: "string" },
  "only-ops": { type: "string" },
  trace: { type: "string" },
  diagram: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  "only-nodes": { type: "string" },
  twice: { type: "boolean" },
  sometimes: { type: "boolean" },
  "shrink-seconds": { type: "string", default: "30" },
  "log-level": { type: "string" },
}, ["node"]);

/** Of an option: its parts, of which "none" is the empty list. */
function parts(
  name: "faults" | "only-faults" | "only-ops" | "only-nodes",
): string[] | undefined {
  const text = values[name];
  return text === "none" ? [] : text?.split(",");
}

function numbers(name: "only-faults" | "only-ops"): number[] | undefined {
  return parts(name)?.flatMap((text) => {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text) ?? [];
    const count = Number(to) - Number(from) + 1;
    if (!(count > 0)) {
      task.usageError(
        `--${name} must be like 1,4-7, or none: it does not understand '${text}'`,
      );
    }
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

function bytes(): boolean | undefined {
  const { bytes } = values;
  if (bytes === undefined) return undefined;
  if (bytes === "yes" || bytes === "no") return bytes === "yes";
  task.usageError(`--bytes must be yes or no, not '${bytes}'`);
}

/** Prints what is wrong with a seed, how to see it again, and what of it matters. */
async function explain(choices: Choices, result: SeedResult): Promise<void> {
  const { seed, workload, outcome, reasons, violations } = result;
  console.log(`\nSeed ${seed}, workload ${workload}: ${outcome}`);
  console.log(
    violations.length > 0
      ? violations.map(violationText).join("\n")
      : reasons.join("\n"),
  );
  console.log(`Run it: ${command(choices)}`);
  const check = violations[0]?.check;
  if (check === undefined || check === "repeatable") return;
  if (shrinkSeconds === 0) return;
  const { faults, options } = await plan(choices);
  const { operations } = options;
  const exact = { ...choices, workload, faults, operations };
  const progress = new ShrinkProgress(check, shrinkSeconds);
  try {
    const shrunk = await shrink(options, {
      maxMs: shrinkSeconds * 1000,
      onRun: (best) => progress.show(best),
    });
    progress.end();
    console.log(shrunkText(shrunk, exact));
    if (single) return; // its errors have been shown
    const log = new NodesLog(undefined);
    const onLog = (entry: LogEntry) => log.add(entry);
    await new Simulation({ ...shrunk.options, onLog }).run();
    for (const error of log.errors()) console.log(`  ${error}`);
  } catch (error) { // it has just been seen to fail
    progress.end();
    const { message } = error as Error;
    console.log(`${message}: it is not the same twice, see --twice`);
  }
}

/** What only a seed's plan, or its trace, tells of an option: by its name in the library. */
const OPTIONS = {
  onlyFaults: "--only-faults",
  onlyOperations: "--only-ops",
  lanes: "--only-nodes",
};

/** Does what refuses an option's value, in the library's words. */
function refusing<T>(fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    const { message } = error as Error;
    const [, name] = /^'(\w+)' /.exec(message) ?? [];
    const option = OPTIONS[name as keyof typeof OPTIONS];
    if (option === undefined) throw error;
    task.usageError(message.replace(`'${name}'`, option));
  }
}

/** Draws a trace into a file, or into several where it is too long for one. */
function draw(file: string, trace: string[]): void {
  const pages = refusing(() => diagrams(trace, drawn));
  pages.forEach((svg, i) => {
    const name = i === 0 ? file : file.replace(/(\.\w+)?$/, `-${i + 1}$1`);
    Deno.writeTextFileSync(name, svg);
    if (pages.length > 1) console.log(`Diagram ${i + 1}: ${name}`);
  });
}

async function runOne(choices: Choices): Promise<boolean> {
  const planned = await plan(choices);
  refusing(() => new Simulation(planned.options));
  const trace: string[] = [];
  const keeps = values.trace !== undefined || values.diagram !== undefined;
  const log = new NodesLog(logLevel);
  const result = await runPlanned(planned, choices, {
    onTrace: (line) => keeps && trace.push(line),
    onLog: (entry) => log.add(entry),
  });
  if (values.trace) {
    Deno.writeTextFileSync(values.trace, trace.join("\n") + "\n");
  }
  if (values.diagram) draw(values.diagram, trace);
  const kept = seedResult(planned, result);
  const summary = new Summary();
  summary.add(kept);
  const { nodes, operations } = planned.options;
  console.log(
    `Seed ${choices.seed}: workload ${planned.workload}, ${
      plural(nodes!, "node")
    }, ${plural(operations!, "operation")}`,
  );
  result.faults.forEach((fault, i) => {
    const left = choices.onlyFaults?.includes(i) ?? true;
    if (left) console.log(`  fault ${i}: ${faultText(fault)}`);
  });
  console.log(`\n${summary.counts()}\n\n${summary.metrics()}\n`);
  if (values.sometimes) console.log(`${summary.sometimes()}\n`);
  for (const { check, outcome, text } of result.findings) {
    console.log(`${outcome}: ${check}: ${text}`);
  }
  console.log(
    `${result.outcome}; ${result.events} events, hash ${result.hash}`,
  );
  if (result.outcome !== "pass") {
    for (const error of log.errors()) console.log(error);
    await explain(choices, kept);
  }
  return result.outcome === "pass" && happenedAll(summary);
}

/** Whether everything happened that must in some seed, where that was asked for; says what did not. */
function happenedAll({ missing, seeds }: Summary): boolean {
  if (!values.sometimes || missing.length === 0) return true;
  console.log(
    `Never happened in ${plural(seeds, "seed")}: ${
      missing.map((what) => `${what} (${SOMETIMES[what]})`).join("; ")
    }`,
  );
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
  const failed: SeedResult[] = [];
  const summary = new Summary();
  bar.start(minutes === undefined ? seeds : 0, 0, { failed: 0 });
  let asked = 0;
  await runAll(() => {
    const goesOn = minutes === undefined
      ? asked < seeds
      : performance.now() < end;
    return goesOn ? { ...first, seed: first.seed + asked++ } : undefined;
  }, (result) => {
    summary.add(result);
    if (result.outcome !== "pass") failed.push(result);
    if (minutes !== undefined) bar.setTotal(asked);
    bar.increment(1, { failed: failed.length });
  });
  bar.stop();
  const seconds = (performance.now() - began) / 1000;
  console.log(`\n${summary.counts()}\n\n${summary.metrics()}\n`);
  console.log(`${summary.sometimes()}\n`);
  failed.sort((a, b) => a.seed - b.seed);
  for (const result of failed.slice(0, EXPLAINED)) {
    await explain({ ...first, seed: result.seed }, result);
  }
  const others = failed.slice(EXPLAINED).map(({ seed }) => seed);
  if (others.length > 0) console.log(`\nNo pass, too: ${others.join(", ")}`);
  const undecided =
    failed.filter(({ outcome }) => outcome === "undecided").length;
  console.log(
    `${plural(summary.seeds, "seed")} in ${seconds.toFixed(1)} s${
      choices.twice ? ", each twice" : ""
    }: ${failed.length - undecided} failed, ${undecided} undecided`,
  );
  return happenedAll(summary) && failed.length === 0;
}

const fresh = values.seed === undefined;
const choices: Choices = {
  seed: task.number("seed", values.seed, { min: 0, max: 2 ** 52 }) ??
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  workload: task.word("workload", values.workload, Object.keys(SCENARIOS)),
  node: values.node,
  nodes: task.number("nodes", values.nodes, { min: 1, max: 100 }),
  needs: task.number("needs", values.needs, { min: 1, max: 100 }),
  operations: task.number("ops", values.ops, { min: 0, max: 1_000_000 }),
  faults: faults(),
  topology: task.word("topology", values.topology, TOPOLOGY_SHAPES),
  bytes: bytes(),
  onlyFaults: numbers("only-faults"),
  onlyOperations: numbers("only-ops"),
  twice: values.twice,
};
const shrinkSeconds = task.number("shrink-seconds", values["shrink-seconds"], {
  min: 0,
  max: 1e6,
  whole: false,
})!;
const logLevel = task.word("log-level", values["log-level"], LOG_LEVELS);
const minutes = task.number("minutes", values.minutes, {
  min: 0.01,
  max: 10_000,
  whole: false,
});
const drawn: DiagramOptions = {
  fromMs: task.number("from", values.from, { min: 0, whole: false }),
  toMs: task.number("to", values.to, { min: 0, whole: false }),
  lanes: parts("only-nodes"),
};
const seeds = task.number("seeds", values.seeds, { min: 1, max: 1e9 }) ??
  (fresh ? 100 : 1);
const single = seeds === 1 && minutes === undefined;
if (minutes !== undefined && values.seeds !== undefined) {
  task.usageError("--minutes is instead of --seeds: leave one of them out");
}
const OF_ONE_SEED = [
  "trace",
  "diagram",
  "only-faults",
  "only-ops",
  "log-level",
] as const;
for (const name of OF_ONE_SEED) {
  if (values[name] !== undefined && !single) {
    task.usageError(`--${name} needs one seed: add --seed N`);
  }
}
for (const name of ["from", "to", "only-nodes"] as const) {
  if (values[name] !== undefined && values.diagram === undefined) {
    task.usageError(`--${name} needs --diagram FILE`);
  }
}
if (drawn.fromMs! > drawn.toMs!) {
  task.usageError(
    `--from must be no later than --to: ${drawn.fromMs} is after ${drawn.toMs}`,
  );
}
if (choices.needs! > choices.nodes!) {
  task.usageError(
    `--needs must be at most --nodes: ${choices.needs} of ${choices.nodes}`,
  );
}

/** Ends the task for what is no wrong option, or shows only when it is tried. */
function fail(text: string, code: 1 | 2): never {
  console.error(`sim: ${text}`);
  exit(code);
}

if (choices.node !== undefined) {
  forbidProcess((why) => fail(`--node: ${choices.node} ${why}`, 2));
  try {
    await plan(choices);
  } catch (error) {
    fail(`--node: ${choices.node}: ${errorText(error)}`, 2);
  }
}
try {
  const passed = single
    ? await runOne(choices)
    : await runMany(choices, seeds, minutes);
  exit(passed ? 0 : 1);
} catch (error) { // such as a file that can't be written, or a promise that nobody handles
  fail(errorText(error), 1);
}

/** The suite "core": does simulation alone find the faults that people make, and do the tests? */
import { join } from "node:path";
import { type Fault, FAULTS, planted } from "./faults.ts";
import {
  copyOfProject,
  limitsOf,
  root,
  runStages,
  stagesOf,
  type Verdict,
} from "./project.ts";

/** In how many seeds simulation has to find a fault. */
const SEEDS = 2000;
/** How long all seeds may take without a fault. */
const BASELINE_MS = 3_600_000;
/** How long a simulation may take that finds nothing, as many times as without a fault. */
const PATIENCE = 3;

/** What simulation came to: after how many seeds it found what. */
interface Found {
  seeds: number;
  check: string;
}

/** A fault, and who found it. */
interface Outcome {
  fault: Fault;
  tests: Verdict;
  simulation: Found | undefined;
}

/** Runs simulations in a copy of the project until one fails. */
async function simulate(
  copy: string,
  limitMs: number,
): Promise<Found | undefined> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      "scripts/mutants/first_failure.ts",
      `${SEEDS}`,
    ],
    cwd: copy,
    stdin: "null",
    stderr: "null",
    stdout: "piped",
  }).spawn();
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, limitMs);
  const { code, stdout } = await child.output();
  clearTimeout(timer);
  if (hung) return { seeds: NaN, check: "hangs" };
  if (code === 0) return undefined;
  const text = new TextDecoder().decode(stdout);
  return text === "" ? { seeds: NaN, check: "ends" } : JSON.parse(text);
}

/** What is wrong with an outcome, if something is. */
function problem({ fault, tests, simulation }: Outcome): string | undefined {
  if (simulation === undefined && tests === "passed") return "found by nobody";
  if (simulation === undefined && fault.unseen === undefined) {
    return "not found by simulation, and nothing says why";
  }
  return undefined;
}

function row(outcome: Outcome): string {
  const { fault, tests, simulation } = outcome;
  const by = simulation === undefined
    ? "-"
    : `${
      Number.isNaN(simulation.seeds) ? "" : simulation.seeds
    } ${simulation.check}`;
  const what = problem(outcome);
  const note = what ?? (simulation === undefined ? fault.unseen : undefined);
  return `${tests === "passed" ? "-" : "red"}`.padEnd(7) + by.padEnd(27) +
    `${fault.file}: ${fault.name}` + (note === undefined ? "" : ` (${note})`);
}

/**
 * Plants the faults of the suite one at a time, and shows who finds them.
 *
 * @param part Plants those only whose names have this.
 * @returns Whether each was found by simulation, or, where something says why it can't be, by the tests.
 */
export async function plantCore(part: string): Promise<boolean> {
  const faults = FAULTS.filter(({ name }) => name.includes(part));
  if (faults.length === 0) {
    console.error(`mutants: no fault's name has '${part}'`);
    return false;
  }
  const sources = new Map<string, string>();
  for (const fault of faults) { // before anything takes long
    const source = Deno.readTextFileSync(join(root, fault.file));
    sources.set(fault.file, source);
    try {
      planted(fault, source);
    } catch (error) {
      console.error(`mutants: ${(error as Error).message}`);
      return false;
    }
  }
  const copies = await Promise.all(
    Array.from({ length: navigator.hardwareConcurrency }, copyOfProject),
  );
  const outcomes: Outcome[] = [];
  try {
    const stages = new Map(
      [...sources.keys()].map((file) => [file, stagesOf(file)]),
    );
    // How long all of them take together is time enough for each.
    const tests = [...new Set([...stages.values()].flat(2))];
    const limit = (await limitsOf([tests], copies[0]!)).get(tests.join())!;
    const limits = new Map(
      [...stages.values()].flat().map((stage) => [stage.join(), limit]),
    );
    const startedAt = performance.now();
    const without = await simulate(copies[0]!, BASELINE_MS);
    if (without !== undefined) {
      console.error(
        `mutants: without any fault simulation finds ${without.check} after ${without.seeds} seeds`,
      );
      return false;
    }
    const limitMs = PATIENCE * (performance.now() - startedAt);
    console.log("tests  simulation: seeds, check   fault");
    const queue = [...faults];
    const work = async (copy: string) => {
      for (let fault; (fault = queue.shift());) {
        const source = sources.get(fault.file)!;
        const path = join(copy, fault.file);
        await Deno.writeTextFile(path, planted(fault, source));
        const simulation = await simulate(copy, limitMs);
        const tests = await runStages(stages.get(fault.file)!, copy, limits);
        await Deno.writeTextFile(path, source);
        const outcome = { fault, tests, simulation };
        outcomes.push(outcome);
        console.log(row(outcome));
      }
    };
    await Promise.all(copies.map(work));
  } finally {
    await Promise.all(
      copies.map((copy) => Deno.remove(copy, { recursive: true })),
    );
  }
  const found = outcomes.filter(({ simulation }) => simulation !== undefined);
  const red = outcomes.filter(({ tests }) => tests !== "passed");
  const bad = outcomes.filter((outcome) => problem(outcome) !== undefined);
  console.log(
    `${outcomes.length} faults: ${found.length} found by simulation within ${SEEDS} seeds, ${red.length} by tests; ${bad.length} not as it should be`,
  );
  return bad.length === 0;
}

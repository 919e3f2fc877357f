/** A suite of faults: does simulation alone find those that people make, and do the tests? */
import { join } from "node:path";
import { type Fault, planted, SUITES } from "./faults.ts";
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
/** How many seeds are run of each workload without a fault. */
const SEEDS_WITHOUT = 50;
/** A simulation that has not come to the end of a seed for so long, in ms, hangs. */
const STALLED_MS = 120_000;

/** What simulation came to: after how many seeds it found what. */
interface Found {
  seeds: number;
  check: string;
}

/** A fault, and who found it. */
interface Outcome {
  fault: Fault;
  /** What the tests came to, where they were run. */
  tests: Verdict | undefined;
  simulation: Found | undefined;
}

/** Runs simulations in a copy of the project until one fails. */
async function simulate(
  copy: string,
  maxSeeds: number,
  workload?: string,
): Promise<Found | undefined> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      "scripts/mutants/first_failure.ts",
      `${maxSeeds}`,
      ...workload === undefined ? [] : [workload],
    ],
    cwd: copy,
    stdin: "null",
    stderr: "null",
    stdout: "piped",
  }).spawn();
  let hung = false;
  const kill = () => {
    hung = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill, STALLED_MS);
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    clearTimeout(timer);
    timer = setTimeout(kill, STALLED_MS);
  }
  clearTimeout(timer);
  const { success } = await child.status;
  if (success) return undefined;
  // An empty line for each that passed; one more for what follows the last.
  const seeds = text.split("\n").filter((line) => line === "").length;
  const [what] = /\{.*/.exec(text) ?? [];
  const check = hung ? "hangs" : what ? JSON.parse(what).check : "ends";
  return { seeds, check };
}

/** What is wrong with an outcome, if something is. */
function problem({ fault, tests, simulation }: Outcome): string | undefined {
  if (simulation === undefined && (tests ?? "passed") === "passed") {
    return "found by nobody";
  }
  if (simulation === undefined && fault.unseen === undefined) {
    return "not found by simulation, and nothing says why";
  }
  return undefined;
}

function row(outcome: Outcome): string {
  const { fault, tests, simulation } = outcome;
  const by = simulation === undefined
    ? "-"
    : `${simulation.seeds} ${simulation.check}`;
  const what = problem(outcome);
  const note = what ?? (simulation === undefined ? fault.unseen : undefined);
  const verdict = tests === undefined ? "" : tests === "passed" ? "-" : "red";
  return verdict.padEnd(7) + by.padEnd(27) +
    `${fault.file}: ${fault.name}` + (note === undefined ? "" : ` (${note})`);
}

/**
 * Plants the faults of a suite one at a time, and shows who finds them. Of
 * "workloads" simulation has to, and tests are not run: each would be of all
 * that imports the library.
 *
 * @param suite The suite's name.
 * @param part Plants those only whose names have this.
 * @returns Whether each was found by simulation, or, where something says why it can't be, by the tests.
 */
export async function plantSuite(
  suite: string,
  part: string,
): Promise<boolean> {
  const faults = SUITES[suite]!.filter(({ name }) => name.includes(part));
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
      [...sources.keys()].map((file) =>
        [file, suite === "core" ? stagesOf(file) : []] as const
      ),
    );
    // How long all of them take together is time enough for each.
    const tests = [...new Set([...stages.values()].flat(2))];
    const limits = new Map<string, number>();
    if (tests.length > 0) {
      const limit = (await limitsOf([tests], copies[0]!)).get(tests.join())!;
      for (const stage of [...stages.values()].flat()) {
        limits.set(stage.join(), limit);
      }
    }
    for (const workload of new Set(faults.map(({ workload }) => workload))) {
      const seeds = workload === undefined ? SEEDS : SEEDS_WITHOUT;
      const without = await simulate(copies[0]!, seeds, workload);
      if (without !== undefined) {
        console.error(
          `mutants: without any fault simulation finds ${without.check} after ${without.seeds} seeds`,
        );
        return false;
      }
    }
    console.log("tests  simulation: seeds, check   fault");
    const queue = [...faults];
    const work = async (copy: string) => {
      for (let fault; (fault = queue.shift());) {
        const source = sources.get(fault.file)!;
        const path = join(copy, fault.file);
        await Deno.writeTextFile(path, planted(fault, source));
        const simulation = await simulate(copy, SEEDS, fault.workload);
        const those = stages.get(fault.file)!;
        const tests = those.length > 0
          ? await runStages(those, copy, limits)
          : undefined;
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
  const red = outcomes.filter(({ tests }) =>
    tests !== undefined && tests !== "passed"
  );
  const bad = outcomes.filter((outcome) => problem(outcome) !== undefined);
  console.log(
    `${outcomes.length} faults: ${found.length} found by simulation within ${SEEDS} seeds, ${red.length} by tests; ${bad.length} not as it should be`,
  );
  return bad.length === 0;
}

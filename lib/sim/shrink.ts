/** The least that still goes wrong. */
import type { SimulationOptions, SimulationResult } from "./options.ts";
import { Simulation } from "./simulation.ts";

/** The smallest scenario so far that fails in the same way. */
export interface ShrunkSoFar {
  /** The simulation's options: fewer nodes, and which faults and operations are left. */
  options: SimulationOptions;
  /** What it comes to. */
  result: SimulationResult;
  /** How many simulations were run to find it. */
  runs: number;
}

/** A smaller scenario that fails in the same way. */
export interface Shrunk extends ShrunkSoFar {
  /** The limit that ended the search, such as "300 runs", where there may be a smaller one; `undefined` where the search came to its end. */
  cutShort: string | undefined;
}

/** Options of {@linkcode shrink}. */
export interface ShrinkOptions {
  /**
   * How many simulations to run at the most, from 1.
   *
   * @default {300}
   */
  maxRuns?: number;
  /**
   * For how long to go on, in ms of real time: after that no further simulation is begun.
   *
   * @default {Infinity}
   */
  maxMs?: number;
  /** Told after each simulation of the smallest one so far. */
  onRun?: (best: ShrunkSoFar) => void;
}

/**
 * Makes a scenario that fails smaller: fewer nodes, then fewer operations, then
 * fewer faults, and then operations once more, as long as the same check fails. Lists are shortened by
 * leaving out halves, quarters, and so on to single ones, as in delta
 * debugging (Zeller and Hildebrandt, 2002).
 *
 * @param options A simulation that has a violation.
 * @param limits How long to go on, and who is told of it.
 * @throws {Error} It has no violation.
 * @throws {RangeError} A limit is out of range.
 */
export async function shrink(
  options: SimulationOptions,
  limits: ShrinkOptions = {},
): Promise<Shrunk> {
  checkLimits(limits);
  const startedAt = performance.now();
  const { onTrace: _, onLog: __, ...quiet } = options;
  const result = await new Simulation(quiet).run();
  const check = result.violations[0]?.check;
  if (check === undefined) {
    throw new Error(
      `Cannot shrink as seed ${options.seed} has no violation with these options`,
    );
  }
  const shrinker = new Shrinker(check, limits, startedAt, {
    options: quiet,
    result,
  });
  await shrinker.fewerNodes();
  await shrinker.fewerOperations(); // before faults: the fewer, the quicker is each run
  // Some operations may only have mattered as there were faults.
  if (await shrinker.fewerFaults()) await shrinker.fewerOperations();
  const { best, runs, cutShort } = shrinker;
  return { ...best, runs, cutShort };
}

function checkLimits({ maxRuns = 1, maxMs = 0 }: ShrinkOptions): void {
  if (!Number.isSafeInteger(maxRuns) || maxRuns < 1) {
    throw new RangeError(
      `'maxRuns' must be a whole number from 1: current value is ${maxRuns}`,
    );
  }
  if (!(maxMs >= 0)) {
    throw new RangeError(
      `'maxMs' must be from 0, or Infinity: current value is ${maxMs}`,
    );
  }
}

class Shrinker {
  best: { options: SimulationOptions; result: SimulationResult };
  runs = 1;
  cutShort: string | undefined;
  readonly #check: string;
  readonly #limits: ShrinkOptions;
  readonly #startedAt: number;

  constructor(
    check: string,
    limits: ShrinkOptions,
    startedAt: number,
    best: Shrinker["best"],
  ) {
    this.#check = check;
    this.#limits = limits;
    this.#startedAt = startedAt;
    this.best = best;
  }

  async fewerNodes(): Promise<void> {
    const { nodes = 3, needs = 1, onlyFaults, onlyOperations } =
      this.best.options;
    // Other numbers of nodes have other plans, to which chosen numbers don't apply.
    if (onlyFaults ?? onlyOperations) return;
    for (let fewer = needs; fewer < nodes; fewer++) {
      if (await this.#fails({ nodes: fewer })) return;
    }
  }

  /** Returns whether there are fewer. */
  async fewerFaults(): Promise<boolean> {
    const all = this.best.result.faults.map((_, index) => index);
    return await this.#fewer(
      this.best.options.onlyFaults ?? all,
      (onlyFaults) => this.#fails({ onlyFaults }),
    );
  }

  async fewerOperations(): Promise<void> {
    const asked = this.best.result.history
      .filter(({ final, probe }) => !final && !probe)
      .map(({ index }) => index)
      .sort((a, b) => a - b);
    await this.#fewer(
      asked,
      (onlyOperations) => this.#fails({ onlyOperations }),
    );
  }

  /** Leaves out ever smaller parts of a list, as long as what is left fails; returns whether some are left out. */
  async #fewer(
    list: readonly number[],
    fails: (list: readonly number[]) => Promise<boolean>,
  ): Promise<boolean> {
    if (list.length === 0 || !await fails(list)) return false;
    const { length } = list;
    let size = list.length;
    while (size >= 1 && list.length > 0) {
      for (let end = list.length; end > 0; end -= size) {
        const start = Math.max(0, end - size);
        const rest = [...list.slice(0, start), ...list.slice(end)];
        if (this.#isOver()) return list.length < length;
        if (await fails(rest)) list = rest;
      }
      size = size === 1 ? 0 : Math.ceil(size / 2);
    }
    return list.length < length;
  }

  /** Whether it still fails with these options; if so, they are the best so far. */
  async #fails(change: Partial<SimulationOptions>): Promise<boolean> {
    if (this.#isOver()) return false;
    this.runs++;
    const options = { ...this.best.options, ...change };
    const result = await new Simulation(options).run();
    const isSmaller = result.violations[0]?.check === this.#check;
    if (isSmaller) this.best = { options, result };
    this.#limits.onRun?.({ ...this.best, runs: this.runs });
    return isSmaller;
  }

  /** Whether a limit is reached, although there is more to be tried. */
  #isOver(): boolean {
    const { maxRuns = 300, maxMs = Infinity } = this.#limits;
    if (this.runs >= maxRuns) this.cutShort = `${maxRuns} runs`;
    else if (performance.now() - this.#startedAt >= maxMs) {
      this.cutShort = `${maxMs / 1000} s`;
    }
    return this.cutShort !== undefined;
  }
}

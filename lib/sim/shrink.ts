/** The least that still goes wrong. */
import type { SimulationOptions, SimulationResult } from "./options.ts";
import { Simulation } from "./simulation.ts";

/** A smaller scenario that fails in the same way. */
export interface Shrunk {
  /** The simulation's options: fewer nodes, and which faults and operations are left. */
  options: SimulationOptions;
  /** What it comes to. */
  result: SimulationResult;
  /** How many simulations were run to find it. */
  runs: number;
}

/**
 * Makes a scenario that fails smaller: fewer nodes, then fewer faults, then
 * fewer operations, as long as the same check fails. Lists are shortened by
 * leaving out halves, quarters, and so on to single ones, as in delta
 * debugging (Zeller and Hildebrandt, 2002).
 *
 * @param options A simulation that has a violation.
 * @param maxRuns How many simulations to run at the most.
 * @throws {Error} It has no violation.
 */
export async function shrink(
  options: SimulationOptions,
  maxRuns = 300,
): Promise<Shrunk> {
  const { onTrace: _, ...quiet } = options;
  const result = await new Simulation(quiet).run();
  const check = result.violations[0]?.check;
  if (check === undefined) {
    throw new Error(
      `Cannot shrink as seed ${options.seed} has no violation with these options`,
    );
  }
  const shrinker = new Shrinker(check, maxRuns, { options: quiet, result });
  await shrinker.fewerNodes();
  await shrinker.fewerFaults();
  await shrinker.fewerOperations();
  return { ...shrinker.best, runs: shrinker.runs };
}

class Shrinker {
  best: { options: SimulationOptions; result: SimulationResult };
  runs = 1;
  readonly #check: string;
  readonly #maxRuns: number;

  constructor(check: string, maxRuns: number, best: Shrinker["best"]) {
    this.#check = check;
    this.#maxRuns = maxRuns;
    this.best = best;
  }

  async fewerNodes(): Promise<void> {
    const { nodes = 3, onlyFaults, onlyOperations } = this.best.options;
    // Other numbers of nodes have other plans, to which chosen numbers don't apply.
    if (onlyFaults ?? onlyOperations) return;
    for (let fewer = 1; fewer < nodes; fewer++) {
      if (await this.#fails({ nodes: fewer })) return;
    }
  }

  async fewerFaults(): Promise<void> {
    const all = this.best.result.faults.map((_, index) => index);
    await this.#fewer(
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

  /** Leaves out ever smaller parts of a list, as long as what is left fails. */
  async #fewer(
    list: readonly number[],
    fails: (list: readonly number[]) => Promise<boolean>,
  ): Promise<void> {
    if (list.length === 0 || !await fails(list)) return;
    let size = list.length;
    while (size >= 1 && list.length > 0) {
      for (let end = list.length; end > 0; end -= size) {
        const start = Math.max(0, end - size);
        const rest = [...list.slice(0, start), ...list.slice(end)];
        if (this.runs >= this.#maxRuns) return;
        if (await fails(rest)) list = rest;
      }
      size = size === 1 ? 0 : Math.ceil(size / 2);
    }
  }

  /** Whether it still fails with these options; if so, they are the best so far. */
  async #fails(change: Partial<SimulationOptions>): Promise<boolean> {
    if (this.runs >= this.#maxRuns) return false;
    this.runs++;
    const options = { ...this.best.options, ...change };
    const result = await new Simulation(options).run();
    if (result.violations[0]?.check !== this.#check) return false;
    this.best = { options, result };
    return true;
  }
}

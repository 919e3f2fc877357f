/** A workload's nodes in simulation: what right ones withstand, what wrong ones are found out by. */
import { assert, assertEquals } from "@std/assert";
import {
  FAULT_KINDS,
  Simulation,
  type SimulationOptions,
  type SimulationResult,
  type Workload,
} from "../lib/sim/mod.ts";

type SetUp = SimulationOptions["setUp"];

/** What a node that keeps all in memory survives, to whose clients it makes a difference that something is done twice. */
const FAULTS = FAULT_KINDS.filter((kind) =>
  kind !== "crash" && kind !== "duplication"
);

/** Trials of a workload's nodes. */
export class Trials {
  readonly #workload: Workload;

  constructor(workload: Workload) {
    this.#workload = workload;
  }

  run(
    setUp: SetUp,
    more: Partial<SimulationOptions> = {},
  ): Promise<SimulationResult> {
    return new Simulation({
      seed: 1,
      nodes: 3,
      operations: 300,
      setUp,
      workload: this.#workload,
      ...more,
    }).run();
  }

  /** A right node passes under every fault but crashes and duplication. */
  async withstandsFaults(setUp: SetUp): Promise<void> {
    let ok = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { outcome, reasons, counts } = await this.run(setUp, {
        seed,
        nodes: 1 + seed % 5,
        faults: FAULTS,
      });
      assertEquals([outcome, reasons], ["pass", []], `seed ${seed}`);
      ok += counts.ok;
    }
    assert(ok > 5000);
  }

  /** A right node answers everything while it is cut off. */
  async answersInPartitions(setUp: SetUp): Promise<void> {
    const { outcome, reasons, history } = await this.run(setUp, {
      faults: ["partition"],
      nodes: 5,
    });
    assertEquals([outcome, reasons], ["pass", []]);
    assert(history.every(({ status }) => status === "ok"));
  }

  /** A check finds a wrong node out. */
  async finds(
    check: string,
    setUp: SetUp,
    more: Partial<SimulationOptions> = { nodes: 1 },
  ): Promise<void> {
    const { violations } = await this.run(setUp, more);
    const found = violations.map(({ check, text }) => `${check}: ${text}`);
    assert(
      violations.some((violation) => violation.check === check),
      `"${check}" is not among\n${found.join("\n")}`,
    );
  }
}

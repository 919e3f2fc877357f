/** Whether nodes make progress once faults are over. */
import { plural } from "../../plural.ts";
import type { HistoryEntry, Operation } from "../judges/history.ts";

/** What a recovery has of the world around it. */
export interface RecoveryWorld {
  /** Asks a node for something; {@linkcode Recovery.ended} is told how it ended. */
  ask(node: string, operation: Operation): void;
  /** Calls a function after so many ms. */
  after(ms: number, fn: () => void): void;
}

/** How long a node is left alone after something did not succeed, in ms. */
const RETRY_MS = 100;

/** How far a node has got. */
interface Progress {
  /** How many of its operations have succeeded, one after the other. */
  succeeded: number;
  tries: number;
  last: HistoryEntry | undefined;
}

/**
 * Asks nodes for operations one after the other, from the first again where
 * one did not succeed, until all have.
 */
export class Recovery {
  readonly #world: RecoveryWorld;
  readonly #probes: ReadonlyMap<string, readonly Operation[]>;
  readonly #progress: Map<string, Progress> = new Map();
  #over = false;

  /**
   * A recovery that has not begun yet.
   *
   * @param world What is around it.
   * @param probes By node: what is asked of it.
   */
  constructor(
    world: RecoveryWorld,
    probes: ReadonlyMap<string, readonly Operation[]>,
  ) {
    this.#world = world;
    this.#probes = probes;
  }

  /** Begins to ask. */
  begin(): void {
    for (const node of this.#probes.keys()) {
      this.#progress.set(node, { succeeded: 0, tries: 0, last: undefined });
      this.#ask(node);
    }
  }

  /**
   * An operation has ended.
   *
   * @param entry The operation.
   */
  ended(entry: HistoryEntry): void {
    const { node, status } = entry;
    const progress = this.#progress.get(node)!;
    progress.last = entry;
    if (status === "ok") {
      progress.succeeded++;
      this.#ask(node);
    } else {
      progress.succeeded = 0;
      this.#world.after(RETRY_MS, () => this.#ask(node));
    }
  }

  /** The time is over: says of each node that did not get through what it is stuck at. */
  end(): { node: string; text: string }[] {
    this.#over = true;
    return [...this.#probes].flatMap(([node, operations]) => {
      const { succeeded, tries, last } = this.#progress.get(node)!;
      if (succeeded >= operations.length) return [];
      const what = last
        ? `of ${
          plural(tries, "operation")
        } tried the last was ${last.f}, operation ${last.index}: ${
          last.error ?? "it succeeded; the next has no answer yet"
        }`
        : `${operations[0]!.f} was tried, and has not been answered yet`;
      return [{
        node,
        text: `${node} makes no progress after the faults: ${what}`,
      }];
    });
  }

  #ask(node: string): void {
    const progress = this.#progress.get(node)!;
    const operation = this.#probes.get(node)![progress.succeeded];
    if (operation === undefined || this.#over) return;
    progress.tries++;
    this.#world.ask(node, operation);
  }
}

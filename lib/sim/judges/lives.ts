/** Which process an operation was asked of, and whether that was its node's last. */
import type { HistoryEntry } from "./history.ts";

/** The lives of nodes that keep all in memory. */
export class Lives {
  readonly #last: Map<string, number> = new Map();

  /**
   * Sees which life of each node was the last.
   *
   * @param history All operations, such after the last crash included.
   */
  constructor(history: readonly HistoryEntry[]) {
    for (const { node, incarnation = 0 } of history) {
      this.#last.set(node, Math.max(incarnation, this.#last.get(node) ?? 0));
    }
  }

  /**
   * Whether the process that an operation was asked of never crashed.
   *
   * @param entry The operation.
   */
  goesOn({ node, incarnation }: HistoryEntry): boolean {
    return incarnation === this.#last.get(node);
  }

  /**
   * Groups operations by the process that they were asked of.
   *
   * @param entries Operations of which that is known.
   */
  group(entries: readonly HistoryEntry[]): HistoryEntry[][] {
    const groups = new Map<string, HistoryEntry[]>();
    for (const entry of entries) {
      const life = `${entry.node} ${entry.incarnation}`;
      const group = groups.get(life);
      if (group) group.push(entry);
      else groups.set(life, [entry]);
    }
    return [...groups.values()];
  }
}

/** What a run cost, and how long clients waited. */
import type { HistoryEntry } from "./history.ts";

/** How long something took, over many times. */
export interface LatencySummary {
  /** How many times. */
  count: number;
  /** Half took no longer than so many ms. */
  medianMs: number;
  /** 99 of 100 took no longer than so many ms. */
  p99Ms: number;
  /** The longest, in ms. */
  maxMs: number;
}

/** Messages sent, by who was at their ends. */
export interface MessageCounts {
  /** All, those of clients included. */
  all: number;
  /** From one node to another. */
  betweenNodes: number;
  /** Between a node and a service. */
  withServices: number;
}

/** What a run cost, and how long clients waited, until `durationMs` and all that they asked by then has ended. */
export interface SimulationMetrics {
  /** How many operations clients asked for. */
  operations: number;
  /** Messages for each operation, on average; none where there were no operations. */
  messagesPerOperation: MessageCounts | undefined;
  /** By kind of operation: how long those took that succeeded; and what else the workload measures. */
  latencies: Record<string, LatencySummary>;
}

/** Whether an operation is one of those that clients asked by themselves. */
function isMeasured({ final, probe }: HistoryEntry): boolean {
  return !final && !probe;
}

/**
 * How long operations took that succeeded, in ms, by kind.
 *
 * @param history All operations.
 */
export function latenciesOf(
  history: readonly HistoryEntry[],
): Record<string, number[]> {
  const latencies: Record<string, number[]> = {};
  for (const entry of history) {
    if (entry.status !== "ok" || !isMeasured(entry)) continue;
    (latencies[entry.f] ??= []).push(entry.completedAt - entry.invokedAt);
  }
  return latencies;
}

/**
 * Sums latencies up.
 *
 * @param latencies Latencies in ms, at least one.
 */
export function summarize(latencies: readonly number[]): LatencySummary {
  const sorted = Float64Array.from(latencies).sort();
  // Simulated time is known to the µs; what is below comes from subtracting.
  const at = (part: number) =>
    Math.round(sorted[Math.ceil(part * sorted.length) - 1]! * 1000) / 1000;
  return {
    count: sorted.length,
    medianMs: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

/**
 * The metrics of a run.
 *
 * @param history All operations.
 * @param messages What was sent.
 * @param latencies What took how long, in ms.
 */
export function metricsOf(
  history: readonly HistoryEntry[],
  messages: MessageCounts,
  latencies: Readonly<Record<string, readonly number[]>>,
): SimulationMetrics {
  const operations = history.filter(isMeasured).length;
  const each = (count: number) => count / operations;
  return {
    operations,
    messagesPerOperation: operations === 0 ? undefined : {
      all: each(messages.all),
      betweenNodes: each(messages.betweenNodes),
      withServices: each(messages.withServices),
    },
    latencies: Object.fromEntries(
      Object.entries(latencies).filter(([, { length }]) => length > 0)
        .map(([name, list]) => [name, summarize(list)]),
    ),
  };
}

/**
 * How long elements of a set took to be in every read, in ms: from when they
 * were first known to be in, to when the last read that lacks them began, or 0.
 * As Jepsen's "stable latencies", it can't be less than how often one reads.
 *
 * @param history Operations `add` and `read`.
 */
export function untilAllKnow(history: readonly HistoryEntry[]): number[] {
  const reads = history.flatMap((read) =>
    read.f === "read" && read.status === "ok" && Array.isArray(read.result)
      ? [{ ...read, elements: new Set(read.result) }]
      : []
  );
  return history.filter((entry) =>
    entry.f === "add" && entry.status === "ok" && isMeasured(entry)
  ).map(({ value, completedAt }) => {
    let known = completedAt;
    let lacking = 0;
    for (const read of reads) {
      if (!read.elements.has(value)) {
        lacking = Math.max(lacking, read.invokedAt);
      } else known = Math.min(known, read.completedAt);
    }
    return Math.max(0, lacking - known);
  });
}

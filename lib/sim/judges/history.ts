/** What clients asked, and what they were told. */

/** An operation of a workload. */
export interface Operation {
  /** What is asked for, such as "read". */
  f: string;
  /** What it concerns, where several things are kept apart, such as a key. */
  key?: unknown;
  /** What it is asked with, such as the value to write. */
  value?: unknown;
}

/**
 * How an operation ended: it happened (ok), it certainly did not (fail), or
 * nobody knows (info).
 */
export type OperationStatus = "ok" | "fail" | "info";

/** An operation that a client tried. */
export interface HistoryEntry extends Operation {
  /** The operation's number; the final ones come last. */
  index: number;
  /** The client, and how many of its operations ended with "info" before: what one process does happens one after the other. */
  process: string;
  /** The node that was asked. */
  node: string;
  /** When it was asked, in ms of simulated time. */
  invokedAt: number;
  /** When the answer came; `Infinity` when nobody knows. */
  completedAt: number;
  /** How it ended. */
  status: OperationStatus;
  /** What it was answered with. */
  result?: unknown;
  /** The error's code and text, where there was one. */
  error?: string;
  /** The error's code, where it has one. */
  code?: number;
  /** Whether it was one of those at the end, when all is quiet. */
  final: boolean;
  /** Whether it was one of those that are tried after the faults until they succeed. */
  probe?: boolean;
  /** How often its node had been started, where it was the same from the request to the answer. */
  incarnation?: number | undefined;
}

/** What a check of a history came to. */
export interface Finding {
  /** The check's name. */
  check: string;
  /** Whether what was to hold does; "unknown" where a limit kept the check from finding out, which is not a pass. */
  outcome: "pass" | "fail" | "unknown";
  /** What was found. */
  text: string;
}

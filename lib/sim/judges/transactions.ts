/** What must hold of transactions over registers. */
import type { RwRegisterOperation } from "../../protocols.ts";
import { canonical } from "../world/services.ts";
import { finding } from "./checkers.ts";
import { Graph } from "./graph.ts";
import type { Finding, HistoryEntry } from "./history.ts";

/** Who wrote a value, and whether it was the last that it wrote to that key. */
interface Written {
  by: HistoryEntry;
  isLast: boolean;
}

/** What a transaction read of, and wrote to, one key. */
interface Access {
  /** What it read before it wrote. */
  read?: unknown;
  /** What it wrote last. */
  written?: unknown;
}

/**
 * Checks transactions (`txn`) whose operations are `["r", key, value]` and
 * `["w", key, value]`, where no value is written twice to one key. In Adya's
 * terms: they are read committed.
 *
 * - `shape`: what is answered is what was asked, with values for the reads.
 * - `internal`: a transaction reads what it wrote or read before.
 * - `unwritten`: what is read has been written by then, or is `null`.
 * - `G1a`: what is read was not written by a transaction that failed.
 * - `G1b`: nor is it what its transaction replaced itself.
 * - `G0`, `G1c`: no cycle of transactions of which each has overwritten
 *   something of the one before it, or also has read something of it.
 * - `own-writes`: after a transaction has been confirmed, its node reads what
 *   that wrote, or what comes later, as long as it is not started anew.
 * - `agreement`: the final reads of all nodes are equal.
 *
 * The order of a key's values is known where a transaction has read one and
 * written another, and of the one that all final reads have: it is the last.
 *
 * @param history Operations `txn`; the final ones read only.
 */
export function checkTransactions(
  history: readonly HistoryEntry[],
): Finding[] {
  const problems: Record<string, string[]> = {
    "shape": [],
    "internal": [],
    "unwritten": [],
    "G1a": [],
    "G1b": [],
    "G0": [],
    "G1c": [],
    "own-writes": [],
    "agreement": [],
  };
  const written = writtenBy(history);
  const done = history.filter((entry) => {
    if (entry.status !== "ok") return false;
    const isAnswer = hasShape(entry);
    if (!isAnswer) {
      problems["shape"]!.push(
        `operation ${entry.index}: ${canonical(entry.value)} was answered by ${
          canonical(entry.result)
        }`,
      );
    }
    return isAnswer;
  });
  for (const entry of done) checkReads(entry, written, problems);

  const finals = finalReads(done, problems["agreement"]!);
  const versions = versionOrders(done, finals);
  checkCycles(done, written, versions, problems);
  checkOwnWrites(done, versions, problems["own-writes"]!);

  const asksFinally = done.some(({ final }) => final);
  return Object.entries(problems).flatMap(([check, texts]) =>
    check === "agreement" && !asksFinally
      ? [{
        check,
        outcome: "unknown" as const,
        text: "no final read was answered",
      }]
      : finding(check, texts, `${done.length} transactions`)
  );
}

function operationsOf(txn: unknown): RwRegisterOperation[] {
  return txn as RwRegisterOperation[];
}

/** A key and a value of it. */
function version(key: unknown, value: unknown): string {
  return canonical([key, value]);
}

/** Of each version, who wrote it. */
function writtenBy(history: readonly HistoryEntry[]): Map<string, Written> {
  const written = new Map<string, Written>();
  for (const entry of history) {
    const last = new Map<string, Written>();
    for (const [f, key, value] of operationsOf(entry.value)) {
      if (f !== "w") continue;
      const before = last.get(canonical(key));
      if (before) before.isLast = false;
      const write = { by: entry, isLast: true };
      last.set(canonical(key), write);
      written.set(version(key, value), write);
    }
  }
  return written;
}

function hasShape({ value, result }: HistoryEntry): boolean {
  const asked = operationsOf(value);
  return Array.isArray(result) && result.length === asked.length &&
    asked.every(([f, key, written], i) => {
      const told = result[i];
      return Array.isArray(told) && told.length === 3 && told[0] === f &&
        canonical(told[1]) === canonical(key) && told[2] !== undefined &&
        (f === "r" || canonical(told[2]) === canonical(written));
    });
}

function checkReads(
  entry: HistoryEntry,
  written: ReadonlyMap<string, Written>,
  problems: Record<string, string[]>,
): void {
  const known = new Map<string, unknown>();
  for (const [f, key, value] of operationsOf(entry.result)) {
    const name = canonical(key);
    const has = known.has(name);
    const expected = known.get(name);
    known.set(name, value);
    if (f === "w") continue;
    const what = `operation ${entry.index} (${entry.node}) read ${
      canonical(value)
    } of key ${name}`;
    if (has) {
      if (canonical(value) !== canonical(expected)) {
        problems["internal"]!.push(
          `${what}, where it had ${canonical(expected)} itself`,
        );
      }
      continue;
    }
    if (value === null) continue;
    const write = written.get(version(key, value));
    if (write === undefined || write.by.invokedAt > entry.completedAt) {
      const when = write === undefined ? "" : " before";
      problems["unwritten"]!.push(`${what}, which nobody wrote${when}`);
    } else if (write.by === entry) {
      problems["internal"]!.push(`${what}, which it wrote only after that`);
    } else if (write.by.status === "fail") {
      problems["G1a"]!.push(
        `${what}, which operation ${write.by.index} wrote, and that failed`,
      );
    } else if (!write.isLast) {
      problems["G1b"]!.push(
        `${what}, which operation ${write.by.index} replaced itself`,
      );
    }
  }
}

/** The first read and the last write of each key. */
function accesses(entry: HistoryEntry): Map<string, Access> {
  const accesses = new Map<string, Access>();
  for (const [f, key, value] of operationsOf(entry.result)) {
    const name = canonical(key);
    const access = accesses.get(name);
    if (f === "w") accesses.set(name, { ...access, written: value });
    else if (access === undefined) accesses.set(name, { read: value });
  }
  return accesses;
}

/** What the final reads say of each key; nothing of keys of which they differ. */
function finalReads(
  done: readonly HistoryEntry[],
  problems: string[],
): Map<string, unknown> {
  const values = new Map<string, { value: unknown; node: string }>();
  const differs = new Set<string>();
  for (const entry of done.filter(({ final }) => final)) {
    for (const [name, { read }] of accesses(entry)) {
      const first = values.get(name);
      if (first === undefined) {
        values.set(name, { value: read, node: entry.node });
      } else if (canonical(first.value) !== canonical(read)) {
        differs.add(name);
        problems.push(
          `of key ${name}, ${first.node} finally reads ${
            canonical(first.value)
          }, but ${entry.node} ${canonical(read)}`,
        );
      }
    }
  }
  return new Map(
    [...values].filter(([name]) => !differs.has(name))
      .map(([name, { value }]) => [name, value]),
  );
}

/** Of each key, its values' order, as far as it is known: from each to later ones. */
function versionOrders(
  done: readonly HistoryEntry[],
  finals: ReadonlyMap<string, unknown>,
): Map<string, Graph<string>> {
  const orders = new Map<string, Graph<string>>();
  const order = (name: string) => {
    let graph = orders.get(name);
    if (graph === undefined) orders.set(name, graph = new Graph());
    return graph;
  };
  for (const entry of done) {
    for (const [name, { read, written: value }] of accesses(entry)) {
      if (value === undefined) continue;
      const graph = order(name);
      const to = canonical(value);
      graph.add("null", to, "");
      if (read !== undefined) graph.add(canonical(read), to, "");
      const last = canonical(finals.get(name));
      if (last !== "null" && last !== to) graph.add(to, last, "");
    }
  }
  return orders;
}

/** Searches for cycles in which transactions depend on each other. */
function checkCycles(
  done: readonly HistoryEntry[],
  written: ReadonlyMap<string, Written>,
  versions: ReadonlyMap<string, Graph<string>>,
  problems: Record<string, string[]>,
): void {
  const graph = new Graph<HistoryEntry>();
  for (const [name, order] of versions) {
    for (const [from, to] of order.edges()) {
      const [before, after] = [from, to].map((value) =>
        written.get(`[${name},${value}]`)?.by
      );
      if (before === undefined || after === undefined || before === after) {
        continue;
      }
      graph.add(before, after, `which overwrote its ${from} of key ${name} by`);
    }
  }
  const report = (check: string) => {
    for (const cycle of graph.cycles()) {
      problems[check]!.push(
        cycle.map(({ from, label }) => `operation ${from.index}, ${label}`)
          .join(" ") + ` operation ${cycle[0]!.from.index}`,
      );
    }
  };
  report("G0");
  if (problems["G0"]!.length > 0) return;
  for (const entry of done) {
    for (const [name, { read }] of accesses(entry)) {
      if (read === undefined) continue;
      const writer = written.get(`[${name},${canonical(read)}]`)?.by;
      if (writer === undefined || writer === entry) continue;
      const label = `whose ${canonical(read)} of key ${name} was read by`;
      graph.add(writer, entry, label);
    }
  }
  report("G1c");
}

/** Checks that no node goes back behind what it confirmed. */
function checkOwnWrites(
  done: readonly HistoryEntry[],
  versions: ReadonlyMap<string, Graph<string>>,
  problems: string[],
): void {
  const writes = new Map<string, { value: unknown; entry: HistoryEntry }[]>();
  const place = ({ node, incarnation }: HistoryEntry, name: string) =>
    `${node} ${incarnation} ${name}`;
  const sessions = done.filter(({ incarnation }) => incarnation !== undefined);
  for (const entry of sessions) {
    for (const [name, { written: value }] of accesses(entry)) {
      if (value === undefined) continue;
      const key = place(entry, name);
      const known = writes.get(key);
      if (known) known.push({ value, entry });
      else writes.set(key, [{ value, entry }]);
    }
  }
  for (const entry of sessions) {
    for (const [name, { read }] of accesses(entry)) {
      if (read === undefined) continue;
      for (const own of writes.get(place(entry, name)) ?? []) {
        if (own.entry.completedAt >= entry.invokedAt) continue;
        const [is, was] = [canonical(read), canonical(own.value)];
        if (is === was || !versions.get(name)!.reaches(is, was)) continue;
        problems.push(
          `operation ${entry.index} read ${is} of key ${name}, after ${entry.node} had confirmed the later ${was} in operation ${own.entry.index}`,
        );
        break;
      }
    }
  }
}

/** What must hold of the histories of sets, counters, ids and echoes. */
import type { Finding, HistoryEntry } from "./history.ts";
import { canonical } from "./services.ts";

/** How many different sums of a counter are kept apart. */
const MAX_SUMS = 100_000;

function finding(check: string, problems: string[], passed: string): Finding[] {
  return problems.length === 0
    ? [{ check, outcome: "pass", text: passed }]
    : problems.map((text) => ({ check, outcome: "fail", text }));
}

function finalReads(history: readonly HistoryEntry[]): HistoryEntry[] {
  return history.filter(({ final, status }) => final && status === "ok");
}

function unread(check: string): Finding[] {
  return [{
    check,
    outcome: "unknown",
    text: "no final read was answered: this is no pass",
  }];
}

/**
 * Checks a grow-only set: what was added (`add`) is in every final `read`, and
 * nothing is in any read that nobody tried to add.
 *
 * @param history Operations `add` and `read`.
 */
export function checkSet(history: readonly HistoryEntry[]): Finding[] {
  const tried = new Set<string>();
  const added = new Set<string>();
  for (const { f, value, status } of history) {
    if (f !== "add") continue;
    if (status !== "fail") tried.add(canonical(value));
    if (status === "ok") added.add(canonical(value));
  }
  const problems: string[] = [];
  for (const { f, result, status, final, index, node } of history) {
    if (f !== "read" || status !== "ok") continue;
    const read = new Set((result as unknown[]).map(canonical));
    for (const element of read) {
      if (tried.has(element)) continue;
      problems.push(
        `operation ${index} read ${element} from ${node}, which nobody added`,
      );
    }
    const lost = final ? [...added].filter((value) => !read.has(value)) : [];
    if (lost.length > 0) {
      problems.push(
        `${lost.length} of ${added.size} elements are lost in ${node}'s final read, such as ${
          lost[0]
        }`,
      );
    }
  }
  if (problems.length === 0 && finalReads(history).length === 0) {
    return unread("set");
  }
  return finding("set", problems, `${added.size} elements in every final read`);
}

/**
 * Checks a counter: each final `read` is the sum of all that was added
 * (`add`), with or without what perhaps was.
 *
 * @param history Operations `add`, whose value is the difference, and `read`.
 */
export function checkCounter(history: readonly HistoryEntry[]): Finding[] {
  let sums = new Set([0]);
  for (const { f, value, status } of history) {
    if (f !== "add" || status === "fail") continue;
    const delta = value as number;
    const maybe = status === "info" ? [...sums] : [];
    sums = new Set([...[...sums].map((sum) => sum + delta), ...maybe]);
    if (sums.size > MAX_SUMS) {
      return [{
        check: "counter",
        outcome: "unknown",
        text: `more than ${MAX_SUMS} sums are possible: this is no pass`,
      }];
    }
  }
  const reads = finalReads(history);
  if (reads.length === 0) return unread("counter");
  const problems = reads.filter(({ result }) => !sums.has(result as number))
    .map(({ result, node }) =>
      `${node}'s final read is ${result}, which no sum of what was added is: ${
        sums.size > 3
          ? `from ${Math.min(...sums)} to ${Math.max(...sums)}`
          : [...sums].join(" or ")
      }`
    );
  return finding("counter", problems, `${reads.length} final reads`);
}

/**
 * Checks that no two operations were answered with the same id.
 *
 * @param history Operations whose results are ids.
 */
export function checkUniqueIds(history: readonly HistoryEntry[]): Finding[] {
  const owners = new Map<string, number>();
  const problems: string[] = [];
  for (const { status, result, index } of history) {
    if (status !== "ok") continue;
    const id = canonical(result);
    const owner = owners.get(id);
    if (owner === undefined) owners.set(id, index);
    else problems.push(`operations ${owner} and ${index} both got ${id}`);
  }
  return finding("unique-ids", problems, `${owners.size} ids`);
}

/**
 * Checks that each operation of one kind was answered with its own value.
 *
 * @param history Operations of any kinds.
 * @param f The kind whose answers repeat the value.
 */
export function checkEcho(
  history: readonly HistoryEntry[],
  f = "echo",
): Finding[] {
  const echoes = history.filter((entry) =>
    entry.f === f && entry.status === "ok"
  );
  const problems = echoes
    .filter(({ value, result }) => canonical(value) !== canonical(result))
    .map(({ index, value, result }) =>
      `operation ${index}: ${canonical(value)} came back as ${
        canonical(result)
      }`
    );
  return finding("echo", problems, `${echoes.length} echoes`);
}

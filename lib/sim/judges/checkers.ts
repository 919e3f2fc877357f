/** What must hold of the histories of sets, counters, ids and echoes. */
import type { Finding, HistoryEntry } from "./history.ts";
import { plural } from "../../plural.ts";
import { Lives } from "./lives.ts";
import { canonical } from "../world/services.ts";

/** How many different sums of a counter are kept apart. */
const MAX_SUMS = 100_000;
/** How often sums are added up at a time. */
const MAX_STEPS = 10_000_000;
/** How many problems of one kind are told; the others are counted. */
const MAX_TOLD = 5;

/** Options of {@linkcode checkSet} and {@linkcode checkCounter}. */
export interface ReadOptions {
  /**
   * Whether a node that has confirmed an `add` must have it in its own later
   * reads, as long as it is not started anew. Maelstrom does not ask for this.
   *
   * @default {true}
   */
  ownWrites?: boolean;
  /**
   * Whether nodes keep all in memory, so that a crash may lose what it took the
   * only one to know it: what a process had confirmed that crashed, unless one that
   * never did is known to have heard of it. That is lost for all: the final reads
   * are to be the same.
   *
   * @default {false}
   */
  inMemory?: boolean;
}

/**
 * What a check came to.
 *
 * @param check Its name.
 * @param problems What is wrong.
 * @param passed What to say if nothing is.
 */
export function finding(
  check: string,
  problems: readonly string[],
  passed: string,
): Finding[] {
  if (problems.length === 0) return [{ check, outcome: "pass", text: passed }];
  const told = problems.slice(0, MAX_TOLD);
  const others = problems.length - told.length;
  if (others > 0) told.push(`and ${others} more of this kind`);
  return told.map((text) => ({ check, outcome: "fail", text }));
}

function finalReads(history: readonly HistoryEntry[]): HistoryEntry[] {
  return history.filter(({ final, status }) => final && status === "ok");
}

/** The adds that may have happened. */
function addsOf(history: readonly HistoryEntry[]): HistoryEntry[] {
  return history.filter(({ f, status }) => f === "add" && status !== "fail");
}

/** The reads that were answered, each with how it is called; what is wrong at the end is told first. */
function readsOf(
  history: readonly HistoryEntry[],
): { read: HistoryEntry; what: string }[] {
  const others = history.filter(({ final }) => !final);
  return [...finalReads(history), ...others]
    .filter(({ f, status }) => f === "read" && status === "ok")
    .map((read) => ({
      read,
      what: read.final
        ? `${read.node}'s final read`
        : `operation ${read.index}, a read of ${read.node},`,
    }));
}

function unread(check: string): Finding[] {
  return [{ check, outcome: "unknown", text: "no final read was answered" }];
}

/** Adds whose node must have them in its own reads from some time on. */
function ownAdds(adds: readonly HistoryEntry[], options: ReadOptions) {
  const { ownWrites = true } = options;
  const byNode = new Map<string, HistoryEntry[]>();
  for (const add of ownWrites ? adds : []) {
    if (add.status !== "ok" || add.incarnation === undefined) continue;
    const key = `${add.node} ${add.incarnation}`;
    const own = byNode.get(key);
    if (own) own.push(add);
    else byNode.set(key, [add]);
  }
  return (read: HistoryEntry): HistoryEntry[] =>
    (byNode.get(`${read.node} ${read.incarnation}`) ?? [])
      .filter(({ completedAt }) => completedAt < read.invokedAt);
}

/**
 * Checks a grow-only set. Every `read` has what its own node confirmed before,
 * nothing that nobody had tried to add by then, and nothing twice; every final
 * one has all that was added (`add`).
 *
 * @param history Operations `add` and `read`.
 * @param options What a read in the middle must have.
 */
export function checkSet(
  history: readonly HistoryEntry[],
  options: ReadOptions = {},
): Finding[] {
  const adds = addsOf(history);
  const triedAt = new Map<string, number>();
  const added = new Set<string>();
  for (const { value, status, invokedAt } of adds) {
    const element = canonical(value);
    triedAt.set(element, Math.min(invokedAt, triedAt.get(element) ?? Infinity));
    if (status === "ok") added.add(element);
  }
  if (options.inMemory) forgetLost(added, adds, history);
  const ownOf = ownAdds(adds, options);
  const problems: string[] = [];
  for (const { read, what } of readsOf(history)) {
    const { result, final, node, completedAt } = read;
    if (!Array.isArray(result)) {
      problems.push(`${what} says ${canonical(result)}, which is no list`);
      continue;
    }
    const elements = result.map(canonical);
    const set = new Set(elements);
    if (set.size < elements.length) {
      const twice = elements.find((one, i) => elements.indexOf(one) < i);
      problems.push(`${what} has ${twice} more than once`);
    }
    for (const element of set) {
      const at = triedAt.get(element);
      if (at !== undefined && at <= completedAt) continue;
      const when = at === undefined ? "" : " before";
      problems.push(`${what} has ${element}, which nobody added${when}`);
    }
    const lost = final ? [...added].filter((one) => !set.has(one)) : [];
    if (lost.length > 0) {
      problems.push(
        `${what} lacks ${lost.length} of ${added.size} elements, such as ${
          lost[0]
        }`,
      );
      continue;
    }
    const own = ownOf(read).find(({ value }) => !set.has(canonical(value)));
    if (own !== undefined) {
      problems.push(
        `${what} lacks ${
          canonical(own.value)
        }, which ${node} had confirmed in operation ${own.index}`,
      );
    }
  }
  if (problems.length > 0) return finding("set", problems, "");
  const finals = finalReads(history);
  if (finals.length === 0) return unread("set");
  const text = `${added.size} elements in every final read`;
  return finding("set", options.inMemory ? differing(finals) : [], text);
}

/** How final reads of a set differ from the first. */
function differing(finals: readonly HistoryEntry[]): string[] {
  const [{ node: first, result: all }] = finals as [HistoryEntry];
  return finals.flatMap(({ node, result }) =>
    [[node, result, first, all], [first, all, node, result]].map((
      [has, some, lacks, others],
    ) => {
      const element = difference(some, others);
      return element === undefined
        ? ""
        : `${has}'s final read has ${element}, but ${lacks}'s lacks it`;
    })
  ).filter(Boolean);
}

/** An element that one set has and another lacks. */
function difference(a: unknown, b: unknown): string | undefined {
  const others = new Set((b as unknown[]).map(canonical));
  return (a as unknown[]).map(canonical).find((one) => !others.has(one));
}

/** Leaves of what was added what processes that never crashed are known to have had. */
function forgetLost(
  added: Set<string>,
  adds: readonly HistoryEntry[],
  history: readonly HistoryEntry[],
): void {
  const lives = new Lives(history);
  const known = new Set<string>();
  for (const { f, status, value, result, ...entry } of history) {
    if (status !== "ok" || !lives.goesOn(entry as HistoryEntry)) continue;
    if (f === "add") known.add(canonical(value));
    else if (Array.isArray(result)) {
      for (const element of result) known.add(canonical(element));
    }
  }
  for (const { value } of adds) {
    if (!known.has(canonical(value))) added.delete(canonical(value));
  }
}

/**
 * Checks a counter. Every `read` is between the least and the most that what
 * was tried (`add`) by then could have made of it, and has what its own node
 * confirmed before; every final one is the sum of all that was added, with or
 * without what perhaps was.
 *
 * @param history Operations `add`, whose value is the difference, and `read`.
 * @param options What a read in the middle must have.
 */
export function checkCounter(
  history: readonly HistoryEntry[],
  options: ReadOptions = {},
): Finding[] {
  const adds = addsOf(history);
  const ownOf = ownAdds(adds, options);
  const lives = options.inMemory ? new Lives(history) : undefined;
  const sums = possibleSums(adds, lives);
  const before = leastFinally(adds, history, lives);
  const problems: string[] = [];
  for (const { read, what } of readsOf(history)) {
    const { result, final, completedAt } = read;
    if (!Number.isSafeInteger(result)) {
      problems.push(
        `${what} says ${canonical(result)}, which is no whole number`,
      );
      continue;
    }
    if (final && sums !== undefined) {
      if (sums.has(result as number) && result as number >= before) continue;
      if (sums.has(result as number)) {
        problems.push(`${what} says ${result}, but ${before} was read before`);
        continue;
      }
      problems.push(
        `${what} says ${result}, but what was added makes ${
          sums.size > 3
            ? `one of ${sums.size} sums from ${Math.min(...sums)} to ${
              Math.max(...sums)
            }, and this is none of them`
            : [...sums].join(" or ")
        }`,
      );
      continue;
    }
    const own = new Set(ownOf(read));
    let [least, most] = [0, 0];
    for (const add of adds) {
      const delta = add.value as number;
      if (own.has(add) || (add.invokedAt <= completedAt && delta > 0)) {
        most += delta;
      }
      if (own.has(add) || (add.invokedAt <= completedAt && delta < 0)) {
        least += delta;
      }
    }
    if (result as number >= least && result as number <= most) continue;
    problems.push(
      `${what} says ${result}, which was not possible by then: from ${least} to ${most}`,
    );
  }
  if (problems.length > 0) return finding("counter", problems, "");
  if (sums === undefined) {
    const text = `more than ${MAX_SUMS} sums are possible`;
    return [{ check: "counter", outcome: "unknown", text }];
  }
  const [first, ...others] = finalReads(history);
  if (first === undefined) return unread("counter");
  const length = 1 + others.length;
  return finding(
    "counter",
    others.filter(({ result }) => lives && result !== first.result).map((
      { node, result },
    ) =>
      `${node}'s final read says ${result}, but ${first.node}'s ${first.result}`
    ),
    plural(length, "final read"),
  );
}

/**
 * All that adds may have made, `undefined` where that is too much. Where nodes
 * keep all in memory, what is left of a process that crashed is what it had
 * counted until some time.
 */
function possibleSums(
  adds: readonly HistoryEntry[],
  lives: Lives | undefined,
): Set<number> | undefined {
  const isCrashed = (add: HistoryEntry) => lives && !lives.goesOn(add);
  const crashed = adds.filter((add) => isCrashed(add) && add.incarnation);
  const sure = (add: HistoryEntry) => add.status === "ok" && !isCrashed(add);
  const others = adds.filter((add) => !crashed.includes(add));
  const parts = [
    subsetSums(others.filter(sure), others.filter((add) => !sure(add))),
    ...(lives?.group(crashed) ?? []).map(sumsUntilCrash),
  ];
  let sums = new Set([0]);
  for (const part of parts) {
    if (part === undefined || sums.size * part.size > MAX_STEPS) {
      return undefined;
    }
    const all = new Set<number>();
    for (const a of sums) for (const b of part) all.add(a + b);
    if (all.size > MAX_SUMS) return undefined;
    sums = all;
  }
  return sums;
}

/** The sums of some adds, with and without others. */
function subsetSums(
  sure: readonly HistoryEntry[],
  perhaps: readonly HistoryEntry[],
): Set<number> | undefined {
  const sum = sure.reduce((sum, { value }) => sum + (value as number), 0);
  let sums = new Set([sum]);
  for (const { value } of perhaps) {
    sums = new Set([...sums].flatMap((sum) => [sum, sum + (value as number)]));
    if (sums.size > MAX_SUMS) return undefined;
  }
  return sums;
}

/** What a process may have counted, at any time until it crashed. */
function sumsUntilCrash(
  adds: readonly HistoryEntry[],
): Set<number> | undefined {
  const sums = new Set([0]);
  for (
    const at of adds.flatMap((add) => [add.invokedAt, add.completedAt])
  ) {
    const some = subsetSums(
      adds.filter(({ completedAt }) => completedAt <= at),
      adds.filter((add) => add.invokedAt <= at && add.completedAt > at),
    );
    if (some === undefined) return undefined;
    for (const sum of some) sums.add(sum);
  }
  return sums;
}

/** What a counter that never goes down is at least: what a process that never crashed has had. */
function leastFinally(
  adds: readonly HistoryEntry[],
  history: readonly HistoryEntry[],
  lives: Lives | undefined,
): number {
  if (adds.some(({ value }) => value as number < 0)) return -Infinity;
  const reads = history.filter((entry) =>
    entry.f === "read" && entry.status === "ok" && !entry.final &&
    lives?.goesOn(entry)
  );
  return Math.max(-Infinity, ...reads.map(({ result }) => result as number));
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
    if (result === undefined || result === null) {
      problems.push(`operation ${index} got no id`);
      continue;
    }
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

/**
 * Checks that of each kind of operation at least one succeeded: else whatever
 * holds of the history holds of nothing. As in Jepsen's statistics.
 *
 * @param history Operations of any kinds.
 */
export function checkSucceeded(history: readonly HistoryEntry[]): Finding[] {
  const check = "succeeded";
  const kinds = new Map<string, HistoryEntry[]>();
  for (const entry of history) {
    const entries = kinds.get(entry.f);
    if (entries) entries.push(entry);
    else kinds.set(entry.f, [entry]);
  }
  const none = [...kinds].filter(([, entries]) =>
    entries.every(({ status }) => status !== "ok")
  );
  if (kinds.size === 0) {
    return [{ check, outcome: "unknown", text: "nothing was asked" }];
  }
  if (none.length === 0) {
    const text = [...kinds].map(([f, entries]) => {
      const ok = entries.filter(({ status }) => status === "ok").length;
      return `${ok} of ${entries.length} ${f}`;
    }).join(", ");
    return [{ check, outcome: "pass", text }];
  }
  return none.map(([f, entries]) => ({
    check,
    outcome: "unknown",
    text: `none of ${entries.length} "${f}" succeeded: ${
      entries.findLast(({ error }) => error !== undefined)?.error ?? "no answer"
    }`,
  }));
}

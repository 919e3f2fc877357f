/** What must hold of logs by key, in which each offset has a message. */
import { canonical } from "../world/services.ts";
import { finding } from "./checkers.ts";
import type { Finding, HistoryEntry } from "./history.ts";

/** What a log has at an offset, and the operation that said so. */
interface Seen {
  value: string;
  entry: HistoryEntry;
}
type Offsets = Record<string, number>;
type Messages = Record<string, [offset: number, msg: unknown][]>;

/**
 * Checks logs. No message is sent twice to one key.
 *
 * - `shape`: replies are what Maelstrom's are.
 * - `offsets`: an offset of a key has one message, whoever says so.
 * - `duplicates`: a message has one offset.
 * - `unsent`: what is polled was sent to that key by then, and that did not fail.
 * - `order`: what a poll returns begins where it was asked to, or later, and its
 *   offsets grow; and so do those of what one node was sent one after the other.
 * - `skipped`: from where a poll begins to where it ends it has all messages
 *   that are known, of whatever operation: so whoever polls on from there
 *   misses none.
 * - `lost`: all that was confirmed is in every final poll, which are to return
 *   everything.
 * - `committed`: committed offsets are such as somebody has tried to commit, at
 *   least what the node has confirmed or said before, as long as it is not
 *   started anew.
 *
 * @param history Operations `send` (to `key`, of `value`, with an offset as result), `poll` (from the offsets `value`), `commit` (of the offsets `value`) and `committed` (of the keys `value`).
 */
export function checkLogs(history: readonly HistoryEntry[]): Finding[] {
  const problems: Record<string, string[]> = {
    "shape": [],
    "offsets": [],
    "duplicates": [],
    "unsent": [],
    "order": [],
    "skipped": [],
    "lost": [],
    "committed": [],
  };
  const ok = history.filter((entry) => {
    if (entry.status !== "ok") return false;
    const isAnswer = hasShape(entry);
    if (!isAnswer) {
      problems["shape"]!.push(
        `${operation(entry)} was answered by ${canonical(entry.result)}`,
      );
    }
    return isAnswer;
  });
  const polls = ok.filter(({ f }) => f === "poll");
  const logs = logsOf(ok, problems);
  checkSent(polls, history, problems["unsent"]!);
  checkOrder(ok, problems["order"]!);
  checkSkipped(polls, logs, problems["skipped"]!);
  const finals = polls.filter(({ final }) => final);
  checkLost(finals, ok, problems["lost"]!);
  checkCommitted(ok, history, problems["committed"]!);
  return Object.entries(problems).flatMap(([check, texts]) =>
    check === "lost" && finals.length === 0
      ? [{
        check,
        outcome: "unknown" as const,
        text: "no final poll was answered",
      }]
      : finding(check, texts, `${ok.length} operations`)
  );
}

/**
 * How far behind polls were, in ms: how long ago the oldest message was
 * confirmed that a poll lacks, of those that come after all that it returns; 0
 * where it lacks none.
 *
 * @param history As that of {@linkcode checkLogs}.
 */
export function pollsBehind(history: readonly HistoryEntry[]): number[] {
  const ok = history.filter((entry) =>
    entry.status === "ok" && hasShape(entry)
  );
  const sends = ok.filter(({ f }) => f === "send");
  return ok.filter(({ f, final, probe }) => f === "poll" && !final && !probe)
    .map(({ value, result, invokedAt }) => {
      let oldest = invokedAt;
      for (const { key, result: offset, completedAt } of sends) {
        const from = (value as Offsets)[key as string];
        if (from === undefined || (offset as number) < from) continue;
        const last = (result as Messages)[key as string]?.at(-1)?.[0] ?? -1;
        if ((offset as number) > last) oldest = Math.min(oldest, completedAt);
      }
      return invokedAt - oldest;
    });
}

function operation({ index, f, node }: HistoryEntry): string {
  return `operation ${index}, a ${f} at ${node},`;
}

function hasShape({ f, value, result }: HistoryEntry): boolean {
  const isOffset = (offset: unknown) =>
    Number.isSafeInteger(offset) && (offset as number) >= 0;
  if (f === "send") return isOffset(result);
  if (f === "commit") return true;
  if (typeof result !== "object" || result === null || Array.isArray(result)) {
    return false;
  }
  const asked = new Set(
    f === "poll" ? Object.keys(value as Offsets) : value as string[],
  );
  return Object.entries(result).every(([key, told]) =>
    asked.has(key) &&
    (f === "poll"
      ? Array.isArray(told) && told.every((pair) =>
        Array.isArray(pair) && pair.length === 2 && isOffset(pair[0])
      )
      : isOffset(told))
  );
}

function messagesOf({ result }: HistoryEntry): Messages {
  return result as Messages;
}

/** What is known of each log, whoever said so. */
function logsOf(
  ok: readonly HistoryEntry[],
  problems: Record<string, string[]>,
): Map<string, Map<number, Seen>> {
  const logs = new Map<string, Map<number, Seen>>();
  const places = new Map<string, { offset: number; entry: HistoryEntry }>();
  const see = (
    key: string,
    offset: number,
    msg: unknown,
    entry: HistoryEntry,
  ) => {
    let log = logs.get(key);
    if (log === undefined) logs.set(key, log = new Map());
    const value = canonical(msg);
    const seen = log.get(offset);
    if (seen === undefined) log.set(offset, { value, entry });
    else if (seen.value !== value) {
      problems["offsets"]!.push(
        `offset ${offset} of key "${key}" has ${seen.value} in operation ${seen.entry.index}, but ${value} in operation ${entry.index}`,
      );
    }
    const message = canonical([key, msg]);
    const place = places.get(message);
    if (place === undefined) places.set(message, { offset, entry });
    else if (place.offset !== offset) {
      problems["duplicates"]!.push(
        `${value} of key "${key}" has offset ${place.offset} in operation ${place.entry.index}, but ${offset} in operation ${entry.index}`,
      );
    }
  };
  for (const entry of ok) {
    if (entry.f === "send") {
      see(entry.key as string, entry.result as number, entry.value, entry);
    }
    if (entry.f !== "poll") continue;
    for (const [key, pairs] of Object.entries(messagesOf(entry))) {
      for (const [offset, msg] of pairs) see(key, offset, msg, entry);
    }
  }
  return logs;
}

function checkSent(
  polls: readonly HistoryEntry[],
  history: readonly HistoryEntry[],
  problems: string[],
): void {
  const sends = new Map<string, HistoryEntry>();
  for (const entry of history) {
    if (entry.f === "send") {
      sends.set(canonical([entry.key, entry.value]), entry);
    }
  }
  for (const poll of polls) {
    for (const [key, pairs] of Object.entries(messagesOf(poll))) {
      for (const [, msg] of pairs) {
        const send = sends.get(canonical([key, msg]));
        const what = `${operation(poll)} has ${canonical(msg)} of key "${key}"`;
        if (send === undefined || send.invokedAt > poll.completedAt) {
          const when = send === undefined ? "" : " before";
          problems.push(`${what}, which nobody sent${when}`);
        } else if (send.status === "fail") {
          problems.push(
            `${what}, which operation ${send.index} failed to send`,
          );
        }
      }
    }
  }
}

function checkOrder(ok: readonly HistoryEntry[], problems: string[]): void {
  for (const entry of ok) {
    if (entry.f !== "poll") continue;
    for (const [key, pairs] of Object.entries(messagesOf(entry))) {
      let least = (entry.value as Offsets)[key]!;
      for (const [offset] of pairs) {
        if (offset < least) {
          problems.push(
            `${
              operation(entry)
            } has offset ${offset} of key "${key}" where it is to be ${least} or more`,
          );
        }
        least = offset + 1;
      }
    }
  }
  const sends = ok.filter(({ f }) => f === "send");
  eachWithEarlier(sends, ({ key }) => canonical(key), (send, before) => {
    if ((send.result as number) > (before.result as number)) return false;
    problems.push(
      `${
        operation(send)
      } got offset ${send.result} of key "${send.key}", after operation ${before.index} had got ${before.result} there`,
    );
    return true;
  });
}

/**
 * Calls a function with each operation and those that the same life of its node
 * had answered before, until it returns true.
 */
function eachWithEarlier(
  entries: readonly HistoryEntry[],
  keyOf: (entry: HistoryEntry) => string,
  found: (entry: HistoryEntry, before: HistoryEntry) => boolean,
): void {
  const earlier = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    if (entry.incarnation === undefined) continue;
    const place = `${entry.node} ${entry.incarnation} ${keyOf(entry)}`;
    const list = earlier.get(place) ?? [];
    earlier.set(place, list);
    list.find((before) =>
      before.completedAt < entry.invokedAt && found(entry, before)
    );
    list.push(entry);
  }
}

function checkSkipped(
  polls: readonly HistoryEntry[],
  logs: ReadonlyMap<string, ReadonlyMap<number, Seen>>,
  problems: string[],
): void {
  for (const poll of polls) {
    for (const [key, pairs] of Object.entries(messagesOf(poll))) {
      const from = (poll.value as Offsets)[key]!;
      const to = pairs.at(-1)?.[0] ?? -1;
      const has = new Set(pairs.map(([offset]) => offset));
      for (const [offset, { value, entry }] of logs.get(key) ?? []) {
        if (offset < from || offset > to || has.has(offset)) continue;
        problems.push(
          `${
            operation(poll)
          } skips offset ${offset} of key "${key}", which has ${value} in operation ${entry.index}`,
        );
        break;
      }
    }
  }
}

function checkLost(
  finals: readonly HistoryEntry[],
  ok: readonly HistoryEntry[],
  problems: string[],
): void {
  for (const poll of finals) {
    const polled = new Set(
      Object.entries(messagesOf(poll)).flatMap(([key, pairs]) =>
        pairs.map(([offset]) => canonical([key, offset]))
      ),
    );
    for (const { f, key, value, result, index } of ok) {
      const from = (poll.value as Offsets)[key as string];
      if (f !== "send" || from === undefined || (result as number) < from) {
        continue;
      }
      if (polled.has(canonical([key, result]))) continue;
      problems.push(
        `${poll.node}'s final poll lacks ${
          canonical(value)
        }, which operation ${index} sent to offset ${result} of key "${key}"`,
      );
    }
  }
}

function checkCommitted(
  ok: readonly HistoryEntry[],
  history: readonly HistoryEntry[],
  problems: string[],
): void {
  const commits = history.filter(({ f }) => f === "commit");
  for (const entry of ok.filter(({ f }) => f === "committed")) {
    for (const [key, offset] of Object.entries(entry.result as Offsets)) {
      const tried = commits.some(({ value, status, invokedAt }) =>
        status !== "fail" && invokedAt <= entry.completedAt &&
        (value as Offsets)[key] === offset
      );
      if (tried) continue;
      problems.push(
        `${
          operation(entry)
        } says ${offset} of key "${key}", which nobody committed`,
      );
    }
  }
  const known = ok.filter(({ f }) => f === "commit" || f === "committed");
  eachWithEarlier(known, () => "", (entry, before) => {
    if (entry.f !== "committed") return false;
    const asked = new Set(entry.value as string[]);
    const said =
      (before.f === "commit" ? before.value : before.result) as Offsets;
    for (const [key, least] of Object.entries(said)) {
      const offset = (entry.result as Offsets)[key];
      if (!asked.has(key) || (offset ?? -1) >= least) continue;
      problems.push(
        `${operation(entry)} says ${
          offset ?? "nothing"
        } of key "${key}", after operation ${before.index} had it at ${least}`,
      );
      return true;
    }
    return false;
  });
}

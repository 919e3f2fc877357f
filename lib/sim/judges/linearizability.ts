/** Whether a history can be explained by operations that each happened at one moment. */
import { ErrorCode } from "../../errors.ts";
import type { Finding, HistoryEntry } from "./history.ts";
import { canonical } from "../world/services.ts";

/** What an object does when operations happen one after the other. */
export interface SequentialModel<State> {
  /** The object's state at the beginning. */
  initial: State;
  /**
   * Does one operation.
   *
   * @param state The state before it.
   * @param entry The operation; what it resulted in counts only if its status is "ok".
   * @returns The state after it; `undefined` when it can't have had its result in that state.
   */
  step(state: State, entry: HistoryEntry): State | undefined;
  /**
   * Whether an operation's refusal says something of the state, such as that a
   * key does not exist: then {@linkcode SequentialModel.step} is asked about
   * it, too. By default no refusal does.
   *
   * @param entry An operation whose status is "fail".
   */
  tells?(entry: HistoryEntry): boolean;
}

/** What a search came to. */
export interface LinearizabilityResult {
  /** "unknown" when the limit was reached first: that is no pass. */
  outcome: Finding["outcome"];
  /** How many steps the search took. */
  steps: number;
  /** The operation that no order got past, of the order that got furthest. */
  stuckAt: HistoryEntry | undefined;
}

/** An operation's beginning or end, in a doubly linked list in the order of time. */
interface Moment {
  entry: HistoryEntry;
  /** Of a beginning: the end. */
  end: Moment | undefined;
  /** The operation's number among those that are searched. */
  number: number;
  time: number;
  previous: Moment | undefined;
  next: Moment | undefined;
}

/**
 * Looks for an order of the operations in which each happened between its
 * invocation and its answer, and all have the results that they had: the
 * search of Wing and Gong ("Testing and verifying concurrent objects", 1993)
 * with Lowe's just-in-time linearization and memory of configurations that
 * were seen ("Testing for linearizability", 2017), laid out as in Porcupine.
 *
 * Operations that failed are left out, unless the model says that the refusal
 * tells something; those of which nobody knows may have happened at any time
 * since, or never. What happened at the same instant
 * counts as concurrent.
 *
 * @example
 * ```ts
 * import { isLinearizable, registerModel } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const entry = (f: string, invokedAt: number, completedAt: number, value: unknown) => ({
 *   index: 0, process: "c1", node: "n1", status: "ok" as const, final: false,
 *   f, invokedAt, completedAt, value, result: value,
 * });
 * const write = entry("write", 0, 10, 1);
 * const { outcome } = isLinearizable([write, entry("read", 5, 7, 1)], registerModel);
 * assertEquals(outcome, "pass");
 * const stale = isLinearizable([write, entry("read", 11, 12, 2)], registerModel);
 * assertEquals(stale.outcome, "fail");
 * ```
 *
 * @param history The operations on one object.
 * @param model What the object does.
 * @param maxSteps After how many steps to give up.
 */
export function isLinearizable<State>(
  history: readonly HistoryEntry[],
  model: SequentialModel<State>,
  maxSteps = 1_000_000,
): LinearizabilityResult {
  const judged = history.filter((entry) =>
    entry.status !== "fail" || model.tells?.(entry) === true
  );
  let steps = 0;
  for (let attempt = 0;; attempt++) {
    const order = ORDERS[attempt % ORDERS.length]!;
    const limit = FIRST_LIMIT * 10 ** Math.floor(attempt / ORDERS.length);
    const most = Math.min(limit, maxSteps - steps);
    const result = search(judged, model, order, most);
    steps += result.steps;
    if (result.outcome !== "unknown" || steps >= maxSteps) {
      return { ...result, steps };
    }
  }
}

/** In which order what may have happened next is tried. */
type Order = (a: Moment, b: Moment) => number;

/**
 * Where one order needs millions of steps another one often needs hundreds: as
 * operations were invoked; or what ended first at first, and last what nobody
 * knows of, which so happens only where something else needs it. They are
 * tried in turn, with ever higher limits.
 */
const ORDERS: readonly Order[] = [
  () => 0,
  (a, b) => {
    const [endOfA, endOfB] = [a.end!.time, b.end!.time];
    return endOfA === endOfB ? 0 : endOfA < endOfB ? -1 : 1;
  },
];
const FIRST_LIMIT = 1000;

function search<State>(
  history: readonly HistoryEntry[],
  model: SequentialModel<State>,
  order: Order,
  maxSteps: number,
): LinearizabilityResult {
  const first = momentsOf(history);
  const head: Moment = { ...first.sentinel };
  if (head.next) head.next.previous = head;
  const linearized = new Uint32Array(Math.ceil(first.count / 32));
  const seen = new Set<string>();
  const path: Choice<State>[] = [];
  let choice = choiceAt(head, model.initial, order);
  let furthest = -1;
  let stuckAt: HistoryEntry | undefined;
  for (let steps = 0;; steps++) {
    // Only operations of which nobody knows are left: they need not have happened.
    if (choice.first === undefined) {
      return { outcome: "pass", steps, stuckAt: undefined };
    }
    if (steps >= maxSteps) return { outcome: "unknown", steps, stuckAt };
    const moment = choice.candidates[choice.tried++];
    if (moment !== undefined) {
      const after = model.step(choice.state, moment.entry);
      if (after === undefined) continue;
      flip(linearized, moment.number);
      const configuration = `${linearized.join()} ${canonical(after)}`;
      if (seen.has(configuration)) {
        flip(linearized, moment.number);
        continue;
      }
      seen.add(configuration);
      path.push(choice);
      lift(moment);
      choice = choiceAt(head, after, order);
      continue;
    }
    if (path.length > furthest) {
      furthest = path.length;
      stuckAt = choice.first;
    }
    const last = path.pop();
    if (last === undefined) return { outcome: "fail", steps, stuckAt };
    const taken = last.candidates[last.tried - 1]!;
    flip(linearized, taken.number);
    unlift(taken);
    choice = last;
  }
}

/** What may have happened next, at some point of the search. */
interface Choice<State> {
  state: State;
  /** The operation that ended first of those that are left; `undefined` when none has to have happened. */
  first: HistoryEntry | undefined;
  /** Those that had begun before that, in the order in which they are tried. */
  candidates: Moment[];
  /** How many were tried. */
  tried: number;
}

function choiceAt<State>(
  head: Moment,
  state: State,
  order: Order,
): Choice<State> {
  const candidates: Moment[] = [];
  let moment = head.next;
  for (; moment?.end !== undefined; moment = moment.next) {
    candidates.push(moment);
  }
  candidates.sort(order);
  const first = moment && moment.time < Infinity ? moment.entry : undefined;
  return { state, first, candidates, tried: 0 };
}

/** The operations' beginnings and ends in the order of time; at the same time beginnings first. */
function momentsOf(
  history: readonly HistoryEntry[],
): { sentinel: Moment; count: number } {
  const moments: Moment[] = [];
  history.forEach((entry, number) => {
    const common = { entry, number, previous: undefined, next: undefined };
    const time = entry.status === "info" ? Infinity : entry.completedAt;
    const end: Moment = { ...common, end: undefined, time };
    moments.push({ ...common, end, time: entry.invokedAt }, end);
  });
  moments.sort((a, b) =>
    a.time === b.time
      ? Number(a.end === undefined) - Number(b.end === undefined)
      : a.time - b.time
  );
  moments.forEach((moment, i) => {
    moment.previous = moments[i - 1];
    moment.next = moments[i + 1];
  });
  const sentinel = { time: -1, next: moments[0] } as Moment;
  return { sentinel, count: history.length };
}

function flip(bits: Uint32Array, number: number): void {
  bits[number >>> 5]! ^= 1 << (number & 31);
}

/** Takes an operation out of the list. */
function lift(moment: Moment): void {
  for (const one of [moment, moment.end!]) {
    if (one.previous) one.previous.next = one.next;
    if (one.next) one.next.previous = one.previous;
  }
}

/** Puts an operation back where it was. */
function unlift(moment: Moment): void {
  for (const one of [moment.end!, moment]) {
    if (one.previous) one.previous.next = one;
    if (one.next) one.next.previous = one;
  }
}

/**
 * A register with `read`, `write` and `cas`, whose value is `[from, to]`; it
 * holds `null` at the beginning, which is as good as not being there. Only a
 * register that is not there may be refused with error 20, and only a `cas`
 * that does not match with 22.
 */
export const registerModel: SequentialModel<unknown> = {
  initial: null,
  tells: ({ code }) =>
    code === ErrorCode.keyDoesNotExist || code === ErrorCode.preconditionFailed,
  step(state, { f, value, result, status, code }) {
    if (status === "fail") {
      const refusable = code === ErrorCode.keyDoesNotExist
        ? f !== "write" && state === null
        : f === "cas" &&
          canonical((value as [unknown, unknown])[0]) !== canonical(state);
      return refusable ? state : undefined;
    }
    switch (f) {
      case "read":
        return status !== "ok" || canonical(result) === canonical(state)
          ? state
          : undefined;
      case "write":
        return value;
      case "cas": {
        const [from, to] = value as [unknown, unknown];
        return canonical(from) === canonical(state) ? to : undefined;
      }
      default:
        throw new Error(`Cannot do '${f}' to a register: read, write or cas`);
    }
  },
};

/**
 * Checks that a history of registers, one for each key, is linearizable.
 *
 * @param history Operations `read`, `write` and `cas`.
 * @param maxSteps After how many steps for a key to give up.
 */
export function checkRegisters(
  history: readonly HistoryEntry[],
  maxSteps = 1_000_000,
): Finding[] {
  if (history.length === 0) {
    return [{
      check: "linearizable",
      outcome: "unknown",
      text: "no operations",
    }];
  }
  const keys = new Map<string, HistoryEntry[]>();
  for (const entry of history) {
    // A read that nobody knows of explains nothing, and would only widen the search.
    if (entry.f === "read" && entry.status === "info") continue;
    const key = canonical(entry.key);
    const entries = keys.get(key);
    if (entries) entries.push(entry);
    else keys.set(key, [entry]);
  }
  return [...keys].map(([key, entries]) => {
    const { outcome, steps, stuckAt } = isLinearizable(
      entries,
      registerModel,
      maxSteps,
    );
    return {
      check: "linearizable",
      outcome,
      text: describe(outcome, key, entries.length, steps, stuckAt),
    };
  });
}

function describe(
  outcome: Finding["outcome"],
  key: string,
  count: number,
  steps: number,
  stuckAt: HistoryEntry | undefined,
): string {
  switch (outcome) {
    case "pass":
      return `key ${key}: ${count} operations in ${steps} steps`;
    case "unknown":
      return `key ${key}: nothing found in ${steps} steps, the limit 'maxSteps'`;
    case "fail": {
      const { index, f, value, result, status, error } = stuckAt!;
      const what = f === "read" && status === "ok" ? result : value;
      return `key ${key}: no order explains its ${count} operations; none got past operation ${index}, ${f}${
        what === undefined ? "" : ` ${canonical(what)}`
      }${status === "fail" ? `, refused with ${error}` : ""}`;
    }
  }
}

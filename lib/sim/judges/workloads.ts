/** Workloads for simulated clients: Maelstrom's, and the exercise's. */
import {
  checkCounter,
  checkEcho,
  checkSet,
  checkUniqueIds,
} from "./checkers.ts";
import { checkLogs, pollsBehind } from "./logs.ts";
import { checkRegisters } from "./linearizability.ts";
import { untilAllKnow } from "./metrics.ts";
import { checkTransactions } from "./transactions.ts";
import type { Workload } from "./workload.ts";

/** How many keys `lin-kv` uses at the same time, and for how many operations. */
const KEYS = 3;
const OPERATIONS_PER_KEY = 60;
/** The values that are written: few, so that a compare-and-set has a chance. */
const VALUES = 5;
/** How many registers there are in all, and how many of them are used at the same time, for how many transactions. */
const REGISTERS = 40;
const REGISTERS_AT_ONCE = 4;
const TRANSACTIONS_PER_REGISTER = 30;
/** How many operations a transaction has at the most. */
const MAX_TXN_LENGTH = 4;
/**
 * The logs; how many of them are used at the same time, and for how many
 * operations. So in 48,000 operations none gets longer than what one poll may
 * be expected to return.
 */
const LOGS = Array.from({ length: 400 }, (_, log) => `k${log}`);
const LOGS_AT_ONCE = 4;
const OPERATIONS_PER_LOG = 30;
/** Polls and commits are of offsets below this. */
const MAX_OFFSET = 40;
/** Keys and elements from here on are asked for after the faults only. */
const PROBED = 1_000_000;

/** `echo`: what is sent comes back. */
export const echoWorkload: Workload = {
  generate: (_, index) => ({ f: "echo", value: `please echo ${index}` }),
  request: ({ value }) => ({ type: "echo", echo: value }),
  result: (_, reply) => reply["echo"],
  probe: (node) => [{ f: "echo", value: `still there, ${node}?` }],
  check: (history) => checkEcho(history),
};

/**
 * The exercise's messages: RPCs that nobody waits for to nodes that answer, to
 * one that refuses and to one that does not exist, echoes, and the count of
 * pending callbacks, which is 0 at the end.
 */
export const callbacksWorkload: Workload = {
  generate(random, index, nodes) {
    if (random.chance(0.6)) {
      const target = random.pick([...nodes, "nobody"]);
      const type = random.chance(0.8) ? "echo" : "unheard-of";
      return { f: "fire", value: { target, payload: { type, echo: index } } };
    }
    return random.chance(0.5)
      ? { f: "echo", value: index }
      : { f: "pending", key: "pending" };
  },
  request({ f, value }) {
    if (f === "echo") return { type: "echo", echo: value };
    if (f === "pending") return { type: "pending_count" };
    return { type: "send_fire_forget", ...(value as Record<string, unknown>) };
  },
  result: ({ f }, { echo, count, pending }) =>
    f === "echo" ? echo : f === "pending" ? count : pending,
  probe: (node) => [
    { f: "fire", value: { target: node, payload: { type: "echo" } } },
    { f: "echo", value: node },
    { f: "pending", key: "pending" },
  ],
  final: () => ({ f: "pending", key: "pending" }),
  check(history) {
    const wrong = history.filter(({ f, status, final, result }) =>
      f === "pending" && status === "ok" &&
      (!Number.isSafeInteger(result) || (result as number) < 0 ||
        (final && result !== 0))
    );
    return [
      ...checkEcho(history),
      ...wrong.map(({ index, node, result, final }) => ({
        check: "drained",
        outcome: "fail" as const,
        text:
          `operation ${index}: ${node} said that ${result} callbacks are pending${
            final ? " when all is quiet" : ""
          }`,
      })),
    ];
  },
};

/** `unique-ids`: no id is handed out twice. */
export const uniqueIdsWorkload: Workload = {
  generate: () => ({ f: "generate" }),
  request: () => ({ type: "generate" }),
  result: (_, reply) => reply["id"],
  probe: () => [{ f: "generate" }],
  check: (history) => checkUniqueIds(history),
};

/** `lin-kv`: linearizable registers with `read`, `write` and `cas`. */
export const linKvWorkload: Workload = {
  generate(random, index) {
    // New keys now and then: the search's time grows with the operations on a key.
    const key = Math.floor(index / (KEYS * OPERATIONS_PER_KEY)) * KEYS +
      random.int(KEYS);
    const f = random.pick(["read", "write", "cas"]);
    if (f === "read") return { f, key };
    const value = random.int(VALUES);
    return f === "write"
      ? { f, key, value }
      : { f, key, value: [value, random.int(VALUES)] };
  },
  request({ f, key, value }) {
    if (f === "read") return { type: f, key };
    if (f === "write") return { type: f, key, value };
    const [from, to] = value as [number, number];
    return { type: f, key, from, to };
  },
  probe(_, number) {
    const key = PROBED + number;
    return [
      { f: "write", key, value: 1 },
      { f: "read", key },
      { f: "cas", key, value: [1, 2] },
    ];
  },
  check: (history) => checkRegisters(history),
};

/** `g-set`: a set that grows, complete on every node at the end. */
export const gSetWorkload: Workload = {
  generate: (random, index) =>
    random.chance(0.8) ? { f: "add", value: index } : { f: "read" },
  request: ({ f, value }) =>
    f === "add" ? { type: "add", element: value } : { type: "read" },
  probe: (_, number) => [{ f: "add", value: PROBED + number }, { f: "read" }],
  final: () => ({ f: "read" }),
  latencies: (history) => ({ "until all know": untilAllKnow(history) }),
  check: (history) => checkSet(history),
};

/** `broadcast`: what one node is told all know at the end. */
export const broadcastWorkload: Workload = {
  ...gSetWorkload,
  request: ({ f, value }) =>
    f === "add" ? { type: "broadcast", message: value } : { type: "read" },
  result: (_, reply) => reply["messages"],
  prepare: (topology) => ({ type: "topology", topology }),
};

/** `pn-counter`: a counter that goes up and down, right on every node at the end. */
export const pnCounterWorkload: Workload = {
  generate: (random) =>
    random.chance(0.8)
      ? { f: "add", value: random.int(11) - 5 }
      : { f: "read" },
  request: ({ f, value }) =>
    f === "add" ? { type: "add", delta: value } : { type: "read" },
  probe: () => [{ f: "add", value: 1 }, { f: "read" }],
  final: () => ({ f: "read" }),
  check: (history) => checkCounter(history),
};

/** `txn-rw-register`: transactions over registers, read committed. */
export const txnRwRegisterWorkload: Workload = {
  generate(random, index) {
    const step = Math.floor(
      index / (REGISTERS_AT_ONCE * TRANSACTIONS_PER_REGISTER),
    );
    const length = 1 + random.int(MAX_TXN_LENGTH);
    const txn = Array.from({ length }, (_, i) => {
      const key = (step * REGISTERS_AT_ONCE + random.int(REGISTERS_AT_ONCE)) %
        REGISTERS;
      return random.chance(0.5)
        ? ["r", key, null]
        : ["w", key, index * MAX_TXN_LENGTH + i];
    });
    return { f: "txn", value: txn };
  },
  request: ({ value }) => ({ type: "txn", txn: value }),
  result: (_, reply) => reply["txn"],
  probe: (_, number) => {
    const key = PROBED + number;
    return [{ f: "txn", value: [["r", key, null], ["r", key, null]] }];
  },
  final: () => ({
    f: "txn",
    value: Array.from({ length: REGISTERS }, (_, key) => ["r", key, null]),
  }),
  check: (history) => checkTransactions(history),
};

/** `kafka`: logs, in which no message is lost, doubled or skipped. */
export const kafkaWorkload: Workload = {
  generate(random, index) {
    const step = Math.floor(index / (LOGS_AT_ONCE * OPERATIONS_PER_LOG));
    const log = () =>
      LOGS[(step * LOGS_AT_ONCE + random.int(LOGS_AT_ONCE)) % LOGS.length]!;
    if (random.chance(0.5)) return { f: "send", key: log(), value: index };
    if (random.chance(0.6)) {
      const from = () => random.chance(0.5) ? 0 : random.int(MAX_OFFSET);
      return { f: "poll", value: { [log()]: from(), [log()]: from() } };
    }
    return random.chance(0.5)
      ? { f: "commit", value: { [log()]: random.int(MAX_OFFSET) } }
      : { f: "committed", value: [...new Set([log(), log()])] };
  },
  request({ f, key, value }) {
    if (f === "send") return { type: f, key, msg: value };
    if (f === "poll") return { type: f, offsets: value };
    return f === "commit"
      ? { type: "commit_offsets", offsets: value }
      : { type: "list_committed_offsets", keys: value };
  },
  result: ({ f }, { offset, msgs, offsets }) =>
    f === "send" ? offset : f === "poll" ? msgs : offsets,
  probe(_, number) {
    const key = `probed ${number}`;
    return [
      { f: "send", key, value: PROBED + number },
      { f: "poll", value: { [key]: 0 } },
      { f: "commit", value: { [key]: 0 } },
      { f: "committed", value: [key] },
    ];
  },
  final: () => ({
    f: "poll",
    value: Object.fromEntries(LOGS.map((key) => [key, 0])),
  }),
  latencies: (history) => ({ "polls behind": pollsBehind(history) }),
  check: (history) => checkLogs(history),
};

/** `g-counter`: a counter that only grows, right on every node at the end. */
export const gCounterWorkload: Workload = {
  ...pnCounterWorkload,
  generate: (random) =>
    random.chance(0.5) ? { f: "add", value: random.int(5) } : { f: "read" },
};

/**
 * The nodes that `deno task sim` puts under fault: the library's workloads, and
 * one that leaves Maelstrom's `lin-kv` to its service.
 */
import {
  type AnyNode,
  broadcast,
  callbacks,
  echo,
  gCounter,
  gSet,
  kafka,
  pnCounter,
  type SendBody,
  txnRwRegister,
  uniqueIds,
} from "../../lib/mod.ts";
import {
  broadcastWorkload,
  callbacksWorkload,
  checkCounter,
  checkSet,
  echoWorkload,
  FAULT_KINDS,
  type FaultKind,
  gCounterWorkload,
  gSetWorkload,
  kafkaWorkload,
  linKvWorkload,
  pnCounterWorkload,
  type SimulatedProcess,
  txnRwRegisterWorkload,
  uniqueIdsWorkload,
  type Workload,
} from "../../lib/sim/mod.ts";

/** A workload, the nodes that do it, and the faults that they must withstand. */
export interface Scenario {
  setUp: (node: AnyNode, process: SimulatedProcess) => void;
  workload: Workload;
  faults: readonly FaultKind[];
}

/** By workload: how long a message is in bytes, at the most, where that is more than 1,024. */
export const LONG_MESSAGES: Readonly<Record<string, number>> = {
  "g-set": 16_384,
  broadcast: 16_384,
  "txn-rw-register": 16_384,
  kafka: 32_768,
};

/**
 * A workload of nodes that keep all in memory, and tell each other: a crash may
 * lose what it took the only one to know it.
 */
function inMemory(workload: Workload, check: typeof checkSet): Workload {
  return {
    ...workload,
    check: (history) => check(history, { inMemory: true }),
  };
}

/** Of nodes that do again what they are asked again. */
const ONCE = FAULT_KINDS.filter((kind) => kind !== "duplication");
/** Of nodes that do so, and forget in a crash what others count on. */
const ONCE_IN_MEMORY = ONCE.filter((kind) => kind !== "crash");

/** The exercise's messages, by promises instead of callbacks. */
function promises(node: AnyNode): void {
  node.on("echo", ({ body: { echo } }) => ({ echo }));
  node.on("pending_count", () => ({ count: node.pendingCount }));
  node.on("send_fire_forget", async ({ body: { target, payload } }) => {
    const before = node.pendingCount;
    const reply = node.rpc(target as string, payload as SendBody);
    if (node.pendingCount === before) await reply; // it is refused
    reply.catch(() => {});
    return { pending: node.pendingCount };
  });
  node.on("stats", () => node.stats());
}

function linKv(node: AnyNode): void {
  for (const type of ["read", "write", "cas"]) {
    node.on(type, async ({ body }) => {
      const { msg_id: _, ...request } = body;
      const { value } = await node.rpc("lin-kv", request);
      return type === "read" ? { value } : {};
    });
  }
}

/** The scenarios, by the name of their workload. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  callbacks: {
    setUp: (node, { random }) =>
      random.chance(0.5) ? callbacks(node) : promises(node),
    workload: callbacksWorkload,
    faults: FAULT_KINDS,
  },
  echo: {
    setUp: echo,
    workload: echoWorkload,
    faults: FAULT_KINDS,
  },
  "unique-ids": {
    setUp: uniqueIds,
    workload: uniqueIdsWorkload,
    faults: FAULT_KINDS,
  },
  "lin-kv": {
    setUp: linKv,
    workload: linKvWorkload,
    faults: ONCE,
  },
  "g-set": {
    setUp: gSet,
    workload: inMemory(gSetWorkload, checkSet),
    faults: FAULT_KINDS,
  },
  broadcast: {
    setUp: (node) => broadcast(node),
    workload: inMemory(broadcastWorkload, checkSet),
    faults: FAULT_KINDS,
  },
  "g-counter": {
    setUp: gCounter,
    workload: inMemory(gCounterWorkload, checkCounter),
    faults: ONCE,
  },
  "pn-counter": {
    setUp: pnCounter,
    workload: inMemory(pnCounterWorkload, checkCounter),
    faults: ONCE,
  },
  "txn-rw-register": {
    setUp: txnRwRegister,
    workload: txnRwRegisterWorkload,
    faults: ONCE_IN_MEMORY,
  },
  kafka: {
    setUp: kafka,
    workload: kafkaWorkload,
    faults: ONCE_IN_MEMORY,
  },
};

/**
 * The nodes that `deno task sim` puts under fault: the binary's own, and small
 * ones that do each of Maelstrom's workloads with RPCs and services.
 */
import {
  callbacks,
  ErrorCode,
  kafka,
  type Node,
  RpcError,
  txnRwRegister,
} from "../../lib/mod.ts";
import type { SimulatedProcess } from "../../lib/sim/mod.ts";
import {
  broadcastWorkload,
  callbacksWorkload,
  echoWorkload,
  FAULT_KINDS,
  type FaultKind,
  gSetWorkload,
  kafkaWorkload,
  linKvWorkload,
  pnCounterWorkload,
  txnRwRegisterWorkload,
  uniqueIdsWorkload,
  type Workload,
} from "../../lib/sim/mod.ts";

/** A workload, the nodes that do it, and the faults that they must withstand. */
export interface Scenario {
  setUp: (node: Node, process: SimulatedProcess) => void;
  workload: Workload;
  faults: readonly FaultKind[];
  /** How long a reply is in bytes, at the most. */
  maxReplyBytes: number;
}

const GOSSIP_MS = 200;
/** How many rounds of gossip are given up together. */
const ROUNDS = 8;
const TIMEOUTS_MS = [1000, 400];

const ONCE = FAULT_KINDS.filter((kind) => kind !== "duplication");
/** What is kept in memory, and must not be done twice. */
const IN_MEMORY_ONCE = ONCE.filter((kind) => kind !== "crash");
const IN_MEMORY = FAULT_KINDS.filter((kind) => kind !== "crash");

function uniqueIds(node: Node, { random }: SimulatedProcess): void {
  node.on("generate", async () => {
    const timeoutMs = random.pick([300, 1000, 3000.25]);
    const { ts } = await node.rpc("lin-tso", { type: "ts" }, { timeoutMs });
    return { id: ts };
  });
}

function linKv(node: Node): void {
  for (const type of ["read", "write", "cas"]) {
    node.on(type, async ({ body }) => {
      const { msg_id: _, ...request } = body;
      const { value } = await node.rpc("lin-kv", request);
      return type === "read" ? { value } : {};
    });
  }
}

/** A set that all nodes tell each other about until they know it. */
function gossiped(node: Node, add: string, element: string, read: string) {
  const known = new Set<unknown>();
  const knownBy = new Map<string, Set<unknown>>();
  node.on(add, ({ body }) => {
    known.add(body[element]);
    return {};
  });
  node.on("read", () => ({ [read]: [...known] }));
  node.on<{ elements: unknown[] }>("gossip", ({ body }) => {
    for (const element of body.elements) known.add(element);
    return {};
  });
  const tell = (peer: string, timeoutMs: number, signal: AbortSignal) => {
    let theirs = knownBy.get(peer);
    if (theirs === undefined) knownBy.set(peer, theirs = new Set());
    const elements = [...known].filter((element) => !theirs.has(element));
    if (elements.length === 0) return;
    const body = { type: "gossip", elements };
    node.rpc(peer, body, (error) => {
      if (error === undefined) elements.forEach((one) => theirs.add(one));
    }, { timeoutMs, signal });
  };
  let rounds = 0;
  let controller = new AbortController();
  node.every(GOSSIP_MS, () => {
    if (rounds++ % ROUNDS === 0) { // what is still pending is told anew
      controller.abort();
      controller = new AbortController();
    }
    const peers = node.nodeIds.filter((id) => id !== node.nodeId);
    peers.forEach((peer, i) =>
      tell(peer, TIMEOUTS_MS[i % TIMEOUTS_MS.length]!, controller.signal)
    );
  });
}

/** A counter in `lin-kv`, changed by compare-and-set. */
function pnCounter(node: Node): void {
  const read = async () => {
    try {
      const { value } = await node.rpc<{ value: number }>("lin-kv", {
        type: "read",
        key: "counter",
      });
      return value;
    } catch (error) {
      if ((error as RpcError).code === ErrorCode.keyDoesNotExist) return 0;
      throw error;
    }
  };
  node.on("read", async () => ({ value: await read() }));
  node.on<{ delta: number }>("add", async ({ body }) => {
    for (let attempt = 0; attempt < 20; attempt++) {
      const from = await read().catch((error) => {
        throw new RpcError(ErrorCode.abort, String(error)); // nothing was changed yet
      });
      const to = from + body.delta;
      const create_if_not_exists = true;
      const cas = { type: "cas", key: "counter", from, to };
      try {
        await node.rpc("lin-kv", { ...cas, create_if_not_exists });
        return {};
      } catch (error) {
        const { code } = error as RpcError;
        if (code !== ErrorCode.preconditionFailed) throw error;
      }
    }
    throw new RpcError(ErrorCode.abort, "too many others add at the same time");
  });
}

/** The scenarios, by the name of their workload. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  callbacks: {
    setUp: callbacks,
    workload: callbacksWorkload,
    faults: FAULT_KINDS,
    maxReplyBytes: 1024,
  },
  echo: {
    setUp: callbacks,
    workload: echoWorkload,
    faults: FAULT_KINDS,
    maxReplyBytes: 1024,
  },
  "unique-ids": {
    setUp: uniqueIds,
    workload: uniqueIdsWorkload,
    faults: FAULT_KINDS,
    maxReplyBytes: 1024,
  },
  "lin-kv": {
    setUp: linKv,
    workload: linKvWorkload,
    faults: ONCE,
    maxReplyBytes: 1024,
  },
  "g-set": {
    setUp: (node) => gossiped(node, "add", "element", "value"),
    workload: gSetWorkload,
    faults: IN_MEMORY,
    maxReplyBytes: 8192,
  },
  broadcast: {
    setUp: (node) => {
      node.on("topology", () => ({}));
      gossiped(node, "broadcast", "message", "messages");
    },
    workload: broadcastWorkload,
    faults: IN_MEMORY,
    maxReplyBytes: 8192,
  },
  "pn-counter": {
    setUp: pnCounter,
    workload: pnCounterWorkload,
    faults: ONCE,
    maxReplyBytes: 1024,
  },
  "txn-rw-register": {
    setUp: txnRwRegister,
    workload: txnRwRegisterWorkload,
    faults: IN_MEMORY_ONCE,
    maxReplyBytes: 4096,
  },
  kafka: {
    setUp: kafka,
    workload: kafkaWorkload,
    faults: IN_MEMORY_ONCE,
    maxReplyBytes: 16_384,
  },
};

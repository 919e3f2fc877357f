/** Transactions over registers: the node, its checker, and wrong nodes that it must find. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ErrorCode, RpcError } from "../lib/errors.ts";
import type { AnyNode } from "../lib/node.ts";
import {
  checkTransactions,
  type HistoryEntry,
  txnRwRegisterWorkload,
} from "../lib/sim/mod.ts";
import { Graph } from "../lib/sim/judges/graph.ts";
import { TestNode } from "../lib/testing.ts";
import { txnRwRegister } from "../lib/workloads/txn_rw_register.ts";
import { Trials } from "./trials.ts";

type Txn = [f: "r" | "w", key: number, value: number | null][];

const trials = new Trials(txnRwRegisterWorkload);

/** Does a transaction on registers; what it read and wrote. */
function execute(registers: Map<number, number>, txn: Txn): Txn {
  return txn.map(([f, key, value]) => {
    if (f === "w") registers.set(key, value!);
    return [f, key, registers.get(key) ?? null];
  });
}

/** A node that is alone, whose transactions may do something wrong. */
function alone(
  transaction: (registers: Map<number, number>, txn: Txn) => Txn,
) {
  return (node: AnyNode) => {
    const registers = new Map<number, number>();
    node.on<{ txn: Txn }>("txn", ({ body }) => ({
      txn: transaction(registers, body.txn),
    }));
  };
}

Deno.test("txn-rw-register: read committed, and all nodes agree in the end, under every fault but crashes", () =>
  trials.withstandsFaults(txnRwRegister));

Deno.test("txn-rw-register: a partition stops nobody", () =>
  trials.answersInPartitions(txnRwRegister));

Deno.test("txn-rw-register: of equal times the same writer wins everywhere; what all have is not told again", async () => {
  const told: [number, number, number, string][] = [
    [1, 10, 5, "n2 0.5"],
    [1, 11, 5, "n3 0.5"],
    [1, 12, 4, "n3 0.5"],
  ];
  for (const order of [told, [...told].reverse()]) {
    const test = new TestNode(txnRwRegister);
    await test.deliver({
      src: "n2",
      body: { type: "gossip", epoch: 1, batch: 0, delta: order },
    });
    test.sent();
    const txn = [["r", 1, null], ["w", 1, 13], ["r", 1, null], ["r", 2, null]];
    await test.deliver({ src: "c1", body: { type: "txn", msg_id: 1, txn } });
    assertEquals(test.sent()[0]!.body.txn, [
      ["r", 1, 11],
      ["w", 1, 13],
      ["r", 1, 13],
      ["r", 2, null],
    ]);
    await test.advance(200);
    const news = test.sent().find(({ dest }) => dest === "n3")!.body;
    const times = (news.delta as typeof told).map(([, value, time]) => [
      value,
      time,
    ]);
    assertEquals(times.at(-1), [13, 6]); // later than what it read
  }
});

Deno.test("txn-rw-register: a wrong transaction is refused as a whole", async () => {
  const test = new TestNode(txnRwRegister);
  for (
    const [txn, text] of [
      [undefined, "txn: 'txn' is not a list of operations"],
      [
        [["w", 1, 1], ["append", 1, 2]],
        'txn: neither ["r", key, null] nor ["w", key, value]: ["append",1,2]',
      ],
      [
        [["w", 1, 1], 7],
        'txn: neither ["r", key, null] nor ["w", key, value]: 7',
      ],
    ] as const
  ) {
    await test.deliver({
      src: "c1",
      body: { type: "txn", msg_id: 1, ...(txn && { txn }) },
    });
    const { code, text: told } = test.sent()[0]!.body;
    assertEquals([code, told], [12, text]);
  }
  await test.deliver({
    src: "c1",
    body: { type: "txn", msg_id: 2, txn: [["r", 1, null]] },
  });
  assertEquals(test.sent()[0]!.body.txn, [["r", 1, null]]);
});

Deno.test("right transactions of a node alone pass", async () => {
  const { outcome, reasons } = await trials.run(alone(execute), { nodes: 1 });
  assertEquals([outcome, reasons], ["pass", []]);
});

Deno.test("transactions: registers that always say 0, or null", async () => {
  const always = (said: number | null) =>
    alone((_, txn) => txn.map(([f, key, value]) => [f, key, value ?? said]));
  await trials.finds("unwritten", always(0));
  await trials.finds("own-writes", always(null));
  await trials.finds("internal", always(null));
});

Deno.test("transactions: replies that are not what was asked", async () => {
  await trials.finds("shape", alone((_, txn) => txn.slice(1)));
  await trials.finds(
    "shape",
    alone((_, txn) => txn.map(([f, key]) => [f, key, 7])),
  );
});

Deno.test("transactions: writes that stay although it failed", () =>
  trials.finds(
    "G1a",
    alone((registers, txn) => {
      const done = execute(registers, txn);
      if (txn.length === 3) throw new RpcError(ErrorCode.abort, "no");
      return done;
    }),
  ));

Deno.test("transactions: reads of what is written next, for some time", () => {
  const setUp = (node: AnyNode) => {
    const registers = new Map<number, number>();
    node.on<{ txn: Txn }>("txn", async ({ body }) => {
      const done: Txn = [];
      for (const operation of body.txn) {
        done.push(...execute(registers, [operation]));
        await node.sleep(20);
      }
      return { txn: done };
    });
  };
  return trials.finds("G1b", setUp, { nodes: 1, burst: 30, clients: 10 });
});

Deno.test("transactions: a node that does not tell the others", () =>
  trials.finds("agreement", alone(execute), { nodes: 2 }));

Deno.test("transactions: a node that forgets what it wrote", () => {
  let count = 0;
  return trials.finds(
    "own-writes",
    alone((registers, txn) => {
      if (++count % 20 === 0) registers.clear();
      return execute(registers, txn);
    }),
  );
});

Deno.test("transactions: each write told by itself, so that others see half of them", () => {
  const setUp = (node: AnyNode) => {
    const registers = new Map<number, [time: number, value: number]>();
    let time = 0;
    const take = (key: number, at: number, value: number) => {
      if (at > (registers.get(key)?.[0] ?? -1)) registers.set(key, [at, value]);
      time = Math.max(time, at);
    };
    node.on<{ txn: Txn }>("txn", ({ body }) => {
      const at = ++time + node.nodeIds.indexOf(node.nodeId) / 10;
      const txn = body.txn.map(([f, key, value]) => {
        if (f === "w") {
          take(key, at, value!);
          for (const peer of node.nodeIds) {
            if (peer !== node.nodeId) {
              node.send(peer, { type: "know", key, at, value });
            }
          }
        }
        return [f, key, registers.get(key)?.[1] ?? null];
      });
      time = Math.ceil(time);
      return { txn };
    });
    node.on<{ key: number; at: number; value: number }>(
      "know",
      ({ body: { key, at, value } }) => take(key, at, value),
    );
  };
  return trials.finds("G1b", setUp, {
    nodes: 3,
    operations: 2000,
    network: { latency: { distribution: "uniform", meanMs: 50 } },
  });
});

let next = 0;
function txn(value: Txn, more: Partial<HistoryEntry> = {}): HistoryEntry {
  const index = next++;
  return {
    f: "txn",
    index,
    process: "c1.0",
    node: "n0",
    invokedAt: 10 * index,
    completedAt: 10 * index + 5,
    status: "ok",
    final: false,
    value: value.map(([f, key, value]) => [f, key, f === "r" ? null : value]),
    result: value,
    ...more,
  };
}
/** All at the same time, on nodes of their own. */
const together = (txns: Txn[]) =>
  txns.map((one, i) =>
    txn(one, { invokedAt: 0, completedAt: 5, node: `n${i}`, incarnation: 1 })
  );
const failed = (history: HistoryEntry[]) =>
  checkTransactions(history).filter(({ outcome }) => outcome === "fail")
    .map(({ check }) => check);

Deno.test("transactions: cycles of writes (G0), and of writes and reads (G1c)", () => {
  const [a, b] = [1, 2];
  // Each overwrote what the other one had written.
  const g0 = together([
    [["r", a, 2], ["w", a, 1], ["w", b, 1]],
    [["w", a, 2], ["r", b, 1], ["w", b, 2]],
  ]);
  assertEquals(failed(g0), ["G0"]);
  // Each read what the other one wrote.
  const g1c = together([
    [["w", a, 1], ["r", b, 2]],
    [["w", b, 2], ["r", a, 1]],
  ]);
  assertEquals(failed(g1c), ["G1c"]);
  // Over three, one edge of which is known by what is there in the end only.
  const three = together([
    [["w", a, 1], ["w", b, 1]],
    [["w", a, 2], ["w", 3, 2]],
    [["r", 3, 2], ["w", b, 3]],
  ]);
  const final = (value: number) =>
    txn([["r", a, 2], ["r", b, value]], { final: true, node: "n9" });
  assertEquals(failed([...three, final(3)]), []);
  assertEquals(failed([...three, final(1)]), ["G1c"]);
});

Deno.test("transactions: what may have happened may be read; write skew and lost updates are allowed", () => {
  const unknown = txn([["w", 1, 1]], { status: "info", completedAt: Infinity });
  assertEquals(failed([unknown, txn([["r", 1, 1]])]), []);
  const skew = together([
    [["r", 1, null], ["w", 2, 1]],
    [["r", 2, null], ["w", 1, 2]],
  ]);
  assertEquals(failed(skew), []);
  const lost = together([
    [["r", 1, null], ["w", 1, 1]],
    [["r", 1, null], ["w", 1, 2]],
  ]);
  assertEquals(failed(lost), []);
});

Deno.test("transactions: without a final read agreement is not known", () => {
  const { outcome } = checkTransactions([txn([["w", 1, 1]])])
    .find(({ check }) => check === "agreement")!;
  assertEquals(outcome, "unknown");
});

Deno.test("a graph has a cycle where two of its vertices reach each other", () => {
  const edge = fc.tuple(fc.nat(7), fc.nat(7));
  fc.assert(fc.property(fc.array(edge, { maxLength: 12 }), (edges) => {
    const graph = new Graph<number>();
    for (const [from, to] of edges) graph.add(from, to, "");
    const cycles = graph.cycles();
    const inCycles = Array.from({ length: 8 }, (_, i) => i)
      .filter((vertex) => graph.reaches(vertex, vertex));
    assertEquals(cycles.length > 0, inCycles.length > 0);
    for (const cycle of cycles) {
      cycle.forEach(({ from, to }, i) => {
        assert(edges.some(([a, b]) => a === from && b === to));
        assertEquals(to, cycle[(i + 1) % cycle.length]!.from);
      });
    }
  }));
});

Deno.test("txn-rw-register: what is gathered for other nodes has each key once", async () => {
  const test = new TestNode(txnRwRegister);
  for (let i = 0; i < 6; i++) {
    const txn = [["w", i % 2, i]];
    await test.deliver({ src: "c1", body: { type: "txn", msg_id: i, txn } });
  }
  test.sent();
  await test.advance(200);
  const delta = test.sent()[0]!.body.delta as [number, number][];
  assertEquals(delta.map(([key, value]) => [key, value]), [[0, 4], [1, 5]]);
});

import { assert, assertEquals } from "@std/assert";
import type { AnyNode } from "../lib/node.ts";
import {
  broadcastWorkload,
  FAULT_KINDS,
  type FaultKind,
  gCounterWorkload,
  gSetWorkload,
  partitionDrops,
  pnCounterWorkload,
  Simulation,
  uniqueIdsWorkload,
  type Workload,
} from "../lib/sim/mod.ts";
import { TestNode } from "../lib/testing.ts";
import { broadcast } from "../lib/workloads/broadcast.ts";
import { gCounter } from "../lib/workloads/g_counter.ts";
import { gSet } from "../lib/workloads/g_set.ts";
import { pnCounter } from "../lib/workloads/pn_counter.ts";
import { uniqueIds } from "../lib/workloads/unique_ids.ts";

/** Workloads whose nodes keep all in memory. */
const IN_MEMORY = FAULT_KINDS.filter((kind) => kind !== "crash");
/** And to whose clients it makes a difference that something is done twice. */
const ONCE = IN_MEMORY.filter((kind) => kind !== "duplication");

/** Runs 40 seeds; the operations that succeeded, in all. */
async function survive(
  setUp: (node: AnyNode) => void,
  workload: Workload,
  faults: readonly FaultKind[],
): Promise<number> {
  let ok = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { violations, counts } = await new Simulation({
      seed,
      nodes: 1 + seed % 5,
      setUp,
      workload,
      faults,
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
    ok += counts.ok;
  }
  return ok;
}

/** The messages between nodes per operation: 100 operations a second, for 20 s. */
async function messagesPerOperation(
  setUp: (node: AnyNode) => void,
  workload: Workload,
  nodes: number,
): Promise<number> {
  let messages = 0;
  const { violations } = await new Simulation({
    seed: 1,
    nodes,
    operations: 2000,
    durationMs: 20_000,
    setUp,
    workload,
    network: { latency: { distribution: "constant", meanMs: 100 } },
    onTrace(line) {
      if (!line.includes('"send"')) return;
      const { src, dest } = JSON.parse(line);
      if (src.startsWith("n") && dest.startsWith("n")) messages++;
    },
  }).run();
  assertEquals(violations, []);
  return messages / 2000;
}

/** Asks a node; what it answers. */
async function ask(
  test: TestNode,
  body: { type: string; [field: string]: unknown },
) {
  test.sent();
  await test.deliver({ src: "c1", body: { ...body, msg_id: 1 } });
  return test.sent()[0]!.body;
}

Deno.test("unique-ids: unique under every fault, crashes included, without a message between nodes", async () => {
  assert(await survive(uniqueIds, uniqueIdsWorkload, FAULT_KINDS) > 2000);
  assertEquals(await messagesPerOperation(uniqueIds, uniqueIdsWorkload, 3), 0);
});

Deno.test("unique-ids: a process that restarts under its name gives other ids", async () => {
  let draws = 0;
  const random = () => ++draws / 100;
  const ids = new Set();
  for (let life = 0; life < 3; life++) {
    const test = new TestNode(uniqueIds, { random });
    for (let i = 0; i < 3; i++) {
      ids.add((await ask(test, { type: "generate" })).id);
    }
  }
  assertEquals(ids.size, 9);
});

Deno.test("broadcast, g-set: all know all in the end, under every fault but crashes", async () => {
  for (const aim of ["speed", "thrift"] as const) {
    const setUp = (node: AnyNode) => broadcast(node, { aim });
    assert(await survive(setUp, broadcastWorkload, IN_MEMORY) > 1500);
  }
  assert(await survive(gSet, gSetWorkload, IN_MEMORY) > 1500);
});

Deno.test("broadcast: 2.5 messages an operation for speed, which is the default, 0.8 for thrift", async () => {
  const half: Workload = {
    ...broadcastWorkload,
    generate: (random, index) =>
      random.chance(0.5) ? { f: "add", value: index } : { f: "read" },
  };
  const speed = await messagesPerOperation((node) => broadcast(node), half, 25);
  assert(speed > 1 && speed <= 2.5, `${speed}`);
  const thrift = await messagesPerOperation(
    (node) => broadcast(node, { aim: "thrift" }),
    half,
    25,
  );
  assert(thrift <= 0.8, `${thrift}`);
});

Deno.test("broadcast: 2 s after a partition all know what was confirmed before its end, where messages take 100 ms", async () => {
  const nodeIds = ["n0", "n1", "n2"];
  let longestMs = 0;
  for (const aim of ["speed", "thrift"] as const) {
    for (let seed = 0; seed < 60; seed++) {
      const until = 4000 + 17 * seed;
      const { violations, history } = await new Simulation({
        seed,
        nodes: nodeIds.length,
        operations: 1000, // 100 a second
        durationMs: 10_000,
        setUp: (node) => broadcast(node, { aim }),
        // Few are told something, and shortly before the end: nothing is told again yet.
        workload: {
          ...broadcastWorkload,
          generate: (random, index) =>
            index > 330 && random.chance(0.05)
              ? { f: "add", value: index }
              : { f: "read" },
        },
        network: { latency: { distribution: "constant", meanMs: 100 } },
        faults: [{
          kind: "partition",
          at: until - 300 - 25 * seed,
          until,
          shape: "single",
          drops: partitionDrops(
            "single",
            seed % 2 === 0 ? nodeIds : nodeIds.toReversed(),
          ),
        }],
      }).run();
      assertEquals(violations, []);
      const before = history.filter(({ f, completedAt }) =>
        f === "add" && completedAt <= until
      );
      for (const { f, invokedAt, result } of history) {
        if (f !== "read" || invokedAt <= until) continue;
        const elements = new Set(result as number[]);
        if (before.every(({ value }) => elements.has(value as number))) {
          continue;
        }
        longestMs = Math.max(longestMs, invokedAt - until);
      }
    }
  }
  assert(longestMs > 1000 && longestMs <= 2000, `${longestMs}`);
});

Deno.test("pn-counter, g-counter: right on every node in the end, under every fault but crashes", async () => {
  assert(await survive(pnCounter, pnCounterWorkload, ONCE) > 1500);
  assert(await survive(gCounter, gCounterWorkload, ONCE) > 1500);
});

Deno.test("g-counter: 0.6 messages an operation at 3 nodes", async () => {
  const messages = await messagesPerOperation(gCounter, gCounterWorkload, 3);
  assert(messages <= 0.6, `${messages}`);
});

Deno.test("counters and sets: what all knew is there after a crash, and what comes then is added", async () => {
  for (
    const [setUp, workload] of [[pnCounter, pnCounterWorkload], [
      gSet,
      gSetWorkload,
    ]] as const
  ) {
    for (const node of ["n0", "n1"]) {
      const { violations, counts } = await new Simulation({
        seed: 3,
        nodes: 3,
        operations: 300,
        durationMs: 30_000,
        // None while the news is not told yet, and none while the node is down.
        workload: {
          ...workload,
          generate: (random, index, nodes) =>
            index >= 80 && index < 180
              ? { f: "read" }
              : workload.generate(random, index, nodes),
        },
        faults: [{ kind: "crash", at: 12_000, until: 14_000, node }],
        setUp,
      }).run();
      assertEquals(violations, []);
      assert(counts.ok > 250);
    }
  }
});

Deno.test("wrong requests are refused", async () => {
  const wrong: [
    (node: AnyNode) => void,
    string,
    Record<string, unknown>,
    string,
  ][] = [
    [gCounter, "add", { delta: -1 }, "add: 'delta' is not a number from 0"],
    [gCounter, "add", {}, "add: 'delta' is not a number from 0"],
    [
      pnCounter,
      "add",
      { delta: "1" },
      "add: 'delta' is not a number",
    ],
    [gSet, "add", {}, "add: no 'element'"],
    [broadcast, "broadcast", {}, "broadcast: no 'message'"],
  ];
  for (const [setUp, type, fields, text] of wrong) {
    const body = await ask(new TestNode((node) => setUp(node)), {
      type,
      ...fields,
    });
    assertEquals([body.code, body.text], [12, text]);
  }
});

Deno.test("equal elements are one, whatever they are", async () => {
  const test = new TestNode(gSet);
  for (const element of [1, "1", { a: 1 }, { a: 1 }, 1, null]) {
    assertEquals((await ask(test, { type: "add", element })).type, "add_ok");
  }
  const { value } = await ask(test, { type: "read" });
  assertEquals(value, [1, "1", { a: 1 }, null]);
  assertEquals(
    (await ask(new TestNode((node) => broadcast(node)), { type: "topology" }))
      .type,
    "topology_ok",
  );
});

import { assert, assertEquals, assertThrows } from "@std/assert";
import { chunks, Gossip, type GossipOptions, star } from "../lib/gossip.ts";
import type { Message } from "../lib/message.ts";
import type { AnyNode } from "../lib/node.ts";
import {
  broadcastWorkload,
  FAULT_KINDS,
  gSetWorkload,
  partitionDrops,
  Simulation,
  type SimulationOptions,
  type Workload,
} from "../lib/sim/mod.ts";
import { TestNode, type TestNodeOptions } from "../lib/testing.ts";

type Options = Partial<GossipOptions<number[]>>;

/** A set of numbers that is gossiped; tells of each one that a node hears of. */
function gossipedSet(
  node: AnyNode,
  options: Options = {},
  heard: (element: number) => void = () => {},
) {
  const set = new Set<number>();
  const gossip = new Gossip<number[]>(node, {
    merge(delta) {
      const news = delta.filter((element) => !set.has(element));
      for (const element of news) {
        set.add(element);
        heard(element);
      }
      return news.length > 0 ? news : undefined;
    },
    join: (a, b) => [...a, ...b],
    split: chunks,
    full: () => set.size > 0 ? [...set] : undefined,
    ...options,
  });
  return { set, gossip };
}

/** The same, as a node of `g-set` and of `broadcast`. */
function setNode(...args: Parameters<typeof gossipedSet>): Gossip<number[]> {
  const [node] = args;
  const { set, gossip } = gossipedSet(...args);
  const add = (element: number) => {
    gossip.add([element]);
    return {};
  };
  node.on<{ element: number }>("add", ({ body }) => add(body.element));
  node.on<{ message: number }>("broadcast", ({ body }) => add(body.message));
  node.on("read", () => ({ value: [...set], messages: [...set] }));
  node.on("topology", () => ({}));
  return gossip;
}

/** One node of three; the test plays the others. */
function setUp(options: Options = {}, nodeOptions: TestNodeOptions = {}) {
  let gossiped!: ReturnType<typeof gossipedSet>;
  const test = new TestNode((node) => {
    gossiped = gossipedSet(node, options);
  }, nodeOptions);
  /** What was gossiped since this was last called, without epoch and ids. */
  const told = () =>
    test.sent().map(({ dest, body }) => {
      assertEquals(body.type, "gossip");
      const { type: _, msg_id: __, epoch: ___, of: ____, ...rest } = body;
      return [dest, rest];
    });
  const epoch = () =>
    test.messages.findLast(({ body }) => body.epoch)!.body.epoch;
  const tell = (src: string, body: Record<string, unknown>) =>
    test.deliver({ src, body: { type: "gossip", epoch: 7, ...body } });
  const ack = (src: string, ...acks: number[]) =>
    tell(src, { acks, of: epoch() });
  return { test, ...gossiped, told, epoch, tell, ack };
}

const leaf: TestNodeOptions = { nodeId: "n2" };

Deno.test("star: the first nodes are the hubs", () => {
  const nodes = ["n0", "n1", "n2", "n3"];
  const one = star({ hubDelayMs: 50, leafDelayMs: 5 });
  assertEquals(one("n0", nodes), { peers: ["n1", "n2", "n3"], delayMs: 50 });
  assertEquals(one("n3", nodes), { peers: ["n0"], delayMs: 5 });
  const two = star({ hubs: 2 });
  assertEquals(two("n1", nodes).peers, ["n0", "n2", "n3"]);
  assertEquals(two("n3", nodes), { peers: ["n0", "n1"], delayMs: 1 });
  assertEquals(star()("n0", ["n0"]).peers, []);
});

Deno.test("news is gathered for a while, and told in one message each; own news and others' alike", async () => {
  const { test, gossip, told, tell, ack, set } = setUp();
  gossip.add([1]);
  gossip.add([1, 2]);
  await test.advance(150);
  await tell("n2", { batch: 0, delta: [2, 3] });
  assertEquals(told(), []);
  await test.advance(50);
  assertEquals(told(), [
    ["n2", { batch: 0, delta: [1, 2], acks: [0] }],
    ["n3", { batch: 0, delta: [1, 2, 3] }],
  ]);
  await ack("n2", 0);
  await ack("n3", 0);
  assertEquals([gossip.unacknowledged, [...set]], [0, [1, 2, 3]]);
  await test.advance(100_000);
  assertEquals(told(), []); // and that is all
  await tell("n2", { batch: 1, delta: [3] });
  await test.advance(100_000);
  assertEquals(told(), [["n2", { acks: [1] }]]); // it was no news
});

Deno.test("an acknowledgement travels with news, or alone after a while", async () => {
  const { test, gossip, told, tell } = setUp({ ackMs: 300 }, leaf);
  await tell("n1", { batch: 5, delta: [1] });
  await test.advance(200);
  await tell("n1", { batch: 6, delta: [2] });
  assertEquals(told(), []);
  await test.advance(99);
  assertEquals(told(), []);
  await test.advance(1);
  assertEquals(told(), [["n1", { acks: [5, 6] }]]);
  await tell("n1", { batch: 7, delta: [3] });
  gossip.add([4]);
  await test.advance(1);
  assertEquals(told(), [["n1", { batch: 0, delta: [4], acks: [7] }]]);
  await test.advance(700);
  assertEquals(told(), []);
});

Deno.test("what is not acknowledged in time is told again, under one number, and news waits", async () => {
  const { test, gossip, told, ack, tell } = setUp({ retryMs: 1000 }, leaf);
  gossip.add([1]);
  await test.advance(100);
  gossip.add([2]);
  await test.advance(100);
  gossip.add([3]);
  await test.advance(100);
  assertEquals(told().length, 3);
  await ack("n1", 1);
  await test.advance(1200);
  const again = { batch: 3, delta: [1, 3], urgent: true };
  assertEquals(told(), [["n1", again]]);
  gossip.add([4]);
  await tell("n1", { batch: 9, delta: [5] });
  await test.advance(499);
  assertEquals(told(), []);
  await test.advance(1);
  assertEquals(told(), [["n1", { ...again, acks: [9] }]]);
  gossip.add([6]);
  await test.advance(2000);
  assertEquals(told().length, 4);
  assertEquals(gossip.unacknowledged, 2);
  await ack("n1", 0); // of what is told under another number now
  assertEquals(told(), []);
  await ack("n1", 3); // however late
  assertEquals(told(), [["n1", { batch: 4, delta: [4, 6] }]]);
  await ack("n1", 4);
  assertEquals(gossip.unacknowledged, 0);
  await test.advance(100_000);
  assertEquals(told(), []);
});

Deno.test("what was told again is acknowledged at once", async () => {
  const { test, told, tell } = setUp({}, leaf);
  await tell("n1", { batch: 5, delta: [1], urgent: true });
  await test.advance(1);
  assertEquals(told(), [["n1", { acks: [5] }]]);
  // And with it what would have waited, which then does not cut a round short.
  const hub = setUp();
  await hub.tell("n2", { batch: 5 });
  await hub.tell("n2", { batch: 6, urgent: true });
  await hub.test.advance(1);
  assertEquals(hub.told(), [["n2", { acks: [5, 6] }]]);
  await hub.test.advance(449);
  assertEquals(hub.told(), [["n3", { batch: 0 }]]); // a greeting
  hub.gossip.add([1]);
  await hub.test.advance(199);
  assertEquals(hub.told(), []);
});

Deno.test("a leaf that is told something arms one timer, for its acknowledgement", async () => {
  const { test, tell } = setUp({}, leaf);
  const { timers } = test.clock;
  await tell("n1", { batch: 0, delta: [1] });
  assertEquals(test.clock.timers, timers + 1);
});

Deno.test("nobody is greeted before there was more than init, or nothing for 10 s: others may not be set up yet", async () => {
  const silent = setUp({ retryMs: 1000 }, leaf);
  await silent.test.advance(9999);
  assertEquals(silent.told(), []);
  await silent.test.advance(501);
  assertEquals(silent.told(), [["n1", { batch: 0 }]]);
  const { test, told } = setUp({ retryMs: 1000 }, leaf);
  await test.advance(1000);
  await test.deliver({ src: "c1", body: { type: "other", msg_id: 1 } });
  test.sent();
  await test.advance(500);
  assertEquals(told(), [["n1", { batch: 0 }]]);
});

Deno.test("a node that has not been heard says hello, until it is answered", async () => {
  const { test, told, ack, gossip, tell } = setUp({ retryMs: 1000 }, leaf);
  await test.deliver({ src: "c1", body: { type: "other", msg_id: 1 } });
  test.sent();
  await test.advance(500);
  assertEquals(told(), [["n1", { batch: 0 }]]);
  await test.advance(1499);
  assertEquals(told(), [["n1", { batch: 0, urgent: true }]]);
  await ack("n1", 0);
  await test.advance(10_000);
  assertEquals([told(), gossip.unacknowledged], [[], 0]);
  const other = setUp({}, leaf);
  await other.tell("n1", { batch: 0 }); // it was said to this one
  await other.test.advance(10_000);
  assertEquals(other.told(), [["n1", { acks: [0] }]]);
  await tell("n1", { batch: 0 });
});

Deno.test("a neighbour that has lost its memory is told all, whatever it acknowledged before", async () => {
  const { test, gossip, told, ack, tell } = setUp({}, leaf);
  gossip.add([1]);
  await test.advance(1);
  await ack("n1", 0);
  gossip.add([2]);
  await test.advance(1);
  told();
  await tell("n1", { batch: 4 }); // whose acknowledgement means nothing any more
  await tell("n1", { epoch: 8, batch: 0 });
  assertEquals(told(), [["n1", { batch: 2, delta: [1, 2] }]]);
  await test.advance(500);
  assertEquals(told(), [["n1", { acks: [0] }]]);
  assertEquals(gossip.unacknowledged, 1); // 1 is lost with the memory of it
});

Deno.test("what a node knew before it could tell anyone is told, too", async () => {
  const { told, tell, test } = setUp({ full: () => [1, 2] }, leaf);
  await tell("n1", { acks: [], of: 0 });
  await test.advance(1);
  assertEquals(told(), [["n1", { batch: 0, delta: [1, 2] }]]);
});

Deno.test("an acknowledgement to this node's life before is none", async () => {
  const { test, gossip, tell } = setUp({}, leaf);
  gossip.add([1]);
  await test.advance(1);
  await tell("n1", { acks: [0], of: 0.123 });
  assertEquals(gossip.unacknowledged, 1);
});

Deno.test("who tells a node something is its neighbour; but only nodes", async () => {
  const { test, gossip, told, tell, set } = setUp({}, leaf);
  gossip.add([1]);
  await test.advance(1);
  told();
  await tell("n3", { batch: 0, delta: [3] });
  await test.advance(1);
  assertEquals(told(), [
    ["n1", { batch: 1, delta: [3] }],
    ["n3", { batch: 0, delta: [1, 3], far: true, acks: [0] }],
  ]);
  await tell("c1", { batch: 0, delta: [4], msg_id: 1 });
  const wrong = [
    { epoch: "x" },
    { acks: 1 },
    { batch: "0", delta: [5] },
  ];
  for (const body of wrong) await tell("n3", { ...body, msg_id: 1 });
  const errors = test.sent().map(({ body }) => [body.code, body.text]);
  assertEquals(errors.length, 4);
  for (const error of errors) {
    assertEquals(error, [12, "gossip: not a message of a node's"]);
  }
  assertEquals([...set], [1, 3]);
});

Deno.test("two gossips of a node, each with messages of its own; options out of range are named", () => {
  const { node } = new TestNode(() => {});
  gossipedSet(node);
  gossipedSet(node, { type: "other" });
  assertThrows(() => gossipedSet(node), Error, "second handler");
  for (
    const [options, name] of [
      [{ ackMs: 0 }, "'ackMs'"],
      [{ retryMs: 1 }, "'retryMs / 2'"],
      [{ maxParts: 0 }, "'maxParts'"],
    ] as const
  ) {
    assertThrows(
      () => gossipedSet(node, { type: name, ...options }),
      RangeError,
      name,
    );
  }
  gossipedSet(node, { type: "quick", ackMs: 1, retryMs: 2 });
  const { gossip } = setUp({ topology: () => ({ peers: [], delayMs: 0 }) });
  assertThrows(() => gossip.add([1]), RangeError, "'delayMs'");
});

/** Each tells the next one, and the one before. */
const ring: GossipOptions<unknown>["topology"] = (nodeId, nodeIds) => {
  const at = nodeIds.indexOf(nodeId);
  const next = nodeIds[(at + 1) % nodeIds.length]!;
  return { peers: next === nodeId ? [] : [next], delayMs: 20 };
};

/** `broadcast` as Maelstrom has it: as many reads. */
const maelstromBroadcast: Workload = {
  ...broadcastWorkload,
  generate: (random, index) =>
    random.chance(0.5) ? { f: "add", value: index } : { f: "read" },
};

/** The same with few reads, of which each has all. */
const mostlyTold: Workload = {
  ...broadcastWorkload,
  generate: (random, index) =>
    random.chance(0.99) ? { f: "add", value: index } : { f: "read" },
};

/** A cluster that gossips a set, and what it takes: messages and ms until all know. */
async function measure(
  options: Options,
  simulation: Partial<SimulationOptions> = {},
) {
  const { nodes = 25, operations = 2000 } = simulation;
  const times = new Map<number, number[]>();
  const gossips = new Set<Gossip<number[]>>();
  let messages = 0;
  const result = await new Simulation({
    seed: 1,
    nodes,
    operations,
    durationMs: operations * 10, // 100 a second
    workload: maelstromBroadcast,
    network: { latency: { distribution: "constant", meanMs: 100 } },
    onTrace(line) {
      if (!line.includes('"send"')) return;
      const { src, dest } = JSON.parse(line) as Message;
      if (src.startsWith("n") && dest.startsWith("n")) messages++;
    },
    setUp(node, { wallNow }) {
      const gossip = setNode(node, options, (element) => {
        times.set(element, [...times.get(element) ?? [], wallNow()]);
      });
      gossips.add(gossip);
    },
    ...simulation,
  }).run();
  assertEquals(result.violations, []);
  const all = [...times.values()];
  assert(all.every(({ length }) => length === nodes));
  const latencies = all.map((at) => at.at(-1)! - at[0]!).sort((a, b) => a - b);
  return {
    perOperation: messages / operations,
    medianMs: latencies[latencies.length >> 1]!,
    maxMs: latencies.at(-1)!,
    heardAt: all,
    knownAt: all.map((at) => at.at(-1)!).sort((a, b) => a - b),
    unacknowledged: [...gossips].map(({ unacknowledged }) => unacknowledged),
  };
}

Deno.test("25 nodes, 100 ms apart, 100 operations a second: for speed 2.5 messages each, for thrift 0.9", async () => {
  const speed = await measure({});
  assert(speed.perOperation <= 2.5, `${speed.perOperation}`);
  assert(speed.medianMs <= 350 && speed.maxMs <= 550);
  const thrift = await measure({
    topology: star({ hubDelayMs: 800, leafDelayMs: 300 }),
  });
  assert(thrift.perOperation <= 0.9, `${thrift.perOperation}`);
  assert(thrift.medianMs < 1000 && thrift.maxMs < 2000);
  for (const { unacknowledged } of [speed, thrift]) {
    assertEquals(new Set(unacknowledged), new Set([0]));
  }
});

Deno.test("after a partition all know all within 2 s, in whatever way it cuts; then nothing is kept", async () => {
  const ids = Array.from({ length: 25 }, (_, i) => `n${i}`);
  const alone = ids.map((id) => [id, ids.filter((other) => other !== id)]);
  const partitions = [
    partitionDrops("single", ids), // the hub from all others
    partitionDrops("single", ids.toReversed()),
    partitionDrops("halves", ids),
    partitionDrops("one-way", ids),
    partitionDrops("one-way", ids.toReversed()),
    Object.fromEntries(alone),
  ];
  const topologies = [star(), star({ hubDelayMs: 800, leafDelayMs: 300 })];
  for (const [i, drops] of partitions.entries()) {
    for (const topology of topologies) {
      const { knownAt, unacknowledged } = await measure({ topology }, {
        operations: 800,
        faults: [
          { kind: "partition", at: 2000, until: 7900, shape: "halves", drops },
        ],
      });
      assert(knownAt.at(-1)! <= 7900 + 1800, `${i}: ${knownAt.at(-1)}`);
      assertEquals(new Set(unacknowledged), new Set([0]));
    }
  }
});

Deno.test("with two hubs news travels while one is cut off", async () => {
  const { heardAt } = await measure({ topology: star({ hubs: 2 }) }, {
    nodes: 5,
    operations: 800,
    faults: [{
      kind: "partition",
      at: 0,
      until: 7900,
      shape: "single",
      drops: partitionDrops("single", ["n0", "n1", "n2", "n3", "n4"]),
    }],
  });
  // All but n0 have heard of what all but n0 were told, and of nothing else.
  let others = 0;
  for (const at of heardAt) {
    if (at[3]! - at[0]! <= 500) others++;
    else assert(at[1]! > 7900);
  }
  assert(others > heardAt.length / 2);
});

Deno.test("what is kept, and how long a message is, stays small, however long a neighbour is away; then it is told all", async () => {
  const { test, gossip, told, ack, tell, set } = setUp({ maxParts: 10 }, {
    nodeId: "n2",
    nodeIds: ["n1", "n2"],
  });
  let most = 0;
  let longest = 0;
  const toNeighbour = () => {
    const messages = told().filter(([dest]) => dest === "n1")
      .map(([, body]) => body as { batch?: number; delta?: number[] });
    for (const { delta = [] } of messages) {
      longest = Math.max(longest, delta.length);
    }
    return messages;
  };
  for (let element = 0; element < 10_000; element++) {
    gossip.add([element]);
    await test.advance(20);
    most = Math.max(most, gossip.unacknowledged);
    if (element % 100 === 0) toNeighbour();
  }
  assert(most <= 62, `${most}`); // those of 1.2 s
  assertEquals(longest, 10);
  const known = new Set<number>();
  for (let silent = 0; silent < 3; silent++) {
    for (const { batch, delta = [] } of toNeighbour()) {
      if (batch === undefined) continue;
      for (const element of delta) known.add(element);
      await ack("n1", batch);
      silent = 0;
    }
    await tell("n1", { batch: 7, delta: [10_000] }); // goes on meanwhile
    await test.advance(1);
    assert(gossip.unacknowledged <= 10_010 / 10);
  }
  assertEquals(longest, 10);
  assertEquals(known.size, 10_000);
  assertEquals([set.size, gossip.unacknowledged], [10_001, 0]);
});

Deno.test("a long partition: no message gets long, little is kept, and all know all within 2 s of its end", async () => {
  const ids = ["n0", "n1", "n2", "n3", "n4"];
  for (const cut of [ids, ids.toReversed()]) {
    let longest = 0;
    const gossips: Gossip<number[]>[] = [];
    let most = 0;
    const times: number[] = [];
    const { violations } = await new Simulation({
      seed: 1,
      nodes: 5,
      operations: 6000,
      durationMs: 120_000,
      workload: mostlyTold,
      network: { latency: { distribution: "constant", meanMs: 10 } },
      faults: [{
        kind: "partition",
        at: 5000,
        until: 110_000,
        shape: "single",
        drops: partitionDrops("single", cut),
      }],
      onTrace(line) {
        if (!line.includes('"delta"')) return;
        const { delta } = (JSON.parse(line) as Message).body;
        longest = Math.max(
          longest,
          (delta as number[] | undefined ?? []).length,
        );
      },
      setUp(node, { wallNow }) {
        const { set, gossip } = gossipedSet(node, { maxParts: 20 }, () => {
          times.push(wallNow());
        });
        gossips.push(gossip);
        node.on<{ message: number }>("broadcast", ({ body }) => {
          gossip.add([body.message]);
          if (wallNow() < 110_000) {
            most = Math.max(most, ...gossips.map((one) => one.unacknowledged));
          }
          return {};
        });
        node.on("read", () => ({ messages: [...set] }));
        node.on("topology", () => ({}));
      },
    }).run();
    assertEquals(violations, []);
    assert(longest <= 20, `${longest}`);
    assert(most <= 100, `${most} pieces`); // of pieces: of each of four links those of 1.2 s, and ten
    assertEquals(gossips.map((one) => one.unacknowledged), [0, 0, 0, 0, 0]);
    const late = times.filter((at) => at > 112_000 && at < 119_000).length;
    assert(late < 5 * 400, `${late} late`); // those of then, and none of before
  }
});

Deno.test("what could not be taken in is not acknowledged, so that it is told again", async () => {
  let fails = true;
  const set: number[] = [];
  const { test, tell, told } = setUp({
    merge(delta) {
      if (fails) throw new Error("not now");
      set.push(...delta);
      return delta;
    },
  }, leaf);
  await tell("n1", { batch: 0, delta: [1] });
  await test.advance(600);
  assertEquals(told().filter(([, body]) => "acks" in (body as object)), []);
  fails = false;
  await tell("n1", { batch: 0, delta: [1], urgent: true });
  await test.advance(1);
  assertEquals(told(), [["n1", { acks: [0] }]]);
  assertEquals(set, [1]);
});

Deno.test("the first node that answers stands in for a hub that does not, until it does", async () => {
  const { test, gossip, told, ack, tell, epoch } = setUp({ retryMs: 1000 }, {
    nodeId: "n3",
  });
  const to = (dest: string) => told().filter(([one]) => one === dest);
  gossip.add([1]);
  await test.advance(4000);
  assertEquals(to("n2"), []);
  gossip.add([2]);
  await test.advance(500);
  await test.advance(1);
  assertEquals(to("n2"), [["n2", { batch: 0, delta: [1, 2] }]]);
  await ack("n2", 0);
  gossip.add([3]);
  await test.advance(1);
  assertEquals(to("n2"), [["n2", { batch: 1, delta: [3] }]]);
  await ack("n2", 1);
  await ack("n1", 0); // it is back
  assertEquals(to("n1"), [["n1", { batch: 1, delta: [2, 3] }]]);
  await ack("n1", 1);
  await test.advance(500);
  gossip.add([4]);
  await test.advance(1);
  const last = { batch: 2, delta: [4], far: true };
  assertEquals(to("n2"), [["n2", last]]); // as long as it has not said so, too
  await tell("n2", { acks: [2], of: epoch(), far: true });
  gossip.add([5]);
  await test.advance(3000);
  assertEquals(to("n2"), []);
});

Deno.test("who stands in for nobody any more is told so with what it is acknowledged", async () => {
  const hub = setUp({}, { nodeId: "n2" });
  await hub.tell("n3", { batch: 0, delta: [1] });
  hub.gossip.add([2]);
  await hub.test.advance(1);
  const n3 = () => hub.told().filter(([dest]) => dest === "n3");
  assertEquals(n3(), [["n3", { batch: 0, delta: [2], far: true, acks: [0] }]]);
  await hub.tell("n3", { acks: [0], of: hub.epoch(), far: true });
  hub.gossip.add([3]);
  await hub.test.advance(1000);
  assertEquals(n3(), []);
  await hub.tell("n3", { batch: 1, delta: [4] }); // and then again
  await hub.test.advance(1);
  assertEquals(n3(), [["n3", {
    batch: 1,
    delta: [1, 2, 3, 4],
    far: true,
    acks: [1],
  }]]);
});

Deno.test("with the hub, and the one after it, down for good, all others know all of each other", async () => {
  for (const down of [["n0"], ["n0", "n1"], ["n1"]]) {
    const { history } = await new Simulation({
      seed: 1,
      nodes: 5,
      clients: 100, // of whom some wait for those that are down
      clientTimeoutMs: 1000,
      operations: 3000,
      durationMs: 30_000,
      network: { latency: { distribution: "constant", meanMs: 20 } },
      faults: down.map((node) => ({
        kind: "crash" as const,
        at: 5000,
        until: 30_000,
        node,
      })),
      workload: {
        ...gSetWorkload,
        generate: (_, index) =>
          index < 2000 ? { f: "add", value: index } : { f: "read" },
      },
      setUp: (node) => void setNode(node),
    }).run();
    const isUp = ({ node }: { node: string }) => !down.includes(node);
    const added = history.filter((entry) =>
      entry.f === "add" && entry.status === "ok" && isUp(entry) && !entry.probe
    );
    const reads = history.filter(({ f, status, invokedAt }) =>
      f === "read" && status === "ok" && invokedAt > 22_000 &&
      invokedAt < 30_000
    );
    assert(
      added.length > 1000 && reads.length > 300,
      `${added.length} ${reads.length}`,
    );
    for (const { result, node } of reads) {
      const known = new Set(result as number[]);
      const lacks = added.filter(({ value }) => !known.has(value as number));
      assertEquals(lacks.length, 0, `${down}: ${node}`);
    }
  }
});

Deno.test("once a hub is back, the messages are as few as before", async () => {
  const count = async (until: number) => {
    let messages = 0;
    await new Simulation({
      seed: 1,
      nodes: 5,
      operations: 2000,
      durationMs: 40_000,
      workload: mostlyTold,
      network: { latency: { distribution: "constant", meanMs: 20 } },
      faults: [{ kind: "crash", at: 5000, until, node: "n0" }],
      onTrace(line) {
        if (!line.includes('"send"')) return;
        const { t, src, dest } = JSON.parse(line);
        if (t < 30_000 || t > 40_000) return;
        if (src.startsWith("n") && dest.startsWith("n")) messages++;
      },
      setUp: (node) => void setNode(node),
    }).run();
    return messages;
  };
  const [without, after] = [await count(5001), await count(20_000)];
  assert(without > 300 && after < without * 1.1, `${without}, ${after}`);
});

Deno.test("under every fault but crashes all know all in the end", async () => {
  const faults = FAULT_KINDS.filter((kind) => kind !== "crash");
  for (let seed = 0; seed < 40; seed++) {
    const nodes = 1 + seed % 7;
    const topologies = [
      star(),
      star({ hubs: 2 }),
      star({ hubDelayMs: 800, leafDelayMs: 300 }),
      ring,
    ];
    const options = { topology: topologies[seed % 4]! };
    const gossips: [AnyNode, Gossip<number[]>][] = [];
    const { violations } = await new Simulation({
      seed,
      nodes,
      workload: gSetWorkload,
      faults,
      setUp(node) {
        gossips.push([node, setNode(node, options)]);
      },
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
    for (const [{ nodeId }, { unacknowledged }] of gossips) {
      assertEquals(unacknowledged, 0, `seed ${seed}: ${nodeId}`);
    }
  }
});

Deno.test("a node that crashes gets back what it had told, hub or not", async () => {
  for (const node of ["n0", "n1", "n2"]) {
    const { violations, history } = await new Simulation({
      seed: 1,
      nodes: 3,
      operations: 100,
      durationMs: 5000, // and nothing more, while the node is down
      faults: [{ kind: "crash", at: 7000, until: 9000, node }],
      workload: gSetWorkload,
      setUp: (node) => void setNode(node),
    }).run();
    assertEquals(violations, []);
    const sizes = history.slice(-3).map(({ result }) => (result as []).length);
    assert(sizes[0]! > 50);
    assertEquals(new Set(sizes).size, 1);
  }
});

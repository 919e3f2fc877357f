/** Logs: the node, its checker, and wrong nodes that it must find. */
import { assert, assertEquals } from "@std/assert";
import { lastingLogs } from "../bench/lasting_logs.ts";
import type { AnyNode } from "../lib/node.ts";
import { kafkaWorkload, partitionDrops } from "../lib/sim/mod.ts";
import { pollsBehind } from "../lib/sim/judges/logs.ts";
import { TestNode } from "../lib/testing.ts";
import { kafka } from "../lib/workloads/kafka.ts";
import { Trials } from "./trials.ts";

type Pair = [offset: number, msg: unknown];

const trials = new Trials(kafkaWorkload);

/** How a node's logs are wrong. */
interface Wrong {
  offset?: (length: number) => number;
  keep?: (msg: unknown) => boolean;
  poll?: (pairs: Pair[], from: number) => unknown;
  commit?: (before: number, offset: number) => number;
}

/** A node that is alone. */
function alone(
  {
    offset = (length) => length,
    keep = () => true,
    poll = (pairs, from) => pairs.filter(([offset]) => offset >= from),
    commit = Math.max,
  }: Wrong = {},
) {
  return (node: AnyNode) => {
    const logs = new Map<string, Pair[]>();
    const counts = new Map<string, number>();
    const committed = new Map<string, number>();
    node.on<{ key: string; msg: unknown }>("send", ({ body: { key, msg } }) => {
      const count = counts.get(key) ?? 0;
      counts.set(key, count + 1);
      const log = logs.get(key) ?? [];
      logs.set(key, log);
      if (keep(msg)) log.push([offset(count), msg]);
      return { offset: offset(count) };
    });
    node.on<{ offsets: Record<string, number> }>("poll", ({ body }) => ({
      msgs: Object.fromEntries(
        Object.entries(body.offsets).filter(([key]) => logs.has(key))
          .map(([key, from]) => [key, poll(logs.get(key)!, from)]),
      ),
    }));
    node.on<{ offsets: Record<string, number> }>(
      "commit_offsets",
      ({ body }) => {
        for (const [key, offset] of Object.entries(body.offsets)) {
          committed.set(key, commit(committed.get(key) ?? -1, offset));
        }
        return {};
      },
    );
    node.on<{ keys: string[] }>("list_committed_offsets", ({ body }) => ({
      offsets: Object.fromEntries(
        body.keys.filter((key) => committed.has(key))
          .map((key) => [key, committed.get(key)]),
      ),
    }));
  };
}

const assertFound = (check: string, wrong: Wrong, nodes = 1) =>
  trials.finds(check, alone(wrong), { nodes });

Deno.test("kafka: nothing lost, doubled or skipped, under every fault but crashes", () =>
  trials.withstandsFaults(kafka));

Deno.test("kafka: a partition stops nobody", () =>
  trials.answersInPartitions(kafka));

Deno.test("kafka: 0.1 messages an operation with 2 nodes, 0.4 with 5, at 1000 a second; polls are 0.1 s and four ways behind", async () => {
  for (const [nodes, most] of [[2, 0.1], [5, 0.4]] as const) {
    const { outcome, reasons, metrics } = await trials.run(kafka, {
      nodes,
      operations: 5000,
      durationMs: 5000,
      workload: lastingLogs(60),
      network: { latency: { distribution: "constant", meanMs: 10 } },
    });
    assertEquals([outcome, reasons], ["pass", []]);
    const { betweenNodes, withServices } = metrics.messagesPerOperation!;
    assert(betweenNodes > 0.01 && betweenNodes <= most, `${betweenNodes}`);
    assertEquals(withServices, 0);
    const behind = metrics.latencies["polls behind"]!;
    assert(
      behind.maxMs > 50 && behind.maxMs <= 4 * 25 + 4 * 10 + 5,
      `${behind.maxMs}`,
    );
  }
});

Deno.test("kafka: 1.3 s and six ways after a partition polls are no further behind than before, and none was by more than its length and that", async () => {
  const wayMs = 10;
  const recoveryMs = 1300 + 6 * wayMs;
  const [at, until] = [1500, 2500];
  for (const nodes of [2, 5]) {
    const ids = Array.from({ length: nodes }, (_, i) => `n${i}`);
    for (
      const drops of [
        partitionDrops("single", ids), // the first one from all others
        partitionDrops("single", ids.toReversed()),
        partitionDrops("one-way", ids),
      ]
    ) {
      const { outcome, reasons, history } = await trials.run(kafka, {
        nodes,
        operations: 1500,
        durationMs: 5000,
        workload: lastingLogs(60),
        network: { latency: { distribution: "constant", meanMs: wayMs } },
        faults: [{ kind: "partition", at, until, shape: "single", drops }],
      });
      assertEquals([outcome, reasons], ["pass", []]);
      assert(history.every(({ status }) => status === "ok"));
      const behind = (from: number) =>
        Math.max(...pollsBehind(
          history.filter(({ f, invokedAt }) =>
            f === "send" || invokedAt > from
          ),
        ));
      assert(behind(0) > until - at);
      assert(behind(0) <= until - at + recoveryMs, `${behind(0)}`);
      const after = behind(until + recoveryMs);
      assert(after <= 4 * 25 + 4 * wayMs + 5, `${after}`);
    }
  }
});

async function ask(
  test: TestNode,
  body: { type: string; [field: string]: unknown },
) {
  test.sent();
  await test.deliver({ src: "c1", body: { ...body, msg_id: 1 } });
  return test.sent()[0]!.body;
}

Deno.test("kafka: what is polled waits for all promises, in whatever order they come", async () => {
  const test = new TestNode(kafka, { nodeIds: ["n1", "n2", "n3"] });
  const polled = async () =>
    (await ask(test, { type: "poll", offsets: { a: 0 } })).msgs;
  const told = (
    src: string,
    batch: number,
    from: number,
    to: number,
    entries: Pair[],
  ) =>
    test.deliver({
      src,
      body: {
        type: "gossip",
        epoch: 1,
        batch,
        delta: {
          segments: [{ node: src, key: "a", from, to, entries }],
          committed: {},
        },
      },
    });
  assertEquals(
    (await ask(test, { type: "send", key: "a", msg: "x" })).offset,
    0,
  );
  assertEquals(await polled(), {});
  await told("n2", 1, 2, 5, [[4, "z"]]); // before what it follows
  await told("n3", 0, 0, 6, []);
  assertEquals(await polled(), {});
  await told("n2", 0, 0, 2, [[1, "y"]]);
  assertEquals(await polled(), { a: [[0, "x"], [1, "y"], [4, "z"]] });
  await told("n2", 2, 0, 5, [[1, "y"], [4, "z"]]); // again
  assertEquals(await polled(), { a: [[0, "x"], [1, "y"], [4, "z"]] });
  assertEquals(
    (await ask(test, { type: "send", key: "a", msg: "w" })).offset,
    6,
  );
});

Deno.test("kafka: wrong requests are refused", async () => {
  const test = new TestNode(kafka);
  for (
    const [body, text] of [
      [{ type: "send", msg: 1 }, "send: 'key' is no string"],
      [{ type: "send", key: "a" }, "send: no 'msg'"],
      [{ type: "poll" }, "poll: 'offsets' is no map of keys to whole numbers"],
      [
        { type: "commit_offsets", offsets: { a: "1" } },
        "commit_offsets: 'offsets' is no map of keys to whole numbers",
      ],
      [
        { type: "list_committed_offsets" },
        "list_committed_offsets: 'keys' is no list",
      ],
    ] as const
  ) {
    const { code, text: told } = await ask(test, body);
    assertEquals([code, told], [12, text]);
  }
});

Deno.test("right logs of a node alone pass, sparse ones, too", async () => {
  for (const wrong of [{}, { offset: (length: number) => 3 * length }]) {
    const { outcome, reasons } = await trials.run(alone(wrong), { nodes: 1 });
    assertEquals([outcome, reasons], ["pass", []]);
  }
});

Deno.test("logs: an offset used twice", () =>
  assertFound("offsets", { offset: (length) => length >> 1 }));

Deno.test("logs: nodes that do not tell each other", async () => {
  await assertFound("offsets", {}, 2);
  await assertFound("lost", {}, 2);
});

Deno.test("logs: messages that are confirmed and lost", () =>
  assertFound("lost", { keep: (msg) => (msg as number) % 5 !== 0 }));

Deno.test("logs: a message that is polled at two offsets", () =>
  assertFound("duplicates", {
    poll: (pairs) => [...pairs, ...pairs.map(([at, msg]) => [at + 99, msg])],
  }));

Deno.test("logs: polls that skip messages, go back, or begin too early", async () => {
  const after = (pairs: Pair[], from: number) =>
    pairs.filter(([offset]) => offset >= from);
  await assertFound("skipped", {
    poll: (pairs, from) => after(pairs, from).filter((_, i) => i !== 1),
  });
  await assertFound("skipped", {
    poll: (pairs, from) => after(pairs, from + 1),
  });
  await assertFound("order", {
    poll: (pairs, from) => after(pairs, from).reverse(),
  });
  await assertFound("order", { poll: (pairs) => pairs });
});

Deno.test("logs: offsets that go down", () =>
  assertFound("order", { offset: (length) => 1000 - length }));

Deno.test("logs: messages from nowhere, and replies that are none", async () => {
  await assertFound("unsent", { poll: () => [[7, "no one's"]] });
  await assertFound("shape", { poll: (pairs) => pairs.length });
  await assertFound("shape", { offset: (length) => -length });
});

Deno.test("logs: committed offsets that go back, or that nobody committed", async () => {
  await assertFound("committed", { commit: (_, offset) => offset });
  await assertFound("committed", { commit: () => 1000 });
});

Deno.test("kafka: what is gathered for other nodes has each log once", async () => {
  const test = new TestNode(kafka);
  for (let i = 0; i < 6; i++) {
    await ask(test, { type: "send", key: i % 2 === 0 ? "a" : "b", msg: i });
  }
  await test.advance(25);
  const { delta } = test.sent()[0]!.body as unknown as {
    delta: { segments: { key: string; from: number; entries: Pair[] }[] };
  };
  assertEquals(
    delta.segments.map(({ key, from, entries }) => [key, from, entries]),
    [
      ["a", 0, [[0, 0], [3, 2], [6, 4]]],
      ["b", 0, [[0, 1], [3, 3], [6, 5]]],
    ],
  );
});

Deno.test("kafka: what waited for what it follows is told to all, and in pieces", async () => {
  const test = new TestNode(kafka);
  const tell = (src: string, from: number, to: number, entries: Pair[] = []) =>
    test.deliver({
      src,
      body: {
        type: "gossip",
        epoch: 7,
        batch: from,
        delta: {
          segments: [{ node: "n3", key: "a", from, to, entries }],
          committed: {},
        },
      },
    });
  const told = () =>
    test.sent().filter(({ body }) => body.delta !== undefined)
      .map(({ dest, body }) =>
        [
          dest,
          (body.delta as unknown as {
            segments: { node: string; from: number; to: number }[];
          }).segments.filter(({ node }) => node === "n3")
            .map(({ from, to }) => [from, to]),
        ] as const
      ).filter(([, segments]) => segments.length > 0);
  await tell("n2", 1, 3, [[2, "x"]]);
  await tell("n3", 0, 1);
  await test.advance(25);
  assertEquals(told(), [["n2", [[1, 3], [0, 1]]], ["n3", [[1, 3]]]]);
  const many = Array.from({ length: 2500 }, (_, i): Pair => [3 * i + 5, i]);
  await tell("n3", 3, 7503, many);
  await test.advance(25);
  assertEquals(told(), [["n2", [[3, 3005]]], ["n2", [[3005, 6005]]], [
    "n2",
    [[6005, 7503]],
  ]]);
});

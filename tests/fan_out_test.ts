import { assert, assertEquals, assertRejects } from "@std/assert";
import type { RpcError } from "../lib/errors.ts";
import { rpcAll, rpcHedged, rpcQuorum } from "../lib/fan_out.ts";
import { echoWorkload, FAULT_KINDS, Simulation } from "../lib/sim/mod.ts";
import { TestNode } from "../lib/testing.ts";

const NODES = ["n2", "n3", "n4", "n5"];
const body = { type: "ask" };

/** A node that asks others, who are played by the test. */
function setUp(maxPending = 100) {
  const test = new TestNode(() => {}, { maxPending });
  const { node } = test;
  const asked = () => test.sent().map(({ dest }) => dest);
  const answer = (
    from: string,
    reply: { type: string; [key: string]: unknown },
  ) => {
    const { body } = test.messages.findLast(({ dest }) => dest === from)!;
    return test.deliver({
      src: from,
      body: { ...reply, in_reply_to: body.msg_id! },
    });
  };
  const ok = (from: string, n = 0) => answer(from, { type: "ok", n });
  const fail = (from: string, code: number) =>
    answer(from, { type: "error", code, text: `${from} fails` });
  /** What a fan-out has come to so far. */
  function watch<T>(promise: Promise<T>) {
    const outcome: { value?: T; error?: RpcError } = {};
    promise.then(
      (value) => outcome.value = value,
      (error) => outcome.error = error,
    );
    return outcome;
  }
  return { test, node, asked, ok, fail, watch };
}

Deno.test("rpcAll: all replies, in the order of the nodes; or the first failure, and the others are gone", async () => {
  const { node, asked, ok, fail, watch, test } = setUp();
  const all = watch(rpcAll<{ n: number }>(node, ["n2", "n3", "n4"], body));
  assertEquals(asked(), ["n2", "n3", "n4"]);
  await ok("n4", 4);
  await ok("n2", 2);
  assertEquals(all.value, undefined);
  await ok("n3", 3);
  assertEquals(
    all.value!.map(({ from, reply }) => [from, reply.n]),
    [["n2", 2], ["n3", 3], ["n4", 4]],
  );
  const failing = watch(rpcAll(node, ["n2", "n3", "n4"], body));
  await ok("n2");
  await fail("n3", 11);
  assertEquals(node.pendingCount, 0);
  assertEquals([failing.error?.code, failing.error?.message], [
    0, // n2 has done it
    "1 of 3 nodes failed, and 3 must not: n3 fails",
  ]);
  await ok("n4");
  assertEquals(node.stats().late, 1);
  assertEquals(await rpcAll(node, [], body), []);
  assertEquals(test.clock.timers, 0);
});

Deno.test("rpcQuorum resolves at the n-th good reply, and the others leave the table in that moment", async () => {
  const { node, ok, fail, watch, test } = setUp();
  const outcome = watch(
    rpcQuorum<{ n: number }>(node, NODES, body, 2, {
      isGood: ({ from, reply }) => reply.n > 0 && from !== "nobody",
    }),
  );
  await ok("n2", 0);
  await fail("n3", 11);
  await ok("n4", 1);
  assertEquals([outcome.value, node.pendingCount], [undefined, 1]);
  // At once: not only when the promise has been seen to.
  const last = test.messages.at(-1)!.body.msg_id!;
  node.receive(
    JSON.stringify({
      src: "n5",
      dest: "n1",
      body: { type: "ok", in_reply_to: last, n: 2 },
    }),
  );
  assertEquals(node.pendingCount, 0);
  await test.advance(0);
  assertEquals(outcome.value!.map(({ from }) => from), ["n4", "n5"]);

  const every = watch(rpcQuorum(node, NODES, body, 4));
  for (const id of NODES) await ok(id);
  assertEquals(every.value?.length, 4);

  const first = watch(rpcQuorum(node, NODES, body, 1));
  node.receive(
    JSON.stringify({
      src: "n2",
      dest: "n1",
      body: { type: "ok", in_reply_to: last + 5 },
    }),
  );
  assertEquals([node.pendingCount, node.stats().cancelled], [0, 3]);
  await test.advance(0);
  assertEquals(first.value!.length, 1);
});

Deno.test("rpcQuorum fails as soon as it can't be reached, and says what for", async () => {
  const { node, ok, fail, watch } = setUp();
  const outcome = watch(
    rpcQuorum(node, NODES, body, 3, { isGood: ({ reply }) => reply.n === 0 }),
  );
  await ok("n2", 1);
  await ok("n3");
  assertEquals(outcome.error, undefined);
  await fail("n4", 11);
  assertEquals(node.pendingCount, 0);
  const { error } = outcome;
  assertEquals(
    [error?.code, error?.message],
    [0, "2 of 4 nodes failed, and 3 must not: the reply of n2 is not good"],
  );
  assertEquals(
    (error!.cause as AggregateError).errors.map(String),
    ["NotGood: the reply of n2 is not good", "RpcError: n4 fails"],
  );
});

Deno.test("a fan-out has certainly not happened only if each node has refused for certain", async () => {
  const cases: [n: number, codes: number[], code: number][] = [
    [1, [11, 11, 11, 11], 11],
    [1, [11, 22, 11, 11], 14],
    [1, [11, 11, 11, 0], 0],
    [1, [11, 13, 11, 11], 0],
    [3, [11, 11], 0], // two more were asked
    [2, [-1, 11, 11, 11], 0], // one has done it
  ];
  for (const [n, codes, code] of cases) {
    const { node, ok, fail, watch } = setUp();
    const outcome = watch(rpcQuorum(node, NODES, body, n));
    for (const [i, code] of codes.entries()) {
      if (code === -1) await ok(NODES[i]!);
      else await fail(NODES[i]!, code);
    }
    assertEquals(outcome.error?.code, code, `${codes}`);
  }
});

Deno.test("RPCs that can't be sent are failures like others", async () => {
  const { node, ok, watch, test, asked } = setUp(2);
  const enough = watch(rpcQuorum(node, NODES, body, 2));
  assertEquals(asked(), ["n2", "n3"]);
  await ok("n2");
  await ok("n3");
  assertEquals(enough.value?.length, 2);
  const tooFew = watch(rpcQuorum(node, NODES, body, 3));
  await test.advance(0);
  assertEquals([tooFew.error?.code, node.pendingCount], [0, 0]);
  const none = watch(rpcAll(node, ["n".repeat(256), "n2"], body));
  await test.advance(0);
  assertEquals([none.error?.code, asked().at(-1)], [12, "n3"]);
});

Deno.test("rpcHedged asks the next one when one fails, or says nothing; the first reply is taken", async () => {
  const { node, ok, fail, watch, test, asked } = setUp();
  const outcome = watch(rpcHedged(node, NODES, body, { hedgeMs: 50 }));
  assertEquals(asked(), ["n2"]);
  await test.advance(49);
  assertEquals(asked(), []);
  await test.advance(1);
  assertEquals(asked(), ["n3"]);
  await test.advance(20);
  await fail("n3", 11);
  assertEquals(asked(), ["n4"]);
  await test.advance(49);
  assertEquals(asked(), []);
  await test.advance(1);
  assertEquals(asked(), ["n5"]);
  await ok("n2");
  assertEquals([outcome.value?.from, node.pendingCount, test.clock.timers], [
    "n2",
    0,
    0,
  ]);

  const quick = watch(rpcHedged(node, NODES, body));
  await ok("n2");
  await test.advance(1000);
  assertEquals([quick.value?.from, asked()], ["n2", ["n2"]]);

  const failing = watch(
    rpcHedged(node, ["n2", "n3"], body, { timeoutMs: 300 }),
  );
  await fail("n2", 11);
  await test.advance(300);
  assertEquals(failing.error?.code, 0);
  const refused = watch(rpcHedged(node, ["n2", "n3"], body));
  await fail("n2", 11);
  await fail("n3", 11);
  assertEquals(refused.error?.code, 11);
  assertEquals(test.clock.timers, 0);
});

Deno.test("limits hold for each RPC; an abort ends all, and leaves no listener", async () => {
  const { node, ok, watch, test } = setUp();
  const late = watch(
    rpcQuorum(node, NODES, body, 1, { timeoutMs: 1000, deadline: 300 }),
  );
  await test.advance(300);
  assertEquals([late.error?.code, test.messages.at(-1)!.body.deadline_ms], [
    0,
    300,
  ]);

  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (
    ...args: Parameters<typeof removeEventListener>
  ) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  watch(rpcQuorum(node, NODES, body, 1, { signal }));
  assertEquals(listeners, 1);
  await ok("n2");
  assertEquals(listeners, 0);
  const outcomes = [
    watch(rpcAll(node, NODES, body, { signal })),
    watch(rpcHedged(node, NODES, body, { signal })),
  ];
  controller.abort("enough");
  assertEquals([node.pendingCount, listeners], [0, 0]);
  const sent = test.messages.length;
  outcomes.push(watch(rpcAll(node, NODES, body, { signal })));
  await test.advance(0);
  for (const { error } of outcomes) {
    assertEquals([error?.code, error?.cause], [13, "enough"]);
  }
  assertEquals([test.messages.length, test.clock.timers], [sent, 0]);
});

Deno.test("what the caller's own function throws is what it fails with", async () => {
  const { node, ok, watch } = setUp();
  const bug = new TypeError("bug");
  const outcome = watch(
    rpcQuorum(node, NODES, body, 2, {
      isGood: () => {
        throw bug;
      },
    }),
  );
  await ok("n3");
  assertEquals([outcome.error, node.pendingCount], [bug, 0]);
});

Deno.test("numbers out of range are named", async () => {
  const { node } = setUp();
  await assertRejects(
    () => rpcAll(node, ["n2", "n3"], body, { timeoutMs: 0 }),
    RangeError,
    "'timeoutMs'",
  );
  await assertRejects(() => rpcAll(node, ["n2", ""], body), TypeError);
  assertEquals(node.pendingCount, 0);
  for (const n of [0, 5, 1.5, NaN]) {
    await assertRejects(
      () => rpcQuorum(node, NODES, body, n),
      RangeError,
      "'n' must be a whole number from 1 to 4",
    );
  }
  await assertRejects(() => rpcHedged(node, [], body), RangeError, "'dests'");
  await assertRejects(
    () => rpcHedged(node, NODES, body, { hedgeMs: 0 }),
    RangeError,
    "'hedgeMs'",
  );
  assertEquals(node.stats().registered, 1); // that to n2
});

Deno.test("fan-outs keep every promise of the node, under every fault", async () => {
  let ok = 0;
  for (let seed = 0; seed < 20; seed++) {
    const { violations, counts } = await new Simulation({
      seed,
      nodes: 5,
      needs: seed % 2 === 0 ? 5 : 3,
      setUp(node) {
        node.on("hear", () => ({}));
        node.on("echo", async ({ body }, limits) => {
          const { nodeIds } = node;
          const options = { ...limits, timeoutMs: 500 };
          const hear = { type: "hear" };
          await rpcHedged(node, nodeIds, hear, { ...options, hedgeMs: 10 });
          await rpcQuorum(node, nodeIds, hear, 3, options);
          if (seed % 2 === 0) await rpcAll(node, nodeIds, hear, options);
          return { echo: body.echo };
        });
      },
      workload: echoWorkload,
      faults: FAULT_KINDS,
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
    ok += counts.ok;
  }
  assert(ok > 500);
});

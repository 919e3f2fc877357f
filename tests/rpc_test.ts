import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { RpcError } from "../lib/errors.ts";
import { Node, type NodeOptions, type RpcOptions } from "../lib/node.ts";
import type { RpcCallback } from "../lib/pending_rpcs.ts";
import { nextMacrotask } from "../lib/sim/macrotask.ts";
import { TestNode } from "../lib/testing.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";

const ignore: RpcCallback = () => {};

/** A node that has had its init; its RPCs go nowhere. */
function setUp(options: NodeOptions = {}) {
  const test = new TestNode(() => {}, { services: {}, ...options });
  const { node, clock } = test;
  const reply = (id: number, src = "n2") => {
    test.deliver({ src, body: { type: "ok", in_reply_to: id } });
  };
  return { test, node, clock, reply };
}

/** Nodes whose transports deliver at once, each into the other. */
function connected(): [Node, Node] {
  const nodes = new Map(["n1", "n2"].map((id) => [id, new Node()]));
  for (const [id, node] of nodes) {
    node.connect({
      send: (line) => nodes.get(JSON.parse(line).dest)?.receive(line),
    });
    const body = {
      type: "init",
      msg_id: 1,
      node_id: id,
      node_ids: ["n1", "n2"],
    };
    node.receive(JSON.stringify({ src: "c0", dest: id, body }));
  }
  return [nodes.get("n1")!, nodes.get("n2")!];
}

/** A signal, and how many listeners it has, and had at the most. */
function watchedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  const count = { now: 0, max: 0 };
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    count.max = Math.max(count.max, ++count.now);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (
    ...args: Parameters<typeof removeEventListener>
  ) => {
    count.now--;
    removeEventListener.apply(signal, args);
  };
  return { controller, signal, count };
}

Deno.test("a transport may deliver at once: every callback gets its own reply, no id comes twice", async () => {
  const [n1, n2] = connected();
  n2.on<{ of: number }>("half", async ({ body: { of } }) => {
    if (of < 2) return { of, steps: 0 };
    const { steps } = await n2.rpc<{ steps: number }>("n1", {
      type: "half",
      of: Math.floor(of / 2),
    });
    return { of, steps: steps + 1 };
  });
  n1.on<{ of: number }>("half", ({ body: { of } }) => ({ of, steps: 0 }));
  n2.on<{ n: number }>("echo", ({ body: { n } }) => ({ n }));
  const got: [number, number][] = [];
  for (let n = 0; n < 10; n++) {
    n1.rpc<{ n: number }>("n2", { type: "echo", n }, (_, reply) => {
      got.push([n, reply!.n]);
      // Another RPC while this one's reply is being handled.
      if (n < 5) {
        n1.rpc<{ n: number }>(
          "n2",
          { type: "echo", n: n + 100 },
          (_, inner) => got.push([n + 100, inner!.n]),
        );
      }
    });
  }
  assertEquals(got.length, 15);
  for (const [sent, received] of got) assertEquals(received, sent);
  const { of, steps } = await n1.rpc<{ of: number; steps: number }>("n2", {
    type: "half",
    of: 9,
  });
  assertEquals([of, steps], [9, 1]);
  for (const node of [n1, n2]) {
    const { pending, registered, replied, unknown, duplicate } = node.stats();
    assertEquals([pending, registered, unknown, duplicate], [0, replied, 0, 0]);
  }
});

Deno.test("an RPC that can't be sent was never registered, and its id is used again", () => {
  const { test, node, clock, reply } = setUp();
  const kept = node.rpc("n2", { type: "x" }, ignore);
  const before = node.stats();
  const { controller, signal, count } = watchedSignal();
  for (let i = 0; i < 3000; i++) {
    assertThrows(
      () => node.rpc("n2", { type: "x", big: 1n }, ignore, { signal }),
      TypeError,
    );
  }
  assertEquals(count.now, 0);
  controller.abort();
  assertEquals(node.stats(), before);
  const next = node.rpc("n2", { type: "y" }, ignore);
  assertEquals([next, test.messages.at(-1)!.body.msg_id], [kept + 1, kept + 1]);
  reply(next);
  reply(kept);
  assertEquals(
    [node.pendingCount, node.stats().replied, clock.timers],
    [0, 2, 0],
  );
});

Deno.test("a transport that fails after it has delivered: the callback has its reply, the failure is counted", () => {
  const node = new Node();
  node.receive(
    '{"src":"c0","dest":"n1","body":{"type":"init","node_id":"n1","node_ids":["n1"]}}',
  );
  const outcomes: unknown[] = [];
  node.connect({
    send: (line) => {
      const { src, dest, body } = JSON.parse(line);
      const reply = { type: "ok", in_reply_to: body.msg_id };
      node.receive(JSON.stringify({ src: dest, dest: src, body: reply }));
      throw new Error("too late");
    },
  });
  const id = node.rpc("n2", { type: "x" }, (...args) => outcomes.push(args));
  assertEquals(outcomes, [[undefined, { type: "ok", in_reply_to: id }]]);
  assertEquals([node.pendingCount, node.stats().failures], [0, 1]);
});

Deno.test("RPCs to one node that expire together share an error, frozen; who awaits a promise has its own", async () => {
  const { test, node } = setUp();
  const errors: RpcError[] = [];
  for (let i = 0; i < 1000; i++) {
    node.rpc(`n${i % 100}`, { type: "x" }, (error) => errors.push(error!));
  }
  const awaited = Array.from(
    { length: 2 },
    () => node.rpc("n2", { type: "x" }).catch((error) => error),
  );
  await test.advance(2000);
  assertEquals([errors.length, new Set(errors).size], [1000, 100]);
  assert(errors.every((error) => Object.isFrozen(error)));
  for (const [i, error] of errors.entries()) {
    assertEquals(error.message, `no reply from n${i % 100} within 2000 ms`);
  }
  const [one, other] = await Promise.all(awaited);
  assert(one !== other && one instanceof RpcError);
  one.message = `while reading: ${one.message}`;
  assertEquals([one.code, other.code], [0, 0]);
  assertEquals(one.message, "while reading: no reply from n2 within 2000 ms");
  assertEquals(other.message, "no reply from n2 within 2000 ms");
});

Deno.test("who awaits a promise has the reason of a cancellation for himself, its cause included", async () => {
  const { node } = setUp();
  const controller = new AbortController();
  const options = { signal: controller.signal };
  const errors = Promise.all(
    [1, 2].map(() =>
      node.rpc("n2", { type: "x" }, options).catch((error) => error)
    ),
  );
  controller.abort("enough");
  const [one, other] = await errors;
  assert(one !== other && !Object.isFrozen(one));
  assertEquals([one.cause, other.cause], ["enough", "enough"]);
});

Deno.test("a timeout's text has the timeout as it was given", () => {
  const { node, clock } = setUp();
  const texts: string[] = [];
  for (const timeoutMs of [86_400_001, 0.1 + 0.2 + 1, 1_234_567.875]) {
    node.rpc("n2", { type: "x" }, (error) => texts.push(error!.message), {
      timeoutMs,
    });
  }
  clock.advance(86_400_001);
  assertEquals(texts, [
    `no reply from n2 within ${0.1 + 0.2 + 1} ms`,
    "no reply from n2 within 1234567.875 ms",
    "no reply from n2 within 86400001 ms",
  ]);
});

Deno.test("RPCs share a signal's one listener, which goes with the last of them, however they end", async () => {
  const { node, clock, reply } = setUp({ maxPending: 4 });
  const { controller, signal, count } = watchedSignal();
  const throws: RpcCallback = () => {
    throw new Error("no");
  };
  const options = { signal };
  const answered = node.rpc("n2", { type: "x" }, throws, options);
  node.rpc("n2", { type: "x" }, throws, { signal, timeoutMs: 100 });
  node.rpc("n2", { type: "x" }, throws, options);
  const awaited = node.rpc("n2", { type: "x" }, options);
  await assertRejects(() => node.rpc("n2", { type: "x" }, options)); // full
  assertEquals(count, { now: 1, max: 1 });
  reply(answered);
  clock.advance(100);
  assertEquals([count.now, node.pendingCount], [1, 2]);
  controller.abort("enough");
  await assertRejects(() => awaited, RpcError, "aborted");
  assertEquals([count.now, node.pendingCount, clock.timers], [0, 0, 0]);
  assertEquals(node.stats().failures, 3);

  const another = watchedSignal();
  node.rpc("n2", { type: "x" }, throws, { signal: another.signal });
  await node.close();
  assertEquals(another.count.now, 0);
});

Deno.test("an abort of many RPCs goes in slices, in which replies are still taken", async () => {
  const { test, node, clock, reply } = setUp();
  const controller = new AbortController();
  const ended: [id: number, code: number | undefined][] = [];
  for (let i = 0; i < 100; i++) {
    const id = node.rpc("n2", { type: "x" }, (error) => {
      clock.busy(0.0625);
      ended.push([id, error?.code]);
    }, { signal: controller.signal });
  }
  controller.abort();
  await nextMacrotask();
  assertEquals(ended.length, 32); // 2 ms
  const [first] = ended[0]!;
  reply(first + 50);
  await test.advance(0);
  assertEquals(ended.length, 65);
  await test.advance(5);
  assertEquals(ended.length, 100);
  assertEquals(ended.filter(([, code]) => code !== 13), [[
    first + 50,
    undefined,
  ]]);
  const inOrder = ended.filter(([, code]) => code === 13).map(([id]) => id);
  assertEquals(inOrder, inOrder.toSorted((a, b) => a - b));
  assertEquals([node.pendingCount, clock.timers], [0, 0]);
});

Deno.test("close cancels in slices, the earliest deadline first, and sends nothing more", async () => {
  const { test, node, clock } = setUp();
  const ended: number[] = [];
  let again: unknown;
  for (let i = 0; i < 100; i++) {
    node.rpc("n2", { type: "x" }, (error) => {
      clock.busy(0.0625);
      ended.push(i);
      assertEquals(error?.message, "RPC cancelled: the node is shutting down");
      try {
        node.rpc("n2", { type: "again" }, ignore);
      } catch (error) {
        again = error;
      }
    }, { timeoutMs: 1000 - i });
  }
  const closing = node.close();
  await nextMacrotask();
  assertEquals(ended.length, 32);
  await test.advance(5);
  assertEquals(ended, Array.from({ length: 100 }, (_, i) => 99 - i));
  await closing;
  assert(again instanceof RpcError);
  assertEquals([node.pendingCount, clock.timers], [0, 0]);
});

Deno.test("what goes on after an awaited RPC counts as a part of the slice that ends it", async () => {
  const slices: Record<
    string,
    (node: Node, controller: AbortController) => unknown
  > = {
    "a reap": () => {},
    "an abort": (_, controller) => controller.abort(),
    "close": (node) => node.close(),
  };
  for (const [name, end] of Object.entries(slices)) {
    const { node, clock } = setUp();
    const controller = new AbortController();
    const { signal } = controller;
    let ended = 0;
    for (let i = 0; i < 100; i++) {
      node.rpc("n2", { type: "x" }, { signal }).catch(() => {
        clock.busy(1);
        ended++;
      });
    }
    await nextMacrotask();
    end(node, controller);
    await nextMacrotask();
    while (ended < 100) {
      assert(
        clock.fireNext(3000),
        `${name}: no timer while ${ended} of 100 have ended`,
      );
      const before = ended;
      await nextMacrotask();
      assert(ended - before <= 8, `${name}: ${ended - before} ms in one turn`);
    }
    await nextMacrotask();
    assertEquals(node.pendingCount, 0);
  }
});

Deno.test("close: a second call waits for the first, and a limit that is none is refused", async () => {
  const { test, node, clock } = setUp();
  for (const graceMs of [NaN, -1, 2 ** 31]) {
    await assertRejects(
      () => node.close(graceMs),
      RangeError,
      `current value is ${graceMs}`,
    );
  }
  const work = Promise.withResolvers<void>();
  node.on("work", () => work.promise);
  test.deliver({ src: "c1", body: { type: "work", msg_id: 1 } });
  const closed: number[] = [];
  const all = [Infinity, 1].map((graceMs, i) =>
    node.close(graceMs).then(() => closed.push(i))
  );
  clock.advance(2 ** 31);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals([closed, clock.timers], [[], 0]);
  work.resolve();
  await Promise.all(all);
  assertEquals(closed, [0, 1]);
});

Deno.test("a callback that closes the node ends the reap, which is reported", async () => {
  const reports: unknown[] = [];
  const { node, clock } = setUp({ onReap: (report) => reports.push(report) });
  const codes: number[] = [];
  let closing: Promise<void> | undefined;
  for (let i = 0; i < 3; i++) {
    node.rpc("n2", { type: "x" }, (error) => {
      codes.push(error!.code);
      closing ??= node.close();
    });
  }
  clock.advance(2000);
  await closing;
  assertEquals(codes, [0, 13, 13]);
  assertEquals(reports, [{ count: 1, oldestAgeMs: 2000, remaining: 2 }]);
  assertEquals([node.pendingCount, clock.timers], [0, 0]);
});

Deno.test("a caughtUp that throws or rejects is logged, and stops no reap", async () => {
  for (
    const caughtUp of [
      () => {
        throw new Error("oops");
      },
      () => Promise.reject(new Error("oops")),
    ]
  ) {
    const logged: string[] = [];
    const clock = new VirtualClock();
    const node = new Node({ clock, log: (_, text) => logged.push(text) });
    node.connect({ send: () => {}, caughtUp });
    node.receive(
      '{"src":"c0","dest":"n1","body":{"type":"init","node_id":"n1","node_ids":["n1"]}}',
    );
    logged.length = 0;
    let reaped = 0;
    for (let i = 0; i < 3; i++) {
      node.rpc("n2", { type: "x" }, () => reaped++, { timeoutMs: 10 + 10 * i });
      clock.advance(1);
    }
    for (let i = 1; i <= 3; i++) {
      clock.advance(10);
      for (let turn = 0; turn < 5; turn++) await null;
      assertEquals(reaped, i);
    }
    assertEquals([node.pendingCount, node.stats().failures], [0, 3]);
    assertStringIncludes(
      logged[0]!,
      "the transport's caughtUp failed: Error: oops",
    );
  }
});

Deno.test("ids start where they are told to", () => {
  const { test, node } = setUp({ firstMsgId: 2 ** 52 });
  assertEquals(test.messages[0]!.body.msg_id, 2 ** 52); // init_ok
  assertEquals(node.rpc("n2", { type: "x" }, ignore), 2 ** 52 + 1);
  for (const firstMsgId of [-1, 0.5, 2 ** 52 + 1, NaN]) {
    assertThrows(
      () => new Node({ firstMsgId }),
      RangeError,
      `'firstMsgId' must be an integer from 0 to 4503599627370496: current value is ${firstMsgId}`,
    );
  }
});

Deno.test("a destination's name has at most 255 characters", async () => {
  const { test, node, clock } = setUp();
  const { messages } = test;
  const before = messages.length;
  const error = await assertRejects(
    () => node.rpc("n".repeat(256), { type: "x" }),
    RpcError,
    "at most 255 characters: this one has 256",
  );
  assertEquals(error.code, 12);
  assertEquals([messages.length, clock.timers], [before, 0]);
  node.rpc("n".repeat(255), { type: "x" }, ignore);
  assertEquals(node.pendingCount, 1);
});

Deno.test("a reply is checked for where it comes from, however high its id", () => {
  const { node, reply } = setUp();
  const ids: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    ids.push(node.rpc("n2", { type: "x" }, ignore));
  }
  for (const id of ids) reply(id, "n3");
  const { pending, stray } = node.stats();
  assertEquals([pending, stray], [20_000, 20_000]);
});

Deno.test("a deadline bounds an RPC, whatever its timeout, and travels along", async () => {
  const { test, node, clock } = setUp();
  clock.advance(1000);
  const ends: string[] = [];
  const ask = (options: RpcOptions) =>
    node.rpc("n2", { type: "x", deadline_ms: 7 }, (error) => {
      ends.push(`${error?.message} at ${clock.now()}`);
    }, options);
  ask({ deadline: 1300.5 });
  ask({ deadline: 1300, timeoutMs: 100 });
  ask({ deadline: Infinity, timeoutMs: 500 });
  ask({ deadline: undefined, timeoutMs: 400 });
  assertEquals(
    test.sent().map(({ body }) => body.deadline_ms),
    [300, 100, 7, 7],
  );
  clock.advance(1000);
  assertEquals(ends, [
    "no reply from n2 within 100 ms at 1100",
    "no reply from n2 within 300.5 ms at 1301",
    "no reply from n2 within 400 ms at 1400",
    "no reply from n2 within 500 ms at 1500",
  ]);
  const before = node.stats();
  for (const deadline of [2000, 2000.9, 0, -Infinity]) {
    const error = assertThrows(() => ask({ deadline }), RpcError);
    assertEquals([error.code, error.message], [0, "no time is left to ask n2"]);
  }
  assertThrows(() => ask({ deadline: NaN }), RangeError, "'deadline' must be");
  await assertRejects(
    () => node.rpc("n2", { type: "x" }, { deadline: 1 }),
    RpcError,
    "no time is left",
  );
  assertEquals(node.stats(), before);
});

Deno.test("a request's deadline_ms becomes the deadline of what is asked for it", async () => {
  const test = new TestNode((node) => {
    node.on("get", async (_, limits) => {
      await node.sleep(100);
      await node.rpc("n2", { type: "one" }, { ...limits, timeoutMs: 150 });
      const { value } = await node.rpc("n2", { type: "two" }, limits);
      return { value };
    });
  });
  const ask = (deadline_ms: unknown) =>
    test.deliver({ src: "c1", body: { type: "get", msg_id: 1, deadline_ms } });
  const answer = (id: number) =>
    test.deliver({
      src: "n2",
      body: { type: "ok", in_reply_to: id, value: 7 },
    });
  await ask(300);
  await test.advance(100);
  let [sent] = test.sent();
  assertEquals([sent!.body.type, sent!.body.deadline_ms], ["one", 150]);
  await test.advance(60);
  await answer(sent!.body.msg_id!);
  [sent] = test.sent();
  assertEquals([sent!.body.type, sent!.body.deadline_ms], ["two", 140]);
  await test.advance(140);
  [sent] = test.sent();
  assertEquals(
    [sent!.dest, sent!.body.code, sent!.body.text],
    ["c1", 0, "no reply from n2 within 140 ms"],
  );

  for (const none of [null, undefined]) {
    await ask(none);
    await test.advance(100);
    [sent] = test.sent();
    assertEquals([sent!.body.type, "deadline_ms" in sent!.body], [
      "one",
      false,
    ]);
    await test.advance(2000);
    assertEquals(test.sent().length, 1);
  }
  await ask(50);
  await test.advance(100);
  assertEquals(test.sent()[0]!.body.text, "no time is left to ask n2");
  for (const wrong of [-1, "300", {}, true]) {
    await ask(wrong);
    [sent] = test.sent();
    assertEquals(
      [sent!.body.code, sent!.body.text],
      [12, "'deadline_ms' is not a number from 0"],
    );
  }
  assertEquals(test.node.pendingCount, 0);
});

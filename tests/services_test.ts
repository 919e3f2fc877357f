import { assert, assertEquals } from "@std/assert";
import { ErrorCode, RpcError } from "../lib/errors.ts";
import type { AnyNode, SendBody } from "../lib/node.ts";
import {
  FAULT_KINDS,
  gSetWorkload,
  pnCounterWorkload,
  SeqKv,
  Simulation,
} from "../lib/sim/mod.ts";
import type { Kv, KvService } from "../lib/services.ts";
import { LwwKv, type Service, TestNode } from "../lib/testing.ts";

/** A node, and what an operation on one of its stores comes to while time passes. */
function setUp(service: KvService, services?: Record<string, Service>) {
  const test = new TestNode(() => {}, {
    random: () => 0.5,
    ...(services && {
      services: { [service]: null, "lin-tso": null, ...services },
    }),
  });
  const kv = test.node.kv(service);
  /** Begins an operation; what it came to so far. */
  function start<T>(operate: (kv: Kv) => Promise<T>) {
    const outcome: { value?: T; error?: RpcError } = {};
    operate(kv).then(
      (value) => outcome.value = value,
      (error) => outcome.error = error,
    );
    return outcome;
  }
  async function finish<T>(operate: (kv: Kv) => Promise<T>) {
    const outcome = start(operate);
    await test.advance(20_000);
    return outcome;
  }
  /** Answers the request that was sent last. */
  const answer = (body: SendBody) => {
    const { dest, body: { msg_id } } = test.messages.at(-1)!;
    return test.deliver({ src: dest, body: { ...body, in_reply_to: msg_id! } });
  };
  const asked = () =>
    test.sent().map(
      ({ dest, body: { msg_id: _, deadline_ms: __, ...body } }) => {
        assertEquals(dest, service);
        return body;
      },
    );
  return { test, start, finish, answer, asked };
}

const timeout = { type: "error", code: 0, text: "maybe" };
const refused = { type: "error", code: 22, text: "another value" };

Deno.test("read, readOr, write, cas: what is asked, and what comes of it", async () => {
  const { finish, asked } = setUp("lin-kv");
  const code = async (operate: (kv: Kv) => Promise<unknown>) =>
    (await finish(operate)).error?.code;
  assertEquals(await code((kv) => kv.read("x")), ErrorCode.keyDoesNotExist);
  assertEquals((await finish((kv) => kv.readOr("x", "none"))).value, "none");
  assertEquals(await code((kv) => kv.cas("x", 1, 2)), 20);
  assertEquals(await code((kv) => kv.write("x", [1])), undefined);
  assertEquals((await finish((kv) => kv.read("x"))).value, [1]);
  assertEquals(await code((kv) => kv.cas("x", [2], 3)), 22);
  assertEquals(await code((kv) => kv.cas("x", [1], null)), undefined);
  assertEquals((await finish((kv) => kv.readOr("x", "none"))).value, "none");
  assertEquals(asked(), [
    { type: "read", key: "x" },
    { type: "read", key: "x" },
    { type: "cas", key: "x", from: 1, to: 2 },
    { type: "write", key: "x", value: [1] },
    { type: "read", key: "x" },
    { type: "cas", key: "x", from: [2], to: 3 },
    { type: "cas", key: "x", from: [1], to: null },
    { type: "read", key: "x" },
  ]);
});

Deno.test("createIfNotExists says whose value is there, however often it is asked", async () => {
  for (const service of ["lin-kv", "seq-kv"] as const) {
    const { finish } = setUp(service);
    const create = async (value: string) =>
      (await finish((kv) => kv.createIfNotExists("leader", value))).value;
    assertEquals(await create("n1"), true);
    assertEquals(await create("n2"), false);
    assertEquals(await create("n1"), true);
  }
  const { finish } = setUp("lww-kv");
  const { error } = await finish((kv) => kv.createIfNotExists("leader", "n1"));
  assertEquals(error?.code, ErrorCode.keyDoesNotExist);
  const { start, answer } = setUp("lin-kv", {});
  const lost = start((kv) => kv.createIfNotExists("leader", "n1"));
  await answer(timeout);
  assertEquals([lost.value, lost.error?.definite], [undefined, false]);
});

Deno.test("operations keep to their limits", async () => {
  const { test, start } = setUp("seq-kv", {});
  const { node } = test;
  const outcomes = [
    (kv: Kv) => kv.read("x", { timeoutMs: 300 }),
    (kv: Kv) => kv.readOr("x", 1, { deadline: node.now() + 300, sync: true }),
    (kv: Kv) => kv.write("x", 1, { timeoutMs: 300 }),
    (kv: Kv) => kv.cas("x", 1, 2, { timeoutMs: 300 }),
    (kv: Kv) => kv.createIfNotExists("x", 1, { timeoutMs: 300 }),
    (kv: Kv) => kv.update("x", () => 1, { totalMs: 300 }),
    () => node.tso({ timeoutMs: 300 }),
  ].map(start);
  await test.advance(299);
  assert(outcomes.every(({ error }) => error === undefined));
  await test.advance(1);
  assertEquals(
    outcomes.map(({ error }) => error?.code),
    [0, 0, 0, 0, 0, 14, 0],
  );
  assertEquals(test.clock.timers, 0);
});

Deno.test("seq-kv may never tell who only reads; a read in sync is told the present", async () => {
  const kv = new SeqKv({ int: () => 0 }); // always the oldest state that is allowed
  const write = (value: number) =>
    kv.handle({
      src: "n2",
      dest: "seq-kv",
      body: { type: "write", key: "x", value },
    });
  const { test, finish } = setUp("seq-kv", { "seq-kv": kv });
  const read = async (sync: boolean) =>
    (await finish((kv) => kv.readOr("x", 0, { sync }))).value;
  for (let value = 1; value <= 3; value++) {
    write(value);
    assertEquals(await read(false), value === 1 ? 0 : value - 1);
    assertEquals(await read(false), value === 1 ? 0 : value - 1);
    assertEquals(await read(true), value);
  }
  const writes = test.messages.filter(({ body }) => body.type === "write");
  assertEquals(
    new Set(writes.map(({ body }) => body.key)),
    new Set(["sync n1"]),
  );
  assertEquals(new Set(writes.map(({ body }) => `${body.value}`)).size, 3);

  const lin = setUp("lin-kv");
  await lin.finish((kv) => kv.readOr("x", 0, { sync: true }));
  assertEquals(lin.asked().length, 1); // it is in sync anyway
  const lww = setUp("lww-kv");
  const { error } = await lww.finish((kv) => kv.read("x", { sync: true }));
  assertEquals(
    [error?.code, error?.message],
    [10, "lww-kv can't be read in sync: it knows no present"],
  );
});

Deno.test("update applies a function to what is there, and starts again when another was faster", async () => {
  const { test, start, answer, asked } = setUp("lin-kv", {});
  const added = start((kv) => kv.update("x", (x) => (x as number ?? 0) + 1));
  await answer({ type: "error", code: 20, text: "no key" });
  await answer(refused); // another has created it
  await test.advance(50);
  await answer({ type: "read_ok", value: 5 });
  await answer(refused); // another has changed it
  await test.advance(100);
  await answer({ type: "read_ok", value: 7 });
  await answer({ type: "cas_ok" });
  assertEquals(added, { value: 8 });
  assertEquals(asked(), [
    { type: "read", key: "x" },
    { type: "cas", key: "x", from: null, to: 1, create_if_not_exists: true },
    { type: "read", key: "x" },
    { type: "cas", key: "x", from: 5, to: 6 },
    { type: "read", key: "x" },
    { type: "cas", key: "x", from: 7, to: 8 },
  ]);
});

Deno.test("update with a wrong option fails with that", async () => {
  const { finish, asked } = setUp("lin-kv");
  const { error } = await finish((kv) =>
    kv.update("x", () => 1, { timeoutMs: 0 })
  );
  assert(error instanceof RangeError);
  assertEquals(asked(), []);
});

Deno.test("update that could not read, or came too late each time, certainly changed nothing", async () => {
  for (const service of ["lin-kv", "seq-kv"] as const) {
    const unread = setUp(service, {});
    const { error } = await unread.finish((kv) => kv.update("x", () => 1));
    assertEquals([error?.code, error?.definite], [14, true]);
    assert(unread.asked().length > 1); // a read is repeated
  }
  let reads = 0;
  const { finish } = setUp("lin-kv", {
    "lin-kv": {
      handle: ({ body }) =>
        body.type === "read" ? { type: "read_ok", value: reads++ } : refused,
    },
  });
  const { error } = await finish((kv) => kv.update("x", () => -1));
  assertEquals([error?.code, error?.message, error?.definite], [
    14,
    "nothing was changed: another value",
    true,
  ]);
});

Deno.test("update whose replacement may have happened says so, and does not apply it again", async () => {
  const { start, answer, asked, test } = setUp("lin-kv", {});
  const outcome = start((kv) => kv.update("x", (x) => x as number + 1));
  await answer({ type: "read_ok", value: 5 });
  await answer(timeout);
  await test.advance(10_000);
  assertEquals([outcome.error?.code, outcome.error?.definite], [0, false]);
  assertEquals(asked().length, 2);
});

Deno.test("update that is idempotent goes on, and no definite error hides what may have happened", async () => {
  const add = (kv: Kv) =>
    kv.update("x", (x) => [...new Set([...x as number[], 2])], {
      idempotent: true,
    });
  for (const happened of [true, false]) {
    const { start, answer, asked, test } = setUp("lin-kv", {});
    const outcome = start(add);
    await answer({ type: "read_ok", value: [1] });
    await answer(timeout);
    await test.advance(50);
    await answer({ type: "read_ok", value: happened ? [1, 2] : [1] });
    if (!happened) await answer({ type: "cas_ok" });
    assertEquals(outcome.value, [1, 2]);
    assertEquals(asked().length, happened ? 3 : 4);
  }
  const { start, answer, test } = setUp("lin-kv", {});
  const outcome = start(add);
  await answer({ type: "read_ok", value: [1] });
  await answer(timeout);
  await test.advance(20_000); // and no answer to any read
  assertEquals(outcome.error?.definite, false);
});

Deno.test("update: what the function throws ends it; what it does to its argument is no trap", async () => {
  const { test, finish } = setUp("lin-kv");
  await finish((kv) => kv.write("x", [1]));
  const poor = new RpcError(ErrorCode.preconditionFailed, "too poor");
  const busy = new RpcError(ErrorCode.temporarilyUnavailable, "closed today");
  for (const error of [poor, busy, new TypeError("bug")]) {
    const before = test.messages.length;
    const outcome = await finish((kv) =>
      kv.update("x", () => {
        throw error;
      })
    );
    assertEquals([outcome.error, test.messages.length], [error, before + 1]);
  }
  const pushed = await finish((kv) =>
    kv.update("x", (list) => {
      (list as number[]).push(2);
      return list;
    })
  );
  const there = await finish((kv) => kv.read("x"));
  assertEquals([pushed.value, there.value], [[1, 2], [1, 2]]);
  const before = test.messages.length;
  await finish((kv) => kv.update("x", (list) => list));
  assertEquals(test.messages.length, before + 1); // nothing to write
});

Deno.test("update has a predicate of the caller's, too", async () => {
  const { start, answer, asked, test } = setUp("lin-kv", {});
  const seen: [number, boolean][] = [];
  const outcome = start((kv) =>
    kv.update("x", () => 1, {
      retryIf(error, byDefault) {
        seen.push([(error as RpcError).code, byDefault]);
        return false;
      },
    })
  );
  await answer({ type: "read_ok", value: 5 });
  await answer(refused);
  await test.advance(1000);
  assertEquals([seen, outcome.error?.code], [[[14, true]], 14]);
  assertEquals(asked().length, 2);
});

Deno.test("tso hands out timestamps", async () => {
  const test = new TestNode((node) => {
    node.on("ts", async (_, limits) => ({ ts: await node.tso(limits) }));
  });
  for (let msg_id = 1; msg_id <= 3; msg_id++) {
    await test.deliver({ src: "c1", body: { type: "ts", msg_id } });
  }
  assertEquals(
    test.sent().filter(({ dest }) => dest === "c1").map(({ body }) => body.ts),
    [0, 1, 2],
  );
});

Deno.test("lww-kv's update refuses to create, and says so", async () => {
  const { finish } = setUp("lww-kv", { "lww-kv": new LwwKv({ int: () => 0 }) });
  const { error } = await finish((kv) => kv.update("x", () => 1));
  assertEquals(error?.code, ErrorCode.keyDoesNotExist);
});

/** A counter kept in a store. */
function counter(node: AnyNode, service: KvService): void {
  const kv = node.kv<number>(service);
  node.on("read", async (_, limits) => ({
    value: await kv.readOr("sum", 0, { ...limits, sync: true }),
  }));
  node.on<{ delta: number }>("add", async ({ body }, limits) => {
    await kv.update("sum", (sum = 0) => sum + body.delta, limits);
    return {};
  });
}

Deno.test("a counter by update is exact under every fault: what failed for certain is not in it, what succeeded is", async () => {
  let unknown = 0;
  let failed = 0;
  for (let seed = 0; seed < 40; seed++) {
    const service = seed % 2 === 0 ? "lin-kv" : "seq-kv";
    const { violations, counts } = await new Simulation({
      seed,
      nodes: 3,
      setUp: (node) => counter(node, service),
      workload: pnCounterWorkload,
      // A message that comes twice is obeyed twice by Maelstrom's services.
      faults: FAULT_KINDS.filter((kind) => kind !== "duplication"),
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
    assert(counts.ok > 10);
    unknown += counts.unknown;
    failed += counts.failed;
  }
  assert(unknown > 0 && failed > 0);
});

Deno.test("a set by idempotent updates keeps what was added, under every fault", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { violations } = await new Simulation({
      seed,
      nodes: 3,
      setUp(node) {
        const kv = node.kv<number[]>("lin-kv");
        node.on("read", async (_, limits) => ({
          value: await kv.readOr("set", [], limits),
        }));
        node.on<{ element: number }>("add", async ({ body }, limits) => {
          await kv.update(
            "set",
            (set = []) => [...new Set([...set, body.element])],
            { ...limits, idempotent: true },
          );
          return {};
        });
      },
      workload: gSetWorkload,
      faults: FAULT_KINDS,
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
  }
});

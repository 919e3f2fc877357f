import { assert, assertEquals, assertRejects } from "@std/assert";
import { ErrorCode, RpcError } from "../lib/errors.ts";
import type { RpcOptions } from "../lib/node.ts";
import { retry, type RetryOptions } from "../lib/retry.ts";
import { TestNode, type TestNodeOptions } from "../lib/testing.ts";

const { temporarilyUnavailable, abort, txnConflict, preconditionFailed } =
  ErrorCode;
const busy = new RpcError(temporarilyUnavailable, "busy");
const timeout = new RpcError(ErrorCode.timeout, "timeout");
const refused = new RpcError(preconditionFailed, "refused");

/**
 * Retries what fails with each of these errors in turn, and the last for ever;
 * `undefined` succeeds.
 */
function setUp(
  errors: unknown[],
  options: RetryOptions = {},
  nodeOptions: TestNodeOptions = { random: () => 0.5 },
) {
  const test = new TestNode(() => {}, nodeOptions);
  const { node, clock } = test;
  const attempts: { at: number; options: RpcOptions }[] = [];
  const outcome: { value?: unknown; error?: unknown; at?: number } = {};
  const promise = retry(node, (options) => {
    attempts.push({ at: clock.now(), options });
    const error = errors[Math.min(attempts.length, errors.length) - 1];
    return error === undefined
      ? Promise.resolve("done")
      : Promise.reject(error);
  }, options);
  promise.then((value) => outcome.value = value, (error) => {
    outcome.error = error;
    outcome.at = clock.now();
  });
  return { test, node, clock, attempts, outcome, promise };
}

async function ended(...args: Parameters<typeof setUp>) {
  const all = setUp(...args);
  await all.test.advance(100_000);
  return { ...all, count: all.attempts.length };
}

Deno.test("it waits at random, up to twice as long each time, up to a limit", async () => {
  const options = { minDelayMs: 100, maxDelayMs: 1000, maxAttempts: 7 };
  const half = await ended([busy], options);
  const starts = half.attempts.map(({ at }) => at);
  assertEquals(starts, [0, 50, 150, 350, 750, 1250, 1750]);
  assertEquals([half.outcome.error, half.outcome.at], [busy, 1750]);

  const none = await ended([busy], options, { random: () => 0 });
  assertEquals(none.attempts.map(({ at }) => at), [0, 1, 2, 3, 4, 5, 6]);
  const [one, another] = [
    await ended([busy], options, {}),
    await ended([busy], options, {}),
  ];
  assertEquals(
    one.attempts.map(({ at }) => at),
    another.attempts.map(({ at }) => at),
  );
  assert(one.attempts[1]!.at > 1);
});

Deno.test("by default only what certainly did not happen, and may pass, is repeated", async () => {
  for (const code of Object.values(ErrorCode)) {
    const error = new RpcError(code, "no");
    const passes = [temporarilyUnavailable, abort, txnConflict].includes(
      code as typeof abort,
    );
    const { count, outcome } = await ended([error, undefined]);
    assertEquals(count, passes ? 2 : 1, `${code}`);
    assertEquals(outcome.value, passes ? "done" : undefined);
  }
  const bug = new TypeError("bug");
  assertEquals((await ended([bug], { idempotent: true })).outcome.error, bug);
});

Deno.test("what may have happened is repeated where that is said to be harmless", async () => {
  for (const options of [{ idempotent: true }, { readOnly: true }]) {
    const { count, outcome } = await ended(
      [timeout, timeout, undefined],
      options,
    );
    assertEquals([count, outcome.value], [3, "done"]);
  }
});

Deno.test("a definite error after an attempt that may have succeeded is no definite end", async () => {
  const { outcome, count } = await ended([timeout, refused], {
    idempotent: true,
  });
  const error = outcome.error as RpcError;
  assertEquals([count, error.definite, error.cause], [2, false, refused]);
  assertEquals(
    error.message,
    "an earlier attempt may have succeeded; the last one: refused",
  );
  const repeated = await ended([timeout, busy], {
    idempotent: true,
    maxAttempts: 5,
  });
  assertEquals((repeated.outcome.error as RpcError).cause, busy);
  // But a read's answer is an answer, and what never may have happened did not.
  assertEquals(
    (await ended([timeout, refused], { readOnly: true })).outcome.error,
    refused,
  );
  assertEquals((await ended([busy, refused])).outcome.error, refused);
});

Deno.test("a predicate has the last word", async () => {
  const asked: [unknown, boolean][] = [];
  const { count, outcome } = await ended([refused, busy, timeout, busy], {
    retryIf(error, byDefault) {
      asked.push([error, byDefault]);
      return error === refused || error === timeout || asked.length < 4;
    },
  });
  assertEquals(asked, [[refused, false], [busy, true], [timeout, false], [
    busy,
    true,
  ]]);
  assertEquals([count, (outcome.error as RpcError).definite], [4, false]);
});

Deno.test("the time is for all attempts together, what they ask in turn included", async () => {
  const test = new TestNode((node) => {
    node.on("work", (_, limits) =>
      retry(node, async (options) => {
        await node.rpc("n2", { type: "a" }, options);
        await node.rpc("n3", { type: "b" }, options);
        return {};
      }, { ...limits, totalMs: 5000, idempotent: true, minDelayMs: 100 }));
  }, { random: () => 0.5 });
  const body = { type: "work", msg_id: 1 };
  const work = (deadline_ms?: number) =>
    test.deliver({ src: "c1", body: { ...body, deadline_ms } });
  await work();
  // Each a is answered just before it is too late, no b ever.
  for (let told = 0; told < 4;) {
    await test.advance(1000);
    const sent = test.sent();
    for (const { body, dest } of sent) {
      if (dest === "c1") {
        assertEquals([body.code, test.clock.now()], [0, 5000]);
        told = 4;
      }
      if (body.type !== "a") continue;
      const reply = { type: "a_ok", in_reply_to: body.msg_id! };
      test.node.after(
        1900,
        () => void test.deliver({ src: dest, body: reply }),
      );
    }
  }
  assertEquals(test.node.pendingCount, 0);

  await work(700);
  await test.advance(700);
  const last = test.sent().at(-1)!;
  assertEquals([last.dest, last.body.code], ["c1", 0]);
});

Deno.test("it gives up when the next wait would take longer than is left", async () => {
  const { attempts, outcome } = await ended([busy], {
    totalMs: 100,
    minDelayMs: 50,
  });
  assertEquals(attempts.map(({ at }) => at), [0, 25, 75]);
  assertEquals([outcome.error, outcome.at], [busy, 75]);
  assertEquals(attempts.map(({ options }) => options.deadline), [
    100,
    100,
    100,
  ]);
  const exactly = await ended([busy], { totalMs: 75, minDelayMs: 50 });
  assertEquals(exactly.attempts.map(({ at }) => at), [0, 25]);
  const { attempts: many } = await ended([busy], { totalMs: Infinity });
  assert(many.length > 50);
  assertEquals(many[0]!.options.deadline, Infinity);
});

Deno.test("an abort ends it at once, asleep or not, and is what it fails with", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const { test, outcome, attempts } = setUp([busy], { signal });
  await test.advance(30);
  controller.abort("enough");
  await test.advance(0);
  await test.deliver("");
  assertEquals([outcome.error, outcome.at, attempts.length], ["enough", 30, 2]);
  assertEquals(attempts[0]!.options.signal, signal);
  assertEquals(test.clock.timers, 0);
  const late = await ended([undefined], { signal });
  assertEquals([late.outcome.error, late.count], ["enough", 0]);

  for (const idempotent of [true, false]) {
    const during = new AbortController();
    const { node } = new TestNode(() => {});
    const promise = retry(
      node,
      (options) => node.rpc("n2", { type: "x" }, options),
      { signal: during.signal, idempotent },
    );
    during.abort("stop");
    assertEquals(await promise.catch((reason) => reason), "stop");
  }
});

Deno.test("the end of the node ends it", async () => {
  const { test, node, outcome } = setUp([busy]);
  await test.deliver("");
  await node.close();
  await test.deliver("");
  assertEquals(
    String(outcome.error),
    "RpcError: sleep cancelled: the node is shutting down",
  );
});

Deno.test("options out of range are named", async () => {
  const { node } = new TestNode(() => {});
  const least = { totalMs: 1, maxAttempts: 1, minDelayMs: 1, maxDelayMs: 1 };
  assertEquals(await retry(node, () => Promise.resolve(1), least), 1);
  const wrong: [RetryOptions, string][] = [
    [
      { totalMs: 0 },
      "'totalMs' must be from 1 to Infinity: current value is 0",
    ],
    [{ maxAttempts: 0 }, "'maxAttempts'"],
    [{ minDelayMs: NaN }, "'minDelayMs'"],
    [{ minDelayMs: 5, maxDelayMs: 4 }, "'maxDelayMs' must be from 5"],
  ];
  for (const [options, text] of wrong) {
    await assertRejects(
      () => retry(node, () => Promise.resolve(), options),
      RangeError,
      text,
    );
  }
});

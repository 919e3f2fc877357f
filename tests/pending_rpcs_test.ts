import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RpcError } from "../lib/errors.ts";
import type { Body } from "../lib/message.ts";
import { PendingRpcs, type RpcCallback } from "../lib/pending_rpcs.ts";

const ignore: RpcCallback = () => {};
const shutdown = new RpcError(13, "shutdown");
/** Reaps what is due at a time; returns what was. */
function reap(pending: PendingRpcs, due: number) {
  const reaped = { count: 0, oldestAgeMs: 0 };
  while (pending.reapFirst(due, due, reaped));
  return reaped;
}
/** Lets what a callback throws, such as a failed assertion, end the test. */
const rethrow = (error: unknown) => {
  throw error;
};

function replyFrom(src: string, msgId: number, body: Partial<Body> = {}) {
  return {
    src,
    dest: "n1",
    body: { type: "ok", in_reply_to: msgId, ...body },
  };
}

Deno.test("a reply settles its RPC once; then it is a duplicate", () => {
  const pending = new PendingRpcs(10, rethrow);
  const outcomes: unknown[] = [];
  pending.register(5, "n2", 0, 100, (...outcome) => outcomes.push(outcome));
  assertEquals(pending.settle(replyFrom("n2", 5)), "replied");
  assertEquals(pending.settle(replyFrom("n2", 5)), "duplicate");
  assertEquals(outcomes, [[undefined, { type: "ok", in_reply_to: 5 }]]);
  assertEquals(pending.size, 0);
});

Deno.test("a reply of type 'error' becomes an RpcError", () => {
  const pending = new PendingRpcs(10, rethrow);
  const errors: (RpcError | undefined)[] = [];
  const collect: RpcCallback = (error) => errors.push(error);
  pending.register(1, "n2", 0, 100, collect);
  pending.register(2, "n2", 0, 100, collect);
  pending.settle(replyFrom("n2", 1, { type: "error", code: 22, text: "no" }));
  pending.settle(replyFrom("n2", 2, { type: "error", code: "x", text: 1 }));
  assertEquals(errors.map((e) => [e!.code, e!.message]), [[22, "no"], [
    13,
    "",
  ]]);
});

Deno.test("late, stray and unknown replies change nothing and are told apart", () => {
  const pending = new PendingRpcs(10, rethrow);
  pending.register(1, "n2", 0, 100, ignore);
  pending.register(2, "n2", 0, 200, ignore);
  pending.register(3, "n2", 0, 200, ignore);
  assertEquals(pending.settle(replyFrom("n3", 1)), "stray");
  assertEquals(pending.size, 3);
  reap(pending, 100);
  assertEquals(pending.settle(replyFrom("n2", 1)), "late");
  assertEquals(pending.cancel(2, shutdown), true);
  assertEquals(pending.cancel(2, shutdown), false);
  assertEquals(pending.settle(replyFrom("n2", 2)), "late");
  assertEquals(pending.settle(replyFrom("n2", 0)), "unknown");
  assertEquals(pending.settle(replyFrom("n2", 4)), "unknown");
  assertEquals(pending.settle(replyFrom("n2", 2 ** 53 - 1)), "unknown");
  // The same place among the remembered, another id.
  assertEquals(pending.settle(replyFrom("n2", 1 + 16_384)), "unknown");
  const { late, stray, unknown, pending: left } = pending.stats();
  assertEquals({ late, stray, unknown, left }, {
    late: 2,
    stray: 1,
    unknown: 4,
    left: 1,
  });
});

Deno.test("a reply from elsewhere is stray, be its RPC pending, answered or given up", () => {
  const pending = new PendingRpcs(10, rethrow);
  for (const id of [1, 2, 3]) pending.register(id, "n2", 0, 100 * id, ignore);
  pending.settle(replyFrom("n2", 1));
  pending.cancel(2, shutdown);
  for (const id of [1, 2, 3]) {
    assertEquals(pending.settle(replyFrom("n3", id)), "stray");
  }
  const { stray, late, duplicate } = pending.stats();
  assertEquals([stray, late, duplicate], [3, 0, 0]);
});

Deno.test("ids far apart and close to 2^53 are found", () => {
  const pending = new PendingRpcs(10, rethrow);
  const ids = [0, 7, 2 ** 32 - 1, 2 ** 32, 2 ** 33, 2 ** 53 - 2, 2 ** 53 - 1];
  for (const id of ids) pending.register(id, "n2", 0, 100, ignore);
  for (const id of ids.toReversed()) {
    assertEquals(pending.settle(replyFrom("n2", id)), "replied");
    assertEquals(pending.settle(replyFrom("n2", id)), "duplicate");
  }
});

Deno.test("a reply to what was no RPC is unknown, wherever its id lies between those of RPCs", () => {
  const pending = new PendingRpcs(1000, rethrow);
  for (let id = 0; id < 1000; id += 1 + id % 7) {
    pending.register(id, "n2", 0, 100, ignore);
  }
  const { size } = pending;
  const outcomes = Array.from(
    { length: 1000 },
    (_, id) => pending.settle(replyFrom("n2", id)),
  );
  assertEquals(outcomes.filter((one) => one === "replied").length, size);
  assertEquals(outcomes.filter((one) => one === "unknown").length, 1000 - size);
});

Deno.test("RPCs with high ids share a segment, and an emptied table keeps one", () => {
  const pending = new PendingRpcs(10, rethrow);
  for (let id = 2 ** 40; id < 2 ** 40 + 10; id++) {
    pending.register(id, "n2", 0, 100, ignore);
  }
  assertEquals([pending.size, pending.capacity], [10, 1024]);
  reap(pending, 100);
  assertEquals([pending.size, pending.capacity], [0, 1024]);
});

Deno.test("each merge of two segments is told", () => {
  let merges = 0;
  const pending = new PendingRpcs(5000, rethrow, () => merges++);
  for (let id = 0; id < 2048; id++) pending.register(id, "n2", 0, 100, ignore);
  for (let id = 0; id < 2048; id++) {
    assertEquals(merges, pending.size > 512 ? 0 : 1, `${pending.size}`);
    if (id % 4 !== 0) pending.settle(replyFrom("n2", id));
  }
  assertEquals([pending.size, merges], [512, 1]);
});

Deno.test("memory follows what is pending with high ids, too", () => {
  const pending = new PendingRpcs(5000, rethrow);
  for (let i = 0; i < 4096; i++) {
    pending.register(2 ** 40 + i, "n2", 0, 100, ignore);
  }
  for (let i = 0; i < 4096; i++) {
    if (i % 16 !== 0) pending.settle(replyFrom("n2", 2 ** 40 + i));
  }
  assertEquals(pending.size, 256);
  assert(pending.capacity <= 2048, `${pending.capacity}`);
});

Deno.test("one RPC more than the limit fails with error 11", () => {
  const pending = new PendingRpcs(2, rethrow);
  pending.register(0, "n2", 0, 100, ignore);
  pending.register(1, "n2", 0, 100, ignore);
  const error = assertThrows(
    () => pending.register(2, "n2", 0, 100, ignore),
    RpcError,
    "the limit 'maxPending' is reached",
  );
  assertEquals([error.code, pending.size], [11, 2]);
});

Deno.test("RPCs that expire together are each told their own destination and timeout", () => {
  const pending = new PendingRpcs(10, rethrow);
  const told: string[] = [];
  for (
    const [id, [dest, timeoutMs]] of ([
      ["n2", 10],
      ["n3", 10],
      ["n3", 10],
      ["n3", 11],
      ["n2", 11],
      ["n2", 9.7],
    ] as const).entries()
  ) {
    pending.register(id, dest, 0, timeoutMs, (e) => told.push(e!.message));
  }
  reap(pending, 100);
  assertEquals(told, [
    "no reply from n2 within 9.7 ms",
    "no reply from n2 within 10 ms",
    "no reply from n3 within 10 ms",
    "no reply from n3 within 10 ms",
    "no reply from n3 within 11 ms",
    "no reply from n2 within 11 ms",
  ]);
});

Deno.test("an id that shares a settled one's place among the remembered is not taken for it", () => {
  const pending = new PendingRpcs(10, rethrow);
  pending.register(5, "n2", 0, 100, ignore);
  pending.settle(replyFrom("n2", 5));
  for (let times = 1; times < 2 ** 39; times *= 2) {
    const other = 5 + 16_384 * times;
    assertEquals(pending.settle(replyFrom("n2", other)), "unknown", `${other}`);
  }
  assertEquals(pending.settle(replyFrom("n2", 5)), "duplicate");
});

Deno.test("sparse ids, too far apart for one segment, are found after half of them has gone", () => {
  const pending = new PendingRpcs(2000, rethrow);
  const ids = Array.from({ length: 1024 }, (_, i) => i * 2 ** 24);
  for (const id of ids) pending.register(id, "n2", 0, 100, ignore);
  const gone = ids.filter((_, i) => i % 4 !== 1);
  for (const id of gone) assertEquals(pending.cancel(id, shutdown), true);
  for (const id of ids) {
    assertEquals(
      pending.settle(replyFrom("n2", id)) === "replied",
      !gone.includes(id),
    );
  }
  assertEquals(pending.size, 0);
});

Deno.test("what is withdrawn counts as never registered, and its id may come again", () => {
  const pending = new PendingRpcs(10, rethrow);
  pending.register(1, "n2", 0, 100, ignore);
  for (let i = 0; i < 2000; i++) {
    pending.register(2, "n2", 0, 50, rethrow);
    assertEquals(pending.withdraw(2), true);
    assertEquals(pending.withdraw(2), false);
  }
  assertEquals(pending.settle(replyFrom("n2", 2)), "unknown");
  const { registered, pending_max, cancelled } = pending.stats();
  assertEquals([registered, pending_max, cancelled], [1, 1, 0]);
  assertEquals([pending.firstDeadline, pending.capacity <= 2048], [100, true]);
  pending.register(2, "n3", 0, 50, ignore);
  assertEquals(pending.settle(replyFrom("n3", 2)), "replied");
  assertEquals(pending.settle(replyFrom("n2", 1)), "replied");
});

Deno.test("pending_max is the most that ever waited at once", () => {
  const pending = new PendingRpcs(10, rethrow);
  for (let id = 0; id < 3; id++) pending.register(id, "n2", id, 10, ignore);
  reap(pending, 11);
  assertEquals(pending.stats().pending_max, 3);
  pending.register(3, "n2", 20, 10, ignore);
  assertEquals([pending.size, pending.stats().pending_max], [2, 3]);
});

Deno.test("a timeout error has code 0 and says who did not answer", () => {
  const pending = new PendingRpcs(10, rethrow);
  let error: RpcError | undefined;
  pending.register(0, "n2", 0, 1234.5, (e) => error = e);
  assertEquals(reap(pending, 1234.4), { count: 0, oldestAgeMs: 0 });
  assertEquals(reap(new PendingRpcs(10, rethrow), 1e15).count, 0);
  assertEquals(reap(pending, 1300), { count: 1, oldestAgeMs: 1300 });
  assertEquals([error!.code, error!.message], [
    0,
    "no reply from n2 within 1234.5 ms",
  ]);
  assertEquals(error!.definite, false);
});

Deno.test("what a callback throws harms no other", () => {
  const thrown: unknown[] = [];
  const pending = new PendingRpcs(10, (error) => thrown.push(error));
  const called: number[] = [];
  for (const id of [0, 1, 2]) {
    pending.register(id, "n2", 0, 100, () => {
      called.push(id);
      if (id < 2) throw id;
    });
  }
  assertEquals(reap(pending, 100).count, 3);
  assertEquals([called, thrown], [[0, 1, 2], [0, 1]]);
});

Deno.test("cancelFirst goes by deadline, and takes what callbacks register, too", () => {
  const pending = new PendingRpcs(10, rethrow);
  const called: number[] = [];
  pending.register(0, "n2", 0, 200, () => {
    called.push(0);
    pending.register(2, "n2", 0, 50, () => called.push(2));
  });
  pending.register(1, "n2", 0, 100, () => called.push(1));
  while (pending.cancelFirst(shutdown));
  assertEquals([called, pending.size], [[1, 0, 2], 0]);
  assertEquals(pending.cancelFirst(shutdown), false);
});

/** What a test does to the table; `in` a callback, it does the inner one when invoked. */
type Command =
  | { do: "register"; dest: number; timeoutMs: number; inner?: Command }
  | { do: "settle"; pick: number; src: number }
  | { do: "cancel"; pick: number }
  | { do: "reap"; max: number }
  | { do: "advance"; ms: number };

const plainCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    do: fc.constant("register" as const),
    dest: fc.nat(2),
    timeoutMs: fc.integer({ min: 1, max: 30 }),
  }),
  fc.record({
    do: fc.constant("settle" as const),
    pick: fc.nat(),
    src: fc.nat(2),
  }),
  fc.record({ do: fc.constant("cancel" as const), pick: fc.nat() }),
  fc.record({
    do: fc.constant("reap" as const),
    max: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.nat(20) }),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  plainCommand,
  fc.record({
    do: fc.constant("register" as const),
    dest: fc.nat(2),
    timeoutMs: fc.integer({ min: 1, max: 30 }),
    inner: plainCommand,
  }),
);

interface ModelEntry {
  id: number;
  dest: string;
  deadline: number;
}

/** Plays commands against the table and a naive model side by side. */
class Play {
  readonly pending = new PendingRpcs(Infinity, rethrow);
  model: ModelEntry[] = [];
  readonly invoked = new Map<number, number>();
  now = 0;
  nextId = 0;
  reaped = 0;

  run(command: Command): void {
    const { pending } = this;
    switch (command.do) {
      case "register": {
        const { dest, timeoutMs, inner } = command;
        const id = this.nextId += 1 + dest; // gaps, as replies make them
        const entry = { id, dest: `n${dest}`, deadline: this.now + timeoutMs };
        this.model.push(entry);
        pending.register(
          id,
          entry.dest,
          this.now,
          timeoutMs,
          (error) => {
            this.invoked.set(id, (this.invoked.get(id) ?? 0) + 1);
            this.model = this.model.filter((other) => other.id !== id);
            if (error?.code === 0) {
              this.reaped++;
              assert(this.now >= entry.deadline, "reaped early");
              for (const other of this.model) {
                assert(
                  other.deadline > entry.deadline ||
                    (other.deadline === entry.deadline && other.id > id),
                  "reaped out of order",
                );
              }
            }
            if (inner) this.run(inner);
          },
        );
        break;
      }
      case "settle": {
        const entry = this.#pick(command.pick);
        const src = `n${command.src}`;
        const outcome = pending.settle(replyFrom(src, entry?.id ?? 10 ** 9));
        assertEquals(
          outcome,
          !entry ? "unknown" : entry.dest === src ? "replied" : "stray",
        );
        break;
      }
      case "cancel": {
        const entry = this.#pick(command.pick);
        assertEquals(
          pending.cancel(entry?.id ?? 10 ** 9, shutdown),
          entry !== undefined,
        );
        break;
      }
      case "reap": {
        const { now } = this; // a callback may move it on
        const reaped = { count: 0, oldestAgeMs: 0 };
        let more = true;
        while (more && reaped.count < command.max) {
          more = pending.reapFirst(now, now, reaped);
        }
        assertEquals(
          more,
          this.model.some(({ deadline }) => deadline <= now),
        );
        break;
      }
      case "advance":
        this.now += command.ms;
    }
  }

  check(): void {
    const { pending, model, invoked } = this;
    assertEquals(pending.size, model.length);
    assertEquals(
      pending.firstDeadline,
      Math.min(Infinity, ...model.map(({ deadline }) => deadline)),
    );
    for (const times of invoked.values()) assertEquals(times, 1);
    const { registered, replied, reaped, cancelled } = pending.stats();
    assertEquals(registered, replied + reaped + cancelled + model.length);
    assertEquals(reaped, this.reaped);
    assertEquals(replied + reaped + cancelled, invoked.size);
  }

  #pick(pick: number): ModelEntry | undefined {
    return this.model[pick % this.model.length];
  }
}

Deno.test("property: behaves as a naive model, every callback exactly once, in order, never early", () => {
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 200, size: "max" }),
      (commands) => {
        const play = new Play();
        for (const command of commands) {
          play.run(command);
          play.check();
        }
        while (play.pending.cancelFirst(shutdown));
        play.check();
        assertEquals(play.model, []);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("property: over many segments, as they fill, thin out, merge and drop: exactly once, in order, in bounded memory", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 - 2 }),
      fc.integer({ min: 2000, max: 8000 }),
      fc.constantFrom(0, 0.5, 0.9, 0.99, 1),
      (seed, count, settledShare) => {
        const random = () =>
          (seed = seed * 48_271 % 2_147_483_647) / 2_147_483_647;
        const pending = new PendingRpcs(Infinity, rethrow);
        const invoked: number[] = [];
        const timeouts: number[] = [];
        for (let id = 0; id < count; id++) {
          timeouts[id] = 1 + Math.floor(random() * 5);
          const callback = () => invoked.push(id);
          pending.register(id * 3, `n${id % 5}`, 0, timeouts[id]!, callback);
        }
        assertEquals(pending.capacity, Math.ceil(count / 1024) * 1024);
        const settled = timeouts.map((_, id) => id)
          .filter(() => random() < settledShare)
          .sort(() => random() - 0.5);
        for (const id of settled) {
          const reply = replyFrom(`n${id % 5}`, id * 3);
          assertEquals(pending.settle(reply), "replied");
          // Neighbours are at least half a segment full together, but for 64 removals each.
          assert(
            pending.capacity <= 5 * pending.size + 4 * 1024,
            `${pending.capacity} for ${pending.size}`,
          );
        }
        assertEquals(invoked, settled);
        const expired = timeouts.map((_, id) => id)
          .filter((id) => !settled.includes(id))
          .sort((a, b) => timeouts[a]! - timeouts[b]! || a - b);
        invoked.length = 0;
        reap(pending, 5);
        assertEquals(invoked, expired);
        assertEquals([pending.size, pending.capacity <= 1024], [0, true]);
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("nothing refers to a callback, or to its destination, after it has run", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--v8-flags=--expose-gc", "tests/leak_check.ts"],
    cwd: new URL("../", import.meta.url),
    stderr: "inherit",
  }).output();
  const { leftHeap, heap, external, ...others } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  assertEquals(others, {
    leftPending: 10,
    leftAlive: 10,
    pending: 0,
    emptied: 0,
    alive: 0,
  });
  // 30,000 leaked names would be over 6 MB.
  assert(leftHeap < 4_000_000, `${leftHeap} bytes more with 10 left`);
  assert(heap < 300_000, `${heap} bytes more on the heap`);
  // All 30 segments would be 660 kB more.
  assert(external < 500_000, `${external} bytes more beside it`);
});

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PendingRpcs } from "../lib/pending_rpcs.ts";
import { Reaper, type ReapReport } from "../lib/reaper.ts";
import { nextMacrotask } from "../lib/sim/macrotask.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";

/** A reaper under a virtual clock, with what it reported. */
function setUp(
  options: {
    intervalMs?: number;
    caughtUp?: (lateMs: number) => Promise<void> | undefined;
  } = {},
) {
  const clock = new VirtualClock();
  const pending = new PendingRpcs(Infinity, (error) => {
    throw error;
  });
  const reports: ReapReport[] = [];
  const failures: unknown[] = [];
  const reaper = new Reaper({
    pending,
    clock,
    intervalMs: options.intervalMs,
    graceMs: 2000,
    report: (report) => reports.push({ ...report }),
    caughtUp: options.caughtUp ?? (() => undefined),
    failed: (error) => failures.push(error),
  });
  let nextId = 0;
  const timedOut: { id: number; at: number }[] = [];
  function register(timeoutMs: number, then?: () => void): number {
    const id = nextId++;
    pending.register(id, "n2", clock.now(), timeoutMs, () => {
      timedOut.push({ id, at: clock.now() });
      then?.();
    });
    reaper.update();
    return id;
  }
  function settle(id: number): void {
    pending.settle({
      src: "n2",
      dest: "n1",
      body: { type: "ok", in_reply_to: id },
    });
    reaper.update();
  }
  /** Lets time pass; what a timer's callback began has come to its end before the next fires. */
  async function advance(ms: number): Promise<void> {
    const end = clock.now() + ms;
    do await nextMacrotask(); while (clock.fireNext(end));
    if (clock.now() < end) clock.advance(end - clock.now()); // else a callback was busy
  }
  return {
    advance,
    clock,
    pending,
    reaper,
    reports,
    failures,
    register,
    settle,
    timedOut,
  };
}

Deno.test("reaps at the deadline and reports count, oldest age and what remains", () => {
  const { clock, register, reports, timedOut } = setUp();
  register(100);
  clock.advance(30);
  register(70);
  register(500);
  clock.advance(69);
  assertEquals(timedOut, []);
  clock.advance(1);
  assertEquals(timedOut, [{ id: 0, at: 100 }, { id: 1, at: 100 }]);
  assertEquals(reports, [{ count: 2, oldestAgeMs: 100, remaining: 1 }]);
});

Deno.test("one timer, only while something is pending, re-armed only for an earlier deadline", () => {
  const { clock, register, settle, reports } = setUp();
  assertEquals(clock.timers, 0);
  const first = register(100);
  register(200);
  register(50);
  assertEquals(clock.timers, 1);
  clock.advance(50);
  assertEquals(reports.length, 1);
  assertEquals(clock.timers, 1);
  settle(first);
  clock.advance(100); // its timer fires for nothing, and goes on to the next deadline
  assertEquals(reports.length, 1);
  settle(1);
  assertEquals(clock.timers, 0);
});

Deno.test("a fractional deadline is not reaped early", () => {
  const { clock, register, timedOut } = setUp();
  clock.busy(0.25);
  register(1.5);
  clock.advance(1.74);
  assertEquals(timedOut, []);
  clock.advance(0.5);
  assertEquals(timedOut.length, 1);
});

Deno.test("interval mode scans at the interval, and only while something is pending", () => {
  const { clock, register, reports, timedOut } = setUp({ intervalMs: 500 });
  assertEquals(clock.timers, 0);
  register(100);
  register(600);
  assertEquals(clock.timers, 1);
  clock.advance(499);
  assertEquals(timedOut, []);
  clock.advance(1);
  assertEquals(reports, [{ count: 1, oldestAgeMs: 500, remaining: 1 }]);
  clock.advance(500);
  assertEquals(reports[1], { count: 1, oldestAgeMs: 1000, remaining: 0 });
  assertEquals(clock.timers, 0);
});

Deno.test("readable input is handled first: a reply that is already here is no timeout", async () => {
  const handled = Promise.withResolvers<void>();
  const { clock, register, settle, timedOut, pending } = setUp({
    caughtUp: () => handled.promise,
  });
  const id = register(100);
  register(100);
  clock.advance(150);
  assertEquals(timedOut, []);
  settle(id);
  handled.resolve();
  await handled.promise;
  assertEquals(timedOut, [{ id: 0, at: 150 }, { id: 1, at: 150 }]); // id 0 by its reply
  assertEquals(pending.stats().reaped, 1);
});

Deno.test("who is asked for the input is told how late the timer was", () => {
  for (const intervalMs of [undefined, 100]) {
    const late: number[] = [];
    const { clock, register } = setUp({
      ...(intervalMs ? { intervalMs } : {}),
      caughtUp: (lateMs) => void late.push(lateMs),
    });
    register(100);
    clock.advance(100);
    register(50);
    register(100);
    clock.busy(130);
    clock.advance(0);
    assertEquals(late, [0, intervalMs ? 30 : 80]);
  }
});

Deno.test("what falls due while input is handled waits for its own turn", async () => {
  const handled = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ];
  const late: number[] = [];
  const { clock, register, timedOut } = setUp({
    caughtUp: (lateMs) => handled[late.push(lateMs) - 1]!.promise,
  });
  register(100);
  register(120);
  clock.advance(130); // due is what was at 100
  handled[0]!.resolve();
  await handled[0]!.promise;
  assertEquals([timedOut.length, late], [1, [0]]);
  clock.advance(0);
  assertEquals(late, [0, 0]); // its timer was set at 130, to fire at once: it was not late
  handled[1]!.resolve();
  await handled[1]!.promise;
  assertEquals(timedOut.length, 2);
});

Deno.test("input that never ends delays a timeout by 2 s, not for ever", () => {
  const { clock, register, timedOut } = setUp({
    caughtUp: () => new Promise(() => {}),
  });
  register(100);
  clock.advance(2099);
  assertEquals(timedOut, []);
  clock.advance(1);
  assertEquals(timedOut, [{ id: 0, at: 2100 }]);
  assertEquals(clock.timers, 0);
});

Deno.test("a long reap hands the event loop back every few milliseconds, and reports once", async () => {
  const { advance, clock, register, reports, timedOut } = setUp();
  for (let i = 0; i < 100; i++) register(10, () => clock.busy(0.0625));
  const turns: number[] = [];
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (fn, delayMs) =>
    setTimer(() => {
      turns.push(timedOut.length);
      fn();
    }, delayMs);
  await advance(30);
  assertEquals(
    timedOut.map(({ id }) => id),
    Array.from({ length: 100 }, (_, id) => id),
  );
  assertEquals(turns, [32, 64, 96]); // 2 ms each
  assertEquals(timedOut.at(-1)!.at, 10 + 99 * 0.0625); // and nothing between
  const oldestAgeMs = 10 + 99 * 0.0625; // when the last was reaped
  assertEquals(reports, [{ count: 100, oldestAgeMs, remaining: 0 }]);
});

Deno.test("input that comes between two slices is handled before the next one", async () => {
  let handled: PromiseWithResolvers<void> | undefined;
  const { advance, clock, register, settle, pending } = setUp({
    caughtUp: () => handled?.promise,
  });
  for (let i = 0; i < 99; i++) register(10, () => clock.busy(0.0625));
  const last = register(10);
  await advance(10);
  assertEquals(pending.stats().reaped, 32); // a slice
  handled = Promise.withResolvers();
  await advance(50);
  assertEquals(pending.stats().reaped, 32);
  settle(last);
  handled.resolve();
  await handled.promise;
  handled = undefined;
  await advance(50);
  const { reaped, replied } = pending.stats();
  assertEquals([reaped, replied], [99, 1]);
});

Deno.test("the bound on waiting for input holds for a reap, not for each of its slices", () => {
  const { clock, register, timedOut } = setUp({
    caughtUp: () => new Promise(() => {}),
  });
  for (let i = 0; i < 5; i++) register(100, () => clock.busy(3));
  clock.advance(2100);
  assertEquals(timedOut.length, 1); // 3 ms: a slice
  clock.advance(0);
  assertEquals(timedOut.length, 2);
  clock.advance(12);
  assertEquals(timedOut.length, 5);
});

Deno.test("a report has the highest age over all slices, each callback's when it was reaped", () => {
  const { clock, register, reports } = setUp();
  const slow = () => clock.busy(5); // a slice of its own
  register(60, slow);
  clock.busy(45);
  register(5, slow);
  clock.busy(20);
  register(5, slow);
  clock.busy(35);
  clock.advance(0); // 100: all are due
  clock.advance(20);
  assertEquals(reports, [{ count: 3, oldestAgeMs: 105, remaining: 0 }]);
});

Deno.test("interval mode goes on scanning after a reap that took several slices", async () => {
  const { advance, clock, register, timedOut } = setUp({ intervalMs: 500 });
  for (let i = 0; i < 100; i++) register(10, () => clock.busy(0.0625));
  register(800);
  await advance(500);
  await advance(20); // the slices take their time
  assertEquals([timedOut.length, clock.timers], [100, 1]);
  await advance(500);
  assertEquals(timedOut.length, 101);
});

Deno.test("after stop nothing is reaped and no timer is left", async () => {
  const handled = Promise.withResolvers<void>();
  const { clock, register, reaper, timedOut } = setUp({
    caughtUp: () => handled.promise,
  });
  register(100);
  clock.advance(100);
  reaper.stop();
  handled.resolve();
  await handled.promise;
  register(100);
  clock.advance(5000);
  assertEquals([timedOut, clock.timers], [[], 0]);
});

Deno.test("after stop nothing arms the reaper again", () => {
  const { clock, register, reaper, timedOut } = setUp();
  reaper.stop();
  register(100);
  clock.advance(5000);
  assertEquals([timedOut, clock.timers], [[], 0]);
});

Deno.test("property: never early, never more than a timer's millisecond late, no timer without need", async () => {
  const step = fc.oneof(
    fc.record({ timeoutMs: fc.double({ min: 1, max: 50, noNaN: true }) }),
    fc.record({ advance: fc.double({ min: 0, max: 20, noNaN: true }) }),
    fc.record({ settle: fc.nat() }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 100, size: "max" }),
      async (steps) => {
        const { advance, clock, pending, register, settle } = setUp();
        const open = new Set<number>();
        let settling = false;
        for (const step of steps) {
          if ("timeoutMs" in step) {
            const deadline = clock.now() + step.timeoutMs;
            const id = register(step.timeoutMs, () => {
              const lateMs = clock.now() - deadline;
              assert(settling || (lateMs >= 0 && lateMs < 1.001), `${lateMs}`);
              open.delete(id);
            });
            open.add(id);
          } else if ("advance" in step) await advance(step.advance);
          else if (open.size > 0) {
            settling = true;
            settle([...open][step.settle % open.size]!);
            settling = false;
          }
          assertEquals(pending.size, open.size);
          assertEquals(clock.timers, pending.size === 0 ? 0 : 1);
        }
      },
    ),
  );
});

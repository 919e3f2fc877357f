/** Memory is given back when there is little to do: on virtual time, with a made-up process. */
import { assertEquals } from "@std/assert";
import { Memory } from "../lib/stdio/memory.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";

const MIB = 1024 * 1024;

/** A process of 50 MiB, and how often its garbage was collected. */
function setUp() {
  const clock = new VirtualClock();
  const process = { rss: 50 * MIB, heapUsed: 10 * MIB, pending: 0 };
  let collections = 0;
  const memory = new Memory(() => process.pending, {
    memoryUsage: () => process,
    collect: () => {
      collections++;
      process.rss = 50 * MIB;
      clock.advance(40);
      return Promise.resolve();
    },
    eventLoop: clock,
    now: () => clock.now(),
  });
  /** So many events, and the second after them. */
  async function second(events: number): Promise<number> {
    for (let i = 0; i < events; i++) memory.used();
    clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 0));
    return collections;
  }
  return { clock, process, memory, second };
}

Deno.test("memory: a process that has grown is collected once it has little to do, and then sleeps", async () => {
  const { clock, process, second } = setUp();
  process.rss = 100 * MIB;
  assertEquals(await second(101), 0); // busy
  assertEquals(await second(100), 1);
  assertEquals(clock.timers, 0);
});

Deno.test("memory: what is in use, too big, or not worth it is left alone", async () => {
  const { process, second } = setUp();
  process.rss = 61 * MIB;
  assertEquals(await second(1), 0);
  process.rss = 300 * MIB;
  process.pending = 1001;
  assertEquals(await second(1), 0);
  process.pending = 0;
  process.heapUsed = 129 * MIB;
  assertEquals(await second(1), 0);
  process.heapUsed = 10 * MIB;
  assertEquals(await second(1), 1);
});

Deno.test("memory: the next collection waits a hundred times as long as the last one took; stop() disarms", async () => {
  const { clock, process, memory, second } = setUp();
  process.rss = 100 * MIB;
  assertEquals(await second(1), 1); // takes 40 ms
  process.rss = 100 * MIB;
  assertEquals(await second(1), 1);
  for (let i = 0; i < 2; i++) assertEquals(await second(0), 1);
  assertEquals(await second(0), 2);
  memory.used();
  memory.stop();
  assertEquals(clock.timers, 0);
});

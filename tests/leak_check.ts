/**
 * Registers callbacks, each with a destination of its own, settles, cancels and
 * reaps them in every way, and prints what is left: run by a test, in a process
 * of its own as it needs `--v8-flags=--expose-gc`.
 */
import { DeadlineHeap } from "../lib/deadline_heap.ts";
import { RpcError } from "../lib/errors.ts";
import { PendingRpcs, type RpcCallback } from "../lib/pending_rpcs.ts";

const { gc } = globalThis as unknown as { gc: () => void };
const pending = new PendingRpcs(Infinity, () => {});
const reaped = { count: 0, oldestAgeMs: 0 };
const callbacks: WeakRef<RpcCallback>[] = [];
const nameOf = (id: number) => `a destination of its own: ${id}`.padEnd(200);

/** Bytes of the heap, and of typed arrays beside it. */
function memory(): [heap: number, external: number] {
  gc();
  gc(); // typed arrays whose owners the first one collected
  const { heapUsed, external } = Deno.memoryUsage();
  return [heapUsed, external];
}

function register(first: number): void {
  for (let id = first; id < first + 30_000; id++) {
    const callback = () => id;
    if (id % 100 === 0) callbacks.push(new WeakRef(callback));
    pending.register(id, nameOf(id), 0, 100, callback);
  }
}

/** A WeakRef holds on to its target until the turn in which it was made is over. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** How many of those that are watched, one in 100, are still there. */
function alive(): number {
  return callbacks.filter((callback) => callback.deref()).length;
}

function settle(id: number): void {
  const body = { type: "ok", in_reply_to: id };
  pending.settle({ src: nameOf(id), dest: "n1", body });
}

const [, externalAtFirst] = memory();
for (const first of [0, 30_000]) { // what grows once, grows here
  register(first);
  while (pending.reapFirst(100, 100, reaped));
  await turn();
}
const [heapBefore] = memory();
register(60_000);
for (let id = 60_000; id < 70_000; id++) {
  settle(id);
  pending.cancel(id + 10_000, new RpcError(13, "cancelled"));
}
for (let id = 80_000; id < 90_000; id++) if (id % 4 !== 0) settle(id); // the others move together
for (let id = 80_000; id < 90_000; id += 4) if (id % 1000 !== 0) settle(id);
for (let id = 90_000; id < 490_000; id++) { // one after the other
  pending.register(id, nameOf(id), 0, 100, () => {});
  settle(id);
}
await turn();
const [heapLeft] = memory();
const leftPending = pending.size;
const leftAlive = alive();
for (let i = 1; i <= 60_000; i++) { // so far apart that each takes a segment
  for (const id of [i * 2 ** 34, i * 2 ** 34 + 2 ** 33]) {
    pending.register(id, "n1", 0, 100, () => {});
  }
  while (pending.reapFirst(100, 100, reaped));
}
const positions: number[] = [];
const emptied = new DeadlineHeap({
  moved: (item, position) => positions[item] = position,
  precedes: () => false,
});
for (let i = 0; i < 100_000; i++) emptied.push(i, i);
while (emptied.size > 0) emptied.removeAt(positions[emptied.firstItem]!);
positions.length = 0;
await turn();
const [heap, external] = memory();
console.log(JSON.stringify({
  leftPending,
  leftAlive,
  leftHeap: heapLeft - heapBefore,
  pending: pending.size,
  emptied: emptied.size,
  alive: alive(),
  heap: heap - heapBefore,
  external: external - externalAtFirst,
}));

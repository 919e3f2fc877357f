/**
 * Registers 30,000 callbacks, each with a destination of its own, settles,
 * cancels and reaps them, and prints what is left: run by a test, in a process
 * of its own as it needs `--v8-flags=--expose-gc`.
 */
import { RpcError } from "../lib/errors.ts";
import { PendingRpcs, type RpcCallback } from "../lib/pending_rpcs.ts";

const { gc } = globalThis as unknown as { gc: () => void };
const pending = new PendingRpcs(Infinity, () => {});
const callbacks: WeakRef<RpcCallback>[] = [];
const nameOf = (id: number) => `a destination of its own: ${id}`;

function heapUsed(): number {
  gc();
  return Deno.memoryUsage().heapUsed;
}

function register(first: number): void {
  for (let id = first; id < first + 30_000; id++) {
    const callback = () => id;
    if (id % 1000 === 0) callbacks.push(new WeakRef(callback));
    pending.register(id, nameOf(id), 0, 100, callback);
  }
}

/** A WeakRef holds on to its target until the turn in which it was made is over. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

for (const first of [0, 30_000]) { // what grows once, grows here
  register(first);
  pending.reap(100);
  await turn();
}
const before = heapUsed();
register(60_000);
for (let id = 60_000; id < 70_000; id++) {
  const body = { type: "ok", in_reply_to: id };
  pending.settle({ src: nameOf(id), dest: "n1", body });
  pending.cancel(id + 10_000, new RpcError(13, "cancelled"));
}
pending.reap(100);
await turn();
const bytes = heapUsed() - before;
console.log(JSON.stringify({
  pending: pending.size,
  alive: callbacks.filter((callback) => callback.deref()).length,
  bytes,
}));

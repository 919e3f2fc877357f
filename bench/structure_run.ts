/**
 * One round of one structure, in a process of its own, so that no other's
 * garbage and compiled code is in it: `structure_run.ts BENCHMARK STRUCTURE
 * COUNT` prints the sample as JSON. Needs `--v8-flags=--expose-gc`.
 *
 * Times are CPU times, as others use the machine, too: of the whole process,
 * collecting garbage included, where work is measured; of the main thread
 * where the longest stall is.
 */
import { processCpuMs, threadCpuMs } from "./cpu.ts";
import type { Sample } from "./harness.ts";
import { type Structure, structures } from "./structures.ts";

/** Virtual time between two registrations while a structure is filled, in ms. */
const STEP_MS = 0.001;
const TIMEOUT_MS = 2000;
const END_OF_TIME = 1e15;
/** How many calls lie between two looks at the clock where the longest call is looked for. */
const GROUP = 32;

const [benchmark, name, countText] = Deno.args;
const count = Number(countText);
const make = structures[name!]!;

function cpuNs(work: () => void): number {
  const before = processCpuMs();
  work();
  return (processCpuMs() - before) * 1e6;
}

/** The ids 0 to count - 1 in an order that a seed determines. */
function shuffled(count: number): Uint32Array {
  const ids = Uint32Array.from({ length: count }, (_, i) => i);
  let seed = 1;
  for (let i = count - 1; i > 0; i--) {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
    const j = Math.floor(seed / 2 ** 32 * (i + 1));
    [ids[i], ids[j]] = [ids[j]!, ids[i]!];
  }
  return ids;
}

/** Registers `count` RPCs from `firstId` on, each with its deadline in ms. */
function fill(
  structure: Structure,
  firstId: number,
  deadline: (i: number) => number = growing,
): void {
  for (let i = 0; i < count; i++) {
    structure.register(firstId + i, deadline(i) - TIMEOUT_MS, TIMEOUT_MS);
  }
}

/** As they come with one timeout for all. */
const growing = (i: number) => i * STEP_MS + TIMEOUT_MS;
/** All at once. */
const equal = () => TIMEOUT_MS;
/** Each RPC with another timeout. */
const random = (i: number) =>
  (Math.imul(i, 0x9e3779b1) >>> 0) / 2 ** 32 * TIMEOUT_MS;

function settleAll(
  structure: Structure,
  firstId: number,
  order?: Uint32Array,
): void {
  for (let i = 0; i < count; i++) {
    structure.settle(firstId + (order ? order[i]! : i));
  }
}

const { gc } = globalThis as unknown as { gc: () => void };

/** Bytes in use after all garbage is collected, typed arrays included. */
function bytesInUse(): number {
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** The longest group of calls in ms; an upper bound of the longest call. */
function longestMs(call: (i: number) => void): number {
  let longest = 0;
  for (let i = 0; i < count;) {
    const before = threadCpuMs();
    for (const end = Math.min(i + GROUP, count); i < end; i++) call(i);
    longest = Math.max(longest, threadCpuMs() - before);
  }
  return longest;
}

/** The longest time that the event loop was kept busy in one turn until `done`, in ms. */
async function longestTurnMs(done: () => boolean): Promise<number> {
  let longest = 0;
  for (;;) {
    const before = threadCpuMs();
    await new Promise((resolve) => setTimeout(resolve, 0));
    longest = Math.max(longest, threadCpuMs() - before);
    if (done()) return longest;
  }
}

/** Register, settle in order and at random, reap: CPU time of each. */
async function operations(): Promise<Sample> {
  const structure = await make();
  const order = shuffled(count);
  const total = {
    register: 0,
    inOrder: 0,
    atRandom: 0,
    reap: 0,
    equal: 0,
    random: 0,
  };
  // Enough of them to be measured; the first fifth is for the compiler.
  const repeats = Math.max(1, Math.round(200_000 / count));
  const warmUps = Math.ceil(repeats / 4);
  let id = 0;
  for (let repeat = -warmUps; repeat < repeats; repeat++) {
    if (repeat === 0) {
      for (const key of Object.keys(total)) {
        total[key as keyof typeof total] = 0;
      }
    }
    const step = (key: keyof typeof total, work: () => void) => {
      total[key] += cpuNs(work);
    };
    step("register", () => fill(structure, id));
    step("atRandom", () => settleAll(structure, id, order));
    structure.reap?.(END_OF_TIME); // what lazy deletion left
    id += count;
    if (repeat < 0 && count > 100_000) continue; // warm enough
    fill(structure, id);
    step("inOrder", () => settleAll(structure, id));
    structure.reap?.(END_OF_TIME);
    id += count;
    if (structure.reap) {
      const deadlines = { reap: growing, equal, random };
      for (const [key, deadline] of Object.entries(deadlines)) {
        fill(structure, id, deadline);
        step(
          key as keyof typeof deadlines,
          () => void structure.reap!(END_OF_TIME),
        );
        id += count;
      }
    }
  }
  const each = (ns: number) => ns / repeats / count;
  const sample: Sample = {
    "register, ns": each(total.register),
    "settle in order, ns": each(total.inOrder),
    "settle at random, ns": each(total.atRandom),
    "register + settle at random, ns": each(total.register + total.atRandom),
  };
  if (structure.reap) {
    sample["reap, ns"] = each(total.reap);
    sample["reap equal deadlines, ns"] = each(total.equal);
    sample["reap random deadlines, ns"] = each(total.random);
  }
  return sample;
}

/** Bytes per pending callback, and what is left when all have been settled. */
async function memory(): Promise<Sample> {
  const structure = await make();
  // Compiled code and the like are not to be counted.
  for (let id = 0; id < 1000; id++) structure.register(id, 0, 1e6);
  for (let id = 0; id < 1000; id++) structure.settle(id);
  structure.reap?.(END_OF_TIME);
  const before = bytesInUse();
  for (let id = 1000; id < 1000 + count; id++) structure.register(id, 0, 1e6);
  const full = bytesInUse();
  for (let id = 1000; id < 1000 + count; id++) structure.settle(id);
  structure.reap?.(END_OF_TIME);
  const after = bytesInUse();
  if (structure.size !== 0) throw new Error("something is left");
  return {
    "pending, bytes each": (full - before) / count,
    "all settled, bytes each": (after - before) / count,
  };
}

/** The longest single call while growing and shrinking, and the longest turn while all are due. */
async function stalls(): Promise<Sample> {
  const structure = await make();
  const order = shuffled(count);
  const growing = longestMs((i) =>
    structure.register(i, i * STEP_MS, TIMEOUT_MS)
  );
  const shrinking = longestMs((i) => structure.settle(order[i]!));
  structure.reap?.(END_OF_TIME);
  const sample: Sample = {
    "growing, ms": growing,
    "shrinking, ms": shrinking,
  };
  if (!structure.reap && name !== "setTimeout each") return sample;
  for (let id = count; id < 2 * count; id++) {
    structure.register(id, performance.now() - TIMEOUT_MS, TIMEOUT_MS);
  }
  gc(); // what filling it has left is not the reap's
  if (structure.reapInSlices) structure.reapInSlices();
  else setTimeout(() => structure.reap?.(END_OF_TIME), 10);
  sample["all due, ms"] = await longestTurnMs(() => structure.size === 0);
  return sample;
}

/** 1,000,000 RPCs a second in virtual time: 99 in 100 are answered after 5 ms, the others never. */
async function steady(): Promise<Sample> {
  const structure = await make();
  const perMs = 1000;
  const answerMs = 5;
  const lost = (id: number) => id % 100 === 0;
  let peak = 0;
  let lastScan = 0;
  const run = (fromMs: number, toMs: number) => {
    for (let now = fromMs; now < toMs; now++) {
      for (let i = 0; i < perMs; i++) {
        structure.register(now * perMs + i, now, TIMEOUT_MS);
      }
      const answered = (now - answerMs) * perMs;
      for (let id = answered; answered >= 0 && id < answered + perMs; id++) {
        if (!lost(id)) structure.settle(id);
      }
      if (now - lastScan >= (structure.scanMs ?? 1)) {
        structure.reap?.(now);
        lastScan = now;
      }
      if (now % 256 === 0) {
        const { heapUsed, external } = Deno.memoryUsage();
        peak = Math.max(peak, heapUsed + external);
      }
    }
  };
  // Until the first deadlines have passed it is not steady.
  const warmUpMs = Math.floor(count / perMs / 2);
  run(0, warmUpMs);
  const ns = cpuNs(() => run(warmUpMs, count / perMs));
  return {
    "per RPC, ns": ns / (count - warmUpMs * perMs),
    "peak, MiB": peak / 2 ** 20,
  };
}

const runs: Record<string, () => Promise<Sample>> = {
  operations,
  memory,
  stalls,
  steady,
};
console.log(JSON.stringify(await runs[benchmark!]!()));
Deno.exit(0); // timers that are left would keep it alive

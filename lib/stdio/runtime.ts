/** The runtime that the process runs in: what all of them have. */
import { setImmediate } from "node:timers";
import { isOldEngine } from "../engine.ts";
import { type EventLoop, sleep } from "./event_loop.ts";
import type { Input } from "./inbox.ts";
import type { Output } from "./outbox.ts";
import type { Runtime } from "./serve.ts";

/** What differs between runtimes. */
export interface Process extends Omit<Runtime, "used"> {
  /** The command line, without the program's own name. */
  args: readonly string[];
  /** Where the log goes by default. */
  stderr: Output;
  /** How much memory is used. */
  memoryUsage(): MemoryUsage;
  /** The same streams, by a way that may be quicker. */
  quicker?(input: Input, output: Output): { input: Input; output: Output };
}

/** How much memory is used, in bytes. */
export interface MemoryUsage {
  /** By the process, as `ps` shows it. */
  rss: number;
  /** On the engine's heap, garbage included. */
  heapUsed: number;
}

/** The event loop as all have it; what comes soonest after all promises differs. */
export const plainEventLoop: EventLoop = {
  settled: (fn) => void setImmediate(fn),
  soon: (fn) => void setImmediate(fn),
  setTimer(fn, delayMs) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};

/** When to try again to write to a full pipe. */
const RETRY_MS = 4;

/** An output that waits while it is a full pipe, which may not block: the same one as stdout, say. */
export function patient(write: Output["write"]): Output {
  return {
    async write(bytes) {
      for (;;) {
        try {
          return await write(bytes);
        } catch (error) {
          if ((error as { code?: string }).code !== "EAGAIN") throw error;
          await sleep(plainEventLoop, RETRY_MS);
        }
      }
    },
  };
}

type Gc = (options?: Record<"type" | "execution" | "flavor", string>) => void;

/**
 * Has V8 collect all the garbage, and give back what that leaves unused: an
 * ordinary collection keeps its pages. Without `--v8-flags=--expose-gc` Deno
 * before 2.9 can't be made to.
 */
export async function collect(): Promise<void> {
  const gc = (globalThis as { gc?: Gc }).gc ?? await exposedGc();
  if (isOldEngine) gc?.(); // with options it collects the young generation only
  else gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** V8's `gc`, in a process that was started without it. */
async function exposedGc(): Promise<Gc | undefined> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  return runInNewContext("globalThis.gc");
}

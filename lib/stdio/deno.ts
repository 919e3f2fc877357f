/** What is Deno's: the standard streams, signals, and the event loop. */
import { setImmediate } from "node:timers";
import type { EventLoop } from "./event_loop.ts";
import type { Input } from "./inbox.ts";
import type { Output } from "./outbox.ts";

/** Where messages come from by default. */
export const stdin: Input = Deno.stdin;
/** Where messages go by default. */
export const stdout: Output = Deno.stdout;
/** Where the log goes by default. */
export const stderr: Output = Deno.stderr;

/** Resolves with the name of the first signal that asks for the end, from now until `stop`. */
export function onSignals(): { received: Promise<string>; stop: () => void } {
  const names: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const { promise, resolve } = Promise.withResolvers<string>();
  const listeners = names.map((name) => [name, () => resolve(name)] as const);
  for (const [name, fn] of listeners) Deno.addSignalListener(name, fn);
  return {
    received: promise,
    stop: () => {
      for (const [name, fn] of listeners) Deno.removeSignalListener(name, fn);
    },
  };
}

/** Deno's event loop. */
export const eventLoop: EventLoop = {
  soon: (fn) => void setImmediate(fn),
  setTimer(fn, delayMs) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
  // A thread of the pool comes and goes: so would one that had something to read.
  async otherThreads() {
    await crypto.subtle.digest("SHA-1", new Uint8Array(1));
  },
};

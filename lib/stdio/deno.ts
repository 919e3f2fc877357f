/**
 * What is Deno's: the standard streams, memory, signals, and the event loop.
 * Loaded in other runtimes, too, and not used there: `import()` takes Deno 20
 * ms, a quarter of the start.
 */
import { setImmediate } from "node:timers";
import type * as Net from "node:net";
import { deferred } from "../deferred.ts";
import type { EventLoop } from "./event_loop.ts";
import type { Input } from "./inbox.ts";
import type { Output } from "./outbox.ts";
import { patient, plainEventLoop } from "./runtime.ts";
import { socketInput, socketOutput } from "./sockets.ts";

/** The command line, without the program's own name. */
export const args: readonly string[] = globalThis.Deno?.args;
/** Where messages come from by default. */
export const stdin: Input = globalThis.Deno?.stdin;
/** Where messages go by default. */
export const stdout: Output = globalThis.Deno?.stdout;
/** Where the log goes by default. */
export const stderr: Output = patient((bytes) => Deno.stderr.write(bytes));

/**
 * `Deno.stdin` and `Deno.stdout` visit another thread for each read and write:
 * with one message at a time, that is half of the time and of the CPU. Sockets
 * on the same pipes do without. But `node:net` takes some 20 ms to be loaded,
 * which is paid back only where messages come one at a time: as soon as so many
 * reads ...
 */
const SMALL_READS = 16;
/** ... had less than so many bytes. */
const SMALL_BYTES = 4096;

/**
 * The same streams, but `Deno.stdin` and `Deno.stdout` become sockets when
 * messages come one at a time; where they are no pipes, or Deno can't have
 * sockets on them (before 2.9), they stay what they are. Loading `node:net`
 * holds the event loop up for 15 to 50 ms, once. From then on the pipes do not
 * block (`O_NONBLOCK`): neither for others that have the same ones, nor after
 * the process has ended.
 */
export function quicker(
  input: Input,
  output: Output,
): { input: Input; output: Output } {
  if (input !== Deno.stdin || output !== Deno.stdout) return { input, output };
  let net: typeof Net | undefined;
  let smallReads = 0;
  function note(count: number | null): void {
    if (count === null || count >= SMALL_BYTES) return;
    if (++smallReads < SMALL_READS) return;
    Promise.all([import("node:net"), import("node:process")]).then(
      ([loaded, { nextTick }]) => {
        net = loaded;
        tick = nextTick;
      },
    );
  }
  return {
    input: {
      get prompt() {
        return input !== Deno.stdin;
      },
      read(buffer) {
        // Between two reads: one that waits would take what comes next.
        if (net !== undefined && input === Deno.stdin) {
          try {
            const { Socket } = net;
            input = socketInput((options) => new Socket(options), eventLoop);
          } catch {
            net = undefined;
          }
        }
        const reading = input.read(buffer);
        if (smallReads < SMALL_READS) reading.then(note, () => {});
        return reading;
      },
    },
    output: {
      write(bytes) {
        if (
          net !== undefined && input !== Deno.stdin && output === Deno.stdout
        ) {
          try {
            output = pipeOutput(net);
          } catch {
            net = undefined;
          }
        }
        return output.write(bytes);
      },
    },
  };
}

/**
 * A pipe takes all of a write of so many bytes, or nothing; more than that
 * `Deno.stdout` may write in part, and not tell.
 */
const ATOMIC_BYTES = 512;

/** Writes to stdout what it takes, and the rest when it takes more. */
function pipeOutput({ Socket }: typeof Net): Output {
  const socket = new Socket({ fd: 1, readable: false }); // stdout does not block from now on
  const isPipe = socket.remoteAddress === undefined;
  const { write } = socketOutput(socket);
  return {
    async write(bytes) {
      if (isPipe && bytes.length <= ATOMIC_BYTES) {
        try { // half of the CPU of the socket's
          return Deno.stdout.writeSync(bytes);
        } catch (error) {
          if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        }
      }
      return await write(bytes);
    },
  };
}

/** How much memory is used, in bytes: by the process, as `ps` shows it, and on V8's heap, garbage included. */
export function memoryUsage(): { rss: number; heapUsed: number } {
  return Deno.memoryUsage();
}

/** Resolves with the name of the first signal that asks for the end, from now until `stop`. */
export function onSignals(): { received: Promise<string>; stop: () => void } {
  const names: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const { promise, resolve } = deferred<string>();
  const listeners = names.map((name) => [name, () => resolve(name)] as const);
  for (const [name, fn] of listeners) Deno.addSignalListener(name, fn);
  return {
    received: promise,
    stop: () => {
      for (const [name, fn] of listeners) Deno.removeSignalListener(name, fn);
    },
  };
}

/**
 * Calls a function after what runs now, and before anything is read: of
 * `node:process`, which takes 40 ms to be loaded, and so comes with `node:net`.
 */
let tick: ((fn: () => void) => void) | undefined;

/** Deno's event loop. */
export const eventLoop: EventLoop = {
  ...plainEventLoop,
  settled(fn) {
    if (tick === undefined) setImmediate(fn);
    else queueMicrotask(() => tick!(fn)); // else it might come before promises
  },
};

/** What is Deno's: the standard streams, signals, and the event loop. */
import { setImmediate } from "node:timers";
import type * as Net from "node:net";
import { TextLineStream } from "@std/streams/text-line-stream";
import { type EventLoop, sleep } from "./event_loop.ts";
import { type Input, READ_BYTES } from "./inbox.ts";
import type { Output } from "./outbox.ts";

/** Cuts text into lines by default. */
export function lines(): TransformStream<string, string> {
  return new TextLineStream();
}
/** Where messages come from by default. */
export const stdin: Input = Deno.stdin;
/** Where messages go by default. */
export const stdout: Output = Deno.stdout;
/** Where the log goes by default. */
export const stderr: Output = {
  async write(bytes) {
    for (;;) {
      try {
        return await Deno.stderr.write(bytes);
      } catch (error) {
        // A full pipe, and the same one as stdout, which does not block any more.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        await sleep(eventLoop, RETRY_MS);
      }
    }
  },
};
/** When to try again to write to a full pipe. */
const RETRY_MS = 4;

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
            input = socketInput(net);
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
            output = socketOutput(net);
          } catch {
            net = undefined;
          }
        }
        return output.write(bytes);
      },
    },
  };
}

/** Reads stdin whenever it can be read and is asked for. */
function socketInput({ Socket }: typeof Net): Input {
  const room = new Uint8Array(READ_BYTES);
  let buffer: Uint8Array = room;
  let reading: PromiseWithResolvers<number | null> | undefined;
  function end(count: number | null): void {
    reading?.resolve(count);
    reading = undefined;
  }
  const socket = new Socket({
    fd: 0,
    writable: false,
    onread: {
      buffer: room,
      callback(count) {
        buffer.set(room.subarray(0, count));
        end(count);
        // Cheaper than to stop at once and start again with the next read.
        eventLoop.settled(() => {
          if (reading === undefined) socket.pause();
        });
        return true;
      },
    },
  });
  socket.on("end", () => end(null));
  socket.on("error", (error) => reading?.reject(error));
  return {
    prompt: true,
    read(into) {
      buffer = into;
      reading = Promise.withResolvers();
      if (socket.isPaused()) socket.resume();
      return reading.promise;
    },
  };
}

/**
 * A pipe takes all of a write of so many bytes, or nothing; more than that
 * `Deno.stdout` may write in part, and not tell.
 */
const ATOMIC_BYTES = 512;

/** Writes to stdout what it takes, and the rest when it takes more. */
function socketOutput({ Socket }: typeof Net): Output {
  const socket = new Socket({ fd: 1, readable: false }); // stdout does not block from now on
  socket.on("error", () => {}); // the write that failed tells
  const isPipe = socket.remoteAddress === undefined;
  const whenTaken = (bytes: Uint8Array) =>
    new Promise<number>((resolve, reject) =>
      socket.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      )
    );
  return {
    async write(bytes) {
      if (isPipe && bytes.length <= ATOMIC_BYTES) {
        try { // half of the CPU of the socket's
          return Deno.stdout.writeSync(bytes);
        } catch (error) {
          if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        }
      }
      return await whenTaken(bytes);
    },
  };
}

/** How much memory is used, in bytes: by the process, as `ps` shows it, and on V8's heap, garbage included. */
export function memoryUsage(): { rss: number; heapUsed: number } {
  return Deno.memoryUsage();
}

type Gc = (options: Record<"type" | "execution" | "flavor", string>) => void;

/**
 * Has V8 collect all the garbage, and give back what that leaves unused: an
 * ordinary collection keeps its pages. Without `--v8-flags=--expose-gc` Deno
 * before 2.9 can't be made to.
 */
export async function collect(): Promise<void> {
  const gc = (globalThis as { gc?: Gc }).gc ?? await exposedGc();
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** V8's `gc`, in a process that was started without it. */
async function exposedGc(): Promise<Gc | undefined> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  return runInNewContext("globalThis.gc");
}

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

/**
 * Calls a function after what runs now, and before anything is read: of
 * `node:process`, which takes 40 ms to be loaded, and so comes with `node:net`.
 */
let tick: ((fn: () => void) => void) | undefined;

/** Deno's event loop. */
export const eventLoop: EventLoop = {
  settled(fn) {
    if (tick === undefined) setImmediate(fn);
    else queueMicrotask(() => tick!(fn)); // else it might come before promises
  },
  soon: (fn) => void setImmediate(fn),
  setTimer(fn, delayMs) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};
